//! What becomes of bytes and mappings of a subflow.

use crate::data::Payload;
use crate::seq::Dsn;

/// What a subflow delivers to the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// Data.
    Data {
        /// DSN of the first byte.
        dsn: Dsn,
        /// The bytes.
        payload: Payload,
    },
    /// The DATA_FIN has this DSN.
    Fin(Dsn),
}

/// What a mapping was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped {
    /// New.
    New,
    /// Declared before, or of bytes that were delivered long ago.
    Repeated,
    /// A DATA_FIN without data.
    FinOnly,
    /// The infinite mapping: from here on the subflow is TCP (RFC 8684 §3.7).
    Infinite,
    /// Not kept: too many mappings wait for their data.
    Dropped,
}

/// What is wrong with the mappings of a subflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MappingFault {
    /// A mapping overlaps another one and is not the same (RFC 8684 §3.3.1).
    #[error("a second mapping for subflow position {position}")]
    Conflict {
        /// First position of the later mapping.
        position: u64,
    },
    /// More bytes than a receive window came without a mapping (RFC 8684 §3.3.1).
    #[error("no mapping for subflow position {position}")]
    Unmapped {
        /// Position of the first of them.
        position: u64,
    },
    /// The checksum of a mapping does not hold (RFC 8684 §3.7).
    #[error("wrong checksum of the mapping of DSN {dsn}")]
    Checksum {
        /// DSN of the first byte of the mapping, which goes into MP_FAIL.
        dsn: Dsn,
        /// Whether it is the first mapping of the subflow.
        was_first: bool,
    },
    /// A mapping has no checksum although the handshake agreed on them (RFC 8684 §3.3).
    #[error("the mapping of DSN {dsn} has no checksum")]
    NoChecksum {
        /// DSN of the first byte of the mapping.
        dsn: Dsn,
    },
    /// A mapping is for bytes so far ahead that no window reaches them.
    #[error("a mapping for subflow position {position}")]
    Beyond {
        /// First position of the mapping.
        position: u64,
    },
}
