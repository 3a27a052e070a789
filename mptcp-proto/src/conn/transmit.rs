//! A segment goes out.

use crate::conn::options::{SegmentKind, Wanted, WantedDss, compose};
use crate::conn::subflow::Step;
use crate::conn::timer::Timer;
use crate::conn::{Connection, Context, Counter, Farewell, Phase, Role};
use crate::path::SubflowId;
use crate::tcp::{Outgoing, OutgoingKind, SendLimits};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{Capable, CapableData, DssMapping, MptcpOption, Prio, Subtype};

impl Connection {
    /// Appends the next packet to `out`; false when there is none for now.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        out: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> bool {
        self.progress.now = now;
        self.retry_refused(now, context);
        self.run_actions(now, context);
        if self.progress.may_schedule {
            self.progress.may_schedule = false;
            self.schedule(now);
        }
        let count = self.subflows.len();
        for step in 0..count {
            let index = self.turn.wrapping_add(step) % count;
            if self.transmit_from(now, index, out) {
                self.turn = index;
                return true;
            }
        }
        // The application may have taken the last subflow away since anything else happened.
        self.settle(now);
        self.reap();
        false
    }

    fn transmit_from(&mut self, now: Instant, index: usize, out: &mut Vec<u8>) -> bool {
        if self.holds_join(&self.subflows[index]) {
            return false;
        }
        let limits = self.send_limits(index);
        let Some(mut outgoing) = self.subflows[index].tcp.poll_transmit(now, &limits) else {
            return false;
        };
        self.append_options(now, index, &mut outgoing);
        if !outgoing.flags.rst() {
            self.receive.announce();
        }
        if !outgoing.payload.is_empty() {
            self.progress.last_sent = now;
            self.pace(now, index, outgoing.payload.len());
        }
        let start = out.len();
        if outgoing.emit(out).is_err() {
            // Only a payload that IP cannot hold, which the MSS rules out.
            out.truncate(start);
            return false;
        }
        true
    }

    pub(super) fn send_limits(&self, index: usize) -> SendLimits {
        let subflow = &self.subflows[index];
        let (reserve, reserve_ack) = self.reserve(index);
        // What came and has no place in the data yet takes room like the rest.
        let incoming = &subflow.incoming;
        let pending = incoming
            .unmapped_bytes()
            .saturating_add(incoming.unverified_bytes());
        let room = self.receive.possible_window();
        // What waits for its checksum would else fill a buffer smaller than its mapping for ever.
        let least = room.min(incoming.unverified_rest());
        SendLimits {
            cwnd: self.congestion.cwnd(subflow.id),
            window: room.saturating_sub(pending).max(least),
            reserve,
            reserve_ack,
            not_before: subflow.pace.not_before(self.progress.now),
        }
    }

    /// Bytes of MPTCP options on segments with and without payload.
    pub(super) fn reserve(&self, index: usize) -> (usize, usize) {
        let has_checksum = match &self.phase {
            Phase::Mptcp(session) => session.checksum,
            Phase::Tcp(plain) => match plain.farewell.session {
                Some(session) if plain.farewell.is_open() => {
                    let checksum = if session.checksum { 2 } else { 0 };
                    let data = DSS_HEADER + 8 + LONG_MAPPING + checksum;
                    return (data.next_multiple_of(4), FAREWELL);
                }
                _ => return (0, 0),
            },
            _ => return (MAX_RESERVE, 0),
        };
        let short = self.progress.is_peer_short;
        let ack = if short { 4 } else { 8 };
        let checksum = if has_checksum { 2 } else { 0 };
        let mapping = if self.config.sends_short_dsn() {
            SHORT_MAPPING
        } else {
            LONG_MAPPING
        };
        let data = (DSS_HEADER + ack + mapping + checksum).next_multiple_of(4);
        let subflow = &self.subflows[index];
        let is_handshake = matches!(subflow.step, Step::JoinAckSent(_));
        let pure = if is_handshake || !self.progress.is_fully_established {
            JOIN_ACK
        } else {
            let said = self.subflows[index].announce.len();
            self.paths
                .waiting
                .max(DSS_HEADER + ack + said)
                .min(MAX_RESERVE.max(self.paths.waiting))
        };
        (data.max(CAPABLE_WITH_DATA), pure)
    }

    fn append_options(&mut self, now: Instant, index: usize, outgoing: &mut Outgoing) {
        match outgoing.kind {
            OutgoingKind::Syn | OutgoingKind::SynAck => self.append_syn_options(index, outgoing),
            OutgoingKind::Reset => self.append_reset_options(index, outgoing),
            OutgoingKind::Ack | OutgoingKind::Data | OutgoingKind::Fin | OutgoingKind::Probe => {
                match self.phase {
                    Phase::Mptcp(_) => self.append_data_options(now, index, outgoing),
                    Phase::Tcp(plain) if plain.farewell.is_open() => {
                        self.append_farewell(index, outgoing, plain.farewell);
                    }
                    _ => {}
                }
            }
        }
        outgoing.area.pad();
    }

    fn append_syn_options(&mut self, index: usize, outgoing: &mut Outgoing) {
        let subflow = &self.subflows[index];
        let is_syn = outgoing.kind == OutgoingKind::Syn;
        let option = match (subflow.step, self.phase) {
            (Step::JoinSynSent(step), _) if is_syn => MptcpOption::Join(step.option()),
            (Step::JoinSynReceived(step), _) if !is_syn => MptcpOption::Join(step.option()),
            (Step::Initial, Phase::SynSent(step)) if is_syn => {
                let tries = subflow.tcp.syn_transmissions();
                // RFC 8684 §3.9.3: some boxes drop SYNs with the option.
                if !self.offers_mptcp(tries) {
                    self.count(Counter::CapableSynTxDrop);
                    return;
                }
                self.count(Counter::CapableSynTx);
                MptcpOption::Capable(step.option())
            }
            (Step::Initial, Phase::SynReceived(step)) if !is_syn => {
                MptcpOption::Capable(step.option())
            }
            _ => return,
        };
        // A SYN has MSS, window scale, SACK and timestamps, 20 bytes, and the option 20 at most.
        let _ = option.emit(&mut outgoing.area);
    }

    fn append_reset_options(&mut self, index: usize, outgoing: &mut Outgoing) {
        let Some(version) = self.paths.version() else {
            return;
        };
        let subflow = &self.subflows[index];
        let wanted = Wanted {
            segment: SegmentKind::Reset,
            fast_close: self
                .paths
                .fast_close_key()
                .filter(|_| subflow.announce.fast_close),
            fail: subflow.announce.fail,
            tcp_reset: subflow.announce.reset,
            ..Wanted::default()
        };
        let composed = compose(version, &wanted, &mut outgoing.area);
        for (subtype, counter) in [
            (Subtype::FAST_CLOSE, Counter::FastcloseTx),
            (Subtype::FAIL, Counter::FailTx),
            (Subtype::TCP_RESET, Counter::RstTx),
        ] {
            if composed.has(subtype) {
                self.count(counter);
            }
        }
    }

    fn append_data_options(&mut self, now: Instant, index: usize, outgoing: &mut Outgoing) {
        let Some(session) = self.session().copied() else {
            return;
        };
        let subflow = &self.subflows[index];
        let is_pure = outgoing.payload.is_empty();
        let mut wanted = Wanted {
            segment: if is_pure {
                SegmentKind::PureAck
            } else {
                SegmentKind::Other
            },
            ..Wanted::default()
        };
        if let Step::JoinAckSent(step) = subflow.step {
            wanted.join = Some(step.option());
        } else {
            wanted.capable = self.third_ack_option(index, outgoing);
            wanted.dss = Some(self.wanted_dss(index, outgoing));
            wanted.fail = subflow.announce.fail;
            let asks = subflow.announce.fast_close;
            wanted.fast_close = asks.then_some(session.remote_key);
            if is_pure && subflow.may_signal(now) {
                wanted.prio = subflow.announce.prio.map(|priority| Prio {
                    priority,
                    address_id: None,
                    reserved: 0,
                });
                if !subflow.is_closing {
                    self.fill_addresses(now, &mut wanted);
                }
            }
        }
        let composed = compose(session.version, &wanted, &mut outgoing.area);
        if SIGNALS.into_iter().any(|signal| composed.has(signal)) {
            let subflow = &mut self.subflows[index];
            subflow.signals.on_sent(now, subflow.rto());
        }
        if composed.has_data_ack {
            self.note_data_ack_sent(index);
        }
        let is_third_ack = is_pure && composed.has(Subtype::CAPABLE);
        self.progress.has_repeated_third_ack = is_third_ack;
        let subflow = &mut self.subflows[index];
        if is_third_ack && subflow.announce.data_fin {
            subflow.tcp.ack_now();
        }
        if composed.has(Subtype::PRIO) {
            subflow.announce.prio = None;
            subflow.announce.holds_prio = false;
            self.count(Counter::PrioTx);
        }
        if composed.has(Subtype::FAST_CLOSE) {
            self.count(Counter::FastcloseTx);
        }
        let has_fin = wanted.dss.is_some_and(|dss| dss.data_fin) && is_pure;
        if composed.has(Subtype::DSS) && has_fin {
            self.subflows[index].announce.data_fin = false;
            self.on_fin_sent(now);
        }
        self.on_addresses_sent(now, &wanted, &composed);
    }

    /// RFC 8684 §3.1: the initiator repeats both keys until it has heard of the peer, with its first
    /// data in version 1.
    fn third_ack_option(&self, index: usize, outgoing: &Outgoing) -> Option<Capable> {
        let session = self.session()?;
        let subflow = &self.subflows[index];
        let is_initial = self.role == Role::Client && subflow.id == SubflowId(0);
        let first = subflow.outgoing.first();
        let early = u32::try_from(first).unwrap_or(0);
        let start = subflow.tcp.initial_numbers().0.add(1);
        // A third ACK comes behind data of the SYN that are to go again.
        let unmapped = u32::try_from(self.early.len()).unwrap_or(0);
        let is_behind = outgoing.payload.is_empty() && unmapped > early;
        let is_first =
            outgoing.seq == start.add(early) || is_behind && outgoing.seq == start.add(unmapped);
        if !is_initial || self.progress.is_fully_established || !is_first {
            return None;
        }
        if outgoing.payload.is_empty() {
            // A DATA_FIN without data goes right after a third ACK, lest it arrive without one.
            let is_fin_next = subflow.announce.data_fin && self.progress.has_repeated_third_ack;
            return (!is_fin_next).then(|| session.third_ack(None));
        }
        let mapping = subflow.outgoing.at(first)?;
        (session.version == Version::V1 && !mapping.has_fin).then(|| {
            session.third_ack(Some(CapableData {
                len: mapping.len,
                checksum: mapping.checksum,
            }))
        })
    }

    fn wanted_dss(&self, index: usize, outgoing: &Outgoing) -> WantedDss {
        let subflow = &self.subflows[index];
        let short = self.config.sends_short_dsn();
        let mut dss = WantedDss {
            data_ack: (!self.is_in_doubt(index)).then(|| self.receive.data_ack()),
            short_ack: self.progress.is_peer_short,
            ..WantedDss::default()
        };
        if outgoing.payload.is_empty() {
            // A FIN takes a DATA_FIN along that is not acknowledged: a path may pass options with it alone.
            let is_last = outgoing.flags.fin() && self.send.is_fin_unacked();
            let has_fin = subflow.announce.data_fin || is_last;
            if let (true, Some(dsn)) = (has_fin, self.send.fin_dsn()) {
                dss.mapping = Some(subflow.outgoing.fin_option(dsn, short));
                dss.data_fin = true;
            }
        } else if let Some(mapping) = subflow.outgoing.at(outgoing.stream.start) {
            dss.mapping = Some(mapping.option(short));
            dss.data_fin = mapping.has_fin;
        }
        dss
    }

    /// A DATA_FIN left.
    pub(super) fn on_fin_sent(&mut self, now: Instant) {
        self.send.on_fin_sent();
        self.progress.is_fin_wanted = false;
        let due = now + self.tries.data_fin(self.data_rto());
        self.timers.set(Timer::DataFin, due);
    }

    /// RFC 8684 §3.7: MP_FAIL, and the infinite mapping on the first data after it.
    fn append_farewell(&mut self, index: usize, outgoing: &mut Outgoing, farewell: Farewell) {
        let Some(session) = farewell.session else {
            return;
        };
        let is_pure = outgoing.payload.is_empty();
        let notice = farewell.notice.map(|(dsn, _)| dsn);
        let mut dss = WantedDss {
            data_ack: Some(self.receive.data_ack()),
            short_ack: self.progress.is_peer_short,
            ..WantedDss::default()
        };
        if !is_pure {
            dss.mapping = self.farewell_mapping(index, outgoing.stream.start, &farewell);
        } else if let (true, None, Some(dsn)) = (outgoing.flags.fin(), notice, self.send.fin_dsn())
        {
            // A peer that is not TCP yet does not take FIN for the end of the data. After MP_FAIL it does.
            let short = self.config.sends_short_dsn();
            dss.mapping = Some(self.subflows[index].outgoing.fin_option(dsn, short));
            dss.data_fin = true;
        }
        let wanted = Wanted {
            segment: if is_pure {
                SegmentKind::PureAck
            } else {
                SegmentKind::Other
            },
            dss: (dss.mapping.is_some() || is_pure).then_some(dss),
            fail: farewell.fail.or(notice).filter(|_| is_pure),
            ..Wanted::default()
        };
        let composed = compose(session.version, &wanted, &mut outgoing.area);
        if composed.has(Subtype::FAIL) {
            self.count(Counter::FailTx);
            self.on_fail_sent();
        }
        if dss.mapping.is_some_and(|mapping| mapping.is_infinite()) {
            self.count(Counter::InfiniteMapTx);
        }
    }

    fn farewell_mapping(
        &self,
        index: usize,
        position: u64,
        farewell: &Farewell,
    ) -> Option<DssMapping> {
        let outgoing = &self.subflows[index].outgoing;
        if let Some(mapping) = outgoing.at(position) {
            return Some(mapping.option(self.config.sends_short_dsn()));
        }
        let from = farewell.infinite.filter(|from| *from <= position)?;
        let Phase::Tcp(plain) = self.phase else {
            return None;
        };
        Some(outgoing.infinite_option(from, plain.send_base.add(from)))
    }
}

/// Most bytes of MPTCP options on a segment with payload: a DSS with everything in full width.
pub(super) const MAX_RESERVE: usize = 28;
/// Options that an acknowledgement leaves for.
const SIGNALS: [Subtype; 3] = [Subtype::ADD_ADDR, Subtype::REMOVE_ADDR, Subtype::PRIO];
const DSS_HEADER: usize = 4;
const LONG_MAPPING: usize = 14;
const SHORT_MAPPING: usize = 10;
const CAPABLE_WITH_DATA: usize = 24;
/// DSS with a DATA_ACK, and MP_FAIL.
const FAREWELL: usize = 24;
/// MP_JOIN in the third ACK; MP_CAPABLE there is shorter.
const JOIN_ACK: usize = 24;
