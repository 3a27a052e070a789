//! Captures by script: packets of MPTCP connections as a capture point would have seen them.
//!
//! A script opens flows, lets a [`Connection`] say things on them, and then may drop, repeat or
//! reorder packets, because [`Capture::packets`] is a plain list. What the kit writes is right to
//! the last checksum unless the script asks for something else, and its HMACs aside, nothing is
//! computed by the code under test.
//!
//! ```
//! use mptcp_proto::version::Version;
//! use mptcp_tests::craft::{Capture, Connection, Flow, Host};
//!
//! let mut capture = Capture::new();
//! let mut connection = Connection::new(Version::V1);
//! let first = connection.connect(&mut capture, Flow::new("10.0.1.1:4000", "10.0.9.1:80"));
//! let second = connection.join(&mut capture, Flow::new("10.0.2.1:4001", "10.0.9.1:80"), Host::Client);
//! connection.send(&mut capture, first, Host::Client, 5000);
//! connection.send(&mut capture, second, Host::Server, 3000);
//! connection.close(&mut capture);
//! std::fs::write(std::env::temp_dir().join("two-subflows.pcap"), capture.pcap_bytes()).unwrap();
//! ```

mod capture;
mod connection;
mod flow;
mod option;

pub use capture::{Capture, Packet};
pub use connection::{Connection, Forge, Host, JoinPlan, Subflow};
pub use flow::{Dispatch, End, Flow, Peer};
pub use option::{dss_checksum, ones_complement, option_bytes, prio, remove_addr, tcp_reset};
