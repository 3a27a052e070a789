//! Which data go to which subflow.

use std::time::Duration;

use crate::conn::early::TCP_TAG;
use crate::conn::timer::Timer;
use crate::conn::{Connection, Counter, Phase, State};
use crate::data::{Payload, SendBuffer};
use crate::path::SubflowId;
use crate::sched::{Chunk, Pick};
use crate::seq::Dsn;
use crate::time::Instant;

/// What a pick says, without borrowing the picker.
enum Where {
    One(SubflowId, u64),
    Each(Vec<SubflowId>, u64),
    Wait,
}

impl From<Pick<'_>> for Where {
    fn from(pick: Pick<'_>) -> Self {
        match pick {
            Pick::One { on, max } => Self::One(on, max),
            Pick::Each { on, max } => Self::Each(on.to_vec(), max),
            Pick::Wait => Self::Wait,
        }
    }
}

impl Connection {
    /// Brings the views of the subflows up to date.
    pub(super) fn refresh_views(&mut self) {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        let most = self.most_given();
        for (index, subflow) in self.subflows.iter().enumerate() {
            let cwnd = self.congestion.cwnd(subflow.id);
            let ssthresh = self.congestion.ssthresh(subflow.id);
            let (reserve, _) = self.reserve(index);
            views.push(subflow.view(cwnd, ssthresh, reserve, most));
        }
        self.views = views;
    }

    /// Gives subflows what they have room for.
    pub(super) fn schedule(&mut self, now: Instant) {
        match self.phase {
            Phase::Mptcp(_) if self.state != State::FastCloseWait => self.schedule_mptcp(now),
            Phase::Tcp(_) => {
                self.schedule_syn_of_tcp(now);
                self.schedule_tcp(now);
            }
            Phase::SynSent(_) => self.schedule_early(now),
            _ => {}
        }
    }

    fn schedule_tcp(&mut self, now: Instant) {
        self.refresh_views();
        self.tune(now);
        let Some(index) = self
            .subflows
            .iter()
            .position(|subflow| subflow.is_up() || subflow.answers_early())
        else {
            return;
        };
        let id = self.subflows[index].id;
        // The window is that of the subflow, which TCP obeys.
        self.send.set_window(self.send.unacked_dsn(), NO_LIMIT);
        let subflow = &self.subflows[index];
        if !subflow.is_usable() && !subflow.answers_early() {
            // Its FIN is under way: what is left cannot follow.
            return;
        }
        while let Some((dsn, payload)) = self.send.take_new(id, SendBuffer::MAX_CHUNK) {
            let subflow = &mut self.subflows[index];
            let len = payload.len() as u64;
            subflow.outgoing.skip(len);
            let Some(position) = subflow.tcp.push(payload, TCP_TAG) else {
                return;
            };
            self.mark_urgent(index, position, dsn, len);
        }
        // A DATA_FIN that was sent before the fallback does not stand for the FIN.
        let is_up = self.subflows[index].is_up();
        if self.send.fin_dsn().is_some() && self.send.unsent() == 0 && is_up {
            self.send.on_fin_sent();
            self.subflows[index].close();
        }
    }

    fn schedule_mptcp(&mut self, now: Instant) {
        self.refresh_views();
        self.tune(now);
        self.schedule_reinjections(now);
        self.schedule_new(now);
        self.schedule_opportunistic(now);
        self.schedule_fin(now);
        if self.is_stuck() {
            let due = now + self.tries.window_probe(self.data_rto());
            self.timers.set_if_stopped(Timer::WindowProbe, due);
        }
    }

    /// Whether there is something to send, no window lets it go, and nothing is under way whose
    /// acknowledgement would open one.
    pub(super) fn is_stuck(&self) -> bool {
        let has_more = self.send.unsent() > 0 || self.send.reinjections() > 0;
        let mut usable = self.subflows.iter().filter(|subflow| subflow.is_usable());
        let is_any = usable.clone().next().is_some();
        has_more && is_any && usable.all(|subflow| subflow.tcp.queued() == 0)
    }

    fn schedule_reinjections(&mut self, now: Instant) {
        while let Some(next) = self.send.next_reinjection() {
            // What TCP believes to have delivered it does not send again: there a copy is of use, unless there
            // is another way. A proxy acknowledges what is lost behind it, and looks fast.
            let has_other = self.subflows.iter().any(|subflow| {
                subflow.is_usable() && !subflow.is_stale && !next.subflows.contains(&subflow.id)
            });
            let has_it = |id: &SubflowId| {
                let subflow = self.subflows.iter().find(|subflow| subflow.id == *id);
                has_other || subflow.is_some_and(|subflow| subflow.tcp.queued() > 0)
            };
            let already_on: Vec<SubflowId> = next
                .subflows
                .iter()
                .filter(|id| has_it(id))
                .copied()
                .collect();
            let what = Chunk::Reinjection {
                len: next.len,
                already_on: &already_on,
            };
            let pick = Where::from(self.picker.pick(now, &self.views, what));
            let (on, max) = match pick {
                Where::One(on, max) => (on, max),
                Where::Each(on, max) => match on.first() {
                    Some(on) => (*on, max),
                    None => return,
                },
                Where::Wait => return,
            };
            let also_same = next.subflows.contains(&on);
            let max = self.mapping_len(on, max);
            let Some((dsn, payload)) = self.send.take_reinjection(on, max, also_same) else {
                return;
            };
            self.count(Counter::Retrans);
            self.tuning.on_reinjected(payload.len() as u64);
            if !self.give(now, on, dsn, payload, false) {
                return;
            }
        }
    }

    fn schedule_new(&mut self, now: Instant) {
        while self.send.unsent() > 0 && self.send.window_left() > 0 {
            let what = Chunk::New {
                len: self.send.unsent(),
                window: self
                    .send
                    .window_left()
                    .saturating_add(self.send.in_flight()),
            };
            match Where::from(self.picker.pick(now, &self.views, what)) {
                Where::One(on, max) => {
                    if !self.give_new(now, &[on], max) {
                        return;
                    }
                }
                Where::Each(on, max) => {
                    if !self.give_new(now, &on, max) {
                        return;
                    }
                }
                Where::Wait => return,
            }
        }
    }

    /// Gives new data to one subflow, and the same to the others of the list.
    fn give_new(&mut self, now: Instant, on: &[SubflowId], max: u64) -> bool {
        let Some((first, others)) = on.split_first() else {
            return false;
        };
        let max = self.mapping_len(*first, max);
        let Some((dsn, payload)) = self.send.take_new(*first, max) else {
            return false;
        };
        for other in others {
            self.send.assign(*other, dsn, payload.len());
            self.give(now, *other, dsn, payload.clone(), false);
        }
        // RFC 8684 §3.3.3: the DATA_FIN may come with the last data.
        let has_fin = self.send.is_fin_due() && others.is_empty();
        self.give(now, *first, dsn, payload, has_fin)
    }

    /// Puts data on a subflow. Says whether it took them.
    fn give(
        &mut self,
        now: Instant,
        on: SubflowId,
        dsn: Dsn,
        payload: Payload,
        has_fin: bool,
    ) -> bool {
        let Some(index) = self.index_of(on) else {
            return false;
        };
        let len = payload.len() as u64;
        let subflow = &mut self.subflows[index];
        if !subflow.is_usable() {
            return false;
        }
        // MP_CAPABLE with data has no flag for a DATA_FIN.
        let has_fin = has_fin && !subflow.outgoing.is_fresh();
        let Some(tag) = subflow.outgoing.push(dsn, &payload, has_fin) else {
            return false;
        };
        let Some(position) = subflow.tcp.push(payload, tag) else {
            return false;
        };
        subflow.linear.note(position, dsn);
        self.mark_urgent(index, position, dsn, len);
        if let Some(view) = self.views.iter_mut().find(|view| view.id == on) {
            view.queued = view.queued.saturating_add(len);
        }
        if has_fin {
            self.on_fin_sent(now);
        }
        self.timers
            .set_if_stopped(Timer::DataRetransmit, now + self.retransmission_wait());
        true
    }

    /// Puts data on a subflow that were sent before, or that the peer has no room for.
    pub(super) fn give_again(&mut self, now: Instant, on: SubflowId, dsn: Dsn, payload: Payload) {
        self.give(now, on, dsn, payload, false);
    }

    /// Bytes of the next mapping on this subflow, of at most `max`.
    pub(super) fn mapping_len(&self, on: SubflowId, max: u64) -> usize {
        let view = self.views.iter().find(|view| view.id == on);
        let mss = view.map_or(1, |view| u64::from(view.mss.max(1)));
        let subflow = self.subflows.iter().find(|subflow| subflow.id == on);
        let is_first = subflow.is_some_and(|subflow| subflow.outgoing.is_fresh());
        let len = if is_first && !self.progress.is_fully_established {
            // RFC 8684 §3.1: one segment carries MP_CAPABLE with the data, and names their length.
            max.min(mss)
        } else {
            let max = max.min(MAX_MAPPING);
            if max > mss { max / mss * mss } else { max }
        };
        usize::try_from(len).unwrap_or(usize::MAX)
    }

    fn schedule_fin(&mut self, now: Instant) {
        let is_given = self
            .subflows
            .iter()
            .any(|subflow| subflow.is_up() && subflow.announce.data_fin);
        if self.send.is_fin_due() && !is_given {
            self.progress.is_fin_wanted = true;
        }
        if !self.progress.is_fin_wanted {
            return;
        }
        if self.tries.data_fins > 0 {
            // One subflow did not bring it there, or not the answer back.
            self.progress.is_fin_wanted = false;
            for subflow in self
                .subflows
                .iter_mut()
                .filter(|subflow| subflow.is_usable())
            {
                subflow.announce.data_fin = true;
                subflow.tcp.ack_now();
            }
            return;
        }
        let pick = Where::from(self.picker.pick(now, &self.views, Chunk::DataFin));
        let on = match pick {
            Where::One(on, _) => on,
            Where::Each(on, _) => match on.first() {
                Some(on) => *on,
                None => return,
            },
            Where::Wait => return,
        };
        if let Some(index) = self.index_of(on) {
            self.progress.is_fin_wanted = false;
            self.subflows[index].announce.data_fin = true;
            self.subflows[index].tcp.ack_now();
        }
    }

    /// Time after which data without DATA_ACK are sent again.
    pub(super) fn retransmission_wait(&self) -> Duration {
        self.tries.retransmission(self.data_rto())
    }

    /// The longest retransmission timeout of the subflows that are up, within bounds.
    pub(super) fn data_rto(&self) -> Duration {
        let longest = self.up().map(super::subflow::Subflow::rto).max();
        longest
            .unwrap_or(self.config.tcp.initial_rto)
            .clamp(MIN_DATA_RTO, MAX_DATA_RTO)
    }

    /// Progress, or the end of it, of what was sent.
    pub(super) fn restart_retransmission(&mut self, now: Instant) {
        if self.send.in_flight() > 0 && self.is_mptcp() {
            self.timers
                .set(Timer::DataRetransmit, now + self.retransmission_wait());
        } else {
            self.timers.stop(Timer::DataRetransmit);
        }
    }
}

/// A window that nothing fills.
const NO_LIMIT: u64 = 1 << 40;
/// Bytes of a mapping: what one reinjection moves.
const MAX_MAPPING: u64 = 32 * 1024;
/// As Linux begins with.
const MIN_DATA_RTO: Duration = Duration::from_millis(200);
const MAX_DATA_RTO: Duration = Duration::from_secs(10);
