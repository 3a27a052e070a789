//! Answers that somebody on the path gives in the place of the target.

use super::sentence::Facts;
use crate::probe::Probe;
use crate::trace::{Blame, Code, Confidence, EndAnswer, Interval, Place, Verdict};

impl Facts<'_> {
    /// A SYN with MP_JOIN is answered with RST or ICMP by somebody before the target, which refuses a
    /// token that it does not know too, but from where it is.
    pub(super) fn join_refused(&self) -> Option<Verdict> {
        let end = self.end(&Probe::Join)?;
        let what = match &end.answer {
            EndAnswer::Reset { .. } => "RST",
            EndAnswer::Error { .. } => "ICMP",
            _ => return None,
        };
        let mut between = self.behind(&Probe::Join);
        let before = self.first_refusal(&Probe::Join);
        if let Some(hop) = before {
            between.until = Place::Hop(hop);
        }
        let control = self.end(&Probe::Syn).and_then(|end| end.ttl);
        let is_elsewhere = end.ttl.is_some() && end.ttl != control;
        // Systems begin with other TTLs in their RSTs, but a server that gives a reason spoke itself.
        let is_unsigned = !matches!(end.answer, EndAnswer::Reset { reason: Some(_) });
        if before.is_none() && !(is_elsewhere && is_unsigned) {
            return None;
        }
        Some(Verdict {
            code: Code::PathBreaksJoin,
            sentence: format!(
                "A SYN with MP_JOIN is answered with {what}, {between}; a plain SYN is not."
            ),
            blame: Blame::Path,
            confidence: if before.is_some() {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: "Connections use MPTCP with one path: further subflows are refused."
                .to_owned(),
        })
    }

    /// SYN/ACKs without a window: a SYN proxy has not asked the target yet what its window is.
    pub(super) fn proxied(&self) -> Option<Verdict> {
        let answers = self.flow.ends.iter().map(|end| &end.answer);
        let mut windows = answers.filter_map(|answer| match answer {
            EndAnswer::SynAck { window, .. } => Some(*window),
            _ => None,
        });
        let first = windows.next()?;
        let distance = self.flow.distance?;
        if first != 0 || windows.any(|window| window != 0) {
            return None;
        }
        let between = Interval {
            after: distance.saturating_sub(1),
            until: Place::Hop(distance),
        };
        Some(Verdict {
            code: Code::ProxyOnPath,
            sentence: format!(
                "A SYN proxy answers in the place of {}, {between}: its SYN/ACKs have no window.",
                self.target
            ),
            blame: Blame::Path,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: "Linux falls back to TCP at once, unless the proxy speaks MPTCP."
                .to_owned(),
        })
    }
}
