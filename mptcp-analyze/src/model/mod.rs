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
    PerSide, Side,
};
pub use event::{Event, EventKind};
pub use fallback::{Blame, Confidence, Fallback, FallbackReason};
pub use finding::{Finding, Severity};
pub use packet::{ByteClass, DataAckSeen, MappingSeen, PacketNote, Piece};
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

impl Analysis {
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
