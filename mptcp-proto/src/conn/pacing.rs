//! Segments of a window that leave one after the other, not in one burst.

use std::time::Duration;

use crate::path::SubflowId;
use crate::time::Instant;

use super::Connection;

/// How fast a subflow may send, beside what its windows allow. Retransmissions and segments without data
/// leave at once; they count like the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Pacing {
    /// As fast as the windows allow: acknowledgements set the pace.
    #[default]
    Off,
    /// As Linux paces: a window and a fifth in each round trip, two windows while slow start doubles it.
    Window,
    /// So many bytes of payload a second on each subflow, and no more than [`Pacing::Window`] allows.
    Rate(u64),
}

impl Pacing {
    /// Bytes a second of a subflow with this window, threshold and smoothed round-trip time; none while there
    /// is no limit.
    pub fn rate(self, cwnd: u64, ssthresh: u64, srtt: Duration) -> Option<u64> {
        let percent = if cwnd < ssthresh / 2 { 200 } else { 120 };
        let bytes = u128::from(cwnd) * percent / 100;
        let by_window = (bytes * NANOS_PER_SECOND).checked_div(srtt.as_nanos());
        let by_window = by_window.map(|rate| u64::try_from(rate).unwrap_or(u64::MAX).max(1));
        match self {
            Self::Off => None,
            Self::Window => by_window,
            Self::Rate(rate) => Some(rate.max(1).min(by_window.unwrap_or(u64::MAX))),
        }
    }
}

/// When the next segment of a subflow may leave.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    next: Instant,
}

impl Pace {
    /// From when on new data may leave.
    pub(crate) fn not_before(self, now: Instant) -> Instant {
        // A clock that was set back must not stop a subflow.
        if self.next.since(now) > MAX_GAP {
            return now;
        }
        self.next
    }

    /// So many bytes left at `now`, at so many a second.
    fn on_sent(&mut self, now: Instant, bytes: u64, rate: u64) {
        let gap = u128::from(bytes) * NANOS_PER_SECOND / u128::from(rate.max(1));
        let gap = Duration::from_nanos(u64::try_from(gap).unwrap_or(u64::MAX)).min(MAX_GAP);
        // A clock that wakes late is caught up with, a pause is not.
        let late = Instant::from_nanos(now.as_nanos().saturating_sub(MAX_LATE_NANOS));
        self.next = self.not_before(now).max(late) + gap;
    }
}

impl Connection {
    /// Bytes a second that this subflow may send now; none while there is no limit.
    pub(super) fn pacing_rate(&self, index: usize) -> Option<u64> {
        if self.config.pacing == Pacing::Off {
            return None;
        }
        let id: SubflowId = self.subflows[index].id;
        let (cwnd, ssthresh) = (self.congestion.cwnd(id), self.congestion.ssthresh(id));
        let srtt = self.subflows[index].tcp.info().srtt;
        self.config.pacing.rate(cwnd, ssthresh, srtt)
    }

    /// A segment with so many bytes of payload leaves.
    pub(super) fn pace(&mut self, now: Instant, index: usize, bytes: usize) {
        if let Some(rate) = self.pacing_rate(index) {
            self.subflows[index].pace.on_sent(now, bytes as u64, rate);
        }
    }
}

const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// So much of a burst a host may make up for that was woken late: the timers of many have milliseconds.
const MAX_LATE_NANOS: u64 = 1_000_000;
/// However small the rate is, segments go on.
const MAX_GAP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_rate(pacing: Pacing, (cwnd, ssthresh): (u64, u64), srtt_ms: u64, rate: Option<u64>) {
        let srtt = Duration::from_millis(srtt_ms);
        assert_eq!(pacing.rate(cwnd, ssthresh, srtt), rate);
    }

    #[test]
    fn the_rate_is_that_of_linux() {
        // tcp_update_pacing_rate: 200 % below half of the threshold, 120 % from there on.
        check_rate(Pacing::Window, (10_000, u64::MAX), 100, Some(200_000));
        check_rate(Pacing::Window, (10_000, 20_001), 100, Some(120_000));
        check_rate(Pacing::Window, (10_000, 30_000), 100, Some(200_000));
        check_rate(Pacing::Window, (10_000, 8000), 100, Some(120_000));
        // Before the first sample there is no pace, but for a rate that was asked for.
        check_rate(Pacing::Window, (10_000, 8000), 0, None);
        check_rate(Pacing::Rate(5000), (10_000, 8000), 0, Some(5000));
        check_rate(Pacing::Rate(5000), (10_000, 8000), 100, Some(5000));
        check_rate(Pacing::Rate(500_000), (10_000, 8000), 100, Some(120_000));
        check_rate(Pacing::Off, (10_000, 8000), 100, None);
    }

    #[test]
    fn a_late_clock_is_caught_up_with_and_a_pause_is_not() {
        let mut pace = Pace::default();
        let at = |micros: u64| Instant::from_micros(1_000_000 + micros);
        let next = |pace: Pace| pace.not_before(at(0));
        // 1000 bytes in 100 µs each; the first one after a pause.
        pace.on_sent(at(0), 1000, 10_000_000);
        assert_eq!(next(pace), Instant::from_micros(1_000_000 - 1000 + 100));
        // Ten segments make up for the millisecond, and the next one waits.
        for _ in 0..10 {
            assert!(next(pace) <= at(0));
            pace.on_sent(at(0), 1000, 10_000_000);
        }
        assert_eq!(next(pace), at(100));
        pace.on_sent(at(150), 1000, 10_000_000);
        assert_eq!(next(pace), at(200));
        // A clock that was set back by more than a minute begins anew.
        let early = Instant::from_micros(5);
        let mut far = Pace {
            next: early + Duration::from_secs(3600),
        };
        assert_eq!(far.not_before(early), early);
        far.on_sent(early, 1000, 10_000_000);
        assert_eq!(far.not_before(early), early + Duration::from_micros(100));
    }
}
