//! What a connection tells its application.

use std::net::SocketAddr;

use crate::conn::fallback::FallbackReason;
use crate::conn::violation::Violation;
use crate::key::AddressId;
use crate::path::SubflowId;
use crate::seq::Dsn;
use crate::version::Version;
use crate::wire::mptcp::{Priority, ResetReason};

/// Name of a listener of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// Something that happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The connection came in at this listener. It is the first event of such a connection.
    Incoming {
        /// Which listener.
        listener: ListenerId,
    },
    /// The handshake is complete; the version is absent when the connection is plain TCP.
    Connected {
        /// Version of MPTCP.
        version: Option<Version>,
    },
    /// The peer showed that options pass in both directions, and a DSS came: subflows may be opened from here on
    /// (RFC 8684 §3.1).
    FullyEstablished,
    /// There is something to read.
    Readable,
    /// The end of the peer's urgent data has moved on: [`Connection::urgent`] says where it is (RFC 9293 §3.8.5).
    ///
    /// [`Connection::urgent`]: crate::conn::Connection::urgent
    Urgent,
    /// There is room to write again.
    Writable,
    /// The peer will send no more data: its DATA_FIN, or FIN after fallback, is reached.
    PeerClosed,
    /// The connection goes on as TCP (RFC 8684 §3.7).
    FellBack {
        /// Why.
        reason: FallbackReason,
    },
    /// A subflow may carry data.
    SubflowUp {
        /// Which one.
        id: SubflowId,
    },
    /// So many retransmission timeouts came in a row on a subflow ([`Patience::stale_after`]) that it gets no
    /// new data while there is another: the R1 of RFC 9293 §3.8.3.
    ///
    /// [`Patience::stale_after`]: crate::conn::config::Patience::stale_after
    SubflowStale {
        /// Which one.
        id: SubflowId,
    },
    /// A stale subflow was heard of again.
    SubflowRecovered {
        /// Which one.
        id: SubflowId,
    },
    /// A subflow is gone.
    SubflowDown {
        /// Which one.
        id: SubflowId,
        /// How it ended.
        how: SubflowEnd,
    },
    /// The peer advertised an address (RFC 8684 §3.4.1).
    AddressAnnounced {
        /// Its id.
        id: AddressId,
        /// The address; the port is that of the initial subflow unless one was named.
        address: SocketAddr,
    },
    /// The peer withdrew an address (RFC 8684 §3.4.2).
    AddressRemoved {
        /// Its id.
        id: AddressId,
    },
    /// The peer echoed an address that we advertised (RFC 8684 §3.4.1).
    AddressEchoed {
        /// Its id.
        id: AddressId,
    },
    /// The peer changed what a subflow is for (RFC 8684 §3.3.8).
    PriorityChanged {
        /// Which one.
        id: SubflowId,
        /// What it is for.
        priority: Priority,
    },
    /// A rule was broken; what was done about it is `violation.reaction()`.
    Violation {
        /// On which subflow.
        id: SubflowId,
        /// Which rule.
        violation: Violation,
    },
    /// The peer saw a wrong checksum in our data (RFC 8684 §3.7).
    FailReceived {
        /// Number of the first byte of the mapping.
        dsn: Dsn,
    },
    /// The connection is over. Nothing comes after this.
    Closed {
        /// How it ended.
        how: ConnectionEnd,
    },
}

/// How a subflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubflowEnd {
    /// With FIN from both sides.
    Closed,
    /// The peer, or the path, reset it; with the reason if MP_TCPRST told one (RFC 8684 §3.6).
    ResetByPeer {
        /// The reason, and whether the condition is transient.
        reason: Option<(ResetReason, bool)>,
    },
    /// This host reset it.
    ResetByUs {
        /// The reason.
        reason: ResetReason,
    },
    /// Nothing was heard of the peer.
    TimedOut,
    /// An ICMP message said that the peer cannot be reached.
    Unreachable,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionEnd {
    /// Both directions were closed, and all data arrived.
    Closed,
    /// The peer sent MP_FASTCLOSE (RFC 8684 §3.5), or RST after fallback.
    ResetByPeer,
    /// The application gave up.
    Aborted,
    /// The peer refused the connection.
    Refused,
    /// Nothing was heard of the peer, or no subflow was left for too long.
    TimedOut,
    /// A rule was broken on the last subflow, and going on as TCP would have garbled the data.
    Violation(Violation),
}
