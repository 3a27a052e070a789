//! Where an answer comes from: another port of the target, and how far away who answers is.
//!
//! Systems begin with a TTL of 64, 128 or 255, so what is left of it tells how many hops an answer took.

use std::net::IpAddr;

use super::ends::is_doubtful;
use super::sentence::silence::Answers;
use super::{Packets, hops};
use crate::evidence::{Answer, Role};
use crate::probe::{Phase, Probe};
use crate::trace::{CellState, Hidden, Hop, Interval, OtherPort, Place};

/// What another port showed; none if it was not asked.
pub(super) fn other(
    others: &Packets<'_>,
    packets: &Packets<'_>,
    hops: &[Hop],
    distance: Option<u8>,
) -> Option<OtherPort> {
    others.first()?;
    Some(OtherPort {
        nearer: distance.and_then(|distance| nearer(others, packets, hops, distance)),
        stateful: stateful(others, &asked_by_syns(packets), distance),
    })
}

/// What the hops say of SYNs. Who keeps state may lose segments of a connection, too.
fn asked_by_syns(packets: &Packets<'_>) -> Vec<Hop> {
    let syns = packets.iter().copied();
    let syns: Vec<_> = syns
        .filter(|(_, sent)| sent.purpose.probe.phase() == Phase::Syn)
        .collect();
    hops::hops(&syns, &hops::probes(&syns))
}

/// Where somebody answers for the first port, if that is nearer than who answers for the other one.
fn nearer(
    others: &Packets<'_>,
    packets: &Packets<'_>,
    hops: &[Hop],
    distance: u8,
) -> Option<Interval> {
    let controls = ends(packets, &Probe::Syn);
    // A box that makes TTLs larger does not make the way back shorter.
    let from = controls.iter().map(|answer| way_back(answer)).max()?;
    let is_at_hand = from <= distance;
    let is_farther = is_at_hand && goes_on(others, hops, distance);
    let is_reset = |answer: &&&Answer| answer.segment().is_some_and(|it| it.flags.rst());
    let refused = [Probe::OtherPort, Probe::StrayAck].map(|probe| ends(others, &probe));
    let refused = refused.iter().flatten().filter(is_reset);
    let farthest = refused.map(|answer| way_back(answer)).max();
    let is_refused_nearer =
        controls.iter().all(|answer| is_reset(&answer)) && farthest.is_some_and(|far| far > from);
    let between = Interval {
        after: distance.saturating_sub(1),
        until: Place::Hop(distance),
    };
    let is_balanced = hops.iter().any(Hop::is_balanced);
    (!is_balanced && (is_farther || is_refused_nearer)).then_some(between)
}

/// Answers of the target, or of somebody in its place, to a probe that was to reach it.
fn ends<'a>(packets: &Packets<'a>, probe: &Probe) -> Vec<&'a Answer> {
    let sent = packets.iter().map(|(_, sent)| *sent);
    let meant = sent.filter(|sent| sent.purpose.probe == *probe && sent.purpose.role == Role::End);
    let answers = meant.flat_map(|sent| &sent.answers);
    answers
        .filter(|answer| answer.segment().is_some())
        .collect()
}

/// Whether routers answer on the way to the other port where the first one is reached already.
fn goes_on(others: &Packets<'_>, hops: &[Hop], distance: u8) -> bool {
    let routers = |wanted: &dyn Fn(u8) -> bool| -> Vec<IpAddr> {
        let rungs = others.iter().map(|(_, sent)| *sent).filter(|sent| {
            let purpose = &sent.purpose;
            purpose.probe == Probe::OtherPort && purpose.role == Role::Ladder && wanted(purpose.ttl)
        });
        let answers = rungs.flat_map(|sent| &sent.answers);
        let expired = answers.filter(|answer| answer.expired().is_some());
        expired.map(|answer| answer.from).collect()
    };
    let before = routers(&|ttl| ttl < distance);
    let here = hops.iter().filter(|hop| hop.ttl + 1 == distance);
    let known: Vec<IpAddr> = here
        .flat_map(|hop| hop.routers.iter().map(|router| router.address))
        .collect();
    // Two ports may be two ways, one longer than the other.
    let is_one_way = distance == 1 || before.iter().any(|router| known.contains(router));
    is_one_way && !routers(&|ttl| ttl >= distance).is_empty()
}

/// Hops that an answer took.
pub(super) fn way_back(answer: &Answer) -> u8 {
    hops_back(answer.ttl)
}

/// Hops that something took which arrives with this TTL.
pub(super) fn hops_back(ttl: u8) -> u8 {
    let first = [64, 128].into_iter().find(|&first| first >= ttl);
    (first.unwrap_or(u8::MAX) - ttl).saturating_add(1)
}

/// Where ACKs without a connection are lost.
fn stateful(others: &Packets<'_>, hops: &[Hop], distance: Option<u8>) -> Option<Interval> {
    let strays: Vec<_> = others
        .iter()
        .filter(|(_, sent)| sent.purpose.probe == Probe::StrayAck)
        .copied()
        .collect();
    let finals = strays
        .iter()
        .filter(|(_, sent)| sent.purpose.role == Role::End);
    let (mut tries, mut answered) = (0, 0);
    for (_, sent) in finals {
        tries += 1;
        answered += sent.answers.len();
    }
    // An open or filtered port tells nothing: only who refuses a SYN refuses an ACK.
    let syns = ends(others, &Probe::OtherPort);
    let is_closed = syns
        .iter()
        .any(|answer| answer.segment().is_some_and(|it| it.flags.rst()));
    if !is_closed || answered > 0 || tries < LEAST_TRIES {
        return None;
    }
    let below = distance.unwrap_or(u8::MAX);
    let rungs = hops::hops(&strays, &[Probe::StrayAck]);
    let rungs = rungs.iter().filter(|rung| rung.ttl < below);
    let mut between = Interval::WHOLE_PATH;
    if hops.iter().any(Hop::is_balanced) {
        return Some(between);
    }
    let all = hops.iter().map(|hop| Answers::of(hop, usize::MAX));
    let all = all.fold(Answers::default(), Answers::and);
    for rung in rungs {
        let Some(cell) = rung.cells.first() else {
            continue;
        };
        if cell.answered > 0 {
            between = Interval {
                after: rung.ttl,
                until: Place::Target,
            };
        } else if between.until == Place::Target && cell.state == CellState::Silent {
            let here = hops.iter().find(|hop| hop.ttl == rung.ttl);
            let here = here.map(|hop| Answers::of(hop, usize::MAX));
            if here.is_some_and(|here| here.is_no_chance(cell.sent, &all)) {
                between.until = Place::Hop(rung.ttl);
            }
        }
    }
    Some(between)
}

/// Hops that do not show: up to some TTL each answer comes from as far away as it should, behind it all of
/// them, the target's too, come from the same number of hops farther.
pub(super) fn hidden(packets: &Packets<'_>, hops: &[Hop], distance: Option<u8>) -> Option<Hidden> {
    let distance = distance?;
    if hops.iter().any(Hop::is_balanced) {
        return None;
    }
    if has_stale_answer(packets) {
        return None;
    }
    let controls = ends(packets, &Probe::Syn);
    let target = controls.iter().map(|answer| way_back(answer)).max()?;
    let mut seen = Vec::new();
    for (_, sent) in packets {
        let ttl = sent.purpose.ttl;
        if sent.purpose.role == Role::Ladder && ttl < distance {
            let expired = sent.answers.iter().filter(|it| it.expired().is_some());
            seen.extend(expired.map(|answer| (ttl, way_back(answer))));
        }
    }
    seen.push((distance, target));
    seen.sort_unstable();
    let hops = target.checked_sub(distance).filter(|hops| *hops > 0)?;
    let mut between = Interval {
        after: 0,
        until: Place::Hop(distance),
    };
    let mut is_behind = false;
    for (ttl, back) in seen {
        match back.checked_sub(ttl)? {
            0 if !is_behind => between.after = ttl,
            more if more == hops && !is_behind => {
                is_behind = true;
                between.until = Place::Hop(ttl);
            }
            more if more == hops => {}
            _ => return None,
        }
    }
    Some(Hidden { between, hops })
}

/// Whether one SYN/ACK came for more than one SYN, or one of which its number and its timestamp do not say the
/// same: the distance may be that of another packet then.
fn has_stale_answer(packets: &Packets<'_>) -> bool {
    let sent = packets.iter().map(|(_, sent)| *sent);
    let mut numbers: Vec<u32> = Vec::new();
    for sent in sent.filter(|sent| sent.purpose.probe.phase() == Phase::Syn) {
        let segments = sent.answers.iter().filter_map(Answer::segment);
        let accepted = segments.filter(|segment| segment.flags.syn());
        let accepted: Vec<_> = accepted.collect();
        if accepted.iter().any(|segment| is_doubtful(segment, sent)) {
            return true;
        }
        let mut own: Vec<u32> = accepted.iter().map(|segment| segment.seq).collect();
        own.dedup();
        if own.iter().any(|seq| numbers.contains(seq)) {
            return true;
        }
        numbers.append(&mut own);
    }
    false
}

/// Tries in vain that are more than bad luck.
const LEAST_TRIES: u32 = 4;
