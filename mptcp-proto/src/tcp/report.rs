//! What a connection says: of a segment that came, of one to be sent, of a deadline, of itself.

use std::ops::Range;
use std::time::Duration;

use super::config::{FastOpenCookie, Negotiated, Path};
use super::counters::Counters;
use super::state::State;
use crate::data::Payload;
use crate::path::LossState;
use crate::seq::TcpSeq;
use crate::wire::segment::{Ecn, EmitSegmentError, Flags, IpChoice, Segment};
use crate::wire::writer::OptionArea;

/// What became of a segment. Stream positions count from 0, the first byte after the SYN.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Its numbers hold: what its options say may be believed.
    pub accepted: bool,
    /// Where its payload lies in the peer's stream, as sent but cut at the window's right edge: bytes
    /// that have come before, too. A segment of nothing but those is not accepted, and has none.
    pub payload: Option<Range<u64>>,
    /// Bytes of `segment.payload` that come next in the stream, at the position that
    /// [`Tcp::next_position`](super::Tcp::next_position) had before. They are not kept: the caller
    /// takes them now, and then calls [`Tcp::next_received`](super::Tcp::next_received) until none
    /// for what had been waiting for them.
    pub delivered: Option<Range<usize>>,
    /// Position after the peer's urgent data, as it says (RFC 9293 §3.8.5).
    pub urgent: Option<u64>,
    /// What of our stream it acknowledged for the first time.
    pub acked: Option<Acked>,
    /// What it changed.
    pub events: TcpEvents,
}

/// An acknowledgement that moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acked {
    /// Every byte before this position has arrived.
    pub until: u64,
    /// Bytes that had not been acknowledged before.
    pub bytes: u64,
}

/// Something that happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TcpEvent {
    /// The handshake is complete.
    Connected,
    /// The peer's FIN is reached: no more bytes come.
    PeerClosed,
    /// The peer reset the connection, which is closed now.
    Reset,
    /// The peer refused the connection: a reset answered our SYN.
    Refused,
    /// Our FIN is acknowledged.
    FinAcked,
    /// The peer did not answer for too long. [`TcpEvent::Closed`] comes with it, and after it.
    TimedOut,
    /// Both sides have closed, and this one waits for old segments to die out.
    TimeWait,
    /// The connection is over.
    Closed,
    /// The peer's SYN came again, and the SYN/ACK goes out again.
    DuplicateSyn,
    /// A SYN that may begin a new connection, in TIME-WAIT (RFC 9293 §3.6.1, RFC 6191) or in SYN-RECEIVED after a
    /// passive open (§3.10.7.4): the caller drops this one, and treats the SYN as if there were none.
    Reopen,
}

/// A set of [`TcpEvent`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpEvents(u16);

impl TcpEvents {
    /// Whether nothing happened.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `event` happened.
    pub const fn contains(self, event: TcpEvent) -> bool {
        self.0 & (1 << event as u16) != 0
    }

    /// What happened, in the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = TcpEvent> {
        ALL_EVENTS
            .into_iter()
            .filter(move |&event| self.contains(event))
    }

    pub(super) const fn insert(&mut self, event: TcpEvent) {
        self.0 |= 1 << event as u16;
    }
}

impl std::fmt::Debug for TcpEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What kind of segment is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutgoingKind {
    /// The first segment of a connection.
    Syn,
    /// The answer to a SYN, also in a simultaneous open.
    SynAck,
    /// An acknowledgement without payload.
    Ack,
    /// A segment with payload; with FIN in `flags` when it is the last.
    Data,
    /// A FIN without payload.
    Fin,
    /// A reset.
    Reset,
    /// A segment without payload and with an old number, which asks for an answer: a window probe or
    /// a keep-alive.
    Probe,
}

/// A segment to be sent. The caller appends its options to `area` and emits [`Outgoing::segment`].
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What kind.
    pub kind: OutgoingKind,
    /// From where to where.
    pub path: Path,
    /// Sequence number.
    pub seq: TcpSeq,
    /// Acknowledgement number.
    pub ack: TcpSeq,
    /// Control bits.
    pub flags: Flags,
    /// Window as in the header, scaled.
    pub window: u16,
    /// Urgent pointer, if the URG bit is set.
    pub urgent: u16,
    /// What was chosen of the IP header.
    pub ip: IpChoice,
    /// ECN field of the IP header.
    pub ecn: Ecn,
    /// Where the payload lies in our stream.
    pub stream: Range<u64>,
    /// Tag of the run that the payload is from.
    pub tag: u64,
    /// The payload.
    pub payload: Payload,
    /// Whether it, or a part of it, was sent before.
    pub is_retransmission: bool,
    /// TCP's own options. What is left is for the caller, who ends with `area.pad()`.
    pub area: OptionArea,
}

impl Outgoing {
    /// Bytes that are left for options.
    pub const fn room(&self) -> usize {
        self.area.room()
    }

    /// Appends the packet to `out`, from the IP header on.
    ///
    /// # Errors
    /// As [`Segment::emit`].
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), EmitSegmentError> {
        self.segment().emit_in(self.ip, out)
    }

    /// The segment, ready to be emitted.
    pub fn segment(&self) -> Segment<'_> {
        Segment {
            source: self.path.local,
            destination: self.path.remote,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: self.window,
            urgent: self.urgent,
            ecn: self.ecn,
            options: self.area.as_bytes(),
            payload: self.payload.as_slice(),
            payload_sum: None,
        }
    }
}

/// What a deadline brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimedOut {
    /// The retransmission timer expired: what is in flight is taken for lost.
    pub retransmission: bool,
    /// What it changed: [`TcpEvent::TimedOut`], [`TcpEvent::Closed`].
    pub events: TcpEvents,
}

/// An ICMP message about a segment of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IcmpError {
    /// The network or the host cannot be reached for now (RFC 9293 §3.9.2.2): a hint only.
    SoftUnreachable,
    /// Protocol or port cannot be reached. Ends a connection only before it is established
    /// (RFC 5927 §5.2).
    HardUnreachable,
    /// The packet is larger than a link takes (RFC 1191, RFC 8201).
    PacketTooBig {
        /// What the link takes, in bytes with the IP header.
        mtu: u32,
    },
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// State.
    pub state: State,
    /// What the SYNs agreed on.
    pub negotiated: Negotiated,
    /// Smoothed round-trip time (RFC 6298 §2); zero before the first sample.
    pub srtt: Duration,
    /// Mean deviation of the round-trip time.
    pub rttvar: Duration,
    /// Smallest round-trip time seen; zero before the first sample.
    pub min_rtt: Duration,
    /// Retransmission timeout, with backoff.
    pub rto: Duration,
    /// Largest payload of a segment without options of the caller, in bytes.
    pub mss: u32,
    /// How it stands with losses.
    pub loss_state: LossState,
    /// Timeouts in a row without an answer.
    pub backoff: u32,
    /// Bytes sent, and neither acknowledged nor taken for lost.
    pub in_flight: u64,
    /// Bytes given and not yet sent.
    pub unsent: u64,
    /// Room in the peer's window beyond what was sent, in bytes.
    pub window_left: u64,
    /// Bytes that wait for what precedes them.
    pub out_of_order: u64,
    /// Cookie that the peer granted (RFC 7413).
    pub fast_open_cookie: Option<FastOpenCookie>,
    /// Counts.
    pub counters: Counters,
}

/// Why a connection ended comes before its end.
const ALL_EVENTS: [TcpEvent; 10] = [
    TcpEvent::Connected,
    TcpEvent::PeerClosed,
    TcpEvent::Reset,
    TcpEvent::Refused,
    TcpEvent::FinAcked,
    TcpEvent::TimedOut,
    TcpEvent::TimeWait,
    TcpEvent::Closed,
    TcpEvent::DuplicateSyn,
    TcpEvent::Reopen,
];
