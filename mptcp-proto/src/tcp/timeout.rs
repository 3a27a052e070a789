//! Deadlines (RFC 6298 §5, RFC 8985 §7, RFC 9293 §3.8).

use super::Tcp;
use super::congestion::CongestionHook;
use super::parts::{Due, Probe};
use super::report::{TcpEvent, TcpEvents, TimedOut};
use super::state::State;
use super::timer::Timer;
use crate::path::LossState;
use crate::time::Instant;

impl Tcp {
    /// Acts on all deadlines up to `now`. Then [`Tcp::poll_transmit`] may have something.
    pub fn handle_timeout(&mut self, now: Instant, cc: &mut dyn CongestionHook) -> TimedOut {
        let mut timed_out = TimedOut::default();
        if self.timers.take_expired(Timer::Close, now) {
            self.finish(&mut timed_out.events);
            return timed_out;
        }
        if self.timers.take_expired(Timer::UserTimeout, now) {
            self.give_up(&mut timed_out.events);
            return timed_out;
        }
        self.timers.take_expired(Timer::Pacing, now);
        if self.timers.take_expired(Timer::DelayedAck, now) && self.debt.due == Due::Later {
            self.debt.due = Due::Now;
        }
        if self.timers.take_expired(Timer::Reordering, now) {
            let in_flight = self.in_flight();
            self.find_late(now, in_flight, cc);
        }
        if self.timers.take_expired(Timer::Retransmission, now) {
            self.timers.clear(Timer::TailLoss);
            self.handle_retransmission_timeout(now, &mut timed_out, cc);
        }
        if self.timers.take_expired(Timer::TailLoss, now) {
            self.send_tail_probe(now);
        }
        if self.timers.take_expired(Timer::Persist, now) {
            self.handle_persist(now, &mut timed_out.events);
        }
        if self.timers.take_expired(Timer::KeepAlive, now) {
            self.handle_keep_alive(now, &mut timed_out.events);
        }
        timed_out
    }

    fn handle_retransmission_timeout(
        &mut self,
        now: Instant,
        timed_out: &mut TimedOut,
        cc: &mut dyn CongestionHook,
    ) {
        let is_opening = matches!(self.state, State::SynSent | State::SynReceived);
        if self.board.is_empty() && !is_opening {
            return;
        }
        let limit = if is_opening {
            self.config.max_syn_retransmissions
        } else {
            self.config.max_retransmissions
        };
        if self.rtt.backoff() >= limit {
            self.give_up(&mut timed_out.events);
            return;
        }
        let is_first = self.rtt.backoff() == 0;
        self.rtt.back_off();
        self.counters.timeouts += 1;
        timed_out.retransmission = true;
        self.timers.set(Timer::Retransmission, now + self.rtt.rto());
        if is_opening {
            self.handshake.is_due = true;
            return;
        }
        let in_flight = self.in_flight();
        let uses_sack = self.negotiated.sack;
        let window = self
            .board
            .reordering_window(true, self.rtt.min_rtt(), self.rtt.srtt());
        self.board.lose_all(now, uses_sack, window);
        self.recovery.begin(LossState::Loss, self.board.nxt());
        self.recovery.duplicates = 0;
        self.outbox.cancel_tail_probe();
        self.timers.clear(Timer::Reordering);
        cc.on_timeout(now, in_flight, is_first);
    }

    /// RFC 8985 §7.3: new data if there is any, or the last segment again.
    fn send_tail_probe(&mut self, now: Instant) {
        if self.board.is_empty() || self.recovery.state != LossState::Open {
            return;
        }
        let has_new = self.unsent() > 0 && self.window_left() > 0;
        self.outbox.repeats_tail = !has_new;
        self.outbox.probes_with_new = has_new;
        self.outbox.is_data_forced = has_new;
        self.timers.set(Timer::Retransmission, now + self.rtt.rto());
    }

    /// The window is closed, or nearly so, and nothing is in flight.
    fn handle_persist(&mut self, now: Instant, events: &mut TcpEvents) {
        if self.board.is_empty() && self.window_left() > 0 {
            self.outbox.is_data_forced = true;
            return;
        }
        if self.probes.unanswered >= self.config.max_retransmissions {
            self.give_up(events);
            return;
        }
        self.probes.unanswered = self.probes.unanswered.saturating_add(1);
        self.probes.window = self.probes.window.saturating_add(1);
        self.outbox.probe = Some(Probe::Window);
        let factor = 1_u32.checked_shl(self.probes.window.min(16)).unwrap_or(1);
        let wait = self.rtt.rto().saturating_mul(factor);
        self.timers
            .set(Timer::Persist, now + wait.min(self.config.max_rto));
    }

    fn handle_keep_alive(&mut self, now: Instant, events: &mut TcpEvents) {
        let Some(keep_alive) = self.config.keep_alive else {
            return;
        };
        if !self.board.is_empty() || self.timers.is_set(Timer::Persist) {
            // The retransmission timer finds out.
            self.timers.set(Timer::KeepAlive, now + keep_alive.idle);
            return;
        }
        if self.probes.keep_alive >= keep_alive.probes {
            self.give_up(events);
            return;
        }
        self.probes.keep_alive = self.probes.keep_alive.saturating_add(1);
        self.outbox.probe = Some(Probe::KeepAlive);
        self.timers.set(Timer::KeepAlive, now + keep_alive.interval);
    }

    fn give_up(&mut self, events: &mut TcpEvents) {
        self.finish(events);
        events.insert(TcpEvent::TimedOut);
    }
}
