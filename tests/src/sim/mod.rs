//! A deterministic network in virtual time: hosts, paths of links and middleboxes, recordings.
//!
//! A run has no clock, no threads and no randomness but its [`Seed`]: the same seed gives the same
//! packets at the same nanoseconds, which [`Net::fingerprint`] confirms. A test that fails while its
//! network exists prints the line that repeats it.

mod application;
mod event;
mod fingerprint;
mod host;
mod link;
mod measure;
mod mptcp_stack;
mod net;
mod node;
mod path;
mod recording;
mod route;
mod script;
mod seed;
mod smoltcp_stack;

use std::time::Duration;

pub use application::{Application, Socket, SocketState};
pub use host::{CLIENT, Host, HostId, Hosts, Pair, SERVER};
pub use link::{
    Backlog, Burst, Drops, Element, Lane, Link, LinkError, MAX_NAT_FLOWS, MAX_WAITING, Mtu, Nat,
    NatPlan, Queue,
};
pub use measure::{ElementReport, INTERVAL, MAX_POINTS, PathReport, Series, Traffic, WayReport};
pub use mptcp_stack::MptcpStack;
pub use net::{Limits, Net, NetCounts, PathId, Stop};
pub use node::{Node, Stack};
pub use recording::{MAX_RECORDED_BYTES, Recording, Way};
pub use script::{Block, MAX_BLOCKS, Outcome, Script, Stream};
pub use seed::{SEED_VARIABLE, Seed, SeededRandom};
pub use smoltcp_stack::{Congestion, SmoltcpConfig, SmoltcpStack};

/// So many milliseconds.
pub const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// So many seconds.
pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
