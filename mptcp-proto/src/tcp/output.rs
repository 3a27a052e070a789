//! What is to be sent next (RFC 9293 §3.10.2 SEND, §3.8.6).

use std::ops::Range;

use super::Tcp;
use super::config::SendLimits;
use super::options::{TIMESTAMPS_LEN, Timestamps, sack_room, seq_at, write_sack};
use super::parts::{Due, Probe};
use super::recovery::TailProbe;
use super::report::{Outgoing, OutgoingKind};
use super::state::State;
use super::timer::Timer;
use crate::data::Payload;
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::segment::{Ecn, Flags};
use crate::wire::writer::{MAX_OPTION_AREA, OptionArea};

/// A segment with payload or FIN, before it has a header.
struct Draft {
    start: u64,
    payload: Payload,
    tag: u64,
    has_fin: bool,
    is_retransmission: bool,
}

impl Draft {
    /// Sequence numbers that it takes.
    fn len(&self) -> u64 {
        let len = u64::try_from(self.payload.len()).unwrap_or(u64::MAX);
        len.saturating_add(u64::from(self.has_fin))
    }
}

impl Tcp {
    /// What is to be sent next, or none.
    pub fn poll_transmit(&mut self, now: Instant, limits: &SendLimits) -> Option<Outgoing> {
        let outgoing = self.next_outgoing(now, limits)?;
        self.counters.segments_out += 1;
        Some(outgoing)
    }

    fn next_outgoing(&mut self, now: Instant, limits: &SendLimits) -> Option<Outgoing> {
        if let Some(reset) = self.outbox.reset.take() {
            return Some(reset.into_outgoing(self.path, self.config.ip));
        }
        if self.state == State::Closed {
            return None;
        }
        if self.handshake.is_due {
            return Some(self.syn(now, limits));
        }
        if self.state == State::SynSent {
            return None;
        }
        if self.debt.is_forced || self.owes_sack_alone(limits) {
            return Some(self.pure_ack(now, limits));
        }
        if self.state.may_send() || self.sends_early() {
            let draft = self
                .repeat(now, limits)
                .or_else(|| self.new_data(now, limits));
            if let Some(draft) = draft {
                return Some(self.with_header(now, limits, draft));
            }
        }
        if let Some(probe) = self.outbox.probe.take() {
            return Some(self.probe(now, limits, probe));
        }
        self.owe_window_update(limits);
        (self.debt.due == Due::Now).then(|| self.pure_ack(now, limits))
    }

    /// Whether the peer is to hear now of what came out of order, and hears it in a segment without payload only,
    /// as the options of the caller leave no room beside payload (RFC 2018 §4: SACK "SHOULD be included in all ACKs
    /// which do not ACK the highest sequence number in the data receiver's queue").
    fn owes_sack_alone(&self, limits: &SendLimits) -> bool {
        let has_blocks = self.negotiated.sack && self.receiver.sack_count() > 0;
        self.debt.due == Due::Now
            && has_blocks
            && self.sack_blocks_beside(limits.reserve) == 0
            && self.sack_blocks_beside(limits.reserve_ack) > 0
    }

    /// How many SACK blocks fit on a segment whose caller appends so many bytes of options.
    fn sack_blocks_beside(&self, reserve: usize) -> usize {
        let len = if self.has_timestamps(reserve) {
            TIMESTAMPS_LEN
        } else {
            0
        };
        let left = MAX_OPTION_AREA.saturating_sub(len);
        left.saturating_sub(round_up(reserve)).saturating_sub(4) / 8
    }

    /// Largest payload of a segment whose caller appends so many bytes of options.
    pub fn mss(&self, reserve: usize) -> u32 {
        let options = self.option_len(reserve).saturating_add(round_up(reserve));
        let options = u32::try_from(options).unwrap_or(u32::MAX);
        let by_path = self.path_mtu.saturating_sub(self.path.header_len());
        let largest = u32::from(self.negotiated.peer_mss).min(by_path);
        largest.saturating_sub(options).max(MIN_PAYLOAD)
    }

    /// Bytes of TCP's own options beside those of the caller, or a few more.
    fn option_len(&self, reserve: usize) -> usize {
        let mut len = 0;
        if self.has_timestamps(reserve) {
            len = TIMESTAMPS_LEN;
        }
        let blocks = self.receiver.sack_count();
        if self.negotiated.sack && blocks > 0 {
            let blocks = blocks.min(self.sack_blocks_beside(reserve));
            if blocks > 0 {
                len = len
                    .saturating_add(4)
                    .saturating_add(blocks.saturating_mul(8));
            }
        }
        len
    }

    /// An option of the caller that would not fit otherwise goes before the timestamps.
    const fn has_timestamps(&self, reserve: usize) -> bool {
        self.negotiated.timestamps && round_up(reserve) <= MAX_OPTION_AREA - TIMESTAMPS_LEN
    }

    /// What was lost, or a tail loss probe without new data.
    fn repeat(&mut self, now: Instant, limits: &SendLimits) -> Option<Draft> {
        if let Some(lost) = self.board.next_lost() {
            let len = lost.end.saturating_sub(lost.start);
            let in_flight = self.in_flight();
            let fits = in_flight.saturating_add(len) <= limits.cwnd || in_flight == 0;
            if fits || self.recovery.must_resend {
                let draft = self.repeated(now, limits, &lost)?;
                let end = lost.start.saturating_add(draft.len());
                self.recovery.note_resent(end, self.resent_timestamp(now));
                return Some(draft);
            }
            return None;
        }
        self.recovery.must_resend = false;
        if !std::mem::take(&mut self.outbox.repeats_tail) {
            return None;
        }
        let last = self.board.last_in_flight()?;
        self.recovery.tail = Some(TailProbe {
            end: self.board.nxt(),
            is_repeat: true,
        });
        self.counters.tail_loss_probes += 1;
        self.repeated(now, limits, &last)
    }

    fn resent_timestamp(&self, now: Instant) -> Option<u32> {
        self.negotiated.timestamps.then(|| self.timestamp(now))
    }

    /// A range that was sent before, as much of it as fits today.
    fn repeated(&mut self, now: Instant, limits: &SendLimits, range: &Range<u64>) -> Option<Draft> {
        let data_end = range.end.min(self.queue.end());
        let wanted = usize::try_from(data_end.saturating_sub(range.start)).ok()?;
        let room = usize::try_from(self.mss(limits.reserve)).ok()?;
        let piece = if wanted == 0 {
            None
        } else {
            self.queue.read(range.start, wanted.min(room))
        };
        let (payload, tag) = piece.map_or((Payload::EMPTY, 0), |piece| (piece.payload, piece.tag));
        let mut draft = Draft {
            start: range.start,
            payload,
            tag,
            has_fin: false,
            is_retransmission: true,
        };
        let end = range.start.saturating_add(draft.len());
        draft.has_fin = end == self.queue.end() && range.end > end;
        if draft.len() == 0 {
            return None;
        }
        self.handshake.is_early_lost = false;
        self.board.resend(now, range.start, draft.len());
        self.counters.retransmissions += 1;
        self.counters.retransmitted_bytes += u64::try_from(draft.payload.len()).unwrap_or(0);
        self.set_retransmission_timer(now);
        Some(draft)
    }

    /// Data, or a FIN, that was not sent yet.
    fn new_data(&mut self, now: Instant, limits: &SendLimits) -> Option<Draft> {
        let start = self.board.nxt();
        let unsent = self.unsent();
        let wants_fin = self.fin_position().is_some_and(|fin| start <= fin);
        if unsent == 0 && !wants_fin {
            self.is_cwnd_limited = false;
            return None;
        }
        if limits.not_before > now {
            self.timers.set(Timer::Pacing, limits.not_before);
            return None;
        }
        self.timers.clear(Timer::Pacing);
        let window_left = self.window_left();
        if window_left == 0 {
            self.wait_for_window(now);
            return None;
        }
        let room = u64::from(self.mss(limits.reserve));
        let wanted = unsent.min(room);
        let allowed = wanted.min(window_left);
        if !self.congestion_allows(limits, allowed) || !self.is_worth_sending(now, allowed, wanted)
        {
            return None;
        }
        let (payload, tag, is_cut_by_tag) = match self.queue.read(start, to_len(allowed)) {
            Some(piece) if allowed > 0 => (piece.payload, piece.tag, piece.is_cut_by_tag),
            _ => (Payload::EMPTY, 0, false),
        };
        let len = u64::try_from(payload.len()).unwrap_or(0);
        let is_last = len == unsent;
        if is_last && len < room && !is_cut_by_tag && self.nagle_holds(wants_fin) {
            return None;
        }
        let draft = Draft {
            start,
            payload,
            tag,
            has_fin: is_last && wants_fin && window_left > len,
            is_retransmission: false,
        };
        if draft.len() == 0 {
            self.wait_for_window(now);
            return None;
        }
        self.note_new(now, draft.len());
        Some(draft)
    }

    fn congestion_allows(&mut self, limits: &SendLimits, len: u64) -> bool {
        let in_flight = self.in_flight();
        let fits = in_flight == 0 || in_flight.saturating_add(len) <= limits.cwnd;
        self.is_cwnd_limited = !fits;
        fits || self.outbox.is_data_forced
    }

    /// RFC 9293 §3.8.6.2.1: a window that is open a little only makes small segments, so the sender
    /// waits, though not for ever.
    fn is_worth_sending(&mut self, now: Instant, allowed: u64, wanted: u64) -> bool {
        let is_worth = allowed == wanted
            || allowed >= self.peer_window.largest_size / 2
            || self.outbox.is_data_forced;
        if !is_worth {
            self.wait_for_window(now);
        }
        is_worth
    }

    /// RFC 9293 §3.7.4.
    const fn nagle_holds(&self, wants_fin: bool) -> bool {
        self.config.nagle && !self.board.is_empty() && !wants_fin && !self.outbox.is_data_forced
    }

    /// Nothing in flight will bring news of the window, so it must be asked for.
    fn wait_for_window(&mut self, now: Instant) {
        if self.board.is_empty() && !self.timers.is_set(Timer::Persist) {
            let factor = 1_u32.checked_shl(self.probes.window.min(16)).unwrap_or(1);
            let wait = self.rtt.rto().saturating_mul(factor);
            let wait = wait.min(self.config.max_rto);
            self.timers.set(Timer::Persist, now + wait);
        }
    }

    fn note_new(&mut self, now: Instant, len: u64) {
        self.board.send(now, len);
        self.last_sent = now;
        self.outbox.is_data_forced = false;
        if std::mem::take(&mut self.outbox.probes_with_new) {
            self.counters.tail_loss_probes += 1;
            self.recovery.tail = Some(TailProbe {
                end: self.board.nxt(),
                is_repeat: false,
            });
        }
        self.timers.clear(Timer::Persist);
        self.set_retransmission_timer(now);
        self.set_tail_timer(now);
        if let Some(limit) = self.config.user_timeout
            && !self.timers.is_set(Timer::UserTimeout)
        {
            self.timers.set(Timer::UserTimeout, now + limit);
        }
    }

    /// RFC 6298 §5.1.
    fn set_retransmission_timer(&mut self, now: Instant) {
        if !self.timers.is_set(Timer::Retransmission) {
            self.timers.set(Timer::Retransmission, now + self.rtt.rto());
        }
    }

    fn with_header(&mut self, now: Instant, limits: &SendLimits, draft: Draft) -> Outgoing {
        let kind = if draft.payload.is_empty() {
            OutgoingKind::Fin
        } else {
            OutgoingKind::Data
        };
        let end = draft.start.saturating_add(draft.len());
        let mut flags = Flags::ACK;
        if end >= self.queue.end() && kind == OutgoingKind::Data {
            flags = flags.with(Flags::PSH);
        }
        if draft.has_fin {
            flags = flags.with(Flags::FIN);
        }
        let carries_mark = self.negotiated.ecn && !draft.is_retransmission;
        if carries_mark && std::mem::take(&mut self.ecn.announces_reduction) {
            flags = flags.with(Flags::CWR);
        }
        let seq = seq_at(self.iss, draft.start);
        let mut outgoing = self.header(now, limits.window, kind, flags, seq, limits.reserve);
        if carries_mark && kind == OutgoingKind::Data {
            // RFC 3168 §6.1.5: a retransmission must not carry the mark.
            outgoing.ecn = Ecn::Ect0;
        }
        let len = u64::try_from(draft.payload.len()).unwrap_or(0);
        outgoing.stream = draft.start..draft.start.saturating_add(len);
        outgoing.tag = draft.tag;
        outgoing.payload = draft.payload;
        outgoing.is_retransmission = draft.is_retransmission;
        self.urge(&mut outgoing, draft.start);
        outgoing
    }

    /// RFC 9293 §3.8.5: all segments before the end of urgent data say where that is, or as far as 16 bits go.
    fn urge(&self, outgoing: &mut Outgoing, position: u64) {
        let end = self.urgent.filter(|end| *end > position);
        if let Some(end) = end {
            let distance = end.saturating_sub(position);
            outgoing.urgent = u16::try_from(distance).unwrap_or(u16::MAX);
            outgoing.flags = outgoing.flags.with(Flags::URG);
        }
    }

    fn pure_ack(&mut self, now: Instant, limits: &SendLimits) -> Outgoing {
        self.counters.pure_acks += 1;
        self.debt.is_forced = false;
        // Data of the SYN that were not taken are as if they had never been sent: a server that knows its
        // SYN cookie by the number of the third ACK looks for the one after the SYN.
        let position = if self.handshake.is_early_lost {
            self.board.una()
        } else {
            self.board.nxt()
        };
        let seq = seq_at(self.iss, position);
        let mut ack = self.header(
            now,
            limits.window,
            OutgoingKind::Ack,
            Flags::ACK,
            seq,
            limits.reserve_ack,
        );
        // A peer whose window is shut hears that way that it should read.
        self.urge(&mut ack, position);
        ack
    }

    /// A segment with a number that was acknowledged long ago: the answer says how the peer stands
    /// (RFC 9293 §3.8.4).
    fn probe(&mut self, now: Instant, limits: &SendLimits, probe: Probe) -> Outgoing {
        match probe {
            Probe::Window => self.counters.window_probes += 1,
            Probe::KeepAlive => self.counters.keep_alives += 1,
        }
        let una = seq_at(self.iss, self.board.una());
        self.header(
            now,
            limits.window,
            OutgoingKind::Probe,
            Flags::ACK,
            una.add(u32::MAX),
            limits.reserve_ack,
        )
    }

    /// Header and options of any segment after the SYN.
    fn header(
        &mut self,
        now: Instant,
        window: u64,
        kind: OutgoingKind,
        flags: Flags,
        seq: TcpSeq,
        reserve: usize,
    ) -> Outgoing {
        let mut area = OptionArea::new();
        if self.has_timestamps(reserve) {
            let timestamps = Timestamps {
                value: self.timestamp(now),
                echo: self.clock.recent,
            };
            timestamps.write(&mut area);
        }
        let sack_room = sack_room(&area, round_up(reserve));
        if self.negotiated.sack && sack_room > 0 && self.receiver.sack_count() > 0 {
            let blocks = self.receiver.sack_blocks(sack_room);
            write_sack(&mut area, self.irs, blocks);
            self.receiver.clear_duplicate();
        }
        self.receiver.note_room(window);
        let ack = self.receiver.ack_position();
        self.clock.last_ack_sent = ack;
        self.debt.due = Due::Never;
        self.debt.bytes = 0;
        self.timers.clear(Timer::DelayedAck);
        Outgoing {
            kind,
            path: self.path,
            seq,
            ack: seq_at(self.irs, ack),
            flags: if self.ecn.echoes {
                flags.with(Flags::ECE)
            } else {
                flags
            },
            window: self.window_field(window, true),
            urgent: 0,
            ip: self.config.ip,
            ecn: Ecn::NotCapable,
            stream: 0..0,
            tag: 0,
            payload: Payload::EMPTY,
            is_retransmission: false,
            area,
        }
    }

    /// Announces the window.
    pub(super) fn window_field(&mut self, window: u64, is_scaled: bool) -> u16 {
        let shift = match self.negotiated.window_scale {
            Some(scale) if is_scaled => scale.own,
            _ => 0,
        };
        self.receiver.announce(window, shift, self.is_window_shared)
    }

    /// RFC 9293 §3.8.6.2.2: the peer hears of a window that has opened by two segments, or by half
    /// of the largest, once it has used half of it.
    fn owe_window_update(&mut self, limits: &SendLimits) {
        if !self.state.may_receive() || self.receiver.is_finished() {
            return;
        }
        self.receiver.note_room(limits.window);
        let largest = self.receiver.largest_window();
        let full = self.receiver.full_segment().max(1);
        let enough = full.saturating_mul(2).min(largest / 2).max(1);
        // A peer with most of its window left has no need to hear.
        let scale = self.negotiated.window_scale;
        let shift = scale.map_or(0, |scale| scale.own);
        let is_half_used = self.receiver.window() <= largest.min(limits.window) / 2;
        if is_half_used && self.receiver.edge_gain(limits.window, shift) >= enough {
            self.debt.due = Due::Now;
        }
    }
}

const fn round_up(bytes: usize) -> usize {
    bytes.saturating_add(3) & !3
}

fn to_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// However small path and peer claim to be, a segment makes progress.
const MIN_PAYLOAD: u32 = 8;
