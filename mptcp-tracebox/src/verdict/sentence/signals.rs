//! Packets of a connection of which the copies are not quoted any more from some hop on.

use super::silence::Answers;
use super::{Facts, undecided};
use crate::probe::Probe;
use crate::trace::{Blame, Code, Confidence, Hop, Interval, Place, Verdict};

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

    fn signals(&self) -> impl Iterator<Item = (&'static str, Vanished)> {
        let signals = [
            ("ADD_ADDR", Probe::AddAddr),
            ("MP_PRIO", Probe::Prio),
            ("MP_FASTCLOSE", Probe::FastClose),
        ];
        let found = signals.into_iter();
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

/// What is less likely by chance is told as a drop.
const CERTAIN: f64 = 1e-7;
/// What is less likely by chance leaves the verdict open.
const SUSPECT: f64 = 1e-4;
