//! One sentence for all of it.

mod data;
mod options;
mod signals;
pub(super) mod silence;
mod spoken;
mod syns;
mod way_back;

use std::net::SocketAddr;

use crate::diff::How;
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::trace::{
    Blame, CellState, Code, Confidence, End, EndAnswer, Flow, Interval, Place, Verdict,
};

/// What the flows say together: the worst of them, and how many are like it.
pub(super) fn verdict(flows: &[Flow], target: SocketAddr) -> Verdict {
    let verdicts: Vec<Verdict> = flows
        .iter()
        .map(|flow| Facts { flow, target }.verdict())
        .collect();
    let Some(worst) = verdicts.iter().max_by_key(|verdict| verdict.code.rank()) else {
        return undecided("Nothing is known of the path.".to_owned());
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
            Self::data_refused,
            Self::not_acknowledged,
            Self::reset_by_mptcp,
            // What is behind here leaves connections their MPTCP.
            Self::join_stripped,
            Self::join_dropped,
            Self::join_refused,
            Self::signal_refused,
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
