//! What the probes of the established phase say.

use mptcp_proto::wire::mptcp::ResetReason;

use super::Facts;
use crate::diff::Field;
use crate::probe::{Phase, Probe};
use crate::trace::{Acked, Blame, Code, Confidence, EndAnswer, Interval, Located, Verdict};

impl Facts<'_> {
    /// What MPTCP says in an established connection does not arrive.
    pub(super) fn stripped_from_data(&self) -> Option<Verdict> {
        let probes = [Probe::Dss, Probe::AddAddr, Probe::Prio, Probe::FastClose];
        let lost = probes
            .iter()
            .find_map(|probe| Some((probe, self.first_lost(probe)?)));
        let (probe, located) = lost?;
        let Located {
            change, between, ..
        } = located;
        let kernel_effect = match probe {
            Probe::AddAddr => {
                "A packet that has ADD_ADDR alone arrives as one of TCP: Linux falls back."
            }
            Probe::Prio => "The peer does not hear that a subflow is a backup.",
            Probe::FastClose => "The peer waits for a timer after an abort.",
            _ => FALLS_BACK,
        };
        Some(Verdict {
            code: Code::PathStripsData,
            sentence: format!(
                "{} is {}, {between}, once a connection is established.",
                change.field, change.how
            ),
            blame: Blame::Path,
            confidence: Confidence::Proven,
            between: Some(*between),
            kernel_effect: kernel_effect.to_owned(),
        })
    }

    /// Data are acknowledged by TCP alone, and nobody quotes why.
    pub(super) fn not_acknowledged(&self) -> Option<Verdict> {
        let talk = self.flow.talk?;
        // Who splits or joins segments is known to be why.
        if self.first_resegmenting().is_some() {
            return None;
        }
        // The target may take a second connection for the first, and then falls back for a reason of its own.
        let is_first = talk.is_mptcp && talk.attempt == 0;
        let is_lost = is_first && talk.acked == Acked::ByTcp && !talk.failed;
        let between = Interval::WHOLE_PATH;
        is_lost.then(|| Verdict {
            code: Code::PathStripsData,
            sentence: format!(
                "{} acknowledges data as TCP, not as MPTCP: it has fallen back, or options of data are lost, {between}.",
                self.target
            ),
            blame: Blame::Unknown,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: FALLS_BACK.to_owned(),
        })
    }

    /// The target ends the connection because MPTCP does not hold, and says so.
    pub(super) fn reset_by_mptcp(&self) -> Option<Verdict> {
        let talk = self.flow.talk?;
        let is_meant = talk.reset_reason == Some(ResetReason::MPTCP_SPECIFIC.0) && !talk.failed;
        let between = Interval::WHOLE_PATH;
        (is_meant && self.first_resegmenting().is_none()).then(|| Verdict {
            code: Code::PathStripsData,
            sentence: format!(
                "{} resets the connection when data come, for a reason of MPTCP: options of data are lost, or altered, {between}.",
                self.target
            ),
            blame: Blame::Unknown,
            confidence: Confidence::Likely,
            between: Some(between),
            kernel_effect: "Linux gets a reset in mid-stream.".to_owned(),
        })
    }

    /// For a sentence about something else.
    pub(super) fn vain(&self) -> &'static str {
        match self.flow.talk {
            Some(talk) if talk.acked == Acked::Never => {
                " No data of a connection are acknowledged."
            }
            _ => "",
        }
    }

    /// A connection came to stand, and nothing that was sent over it was acknowledged, for no reason that
    /// shows.
    pub(super) fn never_acknowledged(&self) -> Option<Verdict> {
        let talk = self.flow.talk?;
        let is_vain = match talk.acked {
            Acked::Never => true,
            Acked::ByTcp => talk.attempt > 0,
            Acked::ByMptcp => false,
        };
        let is_lost = is_vain && self.flow.changes.is_empty();
        let reset = talk.reset_between.filter(|_| !self.flow.is_balanced);
        // Copies with small TTLs went out just before, and tell where they end.
        let vanished = self.vanished(&Probe::Dss);
        let located = vanished.filter(|it| !talk.was_reset && it.is_located());
        let (what, between) = match (reset, located) {
            (Some(between), _) => ("somebody before it resets the connection instead", between),
            (None, Some(vanished)) => ("they are lost", vanished.between),
            _ if talk.was_reset => ("it resets the connection instead", Interval::WHOLE_PATH),
            _ => (
                "they, or what acknowledges them, are lost",
                Interval::WHOLE_PATH,
            ),
        };
        is_lost.then(|| Verdict {
            code: Code::Undecided,
            sentence: format!(
                "{} answers with MPTCP version 1, but acknowledges no data of a connection with it: {what}, {between}.",
                self.target,
            ),
            blame: Blame::Unknown,
            confidence: Confidence::Unknown,
            between: Some(between),
            kernel_effect: HANGS.to_owned(),
        })
    }

    /// Where segments of a connection are split or joined first.
    pub(super) fn first_resegmenting(&self) -> Option<&Located> {
        let mut changes = self.flow.changes.iter();
        changes.find(|located| {
            let mut probes = located.probes.iter();
            located.change.field == Field::Length
                && probes.all(|probe| probe.phase() == Phase::Data)
        })
    }

    /// A canary arrives as something else, or the target says that a checksum does not hold.
    pub(super) fn payload_modified(&self) -> Option<Verdict> {
        let mut changes = self.flow.changes.iter();
        let located = changes.find(|located| located.change.field == Field::Payload);
        let failed = self.flow.talk.is_some_and(|talk| talk.failed);
        let between = match located {
            Some(located) => located.between,
            None if failed => Interval::WHOLE_PATH,
            None => return None,
        };
        Some(Verdict {
            code: Code::PayloadModified,
            sentence: if located.is_some() {
                format!("The payload is rewritten, {between}: checksums of MPTCP do not hold.")
            } else {
                format!("The payload, or what MPTCP says of it, is rewritten, {between}: the target says that a checksum does not hold.")
            },
            blame: Blame::Path,
            confidence: if located.is_some() { Confidence::Proven } else { Confidence::Likely },
            between: Some(between),
            kernel_effect: "With checksums Linux falls back to TCP or resets the subflow; without, it does not notice."
                .to_owned(),
        })
    }

    /// Copies of data that had too small a TTL to arrive are acknowledged.
    pub(super) fn acknowledged_early(&self) -> Option<Verdict> {
        let end = self
            .end(&Probe::Dss)
            .filter(|end| end.answer == EndAnswer::Ack)
            // On another way they may arrive.
            .filter(|_| !self.flow.is_balanced)?;
        let between = self.flow.talk?.acked_between?;
        Some(Verdict {
            code: Code::ProactiveAck,
            sentence: format!(
                "Somebody on the way acknowledges data before {} can have them ({} times), {between}.",
                self.target, end.answered
            ),
            blame: Blame::Path,
            confidence: if end.answered > 1 {
                Confidence::Proven
            } else {
                Confidence::Likely
            },
            between: Some(between),
            kernel_effect: "Linux falls back to TCP: the acknowledgements have no DATA_ACK."
                .to_owned(),
        })
    }
}

/// What becomes of a connection whose data do not arrive.
pub(super) const HANGS: &str = "A connection comes to stand and then hangs.";
const FALLS_BACK: &str = "Linux falls back to TCP when the first data lack their option.";
