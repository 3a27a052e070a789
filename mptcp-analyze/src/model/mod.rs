//! What a capture says, as plain data: no parsing, no printing.
//!
//! `rebuild` makes these values, `check` adds findings to them, `report` prints them.

mod address;
mod capture;
mod connection;
mod event;
mod fallback;
mod finding;
mod packet;
mod segment;
mod subflow;

pub use address::{Address, AddressEvent};
pub use capture::{CaptureEnd, CaptureSummary, Compression, FileFormat, Interface, LimitHit};
pub use connection::{
    CapableSeen, Connection, ConnectionState, Direction, DirectionTotals, Grouping, PerDirection,
    PerSide, Side, TokenOwner,
};
pub use event::{Event, EventKind};
pub use fallback::{Blame, Confidence, Fallback, FallbackReason};
pub use finding::{Finding, Severity};
pub use packet::{ByteClass, DataAckSeen, MappingSeen, PacketNote, Piece};
pub(crate) use segment::Around;
pub use segment::{IpFacts, Segment, TcpFlags};
pub use subflow::{
    CheckResult, CheckTally, Close, CloseKind, CloseSide, JoinSeen, OptionTally, PriorityChange,
    Subflow, SubflowKind, SubflowTotals, TcpChecksums,
};

/// Everything known when the last packet has been read.
#[derive(Debug, Clone, Default)]
pub struct Analysis {
    /// One entry per input file, in command-line order.
    pub captures: Vec<CaptureSummary>,
    /// TCP streams (4-tuple generations) in all, numbered from 0 in order of appearance.
    pub tcp_streams: u64,
    /// TCP streams in which no MPTCP option was seen and that belong to no connection.
    pub plain_tcp_streams: u64,
    /// The MPTCP connections, in order of their first frame.
    pub connections: Vec<Connection>,
    /// Findings that belong to no connection.
    pub findings: Vec<Finding>,
    /// What was dropped because a named limit was reached.
    pub limits: Vec<LimitHit>,
}

/// The same without the connections themselves, of which there may be too many for the memory.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// One entry per input file, in command-line order.
    pub captures: Vec<CaptureSummary>,
    /// TCP streams (4-tuple generations) in all, numbered from 0 in order of appearance.
    pub tcp_streams: u64,
    /// TCP streams in which no MPTCP option was seen and that belong to no connection.
    pub plain_tcp_streams: u64,
    /// How many MPTCP connections there are.
    pub connections: u32,
    /// Packets of them that are copies of one captured before.
    pub duplicate_packets: u64,
    /// Findings that belong to no connection.
    pub findings: Vec<Finding>,
    /// What was dropped because a named limit was reached.
    pub limits: Vec<LimitHit>,
}

impl Analysis {
    /// The capture that `overview` tells of, with its connections.
    pub fn new(overview: Overview, connections: Vec<Connection>) -> Self {
        Analysis {
            captures: overview.captures,
            tcp_streams: overview.tcp_streams,
            plain_tcp_streams: overview.plain_tcp_streams,
            connections,
            findings: overview.findings,
            limits: overview.limits,
        }
    }

    /// Everything but the connections.
    pub fn overview(&self) -> Overview {
        let subflows = self.connections.iter().flat_map(|c| &c.subflows);
        Overview {
            captures: self.captures.clone(),
            tcp_streams: self.tcp_streams,
            plain_tcp_streams: self.plain_tcp_streams,
            connections: u32::try_from(self.connections.len()).unwrap_or(u32::MAX),
            duplicate_packets: subflows.map(|subflow| subflow.duplicate_packets).sum(),
            findings: self.findings.clone(),
            limits: self.limits.clone(),
        }
    }

    /// All findings: of the file and of every connection, in that order.
    pub fn all_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .chain(self.connections.iter().flat_map(|c| c.findings.iter()))
    }
}

/// Nanoseconds since the Unix epoch, as the capture file tells them; may be wrong or go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Nanoseconds from `earlier` to `self`; negative when the capture's clock went back.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
