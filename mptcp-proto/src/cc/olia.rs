//! OLIA: opportunistic linked increases (Khalili et al., draft-khalili-mptcp-congestion-control-05).

use super::flow::{Flow, real};
use super::flows::{Cause, Coupled, Rule};
use super::{AckSample, Kind};
use crate::time::Instant;

/// The increase is linked, and shifted from the subflows with the largest windows to those whose
/// path is presumably the best.
#[derive(Debug)]
pub(super) struct Olia;

/// Bytes that went through between losses.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BetweenLosses {
    /// Between the last two losses.
    before: u64,
    /// Since the last loss.
    since: u64,
}

impl BetweenLosses {
    /// `l_r` of the draft: an estimate of what goes through between two losses.
    fn most(self) -> f64 {
        real(self.before.max(self.since))
    }
}

impl Rule for Olia {
    const KIND: Kind = Kind::Olia;

    type State = BetweenLosses;

    fn note(_now: Instant, flow: &mut Flow<BetweenLosses>, ack: &AckSample) {
        flow.state.since = flow.state.since.saturating_add(ack.acked);
    }

    fn avoid(_now: Instant, flows: &mut [Flow<BetweenLosses>], me: usize, acked: u64) {
        let linked = increase(flows, me, acked);
        if let Some(flow) = flows.get_mut(me) {
            flow.grow(linked.unwrap_or_else(|| flow.reno_increase(acked)));
        }
    }

    /// The lower bound is one segment instead of two when there are several paths (draft §3).
    fn reduced(flows: &[Flow<BetweenLosses>], me: usize, flight_size: u64) -> u64 {
        let least = if Coupled::new(flows, me).is_some() {
            1
        } else {
            2
        };
        flows
            .get(me)
            .map_or(0, |flow| flow.half(flight_size, least))
    }

    fn note_loss(flow: &mut Flow<BetweenLosses>, _cause: Cause) {
        // Two losses with nothing in between are one.
        if flow.state.since > 0 {
            flow.state.before = flow.state.since;
            flow.state.since = 0;
        }
    }
}

/// For each segment acknowledged: `(w_r / rtt_r²) / (SUM(w_p / rtt_p))² + alpha_r / w_r`.
fn increase(flows: &[Flow<BetweenLosses>], me: usize, acked: u64) -> Option<f64> {
    let me = Coupled::new(flows, me)?;
    let sum: f64 = me.all().map(|(flow, rtt)| flow.window() / rtt).sum();
    let linked = me.flow.window() / (me.rtt * me.rtt) / (sum * sum);
    let shifted = alpha(&me) / me.flow.window();
    Some((linked + shifted) * me.flow.counted(acked) * me.flow.segment())
}

/// `alpha_r`: with B the best paths and M those with the largest window, the paths in B∖M share
/// `1 / n`, and those in M pay for it.
fn alpha(me: &Coupled<'_, BetweenLosses>) -> f64 {
    // Windows are compared in whole segments: no two are equal to the byte.
    let segments = |flow: &Flow<BetweenLosses>| flow.cwnd / flow.mss;
    let quality = |flow: &Flow<BetweenLosses>, rtt: f64| flow.state.most() / (rtt * rtt);
    let (mut most_segments, mut best_quality) = (0, 0.0_f64);
    for (other, rtt) in me.all() {
        most_segments = most_segments.max(segments(other));
        best_quality = best_quality.max(quality(other, rtt));
    }
    let is_largest = |flow: &Flow<BetweenLosses>| segments(flow) == most_segments;
    let is_best = |flow: &Flow<BetweenLosses>, rtt| quality(flow, rtt) >= best_quality;

    let (mut count, mut largest, mut best_not_largest) = (0, 0, 0);
    for (other, rtt) in me.all() {
        count += 1;
        if is_largest(other) {
            largest += 1;
        } else if is_best(other, rtt) {
            best_not_largest += 1;
        }
    }
    if best_not_largest == 0 {
        0.0
    } else if is_largest(me.flow) {
        -1.0 / f64::from(count * largest)
    } else if is_best(me.flow, me.rtt) {
        1.0 / f64::from(count * best_not_largest)
    } else {
        0.0
    }
}
