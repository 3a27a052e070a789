//! What happens to a packet, as a line.

use serde::Serialize;

use super::answer::AnswerView;
use crate::evidence::{Evidence, SentId};
use crate::report::word;

/// A packet, and its last answer.
#[derive(Serialize)]
pub(super) struct EventLine {
    packet: usize,
    flow: Option<usize>,
    probe: Option<String>,
    role: Option<&'static str>,
    ttl: Option<u8>,
    attempt: Option<u8>,
    answer: Option<AnswerView>,
}

impl EventLine {
    pub(super) fn new(evidence: &Evidence, id: SentId) -> Self {
        let sent = evidence.sent(id);
        let purpose = sent.map(|sent| &sent.purpose);
        let answer = sent.and_then(|sent| Some((sent, sent.answers.last()?)));
        Self {
            packet: id.0,
            flow: purpose.map(|purpose| purpose.flow),
            probe: purpose.map(|purpose| purpose.probe.to_string()),
            role: purpose.map(|purpose| word::role(purpose.role)),
            ttl: purpose.map(|purpose| purpose.ttl),
            attempt: purpose.map(|purpose| purpose.attempt),
            answer: answer.map(|(sent, answer)| AnswerView::new(sent, answer)),
        }
    }
}
