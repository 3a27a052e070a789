//! One mapping, and what has come of its data.

use crate::data::pieces::Pieces;
use crate::seq::{Dsn, Ssn};
use crate::wire::checksum::PartialSum;

/// A mapping that waits for the rest of its data.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) position: u64,
    /// Bytes of payload that it covers.
    pub(super) len: u64,
    pub(super) dsn: Dsn,
    /// Data-level length, as declared.
    pub(super) declared: u16,
    pub(super) has_fin: bool,
    pub(super) checksum: Option<u16>,
    pub(super) ssn: Ssn,
    /// Bytes that came.
    pub(super) seen: u64,
    pub(super) sum: PartialSum,
    /// The bytes, until the checksum is known to hold.
    pub(super) held: Pieces,
}

impl Mapping {
    pub(super) const fn end(&self) -> u64 {
        self.position.saturating_add(self.len)
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.seen >= self.len
    }

    pub(super) const fn fin_dsn(&self) -> Dsn {
        self.dsn.add(self.len)
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.position == other.position
            && self.declared == other.declared
            && self.dsn == other.dsn
            && self.checksum == other.checksum
    }

    /// Whether the other one maps the same bytes to the same numbers, and DATA_FIN besides.
    pub(super) fn lacks_only_fin_of(&self, other: &Self) -> bool {
        !self.has_fin
            && other.has_fin
            && self.position == other.position
            && self.dsn == other.dsn
            && self.len == other.len
    }
}
