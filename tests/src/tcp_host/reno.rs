//! Congestion control as simple as it may be (RFC 5681), to drive a TCP connection in tests.

use mptcp_proto::path::LossState;
use mptcp_proto::tcp::{AckSample, CongestionHook};
use mptcp_proto::time::Instant;

/// Slow start and congestion avoidance. Sizes are in bytes.
#[derive(Debug, Clone)]
pub struct Reno {
    mss: u64,
    cwnd: u64,
    ssthresh: u64,
    before: (u64, u64),
    /// Times that `on_loss`, `on_timeout` and `on_undo` were called.
    pub calls: [u32; 3],
}

impl Reno {
    /// Begins with ten segments (RFC 6928).
    pub const fn new(mss: u64) -> Self {
        Self {
            mss,
            cwnd: mss.saturating_mul(10),
            ssthresh: u64::MAX,
            before: (0, 0),
            calls: [0; 3],
        }
    }
}

impl CongestionHook for Reno {
    fn on_ack(&mut self, _now: Instant, sample: &AckSample) {
        if sample.loss_state == LossState::Recovery || !sample.is_cwnd_limited {
            return;
        }
        if self.cwnd < self.ssthresh {
            self.cwnd += sample.acked.min(2 * self.mss);
        } else {
            self.cwnd += (self.mss * sample.acked / self.cwnd).max(1);
        }
    }

    fn on_loss(&mut self, _now: Instant, in_flight: u64) {
        self.calls[0] += 1;
        self.before = (self.cwnd, self.ssthresh);
        self.ssthresh = (in_flight / 2).max(2 * self.mss);
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, _now: Instant) {}

    fn on_timeout(&mut self, _now: Instant, in_flight: u64, is_first: bool) {
        self.calls[1] += 1;
        if is_first {
            self.before = (self.cwnd, self.ssthresh);
            self.ssthresh = (in_flight / 2).max(2 * self.mss);
        }
        self.cwnd = self.mss;
    }

    fn on_undo(&mut self, _now: Instant) {
        self.calls[2] += 1;
        self.cwnd = self.cwnd.max(self.before.0);
        self.ssthresh = self.ssthresh.max(self.before.1);
    }

    fn cwnd(&self) -> u64 {
        self.cwnd
    }

    fn ssthresh(&self) -> u64 {
        self.ssthresh
    }
}
