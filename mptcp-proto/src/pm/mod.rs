//! Path managers: which addresses are advertised and which subflows exist. One trait, one file per
//! policy.
//!
//! A path manager hears events and answers with actions; it sends nothing itself. What holds for
//! every policy, like closing the subflows of a withdrawn address, is in [`Manager`].

mod backup;
mod break_before_make;
mod fullmesh;
mod kernel;
mod local;
mod manager;
mod mesh;
mod ndiffports;
mod signal;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

use crate::key::AddressId;
use crate::path::SubflowId;
use crate::time::Instant;
use crate::wire::mptcp::{Priority, ResetReason, TcpReset};

pub use manager::Manager;

/// Which end of the connection this host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It opened the initial subflow.
    Client,
    /// It accepted it.
    Server,
}

/// What a path manager sees of its connection.
#[derive(Debug, Clone, Copy)]
pub struct PmView<'a> {
    /// The time.
    pub now: Instant,
    /// Which end this host is.
    pub role: Role,
    /// This host's end of the initial subflow, even when that is gone.
    pub initial_local: SocketAddr,
    /// The peer's end of the initial subflow.
    pub initial_remote: SocketAddr,
    /// All subflows that are not closed. Those whose handshake is under way are among them, also
    /// those whose SYN is not sent yet: what is not here is asked for.
    pub subflows: &'a [PmSubflow],
    /// The addresses that the peer advertised and did not withdraw, in the order of their coming.
    pub remotes: &'a [RemoteAddress],
    /// The peer's C flag: no joins to the address and port of the initial subflow (RFC 8684 §3.1).
    pub is_join_to_initial_denied: bool,
    /// Whether joins are possible: the connection is fully established (RFC 8684 §3.1), has not
    /// fallen back, and is not closed in both directions.
    pub is_joinable: bool,
}

/// A subflow, as a path manager sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PmSubflow {
    /// Which one.
    pub id: SubflowId,
    /// This host's end.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Id of the local address.
    pub local_id: AddressId,
    /// Id of the remote address.
    pub remote_id: AddressId,
    /// What it is for, as this host told the peer.
    pub priority: Priority,
    /// Whether its handshake is complete.
    pub is_established: bool,
    /// Whether the peer began it and has not proven yet that it is the peer: it counts for no limit.
    pub is_half_open: bool,
}

/// An address that the peer advertised (RFC 8684 §3.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress {
    /// Its id.
    pub id: AddressId,
    /// The address, with the port of the initial subflow if the peer named none.
    pub address: SocketAddr,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PmEvent {
    /// The connection is fully established: joins and ADD_ADDR are possible now.
    Established,
    /// A subflow other than the initial one finished its handshake.
    SubflowUp(SubflowId),
    /// A subflow is gone, or was never established. The view lacks it already.
    SubflowDown {
        /// What it was.
        subflow: PmSubflow,
        /// Why.
        why: DownReason,
    },
    /// The peer advertised an address with a valid HMAC. The view has it already.
    AddressAnnounced(RemoteAddress),
    /// The peer withdrew an address (RFC 8684 §3.4.2). The view lacks it already.
    AddressRemoved(AddressId),
    /// The peer echoed an address of this host.
    AddressEchoed(AddressId),
    /// A local address became usable.
    LocalUp(IpAddr),
    /// A local address is gone.
    LocalDown(IpAddr),
    /// The time of [`PathManager::poll_timeout`] has come.
    Timeout,
}

/// Why a subflow is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// This host closed it.
    Closed,
    /// The peer closed it with a FIN.
    PeerClosed,
    /// This host reset it, because its data or its handshake were not what they must be (RFC 8684
    /// §3.7).
    Broken,
    /// The peer reset it, perhaps saying why.
    Reset(Option<TcpReset>),
    /// Nothing was heard of the peer for too long.
    TimedOut,
    /// ICMP said that the peer cannot be reached, or the local address is gone.
    Unreachable,
}

/// What the connection is to do. An action that is not possible any more is left out and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PmAction {
    /// Open a subflow (RFC 8684 §3.2). Once carried out it is in the view; if it cannot be opened,
    /// that is told by [`PmEvent::SubflowDown`].
    Open(Join),
    /// Close a subflow with a FIN.
    Close(SubflowId),
    /// Reset a subflow with this reason (RFC 8684 §3.6).
    Reset(SubflowId, ResetReason),
    /// Send a keep-alive, and give the subflow up when nothing answers.
    Probe(SubflowId),
    /// Advertise an address, repeatedly until it is echoed (RFC 8684 §3.4.1).
    Announce(LocalAddress),
    /// Withdraw an address (RFC 8684 §3.4.2), and stop advertising it.
    Withdraw(AddressId),
    /// Tell the peer what a subflow is for (RFC 8684 §3.3.8).
    SetPriority(SubflowId, Priority),
}

/// A subflow to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Join {
    /// This host's end; port 0 for any.
    pub local: SocketAddr,
    /// Id of the local address.
    pub local_id: AddressId,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Id of the remote address.
    pub remote_id: AddressId,
    /// What it is for.
    pub priority: Priority,
}

/// An address of this host that is advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// Its id.
    pub id: AddressId,
    /// The address.
    pub address: IpAddr,
    /// The port, when it is not that of the initial subflow.
    pub port: Option<u16>,
}

/// What the application, or a daemon for it, asks of a path manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Adds an endpoint, as `ip mptcp endpoint add` (kernel-like manager).
    AddEndpoint(Endpoint),
    /// Removes an endpoint.
    RemoveEndpoint(AddressId),
    /// Removes all endpoints.
    FlushEndpoints,
    /// Changes what an endpoint is for.
    SetFlags(AddressId, EndpointFlags),
    /// Changes the limits.
    SetLimits(Limits),
    /// Advertises an address (user manager).
    Announce(LocalAddress),
    /// Withdraws an address and closes its subflows.
    Withdraw(AddressId),
    /// Opens a subflow.
    Create(Join),
    /// Closes the subflow between these ends.
    Destroy {
        /// This host's end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// Changes what the subflow between these ends is for.
    SetPriority {
        /// This host's end.
        local: SocketAddr,
        /// The peer's end.
        remote: SocketAddr,
        /// What for.
        priority: Priority,
    },
}

/// Why a command had no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CommandError {
    /// The path manager has no such command.
    #[error("the path manager {0} has no such command")]
    NotSupported(Kind),
    /// No such endpoint, address or subflow.
    #[error("there is no such endpoint, address or subflow")]
    NotFound,
    /// The id is 0 where an address other than the initial one is meant.
    #[error("address id 0 is that of the initial subflow")]
    ReservedId,
    /// The id or the address is in use.
    #[error("the address or its id is in use")]
    InUse,
    /// A limit is reached.
    #[error("a limit of the path manager is reached")]
    LimitReached,
    /// The flags contradict each other, or the port needs the signal flag.
    #[error("the flags of the endpoint contradict each other")]
    BadFlags,
    /// No joins on this connection, or not to that address.
    #[error("the connection does not allow this subflow")]
    NotJoinable,
}

/// An address that the kernel-like manager uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id; 0 to have one chosen.
    pub id: AddressId,
    /// The address.
    pub address: IpAddr,
    /// The port to advertise.
    pub port: Option<u16>,
    /// What it is for.
    pub flags: EndpointFlags,
}

/// What an endpoint is for, as in `ip-mptcp(8)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EndpointFlags(pub u8);

impl EndpointFlags {
    /// It is advertised.
    pub const SIGNAL: Self = Self(1);
    /// Subflows are opened from it.
    pub const SUBFLOW: Self = Self(1 << 1);
    /// Its subflows are backups.
    pub const BACKUP: Self = Self(1 << 2);
    /// Subflows are opened from it to all known remote addresses.
    pub const FULLMESH: Self = Self(1 << 3);
    /// Made by the manager itself, for a local address that a peer's subflow uses.
    pub const IMPLICIT: Self = Self(1 << 4);

    /// These flags and the others.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What subflows from this endpoint are for.
    pub const fn priority(self) -> Priority {
        if self.has(Self::BACKUP) {
            Priority::Backup
        } else {
            Priority::Regular
        }
    }
}

/// How much a path manager may do, as `ip mptcp limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Subflows beside the initial one, opened or accepted.
    pub subflows: u8,
    /// Addresses of the peer to which subflows are opened.
    pub add_addr_accepted: u8,
}

/// Most addresses of this host, and of the peer, that a path manager uses.
pub const MAX_ADDRESSES: usize = 8;

/// Most subflows beside the initial one, whatever the limits say.
pub const MAX_EXTRA_SUBFLOWS: u8 = 64;

/// Those of [`Kind::Kernel`], as Linux has them: two subflows, and no address of the peer is used.
impl Default for Limits {
    fn default() -> Self {
        Self {
            subflows: 2,
            add_addr_accepted: 0,
        }
    }
}

/// A policy about addresses and subflows.
pub trait PathManager: fmt::Debug + Send {
    /// Which policy this is.
    fn kind(&self) -> Kind;

    /// Reacts to an event by appending actions. Earlier ones that are not carried out yet may be
    /// among them: what they ask for is not asked for again.
    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>);

    /// Carries out a command by appending actions. The limits come by [`PathManager::set_limits`].
    fn handle_command(
        &mut self,
        _view: &PmView<'_>,
        _command: &Command,
        _actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        Err(CommandError::NotSupported(self.kind()))
    }

    /// What subflows that the peer opens to this end are for, as the SYN/ACK says.
    fn priority(&self, _view: &PmView<'_>, _local: SocketAddr) -> Priority {
        Priority::Regular
    }

    /// Changes the limits.
    fn set_limits(&mut self, limits: Limits);

    /// When it wants [`PmEvent::Timeout`].
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// Whether an address can be a host's: RFC 8684 §5 has others ignored, so that an ADD_ADDR cannot
/// point a host at itself or at many.
pub fn is_advertisable(address: IpAddr) -> bool {
    let is_local_broadcast = address == IpAddr::V4(Ipv4Addr::BROADCAST);
    let address = address.to_canonical();
    !(address.is_unspecified()
        || address.is_multicast()
        || address.is_loopback()
        || is_local_broadcast)
}

/// Which policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// Endpoints with flags and limits, as Linux has them; without endpoints it does nothing.
    #[default]
    Kernel,
    /// A client's subflow from each local to each remote address.
    Fullmesh,
    /// So many subflows between the two initial addresses, the initial one counted.
    Ndiffports(u8),
    /// Advertises the local addresses and opens nothing: the server's part.
    Signal,
    /// One more subflow from each other local address, as backup, and the first one again when it was lost.
    Backup,
    /// One subflow at a time: a new one only when the last is gone.
    BreakBeforeMake,
    /// Only what commands say.
    User,
}

impl Kind {
    /// All of them, with two subflows for [`Kind::Ndiffports`].
    pub const ALL: [Self; 7] = [
        Self::Kernel,
        Self::Fullmesh,
        Self::Ndiffports(2),
        Self::Signal,
        Self::Backup,
        Self::BreakBeforeMake,
        Self::User,
    ];

    /// Its name, as it is read and printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Fullmesh => "fullmesh",
            Self::Ndiffports(_) => "ndiffports",
            Self::Signal => "signal",
            Self::Backup => "backup",
            Self::BreakBeforeMake => "break-before-make",
            Self::User => "user",
        }
    }

    /// The limits that it has when nobody says others.
    pub fn limits(self) -> Limits {
        match self {
            Self::Kernel => Limits::default(),
            _ => Limits {
                subflows: 8,
                add_addr_accepted: 8,
            },
        }
    }

    /// A path manager of this kind, without addresses.
    pub fn build(self, limits: Limits) -> Box<dyn PathManager> {
        match self {
            Self::Kernel => Box::new(kernel::Kernel::new(limits)),
            Self::Fullmesh => Box::new(fullmesh::Fullmesh::new(limits)),
            Self::Ndiffports(subflows) => Box::new(ndiffports::Ndiffports::new(subflows, limits)),
            Self::Signal => Box::new(signal::Signal::default()),
            Self::Backup => Box::new(backup::Backup::new(limits)),
            Self::BreakBeforeMake => Box::new(break_before_make::BreakBeforeMake::new(limits)),
            Self::User => Box::new(user::User::new(limits)),
        }
    }
}

/// `ndiffports:4` has the number of its subflows with it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ndiffports(subflows) => write!(f, "{}:{subflows}", self.name()),
            _ => f.pad(self.name()),
        }
    }
}

/// The number of `ndiffports` may be left out.
impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        if let Some(subflows) = name.strip_prefix("ndiffports:") {
            let subflows = subflows.parse().map_err(|_| UnknownKind)?;
            return Ok(Self::Ndiffports(subflows));
        }
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or(UnknownKind)
    }
}

/// The name of no path manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a path manager is one of kernel, fullmesh, ndiffports:N, signal, backup, break-before-make, user"
)]
pub struct UnknownKind;
