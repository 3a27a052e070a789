//! One sentence for all of it.

mod data;
mod options;
mod signals;
pub(super) mod silence;
mod way_back;

use std::net::SocketAddr;

use super::other::hops_back;
use crate::diff::{Field, How};
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::trace::{
    Acked, Blame, CellState, Code, Confidence, End, EndAnswer, EndOption, Flow, Interval, Located,
    Place, Verdict,
};

/// What the flows say together: the worst of them, and how many are like it.
pub(super) fn verdict(flows: &[Flow], target: SocketAddr) -> Verdict {
    let verdicts: Vec<Verdict> = flows
        .iter()
        .map(|flow| Facts { flow, target }.verdict())
        .collect();
    let Some(worst) = verdicts.iter().max_by_key(|verdict| verdict.code.rank()) else {
        return undecided("Nothing was asked.".to_owned());
    };
    let mut worst = worst.clone();
    let alike = verdicts
        .iter()
        .filter(|verdict| verdict.code == worst.code)
        .count();
    if alike < verdicts.len() {
        worst.sentence = format!("{} ({alike} of {} flows)", worst.sentence, verdicts.len());
    }
    worst
}

impl Code {
    /// How bad it is for who wants to use MPTCP.
    const fn rank(self) -> u8 {
        match self {
            Self::PathClean => 0,
            Self::MptcpOk => 1,
            Self::Undecided | Self::HopsMissing => 2,
            Self::PathChanges | Self::PathResegments => 3,
            Self::MptcpV0Only => 4,
            Self::ServerNoMptcp => 5,
            Self::Mirror => 6,
            Self::ProxyOnPath => 7,
            Self::PathBreaksJoin | Self::PathRejectsOption | Self::PathDropsOption => 8,
            Self::PathAltersMptcp => 9,
            Self::ProactiveAck => 10,
            Self::PayloadModified => 11,
            Self::PathStripsData => 12,
            Self::PathStripsCapable | Self::PathStripsSynAck => 13,
            Self::PathStripsSyn => 14,
            Self::PathDropsCapable => 15,
            Self::PathRejects => 16,
            Self::PortClosed | Self::PathClosesPort => 17,
            Self::Unreachable => 18,
        }
    }
}

/// What there is to judge.
pub(super) struct Facts<'a> {
    pub(super) flow: &'a Flow,
    pub(super) target: SocketAddr,
}

impl Facts<'_> {
    fn verdict(&self) -> Verdict {
        let steps = [
            Self::no_answer,
            Self::refused,
            Self::stripped_on_the_way,
            Self::dropped,
            Self::altered_capable,
            Self::proxied,
            Self::answered_nearer,
            Self::stripped_on_the_way_back,
            Self::altered,
            Self::acknowledged_early,
            Self::stripped_from_data,
            Self::payload_modified,
            Self::not_acknowledged,
            Self::reset_by_mptcp,
            // What is behind here leaves connections their MPTCP.
            Self::join_stripped,
            Self::join_dropped,
            Self::join_refused,
            Self::signal_lost,
            Self::option_refused,
            Self::option_dropped,
            Self::never_acknowledged,
            Self::hops_missing,
            Self::spoken,
            Self::not_spoken,
        ];
        let found = steps.iter().find_map(|step| step(self));
        found.unwrap_or_else(|| self.not_asked())
    }

    pub(super) fn end(&self, probe: &Probe) -> Option<&End> {
        self.flow.ends.iter().find(|end| end.probe == *probe)
    }

    pub(super) fn answer(&self, probe: &Probe) -> Option<&EndAnswer> {
        self.end(probe).map(|end| &end.answer)
    }

    fn control(&self) -> Option<&EndAnswer> {
        self.answer(&Probe::Syn)
    }

    /// The last hop that answered, for what happens behind it.
    fn last_hop(&self) -> u8 {
        let heard = self.flow.hops.iter().filter(|hop| !hop.routers.is_empty());
        heard.map(|hop| hop.ttl).max().unwrap_or(0)
    }

    /// Behind the last hop that this probe has passed in any form, for what stops it.
    pub(super) fn behind(&self, probe: &Probe) -> Interval {
        use crate::trace::CellState::{NotQuoted, Same};
        self.beyond(self.last(probe, |state| matches!(state, Same | NotQuoted)))
    }

    /// Behind the last hop that is known to have seen this probe as it was sent, for what changes it.
    fn behind_unchanged(&self, probe: &Probe) -> Interval {
        self.beyond(self.last_seen(probe))
    }

    fn beyond(&self, hop: u8) -> Interval {
        // Where ways part, that hop may lie on another one.
        let may_part = self.flow.is_balanced || self.is_lost_now_and_then();
        let after = if may_part { 0 } else { hop };
        Interval {
            after,
            until: Place::Target,
        }
    }

    /// The last hop that is known to have seen this probe as it was sent; 0 for none.
    fn last_seen(&self, probe: &Probe) -> u8 {
        self.last(probe, |state| state == CellState::Same)
    }

    fn last(&self, probe: &Probe, is_meant: impl Fn(CellState) -> bool) -> u8 {
        let column = self.flow.probes.iter().position(|known| known == probe);
        let passed = self.flow.hops.iter().filter(|hop| {
            let cell = column.and_then(|column| hop.cells.get(column));
            cell.is_some_and(|cell| is_meant(cell.state))
        });
        passed.map(|hop| hop.ttl).max().unwrap_or(0)
    }

    fn no_answer(&self) -> Option<Verdict> {
        let target = self.target;
        match self.control() {
            None | Some(EndAnswer::Silent) => {
                let heard = self.last_hop();
                let sentence = if heard == 0 {
                    format!("Nothing answers: neither {target} nor a router on the way.")
                } else {
                    format!(
                        "{target} does not answer a plain SYN; hop {heard} is the last that is heard of."
                    )
                };
                let behind = Interval {
                    after: heard,
                    until: Place::Target,
                };
                let breaks = self.broken();
                Some(Verdict {
                    code: Code::Unreachable,
                    sentence: match breaks {
                        Some(between) => format!(
                            "{sentence} The TCP checksum does not hold any more, {between}, so it drops what it gets."
                        ),
                        None => sentence,
                    },
                    blame: breaks.map_or(Blame::Unknown, |_| Blame::Path),
                    confidence: Confidence::Likely,
                    between: breaks.or(Some(behind)),
                    kernel_effect: "A connection times out, with MPTCP or without.".to_owned(),
                })
            }
            Some(EndAnswer::Reset { .. }) => {
                Some(self.port_closed_on_path().unwrap_or_else(|| Verdict {
                    code: Code::PortClosed,
                    sentence: format!(
                        "{target} refuses the connection: nobody listens on port {}.",
                        target.port()
                    ),
                    blame: Blame::Server,
                    confidence: Confidence::Likely,
                    between: None,
                    kernel_effect: REFUSED.to_owned(),
                }))
            }
            Some(EndAnswer::Error { from, kind }) => Some(Verdict {
                code: Code::Unreachable,
                sentence: format!(
                    "{from} says that {target} cannot be reached: {}.",
                    reason(*kind, target)
                ),
                blame: match kind {
                    _ if *from == target.ip() => Blame::Server,
                    // Its router asked for it in vain: the host may be off.
                    _ if is_host_silent(*kind, target) => Blame::Unknown,
                    _ => Blame::Path,
                },
                confidence: Confidence::Proven,
                between: None,
                kernel_effect: "A connection fails, with MPTCP or without.".to_owned(),
            }),
            Some(EndAnswer::SynAck { .. } | EndAnswer::Ack) => None,
        }
    }

    /// Where the checksum of plain SYNs ceases to hold.
    fn broken(&self) -> Option<Interval> {
        let mut changes = self.flow.changes.iter();
        let located = changes.find(|located| {
            located.change.how == How::Broken && located.probes.contains(&Probe::Syn)
        })?;
        Some(located.between)
    }

    /// A SYN with MPTCP is answered with RST or ICMP, a plain one is not.
    fn refused(&self) -> Option<Verdict> {
        let end = self.end(&Probe::CapableV1)?;
        let (what, from) = match &end.answer {
            EndAnswer::Reset { .. } => ("RST".to_owned(), None),
            EndAnswer::Error { from, kind } => (
                format!("ICMP ({})", reason(*kind, self.target)),
                Some(*from),
            ),
            _ => return None,
        };
        let first = self.first_refusal(&Probe::CapableV1);
        let between = self.refused_between(&Probe::CapableV1, first);
        let ttl = |probe: &Probe| self.end(probe).and_then(|end| end.ttl);
        let is_by_path = first.is_some()
            || from.is_some_and(|from| from != self.target.ip())
            || ttl(&Probe::CapableV1) != ttl(&Probe::Syn);
        Some(Verdict {
            code: Code::PathRejects,
            sentence: format!(
                "A SYN with MP_CAPABLE is answered with {what}, {between}; a plain SYN is not."
            ),
            blame: if is_by_path {
                Blame::Path
            } else {
                Blame::Unknown
            },
            confidence: if is_by_path {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: "connect() fails: Linux does not try again without MPTCP.".to_owned(),
        })
    }

    /// Where a probe is refused, if the lowest TTL with which it is refused is known.
    pub(super) fn refused_between(&self, probe: &Probe, first: Option<u8>) -> Interval {
        let mut between = self.behind(probe);
        // Where ways part, one of them may have who makes TTLs larger, so that the packet comes farther.
        if let Some(hop) = first.filter(|_| !self.flow.is_balanced) {
            between.until = Place::Hop(hop);
            if between.after >= hop {
                // It is refused on one way and passes on another.
                between.after = 0;
            }
        }
        // Who refuses it is nearer than where it has been: on another way.
        let back = self.end(probe).and_then(|end| end.ttl).map(hops_back);
        if back.is_some_and(|back| back < between.after) {
            between.after = 0;
        }
        between
    }

    pub(super) fn first_refusal(&self, probe: &Probe) -> Option<u8> {
        let column = self.flow.probes.iter().position(|known| known == probe)?;
        let refused = self.flow.hops.iter().find(|hop| {
            hop.cells
                .get(column)
                .is_some_and(|cell| matches!(cell.state, CellState::Reached | CellState::Refused))
        });
        refused.map(|hop| hop.ttl)
    }

    fn stripped_on_the_way(&self) -> Option<Verdict> {
        let effect = "Linux falls back to TCP at once: the connection works, with one path.";
        self.stripped(&Probe::CapableV1, Code::PathStripsSyn, effect)
    }

    fn join_stripped(&self) -> Option<Verdict> {
        let effect = self.without_joins("are refused");
        self.stripped(&Probe::Join, Code::PathBreaksJoin, &effect)
    }

    fn stripped(&self, probe: &Probe, code: Code, effect: &str) -> Option<Verdict> {
        let Located {
            change, between, ..
        } = self.first_lost(probe)?;
        Some(Verdict {
            code,
            sentence: format!("{} is {}, {between}.", change.field, change.how),
            blame: Blame::Path,
            confidence: Confidence::Proven,
            between: Some(*between),
            kernel_effect: effect.to_owned(),
        })
    }

    /// Where the special option of a probe is lost on the way to the target.
    fn first_lost(&self, probe: &Probe) -> Option<&Located> {
        self.flow.changes.iter().find(|located| {
            let is_option = matches!(located.change.field, Field::Option(id) if id.is_mptcp());
            let is_lost = matches!(
                located.change.how,
                How::Removed | How::Nopped | How::Ended | How::Renamed
            );
            is_option && is_lost && located.probes.contains(probe)
        })
    }

    fn dropped(&self) -> Option<Verdict> {
        let effect = "Linux sends three SYNs in vain (3 s), falls back to TCP, and then leaves MPTCP off for an hour.";
        self.lost_syns(&Probe::CapableV1, Code::PathDropsCapable, effect)
    }

    fn join_dropped(&self) -> Option<Verdict> {
        let effect = self.without_joins("time out");
        self.lost_syns(&Probe::Join, Code::PathBreaksJoin, &effect)
    }

    /// A SYN with MPTCP is not answered, however often it is sent; plain ones in between are.
    fn lost_syns(&self, probe: &Probe, code: Code, effect: &str) -> Option<Verdict> {
        let end = self.end(probe)?;
        let name = match probe {
            Probe::Join => "MP_JOIN",
            _ => "MP_CAPABLE",
        };
        self.is_silent(end, LEAST_SILENT).then(|| {
            let between = self.narrowed(probe);
            Verdict {
                code,
                sentence: format!("SYNs with {name} are dropped, {between}; plain SYNs pass."),
                blame: Blame::Path,
                confidence: Confidence::Likely,
                between: Some(between),
                kernel_effect: effect.to_owned(),
            }
        })
    }

    /// What becomes of connections whose further subflows meet with this.
    pub(super) fn without_joins(&self, fate: &str) -> String {
        match self.answer(&Probe::CapableV1) {
            Some(EndAnswer::SynAck { option, .. }) if !matches!(option, EndOption::Capable(_)) => {
                "Linux falls back to TCP at once: the target does not answer with MPTCP.".to_owned()
            }
            _ if self
                .flow
                .talk
                .is_some_and(|talk| talk.acked == Acked::Never) =>
            {
                data::HANGS.to_owned()
            }
            _ => format!("Connections use MPTCP with one path: further subflows {fate}."),
        }
    }

    /// MP_CAPABLE itself, so that its answer is not the one that it would have had.
    fn altered_capable(&self) -> Option<Verdict> {
        self.altered_where(|located| located.probes.contains(&Probe::CapableV1))
    }

    fn altered(&self) -> Option<Verdict> {
        self.altered_where(|_| true)
    }

    fn altered_where(&self, is_meant: impl Fn(&Located) -> bool) -> Option<Verdict> {
        let located = self.flow.changes.iter().find(|located| {
            is_meant(located)
                && matches!(located.change.field, Field::Option(id) if id.is_mptcp())
                && matches!(located.change.how, How::Rewritten | How::Duplicated)
        })?;
        Some(Verdict {
            code: Code::PathAltersMptcp,
            sentence: format!(
                "{} is {}, {}.",
                located.change.field, located.change.how, located.between
            ),
            blame: Blame::Path,
            confidence: Confidence::Proven,
            between: Some(located.between),
            kernel_effect: "Connections may fall back to TCP, or hang.".to_owned(),
        })
    }

    fn spoken(&self) -> Option<Verdict> {
        let EndAnswer::SynAck {
            option: EndOption::Capable(version),
            ..
        } = self.answer(&Probe::CapableV1)?
        else {
            return None;
        };
        let target = self.target;
        let (code, sentence) = match self.flow.changes.first() {
            None if *version == 1 => (
                Code::MptcpOk,
                format!(
                    "{target} speaks MPTCP version 1, and {}.{}",
                    self.unchanged(),
                    self.notes()
                ),
            ),
            None => (
                Code::MptcpV0Only,
                format!(
                    "{target} answers with MPTCP version {version}, which Linux does not speak."
                ),
            ),
            Some(first) => {
                let resegments = self.first_resegmenting() == Some(first);
                let code = if resegments {
                    Code::PathResegments
                } else {
                    Code::PathChanges
                };
                let changed = self.changed(first, &format!("{target} speaks MPTCP"));
                (code, format!("{changed}{}", self.vain()))
            }
        };
        Some(Verdict {
            code,
            sentence,
            blame: if self.flow.changes.is_empty() {
                Blame::Nobody
            } else {
                Blame::Path
            },
            confidence: if code == Code::MptcpOk && self.unheard().is_some() {
                Confidence::Likely
            } else {
                Confidence::Proven
            },
            between: self.flow.changes.first().map(|located| located.between),
            kernel_effect: match self.flow.talk.map(|talk| talk.acked) {
                Some(Acked::Never) => data::HANGS.to_owned(),
                Some(Acked::ByTcp) => "The target fell back to TCP in mid-stream.".to_owned(),
                _ => "MPTCP is used.".to_owned(),
            },
        })
    }

    /// What does MPTCP no harm, and is worth to be known.
    fn notes(&self) -> String {
        let stateful = self.flow.other.and_then(|other| other.stateful);
        let stateful = stateful.map(|between| {
            format!(" Segments of connections that were not seen to begin are lost, {between}.")
        });
        let unseen = self.flow.unseen_lost;
        let unseen = unseen.map(|between| format!(" ACKs for data not seen are lost, {between}."));
        let talk = self
            .flow
            .talk
            .filter(|talk| talk.passes_holes == Some(false));
        let holes = talk.map(|_| " Data behind a hole are not acknowledged.".to_owned());
        let notes = [stateful, unseen, holes, self.unheard()];
        notes.into_iter().flatten().collect()
    }

    /// Changes that leave MPTCP alone.
    fn changed(&self, first: &Located, then: &str) -> String {
        let more = match self.flow.changes.len() {
            0 | 1 => String::new(),
            len => format!(", and {} more", len - 1),
        };
        let Located {
            change, between, ..
        } = first;
        format!(
            "{then}, but the path changes what is sent: {} {}, {between}{more}.",
            change.field, change.how
        )
    }

    fn not_spoken(&self) -> Option<Verdict> {
        let EndAnswer::SynAck { option, .. } = self.answer(&Probe::CapableV1)? else {
            return None;
        };
        if *option != EndOption::Absent {
            return None;
        }
        let target = self.target;
        let between = self.behind_unchanged(&Probe::CapableV1);
        if self.speaks_v0() {
            return Some(Verdict {
                code: Code::MptcpV0Only,
                sentence: format!("{target} speaks MPTCP version 0 only, which Linux does not."),
                blame: Blame::Server,
                confidence: Confidence::Proven,
                between: None,
                kernel_effect: "Linux falls back to TCP at once.".to_owned(),
            });
        }
        let seen = self.last_seen(&Probe::CapableV1);
        let where_clean = match seen {
            0 => "no hop tells whether the option arrived".to_owned(),
            hop => format!("the option was seen to arrive at hop {hop}"),
        };
        Some(Verdict {
            code: Code::ServerNoMptcp,
            sentence: format!("{target} answers as plain TCP; {where_clean}."),
            blame: if seen == 0 {
                Blame::Unknown
            } else {
                Blame::Server
            },
            confidence: if seen == 0 {
                Confidence::Unknown
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: "Linux falls back to TCP at once: the connection works, with one path."
                .to_owned(),
        })
    }

    fn speaks_v0(&self) -> bool {
        matches!(
            self.answer(&Probe::CapableV0),
            Some(EndAnswer::SynAck {
                option: EndOption::Capable(0),
                ..
            })
        )
    }

    fn not_asked(&self) -> Verdict {
        match self.flow.changes.first() {
            Some(first) => Verdict {
                code: Code::PathChanges,
                sentence: self.changed(first, &format!("{} answers", self.target)),
                blame: Blame::Path,
                confidence: Confidence::Proven,
                between: Some(first.between),
                kernel_effect: String::new(),
            },
            None if self
                .flow
                .ends
                .iter()
                .any(|end| end.probe == Probe::CapableV1) =>
            {
                undecided(format!(
                    "The answers of {} do not tell whether it speaks MPTCP.",
                    self.target
                ))
            }
            None => Verdict {
                code: Code::PathClean,
                sentence: format!("{} answers, and {}.", self.target, self.unchanged()),
                blame: Blame::Nobody,
                confidence: Confidence::Proven,
                between: None,
                kernel_effect: String::new(),
            },
        }
    }
}

fn undecided(sentence: String) -> Verdict {
    Verdict {
        code: Code::Undecided,
        sentence,
        blame: Blame::Unknown,
        confidence: Confidence::Unknown,
        between: None,
        kernel_effect: String::new(),
    }
}

/// What an ICMP error means.
fn reason(kind: ErrorKind, target: SocketAddr) -> String {
    match kind {
        ErrorKind::TimeExceeded => "its TTL ran out, so it goes round in circles".to_owned(),
        ErrorKind::TooBig(mtu) => format!("it is larger than {mtu} bytes"),
        kind if kind.is_prohibition(target.is_ipv4()) => "forbidden by a filter".to_owned(),
        kind if is_host_silent(kind, target) => "the host does not answer its router".to_owned(),
        ErrorKind::Unreachable(code) => match (target.is_ipv4(), code) {
            (_, 0) => "no route to its network".to_owned(),
            (true, 3) | (false, 4) => "nobody listens on the port".to_owned(),
            _ => format!("code {code}"),
        },
    }
}

/// Whether the last router found no host (RFC 792, RFC 4443 §3.1).
fn is_host_silent(kind: ErrorKind, target: SocketAddr) -> bool {
    let code = if target.is_ipv4() { 1 } else { 3 };
    kind == ErrorKind::Unreachable(code)
}

/// What a closed port means.
pub(super) const REFUSED: &str = "A connection is refused, with MPTCP or without.";
/// Tries of a probe, all in vain, that are more than bad luck.
const LEAST_SILENT: u32 = 3;
