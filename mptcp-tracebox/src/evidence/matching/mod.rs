//! Which of the packets that were sent an answer is about.
//!
//! Boxes rewrite what identifies a packet, so there is more than one thing that does: the sequence
//! number, random for each packet and in every quote; the IP id; the timestamp, which grows with each
//! packet. One that agrees is enough; where more than one packet agrees, the last that had no answer yet
//! is meant.

mod index;

use std::time::Duration;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::tcp_option::{TcpOptionValue, TcpOptions};

pub(super) use self::index::Index;
use super::{Purpose, Role, Sent, SentId};
use crate::packet::fields::{Fields, TcpFields};
use crate::probe::Phase;
use crate::quote::{ErrorKind, IcmpError};

/// What was sent, and how it is found.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) sent: &'a [Sent],
    pub(super) index: &'a Index,
}

/// The packet that an ICMP error quotes.
pub(super) fn quoted(known: Known<'_>, at: Instant, error: &IcmpError<'_>) -> Option<SentId> {
    let quote = Fields::parse(error.quote)?;
    let seq = quote.tcp.seq()?;
    let id = quote.ip.id();
    let time = timestamp(quote.tcp);
    let places = known.index.places(error.from);
    let numbers = known.index.quoted(&quote);
    best_of_one_ttl(known.among(&numbers), at, seq, |fields, packet| {
        let Purpose { role, ttl, .. } = packet.purpose;
        let is_of_connection = role != Role::Reset && packet.purpose.probe.phase() == Phase::Data;
        let is_place = places.is_none_or(|places| places.contains(&ttl));
        // Who refuses a packet need not be where its TTL runs out.
        let is_expired = error.kind == ErrorKind::TimeExceeded;
        if is_of_connection && is_expired && !is_place {
            return None;
        }
        if fields.ip.is_v4() != quote.ip.is_v4() || fields.ip.source != error.to {
            return None;
        }
        let has_time = time.is_some() && timestamp(fields.tcp) == time;
        let ours = fields.tcp.seq()?;
        let len = u32::try_from(fields.tcp.payload().len()).unwrap_or(0);
        // A box may have split the segment: what is quoted may be a later part of it.
        let is_part = seq
            .distance_from(ours)
            .is_some_and(|distance| distance < len.max(1));
        let is_later = is_part && seq != ours;
        let part = if is_later {
            part(&quote, seq.distance_from(ours))
        } else {
            Some(0)
        };
        let has_id = has_id(id, fields.ip.id(), part);
        // A box that gives all packets one id hits one of ours now and then; no timestamp is there twice.
        let points = 4 * u8::from(is_part) + 2 * u8::from(has_time) + u8::from(has_id);
        let is_proven = is_part || has_time;
        // The id alone has 16 bits. A box that sets all ids to one value hits one of ours now and then.
        let is_plausible = has_id
            && is_place
            && time.is_none()
            && quote.ip.payload_len == fields.ip.payload_len
            && is_waiting(packet, at);
        (is_proven || is_plausible).then_some(points)
    })
}

impl<'a> Known<'a> {
    /// The packets with these numbers.
    fn among(self, numbers: &[usize]) -> impl Iterator<Item = (usize, &'a Sent)> {
        let sent = |&number| Some((number, self.sent.get(number)?));
        numbers.iter().filter_map(sent)
    }
}

/// Which part of a segment a quote shows, if all before it are as long. None where that is not quoted.
fn part(quote: &Fields<'_>, offset: Option<u32>) -> Option<u16> {
    let len = quote.ip.payload_len.checked_sub(quote.tcp.header_len()?)?;
    let len = u32::try_from(len).ok()?;
    let parts = offset?.checked_div(len)?;
    u16::try_from(parts).ok()
}

/// Whether an IP id is that of a packet, in either order of bytes; or that of a later part of it, which has
/// the next ones.
fn has_id(quoted: Option<u16>, ours: Option<u16>, part: Option<u16>) -> bool {
    let (Some(quoted), Some(ours)) = (quoted, ours) else {
        return false;
    };
    let is_swapped = part == Some(0) && quoted.swap_bytes() == ours;
    quoted == ours || is_swapped || part == Some(quoted.wrapping_sub(ours))
}

/// Whether an answer is likely to be under way.
fn is_waiting(packet: &Sent, at: Instant) -> bool {
    packet.answers.is_empty() && at.since(packet.at) < LONG
}

/// The packet that a segment answers.
pub(super) fn answered(known: Known<'_>, at: Instant, answer: &Fields<'_>) -> Option<SentId> {
    let ends = answer.ends()?;
    let flags = answer.tcp.flags()?;
    let ack = answer.tcp.ack()?;
    let echo = echo(answer.tcp);
    let numbers = known.index.answered(answer, |number| {
        let sent = known.sent.get(number).filter(|sent| sent.at <= at)?;
        Some(is_open(sent))
    });
    best(known.among(&numbers), at, |fields, packet| {
        let (source, destination) = fields.ends()?;
        if ends != (destination, source) {
            return None;
        }
        let is_syn = fields.tcp.flags()?.syn();
        let len = u32::try_from(fields.tcp.payload().len()).unwrap_or(0);
        let taken = len + u32::from(is_syn);
        let is_acked = flags.ack() && ack == fields.tcp.seq()?.add(taken);
        // The RST for an ACK without a connection has its number (RFC 9293 §3.10.7.1).
        let is_taken_over =
            flags.rst() && !flags.ack() && answer.tcp.seq() == fields.tcp.ack() && !is_syn;
        let is_echoed = echo.is_some() && timestamp(fields.tcp) == echo;
        // Once a segment was sent in full, its acknowledgements are no answers to the copies before.
        let is_meant = is_acked && packet.purpose.role == Role::Connection;
        Some(
            1 + 8 * u8::from(is_meant)
                + 4 * u8::from(is_acked || is_taken_over)
                + 2 * u8::from(is_echoed),
        )
    })
}

/// The packet with the most points; among equals one without an answer, then the latest.
fn best<'a>(
    sent: impl Iterator<Item = (usize, &'a Sent)>,
    at: Instant,
    points: impl Fn(&Fields<'_>, &Sent) -> Option<u8>,
) -> Option<SentId> {
    candidates(sent, at, points)
        .max_by_key(|((points, _, number), packet)| (*points, is_open(packet), *number))
        .map(|((_, _, number), _)| SentId(number))
}

/// Whether an answer to a packet may come. Copies of data have one number: whoever acknowledges it has the last of
/// them, not one before that a router has not answered.
fn is_open(packet: &Sent) -> bool {
    packet.purpose.probe.phase() == Phase::Data || packet.answers.is_empty()
}

/// The same, but none if others are as likely that were sent with another TTL: copies of a segment cannot be
/// told apart by a short quote, and a guess would put a change at the wrong hop.
fn best_of_one_ttl<'a>(
    sent: impl Iterator<Item = (usize, &'a Sent)>,
    at: Instant,
    seq: TcpSeq,
    points: impl Fn(&Fields<'_>, &Sent) -> Option<u8>,
) -> Option<SentId> {
    let all: Vec<_> = candidates(sent, at, points).collect();
    let ((points, is_open, number), best) = *all.iter().max_by_key(|(key, _)| *key)?;
    // The first part of a segment may have had its answer, the second not.
    let ours = Fields::parse(&best.bytes)?.tcp.seq()?;
    let mut alike = all
        .iter()
        .filter(|((other, open, _), _)| *other == points && (*open == is_open || ours != seq));
    alike
        .all(|(_, other)| other.purpose.ttl == best.purpose.ttl)
        .then_some(SentId(number))
}

/// Points, whether it has no answer, number.
type Key = (u8, bool, usize);

/// Packets with points.
fn candidates<'a>(
    sent: impl Iterator<Item = (usize, &'a Sent)>,
    at: Instant,
    points: impl Fn(&Fields<'_>, &Sent) -> Option<u8>,
) -> impl Iterator<Item = (Key, &'a Sent)> {
    sent.filter_map(move |(number, sent)| {
        let is_asked = sent.purpose.role != Role::Reset && sent.at <= at;
        let fields = is_asked.then(|| Fields::parse(&sent.bytes)).flatten()?;
        let points = points(&fields, sent)?;
        Some(((points, sent.answers.is_empty(), number), sent))
    })
}

/// Timestamp value of a segment.
fn timestamp(tcp: TcpFields<'_>) -> Option<u32> {
    timestamps(tcp).map(|(value, _)| value)
}

/// Timestamp that a segment echoes; none if it is zero.
fn echo(tcp: TcpFields<'_>) -> Option<u32> {
    timestamps(tcp)
        .map(|(_, echo)| echo)
        .filter(|&echo| echo != 0)
}

fn timestamps(tcp: TcpFields<'_>) -> Option<(u32, u32)> {
    let mut options = TcpOptions::new(tcp.options()).map_while(Result::ok);
    options.find_map(|option| match option.value() {
        TcpOptionValue::Timestamps { value, echo } => Some((value, echo)),
        _ => None,
    })
}

/// Answers rarely take longer.
const LONG: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests;
