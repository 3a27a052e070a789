//! How a connection is to behave.

use std::time::Duration;

use crate::conn::Pacing;
use crate::conn::handshake::Wishes;
use crate::version::Version;
use crate::{cc, pm, sched, tcp};

/// How a connection is to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which MPTCP, if any.
    pub mptcp: Offer,
    /// What MP_CAPABLE says beside the version.
    pub wishes: Wishes,
    /// Each subflow's TCP. `window_scale` and Nagle are those of the connection.
    pub tcp: tcp::Config,
    /// Congestion control.
    pub congestion: cc::Kind,
    /// How segments of a window are spread in time.
    pub pacing: Pacing,
    /// Scheduler.
    pub scheduler: sched::Kind,
    /// Path manager.
    pub path_manager: pm::Kind,
    /// Its limits, or those that its kind has by itself ([`pm::Kind::limits`]).
    pub limits: Option<pm::Limits>,
    /// Buffers.
    pub buffers: Buffers,
    /// What helps against small buffers.
    pub mechanisms: Mechanisms,
    /// Timeouts and tries of the connection.
    pub patience: Patience,
    /// How an abort tells the peer (RFC 8684 §3.5).
    pub fast_close: FastCloseForm,
    /// Whether DSNs are sent with 4 octets instead of 8 (RFC 8684 §3.3.1), which leaves more room for data.
    /// It has no effect where [`Buffers::max_send`] is 2 GiB or more: the receiver could not tell their place.
    pub short_dsn: Switch,
    /// Bytes that a subflow may have to send again, after its path was silent, though the peer has them from
    /// other subflows by now. With more it is reset, and a new one begins without that burden (RFC 8684
    /// §3.6, reason 4).
    pub max_outstanding: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mptcp: Offer::default(),
            wishes: Wishes::default(),
            tcp: tcp::Config {
                nagle: false,
                ..tcp::Config::default()
            },
            congestion: cc::Kind::default(),
            pacing: Pacing::Off,
            scheduler: sched::Kind::default(),
            path_manager: pm::Kind::default(),
            limits: None,
            buffers: Buffers::default(),
            mechanisms: Mechanisms::default(),
            patience: Patience::default(),
            fast_close: FastCloseForm::default(),
            short_dsn: Switch::Off,
            max_outstanding: 1024 * 1024,
        }
    }
}

impl Config {
    /// Whether DSNs are sent with 4 octets.
    pub(crate) const fn sends_short_dsn(&self) -> bool {
        self.short_dsn.is_on() && self.buffers.max_send < 1 << 31
    }

    /// A SYN must not announce more than the buffer holds; and a window counts in steps, of which an empty
    /// buffer must hold some, or it would be shut for ever.
    pub(crate) fn fit_window(&mut self) {
        let buffer = u32::try_from(self.buffers.receive).unwrap_or(u32::MAX);
        self.tcp.initial_window = self.tcp.initial_window.min(buffer);
        let largest = (buffer / MIN_STEPS).checked_ilog2().unwrap_or(0);
        let largest = u8::try_from(largest).unwrap_or(u8::MAX);
        self.tcp.window_scale = self.tcp.window_scale.map(|scale| scale.min(largest));
    }
}

/// Which MPTCP a connection offers, or a listener accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Offer {
    /// None: plain TCP.
    Off,
    /// Version 0 alone.
    V0,
    /// Version 1 alone.
    V1,
    /// Version 1, and version 0 where that is all the other host is known to speak.
    #[default]
    Both,
}

impl Offer {
    /// The versions, oldest first.
    pub const fn versions(self) -> &'static [Version] {
        match self {
            Self::Off => &[],
            Self::V0 => &[Version::V0],
            Self::V1 => &[Version::V1],
            Self::Both => &Version::ALL,
        }
    }
}

/// Sizes of the two buffers, in bytes. They begin with the small one and grow to the large one, if
/// [`Mechanisms::autotuning`] is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffers {
    /// Receive buffer at the begin.
    pub receive: usize,
    /// Receive buffer at most.
    pub max_receive: usize,
    /// Send buffer at the begin.
    pub send: usize,
    /// Send buffer at most.
    pub max_send: usize,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            receive: 256 * 1024,
            max_receive: 6 * 1024 * 1024,
            send: 256 * 1024,
            max_send: 6 * 1024 * 1024,
        }
    }
}

/// The mechanisms of the NSDI'12 paper, each of which can be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mechanisms {
    /// M1: what holds up the window is sent again on a subflow that has room.
    pub opportunistic_retransmission: Switch,
    /// M2: a subflow that holds up a faster one has its window halved.
    pub penalisation: Switch,
    /// M3: buffers grow with what the paths need.
    pub autotuning: Switch,
    /// M4: the window of a path that queues without need is capped.
    pub capping: Switch,
}

/// Whether a mechanism works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// It does not.
    Off,
    /// It does.
    On,
}

impl Switch {
    /// Whether it is on.
    pub const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

impl Default for Mechanisms {
    fn default() -> Self {
        Self {
            opportunistic_retransmission: Switch::On,
            penalisation: Switch::On,
            autotuning: Switch::On,
            capping: Switch::Off,
        }
    }
}

/// How long a connection waits, and how often it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// SYNs with MP_CAPABLE before one without (RFC 8684 §3.9.3). Linux sends three.
    pub syns_with_option: u32,
    /// Whether a SYN with MP_CAPABLE that is refused is followed by one without.
    pub retry_refused: Switch,
    /// How long a connection without any subflow waits for a new one.
    pub without_subflow: Duration,
    /// How long the peer may take to close its subflows once all data are acknowledged.
    pub subflow_close: Duration,
    /// Time to the first repetition of an ADD_ADDR without echo (RFC 8684 §3.4.1).
    pub add_addr: Duration,
    /// How long MP_FAIL may go without reaction.
    pub fail: Duration,
    /// How long data may stay without a mapping when their segment had no option. Linux sends data that
    /// are not DATA_ACKed again after 200 ms, and a copy must not be taken for new data.
    pub unmapped: Duration,
    /// Third ACKs of a join without an answer.
    pub join_acks: u32,
    /// DATA_FINs without a DATA_ACK (RFC 8684 §3.3.3).
    pub data_fins: u32,
    /// MP_FASTCLOSEs without an answer (RFC 8684 §3.5).
    pub fast_closes: u32,
    /// Losses in a row after which a subflow is stale.
    pub stale_after: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            syns_with_option: 3,
            retry_refused: Switch::On,
            without_subflow: Duration::from_secs(60),
            subflow_close: Duration::from_secs(60),
            add_addr: Duration::from_secs(120),
            fail: Duration::from_secs(3),
            unmapped: Duration::from_millis(100),
            join_acks: 6,
            data_fins: 8,
            fast_closes: 3,
            stale_after: 4,
        }
    }
}

/// The two forms of MP_FASTCLOSE (RFC 8684 §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FastCloseForm {
    /// In a RST on every subflow: nobody is waited for. What Linux does.
    #[default]
    Reset,
    /// In an ACK on one subflow, while the others are reset; a RST answers it.
    Ack,
}

/// Steps of the window in an empty buffer, at least.
const MIN_STEPS: u32 = 8;
