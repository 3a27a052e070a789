//! Packets of a connection that somebody on the way answers with RST or an ICMP error.

use std::time::Duration;

use mptcp_proto::seq::TcpSeq;

use super::Packets;
use super::other::way_back;
use super::talk::target_back;
use crate::evidence::{Answer, AnswerKind, Role, Sent};
use crate::packet::fields::Fields;
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::trace::{Interval, Place, Refusal, Refused};

/// What is refused first of what a connection says; none if nothing is.
pub(super) fn refused(packets: &Packets<'_>, is_balanced: bool) -> Option<Refused> {
    let back = target_back(packets);
    let packets: Vec<&Sent> = packets.iter().map(|(_, sent)| *sent).collect();
    let refused = ASKED.into_iter().find_map(|probe| {
        segments(&packets, &probe).into_iter().find_map(|alike| {
            let by_icmp = || by_icmp(&alike, &probe, is_balanced);
            // On another way a copy may reach the target, which may have forgotten the connection.
            let back = back.filter(|_| !is_balanced);
            by_icmp().or_else(|| by_reset(&packets, &alike, &probe, back?))
        })
    });
    refused.or_else(|| in_full(&packets, back.filter(|_| !is_balanced)?))
}

/// The packets of a probe, those with one sequence number together.
fn segments<'a>(packets: &[&'a Sent], probe: &Probe) -> Vec<Vec<&'a Sent>> {
    let mut all: Vec<(TcpSeq, Vec<&Sent>)> = Vec::new();
    for sent in packets {
        let is_meant = matches!(sent.purpose.role, Role::Ladder | Role::Connection);
        let number = number(sent).filter(|_| is_meant && sent.purpose.probe == *probe);
        let Some(number) = number else { continue };
        match all.iter_mut().find(|(known, _)| *known == number) {
            Some((_, alike)) => alike.push(sent),
            None => all.push((number, vec![sent])),
        }
    }
    all.into_iter().map(|(_, alike)| alike).collect()
}

/// The sequence number of data, or of a copy with another option.
fn number(sent: &Sent) -> Option<TcpSeq> {
    let tcp = Fields::parse(&sent.bytes)?.tcp;
    let is_data = !tcp.payload().is_empty() || sent.purpose.probe != Probe::Dss;
    tcp.seq().filter(|_| is_data)
}

fn by_icmp(alike: &[&Sent], probe: &Probe, is_balanced: bool) -> Option<Refused> {
    let errors = || {
        let answers = alike
            .iter()
            .flat_map(|sent| sent.answers.iter().map(move |answer| (*sent, answer)));
        answers.filter_map(|(sent, answer)| Some((sent, answer, refusal(answer)?)))
    };
    let (_, answer, kind) = errors().next()?;
    let count = errors().count();
    // A route or a neighbour may be missing for a moment.
    let is_policy = kind.is_prohibition(answer.from.is_ipv4()) || is_port(kind, answer);
    let copies = errors().filter(|(sent, ..)| sent.purpose.role == Role::Ladder);
    let first = copies.map(|(sent, ..)| sent.purpose.ttl).min();
    (is_policy || count > 1).then(|| Refused {
        probe: probe.clone(),
        by: Refusal::Error {
            from: answer.from,
            kind,
        },
        between: interval(alike, first, is_balanced),
    })
}

fn refusal(answer: &Answer) -> Option<ErrorKind> {
    match answer.kind {
        AnswerKind::Error { kind, .. } => {
            Some(kind).filter(|kind| matches!(kind, ErrorKind::Unreachable(_)))
        }
        AnswerKind::Segment(_) => None,
    }
}

/// Nobody listens: what filters say if nothing else is configured.
fn is_port(kind: ErrorKind, answer: &Answer) -> bool {
    let port = if answer.from.is_ipv4() { 3 } else { 4 };
    kind == ErrorKind::Unreachable(port)
}

/// Copies that were under way alone, and that somebody nearer than the target answers with RST. One alone may
/// be that of a target which ends the connection just then.
fn by_reset(packets: &[&Sent], alike: &[&Sent], probe: &Probe, target: u8) -> Option<Refused> {
    let copies = alike
        .iter()
        .filter(|sent| sent.purpose.role == Role::Ladder);
    let mut reset = copies.filter_map(|sent| {
        let is_reset = |answer: &&Answer| answer.segment().is_some_and(|it| it.flags.rst());
        let answer = sent.answers.iter().find(is_reset)?;
        (way_back(answer) < target && is_alone(packets, sent, answer)).then_some(sent.purpose.ttl)
    });
    let first = reset.next()?;
    let others: Vec<u8> = reset.collect();
    let lowest = others.iter().copied().min()?.min(first);
    Some(Refused {
        probe: probe.clone(),
        by: Refusal::Reset,
        between: interval(alike, Some(lowest), false),
    })
}

/// Data that no copy was refused of, and that somebody nearer than the target answers with RST, in more than one
/// connection.
fn in_full(packets: &[&Sent], target: u8) -> Option<Refused> {
    let is_reset = |answer: &Answer| {
        answer.segment().is_some_and(|it| it.flags.rst()) && way_back(answer) < target
    };
    let all = segments(packets, &Probe::Dss).into_iter();
    let reset: Vec<Vec<&Sent>> = all
        .filter(|alike| {
            // Where a copy was reset too, it is nearer than the last hop that quotes something of one.
            let mut reset = alike
                .iter()
                .filter(|sent| sent.answers.iter().any(is_reset));
            let first = reset.next();
            first.is_some_and(|sent| sent.purpose.role == Role::Connection)
                && reset.all(|sent| sent.purpose.role == Role::Connection)
        })
        .collect();
    let after = reset
        .iter()
        .map(|alike| expired(alike).unwrap_or(0))
        .min()?;
    (reset.len() > 1).then_some(Refused {
        probe: Probe::Dss,
        by: Refusal::Reset,
        between: Interval {
            after,
            until: Place::Target,
        },
    })
}

/// Whether no other packet of a connection was under way that may have drawn the answer.
fn is_alone(packets: &[&Sent], sent: &Sent, answer: &Answer) -> bool {
    packets.iter().all(|other| {
        let is_before = other.at + UNDER_WAY < sent.at;
        let is_over = other.answers.first().is_some_and(|it| it.at <= sent.at);
        let is_it = std::ptr::eq(*other, sent);
        is_it || is_before || is_over || other.at >= answer.at
    })
}

/// Behind the last copy whose TTL ran out, up to the first that was refused. A part of one that was refused may go on.
fn interval(alike: &[&Sent], first: Option<u8>, is_balanced: bool) -> Interval {
    let until = first.map_or(Place::Target, Place::Hop);
    let after = expired(alike).unwrap_or(0);
    // It is refused on one way and passes on another.
    let is_split = is_balanced || first.is_some_and(|first| after >= first);
    Interval {
        after: if is_split { 0 } else { after },
        until: if is_balanced { Place::Target } else { until },
    }
}

/// The highest TTL that ran out.
fn expired(alike: &[&Sent]) -> Option<u8> {
    let expired = alike
        .iter()
        .filter(|sent| sent.answers.iter().any(|it| it.expired().is_some()));
    expired.map(|sent| sent.purpose.ttl).max()
}

/// What is told of, the worst first.
const ASKED: [Probe; 4] = [Probe::Dss, Probe::AddAddr, Probe::Prio, Probe::FastClose];
/// No copy is given up earlier than this.
const UNDER_WAY: Duration = Duration::from_millis(200);
