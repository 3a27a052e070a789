//! What the target speaks, where nothing is worse.

use super::{Facts, data, undecided};
use crate::probe::Probe;
use crate::trace::{Acked, Blame, Code, Confidence, EndAnswer, EndOption, Located, Verdict};

impl Facts<'_> {
    pub(super) fn spoken(&self) -> Option<Verdict> {
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

    pub(super) fn not_spoken(&self) -> Option<Verdict> {
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

    pub(super) fn speaks_v0(&self) -> bool {
        matches!(
            self.answer(&Probe::CapableV0),
            Some(EndAnswer::SynAck {
                option: EndOption::Capable(0),
                ..
            })
        )
    }

    pub(super) fn not_asked(&self) -> Verdict {
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
