//! Middleboxes as the literature reports them: packets in, packets out.
//!
//! A box opens nothing, reads no clock and has no randomness but its seed, so that the same code acts
//! in the namespaces of the lab (through NFQUEUE) and on the links of a simulator.

pub mod ack;
pub mod chain;
pub mod checksum;
pub mod coalesce;
pub mod flip;
pub mod flow_table;
pub mod header;
pub mod header_field;
pub mod hole;
pub mod impair;
pub mod isn;
pub mod mirror;
pub mod option_area;
pub mod payload;
pub mod proactive;
pub mod quote;
pub mod refuse;
pub mod rewrite;
pub mod sack;
pub mod segment;
pub mod select;
pub mod spec;
pub mod split;
pub mod strip;
pub mod syn_payload;
pub mod tcp_box;

#[cfg(test)]
pub(crate) mod bench;
#[cfg(test)]
mod dialogue;

use std::time::Duration;

/// Which way a packet travels on a path between a client and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Direction {
    /// The other way.
    #[must_use]
    pub fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// A packet that leaves a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// When; not before the call that produced it. Packets of equal time leave in the order of the
    /// calls.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// The whole packet, from the IP header on.
    pub packet: Vec<u8>,
}

/// A box on a path. Times count from an arbitrary start and never go back.
pub trait Middlebox: Send {
    /// A packet, from its IP header on, arrives at `now`. What leaves the box because of it is
    /// appended to `out`; nothing appended means that it was dropped or is held back.
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    );

    /// When [`Middlebox::handle_timeout`] wants to be called; `None` while nothing is held back.
    fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// The time of [`Middlebox::poll_timeout`] has come.
    fn handle_timeout(&mut self, _now: Duration, _out: &mut Vec<Departure>) {}
}
