//! What an acknowledgement means: for the scoreboard, the round-trip time, recovery and congestion
//! control.

use std::ops::Range;
use std::time::Duration;

use super::Tcp;
use super::congestion::{AckSample, CongestionHook};
use super::options::{Incoming, seq_at};
use super::recovery::DUPLICATE_THRESHOLD;
use super::report::Acked;
use super::scoreboard::{AckTime, Progress};
use super::timer::Timer;
use crate::path::LossState;
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::segment::{Flags, Segment};

impl Tcp {
    /// Takes the acknowledgement of everything before `ack`, with its SACK blocks.
    pub(super) fn handle_ack(
        &mut self,
        now: Instant,
        ack: u64,
        may_be_duplicate: bool,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        cc: &mut dyn CongestionHook,
    ) -> Option<Acked> {
        if self.board.is_empty() {
            return None;
        }
        let in_flight = self.in_flight();
        let echo = self.echo(incoming);
        let time = AckTime {
            now,
            echo,
            min_rtt: self.rtt.min_rtt(),
        };
        let mut progress = Progress::default();
        self.board.ack(ack, time, &mut progress);
        let has_duplicate = self.take_sacks(segment.ack, incoming, time, &mut progress);
        self.take_round_trip(now, echo, &progress);
        if progress.acked > 0 {
            self.queue.release(self.board.una());
            self.rtt.end_backoff();
            self.recovery.duplicates = self
                .recovery
                .duplicates
                .saturating_sub(progress.segments.saturating_sub(1));
        }
        // RFC 8684 §3, §4: an ACK that is there for its option says nothing of congestion.
        let is_duplicate = may_be_duplicate
            && !incoming.has_signal
            && progress.acked == 0
            && segment.payload.is_empty()
            && !segment.flags.fin();
        self.counters.duplicate_acks += u64::from(is_duplicate);
        self.end_tail_probe(now, has_duplicate, is_duplicate, &progress, in_flight, cc);
        self.undo_if_mistaken(now, incoming, &progress, cc);
        self.end_recovery(now, cc);
        self.recover(now, is_duplicate, &progress, in_flight, cc);
        self.take_echo(now, segment, in_flight, cc);
        if progress.delivered > 0 {
            let sample = AckSample {
                acked: progress.delivered,
                rtt: progress.newest_rtt,
                in_flight,
                is_cwnd_limited: self.is_cwnd_limited,
                ece: self.negotiated.ecn && segment.flags.contains(Flags::ECE),
                loss_state: self.recovery.state,
            };
            cc.on_ack(now, &sample);
        }
        self.set_timers_after_ack(now, &progress);
        let fin = self.fin_position().filter(|&fin| self.board.una() > fin);
        let bytes = progress.acked.saturating_sub(u64::from(fin.is_some()));
        (progress.acked > 0).then(|| Acked {
            until: self.acked_until(),
            bytes,
        })
    }

    /// The clock value that a segment echoes, without our offset.
    fn echo(&self, incoming: &Incoming<'_>) -> Option<u32> {
        let timestamps = incoming.timestamps.filter(|_| self.negotiated.timestamps)?;
        let offset = self.config.timestamps.unwrap_or(0);
        Some(timestamps.echo.wrapping_sub(offset))
    }

    /// Reads the SACK blocks. Whether the first one reports a duplicate (RFC 2883 §4).
    fn take_sacks(
        &mut self,
        segment_ack: TcpSeq,
        incoming: &Incoming<'_>,
        time: AckTime,
        progress: &mut Progress,
    ) -> bool {
        let Some(blocks) = incoming.sack.filter(|_| self.negotiated.sack) else {
            return false;
        };
        let una = self.board.una();
        // An acknowledgement that was overtaken reports what was new when it left.
        let offset = segment_ack.offset_from(seq_at(self.iss, una));
        let segment_ack = una.saturating_add_signed(i64::from(offset));
        let mut has_duplicate = false;
        let mut first: Option<Range<u64>> = None;
        for (index, (left, right)) in blocks.iter().enumerate() {
            let Some(block) = self.sack_block(TcpSeq(left), TcpSeq(right)) else {
                self.counters.bad_sacks += 1;
                continue;
            };
            let is_inside = index == 1
                && first
                    .as_ref()
                    .is_some_and(|first| block.start <= first.start && first.end <= block.end);
            if is_inside || index == 0 && block.end <= segment_ack {
                has_duplicate = true;
            }
            first.get_or_insert_with(|| block.clone());
            let block = block.start.max(una)..block.end;
            if !block.is_empty() {
                self.board.sack(block, time, progress);
            }
        }
        if has_duplicate {
            self.counters.duplicate_sacks += 1;
            self.board.widen_reordering_window();
            if let Some(undo) = &mut self.recovery.undo {
                undo.duplicates = undo.duplicates.saturating_add(1);
            }
        }
        has_duplicate
    }

    /// The positions of a block; none when nothing that was sent can make it up. Boxes that rewrite
    /// sequence numbers but no SACK blocks exist.
    fn sack_block(&self, left: TcpSeq, right: TcpSeq) -> Option<Range<u64>> {
        let una = self.board.una();
        let origin = seq_at(self.iss, una);
        let position = |seq: TcpSeq| una.checked_add_signed(i64::from(seq.offset_from(origin)));
        let block = position(left)?..position(right)?;
        (!block.is_empty() && block.end <= self.board.nxt()).then_some(block)
    }

    fn take_round_trip(&mut self, now: Instant, echo: Option<u32>, progress: &Progress) {
        if let Some(rtt) = progress.rtt {
            self.rtt.add(now, rtt);
        } else if progress.acked > 0
            && let Some(echo) = echo
        {
            // All was sent more than once, so only the timestamp tells which copy it was (RFC 7323
            // §4.1).
            let millis = timestamp_millis(now).wrapping_sub(echo);
            if millis.cast_signed() >= 0 {
                self.rtt.add(now, Duration::from_millis(u64::from(millis)));
            }
        }
    }

    /// RFC 8985 §7.4.2.
    fn end_tail_probe(
        &mut self,
        now: Instant,
        has_duplicate: bool,
        is_duplicate: bool,
        progress: &Progress,
        in_flight: u64,
        cc: &mut dyn CongestionHook,
    ) {
        let Some(tail) = self.recovery.tail else {
            return;
        };
        let una = self.board.una();
        if una < tail.end {
            return;
        }
        let both_arrived = has_duplicate || is_duplicate && progress.delivered == 0;
        if !tail.is_repeat || both_arrived {
            self.recovery.tail = None;
        } else if una > tail.end {
            // The probe has repaired the loss, which would have gone unnoticed otherwise.
            self.recovery.tail = None;
            cc.on_loss(now, in_flight);
            cc.on_recovered(now);
        }
    }

    fn undo_if_mistaken(
        &mut self,
        now: Instant,
        incoming: &Incoming<'_>,
        progress: &Progress,
        cc: &mut dyn CongestionHook,
    ) {
        let timestamps = incoming.timestamps.filter(|_| self.negotiated.timestamps);
        let echo = timestamps.map(|timestamps| timestamps.echo);
        let echo = echo.filter(|_| progress.acked > 0);
        if !self.recovery.was_mistaken(self.board.una(), echo) {
            return;
        }
        self.recovery.undo = None;
        self.counters.undone += 1;
        if self.recovery.state != LossState::Open {
            self.board.forgive();
            self.recovery.state = LossState::Open;
            self.recovery.must_resend = false;
            self.recovery.duplicates = 0;
        }
        cc.on_undo(now);
    }

    fn end_recovery(&mut self, now: Instant, cc: &mut dyn CongestionHook) {
        let una = self.board.una();
        // Only what was sent after the reduction carries CWR, so that must arrive first.
        if self.recovery.reduced_until.is_some_and(|until| una > until) {
            self.recovery.reduced_until = None;
        }
        if self.recovery.undo.is_some_and(|undo| una >= undo.until) {
            self.recovery.undo = None;
        }
        if self.recovery.state == LossState::Open || una < self.recovery.point {
            return;
        }
        self.recovery.state = LossState::Open;
        self.recovery.must_resend = false;
        self.recovery.duplicates = 0;
        let until = self.board.nxt().saturating_add(1);
        if let Some(undo) = &mut self.recovery.undo {
            undo.until = until;
        }
        self.board.narrow_reordering_window();
        cc.on_recovered(now);
    }

    /// Looks for losses, and enters fast recovery when there are any.
    fn recover(
        &mut self,
        now: Instant,
        is_duplicate: bool,
        progress: &Progress,
        in_flight: u64,
        cc: &mut dyn CongestionHook,
    ) {
        if self.negotiated.sack {
            self.find_late(now, in_flight, cc);
            return;
        }
        match self.recovery.state {
            LossState::Open if progress.acked > 0 => self.recovery.duplicates = 0,
            LossState::Open if is_duplicate => {
                self.recovery.duplicates = self.recovery.duplicates.saturating_add(1);
                if self.recovery.duplicates >= DUPLICATE_THRESHOLD && self.board.lose_first() {
                    self.enter_recovery(now, in_flight, cc);
                }
            }
            LossState::Recovery if is_duplicate => {
                self.recovery.duplicates = self.recovery.duplicates.saturating_add(1);
            }
            // RFC 6582 §3.2 step 3: a partial acknowledgement shows the next hole.
            LossState::Recovery if progress.acked > 0 => {
                self.recovery.must_resend |= self.board.lose_first();
            }
            _ => {}
        }
    }

    /// RFC 8985 §6.2.
    pub(super) fn find_late(&mut self, now: Instant, in_flight: u64, cc: &mut dyn CongestionHook) {
        let in_recovery = self.recovery.state != LossState::Open;
        let window = self
            .board
            .reordering_window(in_recovery, self.rtt.min_rtt(), self.rtt.srtt());
        let (lost, next) = self.board.detect_losses(now, window);
        match next {
            Some(at) => self.timers.set(Timer::Reordering, at),
            None => self.timers.clear(Timer::Reordering),
        }
        if lost > 0 && !in_recovery {
            self.enter_recovery(now, in_flight, cc);
        }
    }

    fn enter_recovery(&mut self, now: Instant, in_flight: u64, cc: &mut dyn CongestionHook) {
        self.counters.recoveries += 1;
        self.recovery.begin(LossState::Recovery, self.board.nxt());
        self.timers.clear(Timer::TailLoss);
        self.outbox.cancel_tail_probe();
        cc.on_loss(now, in_flight);
    }

    /// RFC 3168 §6.1.2: an echo is as good as a loss, once in a round trip.
    fn take_echo(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        in_flight: u64,
        cc: &mut dyn CongestionHook,
    ) {
        let has_echo = self.negotiated.ecn && segment.flags.contains(Flags::ECE);
        let is_reduced =
            self.recovery.state != LossState::Open || self.recovery.reduced_until.is_some();
        if !has_echo || is_reduced || segment.flags.syn() {
            return;
        }
        self.recovery.reduced_until = Some(self.board.nxt());
        self.ecn.announces_reduction = true;
        cc.on_loss(now, in_flight);
        cc.on_recovered(now);
    }

    fn set_timers_after_ack(&mut self, now: Instant, progress: &Progress) {
        if self.board.is_empty() {
            for timer in [
                Timer::Retransmission,
                Timer::TailLoss,
                Timer::Reordering,
                Timer::UserTimeout,
            ] {
                self.timers.clear(timer);
            }
            return;
        }
        if progress.acked > 0
            && let Some(limit) = self.config.user_timeout
        {
            self.timers.set(Timer::UserTimeout, now + limit);
        }
        if progress.delivered > 0 {
            // RFC 6298 §5.3.
            self.timers.set(Timer::Retransmission, now + self.rtt.rto());
            self.set_tail_timer(now);
        }
    }

    /// RFC 8985 §7.2.
    pub(super) fn set_tail_timer(&mut self, now: Instant) {
        let may_probe = self.negotiated.sack
            && self.recovery.state == LossState::Open
            && self.recovery.tail.is_none()
            && self.rtt.has_sample()
            && !self.board.has_sacked()
            && !self.board.has_lost();
        if !may_probe {
            self.timers.clear(Timer::TailLoss);
            return;
        }
        let mut wait = self.rtt.srtt().saturating_mul(2);
        if self.board.is_single() {
            wait = wait.saturating_add(PEER_ACK_DELAY);
        }
        let at = now + wait.max(MIN_TAIL_WAIT);
        if at < self.timers.get(Timer::Retransmission) {
            self.timers.set(Timer::TailLoss, at);
        } else {
            self.timers.clear(Timer::TailLoss);
        }
    }

    /// Our timestamp clock (RFC 7323 §5.4): a tick is a millisecond.
    pub(super) fn timestamp(&self, now: Instant) -> u32 {
        timestamp_millis(now).wrapping_add(self.config.timestamps.unwrap_or(0))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "timestamps are the low 32 bits of the clock"
)]
const fn timestamp_millis(now: Instant) -> u32 {
    now.as_millis() as u32
}

/// `WCDelAckT` of RFC 8985 §7.2: how long the peer may hold an acknowledgement back.
const PEER_ACK_DELAY: Duration = Duration::from_millis(200);
/// Timers of hosts are no finer than that.
const MIN_TAIL_WAIT: Duration = Duration::from_millis(2);
