//! Bytes without a mapping and acknowledgements without a DATA_ACK: a path that lost some options, or a
//! peer that is TCP by now (RFC 8684 §3.7).
//!
//! What one host takes for the stream the other must not send twice, and neither can ask. So each tells
//! by its acknowledgements what it makes of bytes that have no mapping:
//!
//! - A DATA_ACK that does not cover what TCP acknowledges says "I lack the rest": whoever has said so
//!   never takes bytes without a mapping for the stream, since they may be copies.
//! - Acknowledgements without DATA_ACK say nothing: a host that has not made up its mind sends these,
//!   and whoever gets only these sends nothing twice.

use std::time::Duration;

use crate::conn::subflow::{Step, Subflow};
use crate::conn::timer::Timer;
use crate::conn::{Connection, Phase, Violation};
use crate::path::SubflowId;
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

impl Connection {
    /// Whether the connection may go on as TCP on this subflow though the peer has not asked for it:
    /// there never was another one, and on this one the stream lies in order from its first byte on, so
    /// that each byte has just one place. A join whose third ACK has not left is no subflow for either host:
    /// where the first data show that options are lost, it does not count.
    pub(super) fn may_fall_back_unasked(&self, index: usize) -> bool {
        let is_start = !self.subflows[index].incoming.is_mapped();
        let is_begun = |subflow: &Subflow| is_start && matches!(subflow.step, Step::JoinSynSent(_));
        self.is_only_but_for(index, is_begun) && self.is_one_stream(index)
    }

    /// The same where the peer asks for it: it does so before it has sent the third ACK of a join.
    pub(super) fn may_fall_back_before_joins(&self, index: usize) -> bool {
        let is_begun = |subflow: &Subflow| {
            matches!(
                subflow.step,
                Step::JoinSynSent(_) | Step::JoinSynReceived(_)
            )
        };
        self.is_only_but_for(index, is_begun) && self.is_one_stream(index)
    }

    /// Whether a subflow is the only one, joins aside that wait for it to be proven.
    pub(super) fn is_only(&self, index: usize) -> bool {
        self.is_only_but_for(index, |_| false)
    }

    /// The same, those aside that `is_none` holds of.
    fn is_only_but_for(&self, index: usize, is_none: impl Fn(&Subflow) -> bool) -> bool {
        let own = &self.subflows[index];
        let alive = self.subflows.iter().filter(|subflow| subflow.end.is_none());
        let mut others = alive.filter(|subflow| subflow.id != own.id);
        own.is_up() && others.all(|other| is_none(other) || self.holds_join(other))
    }

    /// Whether a join of the peer's is under way, and what has come bare on this subflow can wait until it is up
    /// or has been reset: a peer that is TCP by now resets it.
    pub(super) fn awaits_join(&self, index: usize) -> bool {
        let mut begun = self
            .subflows
            .iter()
            .filter(|subflow| subflow.is_half_open());
        begun.any(|subflow| !self.holds_join(subflow)) && self.may_fall_back_before_joins(index)
    }

    /// Whether our SYN of a join, or the SYN/ACK, waits.
    pub(super) fn holds_join(&self, subflow: &Subflow) -> bool {
        let is_begun = matches!(
            subflow.step,
            Step::JoinSynSent(_) | Step::JoinSynReceived(_)
        );
        let is_waiting = is_begun && subflow.end.is_none() && subflow.tcp.syn_transmissions() == 0;
        is_waiting && self.holds_joins()
    }

    /// Whether joins wait: our first data are under way on the initial subflow, and no DATA_ACK has shown that their
    /// mappings reach the peer. Who gets them bare can fall back only "before any additional subflows are added"
    /// (RFC 8684 §3.7). After some timeouts in a row the path may be gone, and another one is what is needed.
    pub(crate) fn holds_joins(&self) -> bool {
        let first = self.session().map(|session| session.local_idsn.add(1));
        let is_open = self.send.in_flight() > 0 && Some(self.send.unacked_dsn()) == first;
        let is_alive = |initial: &Subflow| {
            initial.id == SubflowId(0)
                && initial.tcp.info().backoff < self.config.patience.stale_after
        };
        is_open && !self.progress.has_joined && self.up().any(is_alive)
    }

    /// Whether bytes came on the initial subflow, and no mapping ever did: as far as anybody knows it has none.
    pub(super) fn has_bare_start(&self) -> bool {
        self.up().any(|subflow| {
            subflow.id == SubflowId(0) && subflow.bare_segments > 0 && !subflow.incoming.is_mapped()
        })
    }

    /// Ends all joins before the initial subflow goes on as TCP (RFC 8684 §3.7).
    pub(super) fn reset_all_but(&mut self, id: SubflowId) {
        for index in 0..self.subflows.len() {
            let subflow = &self.subflows[index];
            if subflow.id != id && subflow.end.is_none() {
                self.reset_subflow(index, ResetReason::MIDDLEBOX_INTERFERENCE);
            }
        }
    }

    /// Whether the stream lies on this subflow alone, each byte in its only place.
    pub(super) fn is_one_stream(&self, index: usize) -> bool {
        let Some(session) = self.session() else {
            return false;
        };
        let (ours, theirs) = (session.local_idsn.add(1), session.remote_idsn.add(1));
        let subflow = &self.subflows[index];
        // What went with the SYNs lies before the first DSN.
        let (sent, early) = (subflow.outgoing.end(), subflow.outgoing.first());
        let is_sent_once = self.send.next_dsn() == ours.add(sent.saturating_sub(early));
        let early = subflow.tcp.early_received();
        is_sent_once
            && !self.progress.has_joined
            && self.is_gapless(index)
            && self
                .incoming_base(index)
                .is_some_and(|(position, dsn)| dsn.add(early) == theirs.add(position))
    }

    /// Whether it is open what bytes without a mapping are: a mapping may come, or the peer is TCP.
    pub(super) fn is_in_doubt(&self, index: usize) -> bool {
        let subflow = &self.subflows[index];
        subflow.bare_segments > 0
            && subflow.incoming.unmapped_bytes() > 0
            && self.is_one_stream(index)
    }

    /// A DATA_ACK leaves. If it does not cover what TCP acknowledges, the peer may send that again.
    pub(super) fn note_data_ack_sent(&mut self, index: usize) {
        let Some(session) = self.session() else {
            return;
        };
        let subflow = &self.subflows[index];
        let incoming = &subflow.incoming;
        let settled = incoming
            .received()
            .saturating_sub(subflow.tcp.early_received())
            .saturating_sub(incoming.unverified_bytes());
        let covered = session.remote_idsn.add(1).add(settled);
        // Beside another subflow the numbers say nothing of this one.
        let lacks = !self.progress.has_joined && self.receive.next_dsn() != covered;
        if lacks || incoming.unmapped_bytes() > 0 {
            self.subflows[index].has_copies = true;
        }
    }

    /// Bytes have come, and perhaps some without a mapping.
    pub(super) fn judge_unmapped(&mut self, now: Instant, index: usize, is_mapped: bool) {
        let is_mptcp = self.is_mptcp();
        let subflow = &mut self.subflows[index];
        let unmapped = subflow.incoming.unmapped_bytes();
        if unmapped == 0 {
            if subflow.tcp.out_of_order() == 0 {
                subflow.bare_segments = 0;
            }
            return;
        }
        if !is_mptcp || subflow.end.is_some() {
            return;
        }
        // Options pass still or again: the peer will send what has no mapping again.
        subflow.has_copies |= is_mapped;
        let has_bare = subflow.bare_segments > 0;
        let room = self.send_limits(index).window;
        let mss = u64::from(self.subflows[index].tcp.mss(0));
        if room < mss && unmapped.saturating_mul(2) >= self.receive.possible_window() {
            // RFC 8684 §3.3.1: a receive window without a mapping. No retransmission finds room either.
            let violation = if has_bare {
                Violation::OptionsMissing
            } else {
                Violation::Unmapped
            };
            self.react(now, index, violation);
        } else if has_bare {
            let due = now + self.config.patience.unmapped;
            self.timers.set_if_stopped(Timer::Unmapped, due);
        }
    }

    pub(super) fn on_unmapped_timer(&mut self, now: Instant) {
        for index in 0..self.subflows.len() {
            let subflow = &self.subflows[index];
            let has_unmapped = subflow.incoming.unmapped_bytes() > 0;
            let is_bare = subflow.bare_segments > 0;
            if !matches!(self.phase, Phase::Mptcp(_)) {
                return;
            }
            if subflow.end.is_some() || !has_unmapped || !is_bare {
                continue;
            }
            let is_hopeless = subflow
                .bare_run
                .is_some_and(|(since, count)| count >= FEW && now.since(since) >= MAX_DOUBT);
            let may_mend = subflow.bare_segments < MAX_BARE_SEGMENTS && !is_hopeless;
            let is_only = self.is_only(index);
            if !is_only && self.is_in_doubt(index) {
                // A join is under way: it is another way, or the peer has refused it and is TCP.
                let due = now + self.config.patience.unmapped;
                self.timers.set_if_stopped(Timer::Unmapped, due);
            } else if is_only && may_mend && !self.may_fall_back_unasked(index) {
                // What cannot be TCP may still get its mapping, with a retransmission.
                self.subflows[index].has_copies = true;
            } else {
                self.react(now, index, Violation::OptionsMissing);
            }
        }
    }
}

/// Segments of data without any option in a row, after which none is expected to have one again.
const MAX_BARE_SEGMENTS: u32 = 32;

/// The same for so few of them as a sender repeats that has nothing else to send: some repetitions, each after
/// twice the time of the one before, which begins with two retransmission timeouts of 200 ms at least.
const FEW: u32 = 4;
const MAX_DOUBT: Duration = Duration::from_secs(5);
