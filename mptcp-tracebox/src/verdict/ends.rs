//! What the target says: an answer of a host, never to be compared with what was sent to it.

use std::net::IpAddr;
use std::time::Duration;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{MptcpOption, Subtype};
use mptcp_proto::wire::tcp_option::{
    KIND_END_OF_LIST, KIND_MPTCP, KIND_NO_OPERATION, TcpOptionValue, TcpOptions,
};

use super::Packets;
use crate::evidence::{Answer, AnswerKind, Role, SegmentAnswer, Sent};
use crate::packet::fields::Fields;
use crate::probe::{Phase, Probe};
use crate::quote::ErrorKind;
use crate::trace::{End, EndAnswer, EndOption};

/// What the target says to each probe, the control first.
pub(super) fn ends(packets: &Packets<'_>, target: IpAddr) -> Vec<End> {
    let mut ends: Vec<End> = Vec::new();
    let plain = plain_fillers(packets);
    let strays = bare_acks(packets);
    let controls = control_numbers(packets);
    let times: Vec<u32> = packets.iter().filter_map(|(_, sent)| time(sent)).collect();
    for (_, sent) in packets {
        if !is_for_the_end(sent, target) {
            continue;
        }
        let probe = &sent.purpose.probe;
        let at = ends.iter().position(|end| end.probe == *probe);
        let at = at.unwrap_or_else(|| {
            ends.push(End {
                probe: probe.clone(),
                sent: 0,
                answered: 0,
                answer: EndAnswer::Silent,
                ttl: None,
                rtt: None,
            });
            ends.len() - 1
        });
        if let Some(end) = ends.get_mut(at) {
            add(end, sent, plain, (&controls, &times));
            let is_near = |at: &Instant| sent.at < *at && at.since(sent.at) < NEAR;
            if end.answer == EndAnswer::Silent && strays.iter().any(is_near) {
                end.answer = EndAnswer::Ack;
            }
        }
    }
    ends
}

/// What was sent to the target, and what reached it, or somebody in its place, before its time.
fn is_for_the_end(sent: &Sent, target: IpAddr) -> bool {
    let is_final = |answer: &Answer| match &answer.kind {
        AnswerKind::Segment(_) => true,
        AnswerKind::Error { kind, .. } => *kind != ErrorKind::TimeExceeded && answer.from != target,
    };
    match sent.purpose.role {
        Role::End => true,
        Role::Ladder if sent.purpose.probe.phase() == Phase::Data => is_acked(sent),
        Role::Ladder => sent.answers.iter().any(is_final),
        Role::Connection | Role::Reset => false,
    }
}

/// Whether somebody acknowledges data that cannot have reached the target yet.
fn is_acked(sent: &Sent) -> bool {
    let mut segments = sent.answers.iter().filter_map(Answer::segment);
    segments.any(|segment| acks(segment, sent))
}

/// Whether a segment acknowledges all data of a packet.
pub(super) fn acks(segment: &SegmentAnswer, sent: &Sent) -> bool {
    let Some(Fields { tcp, .. }) = Fields::parse(&sent.bytes) else {
        return false;
    };
    let len = u32::try_from(tcp.payload().len()).unwrap_or(0);
    let end = tcp.seq().map(|seq| seq.add(len));
    len > 0 && segment.flags.ack() && end == Some(TcpSeq(segment.ack))
}

fn add(end: &mut End, sent: &Sent, plain: Fillers, (controls, times): (&[u32], &[u32])) {
    end.sent += 1;
    end.answered += u32::from(!sent.answers.is_empty());
    // That the TTL of a copy ran out, as it should, is no answer of the target.
    let is_copy = sent.purpose.role == Role::Ladder;
    for answer in &sent.answers {
        if is_copy && answer.expired().is_some() {
            continue;
        }
        let rtt = answer.at.since(sent.at);
        end.rtt = Some(end.rtt.map_or(rtt, |known| known.min(rtt)));
        // A SYN/ACK of a connection of before, which the target still has.
        // Or one that echoes the timestamp of another packet of ours.
        let is_repeated = answer.segment().is_some_and(|it| {
            let echo = timestamps(&it.options).map(|(_, echo)| echo);
            let is_other = |echo| Some(echo) != time(sent) && times.contains(&echo);
            controls.contains(&it.seq) || echo.is_some_and(is_other)
        });
        let said = said(answer, sent, plain, is_repeated);
        if weight(&said) > weight(&end.answer) {
            end.answer = said;
            end.ttl = Some(answer.ttl);
        }
    }
}

fn said(answer: &Answer, sent: &Sent, plain: Fillers, is_repeated: bool) -> EndAnswer {
    match &answer.kind {
        AnswerKind::Error { kind, .. } => EndAnswer::Error {
            from: answer.from,
            kind: *kind,
        },
        AnswerKind::Segment(segment)
            if segment.flags.rst()
                && sent.purpose.probe != Probe::Syn
                && !belongs(segment, sent)
                && reset_reason(&segment.options).is_none() =>
        {
            // It may be for another SYN.
            EndAnswer::Ack
        }
        AnswerKind::Segment(segment) if segment.flags.rst() => EndAnswer::Reset {
            reason: reset_reason(&segment.options),
        },
        AnswerKind::Segment(segment) if segment.flags.syn() => {
            let option = option(segment, sent, plain);
            let tells = !matches!(option, EndOption::Absent | EndOption::Erased(_));
            let is_stale = is_repeated && option == EndOption::Absent;
            let is_ours = belongs(segment, sent) && !is_stale;
            if !tells && sent.purpose.probe != Probe::Syn && !is_ours {
                // It may be for another SYN: what it lacks says nothing.
                return EndAnswer::Ack;
            }
            let window = segment.window;
            EndAnswer::SynAck { option, window }
        }
        AnswerKind::Segment(_) => EndAnswer::Ack,
    }
}

/// Whether an answer is surely for this SYN: by its number, or by the timestamp that it echoes.
pub(super) fn belongs(segment: &SegmentAnswer, sent: &Sent) -> bool {
    let [by_number, by_time] = signs(segment, sent);
    by_number == Some(true) || by_time == Some(true)
}

/// Whether one of them says that it is for another one.
pub(super) fn is_doubtful(segment: &SegmentAnswer, sent: &Sent) -> bool {
    signs(segment, sent).contains(&Some(false))
}

/// What the number of an answer and the timestamp that it echoes say: whether it is for this SYN.
fn signs(segment: &SegmentAnswer, sent: &Sent) -> [Option<bool>; 2] {
    let Some(Fields { tcp, .. }) = Fields::parse(&sent.bytes) else {
        return [None; 2];
    };
    let ours = time(sent);
    let echo = timestamps(&segment.options).map(|(_, echo)| echo);
    let number = tcp.seq().map(|seq| seq.add(1));
    [
        number.map(|number| number == TcpSeq(segment.ack)),
        echo.map(|echo| Some(echo) == ours),
    ]
}

/// The timestamp of a packet of ours.
fn time(sent: &Sent) -> Option<u32> {
    let area = Fields::parse(&sent.bytes)?.tcp.options();
    timestamps(area).map(|(value, _)| value)
}

fn timestamps(area: &[u8]) -> Option<(u32, u32)> {
    let mut options = TcpOptions::new(area).map_while(Result::ok);
    options.find_map(|option| match option.value() {
        TcpOptionValue::Timestamps { value, echo } => Some((value, echo)),
        _ => None,
    })
}

fn weight(answer: &EndAnswer) -> u8 {
    match answer {
        EndAnswer::Silent => 0,
        EndAnswer::Ack => 1,
        EndAnswer::Error { .. } => 2,
        EndAnswer::Reset { reason: None } => 3,
        // Only who speaks MPTCP gives a reason.
        EndAnswer::Reset { reason: Some(_) } => 4,
        EndAnswer::SynAck { .. } => 5,
    }
}

/// The reason of a RST with MP_TCPRST (RFC 8684 §3.6).
pub(super) fn reset_reason(area: &[u8]) -> Option<u8> {
    mptcp(area).find_map(|bytes| match MptcpOption::parse(Version::V1, bytes).ok()? {
        MptcpOption::TcpReset(reset) => Some(reset.reason.0),
        _ => None,
    })
}

fn mptcp(area: &[u8]) -> impl Iterator<Item = &[u8]> {
    let options = TcpOptions::new(area).map_while(Result::ok);
    options
        .filter(|option| option.kind == KIND_MPTCP)
        .map(|option| option.bytes)
}

/// When ACKs came that neither begin nor end anything: the target still knows a connection of before, and took
/// a probe for a segment of that one (RFC 9293 §3.10.7.4). They acknowledge what belongs to that one. Answers
/// with a number of which it is not known to which probe they belong are such too.
fn bare_acks(packets: &Packets<'_>) -> Vec<Instant> {
    let syns = packets
        .iter()
        .filter(|(_, sent)| sent.purpose.probe.phase() == Phase::Syn);
    let answers = syns.flat_map(|(_, sent)| sent.answers.iter().map(|answer| (*sent, answer)));
    let bare = answers.filter(|(sent, answer)| {
        answer.segment().is_some_and(|segment| {
            let flags = segment.flags;
            let is_bare = flags.ack() && !flags.syn() && !flags.rst();
            // Nobody refuses what was accepted.
            let is_odd = flags.rst() && is_accepted(sent);
            is_bare || is_odd || !belongs(segment, sent) || is_second(segment, sent)
        })
    });
    bare.map(|(_, answer)| answer.at).collect()
}

/// Whether a SYN/ACK says something else of MPTCP than the first one for this SYN: a box lowered its number to one
/// that it had seen, and it is for another SYN.
fn is_second(segment: &SegmentAnswer, sent: &Sent) -> bool {
    let segments = sent.answers.iter().filter_map(Answer::segment);
    let mut accepted = segments.filter(|it| it.flags.syn());
    let first = accepted.next();
    let is_other = |first: &SegmentAnswer| mptcp(&first.options).ne(mptcp(&segment.options));
    segment.flags.syn() && first.is_some_and(is_other)
}

fn is_accepted(sent: &Sent) -> bool {
    let mut segments = sent.answers.iter().filter_map(Answer::segment);
    segments.any(|segment| segment.flags.syn())
}

/// Sequence numbers of SYN/ACKs for plain SYNs.
fn control_numbers(packets: &Packets<'_>) -> Vec<u32> {
    let controls = packets
        .iter()
        .filter(|(_, sent)| sent.purpose.probe == Probe::Syn);
    let answers = controls.flat_map(|(_, sent)| &sent.answers);
    let segments = answers.filter_map(Answer::segment);
    let accepted = segments.filter(|segment| segment.flags.syn());
    accepted.map(|segment| segment.seq).collect()
}

/// Fillers in a row that answers to plain SYNs have too: another option was erased there.
fn plain_fillers(packets: &Packets<'_>) -> Fillers {
    let controls = packets
        .iter()
        .filter(|(_, sent)| sent.purpose.probe == Probe::Syn);
    let answers = controls
        .flat_map(|(_, sent)| &sent.answers)
        .filter_map(Answer::segment);
    let fillers = answers.map(|segment| Fillers::of(&segment.options));
    fillers.max_by_key(|it| it.longest).unwrap_or_default()
}

/// What a SYN/ACK has of the option of the SYN. `plain` fillers in a row say nothing.
fn option(segment: &SegmentAnswer, sent: &Sent, plain: Fillers) -> EndOption {
    let asked = Fields::parse(&sent.bytes).map(|fields| fields.tcp.options());
    let special = asked
        .and_then(|area| special(area, &sent.purpose.probe))
        .unwrap_or_default();
    let mut answers = TcpOptions::new(&segment.options).map_while(Result::ok);
    if !special.is_empty() && answers.any(|option| option.bytes == special) {
        return EndOption::Mirrored;
    }
    for bytes in mptcp(&segment.options) {
        let (Some(third), subtype) = (bytes.get(2), bytes.get(2).map(|byte| Subtype(byte >> 4)))
        else {
            continue;
        };
        // The server's key is in it, in both versions (RFC 8684 §3.1, RFC 6824 §3.1).
        if subtype == Some(Subtype::CAPABLE) && bytes.len() == 12 {
            return EndOption::Capable(third & 0x0f);
        }
        if subtype == Some(Subtype::JOIN) && bytes.len() == 16 {
            return EndOption::Join;
        }
    }
    let fillers = Fillers::of(&segment.options);
    // Where another option was erased, too, what is more than that is this one's.
    let erased = if plain.longest < LEAST_ERASED {
        fillers.longest
    } else {
        fillers.all.saturating_sub(plain.all)
    };
    let is_longer = fillers.longest > plain.longest;
    if !special.is_empty() && erased >= LEAST_ERASED && is_longer {
        EndOption::Erased(erased)
    } else {
        EndOption::Absent
    }
}

/// The option that makes the probe special.
fn special<'a>(area: &'a [u8], probe: &Probe) -> Option<&'a [u8]> {
    let mut options = TcpOptions::new(area).map_while(Result::ok);
    let wanted = match probe {
        Probe::CapableV1 | Probe::CapableV0 | Probe::Join => KIND_MPTCP,
        Probe::Options(bytes) => *bytes.first()?,
        _ => return None,
    };
    options
        .find(|option| option.kind == wanted)
        .map(|option| option.bytes)
}

/// No-operations in an option area; zeros at its end count as such.
#[derive(Debug, Clone, Copy, Default)]
struct Fillers {
    /// The longest run of them.
    longest: usize,
    all: usize,
}

impl Fillers {
    fn of(area: &[u8]) -> Self {
        let is_filler = |kind: u8| matches!(kind, KIND_NO_OPERATION | KIND_END_OF_LIST);
        let (mut longest, mut all, mut run) = (0, 0, 0);
        let mut options = TcpOptions::new(area);
        for option in options.by_ref().map_while(Result::ok) {
            run = if is_filler(option.kind) { run + 1 } else { 0 };
            all += usize::from(run > 0);
            longest = longest.max(run);
        }
        let rest = options.rest().iter().take_while(|byte| **byte == 0).count();
        Self {
            longest: longest.max(if run > 0 { run + rest } else { 0 }),
            all: all + rest,
        }
    }
}

/// Three no-operations are padding; four are not.
const LEAST_ERASED: usize = 4;
/// A bare ACK that comes within this time may be for the probe.
const NEAR: Duration = Duration::from_secs(3);
