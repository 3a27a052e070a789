//! What each TTL says.

use std::net::IpAddr;

use super::Packets;
use super::ends::belongs;
use crate::diff::{Field, OptionId, State};
use crate::evidence::{Answer, AnswerKind, Role, Sent, SentId};
use crate::packet::fields::Fields;
use crate::probe::{Phase, Probe};
use crate::quote::ErrorKind;
use crate::quote::extension::Object;
use crate::trace::{Cell, CellState, Hop, Router};

/// Probes that were sent with small TTLs, in the order of their first packets.
pub(super) fn probes(packets: &Packets<'_>) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (_, sent) in packets {
        let probe = &sent.purpose.probe;
        if sent.purpose.role == Role::Ladder && !probes.contains(probe) {
            probes.push(probe.clone());
        }
    }
    probes
}

/// Lowest TTL with which a plain SYN reached the target. An answer that may be for another SYN counts only where
/// there is no better one.
pub(super) fn distance(packets: &Packets<'_>, target: IpAddr) -> Option<u8> {
    let lowest = |is_there: &dyn Fn(&Answer, &Sent) -> bool| {
        let rungs = packets.iter().map(|(_, sent)| *sent).filter(|sent| {
            let purpose = &sent.purpose;
            purpose.role == Role::Ladder && purpose.probe == Probe::Syn
        });
        let rungs = rungs.filter(|sent| sent.answers.iter().any(|it| is_there(it, sent)));
        rungs.map(|sent| sent.purpose.ttl).min()
    };
    let is_sure = |answer: &Answer, sent: &Sent| {
        // What ran out has not arrived, whatever a box made of a number.
        let has_expired = sent.answers.iter().any(|it| it.expired().is_some());
        let segment = answer.segment();
        segment.is_some_and(|it| belongs(it, sent) && !has_expired) || is_refusal_of(answer, target)
    };
    lowest(&is_sure).or_else(|| lowest(&|answer, _| answer.segment().is_some()))
}

fn is_refusal_of(answer: &Answer, target: IpAddr) -> bool {
    let AnswerKind::Error { kind, .. } = answer.kind else {
        return false;
    };
    answer.from == target && kind != ErrorKind::TimeExceeded
}

/// All TTLs up to the last one that was asked.
pub(super) fn hops(packets: &Packets<'_>, probes: &[Probe]) -> Vec<Hop> {
    let rungs: Vec<(SentId, &Sent)> = packets
        .iter()
        .filter(|(_, sent)| sent.purpose.role == Role::Ladder)
        .copied()
        .collect();
    let top = rungs
        .iter()
        .map(|(_, sent)| sent.purpose.ttl)
        .max()
        .unwrap_or(0);
    (1..=top)
        .map(|ttl| {
            let here: Vec<(SentId, &Sent)> = rungs
                .iter()
                .filter(|(_, sent)| sent.purpose.ttl == ttl)
                .copied()
                .collect();
            Hop {
                ttl,
                routers: routers(&here),
                cells: probes.iter().map(|probe| cell(&here, probe)).collect(),
            }
        })
        .collect()
}

/// Whether packets take several ways, or one that is not the same for all of them.
pub(super) fn is_balanced(packets: &Packets<'_>, hops: &[Hop], probes: &[Probe]) -> bool {
    let passes_refusal = |probe: &Probe| {
        // Who refuses one segment may let another pass.
        let mut numbers: Vec<_> = packets
            .iter()
            .filter_map(|(_, it)| kin(it, probe))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().any(|number| {
            let alike = packets
                .iter()
                .filter(|(_, it)| kin(it, probe) == Some(number));
            let alike: Vec<_> = alike.copied().collect();
            let expired = expired(&alike, probe).into_iter().max();
            let refused = refusals(&alike, probe).into_iter().min();
            matches!((refused, expired), (Some(refused), Some(expired)) if refused < expired)
        })
    };
    hops.iter().any(Hop::is_balanced)
        || goes_on_behind_the_target(packets)
        || probes.iter().any(passes_refusal)
}

/// What the packets of a probe have in common that are refused together or not at all: the number, once there is a
/// connection. None for other probes.
fn kin(sent: &Sent, probe: &Probe) -> Option<u32> {
    if sent.purpose.probe != *probe {
        return None;
    }
    match probe.phase() {
        Phase::Data => Some(Fields::parse(&sent.bytes)?.tcp.seq()?.0),
        Phase::Syn | Phase::Compare => Some(0),
    }
}

/// Whether a SYN reached the target with a TTL that ran out on another way: that way is longer.
fn goes_on_behind_the_target(packets: &Packets<'_>) -> bool {
    let rungs = packets.iter().map(|(_, sent)| *sent).filter(|sent| {
        let purpose = &sent.purpose;
        purpose.role == Role::Ladder && purpose.probe == Probe::Syn
    });
    let is_there = |sent: &&Sent| {
        let mut segments = sent.answers.iter().filter_map(Answer::segment);
        segments.any(|segment| belongs(segment, sent))
    };
    let reached = rungs.filter(is_there).map(|it| it.purpose.ttl).min();
    let expired = expired(packets, &Probe::Syn).into_iter().max();
    matches!((reached, expired), (Some(reached), Some(expired)) if reached <= expired)
}

/// TTLs that ran out.
fn expired(packets: &Packets<'_>, probe: &Probe) -> Vec<u8> {
    let rungs = packets.iter().map(|(_, sent)| *sent).filter(|sent| {
        let purpose = &sent.purpose;
        purpose.role == Role::Ladder && purpose.probe == *probe
    });
    let rungs = rungs.filter(|sent| sent.answers.iter().any(|it| it.expired().is_some()));
    rungs.map(|sent| sent.purpose.ttl).collect()
}

/// Hops behind which packets that were refused did not come, by what was left of their TTL.
fn refusals(packets: &Packets<'_>, probe: &Probe) -> Vec<u8> {
    let meant = packets.iter().map(|(_, sent)| *sent);
    let meant = meant.filter(|sent| sent.purpose.probe == *probe);
    let hops = meant.flat_map(|sent| sent.answers.iter().map(move |answer| (sent, answer)));
    let hops = hops.filter_map(|(sent, answer)| {
        let AnswerKind::Error { kind, quote, .. } = &answer.kind else {
            return None;
        };
        let left = Fields::parse(quote)?.ip.ttl;
        let is_refusal = *kind != ErrorKind::TimeExceeded;
        let passed = sent.purpose.ttl.checked_sub(left)?;
        is_refusal.then_some(passed.saturating_add(1))
    });
    hops.collect()
}

fn routers(here: &Packets<'_>) -> Vec<Router> {
    let mut routers: Vec<Router> = Vec::new();
    for (_, sent) in here {
        for answer in &sent.answers {
            let AnswerKind::Error {
                kind,
                comparison,
                extension,
                ..
            } = &answer.kind
            else {
                continue;
            };
            let rtt = answer.at.since(sent.at);
            let known = routers
                .iter_mut()
                .find(|router| router.address == answer.from);
            if let Some(router) = known {
                router.answers += 1;
                router.rtt = router.rtt.min(rtt);
                // A small packet that is quoted whole says nothing of where quotes are cut.
                router.quoted = match (router.quotes_all, comparison.is_whole) {
                    (true, true) => router.quoted.max(comparison.tcp_len),
                    (true, false) => comparison.tcp_len,
                    (false, true) => router.quoted,
                    (false, false) => router.quoted.min(comparison.tcp_len),
                };
                router.quotes_all &= comparison.is_whole;
            } else if routers.len() < MAX_ROUTERS {
                routers.push(Router {
                    address: answer.from,
                    answers: 1,
                    rtt,
                    quoted: comparison.tcp_len,
                    quotes_all: comparison.is_whole,
                    labels: labels(extension),
                    said: *kind,
                });
            }
        }
    }
    routers
}

fn labels(extension: &[Object]) -> Vec<crate::quote::extension::MplsLabel> {
    let stacks = extension.iter().filter_map(|object| match object {
        Object::Mpls(labels) => Some(labels),
        Object::Other { .. } => None,
    });
    stacks.flatten().copied().collect()
}

fn cell(here: &Packets<'_>, probe: &Probe) -> Cell {
    let mut cell = Cell {
        sent: 0,
        answered: 0,
        state: CellState::NotAsked,
        shown: None,
        comparison: None,
    };
    for (id, sent) in here.iter().filter(|(_, sent)| sent.purpose.probe == *probe) {
        cell.sent += 1;
        cell.answered += u32::from(!sent.answers.is_empty());
        if cell.state == CellState::NotAsked {
            cell.state = CellState::Silent;
        }
        for answer in &sent.answers {
            let (state, comparison) = state(answer, sent);
            if weight(state) >= weight(cell.state) {
                cell.state = state;
                cell.shown = Some(*id);
                cell.comparison = comparison;
            }
        }
    }
    cell
}

fn state(answer: &Answer, sent: &Sent) -> (CellState, Option<crate::diff::Comparison>) {
    match &answer.kind {
        // What may be for another SYN says nothing of this one.
        AnswerKind::Segment(segment)
            if sent.purpose.probe.phase() == Phase::Syn
                && sent.purpose.probe != Probe::Syn
                && !belongs(segment, sent) =>
        {
            (CellState::Silent, None)
        }
        AnswerKind::Segment(_) => (CellState::Reached, None),
        AnswerKind::Error {
            kind, comparison, ..
        } => {
            let state = if !comparison.changes.is_empty() {
                CellState::Changed
            } else if *kind != ErrorKind::TimeExceeded {
                CellState::Refused
            } else if lacks(comparison, sent) {
                CellState::NotQuoted
            } else {
                CellState::Same
            };
            (state, Some(comparison.clone()))
        }
    }
}

/// Whether the quote ends before what the probe is about: its special option or its payload.
fn lacks(comparison: &crate::diff::Comparison, sent: &Sent) -> bool {
    let special = |id: OptionId| match &sent.purpose.probe {
        Probe::Syn => false,
        Probe::Options(bytes) => id == OptionId::of(bytes),
        _ => id.is_mptcp(),
    };
    comparison.states.iter().any(|&(field, state)| {
        let matters = match field {
            Field::Option(id) => sent.purpose.probe == Probe::Syn || special(id),
            Field::Payload => true,
            Field::Ack => sent.purpose.probe == Probe::UnseenAck,
            Field::Flags => sent.purpose.probe == Probe::Ecn,
            _ => false,
        };
        matters && state == State::NotQuoted
    })
}

/// What says more counts.
const fn weight(state: CellState) -> u8 {
    match state {
        CellState::NotAsked => 0,
        CellState::Silent => 1,
        CellState::NotQuoted => 2,
        CellState::Same => 3,
        CellState::Reached => 4,
        CellState::Refused => 5,
        CellState::Changed => 6,
    }
}

/// Routers at one TTL that are told apart.
const MAX_ROUTERS: usize = 16;
