//! From evidence to a verdict: only what was sent and what came back counts, not when it was judged.

mod ends;
mod hops;
mod kernel;
mod locate;
mod on_path;
mod other;
mod refused;
mod sentence;
mod talk;

use std::net::SocketAddr;

pub(crate) use self::kernel::with_kernel;
use crate::evidence::{Evidence, Sent, SentId};
use crate::probe::Phase;
use crate::trace::{Blame, Confidence, Flow, Trace};

/// What the evidence says of the paths to a target.
pub fn judge(evidence: &Evidence, target: SocketAddr) -> Trace {
    let count = evidence
        .all()
        .iter()
        .map(|sent| sent.purpose.flow + 1)
        .max();
    let flows: Vec<Flow> = (0..count.unwrap_or(0))
        .filter_map(|number| flow(evidence, number, target))
        .collect();
    let mut verdict = sentence::verdict(&flows, target);
    // What was found is found; that nothing is wrong is not known.
    if evidence.is_cut() && verdict.blame != Blame::Path {
        verdict.confidence = verdict.confidence.min(Confidence::Likely);
        verdict.sentence += " The run ended before all was asked.";
    }
    Trace {
        target,
        flows,
        verdict,
    }
}

/// The packets of a flow, with their numbers.
type Packets<'a> = [(SentId, &'a Sent)];

fn flow(evidence: &Evidence, number: usize, target: SocketAddr) -> Option<Flow> {
    let packets: Vec<(SentId, &Sent)> = evidence
        .all()
        .iter()
        .enumerate()
        .filter(|(_, sent)| sent.purpose.flow == number)
        .map(|(id, sent)| (SentId(id), sent))
        .collect();
    let (source, _) = packets.first()?.1.ends()?;
    // Another port may be another way: nothing of it says what happens to the probes.
    let (others, packets): (Vec<_>, Vec<_>) = packets
        .into_iter()
        .partition(|(_, sent)| sent.purpose.probe.phase() == Phase::Compare);
    let probes = hops::probes(&packets);
    let hops = hops::hops(&packets, &probes);
    let distance = hops::distance(&packets, target.ip());
    let is_balanced = hops::is_balanced(&packets, &hops, &probes);
    let changes = locate::changes(&packets, is_balanced);
    let ends = ends::ends(&packets, target.ip());
    let hidden = other::hidden(&packets, &hops, distance);
    let other = other::other(&others, &packets, &hops, distance);
    let below = distance.unwrap_or(u8::MAX);
    let mut flow = Flow {
        source,
        probes,
        distance,
        hops: hops.into_iter().filter(|hop| hop.ttl < below).collect(),
        changes,
        ends,
        talk: talk::talk(&packets),
        other,
        hidden,
        refused: refused::refused(&packets, is_balanced),
        unseen_lost: None,
        is_balanced,
    };
    flow.unseen_lost = sentence::silence::unseen_lost(&flow, target);
    Some(flow)
}

#[cfg(test)]
mod tests;
