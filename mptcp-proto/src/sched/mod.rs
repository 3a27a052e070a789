//! Schedulers: which subflow carries the next data. One trait, one file per algorithm.
//!
//! Backup semantics (RFC 8684 §3.3.8), stale subflows and the rules for reinjection are in
//! [`Picker`], before any algorithm.

mod blest;
mod ecf;
mod lowest_rtt;
mod picker;
mod redundant;
mod room;
mod round_robin;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::path::{PathView, SubflowId};
use crate::time::Instant;

pub use blest::Blest;
pub use ecf::Ecf;
pub use lowest_rtt::LowestRtt;
pub use picker::Picker;
pub use redundant::Redundant;
pub use round_robin::RoundRobin;

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Data that no subflow was given yet.
    New {
        /// Bytes waiting, the whole backlog.
        len: u64,
        /// The peer's data-level window: from the DATA_ACK to its right edge, with all that is in
        /// flight.
        window: u64,
    },
    /// Data that some subflows were given already, and that may not have arrived.
    Reinjection {
        /// Bytes of it.
        len: u64,
        /// Subflows that were given it and whose TCP has not seen it acknowledged: it is never
        /// sent there. Empty when only the DATA_ACK is missing.
        already_on: &'a [SubflowId],
    },
    /// A DATA_FIN without data (RFC 8684 §3.3.3): it needs no room in any window.
    DataFin,
}

/// Where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick<'a> {
    /// At most `max` bytes on one subflow.
    One {
        /// Which one.
        on: SubflowId,
        /// Bytes.
        max: u64,
    },
    /// The same bytes, at most `max`, on each of these subflows.
    Each {
        /// Which ones; at least one.
        on: &'a [SubflowId],
        /// Bytes.
        max: u64,
    },
    /// Nowhere for now: no subflow has room, or it is better to wait for a faster one.
    Wait,
}

/// A scheduler. It sees only subflows that may carry the chunk; those without room are among them,
/// because it may be right to wait for one.
pub trait Scheduler: fmt::Debug + Send {
    /// Which algorithm this is.
    fn kind(&self) -> Kind;

    /// Chooses among the candidates.
    fn choose(&mut self, now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice;

    /// The data-level window was full while a subflow had room: data on a slow subflow held up a
    /// fast one. BLEST learns from it.
    fn on_blocked(&mut self, now: Instant);
}

/// What an algorithm chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// At most so many bytes on this one.
    One(SubflowId, u64),
    /// On each that has room.
    Each,
    /// On none for now.
    Wait,
}

/// Which algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kind {
    /// The lowest round-trip time that has room.
    #[default]
    LowestRtt,
    /// One after the other.
    RoundRobin,
    /// Everything on every subflow.
    Redundant,
    /// Blocking estimation (Ferlin et al., IFIP Networking 2016).
    Blest,
    /// Earliest completion first (Lim et al., 2017).
    Ecf,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::LowestRtt,
        Self::RoundRobin,
        Self::Redundant,
        Self::Blest,
        Self::Ecf,
    ];

    /// Its name, as it is read and printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LowestRtt => "lowest-rtt",
            Self::RoundRobin => "round-robin",
            Self::Redundant => "redundant",
            Self::Blest => "blest",
            Self::Ecf => "ecf",
        }
    }

    /// A scheduler of this kind, as it begins.
    pub fn build(self) -> Box<dyn Scheduler> {
        match self {
            Self::LowestRtt => Box::new(LowestRtt),
            Self::RoundRobin => Box::new(RoundRobin::default()),
            Self::Redundant => Box::new(Redundant),
            Self::Blest => Box::new(Blest::default()),
            Self::Ecf => Box::new(Ecf::default()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or(UnknownKind)
    }
}

/// The name of no scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a scheduler is one of lowest-rtt, round-robin, redundant, blest, ecf")]
pub struct UnknownKind;
