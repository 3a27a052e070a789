//! Opening a connection (RFC 9293 §3.5), from either end or from both.

use super::config::{Config, FastOpen, FastOpenCookie, Negotiated, Path, SendLimits, WindowScale};
use super::congestion::CongestionHook;
use super::options::{FastOpenOption, Incoming, MAX_WINDOW_SCALE, SynOptions, Timestamps, seq_at};
use super::parts::{
    AckDebt, ChallengeLimit, Due, EcnState, FastOpenState, Handshake, Outbox, PeerClock,
    PeerWindow, Probes, Reset,
};
use super::receiver::Receiver;
use super::recovery::Recovery;
use super::report::{Acked, Outgoing, OutgoingKind, Received, TcpEvent, TcpEvents};
use super::rtt::RttEstimator;
use super::scoreboard::Scoreboard;
use super::send_queue::SendQueue;
use super::state::State;
use super::timer::{Timer, Timers};
use super::{Counters, Tcp};
use crate::data::Payload;
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::segment::{Ecn, Flags, IpChoice, Segment};
use crate::wire::writer::{MAX_OPTION_AREA, OptionArea};

impl Tcp {
    /// Active open; the SYN leaves at the next [`Tcp::poll_transmit`]. `isn` must be hard to guess
    /// (RFC 9293 §3.4.1).
    pub fn connect(config: &Config, path: Path, isn: TcpSeq, now: Instant) -> Self {
        Self::new(config, path, State::SynSent, isn, now)
    }

    /// Passive open from a SYN; the SYN/ACK leaves at the next [`Tcp::poll_transmit`]. Data in the SYN
    /// is taken with [`FastOpen::Accept`] only, and then waits in [`Tcp::next_received`].
    pub fn accept(
        config: &Config,
        path: Path,
        isn: TcpSeq,
        syn: &Segment<'_>,
        now: Instant,
    ) -> Self {
        let mut tcp = Self::new(config, path, State::SynReceived, isn, now);
        tcp.handshake.is_passive = true;
        tcp.counters.segments_in = 1;
        let incoming = Incoming::parse(syn.options);
        tcp.take_syn(now, syn, &incoming);
        if matches!(config.fast_open, FastOpen::Accept(_)) && !syn.payload.is_empty() {
            tcp.keep_early(syn.payload);
            tcp.handshake.fast_open = FastOpenState::Early;
        }
        if incoming.fast_open.is_none() {
            tcp.config.fast_open = FastOpen::Off;
        }
        tcp
    }

    /// State rebuilt from the third ACK after a SYN cookie: `irs` and `iss` are the numbers of the
    /// SYNs. It is SYN-RECEIVED, with its SYN/ACK sent; the ACK goes to [`Tcp::handle_segment`].
    pub fn from_cookie(
        config: &Config,
        path: Path,
        irs: TcpSeq,
        iss: TcpSeq,
        negotiated: Negotiated,
        now: Instant,
    ) -> Self {
        let mut tcp = Self::new(config, path, State::SynReceived, iss, now);
        tcp.irs = irs;
        tcp.negotiated = negotiated;
        tcp.handshake = Handshake {
            is_due: false,
            transmissions: 1,
            is_passive: true,
            ..Handshake::default()
        };
        tcp.timers.set(Timer::Retransmission, now + tcp.rtt.rto());
        tcp
    }

    /// Takes what the window has room for; the rest is not acknowledged, and comes again.
    fn keep_early(&mut self, payload: &[u8]) {
        let room = usize::try_from(self.receiver.window()).unwrap_or(usize::MAX);
        let taken = payload.get(..room).unwrap_or(payload);
        if taken.is_empty() {
            return;
        }
        self.receiver.keep_first(taken);
        self.handshake.early = self.receiver.next();
    }

    /// Bytes that came with the peer's SYN or SYN/ACK and were taken: they begin its stream.
    pub const fn early_received(&self) -> u64 {
        self.handshake.early
    }

    /// Bytes of options that the caller can append to the SYN or SYN/ACK when it leaves next.
    pub fn syn_option_room(&self, now: Instant) -> usize {
        let mut area = OptionArea::new();
        let is_answer = self.state == State::SynReceived;
        let is_first = self.handshake.transmissions == 0;
        self.syn_options(now, is_answer, is_first).write(&mut area);
        area.room()
    }

    /// Bytes that the SYN can carry beside `reserve` bytes of the caller's options; none without a
    /// cookie, and none any more when it has left (RFC 7413 §4.2.1).
    pub fn syn_room(&self, now: Instant, reserve: usize) -> usize {
        let has_cookie = matches!(self.config.fast_open, FastOpen::Cookie(_));
        let is_first = self.state == State::SynSent && self.handshake.transmissions == 0;
        if !has_cookie || !is_first {
            return 0;
        }
        let used = MAX_OPTION_AREA.saturating_sub(self.syn_option_room(now));
        usize::from(self.negotiated.peer_mss).saturating_sub(used.saturating_add(reserve))
    }

    fn new(config: &Config, path: Path, state: State, iss: TcpSeq, now: Instant) -> Self {
        let initial_window = config.initial_window.min(u32::from(u16::MAX));
        Self {
            path,
            state,
            negotiated: Incoming::default().negotiate(config, path.remote.is_ipv6(), false),
            iss,
            irs: TcpSeq(0),
            handshake: Handshake {
                is_due: true,
                ..Handshake::default()
            },
            rtt: RttEstimator::new(config, now),
            queue: SendQueue::default(),
            fin_queued: false,
            board: Scoreboard::default(),
            recovery: Recovery::default(),
            peer_window: PeerWindow::default(),
            receiver: Receiver::new(u64::from(initial_window)),
            debt: AckDebt::default(),
            clock: PeerClock::default(),
            ecn: EcnState::default(),
            timers: Timers::new(),
            outbox: Outbox::default(),
            probes: Probes::default(),
            challenges: ChallengeLimit::default(),
            urgent: None,
            path_mtu: config.mtu.max(MIN_MTU),
            is_window_shared: false,
            is_cwnd_limited: false,
            last_sent: now,
            counters: Counters::default(),
            config: config.clone(),
        }
    }

    /// What the peer's SYN says.
    fn take_syn(&mut self, now: Instant, syn: &Segment<'_>, incoming: &Incoming<'_>) {
        let both = Flags::ECE.with(Flags::CWR);
        let offers_ecn = if syn.flags.ack() {
            syn.flags.contains(Flags::ECE) && !syn.flags.contains(Flags::CWR)
        } else {
            syn.flags.contains(both)
        };
        self.irs = syn.seq;
        self.negotiated = incoming.negotiate(&self.config, self.path.remote.is_ipv6(), offers_ecn);
        if let Some(timestamps) = incoming.timestamps {
            self.clock = PeerClock {
                is_known: true,
                recent: timestamps.value,
                recent_at: now,
                last_ack_sent: 0,
            };
        }
        if let Some(cookie) = incoming.fast_open.and_then(FastOpenCookie::new)
            && !self.handshake.is_passive
        {
            self.handshake.fast_open = FastOpenState::Granted(cookie);
        }
        // The window of a segment with SYN is never scaled (RFC 7323 §2.2).
        self.peer_window.update(0, 0, u64::from(syn.window));
    }

    /// RFC 9293 §3.10.7.3.
    pub(super) fn handle_in_syn_sent(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        cc: &mut dyn CongestionHook,
    ) -> Received {
        let mut received = Received::default();
        let acked = segment.ack.distance_from(seq_at(self.iss, 0));
        let acked = acked.map(u64::from).filter(|&n| n <= self.board.nxt());
        let flags = segment.flags;
        if flags.ack() && acked.is_none() {
            self.counters.bad_acks += 1;
            self.reset_for_ack(segment);
        } else if flags.rst() {
            if flags.ack() {
                self.counters.resets_in += 1;
                self.finish(&mut received.events);
                received.events.insert(TcpEvent::Refused);
            } else {
                self.counters.dubious_resets += 1;
            }
        } else if flags.syn() {
            received.accepted = true;
            self.take_syn(now, segment, incoming);
            if flags.ack() {
                self.take_syn_ack(
                    now,
                    segment,
                    incoming,
                    acked.unwrap_or(0),
                    &mut received,
                    cc,
                );
            } else {
                // Both have opened at once: our SYN goes again, now with an ACK.
                self.state = State::SynReceived;
                self.handshake.is_due = true;
            }
        } else {
            self.counters.useless_segments += 1;
        }
        received
    }

    fn take_syn_ack(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        incoming: &Incoming<'_>,
        acked: u64,
        received: &mut Received,
        cc: &mut dyn CongestionHook,
    ) {
        self.establish(now, &mut received.events);
        self.debt.due = Due::Now;
        if self.config.fast_open.of_syn().is_some() && !segment.payload.is_empty() {
            self.keep_early(segment.payload);
        }
        if self.board.is_empty() {
            return;
        }
        // Data went with the SYN. What was not taken is no sign of congestion (RFC 7413 §4.2.1).
        let moved = self.handle_ack(now, acked, false, segment, incoming, cc);
        received.acked = moved.filter(|acked: &Acked| acked.bytes > 0);
        self.handshake.is_early_lost = !self.board.is_empty();
        self.board.lose_longer_than(0);
    }

    /// Our SYN is acknowledged.
    pub(super) fn establish(&mut self, now: Instant, events: &mut TcpEvents) {
        events.insert(TcpEvent::Connected);
        self.state = if self.fin_queued {
            State::FinWait1
        } else {
            State::Established
        };
        self.handshake.is_due = false;
        match self.handshake.sent_at {
            Some(sent_at) if self.handshake.transmissions == 1 => {
                self.rtt.add(now, now.since(sent_at));
            }
            Some(_) => self.rtt.distrust_handshake(),
            None => {}
        }
        self.rtt.end_backoff();
        if self.board.is_empty() {
            self.timers.clear(Timer::Retransmission);
        } else {
            self.timers.set(Timer::Retransmission, now + self.rtt.rto());
        }
        self.last_sent = now;
        self.heard(now);
    }

    /// RFC 9293 §3.10.7.3 and §3.10.7.4: what acknowledges nothing of this connection belongs to an
    /// older one, whose other end is told.
    pub(super) fn reset_for_ack(&mut self, segment: &Segment<'_>) {
        if !segment.flags.rst() {
            self.outbox.reset = Some(Reset {
                seq: segment.ack,
                ack: None,
            });
        }
    }

    /// The SYN or the SYN/ACK.
    pub(super) fn syn(&mut self, now: Instant, limits: &SendLimits) -> Outgoing {
        let is_answer = self.state == State::SynReceived;
        let is_first = self.handshake.transmissions == 0;
        let mut area = OptionArea::new();
        self.syn_options(now, is_answer, is_first).write(&mut area);
        self.handshake.is_due = false;
        self.handshake.sent_at = Some(now);
        self.handshake.transmissions = self.handshake.transmissions.saturating_add(1);
        if !is_first {
            self.counters.retransmissions += 1;
        }
        self.timers.set(Timer::Retransmission, now + self.rtt.rto());
        let (payload, tag) = if is_first && !is_answer {
            self.syn_payload(now, area, limits)
        } else {
            (Payload::EMPTY, 0)
        };
        let len = u64::try_from(payload.len()).unwrap_or(0);
        let is_scaled = false;
        // Data of the peer's SYN take room already.
        let window = u64::from(self.config.initial_window);
        let window = window.saturating_sub(self.handshake.early);
        Outgoing {
            kind: if is_answer {
                OutgoingKind::SynAck
            } else {
                OutgoingKind::Syn
            },
            path: self.path,
            seq: self.iss,
            ack: if is_answer {
                seq_at(self.irs, self.receiver.ack_position())
            } else {
                TcpSeq(0)
            },
            flags: self.syn_flags(is_answer, is_first),
            window: self.window_field(window, is_scaled),
            urgent: 0,
            ip: self.config.ip,
            ecn: Ecn::NotCapable,
            stream: 0..len,
            tag,
            payload,
            is_retransmission: !is_first,
            area,
        }
    }

    fn syn_flags(&self, is_answer: bool, is_first: bool) -> Flags {
        // A box may drop a SYN that asks for ECN, hence not again (RFC 3168 §6.1.1.1).
        match (is_answer, is_first) {
            (false, true) if self.config.ecn => Flags::SYN.with(Flags::ECE).with(Flags::CWR),
            (false, _) => Flags::SYN,
            (true, _) if self.negotiated.ecn => Flags::SYN.with(Flags::ACK).with(Flags::ECE),
            (true, _) => Flags::SYN.with(Flags::ACK),
        }
    }

    fn syn_options(&self, now: Instant, is_answer: bool, is_first: bool) -> SynOptions {
        let mss = self
            .config
            .mtu
            .max(MIN_MTU)
            .saturating_sub(self.path.header_len());
        let mss = u16::try_from(mss).unwrap_or(u16::MAX);
        let timestamps = self.config.timestamps.map(|_| Timestamps {
            value: self.timestamp(now),
            echo: if is_answer { self.clock.recent } else { 0 },
        });
        let own_scale = self.config.window_scale;
        let own_scale = own_scale.map(|shift| shift.min(MAX_WINDOW_SCALE));
        let agreed = &self.negotiated;
        if is_answer {
            return SynOptions {
                mss,
                window_scale: agreed.window_scale.map(|WindowScale { own, .. }| own),
                sack: agreed.sack,
                timestamps: timestamps.filter(|_| agreed.timestamps),
                fast_open: match self.config.fast_open {
                    FastOpen::Accept(Some(cookie)) | FastOpen::Grant(cookie) => {
                        Some(FastOpenOption::Cookie(cookie))
                    }
                    _ => None,
                },
            };
        }
        SynOptions {
            mss,
            window_scale: own_scale,
            sack: self.config.sack,
            timestamps,
            fast_open: self.config.fast_open.of_syn().filter(|_| is_first),
        }
    }

    /// What the first SYN carries (RFC 7413 §4.2.1).
    fn syn_payload(
        &mut self,
        now: Instant,
        area: OptionArea,
        limits: &SendLimits,
    ) -> (Payload, u64) {
        if !matches!(self.config.fast_open, FastOpen::Cookie(_)) {
            return (Payload::EMPTY, 0);
        }
        let options = area.as_bytes().len().saturating_add(limits.reserve);
        let room = usize::from(self.negotiated.peer_mss).saturating_sub(options);
        let Some(piece) = self.queue.read(0, room) else {
            return (Payload::EMPTY, 0);
        };
        self.board
            .send(now, u64::try_from(piece.payload.len()).unwrap_or(0));
        (piece.payload, piece.tag)
    }
}

/// The reset that answers a segment without connection (RFC 9293 §3.10.7.1); none when the segment
/// is a reset itself.
pub fn reset_reply(segment: &Segment<'_>) -> Option<Outgoing> {
    if segment.flags.rst() {
        return None;
    }
    let path = Path {
        local: segment.destination,
        remote: segment.source,
    };
    let reset = if segment.flags.ack() {
        Reset {
            seq: segment.ack,
            ack: None,
        }
    } else {
        Reset {
            seq: TcpSeq(0),
            ack: Some(segment.seq.add(segment.seq_len())),
        }
    };
    Some(reset.into_outgoing(path, IpChoice::default()))
}

impl Reset {
    pub(super) const fn into_outgoing(self, path: Path, ip: IpChoice) -> Outgoing {
        let (flags, ack) = match self.ack {
            Some(ack) => (Flags::RST.with(Flags::ACK), ack),
            None => (Flags::RST, TcpSeq(0)),
        };
        Outgoing {
            kind: OutgoingKind::Reset,
            path,
            seq: self.seq,
            ack,
            flags,
            window: 0,
            urgent: 0,
            ip,
            ecn: Ecn::NotCapable,
            stream: 0..0,
            tag: 0,
            payload: Payload::EMPTY,
            is_retransmission: false,
            area: OptionArea::new(),
        }
    }
}

/// Smallest MTU that is believed: what IPv4 calls for (RFC 791 §3.2) would leave no room for payload, so
/// the smallest packet that every host takes instead.
pub(super) const MIN_MTU: u32 = 576;
