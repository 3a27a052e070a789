//! Answers that somebody on the path gives in the place of the target.

use super::sentence::{Facts, REFUSED};
use crate::probe::Probe;
use crate::trace::{
    Blame, Code, Confidence, EndAnswer, EndOption, Hidden, Interval, Place, Verdict,
};

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
        let before = self.first_refusal(&Probe::Join);
        let between = self.refused_between(&Probe::Join, before);
        let control = self.end(&Probe::Syn).and_then(|end| end.ttl);
        let is_elsewhere = end.ttl.is_some() && end.ttl != control;
        // Systems begin with other TTLs in their RSTs, but a server that gives a reason spoke itself.
        let is_unsigned = !matches!(end.answer, EndAnswer::Reset { reason: Some(_) });
        // A RST from as far away as the target is its own: the TTL became larger on one of several ways, or the
        // RST is for another SYN.
        let is_before = before.is_some() && (what == "ICMP" || is_elsewhere);
        if !is_unsigned || (!is_before && !is_elsewhere) {
            return None;
        }
        Some(Verdict {
            code: Code::PathBreaksJoin,
            sentence: format!(
                "A SYN with MP_JOIN is answered with {what}, {between}; a plain SYN is not."
            ),
            blame: Blame::Path,
            confidence: if is_before {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: self.without_joins("are refused"),
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

    /// The SYN/ACK comes from somebody nearer than who answers for another port.
    pub(super) fn answered_nearer(&self) -> Option<Verdict> {
        let between = self.flow.other?.nearer?;
        let target = self.target;
        let speaks = matches!(
            self.answer(&Probe::CapableV1),
            Some(EndAnswer::SynAck {
                option: EndOption::Capable(_),
                ..
            })
        );
        Some(Verdict {
            code: Code::ProxyOnPath,
            sentence: format!(
                "Somebody answers in the place of {target}, {between}: another port of it is farther away."
            ),
            blame: Blame::Path,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: if speaks {
                "MPTCP is used, as far as the proxy."
            } else {
                "Linux falls back to TCP at once."
            }
            .to_owned(),
        })
    }

    /// The RST comes from somebody nearer than who refuses what is sent to another port.
    pub(super) fn port_closed_on_path(&self) -> Option<Verdict> {
        let between = self.flow.other?.nearer?;
        let target = self.target;
        Some(Verdict {
            code: Code::PathClosesPort,
            sentence: format!(
                "Somebody refuses connections to port {} in the place of {}, {between}: the target itself is farther away.",
                target.port(),
                target.ip()
            ),
            blame: Blame::Path,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: REFUSED.to_owned(),
        })
    }

    /// Hops that do not show, where nothing else is to be said.
    pub(super) fn hops_missing(&self) -> Option<Verdict> {
        let Hidden { between, hops } = self.flow.hidden?;
        let is_fine = matches!(
            self.answer(&Probe::CapableV1),
            Some(EndAnswer::SynAck {
                option: EndOption::Capable(1),
                ..
            })
        );
        if !is_fine || !self.flow.changes.is_empty() {
            return None;
        }
        let plural = if hops == 1 { "hop does" } else { "hops do" };
        Some(Verdict {
            code: Code::HopsMissing,
            sentence: format!(
                "{} speaks MPTCP version 1, but {hops} {plural} not show, {between}: the TTL is set anew there, or the way back is longer.",
                self.target
            ),
            blame: Blame::Unknown,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: "MPTCP is used.".to_owned(),
        })
    }
}
