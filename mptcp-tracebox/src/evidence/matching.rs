//! Which of the packets that were sent an answer is about.
//!
//! Boxes rewrite what identifies a packet, so there is more than one thing that does: the sequence
//! number, random for each packet and in every quote; the IP id; the timestamp, which grows with each
//! packet. One that agrees is enough; where more than one packet agrees, the last that had no answer yet
//! is meant.

use std::time::Duration;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::tcp_option::{TcpOptionValue, TcpOptions};

use super::{Role, Sent, SentId};
use crate::packet::fields::{Fields, TcpFields};
use crate::quote::IcmpError;

/// The packet that an ICMP error quotes.
pub(super) fn quoted(sent: &[Sent], at: Instant, error: &IcmpError<'_>) -> Option<SentId> {
    let quote = Fields::parse(error.quote)?;
    let seq = quote.tcp.seq()?;
    let id = quote.ip.id();
    let time = timestamp(quote.tcp);
    best_of_one_ttl(sent, at, seq, |fields, packet| {
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
        let has_id = has_id(id, fields.ip.id(), is_later);
        let points = 4 * u8::from(is_part) + 2 * u8::from(has_id) + u8::from(has_time);
        let is_proven = is_part || has_time;
        // The id alone has 16 bits. A box that sets all ids to one value hits one of ours now and then.
        let is_plausible = has_id && time.is_none() && is_waiting(packet, at);
        (is_proven || is_plausible).then_some(points)
    })
}

/// Whether an IP id is that of a packet, in either order of bytes, or the next ones of a later part of it.
fn has_id(quoted: Option<u16>, ours: Option<u16>, is_later: bool) -> bool {
    let (Some(quoted), Some(ours)) = (quoted, ours) else {
        return false;
    };
    let is_same = quoted == ours || quoted.swap_bytes() == ours;
    is_same || (is_later && quoted.wrapping_sub(ours) < MAX_PARTS)
}

/// Whether an answer is likely to be under way.
fn is_waiting(packet: &Sent, at: Instant) -> bool {
    packet.answers.is_empty() && at.since(packet.at) < LONG
}

/// The packet that a segment answers.
pub(super) fn answered(sent: &[Sent], at: Instant, answer: &Fields<'_>) -> Option<SentId> {
    let ends = answer.ends()?;
    let flags = answer.tcp.flags()?;
    let ack = answer.tcp.ack()?;
    let echo = echo(answer.tcp);
    best(sent, at, |fields, packet| {
        let (source, destination) = fields.ends()?;
        if ends != (destination, source) {
            return None;
        }
        let taken = u32::try_from(fields.tcp.payload().len()).unwrap_or(0)
            + u32::from(fields.tcp.flags()?.syn());
        let is_acked = flags.ack() && ack == fields.tcp.seq()?.add(taken);
        let is_echoed = echo.is_some() && timestamp(fields.tcp) == echo;
        // Once a segment was sent in full, its acknowledgements are no answers to the copies before.
        let is_meant = is_acked && packet.purpose.role == Role::Connection;
        Some(1 + 8 * u8::from(is_meant) + 4 * u8::from(is_acked) + 2 * u8::from(is_echoed))
    })
}

/// The packet with the most points; among equals one without an answer, then the latest.
fn best(
    sent: &[Sent],
    at: Instant,
    points: impl Fn(&Fields<'_>, &Sent) -> Option<u8>,
) -> Option<SentId> {
    candidates(sent, at, points)
        .max_by_key(|(key, _)| *key)
        .map(|((_, _, number), _)| SentId(number))
}

/// The same, but none if others are as likely that were sent with another TTL: copies of a segment cannot be
/// told apart by a short quote, and a guess would put a change at the wrong hop.
fn best_of_one_ttl(
    sent: &[Sent],
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
fn candidates(
    sent: &[Sent],
    at: Instant,
    points: impl Fn(&Fields<'_>, &Sent) -> Option<u8>,
) -> impl Iterator<Item = (Key, &Sent)> {
    sent.iter().enumerate().filter_map(move |(number, sent)| {
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

/// IP ids that parts of a segment may have: the one of the whole, and the next ones.
const MAX_PARTS: u16 = 16;
/// Answers rarely take longer.
const LONG: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use mptcp_proto::wire::segment::Flags;

    use super::*;
    use crate::evidence::Purpose;
    use crate::packet::tests::sample;
    use crate::probe::Probe;
    use crate::quote::ErrorKind;

    /// Packets of one flow with these TTLs, one each millisecond; `seq` as given.
    fn sent(packets: &[(u8, u32)]) -> Vec<Sent> {
        let numbered = packets.iter().enumerate();
        let made = numbered.map(|(number, &(ttl, seq))| {
            let small = u16::try_from(number).unwrap();
            let mut packet = sample("10.0.0.1:9", "10.0.0.2:80");
            packet.ttl = ttl;
            packet.seq.0 = seq;
            packet.ip_id = 0x0100 + small;
            packet.options = vec![8, 10, 0, 0, 0, number as u8 + 1, 0, 0, 0, 0, 0, 0];
            Sent {
                purpose: Purpose {
                    flow: 0,
                    probe: Probe::Syn,
                    role: Role::Ladder,
                    ttl,
                    attempt: 0,
                },
                at: Instant::from_millis(number as u64),
                bytes: packet.emit().unwrap(),
                answers: Vec::new(),
            }
        });
        made.collect()
    }

    /// The packet that a quote of so many bytes of TCP is about, after these bytes were changed.
    fn matched(sent: &[Sent], quoted: usize, tcp: usize, edits: &[(usize, u8)]) -> Option<usize> {
        let mut quote = sent[quoted].bytes[..20 + tcp].to_vec();
        for &(at, byte) in edits {
            quote[at] = byte;
        }
        let error = IcmpError {
            from: "10.0.9.9".parse().unwrap(),
            to: "10.0.0.1".parse().unwrap(),
            ttl: 60,
            kind: ErrorKind::TimeExceeded,
            quote: &quote,
            extension: Vec::new(),
        };
        super::quoted(sent, Instant::from_millis(100), &error).map(|id| id.0)
    }

    /// Another sequence number.
    const SEQ: (usize, u8) = (24, 0xee);
    /// Another IP id.
    const ID: (usize, u8) = (4, 0xee);

    #[test]
    fn sequence_number_id_or_timestamp_is_enough() {
        let sent = sent(&[(1, 100), (2, 200), (3, 300)]);
        for at in 0..3 {
            assert_eq!(matched(&sent, at, 8, &[]), Some(at));
            assert_eq!(matched(&sent, at, 8, &[ID]), Some(at));
            assert_eq!(matched(&sent, at, 8, &[SEQ]), Some(at));
            assert_eq!(matched(&sent, at, 32, &[SEQ, ID]), Some(at));
            assert_eq!(matched(&sent, at, 8, &[SEQ, ID]), None);
        }
    }

    #[test]
    fn an_id_in_the_order_of_the_router_is_the_same_id() {
        let sent = sent(&[(1, 100), (2, 200), (3, 300)]);
        assert_eq!(matched(&sent, 2, 8, &[(4, 0x02), (5, 0x01), SEQ]), Some(2));
    }

    #[test]
    fn an_id_alone_proves_nothing_against_a_timestamp_or_after_an_answer() {
        let mut sent = sent(&[(1, 100), (2, 200)]);
        // The id of the first packet, the timestamp of no packet.
        assert_eq!(matched(&sent, 0, 32, &[SEQ, (20 + 20 + 5, 0xee)]), None);
        let answer = crate::evidence::Answer {
            at: Instant::from_millis(9),
            from: "10.0.9.9".parse().unwrap(),
            ttl: 60,
            kind: crate::evidence::AnswerKind::Segment(crate::evidence::SegmentAnswer {
                flags: Flags::ACK,
                seq: 0,
                ack: 0,
                window: 0,
                tos: 0,
                options: Vec::new(),
                payload_len: 0,
            }),
        };
        sent[0].answers.push(answer);
        assert_eq!(matched(&sent, 0, 8, &[SEQ]), None);
        assert_eq!(matched(&sent, 0, 8, &[]), Some(0));
    }

    #[test]
    fn copies_with_other_ttls_are_not_guessed_at() {
        let sent = sent(&[(1, 7), (2, 7)]);
        assert_eq!(matched(&sent, 1, 8, &[]), Some(1));
        assert_eq!(matched(&sent, 0, 8, &[ID]), None);
        assert_eq!(matched(&sent, 0, 32, &[ID]), Some(0));
    }

    #[test]
    fn an_error_for_somebody_else_is_about_nothing_of_ours() {
        let sent = sent(&[(1, 7)]);
        let error = IcmpError {
            from: "10.0.9.9".parse().unwrap(),
            to: "10.0.0.77".parse().unwrap(),
            ttl: 60,
            kind: ErrorKind::TimeExceeded,
            quote: &sent[0].bytes,
            extension: Vec::new(),
        };
        assert_eq!(quoted(&sent, Instant::from_millis(9), &error), None);
    }

    #[test]
    fn a_segment_answers_what_it_acknowledges() {
        let sent = sent(&[(64, 100), (64, 200)]);
        for (ack, expected) in [(104, 0), (204, 1)] {
            let mut packet = sample("10.0.0.2:80", "10.0.0.1:9");
            packet.flags = Flags(0x12);
            packet.ack.0 = ack;
            packet.options = Vec::new();
            let bytes = packet.emit().unwrap();
            let fields = Fields::parse(&bytes).unwrap();
            let found = answered(&sent, Instant::from_millis(50), &fields);
            assert_eq!(found, Some(SentId(expected)), "{ack}");
        }
    }
}
