//! Congestion control of all subflows of one connection: one trait, one file per algorithm.
//!
//! Windows are in bytes. A coupled algorithm looks at every subflow when one of them grows; with a
//! single subflow it is Reno.

mod balia;
mod cubic;
mod flow;
mod flows;
mod lia;
mod olia;
mod reno;
mod slow_start;
#[cfg(test)]
mod tests;
mod wvegas;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::path::{LossState, PathView, SubflowId};
use crate::time::Instant;

use flows::Flows;

/// What one segment acknowledged: field for field what the subflow's TCP reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AckSample {
    /// Bytes that had not been acknowledged, nor reported by SACK, before.
    pub acked: u64,
    /// Round-trip time of the newest of them, when it can be told (Karn's rule, RFC 6298 §3).
    pub rtt: Option<Duration>,
    /// Bytes in flight before this acknowledgement.
    pub in_flight: u64,
    /// Whether the congestion window was what held the sender back. A window that is not used does
    /// not grow (RFC 7661 §4.1).
    pub is_cwnd_limited: bool,
    /// Whether the peer echoes congestion (RFC 3168 §6.1). The reduction for it is asked for by
    /// [`CongestionControl::on_loss`].
    pub ece: bool,
    /// How the subflow stands with losses. The window does not grow in fast recovery.
    pub loss_state: LossState,
}

/// A retransmission timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    /// What was sent and not yet cumulatively acknowledged.
    pub flight_size: u64,
    /// False when the same data times out again, which leaves the threshold alone.
    pub is_first: bool,
}

/// Congestion control of the subflows of one connection.
///
/// `paths` are all subflows of the connection, and give the round-trip times and which of them are
/// usable; the windows are the algorithm's own. Calls for a subflow that was not added do nothing.
pub trait CongestionControl: fmt::Debug + Send {
    /// Which algorithm this is.
    fn kind(&self) -> Kind;

    /// A subflow was established; its largest segment has `mss` bytes of payload. Its window is the
    /// initial one (RFC 6928). Adding it again starts it anew.
    fn add(&mut self, id: SubflowId, mss: u32);

    /// A subflow is gone.
    fn remove(&mut self, id: SubflowId);

    /// The largest segment changed. The window in bytes does not, but for its lower bounds.
    fn set_mss(&mut self, id: SubflowId, mss: u32);

    /// New data was acknowledged.
    fn on_ack(&mut self, now: Instant, id: SubflowId, ack: &AckSample, paths: &[PathView]);

    /// Data was lost, or ECN says that it nearly was: once per round trip at most (RFC 5681 §3.2,
    /// RFC 3168 §6.1.2). `flight_size` is what was sent and not yet cumulatively acknowledged
    /// (RFC 5681 §2).
    fn on_loss(&mut self, now: Instant, id: SubflowId, flight_size: u64, paths: &[PathView]);

    /// The retransmission timer fired (RFC 5681 §3.1).
    fn on_timeout(&mut self, now: Instant, id: SubflowId, timeout: Timeout, paths: &[PathView]);

    /// Everything that was outstanding at the last loss or timeout is acknowledged.
    fn on_recovered(&mut self, now: Instant, id: SubflowId);

    /// The last loss or timeout was none (RFC 3522, RFC 5682): its reduction is taken back.
    fn on_undo(&mut self, now: Instant, id: SubflowId);

    /// The subflow sends again after more than a retransmission timeout of silence (RFC 5681 §4.1).
    fn on_idle(&mut self, now: Instant, id: SubflowId);

    /// Halves the window without a loss: the penalty for holding up a faster subflow (M2).
    fn penalise(&mut self, now: Instant, id: SubflowId);

    /// Lowers the window to `bytes` if it is larger, because the path queues without need (M4).
    fn cap(&mut self, id: SubflowId, bytes: u64);

    /// Congestion window; zero for a subflow that was not added.
    fn cwnd(&self, id: SubflowId) -> u64;

    /// Slow start threshold; [`u64::MAX`] before the first loss.
    fn ssthresh(&self, id: SubflowId) -> u64;
}

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Reno on each subflow (RFC 5681).
    Reno,
    /// CUBIC on each subflow (RFC 9438).
    Cubic,
    /// Linked increases (RFC 6356).
    #[default]
    Lia,
    /// Opportunistic linked increases (draft-khalili-mptcp-congestion-control).
    Olia,
    /// Balanced linked adaptation (draft-walid-mptcp-congestion-control).
    Balia,
    /// Weighted Vegas (Cao, Xu, Fu, ICNP 2012).
    Wvegas,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Reno,
        Self::Cubic,
        Self::Lia,
        Self::Olia,
        Self::Balia,
        Self::Wvegas,
    ];

    /// Its name, as it is read and printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
            Self::Cubic => "cubic",
            Self::Lia => "lia",
            Self::Olia => "olia",
            Self::Balia => "balia",
            Self::Wvegas => "wvegas",
        }
    }

    /// Congestion control of this kind, without subflows.
    pub fn build(self) -> Box<dyn CongestionControl> {
        match self {
            Self::Reno => Box::new(Flows::<reno::Reno>::new()),
            Self::Cubic => Box::new(Flows::<cubic::Cubic>::new()),
            Self::Lia => Box::new(Flows::<lia::Lia>::new()),
            Self::Olia => Box::new(Flows::<olia::Olia>::new()),
            Self::Balia => Box::new(Flows::<balia::Balia>::new()),
            Self::Wvegas => Box::new(Flows::<wvegas::Wvegas>::new()),
        }
    }

    /// Whether a subflow's growth depends on the others. The algorithms that are not coupled never
    /// look at the paths, which may then be an empty slice.
    pub const fn is_coupled(self) -> bool {
        !matches!(self, Self::Reno | Self::Cubic)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or(UnknownKind)
    }
}

/// The name of no congestion control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a congestion control is one of reno, cubic, lia, olia, balia, wvegas")]
pub struct UnknownKind;
