//! The deadlines of a connection.

use crate::time::Instant;

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Retransmission (RFC 6298), of SYN and FIN too.
    Retransmission,
    /// Tail loss probe (RFC 8985 §7.2).
    TailLoss,
    /// A segment counts as lost unless it is acknowledged by then (RFC 8985 §6.2).
    Reordering,
    /// Window probe (RFC 9293 §3.8.6.1).
    Persist,
    /// An acknowledgement that waits for data (RFC 5681 §4.2).
    DelayedAck,
    /// Keep-alive (RFC 9293 §3.8.4).
    KeepAlive,
    /// Data unacknowledged for too long (RFC 9293 §3.8.3).
    UserTimeout,
    /// End of TIME-WAIT, or of a FIN-WAIT-2 that nobody waits for.
    Close,
    /// New data may leave (pacing).
    Pacing,
}

const TIMERS: usize = 9;

/// The table; the far future stands for none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timers([Instant; TIMERS]);

impl Timers {
    pub(super) const fn new() -> Self {
        Self([Instant::FAR_FUTURE; TIMERS])
    }

    pub(super) const fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = at;
    }

    pub(super) const fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = Instant::FAR_FUTURE;
    }

    pub(super) const fn clear_all(&mut self) {
        *self = Self::new();
    }

    pub(super) const fn get(&self, timer: Timer) -> Instant {
        self.0[timer as usize]
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer) != Instant::FAR_FUTURE
    }

    /// Clears the timer when its time has come, and says whether it has.
    pub(super) fn take_expired(&mut self, timer: Timer, now: Instant) -> bool {
        let expired = self.is_set(timer) && self.get(timer) <= now;
        if expired {
            self.clear(timer);
        }
        expired
    }

    /// The first deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        let first = self.0.iter().copied().min()?;
        (first != Instant::FAR_FUTURE).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_deadline_is_the_next() {
        let mut timers = Timers::new();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Pacing, Instant::from_millis(5));
        timers.set(Timer::Persist, Instant::from_millis(3));
        assert_eq!(timers.next(), Some(Instant::from_millis(3)));
        assert!(!timers.take_expired(Timer::Pacing, Instant::from_millis(4)));
        assert!(timers.take_expired(Timer::Persist, Instant::from_millis(4)));
        assert_eq!(timers.next(), Some(Instant::from_millis(5)));
    }
}
