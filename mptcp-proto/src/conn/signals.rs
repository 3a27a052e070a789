//! Acknowledgements that are there for an option of MPTCP only (RFC 8684 §3).

use std::time::Duration;

use crate::conn::Connection;
use crate::conn::subflow::Subflow;
use crate::time::Instant;

/// How many of them left a subflow in a row. A box on the path may take three for the sign of a loss.
///
/// As an ADD_ADDR is followed by its echo, each segment that comes makes room for one more, and one that
/// shows progress of the data for all; else a retransmission timeout does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Signals {
    sent: u8,
    /// From when on nobody counts those that left before.
    until: Instant,
}

impl Signals {
    /// RFC 8684 §3: at most two in a row.
    pub(crate) const MAX_IN_A_ROW: u8 = 2;

    /// When another one may leave.
    pub(crate) const fn opens_at(self) -> Instant {
        if self.sent < Self::MAX_IN_A_ROW {
            Instant::ZERO
        } else {
            self.until
        }
    }

    /// One has left.
    pub(crate) fn on_sent(&mut self, now: Instant, rto: Duration) {
        if self.until <= now {
            self.sent = 0;
        }
        self.sent = self.sent.saturating_add(1);
        self.until = now + rto;
    }

    /// A segment of the peer came; `is_progress` when it brought data, or acknowledged some.
    pub(crate) const fn on_received(&mut self, is_progress: bool) {
        self.sent = if is_progress {
            0
        } else {
            self.sent.saturating_sub(1)
        };
    }
}

impl Subflow {
    /// When a signal that waits may leave, if it may not now and nothing but time is missing.
    pub(crate) fn signal_timeout(&self) -> Option<Instant> {
        let waits = self.announce.holds_prio && self.is_up();
        waits.then(|| self.signals.opens_at())
    }

    /// Whether an acknowledgement may leave for a signal only.
    pub(crate) fn may_signal(&self, now: Instant) -> bool {
        self.signals.opens_at() <= now
    }

    /// An MP_PRIO that was held may leave now.
    pub(crate) fn release_prio(&mut self, now: Instant) {
        if self.announce.holds_prio && self.may_signal(now) {
            self.announce.holds_prio = false;
            self.tcp.ack_now();
        }
    }
}

impl Connection {
    /// From when on some subflow may carry options about addresses; none while there is no subflow for it.
    pub(super) fn signals_open_at(&self) -> Option<Instant> {
        let may_carry = self.up().filter(|subflow| !subflow.is_closing);
        may_carry.map(|subflow| subflow.signals.opens_at()).min()
    }
}
