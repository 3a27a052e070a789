//! A deterministic network in virtual time: hosts, paths of links and middleboxes, recordings.
//!
//! A run has no clock, no threads and no randomness but its [`Seed`]: the same seed gives the same
//! packets at the same nanoseconds, which [`Net::fingerprint`] confirms. A test that fails while its
//! network exists prints the line that repeats it.
//!
//! ```
//! use mptcp_proto::time::Instant;
//! use mptcp_tests::sim::*;
//!
//! let mut net = Net::new(Seed::from_env_or(7));
//! let path = net.path(Link::of("10mbit 20ms queue=80ms drop=9 | nat:10.9.9.9"));
//! let node = |name: &str, address| {
//!     Node::new(SmoltcpStack::new(SmoltcpConfig::new(&[address], Seed(7).derive(name))))
//! };
//! let mut hosts = Pair {
//!     client: node("client", net.client_address(path)),
//!     server: node("server", net.server_address(path)),
//! };
//! let (local, remote) = (net.client_address(path), net.server_address(path));
//! let script = Script::new("up").send(100_000).close();
//! hosts.client.dial(Instant::ZERO, (local, 4000).into(), (remote, 80).into(), script);
//! hosts.server.serve(80, || Script::new("down").wait_for_end().close());
//! net.record(SERVER);
//! assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle);
//! assert_eq!(hosts.server.outcomes()[0].received_sha256, Stream::new("up").sha256(100_000));
//! assert!(net.report(path).to_server.drops.lost > 0);
//! let pcapng: Option<Vec<u8>> = net.pcapng(SERVER, None);
//! # drop(pcapng);
//! ```

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
pub use recording::{Kept, MAX_RECORDED_BYTES, Recording, Way};
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
