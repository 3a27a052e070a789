//! What came back, in JSON.

use std::net::IpAddr;

use serde::Serialize;

use crate::diff::Change;
use crate::diff::Field;
use crate::evidence::{Answer, AnswerKind, Sent};
use crate::quote::ErrorKind;
use crate::report::word;

/// An answer to a packet.
#[derive(Serialize)]
pub(super) struct AnswerView {
    from: IpAddr,
    ttl: u8,
    rtt_ns: u64,
    #[serde(flatten)]
    kind: KindView,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum KindView {
    Error {
        error: ErrorView,
        quoted_tcp_bytes: usize,
        quotes_all: bool,
        changes: Vec<ChangeView>,
    },
    Segment {
        flags: String,
        seq: u32,
        ack: u32,
        window: u16,
        options_hex: String,
        payload_bytes: usize,
    },
}

/// What an ICMP error says.
#[derive(Serialize)]
pub(super) struct ErrorView {
    kind: &'static str,
    code: Option<u8>,
    mtu: Option<u32>,
    text: String,
}

/// A change.
#[derive(Serialize)]
pub(super) struct ChangeView {
    #[serde(flatten)]
    field: FieldView,
    how: &'static str,
    sent_hex: String,
    seen_hex: String,
    text: String,
}

/// A field: its name, and which TCP option it is.
#[derive(Serialize)]
pub(super) struct FieldView {
    field: &'static str,
    option: Option<OptionView>,
    label: String,
}

#[derive(Serialize)]
struct OptionView {
    kind: u8,
    subtype: Option<u16>,
}

impl AnswerView {
    pub(super) fn new(sent: &Sent, answer: &Answer) -> Self {
        let rtt = answer.at.since(sent.at);
        Self {
            from: answer.from,
            ttl: answer.ttl,
            rtt_ns: nanos(rtt),
            kind: KindView::new(&answer.kind, answer.from),
        }
    }
}

impl KindView {
    fn new(kind: &AnswerKind, from: IpAddr) -> Self {
        match kind {
            AnswerKind::Error {
                kind, comparison, ..
            } => Self::Error {
                error: ErrorView::new(*kind, from),
                quoted_tcp_bytes: comparison.tcp_len,
                quotes_all: comparison.is_whole,
                changes: comparison.changes.iter().map(ChangeView::new).collect(),
            },
            AnswerKind::Segment(segment) => Self::Segment {
                flags: word::flags(segment.flags),
                seq: segment.seq,
                ack: segment.ack,
                window: segment.window,
                options_hex: word::digits(&segment.options),
                payload_bytes: segment.payload_len,
            },
        }
    }
}

impl ErrorView {
    pub(super) fn new(error: ErrorKind, from: IpAddr) -> Self {
        let (kind, code, mtu) = match error {
            ErrorKind::TimeExceeded => ("time_exceeded", None, None),
            ErrorKind::Unreachable(code) => ("unreachable", Some(code), None),
            ErrorKind::TooBig(mtu) => ("too_big", None, Some(mtu)),
        };
        let text = word::error(error, from);
        Self {
            kind,
            code,
            mtu,
            text,
        }
    }
}

impl ChangeView {
    pub(super) fn new(change: &Change) -> Self {
        Self {
            field: FieldView::new(change.field),
            how: word::how(change.how),
            sent_hex: word::digits(&change.sent),
            seen_hex: word::digits(&change.seen),
            text: word::change(change),
        }
    }
}

impl FieldView {
    pub(super) fn new(field: Field) -> Self {
        let option = match field {
            Field::Option(id) => Some(OptionView {
                kind: id.kind,
                subtype: id.subtype,
            }),
            _ => None,
        };
        Self {
            field: word::field(field),
            option,
            label: field.to_string(),
        }
    }
}

pub(super) fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
