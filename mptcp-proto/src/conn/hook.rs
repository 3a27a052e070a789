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
}

impl CongestionHook for Hook<'_> {
    fn on_ack(&mut self, now: Instant, sample: &tcp::AckSample) {
        let sample = AckSample {
            acked: sample.acked,
            rtt: sample.rtt,
            in_flight: sample.in_flight,
            is_cwnd_limited: sample.is_cwnd_limited,
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
