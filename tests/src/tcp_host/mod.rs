//! A host with one plain TCP connection, around the TCP of `mptcp-proto`.

mod reno;

pub use reno::Reno;

use std::collections::VecDeque;
use std::net::SocketAddr;

use mptcp_proto::data::Payload;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::{Config, Path, SendLimits, State, Tcp, TcpEvent, TcpEvents, reset_reply};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Segment;

/// The host: packets in, packets out, an application that writes, reads and closes.
#[derive(Debug)]
pub struct TcpHost {
    config: Config,
    local: SocketAddr,
    isn: TcpSeq,
    tcp: Option<Tcp>,
    /// A SYN without connection makes one.
    listens: bool,
    cc: Reno,
    unsent: VecDeque<Payload>,
    closes: bool,
    received: Vec<u8>,
    read: usize,
    /// Bytes that the receive buffer holds.
    pub receive_buffer: usize,
    /// The application reads by itself.
    pub reads: bool,
    events: Vec<TcpEvent>,
    resets: VecDeque<Vec<u8>>,
    /// Largest number of bytes that waited for earlier ones.
    pub most_out_of_order: u64,
}

impl TcpHost {
    /// Opens a connection.
    pub fn connect(config: Config, path: Path, isn: u32, now: Instant) -> Self {
        let mut host = Self::listen(config, path.local, isn);
        host.listens = false;
        host.tcp = Some(Tcp::connect(&host.config, path, host.isn, now));
        host
    }

    /// Waits for a connection.
    pub fn listen(config: Config, local: SocketAddr, isn: u32) -> Self {
        let mss = u64::from(config.mtu.saturating_sub(40));
        Self {
            config,
            local,
            isn: TcpSeq(isn),
            tcp: None,
            listens: true,
            cc: Reno::new(mss),
            unsent: VecDeque::new(),
            closes: false,
            received: Vec::new(),
            read: 0,
            receive_buffer: 256 * 1024,
            reads: true,
            events: Vec::new(),
            resets: VecDeque::new(),
            most_out_of_order: 0,
        }
    }

    /// Writes: the bytes wait here until the connection takes them.
    pub fn write(&mut self, bytes: &[u8]) {
        let whole = Payload::from(bytes);
        let mut rest = whole;
        while !rest.is_empty() {
            self.unsent.push_back(rest.split_to(WRITE));
        }
        self.feed();
    }

    /// Closes after what was written.
    pub fn close(&mut self) {
        self.closes = true;
        self.feed();
    }

    /// Resets the connection.
    pub fn abort(&mut self) {
        if let Some(tcp) = &mut self.tcp {
            tcp.abort();
        }
    }

    /// All bytes that have come.
    pub fn received(&self) -> &[u8] {
        &self.received
    }

    /// The application takes all bytes that have come.
    pub fn read_all(&mut self) {
        self.read = self.received.len();
    }

    /// Everything that happened.
    pub fn events(&self) -> &[TcpEvent] {
        &self.events
    }

    /// The connection.
    pub const fn tcp(&self) -> Option<&Tcp> {
        self.tcp.as_ref()
    }

    /// Congestion control.
    pub const fn cc(&self) -> &Reno {
        &self.cc
    }

    /// State of the connection; closed when there is none.
    pub fn state(&self) -> State {
        self.tcp.as_ref().map_or(State::Closed, Tcp::state)
    }

    /// A packet comes.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let Ok(segment) = Segment::parse(packet, false) else {
            return;
        };
        let is_live = self
            .tcp
            .as_ref()
            .is_some_and(|tcp| tcp.state() != State::Closed);
        if !is_live {
            self.handle_unknown(now, &segment);
            return;
        }
        let Some(tcp) = &mut self.tcp else {
            return;
        };
        let before = tcp.next_position();
        let result = tcp.handle_segment(now, &segment, &mut self.cc);
        if let Some(range) = result.delivered {
            assert_eq!(before, self.received.len() as u64, "bytes come in order");
            self.received.extend_from_slice(&segment.payload[range]);
        }
        self.drain();
        let reopens = result.events.contains(TcpEvent::Reopen);
        self.note(result.events);
        if reopens {
            self.tcp = None;
            self.handle_unknown(now, &segment);
        }
        self.feed();
    }

    fn handle_unknown(&mut self, now: Instant, segment: &Segment<'_>) {
        let is_syn = segment.flags.syn() && !segment.flags.ack() && !segment.flags.rst();
        if self.listens && is_syn {
            let path = Path {
                local: segment.destination,
                remote: segment.source,
            };
            assert_eq!(path.local, self.local, "a packet for somebody else");
            self.tcp = Some(Tcp::accept(&self.config, path, self.isn, segment, now));
            self.drain();
            self.feed();
        } else if let Some(reset) = reset_reply(segment) {
            let mut packet = Vec::new();
            reset.emit(&mut packet).expect("a reset fits");
            self.resets.push_back(packet);
        }
    }

    fn drain(&mut self) {
        let Some(tcp) = &mut self.tcp else {
            return;
        };
        while let Some((position, bytes)) = tcp.next_received() {
            assert_eq!(position, self.received.len() as u64, "bytes come in order");
            self.received.extend_from_slice(&bytes);
        }
        self.most_out_of_order = self.most_out_of_order.max(tcp.out_of_order());
        if self.reads {
            self.read = self.received.len();
        }
    }

    fn note(&mut self, events: TcpEvents) {
        self.events.extend(events.iter());
    }

    fn feed(&mut self) {
        let Some(tcp) = &mut self.tcp else {
            return;
        };
        while tcp.queued() < SEND_BUFFER {
            let Some(run) = self.unsent.pop_front() else {
                break;
            };
            tcp.push(run, 0);
        }
        // To close earlier would be to give up (RFC 9293 §3.10.4).
        let is_open = tcp.state() != State::SynSent;
        if self.closes && self.unsent.is_empty() && is_open {
            tcp.close();
        }
    }

    /// Appends the next packet to `out`, if there is one.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        use mptcp_proto::tcp::CongestionHook as _;
        if let Some(reset) = self.resets.pop_front() {
            out.extend_from_slice(&reset);
            return true;
        }
        let unread = self.received.len() - self.read;
        let Some(tcp) = &mut self.tcp else {
            return false;
        };
        let limits = SendLimits {
            cwnd: self.cc.cwnd(),
            window: self.receive_buffer.saturating_sub(unread) as u64,
            reserve: 0,
            reserve_ack: 0,
            not_before: Instant::ZERO,
        };
        let Some(mut outgoing) = tcp.poll_transmit(now, &limits) else {
            return false;
        };
        outgoing.area.pad();
        outgoing.emit(out).expect("a segment fits in a packet");
        true
    }

    /// When [`TcpHost::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.tcp.as_ref().and_then(Tcp::poll_timeout)
    }

    /// Acts on deadlines.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(tcp) = &mut self.tcp {
            let result = tcp.handle_timeout(now, &mut self.cc);
            assert!(
                tcp.poll_timeout().is_none_or(|at| at > now),
                "a deadline that has passed is still there"
            );
            self.note(result.events);
        }
        self.feed();
    }
}

/// Bytes of one write.
const WRITE: usize = 16 * 1024;
/// Bytes that the connection may hold.
const SEND_BUFFER: u64 = 256 * 1024;
