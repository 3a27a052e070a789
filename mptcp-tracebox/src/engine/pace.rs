//! How fast packets may leave: in all, and towards each hop.

use std::time::Duration;

use mptcp_proto::time::Instant;

/// A bucket of tokens that fills up again with time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bucket {
    level: f64,
    burst: f64,
    /// Tokens in a second.
    rate: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(burst: u32, rate: u32, at: Instant) -> Self {
        Self {
            level: f64::from(burst),
            burst: f64::from(burst),
            rate: f64::from(rate.max(1)),
            at,
        }
    }

    /// What the router at a hop is believed to allow before it has shown more: the limits of Linux, one
    /// ICMP error a second for each host after a burst of six (IPv4), ten a second (IPv6).
    pub(super) fn of_router(is_v4: bool, at: Instant) -> Self {
        let rate = if is_v4 { 1 } else { 10 };
        Self::new(ROUTER_BURST, rate, at)
    }

    /// When so many tokens will be there.
    pub(super) fn ready_at(&self, tokens: u32, now: Instant) -> Instant {
        let missing = f64::from(tokens) - self.filled(now);
        if missing <= 0.0 {
            return now;
        }
        // A nanosecond more, or rounding would ask again for ever.
        now + Duration::from_secs_f64(missing / self.rate) + Duration::from_nanos(1)
    }

    /// Takes a token; the level may go below zero where the caller did not ask first.
    pub(super) fn take(&mut self, now: Instant) {
        self.level = self.filled(now) - 1.0;
        self.at = now;
    }

    /// A router answered: it had the token, and may have more than was believed.
    pub(super) fn give_back(&mut self) {
        self.level = (self.level + 1.0).min(MOST_TOKENS);
        self.burst = self.burst.max(self.level);
    }

    fn filled(&self, now: Instant) -> f64 {
        let more = now.since(self.at).as_secs_f64() * self.rate;
        (self.level + more).min(self.burst.max(1.0))
    }
}

/// Errors that a Linux router sends at once.
const ROUTER_BURST: u32 = 6;
/// However many answers came, no more are asked for at once.
const MOST_TOKENS: f64 = 64.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_burst_and_then_its_rate() {
        let mut bucket = Bucket::new(2, 10, Instant::ZERO);
        bucket.take(Instant::ZERO);
        assert_eq!(bucket.ready_at(1, Instant::ZERO), Instant::ZERO);
        bucket.take(Instant::ZERO);
        let ready = bucket.ready_at(1, Instant::ZERO);
        assert_eq!(ready.as_millis(), 100);
        assert_eq!(bucket.ready_at(1, ready), ready);
        bucket.take(ready);
        let later = ready + Duration::from_secs(60);
        assert_eq!(bucket.ready_at(2, later), later);
        assert!(bucket.ready_at(3, later) > later);
    }

    #[test]
    fn answers_raise_what_a_router_is_believed_to_allow() {
        let mut bucket = Bucket::of_router(true, Instant::ZERO);
        for _ in 0..1000 {
            assert_eq!(bucket.ready_at(1, Instant::ZERO), Instant::ZERO);
            bucket.take(Instant::ZERO);
            bucket.give_back();
        }
        for _ in 0..6 {
            bucket.take(Instant::ZERO);
        }
        assert_eq!(bucket.ready_at(1, Instant::ZERO).as_millis(), 1000);
    }
}
