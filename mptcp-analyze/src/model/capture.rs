//! What is known about an input file as a whole.

use super::Timestamp;

/// An input file after it has been read.
#[derive(Debug, Clone)]
pub struct CaptureSummary {
    /// Name as given on the command line; `-` for standard input.
    pub file: String,
    /// Container format.
    pub format: FileFormat,
    /// Compression around the container.
    pub compression: Compression,
    /// Packet records read.
    pub packets: u64,
    /// Link types of the packets seen, ascending (the numbers of tcpdump.org/linktypes.html).
    pub link_types: Vec<u16>,
    /// Capture interfaces, in order of appearance.
    pub interfaces: Vec<Interface>,
    /// Packets shorter in the file than they were on the wire.
    pub truncated_packets: u64,
    /// Packets in which no IP packet could be read because of their link type or broken headers.
    pub undecoded_packets: u64,
    /// Fragments of IP packets that never became whole.
    pub incomplete_fragments: u64,
    /// Time of the earliest packet.
    pub first_at: Option<Timestamp>,
    /// Time of the latest packet.
    pub last_at: Option<Timestamp>,
    /// How the file ended.
    pub end: CaptureEnd,
}

/// Container format of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Classic libpcap format, any byte order, resolution and variant.
    Pcap,
    /// pcapng.
    PcapNg,
}

/// Compression around a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// A capture interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Name that the capturing program wrote down (`if_name`), if any.
    pub name: Option<String>,
    /// Link type.
    pub link_type: u16,
    /// Packets that the capturing program says it lost (interface statistics block), if it says so.
    pub drops: Option<u64>,
}

/// How a capture file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaptureEnd {
    /// After its last whole record.
    Complete,
    /// In the middle of a record, or with bytes that are no record: everything before was read.
    Cut {
        /// Position in the (decompressed) file where the unreadable record begins, in bytes.
        at_byte: u64,
        /// What is wrong there, as a sentence without full stop.
        reason: String,
    },
}

/// A named limit that was reached, and what it cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHit {
    /// Name of the limit, for example `open connections`.
    pub limit: &'static str,
    /// Its value.
    pub value: u64,
    /// How many times something was dropped for it.
    pub dropped: u64,
}
