//! What schedulers, congestion control and path managers see of a subflow.

use std::fmt;
use std::time::Duration;

use crate::wire::mptcp::Priority;

/// Number of a subflow within its connection, never used twice: 0 is the initial one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SubflowId(pub u32);

impl fmt::Display for SubflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a subflow stands with losses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LossState {
    /// Nothing is known to be missing.
    #[default]
    Open,
    /// In fast recovery (RFC 6675).
    Recovery,
    /// After a retransmission timeout (RFC 6298 §5).
    Loss,
}

/// A subflow as the algorithms see it. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathView {
    /// Which one.
    pub id: SubflowId,
    /// Smoothed round-trip time (RFC 6298 §2); zero before the first sample.
    pub srtt: Duration,
    /// Mean deviation of the round-trip time (RFC 6298 §2).
    pub rttvar: Duration,
    /// Smallest round-trip time seen; zero before the first sample.
    pub min_rtt: Duration,
    /// Retransmission timeout (RFC 6298 §2).
    pub rto: Duration,
    /// Congestion window.
    pub cwnd: u64,
    /// Slow start threshold.
    pub ssthresh: u64,
    /// Sent, and neither acknowledged nor taken for lost: the pipe of RFC 6675 §2.
    pub in_flight: u64,
    /// Given to the subflow and not yet sent.
    pub queued: u64,
    /// Room in the receiver's window of this subflow, beyond what was sent.
    pub window_left: u64,
    /// Largest payload of a segment.
    pub mss: u32,
    /// Whether it is a backup (RFC 8684 §3.3.8).
    pub priority: Priority,
    /// How it stands with losses.
    pub loss_state: LossState,
    /// Whether it carries data: its handshake is complete and it is not being closed.
    pub is_usable: bool,
    /// Whether it has lost so much in a row that it is not given new data until it is heard of.
    pub is_stale: bool,
}

impl PathView {
    /// Bytes that congestion control and the receiver's window let it send now, beyond what is queued.
    pub fn room(&self) -> u64 {
        self.cwnd
            .saturating_sub(self.in_flight)
            .min(self.window_left)
            .saturating_sub(self.queued)
    }
}
