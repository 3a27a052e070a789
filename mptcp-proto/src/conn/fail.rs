//! Wrong checksums, MP_FAIL, infinite mappings, and the step to TCP (RFC 8684 §3.7).

use crate::conn::event::{ConnectionEnd, Event};
use crate::conn::received::ReceivedOptions;
use crate::conn::timer::Timer;
use crate::conn::{Connection, Counter, FallbackReason, Farewell, Phase, Plain, State, Violation};
use crate::data::send::Oldest;
use crate::data::subflow_receive::MappingFault;
use crate::seq::Dsn;
use crate::time::Instant;
use crate::wire::mptcp::ResetReason;

impl Plain {
    /// TCP from the handshake on: the first byte has this DSN, which nobody sees.
    pub(super) fn new(reason: FallbackReason, first: Dsn) -> Self {
        Self {
            reason,
            send_base: first,
            farewell: Farewell::default(),
        }
    }
}

impl Farewell {
    /// Whether something is still to be said with options.
    pub(super) const fn is_open(&self) -> bool {
        self.fail.is_some() || self.notice.is_some() || self.infinite.is_some()
    }
}

impl Connection {
    /// Whether the connection may go on as TCP on this subflow: it is the only one, and what is not
    /// acknowledged lies on it without a gap, in both directions (RFC 8684 §3.7).
    pub(super) fn may_fall_back(&self, index: usize) -> bool {
        self.only_up() == Some(index) && self.is_gapless(index)
    }

    /// The same where the peer asks for it.
    fn may_fall_back_asked(&self, index: usize) -> bool {
        self.may_fall_back(index) || self.may_fall_back_before_joins(index)
    }

    /// Gives the only subflow what is to be sent again after another one was lost, where it is just what
    /// comes next on it: then nothing of it is missing there.
    fn complete_stream(&mut self, now: Instant, index: usize) {
        let subflow = &self.subflows[index];
        let (id, at) = (subflow.id, subflow.linear.base.add(subflow.outgoing.end()));
        let is_next = |oldest: Oldest| oldest.dsn == at;
        let is_next = self.send.next_reinjection().is_some_and(is_next);
        let rest = self.send.next_dsn().distance_from(at);
        if self.only_up() != Some(index) || !is_next || rest != Some(self.send.reinjections()) {
            return;
        }
        let len = self.mapping_len(id, u64::MAX);
        while let Some((dsn, payload)) = self.send.take_reinjection(id, len, true) {
            self.give_again(now, id, dsn, payload);
        }
    }

    /// Whether what is not acknowledged lies on this subflow without a gap, in both directions.
    pub(super) fn is_gapless(&self, index: usize) -> bool {
        if !self.is_mptcp() {
            return false;
        }
        let subflow = &self.subflows[index];
        let is_idle = self.send.in_flight() == 0;
        if subflow.has_copies {
            return false;
        }
        let first = subflow.linear.first();
        let is_linear = self.send.unacked_dsn().distance_from(first).is_some();
        let sends_gapless = self.send.reinjections() == 0
            && (is_idle || (is_linear && !self.send.is_carried_by_others(subflow.id)));
        sends_gapless && self.incoming_base(index).is_some() && !self.state.is_finished()
    }

    /// The position and the DSN where the peer's stream goes on without mappings; none when what came
    /// does not lie on it without a gap.
    pub(super) fn incoming_base(&self, index: usize) -> Option<(u64, Dsn)> {
        let incoming = &self.subflows[index].incoming;
        let first = self.session()?.remote_idsn.add(1);
        let (end, end_dsn) = incoming.mapped_end().unwrap_or((0, first));
        let next = self.receive.next_dsn();
        // What was not delivered begins with a byte that has no mapping, or whose checksum is not known
        // yet, or that did not come.
        let unverified = incoming.unverified_bytes();
        let waiting = unverified.saturating_add(incoming.unmapped_bytes());
        let missing = incoming.received().saturating_sub(waiting);
        let start = incoming.first_unmapped().unwrap_or(missing).min(missing);
        if start < end {
            // What follows has a mapping already, which must agree.
            let agrees = end_dsn.distance_from(next) == Some(end.saturating_sub(start));
            agrees.then_some((start, next))
        } else {
            let is_in_order = self.receive.out_of_order() == 0 && next == end_dsn;
            is_in_order.then_some((end, end_dsn))
        }
    }

    /// Goes on as TCP on the only subflow. The caller has asked [`Connection::may_fall_back`].
    pub(super) fn fall_back(&mut self, now: Instant, index: usize, reason: FallbackReason) {
        self.release_token();
        let end = self.subflows[index].outgoing.end();
        let is_idle = self.send.in_flight() == 0;
        let send_base = if is_idle {
            Dsn(self.send.next_dsn().0.wrapping_sub(end))
        } else {
            self.subflows[index].linear.base
        };
        let Some((position, dsn)) = self.incoming_base(index) else {
            return;
        };
        self.reset_all_but(self.subflows[index].id);
        let subflow = &mut self.subflows[index];
        subflow.incoming.fall_back(position, dsn);
        subflow.tcp.set_shared_window(false);
        self.receive.trust_tcp();
        self.phase = Phase::Tcp(Plain {
            reason,
            send_base,
            farewell: Farewell::default(),
        });
        for timer in [
            Timer::DataRetransmit,
            Timer::DataFin,
            Timer::WindowProbe,
            Timer::Fail,
            Timer::Unmapped,
            Timer::Close,
        ] {
            self.timers.stop(timer);
        }
        self.tell(Event::FellBack { reason });
        self.progress.may_schedule = true;
        self.take_mapped(now, index);
        self.carry_over_end(now, index);
    }

    /// Goes on as TCP though the peer did not ask for it, and tells it: it may hear options still, and must
    /// not send anything twice any more. The caller has asked [`Connection::may_fall_back_unasked`].
    pub(super) fn fall_back_unasked(&mut self, now: Instant, index: usize, reason: FallbackReason) {
        let subflow = &self.subflows[index];
        let session = self.session().copied().filter(|_| subflow.has_dss);
        let infinite = subflow.outgoing.end();
        let is_about_data = !matches!(
            reason,
            FallbackReason::DataAckMissing | FallbackReason::FirstDataOptionMissing
        );
        let base = self.incoming_base(index).filter(|_| is_about_data);
        self.fall_back(now, index, reason);
        if let (Phase::Tcp(plain), Some(_)) = (&mut self.phase, session) {
            plain.farewell = Farewell {
                fail: None,
                notice: base.map(|(_, dsn)| (dsn, NOTICES)),
                infinite: Some(infinite),
                session,
            };
        }
    }

    /// A DATA_FIN that was sent becomes a FIN, and a FIN that came stands for the peer's DATA_FIN.
    fn carry_over_end(&mut self, now: Instant, index: usize) {
        // A peer that is TCP now waits for a FIN even where it has acknowledged the DATA_FIN.
        if self.send.is_fin_unacked() || self.send.is_fin_due() || self.send.is_finished() {
            self.send.on_fin_sent();
            self.subflows[index].close();
        }
        let position = self.subflows[index].tcp.acked_until();
        if let Phase::Tcp(plain) = self.phase {
            let acked = self.send.on_data_ack(plain.send_base.add(position));
            if let crate::data::send::DataAcked::Advanced { bytes, fin } = acked {
                self.on_data_acked(now, bytes, fin);
            }
        }
        let subflow = &self.subflows[index];
        // What came with the FIN may have to be delivered still, and then the FIN follows it.
        let is_delivered = subflow.incoming.received() >= subflow.tcp.next_position();
        if !subflow.tcp.state().may_receive() && is_delivered {
            self.on_fin(now, index);
        }
        self.subflows[index].tcp.ack_now();
    }

    /// A mapping is broken, or bytes have none.
    pub(super) fn on_mapping_fault(&mut self, now: Instant, index: usize, fault: MappingFault) {
        match fault {
            MappingFault::Conflict { .. } => {
                self.count(Counter::DssNotMatching);
                self.react(now, index, Violation::MappingConflict);
            }
            MappingFault::Unmapped { .. } => self.react(now, index, Violation::Unmapped),
            MappingFault::NoChecksum { .. } => self.react(now, index, Violation::ChecksumMissing),
            MappingFault::Checksum { dsn, was_first } => {
                self.count(Counter::DataCsumErr);
                self.on_wrong_checksum(now, index, dsn, was_first);
            }
            MappingFault::Beyond { .. } => self.count(Counter::NoDssInWindow),
        }
    }

    fn on_wrong_checksum(&mut self, now: Instant, index: usize, dsn: Dsn, was_first: bool) {
        self.react(now, index, Violation::Checksum);
        self.complete_stream(now, index);
        let others = self.up().count() > 1;
        // RFC 8684 §3.7: after a subflow was lost the peer may be sending its data again, which then do not lie
        // on this one without a gap. Where nothing at all comes over it as it was, there is no other way.
        let is_repeating =
            self.progress.has_lost_subflow && !was_first && !self.has_come_alone(index);
        if others || is_repeating || !self.may_fall_back(index) {
            // RFC 8684 §3.7: the data are discarded, and the peer sends them over another subflow, or a new one.
            self.subflows[index].announce.fail = Some(dsn);
            self.reset_subflow(index, ResetReason::MIDDLEBOX_INTERFERENCE);
            return;
        }
        let session = self.session().copied();
        // RFC 8684 §3.7 has no MP_FAIL where no data were acknowledged; only an initial subflow is believed
        // without.
        let is_first = was_first
            && !self.progress.has_joined
            && self.receive.data_ack() == self.subflow_first_dsn();
        self.count(Counter::DssFallback);
        if is_first {
            self.fall_back(now, index, FallbackReason::FirstChecksum);
            return;
        }
        let infinite = self.subflows[index].outgoing.end();
        self.fall_back(now, index, FallbackReason::Checksum);
        if let Phase::Tcp(plain) = &mut self.phase {
            plain.farewell = Farewell {
                fail: Some(dsn),
                notice: None,
                infinite: Some(infinite),
                session,
            };
        }
        self.timers
            .set(Timer::Fail, now + self.config.patience.fail);
        self.subflows[index].tcp.ack_now();
    }

    /// Whether the peer's stream came over this subflow from its first byte on.
    fn has_come_alone(&self, index: usize) -> bool {
        let first = self.subflow_first_dsn();
        let base = self.incoming_base(index);
        base.is_some_and(|(position, dsn)| first.add(position) == dsn)
    }

    fn subflow_first_dsn(&self) -> Dsn {
        self.session()
            .map_or(Dsn(0), |session| session.remote_idsn.add(1))
    }

    /// MP_FAIL came (RFC 8684 §3.7).
    pub(super) fn on_fail(&mut self, now: Instant, index: usize, dsn: Dsn) {
        self.count(Counter::FailRx);
        // It names data that were sent, or it is none of ours.
        let next = self.send.next_dsn();
        if next.distance_from(dsn).is_none() || self.state.is_finished() {
            return;
        }
        self.complete_stream(now, index);
        if !self.may_fall_back_asked(index) {
            // RFC 8684 §3.7: what was sent does not lie on this subflow alone, and without its mappings
            // the data would be garbled; they go over another.
            self.reset_subflow(index, ResetReason::MIDDLEBOX_INTERFERENCE);
            return;
        }
        let session = self.session().copied();
        let infinite = self.subflows[index].outgoing.end();
        let answer = self.receive.data_ack();
        self.tell(Event::FailReceived { dsn });
        self.fall_back(now, index, FallbackReason::FailReceived);
        if let Phase::Tcp(plain) = &mut self.phase {
            plain.farewell = Farewell {
                fail: None,
                notice: Some((answer, 1)),
                infinite: Some(infinite),
                session,
            };
        }
        self.subflows[index].tcp.ack_now();
    }

    /// MP_FAIL left.
    pub(super) fn on_fail_sent(&mut self) {
        if let Phase::Tcp(plain) = &mut self.phase {
            let notice = &mut plain.farewell.notice;
            *notice = notice.and_then(|(dsn, left)| Some((dsn, left.checked_sub(1)?)));
            *notice = notice.filter(|(_, left)| *left > 0);
        }
    }

    /// After fallback: does the peer react to MP_FAIL, and has it the infinite mapping?
    pub(super) fn on_farewell_segment(
        &mut self,
        index: usize,
        options: &ReceivedOptions,
        has_payload: bool,
    ) {
        let Phase::Tcp(plain) = &mut self.phase else {
            return;
        };
        let mapping = options.dss.and_then(|dss| dss.mapping);
        let is_infinite = mapping.is_some_and(|mapping| mapping.is_infinite());
        if is_infinite || options.fail.is_some() {
            plain.farewell.notice = None;
        }
        if !has_payload {
            self.on_farewell_fin(index, options);
        }
        let Phase::Tcp(plain) = &mut self.phase else {
            return;
        };
        if plain.farewell.fail.is_none() {
            return;
        }
        let is_plain = options.is_empty() && has_payload;
        if is_infinite || is_plain || options.fail.is_some() {
            plain.farewell.fail = None;
            self.timers.stop(Timer::Fail);
        }
        if is_infinite {
            self.counters.count(Counter::InfiniteMapRx);
        }
    }

    /// The DATA_FIN of a peer that does not know yet that this host is TCP, and so sends no FIN before it is
    /// acknowledged.
    fn on_farewell_fin(&mut self, index: usize, options: &ReceivedOptions) {
        let dss = options.dss.filter(|dss| dss.data_fin);
        let mapping = dss.and_then(|dss| dss.mapping);
        let next = self.receive.next_dsn();
        if mapping.is_some_and(|mapping| mapping.len == 1 && mapping.dsn.expand(next) == next) {
            self.receive.set_fin(next);
            self.check_end_of_data();
            self.subflows[index].tcp.ack_now();
        }
    }

    /// Our stream was acknowledged up to here, after fallback.
    pub(super) fn on_farewell_acked(&mut self, until: u64) {
        if let Phase::Tcp(plain) = &mut self.phase
            && plain.farewell.infinite.is_some_and(|from| from < until)
        {
            plain.farewell.infinite = None;
        }
    }

    /// RFC 8684 §3.7: nobody reacted to MP_FAIL.
    pub(super) fn on_fail_timer(&mut self) {
        let is_open = matches!(self.phase, Phase::Tcp(plain) if plain.farewell.fail.is_some());
        if is_open && self.state != State::Closed {
            // Told first, as the end of the last subflow would tell less.
            self.tell_closed(ConnectionEnd::Violation(Violation::Checksum));
            self.reset_all(ResetReason::MPTCP_SPECIFIC);
            self.state = State::Closed;
        }
    }

    /// The infinite mapping came: the subflow already maps what follows.
    pub(super) fn on_infinite_mapping(&mut self, now: Instant, index: usize) {
        self.count(Counter::InfiniteMapRx);
        let infinite = self.subflows[index].incoming.infinite();
        // It may overtake data that were sent before it, which must lie in order up to where it begins.
        let is_continued =
            infinite
                .zip(self.incoming_base(index))
                .is_some_and(|((from, at), (position, dsn))| {
                    let before = from.checked_sub(position);
                    before.is_none_or(|before| dsn.add(before) == at)
                });
        self.complete_stream(now, index);
        if is_continued && self.may_fall_back_asked(index) {
            self.fall_back(now, index, FallbackReason::InfiniteMapping);
        } else {
            self.react(now, index, Violation::InfiniteMapping);
        }
    }
}

/// How often MP_FAIL says that no options come: acknowledgements may be lost.
const NOTICES: u8 = 3;
