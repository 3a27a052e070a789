//! One TCP connection (RFC 9293): a subflow, or all that is left after fallback. It knows nothing of
//! MPTCP.
//!
//! The caller drives it:
//!
//! - [`Tcp::handle_segment`] with every segment of its 4-tuple. [`Received::delivered`] says which
//!   bytes of the segment come next in the stream; they are the caller's at once. Then
//!   [`Tcp::next_received`] until none.
//! - [`Tcp::poll_transmit`] until none, after anything else was called. The caller appends its
//!   options to [`Outgoing::area`], pads it, and emits [`Outgoing::segment`].
//! - [`Tcp::handle_timeout`] at [`Tcp::poll_timeout`].
//!
//! Stream positions are 64 bits wide: 0 is the first byte after the SYN, in either direction. A
//! subflow sequence number (RFC 8684 §3.3.1) is the position plus one.

mod ack;
mod close;
mod config;
mod congestion;
mod counters;
mod handshake;
mod input;
mod options;
mod output;
mod parts;
mod ranges;
mod receiver;
mod recovery;
mod report;
mod rtt;
mod scoreboard;
mod send_queue;
mod state;
mod timeout;
mod timer;

pub use config::{
    Config, FastOpen, FastOpenCookie, KeepAlive, Negotiated, Path, SendLimits, WindowScale,
};
pub use congestion::{AckSample, CongestionHook};
pub use counters::Counters;
pub use handshake::reset_reply;
pub use receiver::MAX_OUT_OF_ORDER_PIECES;
pub use report::{
    Acked, IcmpError, Outgoing, OutgoingKind, Received, TcpEvent, TcpEvents, TcpInfo, TimedOut,
};
pub use state::State;

use std::time::Duration;

use parts::{
    AckDebt, ChallengeLimit, EcnState, FastOpenState, Handshake, Outbox, PeerClock, PeerWindow,
    Probes,
};
use receiver::Receiver;
use recovery::Recovery;
use rtt::RttEstimator;
use scoreboard::Scoreboard;
use send_queue::SendQueue;
use timer::Timers;

use crate::data::Payload;
use crate::path::LossState;
use crate::seq::TcpSeq;
use crate::time::Instant;

/// A connection.
#[derive(Debug)]
pub struct Tcp {
    config: Config,
    path: Path,
    state: State,
    negotiated: Negotiated,
    iss: TcpSeq,
    irs: TcpSeq,
    handshake: Handshake,
    rtt: RttEstimator,
    queue: SendQueue,
    /// The application has closed: FIN comes after what is queued.
    fin_queued: bool,
    board: Scoreboard,
    recovery: Recovery,
    peer_window: PeerWindow,
    receiver: Receiver,
    debt: AckDebt,
    clock: PeerClock,
    ecn: EcnState,
    timers: Timers,
    outbox: Outbox,
    probes: Probes,
    challenges: ChallengeLimit,
    /// Position after the last byte of our urgent data.
    urgent: Option<u64>,
    /// Largest packet that the path takes, in bytes with the IP header.
    path_mtu: u32,
    is_window_shared: bool,
    /// Whether the congestion window was what held data back last.
    is_cwnd_limited: bool,
    last_sent: Instant,
    counters: Counters,
}

/// What the application does, and what it sees.
impl Tcp {
    /// Queues a run of payload, and gives its position in our stream; none once this side has closed.
    /// A segment never holds bytes of two runs with different tags.
    pub fn push(&mut self, run: Payload, tag: u64) -> Option<u64> {
        (self.state.may_push() && !self.fin_queued).then(|| self.queue.push(run, tag))
    }

    /// What was pushed before this position of our stream is urgent (RFC 9293 §3.8.5).
    pub const fn set_urgent(&mut self, end: u64) {
        self.urgent = Some(end);
    }

    /// Bytes given and not yet acknowledged.
    pub fn queued(&self) -> u64 {
        self.queue.end().saturating_sub(self.board.una())
    }

    /// Bytes given and not yet sent.
    pub fn unsent(&self) -> u64 {
        self.queue.end().saturating_sub(self.board.nxt())
    }

    /// Bytes sent, and neither acknowledged nor taken for lost: the pipe of RFC 6675 §2.
    pub fn in_flight(&self) -> u64 {
        // Without SACK, every duplicate acknowledgement stands for a segment that has left the path.
        let arrived = u64::from(self.recovery.duplicates).saturating_mul(u64::from(self.mss(0)));
        self.board.in_flight().saturating_sub(arrived)
    }

    /// Every byte of our stream before this position is acknowledged.
    pub fn acked_until(&self) -> u64 {
        self.board.una().min(self.queue.end())
    }

    /// Room in the peer's window beyond what was sent, in bytes.
    pub fn window_left(&self) -> u64 {
        let edge = if self.is_window_shared {
            self.peer_window.largest_edge
        } else {
            self.peer_window.edge
        };
        edge.saturating_sub(self.board.nxt())
    }

    /// Position of the next byte of the peer's stream that is missing.
    pub const fn next_position(&self) -> u64 {
        self.receiver.next()
    }

    /// Next piece of the peer's stream that had waited for an earlier one, with its position. The
    /// caller takes it.
    pub fn next_received(&mut self) -> Option<(u64, Vec<u8>)> {
        self.receiver.pop()
    }

    /// Bytes that arrived and wait for what precedes them, or for [`Tcp::next_received`].
    pub const fn out_of_order(&self) -> u64 {
        self.receiver.waiting_bytes()
    }

    /// Pieces of them.
    pub fn out_of_order_pieces(&self) -> usize {
        self.receiver.waiting_pieces()
    }

    /// Segments that were sent and are not acknowledged, each of a byte at least, or the FIN.
    pub fn segments_out(&self) -> usize {
        self.board.segments()
    }

    /// Transmissions that loss detection remembers, and their limit.
    pub fn transmissions(&self) -> (usize, u64) {
        (self.board.transmissions(), self.board.transmission_limit())
    }

    /// Whether the windows of both ends are shared with other connections, as in MPTCP (RFC 8684
    /// §3.3.1). Then the window of [`SendLimits`] is announced as it is, though the right edge of this
    /// connection may move back, and the largest right edge that the peer has announced is obeyed.
    /// Without, as at the begin, no edge of ours moves back, and the peer's newest holds.
    pub const fn set_shared_window(&mut self, is_shared: bool) {
        self.is_window_shared = is_shared;
    }

    /// Makes a segment without payload leave, before any other.
    pub const fn ack_now(&mut self) {
        self.debt.is_forced = true;
    }

    /// When [`Tcp::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// State.
    pub const fn state(&self) -> State {
        self.state
    }

    /// From where to where.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Our first sequence number and the peer's: those of the SYNs. The peer's is zero before its
    /// SYN came.
    pub const fn initial_numbers(&self) -> (TcpSeq, TcpSeq) {
        (self.iss, self.irs)
    }

    /// Times that the SYN or SYN/ACK has been sent.
    pub const fn syn_transmissions(&self) -> u32 {
        self.handshake.transmissions
    }

    /// For how long nothing has been sent while nothing is in flight. After more than a
    /// retransmission timeout, the congestion window says little about the path (RFC 5681 §4.1).
    pub fn idle_for(&self, now: Instant) -> Duration {
        if self.board.is_empty() {
            now.since(self.last_sent)
        } else {
            Duration::ZERO
        }
    }

    /// How it stands.
    pub fn info(&self) -> TcpInfo {
        TcpInfo {
            state: self.state,
            negotiated: self.negotiated,
            srtt: self.rtt.srtt(),
            rttvar: self.rtt.rttvar(),
            min_rtt: self.rtt.min_rtt(),
            rto: self.rtt.rto(),
            mss: self.mss(0),
            loss_state: self.loss_state(),
            backoff: self.rtt.backoff(),
            in_flight: self.in_flight(),
            unsent: self.unsent(),
            window_left: self.window_left(),
            out_of_order: self.out_of_order(),
            fast_open_cookie: match self.handshake.fast_open {
                FastOpenState::Granted(cookie) => Some(cookie),
                FastOpenState::Unused | FastOpenState::Early => None,
            },
            counters: self.counters,
        }
    }

    /// How it stands with losses.
    pub const fn loss_state(&self) -> LossState {
        self.recovery.state
    }

    /// Position after the last byte that is queued, which is where the FIN comes.
    const fn fin_position(&self) -> Option<u64> {
        if self.fin_queued {
            Some(self.queue.end())
        } else {
            None
        }
    }

    fn is_fin_acked(&self) -> bool {
        self.fin_position()
            .is_some_and(|fin| self.board.una() > fin)
    }
}
