//! wVegas: weighted Vegas (Cao, Xu, Fu, ICNP 2012).
//!
//! Each subflow keeps some segments in the queues of its path, and all together keep ten: a subflow
//! with a greater part of the rate may keep more, so traffic moves to where the queues are short.

use super::flow::{Flow, seconds};
use super::flows::{Coupled, Rule};
use super::{AckSample, Kind};
use crate::path::LossState;
use crate::time::Instant;

/// Reacts to delay once per round trip, and to losses as Reno.
#[derive(Debug)]
pub(super) struct Wvegas;

/// What a subflow measures; times in seconds, windows in segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delays {
    /// Bytes until this round trip is over.
    left: u64,
    /// Whether a round trip is over and was not looked at.
    has_ended: bool,
    samples: u32,
    /// Sum of the round trip's samples.
    sum: f64,
    /// Smallest round-trip time.
    base: f64,
    /// Segments to keep in the queues.
    alpha: f64,
    /// Rate when the queues were last seen to be full; zero before that.
    rate: f64,
    /// Smallest queueing delay since the queue was last drained.
    queueing: Option<f64>,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            left: 0,
            has_ended: false,
            samples: 0,
            sum: 0.0,
            base: f64::INFINITY,
            alpha: LEAST_ALPHA,
            rate: 0.0,
            queueing: None,
        }
    }
}

impl Delays {
    fn note(&mut self, ack: &AckSample) {
        if let Some(rtt) = ack.rtt.and_then(seconds) {
            self.base = self.base.min(rtt);
            self.sum += rtt;
            self.samples = self.samples.saturating_add(1);
        }
        self.left = self.left.saturating_sub(ack.acked);
        if self.left == 0 {
            // What is in flight now is acknowledged when the next round trip ends.
            self.left = ack.in_flight.saturating_sub(ack.acked).max(1);
            self.has_ended = true;
        }
    }

    /// The mean of the round trip that is over; none when there are too few samples to tell.
    fn mean(&mut self) -> Option<f64> {
        let mean = self.sum / f64::from(self.samples);
        let is_known = self.samples >= LEAST_SAMPLES;
        self.samples = 0;
        self.sum = 0.0;
        is_known.then_some(mean)
    }

    /// Whether the queueing delay grew to twice its smallest, so that the queue is worth draining.
    /// The smallest is forgotten then.
    fn is_worth_draining(&mut self, queueing: f64) -> bool {
        let least = self.queueing.map_or(queueing, |least| least.min(queueing));
        let is_long = queueing > 0.0 && queueing >= 2.0 * least;
        self.queueing = (!is_long && queueing > 0.0).then_some(least);
        is_long
    }
}

impl Rule for Wvegas {
    const KIND: Kind = Kind::Wvegas;

    type State = Delays;

    fn note(_now: Instant, flow: &mut Flow<Delays>, ack: &AckSample) {
        flow.state.note(ack);
    }

    fn grow(_now: Instant, flows: &mut [Flow<Delays>], me: usize, ack: &AckSample) {
        let is_alone = Coupled::new(flows, me).is_none();
        let Some(flow) = flows.get_mut(me) else {
            return;
        };
        let has_ended = std::mem::take(&mut flow.state.has_ended);
        let mean = if has_ended { flow.state.mean() } else { None };
        if is_alone || ack.loss_state != LossState::Open {
            return as_reno(flow, ack);
        }
        match mean {
            Some(rtt) if flow.is_in_slow_start() => slow_start(flow, rtt, ack),
            Some(rtt) => keep_queue(flows, me, rtt),
            None if has_ended || flow.is_in_slow_start() => as_reno(flow, ack),
            None => {}
        }
    }

    fn note_start(flow: &mut Flow<Delays>) {
        // A path may have changed while nothing was sent or all was lost, but its smallest
        // round-trip time is hardly larger now.
        flow.state = Delays {
            base: flow.state.base,
            ..Delays::default()
        };
    }
}

fn as_reno(flow: &mut Flow<Delays>, ack: &AckSample) {
    if flow.is_in_slow_start() {
        flow.slow_start(ack.acked, ack.loss_state);
    } else {
        flow.grow(flow.reno_increase(ack.acked));
    }
}

/// Segments of the window that stand in queues.
fn queued(flow: &Flow<Delays>, rtt: f64) -> f64 {
    flow.window() / flow.segment() * (rtt - flow.state.base) / rtt
}

/// Leaves slow start when more than a segment stands in queues.
fn slow_start(flow: &mut Flow<Delays>, rtt: f64, ack: &AckSample) {
    if queued(flow, rtt) <= GAMMA {
        return flow.slow_start(ack.acked, ack.loss_state);
    }
    let without_queue = flow.window() * flow.state.base / rtt + flow.segment();
    flow.shrink_to(without_queue);
    flow.ssthresh = flow.cwnd;
}

/// A segment more or less, so that `alpha` of them stand in queues.
fn keep_queue(flows: &mut [Flow<Delays>], me: usize, rtt: f64) {
    let weight = flows.get_mut(me).and_then(|flow| {
        // The rate is a fair measure only once the path is used to the full.
        (queued(flow, rtt) >= flow.state.alpha).then(|| flow.state.rate = flow.window() / rtt)
    });
    if weight.is_some() {
        let total: f64 = flows
            .iter()
            .filter(|flow| flow.rtt.is_some())
            .map(|flow| flow.state.rate)
            .sum();
        if let Some(flow) = flows.get_mut(me) {
            flow.state.alpha = (flow.state.rate / total * TOTAL_ALPHA).max(LEAST_ALPHA);
        }
    }
    let Some(flow) = flows.get_mut(me) else {
        return;
    };
    let queued = queued(flow, rtt);
    if queued > flow.state.alpha {
        flow.grow(-flow.segment());
    } else if queued < flow.state.alpha {
        flow.grow(flow.segment());
    }
    // Up to twice what is kept on purpose, a doubled delay is no more than a segment or two.
    let is_more = queued > 2.0 * flow.state.alpha;
    if flow.state.is_worth_draining(rtt - flow.state.base) && is_more {
        flow.shrink_to(flow.window() * flow.state.base / (2.0 * rtt));
    }
    flow.cwnd = flow.cwnd.max(2 * flow.mss);
    // Slow start is over for good, until a loss.
    flow.ssthresh = flow.ssthresh.min(flow.cwnd);
}

/// Segments that all subflows together keep in queues.
const TOTAL_ALPHA: f64 = 10.0;

/// Segments that a subflow keeps in queues at least.
const LEAST_ALPHA: f64 = 2.0;

/// Segments in queues that end slow start.
const GAMMA: f64 = 1.0;

/// Fewer samples in a round trip tell nothing about its delay.
const LEAST_SAMPLES: u32 = 3;
