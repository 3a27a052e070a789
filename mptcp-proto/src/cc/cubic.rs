//! CUBIC on each subflow by itself (RFC 9438).

use std::time::Duration;

use super::flow::{Flow, real, whole_bytes};
use super::flows::{Cause, Rule};
use super::{AckSample, Kind};
use crate::time::Instant;

/// Grows along a cubic curve that is flat where the last loss was.
#[derive(Debug)]
pub(super) struct Cubic;

/// The curve of one subflow; windows in segments, times in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Curve {
    /// Window just before the last reduction, or less after fast convergence; zero when there is
    /// none to return to.
    w_max: f64,
    /// Window just before the last reduction.
    cwnd_prior: f64,
    /// Smoothed round-trip time.
    srtt: f64,
    /// When the subflow was last heard of.
    heard: Option<Instant>,
    /// This stage of congestion avoidance.
    stage: Option<Stage>,
}

#[derive(Debug, Clone, Copy)]
struct Stage {
    epoch: Instant,
    /// Time from the beginning to the flat part of the curve.
    k: f64,
    /// The window at the flat part.
    origin: f64,
    /// What Reno would have (RFC 9438 §4.3).
    w_est: f64,
}

impl Stage {
    /// RFC 9438 §4.2: K is such that the curve begins at the present window, and zero when that is
    /// where the flat part is.
    fn begin(now: Instant, cwnd: f64, w_max: f64) -> Self {
        let (k, origin) = if w_max > cwnd {
            (cube_root((w_max - cwnd) / C), w_max)
        } else {
            (0.0, cwnd)
        };
        Self {
            epoch: now,
            k,
            origin,
            w_est: cwnd,
        }
    }

    /// RFC 9438 equation 1.
    fn w_cubic(&self, t: f64) -> f64 {
        let past = t - self.k;
        C * past * past * past + self.origin
    }
}

impl Curve {
    /// The window after `acked` segments, from `cwnd`, at `now` (RFC 9438 §4.2 to §4.5).
    fn next_window(&mut self, now: Instant, cwnd: f64, acked: f64) -> f64 {
        let (w_max, cwnd_prior, srtt) = (self.w_max, self.cwnd_prior, self.srtt);
        let begin = || Stage::begin(now, cwnd, w_max);
        let stage = self.stage.get_or_insert_with(begin);
        let t = now.since(stage.epoch).as_secs_f64();

        // Equation 4; as fast as Reno itself once the window of before the loss is reached.
        let alpha = if stage.w_est >= cwnd_prior {
            1.0
        } else {
            3.0 * (1.0 - BETA) / (1.0 + BETA)
        };
        stage.w_est += alpha * acked / cwnd;
        if stage.w_cubic(t) < stage.w_est {
            return cwnd.max(stage.w_est);
        }
        let target = stage.w_cubic(t + srtt).clamp(cwnd, 1.5 * cwnd);
        cwnd + (target - cwnd) / cwnd * acked
    }
}

impl Rule for Cubic {
    const KIND: Kind = Kind::Cubic;

    type State = Curve;

    fn note(now: Instant, flow: &mut Flow<Curve>, ack: &AckSample) {
        let curve = &mut flow.state;
        if let Some(rtt) = ack.rtt {
            let rtt = rtt.as_secs_f64();
            // RFC 6298 §2.
            curve.srtt = if curve.srtt > 0.0 {
                curve.srtt + (rtt - curve.srtt) / 8.0
            } else {
                rtt
            };
        }
        // RFC 9438 §4.2: time during which the window was not used does not count.
        if let (false, Some(stage)) = (ack.is_cwnd_limited, &mut curve.stage) {
            stage.epoch += curve.heard.map_or(Duration::ZERO, |heard| now.since(heard));
        }
        curve.heard = Some(now);
    }

    fn avoid(now: Instant, flows: &mut [Flow<Curve>], me: usize, acked: u64) {
        let Some(flow) = flows.get_mut(me) else {
            return;
        };
        let segment = flow.segment();
        let (cwnd, acked) = (flow.window() / segment, flow.counted(acked) / segment);
        let next = flow.state.next_window(now, cwnd, acked);
        flow.grow((next - cwnd) * segment);
    }

    /// RFC 9438 §4.6.
    fn reduced(flows: &[Flow<Curve>], me: usize, flight_size: u64) -> u64 {
        flows.get(me).map_or(0, |flow| {
            let rest = real(flight_size.min(flow.cwnd)) * BETA;
            whole_bytes(rest).max(2 * flow.mss)
        })
    }

    fn note_loss(flow: &mut Flow<Curve>, cause: Cause) {
        let cwnd = flow.window() / flow.segment();
        let curve = &mut flow.state;
        curve.cwnd_prior = cwnd;
        curve.w_max = match cause {
            // §4.8: after a timeout, the curve begins where slow start ends.
            Cause::Timeout => 0.0,
            // §4.7: a window that was not reached again leaves room for others.
            Cause::Loss if cwnd < curve.w_max => cwnd * (1.0 + BETA) / 2.0,
            Cause::Loss => cwnd,
        };
        curve.stage = None;
    }

    fn note_start(flow: &mut Flow<Curve>) {
        flow.state.stage = None;
    }
}

/// The cube root of a positive number, from nothing but operations that give the same bits on
/// every machine: a third of the exponent, then Newton's method.
fn cube_root(x: f64) -> f64 {
    let mut root = f64::from_bits(x.to_bits() / 3 + THIRD_OF_EXPONENT);
    for _ in 0..5 {
        root -= (root - x / (root * root)) / 3.0;
    }
    root
}

/// RFC 9438 §4.1 and §5: segments per cubic second.
const C: f64 = 0.4;

/// RFC 9438 §4.6: what remains after a loss.
const BETA: f64 = 0.7;

/// Two thirds of the exponent's bias, where the exponent lies.
const THIRD_OF_EXPONENT: u64 = (1023 * 2 / 3) << 52;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_are_those_of_the_standard_library() {
        for x in [1e-9, 0.3, 1.0, 7.0, 25.0, 1e3, 123_456.789, 1e12] {
            let error = (cube_root(x) - x.cbrt()).abs() / x.cbrt();
            assert!(error < 1e-14, "{x}: {error}");
        }
    }
}
