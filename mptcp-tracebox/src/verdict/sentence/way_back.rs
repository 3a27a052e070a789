//! MP_CAPABLE that does not come back, and where nobody quotes what was lost.

use super::Facts;
use crate::probe::Probe;
use crate::trace::{Blame, Code, Confidence, EndAnswer, EndOption, Interval, Verdict};

impl Facts<'_> {
    /// What is to be said of a SYN/ACK without an MP_CAPABLE of the target's own.
    pub(super) fn stripped_on_the_way_back(&self) -> Option<Verdict> {
        let EndAnswer::SynAck { option, .. } = self.answer(&Probe::CapableV1)? else {
            return None;
        };
        match option {
            EndOption::Mirrored => Some(self.mirrored()),
            EndOption::Erased(len) if *len >= CAPABLE_LEN => Some(self.erased(*len)),
            EndOption::Erased(len) => Some(erased_copy(*len)),
            EndOption::Absent if self.is_join_understood() && !self.speaks_v0() => {
                Some(self.lost())
            }
            _ => None,
        }
    }

    /// Whether a reason came with the RST for MP_JOIN: only who speaks MPTCP gives one (RFC 8684 §3.6).
    fn is_join_understood(&self) -> bool {
        let answer = self.answer(&Probe::Join);
        matches!(answer, Some(EndAnswer::Reset { reason: Some(_) }))
    }

    fn mirrored(&self) -> Verdict {
        let target = self.target;
        let (sentence, blame, between) = if self.is_join_understood() {
            let sentence = format!(
                "{target} speaks MPTCP, as its answer to MP_JOIN shows, but a box on the way back puts the option of the SYN in the place of its own."
            );
            (sentence, Blame::Path, Some(Interval::WHOLE_PATH))
        } else {
            let sentence = format!(
                "{target} repeats the option of the SYN: it, or a box before it, copies options that it does not know."
            );
            (sentence, Blame::Server, None)
        };
        Verdict {
            code: Code::Mirror,
            sentence,
            blame,
            confidence: if between.is_some() {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between,
            kernel_effect: "Linux takes the answer for plain TCP.".to_owned(),
        }
    }

    fn erased(&self, len: usize) -> Verdict {
        Verdict {
            code: Code::PathStripsSynAck,
            sentence: format!(
                "{} speaks MPTCP, but its MP_CAPABLE is erased on the way back: the SYN/ACK has {len} fillers in its place.",
                self.target
            ),
            blame: Blame::Path,
            confidence: Confidence::Likely,
            between: Some(Interval::WHOLE_PATH),
            kernel_effect: "Linux falls back to TCP at once; the server does too.".to_owned(),
        }
    }

    /// The SYN lost its option behind the last router that quotes it, or the SYN/ACK did, anywhere.
    fn lost(&self) -> Verdict {
        let seen = match self.last_seen(&Probe::CapableV1) {
            0 => String::new(),
            hop => format!(" behind hop {hop}"),
        };
        Verdict {
            code: Code::PathStripsCapable,
            sentence: format!(
                "{} speaks MPTCP, as its answer to MP_JOIN shows, but MP_CAPABLE is lost: on its way there{seen}, or on the way back.",
                self.target
            ),
            blame: Blame::Path,
            confidence: Confidence::Proven,
            between: Some(Interval::WHOLE_PATH),
            kernel_effect: "Linux falls back to TCP at once.".to_owned(),
        }
    }
}

/// The target, or a box that acts like it, copied the option, and another one erased the copy.
fn erased_copy(len: usize) -> Verdict {
    Verdict {
        code: Code::Mirror,
        sentence: format!(
            "The SYN/ACK has {len} fillers where the option of the SYN would be: a copy of it that a box erased. Whether the target speaks MPTCP is not known."
        ),
        blame: Blame::Path,
        confidence: Confidence::Likely,
        between: Some(Interval::WHOLE_PATH),
        kernel_effect: "Linux falls back to TCP at once.".to_owned(),
    }
}

/// Length of a server's MP_CAPABLE.
const CAPABLE_LEN: usize = 12;
