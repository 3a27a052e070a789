//! MP_FASTCLOSE (RFC 8684 §3.5).

use crate::conn::config::FastCloseForm;
use crate::conn::event::ConnectionEnd;
use crate::conn::subflow::Subflow;
use crate::conn::timer::Timer;
use crate::conn::{Connection, Counter, Phase, State, Violation};
use crate::key::Key;
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

impl Connection {
    /// Ends the connection at once.
    pub(super) fn begin_fast_close(&mut self, how: ConnectionEnd) {
        self.release_token();
        let is_mptcp = self.is_mptcp();
        let survivor = match self.config.fast_close {
            FastCloseForm::Ack if is_mptcp => self.subflows.iter().position(Subflow::is_up),
            _ => None,
        };
        for index in 0..self.subflows.len() {
            let subflow = &mut self.subflows[index];
            subflow.announce.fast_close = is_mptcp;
            if Some(index) == survivor {
                subflow.tcp.ack_now();
            } else if subflow.end.is_none() {
                // The form with RST on every subflow: nobody is waited for.
                subflow.announce.fast_close = is_mptcp && survivor.is_none();
                self.reset_subflow(index, ResetReason::UNSPECIFIED);
            }
        }
        self.timers.stop_all();
        if survivor.is_some() {
            self.state = State::FastCloseWait;
            self.timers
                .set(Timer::FastClose, self.progress.last_received);
        } else {
            self.state = State::Closed;
        }
        self.tell_closed(how);
    }

    /// RFC 8684 §3.5: repeated while nothing answers, then the peer is taken for gone.
    pub(super) fn on_fast_close_timer(&mut self, now: Instant) {
        if self.state != State::FastCloseWait {
            return;
        }
        let up = self.subflows.iter().position(Subflow::is_up);
        let Some(index) = up.filter(|_| self.tries.fast_closes <= self.config.patience.fast_closes)
        else {
            self.reset_all(ResetReason::UNSPECIFIED);
            self.state = State::Closed;
            return;
        };
        if self.tries.fast_closes > 0 {
            self.subflows[index].tcp.ack_now();
        }
        let wait = self.data_rto().saturating_mul(1 << self.tries.fast_closes);
        self.tries.fast_closes = self.tries.fast_closes.saturating_add(1);
        self.timers.set(Timer::FastClose, now + wait);
    }

    /// The peer ends the connection at once.
    pub(super) fn on_fast_close(&mut self, now: Instant, index: usize, key: Key) {
        let Phase::Mptcp(session) = self.phase else {
            return;
        };
        if key != session.local_key {
            self.react(now, index, Violation::FastCloseKey);
            return;
        }
        self.count(Counter::FastcloseRx);
        self.release_token();
        self.timers.stop_all();
        let was_waiting = self.state == State::FastCloseWait;
        self.state = State::Closed;
        // A RST on the subflow that it came on answers it, and ends the others.
        for other in &mut self.subflows {
            other.announce.fast_close = false;
        }
        self.reset_all(ResetReason::UNSPECIFIED);
        if !was_waiting {
            self.tell_closed(ConnectionEnd::ResetByPeer);
        }
    }
}
