//! What keeps a run from its packets.

use std::io;
use std::net::IpAddr;

/// What keeps a run from its packets. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No raw socket for this user.
    #[error("raw sockets need CAP_NET_RAW: use sudo, or `setcap cap_net_raw+ep` on the program")]
    NoPrivilege,
    /// The routing table has no entry.
    #[error(
        "no route to {0}: check the address family (-4, -6), the interface and `ip route get {0}`"
    )]
    NoRoute(IpAddr),
    /// There is no interface of this name.
    #[error("there is no interface `{0}`; `ip link` lists them")]
    UnknownInterface(String),
    /// The interface is there, and down.
    #[error("interface {0} is down: `ip link set {0} up`, or name another one")]
    InterfaceDown(String),
    /// The interface is up and has no address of the family of the target.
    #[error(
        "interface {interface} leads nowhere near {target}: it has no route or no address of that family"
    )]
    InterfaceLeadsElsewhere {
        /// The interface.
        interface: String,
        /// The target.
        target: IpAddr,
    },
    /// The address that was to be used is not one of this host.
    #[error("{0} is no address of this host; `ip address` lists them")]
    ForeignSource(IpAddr),
    /// Packets to the target never leave this host.
    #[error(
        "{0} is an address of this host: there is no path to look at; run it from another host"
    )]
    OwnAddress(IpAddr),
    /// A multicast or broadcast address, or none at all.
    #[error("{0} is not the address of one host")]
    NoHost(IpAddr),
    /// A rule of the local firewall takes our packets.
    #[error("the firewall of this host refuses packets to {0}: look at its output rules")]
    Filtered(IpAddr),
    /// The kernel refuses something else.
    #[error("{doing}")]
    Socket {
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl NetError {
    /// For [`Result::map_err`].
    pub(crate) fn while_doing(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::NoPrivilege,
            _ => Self::Socket { doing, source },
        }
    }

    /// Why a packet to the target, or a socket for it, was refused.
    pub(crate) fn of_route(source: io::Error, target: IpAddr, doing: &'static str) -> Self {
        match source.raw_os_error() {
            // The last two are routes that prohibit and that swallow.
            Some(
                libc::ENETUNREACH
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::EACCES
                | libc::EINVAL,
            ) => Self::NoRoute(target),
            Some(libc::EPERM) => Self::Filtered(target),
            _ => Self::Socket { doing, source },
        }
    }
}
