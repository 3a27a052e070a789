//! What the connection of the established phase showed.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::MptcpOption;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, KIND_SACK, TcpOptions};

use super::Packets;
use super::ends::{acks, reset_reason};
use super::other::way_back;
use crate::engine::hole::HOLES;
use crate::evidence::{Answer, Purpose, Role, SegmentAnswer, Sent};
use crate::packet::fields::Fields;
use crate::probe::{Phase, Probe};
use crate::trace::{Acked, Interval, Place, Talk};

/// What it showed; none if there was none.
pub(super) fn talk(packets: &Packets<'_>) -> Option<Talk> {
    let ours: Vec<&Sent> = packets
        .iter()
        .map(|(_, sent)| *sent)
        .filter(|sent| sent.purpose.role == Role::Connection)
        .collect();
    let all = ours.len();
    let ours = last_connection(&ours);
    if ours.is_empty() {
        return None;
    }
    let mut talk = Talk {
        attempt: u8::from(ours.len() < all),
        passes_holes: passes_holes(ours),
        ..Talk::default()
    };
    // What comes when we have ended the connection is right to be a RST (RFC 8684 §3.5).
    let ends = ours.iter().filter(|sent| is_end(sent)).map(|sent| sent.at);
    let end = ends.min();
    for sent in ours {
        for answer in &sent.answers {
            let is_before = end.is_none_or(|end| answer.at < end);
            if let Some(segment) = answer.segment() {
                note(&mut talk, segment, is_before);
            }
        }
    }
    talk.reset_between = reset_between(packets);
    talk.acked_between = acked_from(packets).map(|ttl| acked_between(packets, ttl));
    // The worst of them: who falls back acknowledges the first data still in the other way.
    let acked = ours.iter().map(|sent| acked(sent));
    let acked = acked.filter(|acked| *acked != Acked::Never).min();
    talk.acked = acked.unwrap_or_default();
    if talk.acked == Acked::Never {
        // A connection that does not work says nothing of holes.
        talk.passes_holes = None;
    }
    Some(talk)
}

/// Where nothing of a connection arrived there is another one, and that counts.
fn last_connection<'a>(ours: &'a [&'a Sent]) -> &'a [&'a Sent] {
    let begin = |sent: &Sent| {
        let tcp = Fields::parse(&sent.bytes)?.tcp;
        tcp.seq().filter(|_| tcp.flags().is_some_and(Flags::syn))
    };
    let last = ours.iter().rev().find_map(|sent| begin(sent));
    let first = ours
        .iter()
        .position(|sent| last.is_some() && begin(sent) == last);
    ours.get(first.unwrap_or(0)..).unwrap_or_default()
}

/// The lowest TTL of a copy of data that was acknowledged by somebody who is nearer than the target and has
/// no DATA_ACK. Without these two it may be the target, which got the copy out of the hands of who joins
/// segments, or of who makes TTLs larger.
fn acked_from(packets: &Packets<'_>) -> Option<u8> {
    let target = target_back(packets)?;
    let packets = packets.iter().map(|(_, sent)| *sent);
    let copies: Vec<&Sent> = packets
        .filter(|sent| {
            let Purpose { role, probe, .. } = &sent.purpose;
            *role == Role::Ladder && probe.phase() == Phase::Data
        })
        .collect();
    let early = copies.iter().flat_map(|sent| {
        let answers = sent.answers.iter().filter(|answer| {
            let segment = answer.segment();
            segment.is_some_and(|it| acks(it, sent) && !has_data_ack(it))
                && way_back(answer) < target
        });
        answers.map(move |answer| (answer.at, sent))
    });
    // Copies have one number: what is acknowledged first is one of those that were sent until then.
    let (at, first) = early.min_by_key(|(at, _)| *at)?;
    let is_alike = |sent: &&&Sent| sent.at < at && data_seq(sent) == data_seq(first);
    let alike = copies.iter().filter(is_alike);
    alike.map(|sent| sent.purpose.ttl).max()
}

/// Hops that answers of the target take.
pub(super) fn target_back(packets: &Packets<'_>) -> Option<u8> {
    let packets = packets.iter().map(|(_, sent)| *sent);
    let target = packets
        .filter(|sent| sent.purpose.role == Role::End && sent.purpose.probe.phase() == Phase::Syn);
    let answers = target.flat_map(|sent| &sent.answers);
    let answers = answers.filter(|answer| answer.segment().is_some_and(|it| it.flags.syn()));
    answers.map(way_back).min()
}

/// Where somebody who is nearer than the target answers copies of data with RST. The first data go one by one, so
/// that it is known which of them is meant.
fn reset_between(packets: &Packets<'_>) -> Option<Interval> {
    let target = target_back(packets)?;
    let copies = packets.iter().map(|(_, sent)| *sent).filter(|sent| {
        let Purpose { role, probe, .. } = &sent.purpose;
        *role == Role::Ladder && *probe == Probe::Dss
    });
    let is_reset = |answer: &Answer| {
        answer.segment().is_some_and(|it| it.flags.rst()) && way_back(answer) < target
    };
    let reset = copies
        .clone()
        .filter(|sent| sent.answers.iter().any(is_reset));
    let until = reset.map(|sent| sent.purpose.ttl).min()?;
    let quoted = copies.filter(|sent| sent.answers.iter().any(|it| it.expired().is_some()));
    let after = quoted.map(|sent| sent.purpose.ttl).max().unwrap_or(0);
    Some(Interval {
        // On several ways some copies go farther.
        after: if after < until { after } else { 0 },
        until: Place::Hop(until),
    })
}

/// The sequence number of a packet.
fn data_seq(sent: &Sent) -> Option<TcpSeq> {
    Fields::parse(&sent.bytes)?.tcp.seq()
}

/// The acknowledgement may have come when the next copy was out already, so one copy before does not count.
fn acked_between(packets: &Packets<'_>, ttl: u8) -> Interval {
    let copies = packets
        .iter()
        .map(|(_, sent)| &sent.purpose)
        .filter(|purpose| {
            purpose.role == Role::Ladder && purpose.probe == Probe::Dss && purpose.ttl < ttl
        });
    let mut ttls: Vec<u8> = copies.map(|purpose| purpose.ttl).collect();
    ttls.sort_unstable();
    ttls.dedup();
    Interval {
        after: ttls.iter().rev().nth(1).copied().unwrap_or(0),
        until: Place::Hop(ttl),
    }
}

/// How the data of a packet were acknowledged.
fn acked(sent: &Sent) -> Acked {
    let Some(Fields { tcp, .. }) = Fields::parse(&sent.bytes) else {
        return Acked::Never;
    };
    let len = u32::try_from(tcp.payload().len()).unwrap_or(0);
    let (Some(seq), true) = (tcp.seq(), len > 0) else {
        return Acked::Never;
    };
    let segments = sent.answers.iter().filter_map(|answer| answer.segment());
    // An ACK of what was there before is none of these data.
    let acks = segments.filter(|segment| {
        let taken = TcpSeq(segment.ack).distance_from(seq);
        let flags = segment.flags;
        flags.ack() && !flags.rst() && taken.is_some_and(|taken| (len..MOST_DATA).contains(&taken))
    });
    let levels = acks.map(|segment| {
        if has_data_ack(segment) {
            Acked::ByMptcp
        } else {
            Acked::ByTcp
        }
    });
    levels.max().unwrap_or_default()
}

fn has_data_ack(segment: &SegmentAnswer) -> bool {
    let mut options = TcpOptions::new(&segment.options).map_while(Result::ok);
    options.any(|option| {
        option.kind == KIND_MPTCP
            && matches!(
                MptcpOption::parse(Version::V1, option.bytes),
                Ok(MptcpOption::Dss(dss)) if dss.data_ack.is_some()
            )
    })
}

fn note(talk: &mut Talk, segment: &SegmentAnswer, is_before_end: bool) {
    for option in TcpOptions::new(&segment.options).map_while(Result::ok) {
        if option.kind != KIND_MPTCP {
            continue;
        }
        match MptcpOption::parse(Version::V1, option.bytes) {
            Ok(MptcpOption::Capable(_)) => talk.is_mptcp = true,
            Ok(MptcpOption::Fail(_)) => talk.failed = true,
            _ => {}
        }
    }
    if segment.flags.rst() && is_before_end {
        talk.was_reset = true;
        talk.reset_reason = talk.reset_reason.or(reset_reason(&segment.options));
    }
}

/// Whether the packet ends the connection: with MP_FASTCLOSE, or with a RST.
fn is_end(sent: &Sent) -> bool {
    let Some(fields) = Fields::parse(&sent.bytes) else {
        return false;
    };
    if fields.tcp.flags().is_some_and(Flags::rst) {
        return true;
    }
    let mut options = TcpOptions::new(fields.tcp.options()).map_while(Result::ok);
    options.any(|option| {
        option.kind == KIND_MPTCP
            && matches!(
                MptcpOption::parse(Version::V1, option.bytes),
                Ok(MptcpOption::FastClose(_))
            )
    })
}

/// Whether what is behind a hole is acknowledged. None if that was not tried, or where the reason may be that
/// segments are lost now and then.
fn passes_holes(ours: &[&Sent]) -> Option<bool> {
    let holes = holes(ours);
    if holes.is_empty() {
        return None;
    }
    let mut answers = ours.iter().flat_map(|sent| &sent.answers);
    let has_sack = answers.any(|answer| answer.segment().is_some_and(has_sack));
    if has_sack || holes.iter().any(|&at| passes(ours, at)) {
        return Some(true);
    }
    let is_sure = holes.len() >= usize::from(HOLES) && !is_lossy(ours, &holes);
    is_sure.then_some(false)
}

fn has_sack(segment: &SegmentAnswer) -> bool {
    let mut options = TcpOptions::new(&segment.options).map_while(Result::ok);
    options.any(|option| option.kind == KIND_SACK)
}

/// Whether a segment with data that was sent in order had to be sent again.
fn is_lossy(ours: &[&Sent], holes: &[usize]) -> bool {
    let behind: Vec<Option<TcpSeq>> = holes
        .iter()
        .filter_map(|at| ours.get(*at))
        .map(|sent| data_seq(sent))
        .collect();
    let in_order = starts(ours).into_iter().map(|(_, seq)| seq);
    let mut in_order: Vec<u32> = in_order
        .filter(|seq| !behind.contains(&Some(*seq)))
        .map(|seq| seq.0)
        .collect();
    in_order.sort_unstable();
    in_order.windows(2).any(|pair| pair[0] == pair[1])
}

/// Number and sequence number of each segment with data.
fn starts(ours: &[&Sent]) -> Vec<(usize, TcpSeq)> {
    let numbered = ours.iter().enumerate();
    let starts = numbered.filter_map(|(at, sent)| {
        let tcp = Fields::parse(&sent.bytes)?.tcp;
        let seq = (!tcp.payload().is_empty()).then(|| tcp.seq()).flatten();
        Some((at, seq?))
    });
    starts.collect()
}

/// Numbers of the segments with data that were sent for the first time before one with an earlier sequence number.
fn holes(ours: &[&Sent]) -> Vec<usize> {
    let starts = starts(ours);
    let pairs = starts.windows(2).enumerate();
    let holes = pairs.filter(|(at, pair)| {
        let is_first = starts[..*at].iter().all(|(_, seq)| *seq != pair[0].1);
        is_first && pair[1].1 != pair[0].1 && pair[0].1.distance_from(pair[1].1).is_some()
    });
    holes.map(|(_, pair)| pair[0].0).collect()
}

/// Whether the segment behind a hole was acknowledged before it was sent again. SACK says so at once, but an
/// answer with data may have no room for it.
fn passes(ours: &[&Sent], at: usize) -> bool {
    let (before, after) = ours.split_at(at + 1);
    let Some(sent) = before.last() else {
        return false;
    };
    let seq = |sent: &Sent| Fields::parse(&sent.bytes).and_then(|fields| fields.tcp.seq());
    let again = after.iter().find(|other| seq(other) == seq(sent));
    let answers = ours.iter().flat_map(|sent| &sent.answers);
    let mut early = answers.filter(|answer| again.is_none_or(|again| answer.at < again.at));
    early.any(|answer| answer.segment().is_some_and(|it| acks(it, sent)))
}

/// Data of a connection, more than are ever sent: what acknowledges more has the numbers of another one.
const MOST_DATA: u32 = 1 << 16;
