//! The small parts of a connection's state.

use super::config::FastOpenCookie;
use crate::seq::TcpSeq;
use crate::time::Instant;

/// The window that the peer grants (RFC 9293 §3.8.6). Edges are positions of our stream.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerWindow {
    /// Right edge of the newest announcement.
    pub(super) edge: u64,
    /// Largest right edge ever announced.
    pub(super) largest_edge: u64,
    /// Size of the newest announcement.
    pub(super) size: u64,
    /// Largest size ever announced.
    pub(super) largest_size: u64,
    /// Position in the peer's stream, and acknowledgement, of the newest announcement: SND.WL1 and
    /// SND.WL2.
    updated_by: (u64, u64),
}

impl PeerWindow {
    /// Takes the window of a segment at `start` that acknowledges up to `ack`, unless a newer one has
    /// been seen. Whether the size changed.
    pub(super) fn update(&mut self, start: u64, ack: u64, size: u64) -> bool {
        let (last_start, last_ack) = self.updated_by;
        if start < last_start || start == last_start && ack < last_ack {
            return false;
        }
        let changed = size != self.size;
        self.updated_by = (start, ack);
        self.size = size;
        self.edge = ack.saturating_add(size);
        self.largest_edge = self.largest_edge.max(self.edge);
        self.largest_size = self.largest_size.max(size);
        changed
    }
}

/// What is owed to the peer as an acknowledgement.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct AckDebt {
    pub(super) due: Due,
    /// Bytes that have arrived in order and are not acknowledged.
    pub(super) bytes: u64,
    /// A segment without payload leaves before any other.
    pub(super) is_forced: bool,
}

/// When an acknowledgement is to leave.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing is to be acknowledged.
    #[default]
    Never,
    /// With the next data, or when the timer says so.
    Later,
    /// Now.
    Now,
}

/// The limit of challenge ACKs (RFC 5961 §7).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ChallengeLimit {
    since: Instant,
    sent: u32,
}

impl ChallengeLimit {
    /// Whether one more may be sent, which is then counted.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        if now.since(self.since) >= CHALLENGE_PERIOD {
            self.since = now;
            self.sent = 0;
        }
        self.sent = self.sent.saturating_add(1);
        self.sent <= MAX_CHALLENGES
    }
}

/// The peer's timestamps (RFC 7323 §4.3).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PeerClock {
    /// Whether the peer's clock was seen: after a SYN cookie it was not.
    pub(super) is_known: bool,
    /// `TS.Recent`.
    pub(super) recent: u32,
    pub(super) recent_at: Instant,
    /// `Last.ACK.sent`.
    pub(super) last_ack_sent: u64,
}

/// Marks of congestion to be passed on (RFC 3168 §6.1).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EcnState {
    /// ECE on all segments until the peer has reduced its window.
    pub(super) echoes: bool,
    /// CWR on the next new data.
    pub(super) announces_reduction: bool,
}

/// The two SYNs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Handshake {
    /// The SYN or SYN/ACK is to leave.
    pub(super) is_due: bool,
    /// Times that it left.
    pub(super) transmissions: u32,
    /// When it left last.
    pub(super) sent_at: Option<Instant>,
    /// Whether the peer's SYN came first.
    pub(super) is_passive: bool,
    pub(super) fast_open: FastOpenState,
    /// Bytes that came with the peer's SYN and were taken.
    pub(super) early: u64,
}

/// How far Fast Open has come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum FastOpenState {
    #[default]
    Unused,
    /// The peer's SYN had data, or a valid cookie: answers may leave before the handshake is complete
    /// (RFC 7413 §4.2.2).
    Early,
    /// The peer granted a cookie.
    Granted(FastOpenCookie),
}

/// Segments that wait to be sent, besides data.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outbox {
    pub(super) reset: Option<Reset>,
    pub(super) probe: Option<Probe>,
    /// The next segment with data leaves whatever congestion window, Nagle's rule and a small window
    /// say.
    pub(super) is_data_forced: bool,
    /// The last segment in flight leaves again, as a tail loss probe.
    pub(super) repeats_tail: bool,
    /// The next new data is a tail loss probe.
    pub(super) probes_with_new: bool,
}

impl Outbox {
    /// Other losses have come to light.
    pub(super) const fn cancel_tail_probe(&mut self) {
        self.repeats_tail = false;
        self.probes_with_new = false;
        self.is_data_forced = false;
    }
}

/// A reset to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reset {
    pub(super) seq: TcpSeq,
    pub(super) ack: Option<TcpSeq>,
}

/// A segment that only asks for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    Window,
    KeepAlive,
}

/// Probes in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Probes {
    /// Window probes, which double their interval.
    pub(super) window: u32,
    /// Window probes since the peer was heard.
    pub(super) unanswered: u32,
    /// Keep-alives since the peer was heard.
    pub(super) keep_alive: u32,
}

/// Challenge ACKs of one connection in a period. Linux sends one in 500 ms; a few more cost nothing and
/// serve a peer that has restarted.
pub(super) const MAX_CHALLENGES: u32 = 5;
const CHALLENGE_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);
