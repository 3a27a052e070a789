//! The states of a TCP connection (RFC 9293 §3.3.2).

/// Where a connection stands. LISTEN is no state of a connection here: a listener makes one with
/// [`Tcp::accept`](super::Tcp::accept).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no connection any more.
    Closed,
    /// Our SYN is out.
    SynSent,
    /// Both SYNs are out, ours is not acknowledged.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We have closed, our FIN is not acknowledged.
    FinWait1,
    /// Our FIN is acknowledged, the peer has not closed.
    FinWait2,
    /// The peer has closed, we have not.
    CloseWait,
    /// Both have closed, our FIN is not acknowledged.
    Closing,
    /// We have closed after the peer, our FIN is not acknowledged.
    LastAck,
    /// Both FINs are acknowledged; old segments die out.
    TimeWait,
}

impl State {
    /// Whether both SYNs have been acknowledged.
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::SynSent | Self::SynReceived)
    }

    /// Whether the peer may still send data.
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Whether data and FIN of ours may leave, new or again.
    pub const fn may_send(self) -> bool {
        matches!(
            self,
            Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck
        )
    }

    /// Whether the application may still queue data.
    pub const fn may_push(self) -> bool {
        matches!(
            self,
            Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait
        )
    }
}
