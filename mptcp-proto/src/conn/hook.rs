//! What a subflow's TCP tells congestion control, which knows all subflows.

use crate::cc::{AckSample, CongestionControl, Timeout};
use crate::path::{PathView, SubflowId};
use crate::tcp::{self, CongestionHook};
use crate::time::Instant;

/// Congestion control of the connection, for one subflow.
pub(crate) struct Hook<'a> {
    pub(crate) congestion: &'a mut dyn CongestionControl,
    pub(crate) id: SubflowId,
    pub(crate) paths: &'a [PathView],
    /// Largest payload of a segment.
    pub(crate) mss: u64,
}

impl Hook<'_> {
    /// TCP has no more than the window lets it send, because the scheduler gives it no more, and so cannot
    /// know that the window holds it back. As in Linux, half of the window counts in slow start.
    fn fills_window(&self, in_flight: u64) -> bool {
        let (cwnd, ssthresh) = (
            self.congestion.cwnd(self.id),
            self.congestion.ssthresh(self.id),
        );
        if cwnd < ssthresh {
            in_flight.saturating_mul(2) > cwnd
        } else {
            in_flight.saturating_add(self.mss.saturating_mul(2)) > cwnd
        }
    }
}

impl CongestionHook for Hook<'_> {
    fn on_ack(&mut self, now: Instant, sample: &tcp::AckSample) {
        let sample = AckSample {
            acked: sample.acked,
            rtt: sample.rtt,
            in_flight: sample.in_flight,
            is_cwnd_limited: sample.is_cwnd_limited || self.fills_window(sample.in_flight),
            ece: sample.ece,
            loss_state: sample.loss_state,
        };
        self.congestion.on_ack(now, self.id, &sample, self.paths);
    }

    fn on_loss(&mut self, now: Instant, in_flight: u64) {
        self.congestion.on_loss(now, self.id, in_flight, self.paths);
    }

    fn on_recovered(&mut self, now: Instant) {
        self.congestion.on_recovered(now, self.id);
    }

    fn on_timeout(&mut self, now: Instant, in_flight: u64, is_first: bool) {
        let timeout = Timeout {
            flight_size: in_flight,
            is_first,
        };
        self.congestion
            .on_timeout(now, self.id, timeout, self.paths);
    }

    fn on_undo(&mut self, now: Instant) {
        self.congestion.on_undo(now, self.id);
    }

    fn cwnd(&self) -> u64 {
        self.congestion.cwnd(self.id)
    }

    fn ssthresh(&self) -> u64 {
        self.congestion.ssthresh(self.id)
    }
}
