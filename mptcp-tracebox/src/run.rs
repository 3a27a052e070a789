//! What is known of a run beside its packets.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use mptcp_proto::time::Instant;

/// A run, for the head of a report and of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The target as the user named it.
    pub host: String,
    /// Whom the probes are for.
    pub target: SocketAddr,
    /// What the run was allowed to do.
    pub tier: Tier,
    /// What the clock of the host said when the clock of the run was at [`Instant::ZERO`], in nanoseconds
    /// since 1970.
    pub epoch_ns: u64,
    /// What the kernel's own MPTCP got from the target, if it was asked.
    pub kernel_mptcp: Option<KernelMptcp>,
}

/// What became of a connection that the kernel of this host began with MPTCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KernelMptcp {
    /// It is MPTCP.
    Mptcp,
    /// It is plain TCP.
    Tcp,
    /// It was refused, by a RST or an ICMP error.
    Refused,
    /// Nobody answered.
    Silent,
    /// It came to stand; this kernel (before 6.10) does not tell as what.
    Untold,
    /// This kernel has no MPTCP, or it is switched off.
    Unsupported,
}

/// How far a run came: its verdict is worth as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// How it ended.
    pub end: End,
    /// RSTs for our connections that this host sent and the run did not: what came after them is worth
    /// nothing.
    pub foreign_resets: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// All was asked.
    Complete,
    /// The user wanted it to end.
    Interrupted,
    /// The network of this host failed.
    Broken,
}

/// What a run is allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// No privileges: sockets of the kernel, and what its error queue quotes.
    Kernel,
    /// `CAP_NET_RAW`: each bit of a packet.
    Raw,
    /// `CAP_NET_ADMIN` too: in a lab only.
    Lab,
}

/// Names of addresses, as reverse DNS has them: text from the network.
pub type Names = BTreeMap<IpAddr, String>;

impl Run {
    /// A point in time by the clock of the host, in nanoseconds since 1970.
    pub const fn wall_ns(&self, at: Instant) -> u64 {
        self.epoch_ns.saturating_add(at.as_nanos())
    }

    /// The opposite: none for what was before the run.
    pub fn instant(&self, wall_ns: u64) -> Option<Instant> {
        wall_ns.checked_sub(self.epoch_ns).map(Instant::from_nanos)
    }
}

impl KernelMptcp {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Mptcp,
        Self::Tcp,
        Self::Refused,
        Self::Silent,
        Self::Untold,
        Self::Unsupported,
    ];

    /// Name for programs; it does not change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mptcp => "mptcp",
            Self::Tcp => "tcp",
            Self::Refused => "refused",
            Self::Silent => "silent",
            Self::Untold => "untold",
            Self::Unsupported => "unsupported",
        }
    }

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Mptcp => "this kernel's own connection to the target is MPTCP",
            Self::Tcp => {
                "this kernel asked for MPTCP and got plain TCP: the target does not speak it, or MP_CAPABLE \
                 is lost on the way; raw sockets can tell"
            }
            Self::Refused => {
                "this kernel's connection with MPTCP was refused; what refuses it, raw sockets can tell"
            }
            Self::Silent => "this kernel's connection with MPTCP got no answer",
            Self::Untold => {
                "this kernel connected with MPTCP, but is too old to say whether it got it"
            }
            Self::Unsupported => {
                "this kernel has no MPTCP, or it is switched off (sysctl net.mptcp.enabled)"
            }
        }
    }

    /// Whether MPTCP does not come to this target from here.
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Tcp | Self::Refused | Self::Silent)
    }
}

impl End {
    /// Name for programs; it does not change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Broken => "broken",
        }
    }
}

impl Tier {
    /// All of them, from the one that may least.
    pub const ALL: [Self; 3] = [Self::Kernel, Self::Raw, Self::Lab];

    /// Name for programs; it does not change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Raw => "raw",
            Self::Lab => "lab",
        }
    }

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Kernel => "without privileges: options of plain TCP, and the kernel's own MPTCP",
            Self::Raw => "with raw sockets",
            Self::Lab => "with raw sockets, in a lab",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
