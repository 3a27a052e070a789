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

mod config;
mod congestion;
mod counters;
mod report;
mod state;

pub use config::{
    Config, FastOpen, FastOpenCookie, KeepAlive, Negotiated, Path, SendLimits, WindowScale,
};
pub use congestion::{AckSample, CongestionHook};
pub use counters::Counters;
pub use report::{
    Acked, IcmpError, Outgoing, OutgoingKind, Received, TcpEvent, TcpEvents, TcpInfo, TimedOut,
};
pub use state::State;

use std::time::Duration;

use crate::data::Payload;
use crate::path::LossState;
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::segment::Segment;

/// A connection.
#[derive(Debug)]
pub struct Tcp {
    path: Path,
    state: State,
}

impl Tcp {
    /// Active open; the SYN leaves at the next [`Tcp::poll_transmit`]. `isn` must be hard to guess
    /// (RFC 9293 §3.4.1).
    pub fn connect(config: &Config, path: Path, isn: TcpSeq, now: Instant) -> Self {
        let _ = (config, isn, now);
        Self {
            path,
            state: State::SynSent,
        }
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
        let _ = (config, isn, syn, now);
        Self {
            path,
            state: State::SynReceived,
        }
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
        let _ = (config, irs, iss, negotiated, now);
        Self {
            path,
            state: State::SynReceived,
        }
    }

    /// Takes a segment of this 4-tuple.
    pub fn handle_segment(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        cc: &mut dyn CongestionHook,
    ) -> Received {
        let _ = (now, segment, cc);
        Received::default()
    }

    /// What is to be sent next, or none.
    pub fn poll_transmit(&mut self, now: Instant, limits: &SendLimits) -> Option<Outgoing> {
        let _ = (now, limits);
        None
    }

    /// When [`Tcp::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Acts on all deadlines up to `now`.
    pub fn handle_timeout(&mut self, now: Instant, cc: &mut dyn CongestionHook) -> TimedOut {
        let _ = (now, cc);
        TimedOut::default()
    }

    /// Queues a run of payload, and gives its position in our stream; none once this side has closed.
    /// A segment never holds bytes of two runs with different tags.
    pub fn push(&mut self, run: Payload, tag: u64) -> Option<u64> {
        let _ = (run, tag);
        None
    }

    /// Bytes given and not yet acknowledged.
    pub fn queued(&self) -> u64 {
        0
    }

    /// Bytes given and not yet sent.
    pub fn unsent(&self) -> u64 {
        0
    }

    /// Bytes sent, and neither acknowledged nor taken for lost: the pipe of RFC 6675 §2.
    pub fn in_flight(&self) -> u64 {
        0
    }

    /// Every byte of our stream before this position is acknowledged.
    pub fn acked_until(&self) -> u64 {
        0
    }

    /// Room in the peer's window beyond what was sent, in bytes.
    pub fn window_left(&self) -> u64 {
        0
    }

    /// Largest payload of a segment whose caller appends so many bytes of options.
    pub fn mss(&self, reserve: usize) -> u32 {
        let _ = reserve;
        536
    }

    /// Position of the next byte of the peer's stream that is missing.
    pub fn next_position(&self) -> u64 {
        0
    }

    /// Next piece of the peer's stream that had waited for an earlier one, with its position. The
    /// caller takes it.
    pub fn next_received(&mut self) -> Option<(u64, Vec<u8>)> {
        None
    }

    /// Bytes that arrived and wait for what precedes them, or for [`Tcp::next_received`].
    pub fn out_of_order(&self) -> u64 {
        0
    }

    /// Whether all windows of the path's two ends are shared with other connections, as in MPTCP
    /// (RFC 8684 §3.3.1). Then the window of [`SendLimits`] is announced as it is, though the right
    /// edge of this connection may move back, and the largest right edge that the peer has announced
    /// is obeyed. Without, as at the begin, no edge of ours moves back, and the peer's newest holds.
    pub fn set_shared_window(&mut self, is_shared: bool) {
        let _ = is_shared;
    }

    /// Sends FIN after what is queued.
    pub fn close(&mut self) {}

    /// Sends RST, if there is anybody to tell, and is closed.
    pub fn abort(&mut self) {}

    /// Makes a segment without payload leave, before any other.
    pub fn ack_now(&mut self) {}

    /// Takes an ICMP message that quotes a segment of ours with this sequence number.
    pub fn handle_icmp(&mut self, now: Instant, quoted: TcpSeq, error: IcmpError) -> TcpEvents {
        let _ = (now, quoted, error);
        TcpEvents::default()
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
        (TcpSeq(0), TcpSeq(0))
    }

    /// Times that the SYN or SYN/ACK has been sent.
    pub const fn syn_transmissions(&self) -> u32 {
        0
    }

    /// How it stands.
    pub fn info(&self) -> TcpInfo {
        TcpInfo {
            state: self.state,
            negotiated: Negotiated {
                peer_mss: 536,
                window_scale: None,
                sack: false,
                timestamps: false,
                ecn: false,
            },
            srtt: Duration::ZERO,
            rttvar: Duration::ZERO,
            min_rtt: Duration::ZERO,
            rto: Duration::ZERO,
            mss: self.mss(0),
            loss_state: LossState::Open,
            backoff: 0,
            in_flight: 0,
            unsent: 0,
            window_left: 0,
            out_of_order: 0,
            fast_open_cookie: None,
            counters: Counters::default(),
        }
    }
}

/// The reset that answers a segment without connection (RFC 9293 §3.10.7.1); none when the segment
/// is a reset itself.
pub fn reset_reply(segment: &Segment<'_>) -> Option<Outgoing> {
    let _ = segment;
    None
}
