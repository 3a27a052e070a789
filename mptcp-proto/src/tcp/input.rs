//! A segment arrives (RFC 9293 §3.10.7, RFC 5961, RFC 7323).

use std::time::Duration;

use super::Tcp;
use super::congestion::CongestionHook;
use super::options::{Incoming, seq_at};
use super::parts::{Due, FastOpenState};
use super::report::{Received, TcpEvent};
use super::state::State;
use super::timer::Timer;
use crate::time::Instant;
use crate::wire::segment::{Ecn, Flags, Segment};

/// What the checks made of a segment that passed them.
struct Checked {
    /// Position of its first sequence number; a FIN that came before makes it differ from the stream.
    start: i64,
    /// Position up to which it acknowledges.
    ack: u64,
    /// Whether more has been acknowledged already.
    is_old_ack: bool,
}

impl Tcp {
    /// Takes a segment of this 4-tuple.
    pub fn handle_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        cc: &mut dyn CongestionHook,
    ) -> Received {
        self.counters.segments_in += 1;
        if self.state == State::Closed {
            self.counters.useless_segments += 1;
            return Received::default();
        }
        let incoming = Incoming::parse(segment.options);
        if self.state == State::SynSent {
            return self.handle_in_syn_sent(now, segment, &incoming, cc);
        }
        let mut received = Received::default();
        if let Some(start) = self.check_sequence(now, segment, &incoming, &mut received)
            && let Some(checked) = self.check_ack(now, start, segment, &mut received)
        {
            received.accepted = true;
            self.handle_accepted(now, segment, &incoming, &checked, &mut received, cc);
        }
        received
    }

    /// RFC 9293 §3.10.7.4 up to the SYN check. Gives the position of the segment if it passes.
    fn check_sequence(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        received: &mut Received,
    ) -> Option<i64> {
        let flags = segment.flags;
        let next = self.receiver.ack_position();
        let offset = segment.seq.offset_from(seq_at(self.irs, next));
        let next = i64::try_from(next).unwrap_or(i64::MAX);
        let mut start = next.saturating_add(i64::from(offset));
        if self.state == State::TimeWait && self.may_reopen(segment, incoming, offset) {
            received.events.insert(TcpEvent::Reopen);
            return None;
        }
        if self.state == State::SynReceived && flags.syn() && segment.seq == self.irs {
            start = self.check_repeated_syn(segment, received)?;
        } else if self.is_too_old(now, incoming) && !flags.rst() {
            self.counters.paws_dropped += 1;
            self.answer_unacceptable(now, segment);
            return None;
        } else if !self.is_in_window(offset, segment) {
            self.reject(now, start, segment);
            return None;
        }
        if flags.rst() {
            self.handle_reset(now, offset, received);
            return None;
        }
        if flags.syn() && self.may_listen_again(segment) {
            received.events.insert(TcpEvent::Reopen);
            return None;
        }
        if flags.syn() && segment.seq != self.irs {
            // RFC 5961 §4.2: whoever sent it, the true peer answers a challenge with a reset if it
            // has restarted.
            self.counters.unexpected_syns += 1;
            self.challenge(now);
            return None;
        }
        if !flags.ack() {
            self.counters.useless_segments += 1;
            return None;
        }
        Some(start)
    }

    /// RFC 9293 §3.10.7.4: who was opened by a SYN and hears of another one returns to LISTEN.
    fn may_listen_again(&self, segment: &Segment<'_>) -> bool {
        let is_opening = self.state == State::SynReceived && self.handshake.is_passive;
        is_opening && segment.seq != self.irs && !segment.flags.ack()
    }

    /// The peer's SYN again: alone, the SYN/ACK was lost; with an ACK, both have opened at once.
    fn check_repeated_syn(
        &mut self,
        segment: &Segment<'_>,
        received: &mut Received,
    ) -> Option<i64> {
        if segment.flags.ack() {
            return Some(0);
        }
        self.counters.duplicate_segments += 1;
        received.events.insert(TcpEvent::DuplicateSyn);
        self.handshake.is_due = true;
        None
    }

    /// RFC 7323 §5.2, rule R1.
    fn is_too_old(&self, now: Instant, incoming: &Incoming<'_>) -> bool {
        let Some(timestamps) = incoming.timestamps.filter(|_| self.negotiated.timestamps) else {
            return false;
        };
        let age = timestamps.value.wrapping_sub(self.clock.recent);
        self.clock.is_known
            && age.cast_signed() < 0
            && now.since(self.clock.recent_at) < TIMESTAMP_LIFETIME
    }

    /// The four cases of RFC 9293 §3.4, for a segment that begins `offset` after the next one.
    fn is_in_window(&self, offset: i32, segment: &Segment<'_>) -> bool {
        let offset = i64::from(offset);
        let window = i64::try_from(self.receiver.window()).unwrap_or(i64::MAX);
        let len = i64::from(segment.seq_len());
        if len == 0 || window == 0 {
            // A peer that has filled the window sends its acknowledgements from the very edge. And
            // without a window, what a segment acknowledges counts though its payload does not.
            return (0..=window).contains(&offset);
        }
        offset < window && offset.saturating_add(len) > 0
    }

    /// A segment outside of the window: the peer is told what is expected, unless it resets.
    fn reject(&mut self, now: Instant, start: i64, segment: &Segment<'_>) {
        let len = u64::from(segment.seq_len());
        self.counters.out_of_window += 1;
        if segment.flags.rst() {
            self.counters.dubious_resets += 1;
            return;
        }
        if len > 0
            && let Ok(start) = u64::try_from(start)
        {
            let end = start.saturating_add(len);
            if end <= self.receiver.ack_position() {
                self.counters.duplicate_segments += 1;
                self.receiver.report_duplicate(start..end);
            }
        }
        if self.state == State::TimeWait && segment.flags.fin() {
            // RFC 9293 §3.10.7.4: the peer has not seen our last ACK.
            self.timers.set(Timer::Close, now + self.config.time_wait);
        }
        self.answer_unacceptable(now, segment);
    }

    /// Data is answered always; what carries none might be an answer itself, and two such answering
    /// each other would never end.
    fn answer_unacceptable(&mut self, now: Instant, segment: &Segment<'_>) {
        if segment.payload.is_empty() && !segment.flags.fin() {
            self.challenge(now);
        } else {
            self.debt.due = Due::Now;
        }
    }

    /// A challenge ACK, or any ACK that an attacker could cause (RFC 5961 §7).
    fn challenge(&mut self, now: Instant) {
        if self.challenges.allow(now) {
            self.counters.challenge_acks += 1;
            self.debt.is_forced = true;
        } else {
            self.counters.challenge_acks_limited += 1;
        }
    }

    /// RFC 5961 §3.2.
    fn handle_reset(&mut self, now: Instant, offset: i32, received: &mut Received) {
        if offset != 0 {
            self.counters.dubious_resets += 1;
            self.challenge(now);
            return;
        }
        self.counters.resets_in += 1;
        received.accepted = true;
        let was_opening = self.state == State::SynReceived && !self.handshake.is_passive;
        let was_waiting = self.state == State::TimeWait;
        self.finish(&mut received.events);
        if !was_waiting {
            received.events.insert(if was_opening {
                TcpEvent::Refused
            } else {
                TcpEvent::Reset
            });
        }
    }

    /// The ACK checks of RFC 9293 §3.10.7.4 and RFC 5961 §5.2.
    fn check_ack(
        &mut self,
        now: Instant,
        start: i64,
        segment: &Segment<'_>,
        received: &mut Received,
    ) -> Option<Checked> {
        let una = self.board.una();
        let offset = i64::from(segment.ack.offset_from(seq_at(self.iss, una)));
        let outstanding = self.board.nxt().saturating_sub(una);
        let ahead = u64::try_from(offset).ok();
        if self.state == State::SynReceived {
            if ahead.is_none_or(|ahead| ahead > outstanding) {
                self.counters.bad_acks += 1;
                self.reset_for_ack(segment);
                return None;
            }
            self.establish(now, &mut received.events);
            if segment.flags.syn() {
                self.debt.due = Due::Now;
            }
        }
        let largest = i64::try_from(self.peer_window.largest_size).unwrap_or(i64::MAX);
        match ahead {
            Some(ahead) if ahead <= outstanding => Some(Checked {
                start,
                ack: una.saturating_add(ahead),
                is_old_ack: false,
            }),
            None if offset.saturating_add(largest) >= 0 => {
                self.counters.old_acks += 1;
                Some(Checked {
                    start,
                    ack: una,
                    is_old_ack: true,
                })
            }
            _ => {
                self.counters.bad_acks += 1;
                self.challenge(now);
                None
            }
        }
    }

    fn handle_accepted(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        checked: &Checked,
        received: &mut Received,
        cc: &mut dyn CongestionHook,
    ) {
        self.heard(now);
        let start = u64::try_from(checked.start).unwrap_or(0);
        if let Some(timestamps) = incoming.timestamps
            && self.negotiated.timestamps
            && start <= self.clock.last_ack_sent
        {
            self.clock.is_known = true;
            self.clock.recent = timestamps.value;
            self.clock.recent_at = now;
        }
        let window_moved = !checked.is_old_ack && self.update_window(start, checked.ack, segment);
        let may_be_duplicate = !window_moved && !checked.is_old_ack;
        let moved = self.handle_ack(now, checked.ack, may_be_duplicate, segment, incoming, cc);
        received.acked = moved;
        self.handle_congestion_marks(segment);
        self.handle_fin_acked(now, &mut received.events);
        if self.state == State::Closed {
            return;
        }
        let takes = self.state.may_receive();
        if takes {
            if segment.flags.contains(Flags::URG) && segment.urgent > 0 {
                let end = checked.start.saturating_add(i64::from(segment.urgent));
                received.urgent = u64::try_from(end).ok();
            }
            self.take_payload(now, checked.start, segment, received);
        } else if !segment.payload.is_empty() {
            self.counters.data_after_close += 1;
            self.debt.due = Due::Now;
        }
        if self.receiver.reach_fin() {
            self.debt.due = Due::Now;
            self.handle_peer_closed(now, &mut received.events);
        }
    }

    fn update_window(&mut self, start: u64, ack: u64, segment: &Segment<'_>) -> bool {
        let shift = match self.negotiated.window_scale {
            Some(scale) if !segment.flags.syn() => scale.peer,
            _ => 0,
        };
        let size = u64::from(segment.window) << shift;
        let changed = self.peer_window.update(start, ack, size);
        if self.window_left() > 0 {
            self.timers.clear(Timer::Persist);
            self.probes.window = 0;
        }
        changed
    }

    /// RFC 3168 §6.1.3.
    fn handle_congestion_marks(&mut self, segment: &Segment<'_>) {
        if segment.ecn == Ecn::Congestion {
            self.counters.congestion_marks += 1;
        }
        if !self.negotiated.ecn {
            return;
        }
        if segment.flags.contains(Flags::CWR) {
            self.ecn.echoes = false;
        }
        if segment.ecn == Ecn::Congestion {
            self.ecn.echoes = true;
        }
    }

    /// RFC 9293 §3.10.7.4, "seventh" and "eighth".
    fn take_payload(
        &mut self,
        now: Instant,
        start: i64,
        segment: &Segment<'_>,
        received: &mut Received,
    ) {
        let len = i64::try_from(segment.payload.len()).unwrap_or(0);
        let end = start.saturating_add(len);
        let edge = self
            .receiver
            .ack_position()
            .saturating_add(self.receiver.window());
        let limit =
            i64::try_from(self.receiver.fin().unwrap_or(edge).min(edge)).unwrap_or(i64::MAX);
        let first = start.max(0);
        let last = end.min(limit).max(first);
        let offset = |position: i64| usize::try_from(position.saturating_sub(start)).unwrap_or(0);
        let positions = u64::try_from(first)
            .and_then(|first| Ok(first..u64::try_from(last)?))
            .unwrap_or(0..0);
        let skipped = offset(first);
        let payload = segment
            .payload
            .get(skipped..offset(last))
            .unwrap_or_default();
        if !payload.is_empty() {
            received.payload = Some(positions.clone());
            self.insert(now, positions.start, skipped, payload, received);
        } else if len > 0 {
            // The window is closed.
            self.counters.out_of_window += 1;
            self.debt.due = Due::Now;
        }
        if segment.flags.fin() {
            // A FIN beyond the window comes again.
            let fits = last == end && end <= limit;
            let believed = fits && u64::try_from(end).is_ok_and(|end| self.receiver.set_fin(end));
            if believed && self.receiver.fin() != Some(self.receiver.next()) {
                self.debt.due = Due::Now;
            }
        }
    }

    fn insert(
        &mut self,
        now: Instant,
        start: u64,
        skipped: usize,
        payload: &[u8],
        received: &mut Received,
    ) {
        let had_gap = self.receiver.has_gap();
        let before = self.receiver.next();
        let intake = self.receiver.insert(start, payload);
        received.delivered = intake
            .delivered
            .map(|range| range.start.saturating_add(skipped)..range.end.saturating_add(skipped));
        self.counters.out_of_order_dropped += intake.dropped;
        if intake.is_duplicate && !intake.is_new {
            self.counters.duplicate_segments += 1;
        } else if before == self.receiver.next() {
            self.counters.out_of_order += 1;
        }
        let arrived = self.receiver.next().saturating_sub(before);
        self.debt.bytes = self.debt.bytes.saturating_add(arrived);
        let full = self.receiver.full_segment().max(SMALLEST_FULL_SEGMENT);
        let is_urgent = intake.is_urgent || had_gap || self.config.ack_delay.is_zero();
        if is_urgent || self.debt.bytes >= full.saturating_mul(2) {
            self.debt.due = Due::Now;
        } else if self.debt.due == Due::Never {
            self.debt.due = Due::Later;
            let delay = self.config.ack_delay.min(MAX_ACK_DELAY);
            self.timers.set(Timer::DelayedAck, now + delay);
        }
    }

    /// The peer is alive.
    pub(super) fn heard(&mut self, now: Instant) {
        self.probes.unanswered = 0;
        self.probes.keep_alive = 0;
        if let Some(keep_alive) = &self.config.keep_alive
            && self.state != State::TimeWait
        {
            self.timers.set(Timer::KeepAlive, now + keep_alive.idle);
        }
    }

    /// Whether data may leave though the handshake is not complete (RFC 7413 §4.2.2).
    pub(super) const fn sends_early(&self) -> bool {
        matches!(self.state, State::SynReceived)
            && matches!(self.handshake.fast_open, FastOpenState::Early)
            && self.handshake.transmissions > 0
    }
}

/// After so long a silence, a timestamp says nothing (RFC 7323 §5.5).
const TIMESTAMP_LIFETIME: Duration = Duration::from_secs(24 * 24 * 3600);
/// RFC 5681 §4.2.
const MAX_ACK_DELAY: Duration = Duration::from_millis(500);
/// Small writes of the peer do not make full segments (RFC 9293 §3.7.1).
const SMALLEST_FULL_SEGMENT: u64 = 536;
