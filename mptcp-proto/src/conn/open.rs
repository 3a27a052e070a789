//! The begin of a connection, and of every subflow.

use crate::conn::address::Paths;
use crate::conn::buffer::Tuning;
use crate::conn::early;
use crate::conn::event::{ConnectionEnd, Event};
use crate::conn::handshake::{Session, SynReceived, SynSent};
use crate::conn::join::{JoinSynReceived, JoinSynSent};
use crate::conn::received::ReceivedOptions;
use crate::conn::signals::Signals;
use crate::conn::subflow::{Announcements, Linear, Proof, Step, Subflow};
use crate::conn::timer::TimerTable;
use crate::conn::{
    Change, Config, Connection, Context, Counter, Counters, FallbackReason, Outcome, Phase, Plain,
    Progress, Role, State, Violation,
};
use crate::data::{Payload, ReceiveBuffer, SendBuffer, SentMappings, SubflowMappings};
use crate::key::{AddressId, Nonce, Token};
use crate::path::SubflowId;
use crate::pm::Join;
use crate::sched::Picker;
use crate::seq::{Dsn, TcpSeq};
use crate::tcp::{FastOpen, Path, Received, Tcp, TcpEvent};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{Priority, ResetReason};
use crate::wire::segment::Segment;

/// How a connection begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin {
    /// With MP_CAPABLE in our SYN.
    Offer(SynSent),
    /// With MP_CAPABLE in our SYN/ACK.
    Answer(SynReceived),
    /// As TCP.
    Tcp(FallbackReason),
}

impl Connection {
    /// Active open.
    pub(crate) fn connect(
        mut config: Config,
        path: Path,
        begin: Begin,
        isn: TcpSeq,
        now: Instant,
    ) -> Self {
        config.fit_window();
        let mut tcp = Tcp::connect(&config.tcp, path, isn, now);
        let fast_open = early::fitting(config.tcp.fast_open, &begin, &tcp, now);
        if fast_open != config.tcp.fast_open {
            config.tcp.fast_open = fast_open;
            tcp = Tcp::connect(&config.tcp, path, isn, now);
        }
        Self::new(Role::Client, config, begin, tcp)
    }

    /// Passive open.
    pub(crate) fn accept(
        mut config: Config,
        path: Path,
        begin: Begin,
        isn: TcpSeq,
        syn: &Segment<'_>,
        now: Instant,
    ) -> Self {
        config.fit_window();
        let mut tcp = Tcp::accept(&config.tcp, path, isn, syn, now);
        let fast_open = early::fitting(config.tcp.fast_open, &begin, &tcp, now);
        if fast_open != config.tcp.fast_open {
            config.tcp.fast_open = fast_open;
            tcp = Tcp::accept(&config.tcp, path, isn, syn, now);
        }
        let mut connection = Self::new(Role::Server, config, begin, tcp);
        connection.take_early(now);
        connection
    }

    /// A connection whose initial subflow is this one.
    pub(crate) fn new(role: Role, mut config: Config, begin: Begin, tcp: Tcp) -> Self {
        // Joins neither ask for cookies nor use them.
        config.tcp.fast_open = FastOpen::Off;
        let path = tcp.path();
        let first = match begin {
            Begin::Offer(step) => step.idsn().add(1),
            Begin::Answer(step) => step.idsn().add(1),
            Begin::Tcp(_) => FIRST_DSN,
        };
        let phase = match begin {
            Begin::Offer(step) => Phase::SynSent(step),
            Begin::Answer(step) => Phase::SynReceived(step),
            Begin::Tcp(reason) => Phase::Tcp(Plain::new(reason, first)),
        };
        let mut connection = Self {
            role,
            phase,
            state: State::Opening,
            initial: path,
            subflows: Vec::new(),
            next_subflow: 0,
            send: SendBuffer::new(first, config.buffers.send),
            receive: ReceiveBuffer::new(FIRST_DSN, config.buffers.receive),
            congestion: config.congestion.build(),
            picker: Picker::new(config.scheduler),
            paths: Paths::new(&config, path),
            tuning: Tuning::new(&config),
            timers: TimerTable::default(),
            tries: super::timers::Tries::default(),
            events: std::collections::VecDeque::new(),
            changes: std::collections::VecDeque::new(),
            counters: Counters::new(),
            progress: Progress::default(),
            turn: 0,
            views: Vec::new(),
            early: Payload::EMPTY,
            config,
        };
        connection.add_subflow(tcp, Step::Initial, AddressId(0), Priority::Regular);
        if let Begin::Tcp(reason) = begin {
            connection.map_all();
            if reason != FallbackReason::Disabled {
                connection.tell(Event::FellBack { reason });
            }
        }
        connection
    }

    /// Adds a subflow whose TCP has just begun.
    pub(super) fn add_subflow(
        &mut self,
        tcp: Tcp,
        step: Step,
        local_id: AddressId,
        priority: Priority,
    ) -> SubflowId {
        let id = SubflowId(self.next_subflow);
        self.next_subflow = self.next_subflow.saturating_add(1);
        if self.subflows.len() >= super::MAX_SUBFLOWS {
            self.forget_oldest_half_open();
        }
        let checksum = self.session().is_some_and(|session| session.checksum);
        let window = self.config.buffers.max_receive as u64;
        self.changes.push_back(Change::PathOpened(tcp.path(), id));
        self.congestion
            .add(id, tcp.mss(super::transmit::MAX_RESERVE));
        self.subflows.push(Subflow {
            id,
            tcp,
            step,
            local_id,
            remote_id: AddressId(0),
            local_priority: priority,
            remote_priority: priority,
            incoming: SubflowMappings::new(checksum, window),
            outgoing: SentMappings::new(checksum),
            linear: Linear::default(),
            announce: Announcements::default(),
            signals: Signals::default(),
            pace: crate::conn::pacing::Pace::default(),
            window_shift: 0,
            join_ack: None,
            keep_alive: None,
            has_dss: false,
            bare_segments: 0,
            bare_run: None,
            has_copies: false,
            bare_acks: 0,
            proof: Proof::None,
            urgent: None,
            timeouts: 0,
            is_stale: false,
            is_closed_by_peer: false,
            is_closing: false,
            end: None,
            is_down: false,
        });
        id
    }

    /// Opens a subflow: our SYN with MP_JOIN.
    pub(super) fn join(&mut self, now: Instant, join: &Join, context: &mut Context<'_>) {
        let path = Path {
            local: join.local,
            remote: join.remote,
        };
        let Some(session) = self.session().copied() else {
            return;
        };
        if self.check_open(path).is_err() {
            self.count(Counter::JoinSynTxCreatSkErr);
            return;
        }
        let nonce = Nonce(context.random.next_u32());
        let step = JoinSynSent::new(session, nonce, join.local_id, join.priority);
        let isn = TcpSeq(context.random.next_u32());
        let mut tcp = Tcp::connect(&self.config.tcp, path, isn, now);
        tcp.set_shared_window(true);
        let id = self.add_subflow(tcp, Step::JoinSynSent(step), join.local_id, join.priority);
        if let Some(index) = self.index_of(id) {
            self.subflows[index].remote_id = join.remote_id;
        }
        self.count(Counter::JoinSynTx);
    }

    /// Takes the next step of a handshake with a segment that TCP accepted. Says whether the subflow may
    /// go on.
    pub(super) fn advance(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        received: &Received,
    ) -> bool {
        let is_connected = received.events.contains(TcpEvent::Connected);
        if is_connected {
            let shift = self.subflows[index].tcp.info().negotiated.window_scale;
            self.subflows[index].window_shift = shift.map_or(0, |shift| shift.peer);
        }
        match self.subflows[index].step {
            Step::Initial => {
                self.advance_initial(now, index, segment, options, received);
                true
            }
            Step::JoinSynSent(step) if is_connected => {
                self.advance_join_syn(now, index, step, options)
            }
            Step::JoinSynReceived(step) if is_connected => {
                self.advance_join_ack(now, index, step, options)
            }
            // RFC 8684 §3.2: any segment of the listener that is not its SYN/ACK again.
            Step::JoinAckSent(_) if !segment.flags.syn() => {
                self.bring_up(index);
                true
            }
            Step::Up | Step::JoinSynSent(_) | Step::JoinSynReceived(_) | Step::JoinAckSent(_) => {
                true
            }
        }
    }

    fn advance_initial(
        &mut self,
        now: Instant,
        index: usize,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
        received: &Received,
    ) {
        let is_connected = received.events.contains(TcpEvent::Connected);
        match self.phase {
            Phase::SynSent(step) if segment.flags.syn() && !segment.flags.ack() => {
                self.count(Counter::SimultConnectFallback);
                self.fall_back_early(step.token(), FallbackReason::SimultaneousOpen);
            }
            Phase::SynSent(step) if is_connected => {
                self.advance_syn_ack(now, index, step, segment, options);
            }
            Phase::SynReceived(step) => {
                // Only what begins with the first byte can stand for the third ACK.
                let is_first = segment.seq == self.subflows[index].first_seq();
                let is_up = self.subflows[index].tcp.state().is_synchronized();
                if is_up && !segment.flags.syn() && (is_first || options.capable.is_some()) {
                    self.advance_third_ack(now, index, step, segment, options);
                }
            }
            Phase::Tcp(_) if is_connected => self.connected(now, index),
            _ => {}
        }
    }

    fn advance_syn_ack(
        &mut self,
        now: Instant,
        index: usize,
        step: SynSent,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
    ) {
        let syns = self.subflows[index].tcp.syn_transmissions();
        let has_option = self.offers_mptcp(syns);
        let capable = options.capable.as_ref();
        let is_join = options.join.is_some();
        let answer = match capable.filter(|_| has_option && !is_join) {
            _ if !has_option => Err(FallbackReason::Blackhole),
            capable => step.handle_syn_ack(capable),
        };
        let outcome = match (&answer, capable) {
            (Ok(_), _) => Outcome::Mptcp,
            (Err(FallbackReason::Blackhole), _) if self.tries.refusals > 0 => Outcome::Refused,
            (Err(FallbackReason::Blackhole), _) => Outcome::Blackhole,
            (Err(FallbackReason::Version), Some(capable)) => Outcome::OtherVersion(capable.version),
            (Err(_), _) => Outcome::Tcp,
        };
        self.changes.push_back(Change::Outcome(outcome));
        match answer {
            Ok(session) => {
                self.count(Counter::CapableSynAckRx);
                self.begin_session(now, session, index);
                if session.version == Version::V0 {
                    // RFC 6824 §3.1: the keys go back in an ACK of their own. Data of version 0 have no
                    // room for them, and a server would learn too late that a box changed one.
                    self.subflows[index].tcp.ack_now();
                }
                let window = u64::from(segment.window);
                self.send.set_window(self.send.unacked_dsn(), window);
            }
            Err(reason) => {
                self.count(Counter::CapableFallbackSynAck);
                self.fall_back_early(step.token(), reason);
            }
        }
        self.connected(now, index);
    }

    fn advance_third_ack(
        &mut self,
        now: Instant,
        index: usize,
        step: SynReceived,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
    ) {
        let answer = match (&options.capable, &options.dss) {
            (None, Some(dss)) => step.handle_dss(dss),
            (capable, _) => step.handle_third_ack(capable.as_ref()),
        };
        match answer {
            Ok(session) => {
                self.count(Counter::CapableAckRx);
                self.begin_session(now, session, index);
                let shift = self.subflows[index].window_shift;
                let window = u64::from(segment.window) << shift;
                self.send.set_window(self.send.unacked_dsn(), window);
            }
            Err(reason) => {
                self.count(Counter::CapableFallbackAck);
                self.fall_back_early(step.token(), reason);
            }
        }
        self.connected(now, index);
    }

    /// The SYN came again. RFC 8684 §3.1: one without MP_CAPABLE is answered without, so that a path
    /// that drops SYN/ACKs with the option carries TCP.
    pub(super) fn on_duplicate_syn(&mut self, options: &ReceivedOptions) {
        if let Phase::SynReceived(step) = self.phase
            && options.capable.is_none()
        {
            self.fall_back_early(step.token(), FallbackReason::SynOptionMissing);
        }
    }

    /// The handshake ends without MPTCP.
    fn fall_back_early(&mut self, token: Token, reason: FallbackReason) {
        self.changes.push_back(Change::TokenReleased(token));
        self.phase = Phase::Tcp(Plain::new(reason, self.send.unacked_dsn()));
        // TCP alone repeats them from here on.
        self.early = Payload::EMPTY;
        self.map_all();
        self.tell(Event::FellBack { reason });
    }

    /// All that comes on the initial subflow is data, from its first byte on.
    fn map_all(&mut self) {
        self.receive.trust_tcp();
        if let Some(subflow) = self.subflows.first_mut() {
            subflow.incoming.fall_back(0, FIRST_DSN);
        }
    }

    /// Both keys are known.
    fn begin_session(&mut self, now: Instant, session: Session, index: usize) {
        self.phase = Phase::Mptcp(session);
        self.number_streams(now, &session, index);
        self.subflows[index].tcp.set_shared_window(true);
        self.paths.begin(&session);
        self.count(Counter::CurrEstab);
    }

    /// The initial subflow's handshake is complete.
    fn connected(&mut self, now: Instant, index: usize) {
        self.subflows[index].step = Step::Up;
        self.progress.is_connected = true;
        self.progress.may_schedule = true;
        self.progress.last_received = now;
        if self.state == State::Opening {
            self.state = State::Established;
            if self.send.fin_dsn().is_some() {
                self.state = self.state.after_shutdown();
            }
        }
        let id = self.subflows[index].id;
        let mss = self.subflows[index].tcp.mss(super::transmit::MAX_RESERVE);
        self.congestion.add(id, mss);
        let version = self.session().map(|session| session.version);
        self.tell(Event::Connected { version });
        self.tell(Event::SubflowUp { id });
    }

    fn advance_join_syn(
        &mut self,
        now: Instant,
        index: usize,
        step: JoinSynSent,
        options: &ReceivedOptions,
    ) -> bool {
        match step.handle_syn_ack(options.join.as_ref()) {
            // RFC 8684 §3.7: where the first data have no mapping, no subflow is added any more.
            Ok(_) if self.has_bare_start() => {
                self.reset_subflow(index, ResetReason::MIDDLEBOX_INTERFERENCE);
                false
            }
            Ok(sent) => {
                self.count(Counter::JoinSynAckRx);
                if sent.remote_priority == Priority::Backup {
                    self.count(Counter::JoinSynAckBackupRx);
                }
                let wait = self.subflows[index].rto();
                let subflow = &mut self.subflows[index];
                subflow.remote_id = sent.remote_address_id;
                if sent.remote_priority == Priority::Backup {
                    subflow.remote_priority = Priority::Backup;
                }
                subflow.step = Step::JoinAckSent(sent);
                self.progress.has_joined = true;
                let subflow = &mut self.subflows[index];
                subflow.join_ack = Some((now + wait, 1));
                subflow.tcp.ack_now();
                true
            }
            Err(violation) => {
                if violation == Violation::JoinSynAckHmac {
                    self.count(Counter::JoinSynAckHmacFailure);
                }
                self.react(now, index, violation);
                false
            }
        }
    }

    fn advance_join_ack(
        &mut self,
        now: Instant,
        index: usize,
        step: JoinSynReceived,
        options: &ReceivedOptions,
    ) -> bool {
        match step.handle_ack(options.join.as_ref()) {
            Ok(_proof) if !self.has_room_for_join() => {
                self.count(Counter::JoinRejected);
                self.react(now, index, Violation::TooManySubflows);
                false
            }
            Ok(_proof) => {
                self.count(Counter::JoinAckRx);
                self.bring_up(index);
                // RFC 8684 §3.2: the fourth ACK, without which the initiator sends nothing.
                self.subflows[index].tcp.ack_now();
                true
            }
            Err(violation) => {
                if violation == Violation::JoinAckHmac {
                    self.count(Counter::JoinAckHmacFailure);
                }
                self.react(now, index, violation);
                false
            }
        }
    }

    /// A joined subflow may carry data.
    fn bring_up(&mut self, index: usize) {
        self.progress.has_joined = true;
        let subflow = &mut self.subflows[index];
        subflow.step = Step::Up;
        subflow.join_ack = None;
        let id = subflow.id;
        let mss = subflow.tcp.mss(super::transmit::MAX_RESERVE);
        self.congestion.add(id, mss);
        self.timers.stop(super::timer::Timer::Close);
        self.progress.may_schedule = true;
        self.tell(Event::SubflowUp { id });
        self.on_subflow_up(index);
    }

    /// The peer has shown that options pass in both directions (RFC 8684 §3.1).
    pub(super) fn fully_established(&mut self) {
        if !self.progress.is_fully_established {
            self.progress.is_fully_established = true;
            self.early = Payload::EMPTY;
        }
    }

    /// RFC 8684 §3.1: no new subflow before a DSS has come across the path. An ADD_ADDR, which shows that the
    /// peer has both keys, is none.
    pub(super) fn permit_joins(&mut self) {
        let progress = &mut self.progress;
        if progress.is_fully_established && progress.has_dss && !progress.may_join {
            progress.may_join = true;
            self.tell(Event::FullyEstablished);
            self.on_established();
        }
    }

    /// The handshake of the initial subflow failed.
    pub(super) fn refused(&mut self, how: ConnectionEnd) {
        self.release_token();
        self.state = State::Closed;
        self.timers.stop_all();
        self.tell_closed(how);
    }
}

/// What stands for the DSN of the first byte where there are no keys.
pub(super) const FIRST_DSN: Dsn = Dsn(1);
