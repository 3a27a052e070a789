//! What a TCP connection tells congestion control.

use std::time::Duration;

use crate::path::LossState;
use crate::time::Instant;

/// Congestion control as one TCP connection sees it. Sizes are in bytes.
pub trait CongestionHook {
    /// New data was acknowledged, cumulatively or by SACK.
    fn on_ack(&mut self, now: Instant, sample: &AckSample);

    /// Data was lost, or ECN says that it nearly was: once per round trip at most (RFC 5681 §3.2,
    /// RFC 3168 §6.1.2). The window is to be reduced.
    fn on_loss(&mut self, now: Instant, in_flight: u64);

    /// The recovery that `on_loss` began is over.
    fn on_recovered(&mut self, now: Instant);

    /// The retransmission timer expired (RFC 5681 §3.1): the window falls to one segment.
    /// `in_flight` is what was outstanding; `is_first` is false when the same data times out again,
    /// which leaves the threshold alone.
    fn on_timeout(&mut self, now: Instant, in_flight: u64, is_first: bool);

    /// The last `on_loss` or `on_timeout` was a mistake: nothing had been lost (RFC 4015).
    fn on_undo(&mut self, now: Instant);

    /// The congestion window.
    fn cwnd(&self) -> u64;

    /// The slow start threshold.
    fn ssthresh(&self) -> u64;
}

/// What one segment acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckSample {
    /// Bytes that had not been acknowledged, nor reported by SACK, before.
    pub acked: u64,
    /// Round-trip time of the newest of them, when it can be told (Karn's rule).
    pub rtt: Option<Duration>,
    /// Bytes in flight before this acknowledgement: the pipe of RFC 6675 §2.
    pub in_flight: u64,
    /// Whether the congestion window was what held the sender back (RFC 7661 §4.1).
    pub is_cwnd_limited: bool,
    /// Whether the peer echoes congestion (RFC 3168 §6.1).
    pub ece: bool,
    /// How the connection stands with losses. The window does not grow in fast recovery.
    pub loss_state: LossState,
}
