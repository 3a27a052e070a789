//! Packets of a connection of which the copies are not quoted any more from some hop on.

use super::data::HANGS;
use super::silence::Answers;
use super::{Facts, reason, undecided};
use crate::probe::Probe;
use crate::trace::{Blame, Code, Confidence, Hop, Interval, Place, Refusal, Refused, Verdict};

/// Copies that no hop quotes from some hop on, where others are quoted.
pub(super) struct Vanished {
    pub(super) between: Interval,
    /// How likely that is, if all of the losses are chance.
    chance: f64,
}

impl Vanished {
    /// Whether the hops are reliable enough to say where.
    pub(super) fn is_located(&self) -> bool {
        self.chance < SUSPECT && self.between.until != Place::Target
    }
}

impl Facts<'_> {
    /// Where the copies of a probe end. None if the last hop that answers others answers it too.
    pub(super) fn vanished(&self, probe: &Probe) -> Option<Vanished> {
        let column = self.flow.probes.iter().position(|known| known == probe)?;
        let mut between = self.behind(probe);
        let hops = &self.flow.hops;
        let all = hops.iter().map(|hop| Answers::of(hop, column));
        let all = all.fold(Answers::default(), Answers::and);
        let mut chance = 1.0;
        let mut is_silent = false;
        for hop in hops.iter().filter(|hop| hop.ttl > between.after) {
            let here = Answers::of(hop, column);
            let cell = hop.cells.get(column).filter(|cell| cell.sent > 0)?;
            if cell.answered > 0 {
                return None;
            }
            if !here.is_there() {
                continue;
            }
            is_silent = true;
            // Who loses others too may be out of errors just then.
            if !here.is_whole() || !self.hears_later(probe, hop) {
                continue;
            }
            chance *= here.chance_of_silence(cell.sent, &all);
            if between.until == Place::Target && here.is_no_chance(cell.sent, &all) {
                between.until = Place::Hop(hop.ttl);
            }
        }
        if self.flow.is_balanced || self.is_lost_now_and_then() {
            between = Interval::WHOLE_PATH;
            chance = 1.0;
        }
        is_silent.then_some(Vanished { between, chance })
    }

    /// Whether the hop answers what is asked last in a connection, if that was asked.
    fn hears_later(&self, probe: &Probe, hop: &Hop) -> bool {
        let mut probes = self.flow.probes.iter();
        let last = probes.position(|known| *known == Probe::UnseenAck);
        let cell = last.and_then(|column| hop.cells.get(column));
        *probe == Probe::Dss || cell.is_none_or(|cell| cell.sent == 0 || cell.answered > 0)
    }

    /// Somebody answers data with RST or ICMP.
    pub(super) fn data_refused(&self) -> Option<Verdict> {
        self.refused_as(|probe| *probe == Probe::Dss)
    }

    /// Somebody answers ACKs with another option of MPTCP with RST or ICMP.
    pub(super) fn signal_refused(&self) -> Option<Verdict> {
        self.refused_as(|probe| *probe != Probe::Dss)
    }

    fn refused_as(&self, is_meant: impl Fn(&Probe) -> bool) -> Option<Verdict> {
        let refused = self.flow.refused.as_ref();
        let Refused { probe, by, between } = refused.filter(|it| is_meant(&it.probe))?;
        let signal = SIGNALS.iter().find(|(_, known)| known == probe);
        let what = match by {
            Refusal::Reset => "RST".to_owned(),
            Refusal::Error { kind, .. } => format!("ICMP: {}", reason(*kind, self.target)),
        };
        // Copies do not reach the target, unless they take a shorter way than others.
        let is_target = matches!(by, Refusal::Error { from, .. } if *from == self.target.ip())
            && between.until == Place::Target;
        Some(Verdict {
            code: signal.map_or(Code::PathRejects, |_| Code::PathRejectsOption),
            sentence: match signal {
                Some((name, _)) => format!(
                    "Packets of a connection that have {name} are refused ({what}), {between}."
                ),
                None => {
                    format!("Data of a connection with MPTCP are refused ({what}), {between}.")
                }
            },
            blame: if is_target {
                Blame::Unknown
            } else {
                Blame::Path
            },
            confidence: if is_target {
                Confidence::Likely
            } else {
                Confidence::Proven
            },
            between: Some(*between),
            kernel_effect: match (signal, by) {
                (Some((name, _)), Refusal::Error { .. }) => {
                    format!("The peer does not get {name}.")
                }
                (Some((name, _)), Refusal::Reset) => {
                    format!("A subflow ends when Linux sends {name} over it.")
                }
                (None, Refusal::Error { .. }) => HANGS.to_owned(),
                (None, Refusal::Reset) => {
                    "A connection comes to stand and ends with the first data.".to_owned()
                }
            },
        })
    }

    fn signals(&self) -> impl Iterator<Item = (&'static str, Vanished)> {
        let found = SIGNALS.into_iter();
        found.filter_map(|(name, probe)| Some((name, self.vanished(&probe)?)))
    }

    /// ACKs with an option of MPTCP are lost, others are not.
    pub(super) fn signal_lost(&self) -> Option<Verdict> {
        let mut signals = self.signals();
        let (name, Vanished { between, chance }) =
            signals.find(|(_, vanished)| vanished.is_located())?;
        if chance < CERTAIN {
            return Some(Verdict {
                code: Code::PathStripsData,
                sentence: format!(
                    "Packets of a connection that have {name} are dropped, {between}; others pass."
                ),
                blame: Blame::Path,
                confidence: Confidence::Likely,
                between: Some(between),
                kernel_effect: format!("The peer does not get {name}."),
            });
        }
        Some(Verdict {
            between: Some(between),
            kernel_effect: format!("The peer may not get {name}."),
            ..undecided(format!(
                "Packets of a connection that have {name} are not heard of any more, {between}, where others are: they may be dropped."
            ))
        })
    }

    /// Signals of which it is not known whether they pass, though no more than bad luck may be why.
    pub(super) fn unheard(&self) -> Option<String> {
        let names: Vec<&str> = self.signals().map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| {
            format!(
                " Whether packets of a connection with {} pass is not known: the last hops do not answer them.",
                names.join(", ")
            )
        })
    }
}

/// What MPTCP says on ACKs, and the probe of it.
const SIGNALS: [(&str, Probe); 3] = [
    ("ADD_ADDR", Probe::AddAddr),
    ("MP_PRIO", Probe::Prio),
    ("MP_FASTCLOSE", Probe::FastClose),
];
/// What is less likely by chance is told as a drop.
const CERTAIN: f64 = 1e-7;
/// What is less likely by chance leaves the verdict open.
const SUSPECT: f64 = 1e-5;
