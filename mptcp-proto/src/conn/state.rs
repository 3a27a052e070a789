//! States of a connection (RFC 8684 appendix D).

use std::fmt;

/// State of the data level, as RFC 8684 appendix D draws it. A connection that fell back to TCP
/// has the same states: FIN takes the place of DATA_FIN there.
///
/// ```text
///                            +---------+
///                            | M_ESTAB |
///                            +---------+
///         shutdown: DATA_FIN  |       |  DATA_FIN arrived
///           +-----------------+       +------------------+
///           v                                            v
///  +--------------+  DATA_FIN  +-----------+    +--------------+
///  | M_FIN_WAIT_1 |----------->| M_CLOSING |    | M_CLOSE_WAIT |
///  +--------------+            +-----------+    +--------------+
///    | DATA_ACK of DATA_FIN         | DATA_ACK          | shutdown: DATA_FIN
///    v                              v                   v
///  +--------------+ DATA_FIN +-------------+    +------------+
///  | M_FIN_WAIT_2 |--------->| M_TIME_WAIT |    | M_LAST_ACK |
///  +--------------+          +-------------+    +------------+
///                     all subflows closed  \   / DATA_ACK
///                                         +----------+
///                                         | M_CLOSED |
///                                         +----------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// The initial subflow is in its three-way handshake.
    #[default]
    Opening,
    /// Data go both ways.
    Established,
    /// DATA_FIN sent.
    FinWait1,
    /// DATA_FIN sent and acknowledged.
    FinWait2,
    /// Both sent a DATA_FIN, and ours is not acknowledged.
    Closing,
    /// Both DATA_FINs are acknowledged, ours was the first.
    TimeWait,
    /// The peer's DATA_FIN arrived.
    CloseWait,
    /// The peer's DATA_FIN arrived, then ours was sent.
    LastAck,
    /// MP_FASTCLOSE sent, the answer is awaited (RFC 8684 §3.5).
    FastCloseWait,
    /// Over.
    Closed,
}

impl State {
    /// Whether the application may still write.
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Opening | Self::Established | Self::CloseWait)
    }

    /// Whether the peer may still send data.
    pub const fn may_receive(self) -> bool {
        matches!(
            self,
            Self::Opening | Self::Established | Self::FinWait1 | Self::FinWait2
        )
    }

    /// Whether data or a DATA_FIN may still have to be sent.
    pub const fn may_send(self) -> bool {
        matches!(
            self,
            Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck
        )
    }

    /// Whether both directions have ended and are acknowledged.
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::TimeWait | Self::Closed)
    }

    /// The application has no more data.
    #[must_use]
    pub const fn after_shutdown(self) -> Self {
        match self {
            Self::Established => Self::FinWait1,
            Self::CloseWait => Self::LastAck,
            other => other,
        }
    }

    /// The peer's DATA_FIN arrived, and all data before it.
    #[must_use]
    pub const fn after_data_fin(self) -> Self {
        match self {
            Self::Established => Self::CloseWait,
            Self::FinWait1 => Self::Closing,
            Self::FinWait2 => Self::TimeWait,
            other => other,
        }
    }

    /// Our DATA_FIN is acknowledged.
    #[must_use]
    pub const fn after_data_fin_acked(self) -> Self {
        match self {
            Self::FinWait1 => Self::FinWait2,
            Self::Closing => Self::TimeWait,
            Self::LastAck => Self::Closed,
            other => other,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opening => "opening",
            Self::Established => "M_ESTAB",
            Self::FinWait1 => "M_FIN_WAIT_1",
            Self::FinWait2 => "M_FIN_WAIT_2",
            Self::Closing => "M_CLOSING",
            Self::TimeWait => "M_TIME_WAIT",
            Self::CloseWait => "M_CLOSE_WAIT",
            Self::LastAck => "M_LAST_ACK",
            Self::FastCloseWait => "FASTCLOSE_WAIT",
            Self::Closed => "M_CLOSED",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_first_ends_in_time_wait_and_closing_second_does_not() {
        let first = State::Established.after_shutdown().after_data_fin_acked();
        assert_eq!(first.after_data_fin(), State::TimeWait);
        let second = State::Established.after_data_fin().after_shutdown();
        assert_eq!(second.after_data_fin_acked(), State::Closed);
    }

    #[test]
    fn closing_at_the_same_time_passes_through_closing() {
        let both = State::Established.after_shutdown().after_data_fin();
        assert_eq!(both, State::Closing);
        assert_eq!(both.after_data_fin_acked(), State::TimeWait);
    }
}
