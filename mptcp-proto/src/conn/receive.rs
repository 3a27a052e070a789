//! A segment comes in.

use std::ops::Range;

use crate::conn::event::{ConnectionEnd, Event, SubflowEnd};
use crate::conn::hook::Hook;
use crate::conn::received::ReceivedOptions;
use crate::conn::subflow::Step;
use crate::conn::timer::Timer;
use crate::conn::{Change, Connection, Counter, Phase, State, Violation};
use crate::data::Payload;
use crate::data::receive::{FinNoted, Inserted};
use crate::data::send::DataAcked;
use crate::data::subflow_receive::{Delivered, Mapped, MappingFault};
use crate::path::SubflowId;
use crate::seq::{Dsn, TcpSeq};
use crate::tcp::{Acked, IcmpError, Received, TcpEvent, TcpEvents};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{DataAck, Dss, WireDsn};
use crate::wire::segment::Segment;

impl Connection {
    /// Takes a segment of the subflow with this id. Says whether it is a SYN that begins a new connection
    /// where this one is in TIME-WAIT (RFC 9293 §3.6.1) or half open; the subflow is forgotten then.
    pub(crate) fn handle_segment(
        &mut self,
        now: Instant,
        id: SubflowId,
        segment: &Segment<'_>,
    ) -> bool {
        let Some(index) = self.index_of(id) else {
            return false;
        };
        self.progress.now = now;
        self.paths.has_no_room = false;
        let options = self.read_options(segment);
        if self.overtakes_handshake(index, segment, &options) {
            self.count(Counter::NoDssInWindow);
            return false;
        }
        self.refresh_views();
        let (reserve, _) = self.reserve(index);
        let subflow = &mut self.subflows[index];
        let mss = u64::from(subflow.tcp.mss(reserve));
        let position = subflow.tcp.next_position();
        let mut hook = Hook {
            congestion: &mut *self.congestion,
            id,
            paths: &self.views,
            mss,
        };
        let received = subflow.tcp.handle_segment(now, segment, &mut hook);
        self.progress.may_schedule = true;
        if received.accepted {
            self.progress.last_received = now;
            let was_stale = self.heard_of(index);
            self.on_keep_alive_answered(now, index);
            let is_progress = received.payload.is_some() || received.acked.is_some();
            let subflow = &mut self.subflows[index];
            subflow.signals.on_received(is_progress);
            subflow.release_prio(now);
            let goes_on = self.advance(now, index, segment, &options, &received);
            if goes_on && self.is_mptcp() {
                self.handle_options(now, index, segment, &options, &received);
            } else if goes_on {
                self.on_farewell_segment(index, &options, !segment.payload.is_empty());
            }
            // Options may have ended the subflow, or the connection. Data of the SYN wait until it is known
            // where they belong.
            let is_waiting = matches!(self.phase, Phase::SynReceived(_));
            if goes_on && !is_waiting && self.subflows[index].end.is_none() {
                let is_mapped = !options.is_empty() && received.delivered.is_some();
                self.deliver(now, index, segment, received.delivered.clone(), position);
                self.note_urgent(index, received.urgent);
                self.judge_unmapped(now, index, is_mapped);
            }
            self.shed_outstanding(index, was_stale);
        }
        self.handle_acked(now, index, received.acked);
        let is_refused = received.events.contains(TcpEvent::Refused);
        if is_refused && self.outlives_refusal(index) {
            return false;
        }
        self.handle_tcp_events(now, index, received.events, &options);
        self.settle(now);
        let reopens = received.events.contains(TcpEvent::Reopen);
        if reopens {
            self.make_way(index);
        }
        reopens
    }

    /// Forgets a subflow in whose place another connection begins.
    fn make_way(&mut self, index: usize) {
        if self.subflows[index].is_half_open() {
            self.forget_half_open(index);
            return;
        }
        let path = self.subflows[index].path();
        self.end_subflow(index, SubflowEnd::Closed);
        self.subflows.remove(index);
        self.changes.push_back(Change::PathClosed(path));
        if self.state == State::Opening {
            self.refused(ConnectionEnd::Refused);
        }
    }

    /// Takes an ICMP message about a segment of this subflow: what it says holds for the subflow alone.
    pub(crate) fn handle_icmp(
        &mut self,
        now: Instant,
        id: SubflowId,
        quoted: TcpSeq,
        error: IcmpError,
    ) {
        let Some(index) = self.index_of(id) else {
            return;
        };
        self.progress.now = now;
        let events = self.subflows[index].tcp.handle_icmp(now, quoted, error);
        let is_refused = events.contains(TcpEvent::Refused);
        if is_refused && self.outlives_refusal(index) {
            return;
        }
        if is_refused {
            self.end_subflow(index, SubflowEnd::Unreachable);
            if self.state == State::Opening {
                self.refused(ConnectionEnd::Refused);
            }
        }
        let mss = self.subflows[index].tcp.mss(super::transmit::MAX_RESERVE);
        self.congestion.set_mss(id, mss);
        self.progress.may_schedule = true;
        self.settle(now);
    }

    /// Whether both hosts have agreed on MPTCP and nothing took it back.
    pub(super) const fn is_mptcp(&self) -> bool {
        matches!(self.phase, Phase::Mptcp(_))
    }

    fn read_options(&mut self, segment: &Segment<'_>) -> ReceivedOptions {
        let options = self.parse_options(segment);
        let ignored = u64::from(options.ignored);
        self.tuning.options_ignored = self.tuning.options_ignored.saturating_add(ignored);
        options
    }

    fn parse_options(&self, segment: &Segment<'_>) -> ReceivedOptions {
        let version = match self.phase {
            Phase::Tcp(plain) if plain.farewell.session.is_none() => {
                return ReceivedOptions::default();
            }
            Phase::Tcp(plain) => plain.farewell.session.map(|session| session.version),
            Phase::Mptcp(session) => Some(session.version),
            // MP_CAPABLE says itself which version it is of.
            Phase::SynSent(_) => None,
            Phase::SynReceived(step) => Some(step.version()),
        };
        ReceivedOptions::parse(version, segment.options)
    }

    /// Data that came before what stands for the third ACK have a mapping that cannot be kept without the
    /// keys. TCP must not acknowledge them, or the mapping would not come again.
    fn overtakes_handshake(
        &self,
        index: usize,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
    ) -> bool {
        let first = self.subflows[index].first_seq();
        let is_first = segment.seq == first || options.capable.is_some();
        let is_waiting = matches!(self.phase, Phase::SynReceived(_));
        let has_data = !segment.payload.is_empty() || segment.flags.fin();
        is_waiting && has_data && !is_first && !segment.flags.syn() && !segment.flags.rst()
    }

    /// The peer is there. Says whether it had not been for long.
    fn heard_of(&mut self, index: usize) -> bool {
        let subflow = &mut self.subflows[index];
        subflow.timeouts = 0;
        let was_stale = std::mem::take(&mut subflow.is_stale);
        if was_stale {
            let id = subflow.id;
            self.count(Counter::SubflowRecover);
            self.tell(Event::SubflowRecovered { id });
        }
        was_stale
    }

    fn handle_options(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        received: &Received,
    ) {
        self.note_join_ack_again(index, options);
        if let Some(fast_close) = options.fast_close {
            self.on_fast_close(now, index, fast_close.receiver_key);
        }
        if !self.is_mptcp() || segment.flags.rst() {
            return;
        }
        if !self.check_presence(now, index, segment, options, received) {
            return;
        }
        if let Some(dss) = options.dss {
            self.on_dss(now, index, segment, &dss);
        }
        if let Some(capable) = options.capable {
            self.on_capable_data(now, index, &capable);
        }
        if let (Some(fail), true) = (options.fail, self.is_mptcp()) {
            self.on_fail(now, index, fail.dsn);
        }
        if self.is_mptcp() {
            self.on_address_options(index, options);
        }
    }

    /// RFC 8684 §3.2: a third ACK that comes again wants its fourth again.
    fn note_join_ack_again(&mut self, index: usize, options: &ReceivedOptions) {
        let subflow = &mut self.subflows[index];
        if options.join.is_some() && subflow.step == Step::Up {
            subflow.tcp.ack_now();
        }
    }

    /// Looks whether options are missing where they must be. Says whether the rest of them counts.
    fn check_presence(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        received: &Received,
    ) -> bool {
        let subflow = &self.subflows[index];
        if segment.flags.syn() || subflow.step != Step::Up {
            return true;
        }
        if options.dss.is_some() || options.add_addr.is_some() {
            self.subflows[index].has_dss |= options.dss.is_some();
            self.progress.has_dss |= options.dss.is_some();
            let has_data_ack = options.dss.is_some_and(|dss| dss.data_ack.is_some());
            if has_data_ack || options.add_addr.is_some() {
                self.fully_established();
            }
            self.permit_joins();
            if has_data_ack {
                self.subflows[index].note_data_ack(segment.ack);
                self.subflows[index].bare_acks = 0;
            }
            return true;
        }
        if let Some(data) = options.capable.and_then(|capable| capable.data) {
            self.subflows[index].has_dss |= data.len > 0;
            self.fully_established();
            self.progress.has_dss |= data.len > 0;
            self.permit_joins();
            return true;
        }
        if !options.is_empty() {
            return true;
        }
        let has_dss = subflow.has_dss;
        if !segment.payload.is_empty() {
            let subflow = &mut self.subflows[index];
            subflow.bare_segments = subflow.bare_segments.saturating_add(1);
            let (since, count) = subflow.bare_run.unwrap_or((now, 0));
            subflow.bare_run = Some((since, count.saturating_add(1)));
        }
        let subflow = &self.subflows[index];
        let is_new_data = received.delivered.is_some() || received.payload.is_some();
        let is_mapped = subflow.incoming.is_mapped();
        if is_new_data && !has_dss && !is_mapped && self.is_first_payload(index, received) {
            self.react(now, index, Violation::FirstDataOptionMissing);
            return false;
        }
        if !segment.flags.rst() {
            let subflow = &mut self.subflows[index];
            subflow.bare_acks = subflow.bare_acks.saturating_add(1);
            if !has_dss && received.acked.is_some() && !self.awaits_join(index) {
                self.react(now, index, Violation::DataAckMissing);
                return self.is_mptcp();
            }
        }
        true
    }

    /// Whether the payload begins where no mapping can have come before.
    fn is_first_payload(&self, index: usize, received: &Received) -> bool {
        let subflow = &self.subflows[index];
        received
            .payload
            .as_ref()
            .is_some_and(|payload| payload.start <= subflow.incoming.received())
    }

    fn on_dss(&mut self, now: Instant, index: usize, segment: &Segment<'_>, dss: &Dss) {
        if let Some(data_ack) = dss.data_ack {
            self.on_data_ack(now, index, segment, data_ack);
        }
        let Some(mapping) = dss.mapping else {
            return;
        };
        if mapping.checksum.is_some() && self.forbids_checksum(index) {
            self.react(now, index, Violation::ChecksumUnexpected);
            return;
        }
        self.subflows[index].bare_run = None;
        self.progress.is_peer_short = matches!(mapping.dsn, WireDsn::Short(_));
        let near = self.receive.data_ack();
        let subflow = &mut self.subflows[index];
        // A FIN-only mapping of version 0 and of some hosts has a number other than 0, and no payload.
        match subflow.incoming.map(&mapping, dss.data_fin, near) {
            Ok(Mapped::Infinite) => self.on_infinite_mapping(now, index),
            Ok(_) => {}
            Err(fault) => self.on_mapping_fault(now, index, fault),
        }
    }

    /// RFC 8684 §3.3: who sends checksums against the agreement is reset, where the data have another way.
    /// RFC 6824 §3.3 ignores them.
    fn forbids_checksum(&self, index: usize) -> bool {
        let is_against = self
            .session()
            .is_some_and(|session| session.version == Version::V1 && !session.checksum);
        let id = self.subflows[index].id;
        let mut others = self.subflows.iter().filter(|other| other.id != id);
        is_against && others.any(super::subflow::Subflow::is_usable)
    }

    fn on_data_ack(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        data_ack: DataAck,
    ) {
        let data_ack = data_ack.expand(self.send.unacked_dsn());
        let shift = if segment.flags.syn() {
            0
        } else {
            self.subflows[index].window_shift
        };
        let window = u64::from(segment.window) << shift;
        match self.send.on_data_ack(data_ack) {
            DataAcked::Advanced { bytes, fin } => {
                self.progress.last_acked = now;
                self.on_data_acked(now, bytes, fin);
            }
            DataAcked::Repeated => {}
            DataAcked::Beyond => {
                let id = self.subflows[index].id;
                self.tell(Event::Violation {
                    id,
                    violation: Violation::DataAckBeyondSent,
                });
                return;
            }
        }
        // RFC 8684 §3.3.1: the window counts from the DATA_ACK, on whatever subflow it comes.
        if self.send.set_window(data_ack, window) {
            self.timers.stop(Timer::WindowProbe);
        }
    }

    /// MP_CAPABLE with data: they begin the stream (RFC 8684 §3.1).
    fn on_capable_data(
        &mut self,
        now: Instant,
        index: usize,
        capable: &crate::wire::mptcp::Capable,
    ) {
        let (Some(data), Some(session)) = (capable.data, self.session()) else {
            return;
        };
        let first = session.remote_idsn.add(1);
        if self.subflows[index].id != SubflowId(0) {
            return;
        }
        let subflow = &mut self.subflows[index];
        match subflow.incoming.map_capable(data.len, data.checksum, first) {
            // A retransmission may carry more; the first mapping holds (RFC 8684 §3.3.1).
            Ok(_) | Err(MappingFault::Conflict { .. }) => {}
            Err(fault) => self.on_mapping_fault(now, index, fault),
        }
    }

    /// Takes what TCP has in order.
    fn deliver(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        delivered: Option<Range<usize>>,
        position: u64,
    ) {
        if let Some(range) = delivered {
            let bytes = segment.payload.get(range).unwrap_or_default();
            let sum = segment
                .payload_sum
                .filter(|_| bytes.len() == segment.payload.len());
            let incoming = &mut self.subflows[index].incoming;
            incoming.push(position, Payload::from_slice(bytes).with_sum(sum));
        }
        while let Some((position, bytes)) = self.subflows[index].tcp.next_received() {
            let payload = Payload::from_vec(bytes);
            self.subflows[index].incoming.push(position, payload);
        }
        self.take_mapped(now, index);
    }

    /// Takes what a subflow has mapped.
    pub(super) fn take_mapped(&mut self, now: Instant, index: usize) {
        loop {
            let id = self.subflows[index].id;
            match self.subflows[index].incoming.poll() {
                Ok(None) => return,
                Ok(Some(Delivered::Data { dsn, payload })) => self.insert(id, dsn, payload),
                Ok(Some(Delivered::Fin(dsn))) => self.on_data_fin(id, dsn),
                Err(fault) => {
                    self.on_mapping_fault(now, index, fault);
                    // The fault stays unless the connection fell back over it.
                    if !self.subflows[index].incoming.is_infinite() {
                        return;
                    }
                }
            }
        }
    }

    fn insert(&mut self, id: SubflowId, dsn: Dsn, payload: Payload) {
        let Inserted {
            duplicate,
            differing,
            beyond,
            is_readable,
            ..
        } = self.receive.insert(id, dsn, payload);
        self.progress.last_data_received = self.progress.now;
        if duplicate > 0 {
            self.count(Counter::DuplicateData);
            self.tuning.on_duplicate(duplicate);
        }
        if differing > 0 {
            self.tuning.differing = self.tuning.differing.saturating_add(differing);
        }
        if beyond > 0 {
            self.count(Counter::NoDssInWindow);
            // TCP has acknowledged them, and so they come again as copies only.
            if let Some(index) = self.index_of(id) {
                self.subflows[index].has_copies = true;
            }
        }
        if is_readable {
            self.on_readable();
        }
        self.check_end_of_data();
    }

    fn on_readable(&mut self) {
        if self.progress.is_read_closed {
            // RFC 9293 §3.6.1: data that nobody reads any more are not accepted silently.
            self.abort();
        } else if !self.progress.is_readable_told {
            self.progress.is_readable_told = true;
            self.tell(Event::Readable);
        }
    }

    fn on_data_fin(&mut self, id: SubflowId, dsn: Dsn) {
        match self.receive.set_fin(dsn) {
            FinNoted::New => {}
            FinNoted::Repeated => {
                // It came again because its DATA_ACK did not arrive.
                if let Some(index) = self.index_of(id) {
                    self.subflows[index].tcp.ack_now();
                }
            }
            FinNoted::Conflict | FinNoted::Beyond => {
                let violation = Violation::SecondDataFin;
                self.tell(Event::Violation { id, violation });
            }
        }
        self.check_end_of_data();
        if let Some(index) = self.index_of(id) {
            self.subflows[index].tcp.ack_now();
        }
    }

    /// The peer's last byte may have been reached.
    pub(super) fn check_end_of_data(&mut self) {
        if self.receive.is_fin_reached() && !self.progress.is_peer_closed_told {
            self.progress.is_peer_closed_told = true;
            self.state = self.state.after_data_fin();
            self.tell(Event::PeerClosed);
        }
    }

    /// Our stream on a subflow was acknowledged.
    fn handle_acked(&mut self, now: Instant, index: usize, acked: Option<Acked>) {
        let Some(acked) = acked else {
            return;
        };
        self.subflows[index].outgoing.on_ack(acked.until);
        if let Phase::Tcp(plain) = self.phase {
            self.on_farewell_acked(acked.until);
            let data_ack = plain.send_base.add(acked.until);
            if let DataAcked::Advanced { bytes, fin } = self.send.on_data_ack(data_ack) {
                self.progress.last_acked = now;
                self.on_data_acked(now, bytes, fin);
            }
        }
    }

    fn handle_tcp_events(
        &mut self,
        now: Instant,
        index: usize,
        events: TcpEvents,
        options: &ReceivedOptions,
    ) {
        for event in events.iter() {
            match event {
                TcpEvent::PeerClosed => self.on_fin(now, index),
                TcpEvent::FinAcked => self.on_fin_acked(now),
                TcpEvent::Reset | TcpEvent::Refused => {
                    let reset = options.reset;
                    if reset.is_some() {
                        self.count(Counter::RstRx);
                    }
                    let reason = reset.map(|reset| (reset.reason, reset.flags.transient()));
                    self.end_subflow(index, SubflowEnd::ResetByPeer { reason });
                    // A listener is told nothing of what was reset before it was there, and keeps nothing.
                    if self.state == State::Opening {
                        self.refused(ConnectionEnd::Refused);
                    }
                }
                TcpEvent::TimedOut => self.end_subflow(index, SubflowEnd::TimedOut),
                TcpEvent::TimeWait | TcpEvent::Closed => {
                    self.end_subflow(index, SubflowEnd::Closed);
                }
                TcpEvent::DuplicateSyn => self.on_duplicate_syn(options),
                TcpEvent::Connected | TcpEvent::Reopen => {}
            }
        }
    }

    /// Data were DATA_ACKed, or acknowledged after fallback.
    pub(super) fn on_data_acked(&mut self, now: Instant, bytes: u64, is_fin: bool) {
        self.tries.on_progress();
        self.restart_retransmission(now);
        self.tuning.on_acked(bytes);
        if is_fin {
            self.timers.stop(Timer::DataFin);
            self.progress.is_fin_wanted = false;
            for subflow in &mut self.subflows {
                subflow.announce.data_fin = false;
            }
            self.state = self.state.after_data_fin_acked();
        }
        self.tell_writable();
    }
}
