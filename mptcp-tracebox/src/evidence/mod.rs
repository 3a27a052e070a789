//! Everything that was sent, and what came back for it: all that a verdict may be built on.
//!
//! The engine fills it while a run is under way, and a file of a run fills it again: the same evidence
//! gives the same verdict.

mod matching;

use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;
use std::net::{IpAddr, SocketAddr};

use self::matching::{Index, Known};
use crate::diff::{Comparison, Field, compare};
use crate::packet::fields::Fields;
use crate::probe::Probe;
use crate::quote::extension::Object;
use crate::quote::{ErrorKind, IcmpError};

/// What was sent, and what came back.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    sent: Vec<Sent>,
    index: Index,
    strays: u64,
    missed: u64,
    is_cut: bool,
}

/// Number of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentId(pub usize);

/// Why a packet was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purpose {
    /// Number of the flow.
    pub flow: usize,
    /// What is asked.
    pub probe: Probe,
    /// What the packet is for.
    pub role: Role,
    /// TTL or hop limit.
    pub ttl: u8,
    /// How often it was tried before.
    pub attempt: u8,
}

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It is to run out of TTL.
    Ladder,
    /// It is to reach the target.
    End,
    /// It belongs to the connection that carries the probes of the established phase.
    Connection,
    /// It ends what was begun.
    Reset,
}

/// A packet that was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Why.
    pub purpose: Purpose,
    /// When.
    pub at: Instant,
    /// The whole packet.
    pub bytes: Vec<u8>,
    /// What came back, in the order in which it came.
    pub answers: Vec<Answer>,
}

/// Something that came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// When.
    pub at: Instant,
    /// Who sent it.
    pub from: IpAddr,
    /// TTL or hop limit with which it arrived.
    pub ttl: u8,
    /// What it is.
    pub kind: AnswerKind,
}

/// What came back.
#[derive(Debug, Clone)]
pub enum AnswerKind {
    /// An ICMP error.
    Error {
        /// What it says.
        kind: ErrorKind,
        /// The quote against what was sent.
        comparison: Comparison,
        /// The quote itself.
        quote: Vec<u8>,
        /// What follows the quote.
        extension: Vec<Object>,
    },
    /// A TCP segment of the target.
    Segment(SegmentAnswer),
}

/// A TCP segment of the target, as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentAnswer {
    /// Control bits.
    pub flags: Flags,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Window.
    pub window: u16,
    /// TOS byte or traffic class.
    pub tos: u8,
    /// Option area.
    pub options: Vec<u8>,
    /// Bytes of payload.
    pub payload_len: usize,
}

impl Evidence {
    /// A packet is sent.
    pub fn note_sent(&mut self, at: Instant, purpose: Purpose, bytes: Vec<u8>) -> Option<SentId> {
        if self.sent.len() >= MAX_SENT {
            self.missed += 1;
            return None;
        }
        let number = self.sent.len();
        let sent = Sent {
            purpose,
            at,
            bytes,
            answers: Vec::new(),
        };
        self.index.note_sent(number, &sent);
        self.sent.push(sent);
        Some(SentId(number))
    }

    /// A packet came. Says for which of those that were sent it is an answer; none if for none.
    pub fn note_received(&mut self, at: Instant, packet: &[u8]) -> Option<SentId> {
        let found = self.recognize(at, packet);
        if found.is_none() {
            self.strays += 1;
        }
        let (id, answer) = found?;
        self.note_answer(id, answer);
        Some(id)
    }

    /// An answer that somebody else recognized: the kernel, where there is no packet to look at.
    pub(crate) fn note_answer(&mut self, id: SentId, answer: Answer) {
        if let Some(sent) = self.sent.get_mut(id.0)
            && sent.answers.len() < MAX_ANSWERS
        {
            if answer.expired().is_some() {
                self.index.note_expired(sent, answer.from);
            }
            sent.answers.push(answer);
        } else {
            self.missed += 1;
        }
    }

    fn recognize(&self, at: Instant, packet: &[u8]) -> Option<(SentId, Answer)> {
        let known = Known {
            sent: &self.sent,
            index: &self.index,
        };
        if let Some(error) = IcmpError::parse(packet) {
            let id = matching::quoted(known, at, &error)?;
            let mut comparison = compare(&self.sent.get(id.0)?.bytes, error.quote)?;
            if error.kind != ErrorKind::TimeExceeded {
                // Only what runs out must have nothing left.
                comparison.forget(Field::Ttl);
            }
            if has_met_congestion(&self.sent.get(id.0)?.bytes, error.quote) {
                // A router may say so of what is ECT (RFC 3168 §5).
                comparison.forget(Field::Ecn);
            }
            let kind = AnswerKind::Error {
                kind: error.kind,
                comparison,
                quote: error.quote.to_vec(),
                extension: error.extension,
            };
            let (from, ttl) = (error.from, error.ttl);
            return Some((
                id,
                Answer {
                    at,
                    from,
                    ttl,
                    kind,
                },
            ));
        }
        let fields = Fields::parse(packet)?;
        let id = matching::answered(known, at, &fields)?;
        let segment = SegmentAnswer {
            flags: fields.tcp.flags()?,
            seq: fields.tcp.seq()?.0,
            ack: fields.tcp.ack()?.0,
            window: fields.tcp.window()?,
            tos: fields.ip.tos,
            options: fields.tcp.options().to_vec(),
            payload_len: fields.tcp.payload().len(),
        };
        let (from, ttl) = (fields.ip.source, fields.ip.ttl);
        let kind = AnswerKind::Segment(segment);
        Some((
            id,
            Answer {
                at,
                from,
                ttl,
                kind,
            },
        ))
    }

    /// The run ended before all was asked.
    pub const fn note_cut(&mut self) {
        self.is_cut = true;
    }

    /// Whether the run ended before all was asked.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// A packet that was sent.
    pub fn sent(&self, id: SentId) -> Option<&Sent> {
        self.sent.get(id.0)
    }

    /// All packets that were sent.
    pub fn all(&self) -> &[Sent] {
        &self.sent
    }

    /// Packets that came and belong to nothing that was sent.
    pub const fn strays(&self) -> u64 {
        self.strays
    }

    /// Packets that were not kept, because there were too many.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

impl Sent {
    /// Ends of the packet.
    pub fn ends(&self) -> Option<(SocketAddr, SocketAddr)> {
        Fields::parse(&self.bytes)?.ends()
    }
}

impl Answer {
    /// The segment, if it is one.
    pub const fn segment(&self) -> Option<&SegmentAnswer> {
        match &self.kind {
            AnswerKind::Segment(segment) => Some(segment),
            AnswerKind::Error { .. } => None,
        }
    }

    /// The comparison, if it is an error that tells that the TTL ran out.
    pub fn expired(&self) -> Option<&Comparison> {
        match &self.kind {
            AnswerKind::Error {
                kind: ErrorKind::TimeExceeded,
                comparison,
                ..
            } => Some(comparison),
            _ => None,
        }
    }
}

/// Whether a packet was sent as ECT and is CE now.
fn has_met_congestion(sent: &[u8], quote: &[u8]) -> bool {
    let ecn = |packet| Fields::parse(packet).map(|fields| fields.ip.tos & CE);
    ecn(quote) == Some(CE) && ecn(sent).is_some_and(|ecn| ecn != 0)
}

/// The ECN bits of a packet that has met congestion (RFC 3168 §5).
const CE: u8 = 3;
/// Packets that are kept.
const MAX_SENT: usize = 65_536;
/// Answers that are kept for each of them.
const MAX_ANSWERS: usize = 8;
