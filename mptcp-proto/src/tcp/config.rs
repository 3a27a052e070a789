//! What the caller chooses: once for a connection, or for every segment.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::hmac::equal_in_constant_time;
use crate::time::Instant;
use crate::wire::segment::IpChoice;

/// The 4-tuple of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
}

impl Path {
    /// Bytes of the IP and TCP headers without options.
    pub(super) const fn header_len(&self) -> u32 {
        match self.remote.ip() {
            IpAddr::V4(_) => 40,
            IpAddr::V6(_) => 60,
        }
    }
}

/// How a connection is to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Largest packet that the local interface takes, with its IP header, in bytes.
    pub mtu: u32,
    /// What the IP headers say beside addresses.
    pub ip: IpChoice,
    /// Shift of our windows (RFC 7323 §2), at most 14; none to leave the option out.
    pub window_scale: Option<u8>,
    /// Offset of our timestamp clock, which should be random (RFC 7323 §5.4); none to leave the
    /// option out.
    pub timestamps: Option<u32>,
    /// Offer and accept SACK (RFC 2018).
    pub sack: bool,
    /// Offer and accept ECN (RFC 3168).
    pub ecn: bool,
    /// Hold small segments back while data is outstanding (RFC 9293 §3.7.4).
    pub nagle: bool,
    /// Fast Open (RFC 7413).
    pub fast_open: FastOpen,
    /// Receive window that the SYN announces, in bytes.
    pub initial_window: u32,
    /// How long an acknowledgement may wait (RFC 5681 §4.2); zero acknowledges every segment.
    pub ack_delay: Duration,
    /// Smallest retransmission timeout. RFC 6298 §2.4 wants 1 s, Linux takes 200 ms.
    pub min_rto: Duration,
    /// Largest retransmission timeout (RFC 6298 §2.5).
    pub max_rto: Duration,
    /// Retransmission timeout before the first sample (RFC 6298 §2.1).
    pub initial_rto: Duration,
    /// So many timeouts in a row without an answer end the connection (RFC 9293 §3.8.3).
    pub max_retransmissions: u32,
    /// The same for the SYN, which must be tried for three minutes at least (RFC 9293 §3.8.3).
    pub max_syn_retransmissions: u32,
    /// Data unacknowledged for this long ends the connection (RFC 9293 §3.8.3).
    pub user_timeout: Option<Duration>,
    /// Keep-alives (RFC 9293 §3.8.4).
    pub keep_alive: Option<KeepAlive>,
    /// How long TIME-WAIT lasts: twice the maximum segment lifetime.
    pub time_wait: Duration,
    /// How long FIN-WAIT-2 may last once the application does not read any more; none for ever.
    pub fin_wait_2: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mtu: 1500,
            ip: IpChoice::default(),
            window_scale: Some(7),
            timestamps: Some(0),
            sack: true,
            ecn: false,
            nagle: true,
            fast_open: FastOpen::Off,
            initial_window: 65_535,
            ack_delay: Duration::from_millis(40),
            min_rto: Duration::from_millis(200),
            max_rto: Duration::from_secs(120),
            initial_rto: Duration::from_secs(1),
            max_retransmissions: 15,
            max_syn_retransmissions: 7,
            user_timeout: None,
            keep_alive: None,
            time_wait: Duration::from_secs(60),
            fin_wait_2: None,
        }
    }
}

/// When an idle connection is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// So many probes without an answer end the connection.
    pub probes: u32,
}

/// Data in the SYN (RFC 7413). Who may send it is checked above: here are only the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FastOpen {
    /// Neither data nor option.
    #[default]
    Off,
    /// Client: the SYN asks for a cookie.
    Request,
    /// Client: the SYN carries this cookie and what has been pushed before it leaves.
    Cookie(FastOpenCookie),
    /// Server: data in the SYN is taken, and the SYN/ACK grants this cookie. In the configuration of a
    /// listener the cookie, or one for each address of a client, is what such a SYN must show. The application
    /// has the data at once, and may have them again from another connection if this SYN was an old one
    /// (RFC 7413 §2.1).
    Accept(Option<FastOpenCookie>),
    /// Server: data in the SYN is not taken, and the SYN/ACK grants this cookie.
    Grant(FastOpenCookie),
}

/// A Fast Open cookie: 4 to 16 bytes (RFC 7413 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastOpenCookie {
    bytes: [u8; MAX_COOKIE],
    len: u8,
}

impl FastOpenCookie {
    /// A cookie of these bytes; none when their number is not allowed.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut cookie = [0; MAX_COOKIE];
        if !(MIN_COOKIE..=MAX_COOKIE).contains(&bytes.len()) || !bytes.len().is_multiple_of(2) {
            return None;
        }
        cookie.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            bytes: cookie,
            len: u8::try_from(bytes.len()).ok()?,
        })
    }

    /// Whether these bytes are the cookie. How long it takes does not tell where they differ.
    pub fn is(&self, shown: &[u8]) -> bool {
        Self::new(shown).is_some_and(|shown| {
            shown.len == self.len && equal_in_constant_time(&shown.bytes, &self.bytes)
        })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What both SYNs have agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Largest segment that the peer takes: payload and options, without headers.
    pub peer_mss: u16,
    /// Shifts of the peer's windows and of ours (RFC 7323 §2.2); none when one side did not offer.
    pub window_scale: Option<WindowScale>,
    /// Whether both understand SACK.
    pub sack: bool,
    /// Whether every segment carries timestamps.
    pub timestamps: bool,
    /// Whether both understand ECN.
    pub ecn: bool,
}

/// The agreed shifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowScale {
    /// Of the windows that the peer announces.
    pub peer: u8,
    /// Of the windows that we announce.
    pub own: u8,
}

/// What the layers above allow at the moment of sending. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendLimits {
    /// Congestion window.
    pub cwnd: u64,
    /// Receive window to announce: room for bytes after the last one that was taken in order.
    pub window: u64,
    /// Bytes of options that the caller appends to a segment with payload.
    pub reserve: usize,
    /// Bytes of options that the caller appends to one without.
    pub reserve_ack: usize,
    /// New data does not leave before this (pacing); `Instant::ZERO` for at once.
    pub not_before: Instant,
}

/// Longest Fast Open cookie.
const MAX_COOKIE: usize = 16;
const MIN_COOKIE: usize = 4;
