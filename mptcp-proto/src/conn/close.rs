//! The end of a connection (RFC 8684 §3.3.3).

use crate::conn::event::{ConnectionEnd, SubflowEnd};
use crate::conn::subflow::Step;
use crate::conn::timer::Timer;
use crate::conn::{Change, Connection, Phase, State, Violation};
use crate::data::send::{DataAcked, Reinject};
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

impl Connection {
    /// The peer's FIN on a subflow is reached.
    pub(super) fn on_fin(&mut self, now: Instant, index: usize) {
        match self.phase {
            Phase::Tcp(_) => {
                // FIN stands for DATA_FIN after fallback (RFC 8684 §3.7).
                self.receive.set_fin(self.receive.next_dsn());
                self.check_end_of_data();
            }
            Phase::Mptcp(_) => {
                if let Some(violation) = self.fallback_shown_by_fin(index) {
                    // What comes of it treats the FIN as that of TCP.
                    return self.react(now, index, violation);
                }
                // RFC 8684 §3.3.3: without a DATA_FIN it closes this subflow and nothing else.
                let is_needed = self.is_needed_after_fin(index);
                let subflow = &mut self.subflows[index];
                subflow.is_closed_by_peer |= !subflow.is_closing;
                if is_needed {
                    return;
                }
                let id = subflow.id;
                subflow.close();
                if !self.state.is_finished() {
                    self.send.reinject_from(id, Reinject::OnlyHere);
                }
                self.restart_retransmission(now);
            }
            _ => {}
        }
    }

    /// Whether our data have no other way, and the peer waits for nothing but them: a FIN ends one direction
    /// only (RFC 9293 §3.6). A join under way is none yet: a peer that is TCP by now refuses it.
    fn is_needed_after_fin(&self, index: usize) -> bool {
        let has_data =
            self.send.unsent() > 0 || self.send.in_flight() > 0 || self.state.may_write();
        let id = self.subflows[index].id;
        let has_other = self.up().any(|other| other.id != id && other.is_usable());
        has_data && self.receive.is_fin_reached() && self.subflows[index].is_up() && !has_other
    }

    /// A FIN after data without mapping, or after segments without any option, is that of a peer that has
    /// fallen back (RFC 8684 §3.7): nothing follows it that could still bring an option.
    fn fallback_shown_by_fin(&mut self, index: usize) -> Option<Violation> {
        let subflow = &self.subflows[index];
        let is_unmapped = subflow.incoming.unmapped_bytes() > 0 && subflow.bare_segments > 0;
        let is_bare = subflow.bare_acks > 1;
        if (is_unmapped || is_bare) && self.is_one_stream(index) {
            self.give_up_unanswered_joins();
        }
        if !self.may_fall_back_unasked(index) {
            return None;
        }
        match (is_unmapped, is_bare) {
            (true, _) => Some(Violation::OptionsMissing),
            (false, true) => Some(Violation::DataAckMissing),
            (false, false) => None,
        }
    }

    /// A host that is TCP will not answer a join, and nothing can have come over one without its SYN/ACK.
    fn give_up_unanswered_joins(&mut self) {
        for index in 0..self.subflows.len() {
            let subflow = &self.subflows[index];
            if matches!(subflow.step, Step::JoinSynSent(_)) && subflow.end.is_none() {
                self.reset_subflow(index, ResetReason::UNSPECIFIED);
            }
        }
    }

    /// Our FIN is acknowledged.
    pub(super) fn on_fin_acked(&mut self, now: Instant) {
        if let (Phase::Tcp(_), Some(fin)) = (self.phase, self.send.fin_dsn())
            && let DataAcked::Advanced { bytes, fin } = self.send.on_data_ack(fin.add(1))
        {
            self.on_data_acked(now, bytes, fin);
        }
    }

    /// Does what follows from the states, after anything happened.
    pub(super) fn settle(&mut self, now: Instant) {
        if !self.is_mptcp() {
            self.settle_tcp(now);
            return;
        }
        if self.state == State::FastCloseWait {
            if self.subflows.iter().all(|subflow| subflow.end.is_some()) {
                self.timers.stop_all();
                self.state = State::Closed;
            }
        } else if self.state.is_finished() {
            self.settle_finished(now);
        } else {
            self.wait_for_subflow(now);
        }
    }

    /// The peer's DATA_FIN came before the fallback, and so nothing waits for its FIN: it may be long in
    /// coming, or never come.
    fn settle_tcp(&mut self, now: Instant) {
        let is_open = |subflow: &super::subflow::Subflow| subflow.end.is_none();
        if self.state.is_finished() && self.subflows.iter().any(is_open) {
            let due = now + self.config.patience.subflow_close;
            self.timers.set_if_stopped(Timer::Close, due);
        }
    }

    /// All data and both DATA_FINs are acknowledged: the subflows close.
    fn settle_finished(&mut self, now: Instant) {
        self.release_token();
        self.timers.stop(Timer::DataRetransmit);
        self.timers.stop(Timer::DataFin);
        for index in 0..self.subflows.len() {
            // What is not up by now has nothing to carry, and must not keep the others waiting.
            if self.subflows[index].step != Step::Up && self.subflows[index].end.is_none() {
                let reason = ResetReason::UNSPECIFIED;
                self.subflows[index].reset(reason);
                self.end_subflow(index, SubflowEnd::ResetByUs { reason });
            }
        }
        for subflow in &mut self.subflows {
            if !subflow.tcp.state().may_receive() {
                subflow.close();
            }
        }
        if self.state == State::TimeWait {
            // Who sent its DATA_FIN first sends the FINs, and so has the TIME-WAITs (RFC 8041 §3.6).
            self.subflows
                .iter_mut()
                .for_each(super::subflow::Subflow::close);
        }
        let is_over = self.subflows.iter().all(|subflow| subflow.end.is_some());
        if is_over {
            self.timers.stop(Timer::Close);
            self.state = State::Closed;
            self.tell_closed(ConnectionEnd::Closed);
        } else {
            let wait = match self.state {
                State::TimeWait => self.config.patience.subflow_close,
                _ => self.data_rto().saturating_mul(PASSIVE_CLOSER),
            };
            self.timers.set_if_stopped(Timer::Close, now + wait);
        }
    }

    pub(super) fn on_close_timer(&mut self, now: Instant) {
        match self.state {
            // The peer was to close the subflows, and does not.
            State::Closed if self.subflows.iter().any(|subflow| !subflow.is_closing) => {
                self.subflows
                    .iter_mut()
                    .for_each(super::subflow::Subflow::close);
                let due = now + self.config.patience.subflow_close;
                self.timers.set(Timer::Close, due);
            }
            State::Closed | State::TimeWait => {
                // RFC 8684 §3.3.3: what they have still to send, others have brought over.
                for index in 0..self.subflows.len() {
                    let is_open = self.subflows[index].end.is_none();
                    if is_open && self.subflows[index].tcp.queued() > 0 {
                        self.reset_subflow(index, ResetReason::TOO_MUCH_OUTSTANDING_DATA);
                    }
                }
                self.reset_all(ResetReason::UNSPECIFIED);
            }
            _ => self.give_up(ConnectionEnd::TimedOut),
        }
    }

    /// Ends the connection without waiting for anything.
    pub(super) fn give_up(&mut self, how: ConnectionEnd) {
        self.reset_all(ResetReason::UNSPECIFIED);
        self.release_token();
        self.state = State::Closed;
        self.timers.stop_all();
        self.tell_closed(how);
    }

    /// Resets every subflow.
    pub(super) fn reset_all(&mut self, reason: ResetReason) {
        for index in 0..self.subflows.len() {
            if self.subflows[index].end.is_none() {
                self.subflows[index].reset(reason);
                self.end_subflow(index, SubflowEnd::ResetByUs { reason });
            }
        }
    }

    /// Joins are not welcome any more.
    pub(super) fn release_token(&mut self) {
        let token = match &self.phase {
            Phase::SynSent(step) => step.token(),
            Phase::SynReceived(step) => step.token(),
            Phase::Mptcp(session) => session.local_token,
            Phase::Tcp(_) => return,
        };
        if !self.paths.is_token_released {
            self.paths.is_token_released = true;
            self.changes.push_back(Change::TokenReleased(token));
        }
    }
}

/// So many retransmission timeouts the one who closed second waits for the FINs of the first.
const PASSIVE_CLOSER: u32 = 5;
