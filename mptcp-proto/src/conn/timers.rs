//! What happens when time passes.

use std::time::Duration;

use crate::conn::event::{ConnectionEnd, Event, SubflowEnd};
use crate::conn::hook::Hook;
use crate::conn::subflow::{Proof, Step};
use crate::conn::timer::Timer;
use crate::conn::{Connection, Counter, State, Violation};
use crate::data::send::Reinject;
use crate::tcp::TcpEvent;
use crate::time::Instant;
use crate::wire::mptcp::{Priority, ResetReason};

/// How often each data-level timer has expired since the last progress, and how often the SYN was refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tries {
    retransmissions: u32,
    /// Those after which the peer was there, or was asked, and said nothing of the data.
    unheeded: u32,
    pub(super) data_fins: u32,
    window_probes: u32,
    pub(super) fast_closes: u32,
    /// SYNs with MP_CAPABLE that were refused.
    pub(super) refusals: u32,
    /// A SYN without it is to leave.
    pub(super) is_retry_due: bool,
}

impl Tries {
    pub(super) fn on_progress(&mut self) {
        self.retransmissions = 0;
        self.unheeded = 0;
        self.data_fins = 0;
        self.window_probes = 0;
    }

    /// Expiries of the retransmission timer.
    pub(super) const fn retransmissions(&self) -> u32 {
        self.retransmissions
    }

    /// Twice the time that TCP takes, so that it can repair its own losses; longer each time.
    pub(super) fn retransmission(&self, rto: Duration) -> Duration {
        back_off(rto.saturating_mul(2), self.retransmissions)
    }

    pub(super) fn data_fin(&self, rto: Duration) -> Duration {
        back_off(rto, self.data_fins)
    }

    pub(super) fn window_probe(&self, rto: Duration) -> Duration {
        back_off(rto, self.window_probes)
    }
}

/// `wait`, doubled so many times.
pub(super) fn back_off(wait: Duration, tries: u32) -> Duration {
    wait.saturating_mul(1 << tries.min(MAX_DOUBLINGS))
        .min(MAX_WAIT)
}

impl Connection {
    /// Acts on all deadlines up to `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.progress.now = now;
        self.paths.has_no_room = false;
        for index in 0..self.subflows.len() {
            self.subflow_timeout(now, index);
        }
        while let Some(timer) = self.timers.take_expired(now) {
            self.on_timer(now, timer);
        }
        self.paths_timeout(now);
        self.progress.may_schedule = true;
        self.settle(now);
    }

    fn subflow_timeout(&mut self, now: Instant, index: usize) {
        self.repeat_join_ack(now, index);
        self.repeat_keep_alive(now, index);
        self.subflows[index].release_prio(now);
        if self.subflows[index]
            .tcp
            .poll_timeout()
            .is_none_or(|at| at > now)
        {
            return;
        }
        self.refresh_views();
        let subflow = &mut self.subflows[index];
        let mss = u64::from(subflow.tcp.mss(super::transmit::MAX_RESERVE));
        let mut hook = Hook {
            congestion: &mut *self.congestion,
            id: subflow.id,
            paths: &self.views,
            mss,
        };
        let timed_out = subflow.tcp.handle_timeout(now, &mut hook);
        if timed_out.retransmission {
            self.on_retransmission_timeout(index);
        }
        for event in timed_out.events.iter() {
            match event {
                TcpEvent::TimedOut => {
                    self.end_subflow(index, SubflowEnd::TimedOut);
                    if self.state == State::Opening {
                        self.refused(ConnectionEnd::TimedOut);
                    }
                }
                TcpEvent::Closed => self.end_subflow(index, SubflowEnd::Closed),
                _ => {}
            }
        }
    }

    /// RFC 8684 §3.3.6: what timed out on one subflow may go over another at once.
    fn on_retransmission_timeout(&mut self, index: usize) {
        let subflow = &mut self.subflows[index];
        subflow.timeouts = subflow.timeouts.saturating_add(1);
        let id = subflow.id;
        if subflow.timeouts >= self.config.patience.stale_after && !subflow.is_stale {
            subflow.is_stale = true;
            self.count(Counter::SubflowStale);
            self.tell(Event::SubflowStale { id });
        }
        let others = self
            .subflows
            .iter()
            .any(|other| other.id != id && other.is_usable());
        if self.is_mptcp() && others {
            self.send.reinject_from(id, Reinject::OnlyHere);
        }
    }

    /// RFC 8684 §3.2: the third ACK of a join is repeated until the fourth comes.
    fn repeat_join_ack(&mut self, now: Instant, index: usize) {
        let subflow = &mut self.subflows[index];
        let Some((_, tries)) = subflow.join_ack.filter(|(at, _)| *at <= now) else {
            return;
        };
        if !matches!(subflow.step, Step::JoinAckSent(_)) {
            subflow.join_ack = None;
        } else if tries >= self.config.patience.join_acks {
            subflow.join_ack = None;
            self.reset_subflow(index, ResetReason::UNACCEPTABLE_PERFORMANCE);
        } else {
            let wait = back_off(subflow.rto(), tries);
            subflow.join_ack = Some((now + wait, tries.saturating_add(1)));
            subflow.tcp.ack_now();
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::DataRetransmit => self.on_data_retransmit(now),
            Timer::DataFin => self.on_data_fin_timer(now),
            Timer::WindowProbe => self.on_window_probe(now),
            Timer::FastClose => self.on_fast_close_timer(now),
            Timer::Fail => self.on_fail_timer(),
            Timer::Unmapped => self.on_unmapped_timer(now),
            Timer::Close => self.on_close_timer(now),
        }
    }

    fn on_data_retransmit(&mut self, now: Instant) {
        if !self.is_mptcp() {
            return;
        }
        let mut up = (0..self.subflows.len()).filter(|index| self.subflows[*index].is_up());
        if let (Some(index), None) = (up.next(), up.next())
            && self.subflows[index].tcp.queued() == 0
        {
            let is_bare = self.subflows[index].bare_acks > 0;
            // While a join is under way it may still bring another way.
            if is_bare && self.is_only(index) {
                // All of it was acknowledged, by segments that have lost their options.
                self.react(now, index, Violation::DataAckMissing);
                return;
            }
            let was_asked = self.subflows[index].proof == Proof::Asked;
            if is_bare || !self.is_proven(index) {
                if was_asked {
                    self.tries.retransmissions = self.tries.retransmissions.saturating_add(1);
                    self.note_unheeded();
                }
                self.restart_retransmission(now);
                return;
            }
        }
        if self.is_unheeded() {
            self.note_unheeded();
        }
        self.reinject_oldest();
        self.tries.retransmissions = self.tries.retransmissions.saturating_add(1);
        self.restart_retransmission(now);
    }

    /// Whether a subflow has brought the oldest data over, as TCP sees it, into a window that was promised, and
    /// no DATA_ACK covers them.
    fn is_unheeded(&self) -> bool {
        let Some(oldest) = self.send.oldest() else {
            return false;
        };
        let mut up = self.up().filter(|subflow| subflow.tcp.queued() == 0);
        self.send.is_oldest_welcome() && up.any(|subflow| oldest.subflows.contains(&subflow.id))
    }

    /// R2 of RFC 9293 §3.8.3 at the data level, where TCP sees nothing that would have to be sent again: a peer
    /// that does not take the data by now never will.
    fn note_unheeded(&mut self) {
        self.tries.unheeded = self.tries.unheeded.saturating_add(1);
        if self.tries.unheeded > self.config.tcp.max_retransmissions && !self.state.is_finished() {
            self.give_up(ConnectionEnd::TimedOut);
        }
    }

    /// Whether the peer has shown that it speaks MPTCP since it was asked; asks if need be.
    fn is_proven(&mut self, index: usize) -> bool {
        let subflow = &mut self.subflows[index];
        let is_given = subflow.proof == Proof::Given;
        if is_given {
            subflow.proof = Proof::None;
        } else {
            subflow.proof = Proof::Asked;
            subflow.tcp.probe_now();
        }
        is_given
    }

    fn reinject_oldest(&mut self) {
        let Some(oldest) = self.send.oldest() else {
            return;
        };
        let others = self
            .up()
            .any(|subflow| !oldest.subflows.contains(&subflow.id));
        let is_stuck = oldest.subflows.iter().all(|id| {
            let subflow = self.subflows.iter().find(|subflow| subflow.id == *id);
            subflow.is_none_or(|subflow| subflow.tcp.queued() == 0)
        });
        // A subflow repairs its own losses; only what it believes to have delivered goes there again.
        if others || is_stuck {
            self.send.reinject(oldest.dsn, oldest.len.min(MAX_AT_ONCE));
        }
    }

    fn on_data_fin_timer(&mut self, now: Instant) {
        for index in 0..self.subflows.len() {
            let subflow = &self.subflows[index];
            if self.tries.data_fins > 0 && subflow.is_up() && subflow.bare_acks > 0 {
                self.react(now, index, Violation::DataAckMissing);
            }
        }
        if self.is_mptcp() && self.send.is_fin_unacked() {
            self.tries.data_fins = self.tries.data_fins.saturating_add(1);
            self.progress.is_fin_wanted = true;
            // There may be no subflow to send it on just now.
            let due = now + self.tries.data_fin(self.data_rto());
            self.timers.set(Timer::DataFin, due);
            if self.tries.data_fins > self.config.patience.data_fins {
                self.give_up_data_fin(now);
            }
        }
    }

    /// RFC 9293 §3.8.6.1 at the data level: the update that would open the window may be lost.
    fn on_window_probe(&mut self, now: Instant) {
        if !self.is_mptcp() || !self.is_stuck() {
            return;
        }
        self.count(Counter::WinProbe);
        self.tries.window_probes = self.tries.window_probes.saturating_add(1);
        // The answer opens the window of this subflow alone: it must be one that data go to then.
        let best = self
            .up()
            .filter(|subflow| subflow.is_usable())
            .min_by_key(|subflow| {
                let is_backup = subflow.remote_priority == Priority::Backup;
                (subflow.is_stale, is_backup)
            })
            .map(|subflow| subflow.id);
        if let Some(id) = best {
            let again = self.send.take_reinjection(id, 1, true);
            // What is under way and not DATA_ACKed is sent again in its own time, which asks as well.
            let is_asked = self.send.in_flight() > 0;
            let probe = || (!is_asked).then(|| self.send.take_probe(id)).flatten();
            if let Some((dsn, payload)) = again.or_else(probe) {
                self.give_again(now, id, dsn, payload);
            }
        }
        let due = now + self.tries.window_probe(self.data_rto());
        self.timers.set(Timer::WindowProbe, due);
    }

    /// The peer never acknowledges the DATA_FIN. Where it has sent its own, all is said but that; else it
    /// has a while to show up.
    fn give_up_data_fin(&mut self, now: Instant) {
        if matches!(self.state, State::Closing | State::LastAck) {
            self.subflows
                .iter_mut()
                .for_each(super::subflow::Subflow::close);
        }
        let due = now + self.config.patience.without_subflow;
        self.timers.set_if_stopped(Timer::Close, due);
    }
}

/// Bytes that one expiry of the data-level timer sends again: what a congestion window begins with.
const MAX_AT_ONCE: u64 = 14_600;
const MAX_DOUBLINGS: u32 = 10;
const MAX_WAIT: Duration = Duration::from_secs(60);
