//! Sizes of the buffers, and what is done when they are too small for the paths (NSDI'12 §4.2).

use std::time::Duration;

use crate::conn::mechanism::{
    CwndCap, Penalty, ReceiveBuffer, is_worth_retransmitting, needed_send_buffer,
};
use crate::conn::{Config, Connection, Event};
use crate::path::{PathView, SubflowId};
use crate::time::Instant;

/// The mechanisms, and numbers for the statistics.
#[derive(Debug)]
pub(super) struct Tuning {
    receive: ReceiveBuffer,
    penalty: Penalty,
    cap: CwndCap,
    /// Bytes that had come before.
    pub(super) bytes_duplicate: u64,
    /// MPTCP options that are unknown or do not parse.
    pub(super) options_ignored: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_reinjected: u64,
    pub(super) reinjections: u64,
    /// Bytes that came twice and were not the same.
    pub(super) differing: u64,
    /// Bytes sent again because they held up the window.
    pub(super) opportunistic: u64,
    /// Subflows penalised.
    pub(super) penalties: u64,
}

impl Tuning {
    pub(super) fn new(config: &Config) -> Self {
        let buffers = &config.buffers;
        let (small, large) = (buffers.receive as u64, buffers.max_receive as u64);
        Self {
            receive: ReceiveBuffer::new(small..=large.max(small)),
            penalty: Penalty::default(),
            cap: CwndCap::default(),
            bytes_duplicate: 0,
            options_ignored: 0,
            bytes_acked: 0,
            bytes_reinjected: 0,
            reinjections: 0,
            differing: 0,
            opportunistic: 0,
            penalties: 0,
        }
    }

    pub(super) fn on_duplicate(&mut self, bytes: u64) {
        self.bytes_duplicate = self.bytes_duplicate.saturating_add(bytes);
    }

    pub(super) fn on_acked(&mut self, bytes: u64) {
        self.bytes_acked = self.bytes_acked.saturating_add(bytes);
    }

    pub(super) fn on_reinjected(&mut self, bytes: u64) {
        self.reinjections = self.reinjections.saturating_add(1);
        self.bytes_reinjected = self.bytes_reinjected.saturating_add(bytes);
    }

    pub(super) fn remove(&mut self, id: SubflowId) {
        self.penalty.remove(id);
        self.cap.remove(id);
    }
}

impl Connection {
    /// M3 at the receiver: the buffer follows what the application takes.
    pub(super) fn on_application_read(&mut self, bytes: u64) {
        if !self.config.mechanisms.autotuning.is_on() {
            return;
        }
        let rtts = self.up().map(|subflow| subflow.tcp.info().srtt);
        let longest = rtts.max().unwrap_or(Duration::ZERO);
        let now = self.progress.now;
        self.tuning.receive.on_read(now, bytes, longest);
        let size = usize::try_from(self.tuning.receive.size()).unwrap_or(usize::MAX);
        if size > self.receive.capacity() {
            self.receive.set_capacity(size);
        }
    }

    /// M3 at the sender, and M4.
    pub(super) fn tune(&mut self, now: Instant) {
        if self.config.mechanisms.autotuning.is_on() {
            let buffers = &self.config.buffers;
            let needed = usize::try_from(needed_send_buffer(&self.views)).unwrap_or(usize::MAX);
            let size = needed.min(buffers.max_send);
            if size > self.send.capacity() {
                self.send.set_capacity(size);
                self.tell_writable();
            }
        }
        if self.config.mechanisms.capping.is_on() {
            for view in &self.views {
                if let Some(bytes) = self.tuning.cap.poll(now, view) {
                    self.congestion.cap(view.id, bytes);
                }
            }
        }
    }

    /// Tells an application whose write found no room that there is some again.
    pub(super) fn tell_writable(&mut self) {
        if self.progress.is_write_blocked && self.send.free() >= self.send.capacity() / 4 {
            self.progress.is_write_blocked = false;
            self.tell(Event::Writable);
        }
    }

    /// Whether data that lack their DATA_ACK keep new data from being sent: the receiver's window is
    /// full, or our own buffer is while the application has more.
    fn is_held_up(&self) -> bool {
        let is_full = self.send.unsent() == 0 && self.send.free() == 0;
        self.send.is_window_blocked() || (is_full && self.progress.is_write_blocked)
    }

    /// M1 and M2: one of the buffers is full, and a subflow has room.
    pub(super) fn schedule_opportunistic(&mut self, now: Instant) {
        if !self.is_held_up() {
            return;
        }
        let Some(oldest) = self.send.oldest() else {
            return;
        };
        let has_room = |view: &&PathView| {
            let is_idle = view.room() >= u64::from(view.mss);
            view.is_usable && !view.is_stale && is_idle && !oldest.subflows.contains(&view.id)
        };
        let idle = self.views.iter().filter(has_room);
        let Some(idle) = idle.min_by_key(|view| (view.srtt, view.id)).copied() else {
            return;
        };
        self.picker.on_blocked(now);
        let holders = self.views.iter();
        let holders: Vec<PathView> = holders
            .filter(|view| oldest.subflows.contains(&view.id))
            .copied()
            .collect();
        if self.config.mechanisms.penalisation.is_on() {
            for holder in &holders {
                if self.tuning.penalty.is_due(now, &idle, holder) {
                    self.tuning.penalties = self.tuning.penalties.saturating_add(1);
                    self.congestion.penalise(now, holder.id);
                }
            }
        }
        if self.config.mechanisms.opportunistic_retransmission.is_on()
            && is_worth_retransmitting(&idle, &holders)
        {
            self.resend(now, &idle, oldest.dsn, oldest.len);
        }
    }

    fn resend(&mut self, now: Instant, idle: &PathView, dsn: crate::seq::Dsn, len: u64) {
        let max = self.mapping_len(idle.id, len.min(idle.room()));
        let Some(payload) = self.send.data_at(dsn, max) else {
            return;
        };
        let bytes = payload.len() as u64;
        self.tuning.opportunistic = self.tuning.opportunistic.saturating_add(bytes);
        self.tuning.on_reinjected(bytes);
        self.send.assign(idle.id, dsn, payload.len());
        self.give_again(now, idle.id, dsn, payload);
    }
}
