//! What becomes of SYNs with MPTCP on their way: refused, stripped, dropped, altered.

use super::{Facts, LEAST_SILENT, data, reason};
use crate::diff::{Field, How};
use crate::probe::Probe;
use crate::trace::{
    Acked, Blame, CellState, Code, Confidence, EndAnswer, EndOption, Interval, Located, Place,
    Verdict,
};
use crate::verdict::other::hops_back;

impl Facts<'_> {
    /// A SYN with MPTCP is answered with RST or ICMP, a plain one is not.
    pub(super) fn refused(&self) -> Option<Verdict> {
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
    pub(in crate::verdict) fn refused_between(&self, probe: &Probe, first: Option<u8>) -> Interval {
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

    pub(in crate::verdict) fn first_refusal(&self, probe: &Probe) -> Option<u8> {
        let column = self.flow.probes.iter().position(|known| known == probe)?;
        let refused = self.flow.hops.iter().find(|hop| {
            hop.cells
                .get(column)
                .is_some_and(|cell| matches!(cell.state, CellState::Reached | CellState::Refused))
        });
        refused.map(|hop| hop.ttl)
    }

    pub(super) fn stripped_on_the_way(&self) -> Option<Verdict> {
        let effect = "Linux falls back to TCP at once: the connection works, with one path.";
        self.stripped(&Probe::CapableV1, Code::PathStripsSyn, effect)
    }

    pub(super) fn join_stripped(&self) -> Option<Verdict> {
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
    pub(super) fn first_lost(&self, probe: &Probe) -> Option<&Located> {
        self.flow.changes.iter().find(|located| {
            let is_option = matches!(located.change.field, Field::Option(id) if id.is_mptcp());
            let is_lost = matches!(
                located.change.how,
                How::Removed | How::Nopped | How::Ended | How::Renamed
            );
            is_option && is_lost && located.probes.contains(probe)
        })
    }

    pub(super) fn dropped(&self) -> Option<Verdict> {
        let effect = "Linux sends three SYNs in vain (3 s), falls back to TCP, and then leaves MPTCP off for an hour.";
        self.lost_syns(&Probe::CapableV1, Code::PathDropsCapable, effect)
    }

    pub(super) fn join_dropped(&self) -> Option<Verdict> {
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
    pub(in crate::verdict) fn without_joins(&self, fate: &str) -> String {
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
    pub(super) fn altered_capable(&self) -> Option<Verdict> {
        self.altered_where(|located| located.probes.contains(&Probe::CapableV1))
    }

    pub(super) fn altered(&self) -> Option<Verdict> {
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
}
