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
            Self::Kernel => "without privileges: plain TCP only, MPTCP could not be asked",
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
