//! Classic pcap files: microseconds and nanoseconds, both byte orders, Kuznetsov's variant.
//!
//! Format: draft-ietf-opsawg-pcap.

use crate::model::Timestamp;

use super::byte_order::ByteOrder;
use super::record::{Next, Record};
use super::window::{MAX_RECORD_BYTES, Window};

/// Bytes of the file header.
const FILE_HEADER_BYTES: usize = 24;
/// Bytes of a record header.
const RECORD_HEADER_BYTES: usize = 16;
/// Bytes of a record header of the "modified" variant (Kuznetsov's patches of 2000): interface
/// index, protocol, packet type and padding follow the usual fields.
const MODIFIED_RECORD_HEADER_BYTES: usize = 24;

/// What the magic number says about the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variant {
    order: ByteOrder,
    ns_per_unit: u32,
    record_header_bytes: usize,
}

impl Variant {
    /// The variant of a file that begins with `magic`, if it is pcap.
    pub(super) fn from_magic(magic: [u8; 4]) -> Option<Self> {
        let (order, number) = match magic {
            [0xa1, ..] => (ByteOrder::Big, u32::from_be_bytes(magic)),
            [.., 0xa1] => (ByteOrder::Little, u32::from_le_bytes(magic)),
            _ => return None,
        };
        let (ns_per_unit, record_header_bytes) = match number {
            0xa1b2_c3d4 => (1_000, RECORD_HEADER_BYTES),
            0xa1b2_3c4d => (1, RECORD_HEADER_BYTES),
            0xa1b2_cd34 => (1_000, MODIFIED_RECORD_HEADER_BYTES),
            _ => return None,
        };
        Some(Self {
            order,
            ns_per_unit,
            record_header_bytes,
        })
    }
}

/// The reading state of a pcap file.
#[derive(Debug, Clone, Copy)]
pub(super) struct PcapFile {
    variant: Variant,
    link_type: Option<u16>,
}

impl PcapFile {
    /// A file whose header has not been read yet.
    pub(super) fn new(variant: Variant) -> Self {
        Self {
            variant,
            link_type: None,
        }
    }

    /// Link type, once the file header has been read.
    pub(super) fn link_type(&self) -> Option<u16> {
        self.link_type
    }

    /// Reads the file header: its link type, without the bits that tell the length of the FCS.
    pub(super) fn read_header(&mut self, window: &mut Window) -> Result<(), String> {
        if !window.fill(FILE_HEADER_BYTES) {
            return Err("the file header is cut".to_owned());
        }
        let network = self.variant.order.u32(window.data(), 20).unwrap_or(0);
        self.link_type = Some(u16::try_from(network & 0xffff).unwrap_or(0));
        window.consume(FILE_HEADER_BYTES);
        Ok(())
    }

    /// Reads the record at the beginning of `data` if all of it is there, and gives its captured bytes
    /// and what follows them; nothing is done otherwise. `record` is one that [`Self::next_record`]
    /// gave, perhaps changed by this.
    #[inline]
    pub(super) fn read_next<'a>(
        &self,
        data: &'a [u8],
        record: &mut Record,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let (header, rest) = data.split_at_checked(self.variant.record_header_bytes)?;
        let [seconds, fraction, captured, original_len] = self.fields(header);
        let captured = captured as usize;
        if captured > MAX_RECORD_BYTES - header.len() {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(captured)?;
        record.at = self.time(seconds, fraction);
        record.original_len = original_len;
        record.data_len = captured;
        Some((bytes, rest))
    }

    #[inline]
    fn time(&self, seconds: u32, fraction: u32) -> Timestamp {
        // 2^32 seconds are 4.3e18 ns: they fit with any fraction.
        let fraction = i64::from(fraction) * i64::from(self.variant.ns_per_unit);
        Timestamp(i64::from(seconds) * 1_000_000_000 + fraction)
    }

    /// The next record, and how many bytes it takes.
    pub(super) fn next_record(&self, window: &mut Window) -> (Next, usize) {
        let header = self.variant.record_header_bytes;
        if !window.fill(header) {
            let next = match window.data().len() {
                0 => Next::End,
                have => Next::Cut(format!("the record header is cut after {have} bytes")),
            };
            return (next, 0);
        }
        let [seconds, fraction, captured, original_len] = self.fields(window.data());
        let captured = captured as usize;
        if captured > MAX_RECORD_BYTES - header {
            let reason = format!("a record claims {captured} bytes");
            return (Next::Cut(reason), 0);
        }
        let total = header + captured;
        if !window.fill(total) {
            let have = window.data().len().saturating_sub(header);
            let reason = format!("the record has {have} of {captured} bytes");
            return (Next::Cut(reason), 0);
        }
        let record = Record {
            at: self.time(seconds, fraction),
            timed: true,
            interface: 0,
            link_type: self.link_type,
            original_len,
            data_at: header,
            data_len: captured,
            options_at: 0,
            options_len: 0,
            order: self.variant.order,
            outbound: None,
        };
        (Next::Record(record), total)
    }

    /// The four numbers of a record header.
    #[inline]
    fn fields(&self, data: &[u8]) -> [u32; 4] {
        let header: &[u8; RECORD_HEADER_BYTES] = data.first_chunk().unwrap_or(&[0; 16]);
        let (fields, _) = header.as_chunks::<4>();
        let order = self.variant.order;
        let number = |index: usize| {
            let field = fields.get(index).copied().unwrap_or_default();
            match order {
                ByteOrder::Little => u32::from_le_bytes(field),
                ByteOrder::Big => u32::from_be_bytes(field),
            }
        };
        [number(0), number(1), number(2), number(3)]
    }
}
