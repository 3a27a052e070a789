//! What the bytes of a connection mean at data level: mappings, byte classes, checksums, the stream.
//!
//! [`DataDirection`] is one direction of a connection, [`SubflowDirection`] one direction of one of
//! its subflows. Whoever has both calls the subflow's `on_*` methods with the direction as argument.
//!
//! Inside, all positions are *places*: 64-bit numbers that do not wrap and never change their
//! meaning. A data place counts from the first DSN that was seen, a subflow place from the first
//! sequence number. Only numbers that leave this module are relative to the IDSN, so learning the
//! IDSN late moves one number and no store.

mod assembler;
mod direction;
mod known;
mod open_mappings;
mod origin;
mod scale;
mod subflow;
mod waiting;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::checksum::PartialSum;

use super::pack::{Pack, Packer, Unpacker};
use crate::model::{Segment, Timestamp};

pub use assembler::StreamChunk;
pub(crate) use direction::DataDirection;
pub(crate) use subflow::SubflowDirection;

/// What to keep track of beyond the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DataOptions {
    /// Whether to verify DSS checksums.
    pub(crate) verify_checksums: bool,
    /// Whether to put the data stream in order.
    pub(crate) assemble: Assemble,
    /// Whether to remember in which frame data came first, to name it when they come again.
    pub(crate) name_frames: bool,
}

impl Pack for DataOptions {
    /// A stream that is put together keeps its connection awake.
    fn pack(&self, to: &mut Packer<'_>) {
        let DataOptions {
            verify_checksums,
            assemble,
            name_frames,
        } = self;
        to.require(*assemble == Assemble::No && !name_frames);
        verify_checksums.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        DataOptions {
            verify_checksums: Pack::unpack(from),
            ..Self::default()
        }
    }
}

/// What is to be done with the data stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Assemble {
    /// Nothing.
    #[default]
    No,
    /// To hash it in order.
    Hash,
    /// To keep it for [`DataDirection::take_stream`] too.
    Keep,
}

/// A mapping as a segment's options carry it: DSS, or MP_CAPABLE with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappingInput {
    /// Relative DSN, from [`DataDirection::relative`]; 1 for MP_CAPABLE with data.
    pub(crate) dsn: i64,
    /// Subflow sequence number field; 1 for MP_CAPABLE with data.
    pub(crate) ssn: u32,
    /// Data-level length field: a DATA_FIN included, 0 for the infinite mapping.
    pub(crate) len: u16,
    /// Whether the DATA_FIN flag is set.
    pub(crate) data_fin: bool,
    /// Checksum field, if present.
    pub(crate) checksum: Option<u16>,
    /// Sequence number of the segment's first payload byte.
    pub(crate) segment_seq: TcpSeq,
    /// Payload length of the segment on the wire, in bytes.
    pub(crate) segment_len: u32,
    /// Frame of the segment.
    pub(crate) frame: u64,
    /// Time of the segment.
    pub(crate) at: Timestamp,
}

/// What became of a mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MappingOutcome {
    /// The same mapping was seen before: neither a retransmission nor a reinjection.
    pub(crate) repeated: bool,
    /// It contradicts an earlier mapping, which stays. Only told when the mapping is first seen.
    pub(crate) conflict: Option<MappingConflict>,
    /// It was seen before with another checksum.
    pub(crate) other_checksum: bool,
    /// Payload length that the mapping of the same first byte had before, and now.
    pub(crate) resized: Option<(u16, u16)>,
    /// Its DSN is so far from everything else (2^62) that it cannot belong to the connection.
    pub(crate) out_of_range: bool,
}

/// Two mappings that give one byte of a subflow different DSNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MappingConflict {
    /// Unwrapped SSN of the first byte they disagree on.
    pub(crate) ssn: i64,
    /// Its relative DSN by the mapping that came first, which stays.
    pub(crate) kept_dsn: i64,
    /// Its relative DSN by the later mapping.
    pub(crate) refused_dsn: i64,
}

/// The payload of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PayloadInput<'a> {
    /// Sequence number of the first payload byte.
    pub(crate) seq: TcpSeq,
    /// The captured part of the payload.
    pub(crate) bytes: &'a [u8],
    /// Their sum, if it is known already; then they are all.
    pub(crate) sum: Option<PartialSum>,
    /// Length on the wire, in bytes.
    pub(crate) len: u32,
    /// Frame of the segment.
    pub(crate) frame: u64,
    /// Time of the segment.
    pub(crate) at: Timestamp,
}

impl<'a> PayloadInput<'a> {
    /// The payload of a segment that is no SYN.
    #[inline]
    pub(crate) fn of(segment: &Segment<'a>) -> Self {
        PayloadInput {
            seq: segment.seq,
            bytes: segment.payload(),
            sum: None,
            len: segment.payload_len,
            frame: segment.frame,
            at: segment.at,
        }
    }
}

/// The circumstances under which bytes were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    frame: u64,
    at: Timestamp,
    /// Data place below which everything had been acknowledged by then.
    acked: i64,
}

#[cfg(test)]
mod tests;
