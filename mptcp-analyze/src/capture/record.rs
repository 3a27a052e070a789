//! A packet record as it stands in a file, before anything in it is decoded.

use crate::model::Timestamp;

use super::byte_order::ByteOrder;

/// One packet record. Its places count from the first byte of its file's window, and hold until
/// the next record of that file is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Record {
    /// When the packet was captured.
    pub(super) at: Timestamp,
    /// Whether the file says when; simple packet blocks do not.
    pub(super) timed: bool,
    /// Interface, counted over the whole file.
    pub(super) interface: u32,
    /// Link type of that interface; `None` when the file does not describe the interface.
    pub(super) link_type: Option<u16>,
    /// Bytes on the wire.
    pub(super) original_len: u32,
    /// Where the captured bytes begin.
    pub(super) data_at: usize,
    /// How many there are.
    pub(super) data_len: usize,
    /// Where the options of a pcapng block begin.
    pub(super) options_at: usize,
    /// Their length in bytes.
    pub(super) options_len: usize,
    /// Byte order of those options.
    pub(super) order: ByteOrder,
    /// Direction as told by the pcapng flags.
    pub(super) outbound: Option<bool>,
}

/// What comes next in a file.
pub(super) enum Next {
    /// A packet.
    Record(Record),
    /// The end, after a whole record.
    End,
    /// Bytes that are no whole record, and why.
    Cut(String),
}
