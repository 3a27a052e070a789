//! The timers of a connection: one enum, one table. Those of a subflow's TCP, TIME-WAIT among them, are
//! its own, and those of addresses that of the address book and the path manager.

use crate::time::Instant;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// No DATA_ACK came: data are sent again, on another subflow where there is one (RFC 8684 §3.3.6).
    DataRetransmit,
    /// The DATA_FIN is not acknowledged (RFC 8684 §3.3.3).
    DataFin,
    /// The receiver's data-level window is shut, and its update may be lost.
    WindowProbe,
    /// Nothing answered MP_FASTCLOSE (RFC 8684 §3.5).
    FastClose,
    /// Nothing answered MP_FAIL (RFC 8684 §3.7).
    Fail,
    /// Data without a mapping: none may come any more (RFC 8684 §3.7).
    Unmapped,
    /// No subflow is left, or the peer does not close (RFC 8684 §3.3.3).
    Close,
}

impl Timer {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DataRetransmit,
        Self::DataFin,
        Self::WindowProbe,
        Self::FastClose,
        Self::Fail,
        Self::Unmapped,
        Self::Close,
    ];
}

/// When each timer is due.
#[derive(Debug, Clone, Default)]
pub struct TimerTable {
    due: [Option<Instant>; Timer::ALL.len()],
}

impl TimerTable {
    /// Starts a timer, or moves it.
    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.due[timer as usize] = Some(at);
    }

    /// Starts a timer unless it runs.
    pub fn set_if_stopped(&mut self, timer: Timer, at: Instant) {
        self.due[timer as usize].get_or_insert(at);
    }

    /// Stops a timer.
    pub fn stop(&mut self, timer: Timer) {
        self.due[timer as usize] = None;
    }

    /// Stops all timers.
    pub fn stop_all(&mut self) {
        self.due = Default::default();
    }

    /// When a timer is due, if it runs.
    pub fn get(&self, timer: Timer) -> Option<Instant> {
        self.due[timer as usize]
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }

    /// A timer that is due now; it is stopped.
    pub fn take_expired(&mut self, now: Instant) -> Option<Timer> {
        let due = |timer: &Timer| self.get(*timer).is_some_and(|at| at <= now);
        let timer = Timer::ALL.into_iter().find(due)?;
        self.stop(timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_expires_once_and_not_before_its_time() {
        let mut timers = TimerTable::default();
        let at = Instant::from_millis(5);
        timers.set(Timer::DataFin, at);
        timers.set_if_stopped(Timer::DataFin, Instant::FAR_FUTURE);
        assert_eq!(timers.next(), Some(at));
        assert_eq!(timers.take_expired(Instant::from_millis(4)), None);
        assert_eq!(timers.take_expired(at), Some(Timer::DataFin));
        assert_eq!(timers.take_expired(at), None);
        assert_eq!(timers.next(), None);
    }
}
