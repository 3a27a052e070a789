//! The end of subflows, and rules that are broken on them.

use crate::conn::event::{ConnectionEnd, Event, SubflowEnd};
use crate::conn::subflow::Step;
use crate::conn::timer::Timer;
use crate::conn::{Change, Connection, Counter, Phase, Reaction, State, Violation};
use crate::pm::PmSubflow;
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

impl Connection {
    /// Does what [`Violation::reaction`] says.
    pub(super) fn react(&mut self, now: Instant, index: usize, violation: Violation) {
        let id = self.subflows[index].id;
        self.tell(Event::Violation { id, violation });
        match violation.reaction() {
            // MP_FAIL wants the DSN, which the caller knows.
            Reaction::Ignore | Reaction::Fail => {}
            Reaction::Reset(reason) => self.reset_subflow(index, reason),
            Reaction::FallBackOrReset(fallback, reset) => {
                if self.may_fall_back_unasked(index) {
                    self.count(Counter::DssFallback);
                    self.fall_back_unasked(now, index, fallback);
                } else {
                    self.count(Counter::FallbackFailed);
                    self.count(Counter::DssCorruptionReset);
                    if violation == Violation::MappingConflict {
                        // Which of its mappings was the wrong one nobody knows: data may lie in a place that
                        // is not theirs. What is in order was there before.
                        self.receive.discard_out_of_order();
                    }
                    self.reset_subflow(index, reset);
                }
            }
        }
    }

    /// Resets a subflow, with MP_TCPRST where the version has it (RFC 8684 §3.6).
    pub(super) fn reset_subflow(&mut self, index: usize, reason: ResetReason) {
        self.subflows[index].reset(reason);
        self.end_subflow(index, SubflowEnd::ResetByUs { reason });
    }

    /// A segment came; the subflow was stale before, or not. RFC 8684 §3.6, reason 4: where the subflow would
    /// be busy for long with what other subflows have brought over meanwhile, a new one is better.
    pub(super) fn shed_outstanding(&mut self, index: usize, was_stale: bool) {
        let subflow = &self.subflows[index];
        if !was_stale || !self.is_mptcp() || !subflow.is_up() {
            return;
        }
        let id = subflow.id;
        let has_other = self
            .up()
            .any(|other| other.id != id && other.is_usable() && !other.is_stale);
        if has_other && self.outstanding(index) > self.config.max_outstanding {
            self.reset_subflow(index, ResetReason::TOO_MUCH_OUTSTANDING_DATA);
        }
    }

    /// Bytes that a subflow still has to bring over though the peer has DATA_ACKed them.
    pub(super) fn outstanding(&self, index: usize) -> u64 {
        let subflow = &self.subflows[index];
        let needed = self.send.carried_by(subflow.id);
        subflow.tcp.queued().saturating_sub(needed)
    }

    /// A subflow is gone: what only it carried goes over another one (RFC 8684 §3.3.6).
    pub(super) fn end_subflow(&mut self, index: usize, how: SubflowEnd) {
        let subflow = &mut self.subflows[index];
        let how = *subflow.end.get_or_insert(how);
        if subflow.is_down {
            return;
        }
        subflow.is_down = true;
        subflow.join_ack = None;
        subflow.keep_alive = None;
        let (id, was_up) = (subflow.id, subflow.step == Step::Up);
        let view = PmSubflow {
            is_established: was_up,
            ..subflow.pm_view()
        };
        let by_peer = subflow.is_closed_by_peer;
        self.progress.has_lost_subflow |= was_up && how != SubflowEnd::Closed;
        self.congestion.remove(id);
        self.tuning.remove(id);
        if self.is_mptcp() {
            self.send.forget_subflow(id);
        }
        if was_up || id.0 > 0 {
            self.tell(Event::SubflowDown { id, how });
        }
        self.on_subflow_down(view, how, by_peer);
        self.progress.may_schedule = true;
        match self.phase {
            Phase::Tcp(_) if !self.progress.is_closed_told => self.end_tcp(how),
            // Without both keys nothing can join: the connection ends with its only subflow.
            Phase::SynSent(_) | Phase::SynReceived(_) if self.state == State::Opening => {
                self.refused(match how {
                    SubflowEnd::TimedOut | SubflowEnd::Unreachable => ConnectionEnd::TimedOut,
                    SubflowEnd::ResetByUs { .. } => ConnectionEnd::Aborted,
                    SubflowEnd::ResetByPeer { .. } | SubflowEnd::Closed => ConnectionEnd::Refused,
                });
            }
            _ => {}
        }
    }

    /// The only subflow of a connection that is TCP has ended.
    fn end_tcp(&mut self, how: SubflowEnd) {
        let how = match how {
            // Its FIN had left when the connection became TCP, and so it ended the data too early; or the
            // peer's FIN did not end what came.
            SubflowEnd::Closed if !self.send.is_finished() || !self.receive.is_fin_reached() => {
                ConnectionEnd::Aborted
            }
            SubflowEnd::Closed => ConnectionEnd::Closed,
            SubflowEnd::ResetByPeer { .. } if self.state == State::Opening => {
                ConnectionEnd::Refused
            }
            SubflowEnd::ResetByPeer { .. } => ConnectionEnd::ResetByPeer,
            SubflowEnd::ResetByUs { .. } => ConnectionEnd::Aborted,
            SubflowEnd::TimedOut | SubflowEnd::Unreachable => ConnectionEnd::TimedOut,
        };
        self.state = State::Closed;
        self.timers.stop_all();
        self.tell_closed(how);
    }

    /// Forgets subflows of which nothing is left to send or to wait for.
    pub(super) fn reap(&mut self) {
        let changes = &mut self.changes;
        self.subflows.retain(|subflow| {
            let is_gone = subflow.tcp.state() == crate::tcp::State::Closed;
            if is_gone {
                changes.push_back(Change::PathClosed(subflow.path()));
            }
            !is_gone
        });
        if self.state == State::Closed && self.subflows.is_empty() {
            self.timers.stop_all();
        }
    }

    /// The subflow that is up, when it is the only one that is not gone. A join under way counts: the peer
    /// may be further with it.
    pub(super) fn only_up(&self) -> Option<usize> {
        let mut alive = (0..)
            .zip(&self.subflows)
            .filter(|(_, subflow)| subflow.end.is_none());
        match (alive.next(), alive.next()) {
            (Some((index, subflow)), None) if subflow.is_up() => Some(index),
            _ => None,
        }
    }

    /// Makes every subflow that is up acknowledge.
    pub(super) fn ack_on_all(&mut self) {
        for subflow in &mut self.subflows {
            if subflow.is_up() {
                subflow.tcp.ack_now();
            }
        }
    }

    /// No subflow is left: a new one may come (RFC 8684 §3.9.3, break before make).
    pub(super) fn wait_for_subflow(&mut self, now: Instant) {
        let has_any = self.subflows.iter().any(|subflow| subflow.end.is_none());
        let is_said = matches!(self.state, State::LastAck | State::Closing);
        let mut ends = self.subflows.iter().filter_map(|subflow| subflow.end);
        if !has_any
            && self.is_mptcp()
            && is_said
            && self.send.in_flight() == 0
            && self.send.unsent() == 0
            && self.send.is_fin_unacked()
            && ends.any(|end| end == SubflowEnd::Closed)
        {
            // Both have said all, and closed the subflow: only the DATA_ACK of the DATA_FIN is missing.
            self.release_token();
            self.timers.stop_all();
            self.state = State::Closed;
            self.tell_closed(ConnectionEnd::Closed);
            return;
        }
        if !has_any && self.is_mptcp() && !self.state.is_finished() {
            let due = now + self.config.patience.without_subflow;
            self.timers.set_if_stopped(Timer::Close, due);
        }
    }
}
