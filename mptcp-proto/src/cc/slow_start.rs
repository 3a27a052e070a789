//! `HyStart++` (RFC 9406): leaves the first slow start when round-trip times grow, before the queue
//! is so long that half of a window is lost.

use super::AckSample;
use super::flow::seconds;

/// What the first slow start measures; times in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlowStart {
    /// Bytes until this round is over.
    left: u64,
    /// Smallest round-trip time of the last round, and of this one.
    last: f64,
    current: f64,
    samples: u32,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Standard,
    /// Conservative slow start: a look whether the delay was a queue indeed.
    Conservative {
        baseline: f64,
        rounds: u32,
    },
    /// It was.
    Over,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self {
            left: 0,
            last: f64::INFINITY,
            current: f64::INFINITY,
            samples: 0,
            phase: Phase::Standard,
        }
    }
}

impl SlowStart {
    /// RFC 9406 §4.2, for each acknowledgement.
    pub(super) fn note(&mut self, ack: &AckSample) {
        if let Some(rtt) = ack.rtt.and_then(seconds) {
            self.current = self.current.min(rtt);
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= RTT_SAMPLES {
            self.judge();
        }
        self.left = self.left.saturating_sub(ack.acked);
        if self.left == 0 {
            // What is in flight now is acknowledged when the next round ends.
            self.left = ack.in_flight.saturating_sub(ack.acked).max(1);
            self.end_round();
        }
    }

    fn judge(&mut self) {
        match self.phase {
            Phase::Standard if self.current >= self.last + threshold(self.last) => {
                self.phase = Phase::Conservative {
                    baseline: self.current,
                    rounds: 0,
                };
            }
            Phase::Conservative { baseline, .. } if self.current < baseline => {
                self.phase = Phase::Standard;
            }
            _ => {}
        }
    }

    fn end_round(&mut self) {
        self.last = self.current;
        self.current = f64::INFINITY;
        self.samples = 0;
        // The round in which it began counts, too.
        if let Phase::Conservative { rounds, .. } = &mut self.phase {
            *rounds += 1;
            if *rounds >= CONSERVATIVE_ROUNDS {
                self.phase = Phase::Over;
            }
        }
    }

    /// By how much less the window grows.
    pub(super) const fn divisor(&self) -> u64 {
        match self.phase {
            Phase::Standard => 1,
            Phase::Conservative { .. } | Phase::Over => 4,
        }
    }

    /// Whether congestion avoidance is to begin.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

/// An eighth of the last round's, between 4 and 16 ms; infinite while that is.
fn threshold(last: f64) -> f64 {
    (last / 8.0).clamp(0.004, 0.016)
}

/// RFC 9406 §4.3: fewer samples in a round tell nothing.
const RTT_SAMPLES: u32 = 8;

/// RFC 9406 §4.3.
const CONSERVATIVE_ROUNDS: u32 = 5;
