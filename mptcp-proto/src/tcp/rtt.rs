//! Round-trip time and retransmission timeout (RFC 6298).

use std::time::Duration;

use super::config::Config;
use crate::time::Instant;

/// The estimate, and how often the timeout has been doubled.
#[derive(Debug, Clone, Copy)]
pub(super) struct RttEstimator {
    srtt: Duration,
    rttvar: Duration,
    has_sample: bool,
    backoff: u32,
    initial: Duration,
    min: Duration,
    max: Duration,
    /// Smallest of the current and of the previous period, so that a longer path is noticed in time.
    smallest: [Duration; 2],
    period_began: Instant,
}

impl RttEstimator {
    pub(super) const fn new(config: &Config, now: Instant) -> Self {
        Self {
            srtt: Duration::ZERO,
            rttvar: Duration::ZERO,
            has_sample: false,
            backoff: 0,
            initial: config.initial_rto,
            min: config.min_rto,
            max: config.max_rto,
            smallest: [Duration::MAX; 2],
            period_began: now,
        }
    }

    /// Takes a sample. Samples of retransmitted segments must not get here (Karn's rule).
    pub(super) fn add(&mut self, now: Instant, sample: Duration) {
        if self.has_sample {
            let deviation = self.srtt.abs_diff(sample);
            self.rttvar = self.rttvar.saturating_mul(3).saturating_add(deviation) / 4;
            self.srtt = self.srtt.saturating_mul(7).saturating_add(sample) / 8;
        } else {
            self.has_sample = true;
            self.srtt = sample;
            self.rttvar = sample / 2;
        }
        if now.since(self.period_began) > MIN_RTT_PERIOD {
            self.period_began = now;
            self.smallest = [sample, self.smallest[0]];
        }
        self.smallest[0] = self.smallest[0].min(sample);
    }

    /// After the SYN was retransmitted, the timeout for data begins at 3 s (RFC 6298 §5.7).
    pub(super) fn distrust_handshake(&mut self) {
        if !self.has_sample {
            self.initial = self.initial.max(RTO_AFTER_LOST_SYN);
        }
    }

    pub(super) const fn srtt(&self) -> Duration {
        self.srtt
    }

    pub(super) const fn rttvar(&self) -> Duration {
        self.rttvar
    }

    pub(super) const fn has_sample(&self) -> bool {
        self.has_sample
    }

    /// The smallest sample of the last minutes; zero without any.
    pub(super) fn min_rtt(&self) -> Duration {
        let [current, previous] = self.smallest;
        let smallest = current.min(previous);
        if self.has_sample {
            smallest
        } else {
            Duration::ZERO
        }
    }

    /// The timeout, doubled as often as there was a timeout in a row.
    pub(super) fn rto(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.backoff.min(16)).unwrap_or(u32::MAX);
        self.base().saturating_mul(factor).min(self.max)
    }

    /// The timeout without backoff.
    fn base(&self) -> Duration {
        if !self.has_sample {
            return self.initial.min(self.max);
        }
        let variation = self.rttvar.saturating_mul(4).max(GRANULARITY);
        self.srtt
            .saturating_add(variation)
            .max(self.min)
            .min(self.max)
    }

    pub(super) const fn backoff(&self) -> u32 {
        self.backoff
    }

    pub(super) const fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_add(1);
    }

    pub(super) const fn end_backoff(&mut self) {
        self.backoff = 0;
    }
}

/// The clock granularity G of RFC 6298.
const GRANULARITY: Duration = Duration::from_millis(1);
const RTO_AFTER_LOST_SYN: Duration = Duration::from_secs(3);
/// What Linux takes for its window of the smallest round-trip time.
const MIN_RTT_PERIOD: Duration = Duration::from_secs(150);

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn estimator() -> RttEstimator {
        RttEstimator::new(&Config::default(), Instant::ZERO)
    }

    #[test]
    fn the_estimate_follows_the_formulas_of_rfc_6298() {
        let mut rtt = estimator();
        assert_eq!(rtt.rto(), ms(1000));
        rtt.add(Instant::ZERO, ms(100));
        assert_eq!((rtt.srtt(), rtt.rttvar()), (ms(100), ms(50)));
        assert_eq!(rtt.rto(), ms(300));
        // RTTVAR = 3/4 · 50 + 1/4 · |100 − 180| = 57.5; SRTT = 7/8 · 100 + 1/8 · 180 = 110.
        rtt.add(Instant::ZERO, ms(180));
        assert_eq!(rtt.rttvar(), Duration::from_micros(57_500));
        assert_eq!(rtt.srtt(), ms(110));
        assert_eq!(rtt.rto(), ms(340));
        assert_eq!(rtt.min_rtt(), ms(100));
    }

    #[test]
    fn the_timeout_has_a_floor_and_a_ceiling() {
        let mut rtt = estimator();
        rtt.add(Instant::ZERO, Duration::from_micros(10));
        assert_eq!(rtt.rto(), ms(200));
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.rto(), Duration::from_secs(120));
        rtt.end_backoff();
        assert_eq!(rtt.rto(), ms(200));
    }

    #[test]
    fn a_lost_syn_without_sample_makes_the_timeout_three_seconds() {
        let mut rtt = estimator();
        rtt.distrust_handshake();
        assert_eq!(rtt.rto(), ms(3000));
        rtt.add(Instant::ZERO, ms(100));
        assert_eq!(rtt.rto(), ms(300));
    }

    #[test]
    fn an_old_smallest_round_trip_time_is_forgotten() {
        let mut rtt = estimator();
        rtt.add(Instant::ZERO, ms(10));
        for seconds in [200, 400] {
            rtt.add(Instant::from_millis(seconds * 1000), ms(50));
        }
        assert_eq!(rtt.min_rtt(), ms(50));
    }
}
