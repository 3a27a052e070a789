//! SYNs with other options than MP_CAPABLE of version 1 that are refused, or never answered.

use super::{Facts, LEAST_SILENT, reason, undecided};
use crate::probe::Probe;
use crate::trace::{Blame, Code, Confidence, End, EndAnswer, Place, Verdict};

impl Facts<'_> {
    /// An option is answered with RST or ICMP, a plain SYN is not.
    pub(super) fn option_refused(&self) -> Option<Verdict> {
        let mut ends = self.flow.ends.iter().filter(|end| is_meant(&end.probe));
        ends.find_map(|end| self.refusal_of(end))
    }

    fn refusal_of(&self, end: &End) -> Option<Verdict> {
        let (what, from) = match &end.answer {
            EndAnswer::Reset { .. } => ("RST".to_owned(), None),
            EndAnswer::Error { from, kind } => {
                (format!("ICMP: {}", reason(*kind, self.target)), Some(*from))
            }
            _ => return None,
        };
        let first = self.first_refusal(&end.probe);
        let between = self.refused_between(&end.probe, first);
        let control = self.end(&Probe::Syn).and_then(|end| end.ttl);
        let is_seen = first.is_some() || from.is_some_and(|from| from != self.target.ip());
        Some(Verdict {
            code: Code::PathRejectsOption,
            sentence: format!(
                "SYNs with {} are refused ({what}), {between}; plain SYNs pass.",
                name(&end.probe)
            ),
            blame: if is_seen || end.ttl != control {
                Blame::Path
            } else {
                Blame::Unknown
            },
            confidence: if is_seen {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: EFFECT.to_owned(),
        })
    }

    /// An option is not answered, however often it is sent; plain SYNs in between are.
    pub(super) fn option_dropped(&self) -> Option<Verdict> {
        let mut ends = self.flow.ends.iter().filter(|end| is_meant(&end.probe));
        ends.find_map(|end| self.silence_about(end))
    }

    fn silence_about(&self, end: &End) -> Option<Verdict> {
        if !self.is_silent(end, LEAST_SILENT) {
            return None;
        }
        let is_lossy = |control: &End| control.answered < control.sent;
        if self.end(&Probe::Syn).is_some_and(is_lossy) && end.sent < SURE {
            return Some(undecided(format!(
                "SYNs with {} were not answered, but neither were some plain ones: ask again.",
                name(&end.probe)
            )));
        }
        let between = self.narrowed(&end.probe);
        let is_before_target = between.until != Place::Target;
        // A host drops what is signed and should not be (Linux does, RFC 5925 §7.3).
        if is_signed(&end.probe) && !is_before_target {
            return None;
        }
        Some(Verdict {
            code: Code::PathDropsOption,
            sentence: format!(
                "SYNs with {} are not answered, {between}; plain SYNs are.",
                name(&end.probe)
            ),
            blame: if is_before_target {
                Blame::Path
            } else {
                Blame::Unknown
            },
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: EFFECT.to_owned(),
        })
    }

    /// Whether a probe was sent so often in vain, and plain SYNs in between were not.
    pub(super) fn is_silent(&self, end: &End, tries: u32) -> bool {
        let is_lost = end.answer == EndAnswer::Silent && end.sent >= tries;
        // Where plain SYNs are often in vain, silence says nothing.
        let control = self.end(&Probe::Syn);
        is_lost && control.is_some_and(|control| control.answered * 3 >= control.sent * 2)
    }
}

/// MP_CAPABLE of version 1 and MP_JOIN have verdicts of their own.
const fn is_meant(probe: &Probe) -> bool {
    matches!(probe, Probe::CapableV0 | Probe::Ecn | Probe::Options(_))
}

/// MD5 (RFC 2385) or TCP-AO (RFC 5925).
fn is_signed(probe: &Probe) -> bool {
    matches!(probe, Probe::Options(bytes) if matches!(bytes.first(), Some(19 | 29)))
}

fn name(probe: &Probe) -> String {
    match probe {
        Probe::CapableV0 => "MP_CAPABLE of version 0".to_owned(),
        Probe::Ecn => "ECE and CWR, which ask for ECN,".to_owned(),
        other => format!("the option {other}"),
    }
}

/// Tries in vain that say something though some plain SYNs were lost.
const SURE: u32 = 5;
const EFFECT: &str = "Connections that begin without that are not concerned.";
