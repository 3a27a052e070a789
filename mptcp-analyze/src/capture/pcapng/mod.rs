//! pcapng files: sections, interfaces, packet blocks and those that are none.
//!
//! Format: draft-ietf-opsawg-pcapng. The blocks are taken apart here and not by `pcap-parser`,
//! whose numbers for them serve; `docs/decisions.md` says why.

mod clock;
mod options;

use crate::model::{Interface, Timestamp};

use super::byte_order::ByteOrder;
use super::record::{Next, Record};
use super::window::{MAX_RECORD_BYTES, Window};

use clock::Clock;
pub use options::Comments;
use options::Options;

/// Interfaces described in one file, all sections together. A capture on every interface of a big
/// router has some hundred, and files put together by `cat` bring some per section.
pub(super) const MAX_INTERFACES: usize = 65_536;
/// Bytes kept of an interface name; the kernel's limit is 16.
const MAX_NAME_BYTES: usize = 256;
/// Where the captured bytes begin in a packet block.
const PACKET_AT: usize = 28;
/// The obsolete Packet Block of the first drafts.
const PACKET_BLOCK: u32 = 2;
/// Bytes of the shortest block: type, length, length.
const MIN_BLOCK_BYTES: usize = 12;
/// The byte order mark of a section header.
const BYTE_ORDER_MARK: u32 = 0x1a2b_3c4d;

/// An interface with what is needed to read its packets.
#[derive(Debug, Clone)]
struct Described {
    interface: Interface,
    clock: Clock,
    /// Most bytes captured of a packet; simple packet blocks need it.
    snaplen: Option<u32>,
}

/// The reading state of a pcapng file.
pub(super) struct PcapNgFile {
    order: ByteOrder,
    interfaces: Vec<Described>,
    /// The interfaces of the current section, which its packets number from 0.
    section: Vec<u32>,
    /// Whether a section has several interfaces.
    interleaved: bool,
    /// Stands for interfaces that packets name and no block describes.
    undescribed: Option<u32>,
    last_at: Timestamp,
}

/// A block: its type and the places of its body in the window.
struct Block {
    kind: u32,
    len: usize,
}

impl PcapNgFile {
    /// A file before its first block.
    pub(super) fn new() -> Self {
        Self {
            order: ByteOrder::Little,
            interfaces: Vec::new(),
            section: Vec::new(),
            interleaved: false,
            undescribed: None,
            last_at: Timestamp(0),
        }
    }

    /// The interfaces described so far, in all sections.
    pub(super) fn interfaces(&self) -> impl ExactSizeIterator<Item = &Interface> {
        self.interfaces.iter().map(|described| &described.interface)
    }

    /// One of them.
    pub(super) fn interface(&self, index: usize) -> Option<&Interface> {
        self.interfaces.get(index).map(|d| &d.interface)
    }

    /// Whether a section has several interfaces: its blocks may be out of time order.
    #[inline]
    pub(super) fn is_interleaved(&self) -> bool {
        self.interleaved
    }

    /// The next packet and the length of its block; all other blocks on the way are consumed.
    pub(super) fn next_record(&mut self, window: &mut Window) -> (Next, usize) {
        loop {
            let block = match self.next_block(window) {
                Ok(Some(block)) => block,
                Ok(None) => return (Next::End, 0),
                Err(reason) => return (Next::Cut(reason), 0),
            };
            let bytes = window.data().get(..block.len - 4).unwrap_or_default();
            let record = match block.kind {
                ENHANCED_PACKET => self.enhanced_packet(bytes).map(Some),
                PACKET_BLOCK => self.obsolete_packet(bytes).map(Some),
                SIMPLE_PACKET => self.simple_packet(bytes).map(Some),
                INTERFACE_DESCRIPTION => self.describe_interface(bytes).map(|()| None),
                INTERFACE_STATISTICS => {
                    self.count_drops(bytes);
                    Ok(None)
                }
                SECTION_HEADER => self.begin_section(bytes).map(|()| None),
                // Names, secrets, journals, custom and future blocks hold no packets.
                _ => Ok(None),
            };
            match record {
                Ok(Some(record)) => {
                    self.last_at = record.at;
                    return (Next::Record(record), block.len);
                }
                Ok(None) => window.consume(block.len),
                Err(reason) => return (Next::Cut(reason.to_owned()), 0),
            }
        }
    }

    /// Reads the block at the beginning of `data` if all of it is there and it is the enhanced packet
    /// of a known interface, and gives its captured bytes and what follows the block; nothing is done
    /// otherwise. `record` tells no places afterwards.
    #[inline]
    pub(super) fn read_next<'a>(
        &mut self,
        data: &'a [u8],
        record: &mut Record,
    ) -> Option<(&'a [u8], &'a [u8])> {
        let header: &[u8; PACKET_AT] = data.first_chunk()?;
        let (fields, _) = header.as_chunks::<4>();
        let field = |index: usize| {
            let field = fields.get(index).copied().unwrap_or_default();
            match self.order {
                ByteOrder::Little => u32::from_le_bytes(field),
                ByteOrder::Big => u32::from_be_bytes(field),
            }
        };
        let (len, id, captured) = (field(1) as usize, field(2), field(5) as usize);
        if field(0) != ENHANCED_PACKET
            || self.interleaved
            || !len.is_multiple_of(4)
            || len > MAX_RECORD_BYTES
        {
            return None;
        }
        let (block, after) = data.split_at_checked(len)?;
        let (body, again) = block.split_last_chunk::<4>()?;
        if *again != fields.get(1).copied()? {
            return None;
        }
        let (bytes, rest) = body.get(PACKET_AT..)?.split_at_checked(captured)?;
        let index = self.section.get(id as usize).copied()?;
        let described = self.interfaces.get(index as usize)?;
        let ticks = (u64::from(field(3)) << 32) | u64::from(field(4));
        record.at = described.clock.at(ticks);
        record.timed = true;
        record.interface = index;
        record.link_type = Some(described.interface.link_type);
        record.original_len = field(6);
        record.data_len = captured;
        let padding = captured.next_multiple_of(4) - captured;
        record.outbound = match rest.get(padding..) {
            None | Some([]) => None,
            Some(options) => direction(self.order, options),
        };
        self.last_at = record.at;
        Some((bytes, after))
    }

    /// Makes the whole next block available; `None` at the end of the file.
    fn next_block(&mut self, window: &mut Window) -> Result<Option<Block>, String> {
        if !window.fill(MIN_BLOCK_BYTES) {
            return match window.data().len() {
                0 => Ok(None),
                have => Err(format!("the block header is cut after {have} bytes")),
            };
        }
        let data = window.data();
        // The section header's type is a palindrome: it reads the same before the order is known.
        if ByteOrder::Little.u32(data, 0) == Some(SECTION_HEADER) {
            self.order = order_of_section(data)?;
        }
        let kind = self.order.u32(data, 0).unwrap_or(0);
        let len = self.order.u32(data, 4).unwrap_or(0) as usize;
        if len < MIN_BLOCK_BYTES || !len.is_multiple_of(4) || len > MAX_RECORD_BYTES {
            return Err(format!("a block claims a length of {len} bytes"));
        }
        if !window.fill(len) {
            let have = window.data().len();
            return Err(format!("the block has {have} of {len} bytes"));
        }
        match self.order.u32(window.data(), len - 4) {
            Some(again) if again as usize == len => Ok(Some(Block { kind, len })),
            again => Err(format!(
                "the block tells its length as {len} at its beginning and as {} at its end",
                again.unwrap_or(0)
            )),
        }
    }

    fn begin_section(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        if self.order.u16(bytes, 12) != Some(1) {
            return Err("the section has a version other than 1");
        }
        self.section.clear();
        Ok(())
    }

    fn describe_interface(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let link_type = self.order.u16(bytes, 8);
        let snaplen = self.order.u32(bytes, 12);
        let (Some(link_type), Some(snaplen)) = (link_type, snaplen) else {
            return Err("an interface block is too short");
        };
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err("the file describes more interfaces than the limit of 65536");
        }
        let mut described = Described {
            interface: Interface {
                name: None,
                link_type,
                drops: None,
            },
            clock: Clock::default(),
            snaplen: (snaplen != 0).then_some(snaplen),
        };
        for (code, value) in Options::new(self.order, bytes.get(16..).unwrap_or_default()) {
            match (code, value) {
                (2, name) => {
                    let name = name.get(..MAX_NAME_BYTES).unwrap_or(name);
                    described.interface.name = Some(String::from_utf8_lossy(name).into_owned());
                }
                (9, [resolution, ..]) => {
                    described.clock = described.clock.with_resolution(*resolution);
                }
                (14, offset) => {
                    let offset_s = self.order.u64(offset, 0).unwrap_or(0).cast_signed();
                    described.clock = described.clock.with_offset(offset_s);
                }
                _ => {}
            }
        }
        let index = self.add(described);
        self.section.push(index);
        self.interleaved |= self.section.len() > 1;
        Ok(())
    }

    /// Interface Statistics Block: the last one of an interface holds its totals.
    fn count_drops(&mut self, bytes: &[u8]) {
        let id = self.order.u32(bytes, 8).unwrap_or(u32::MAX);
        let options = Options::new(self.order, bytes.get(20..).unwrap_or_default());
        // isb_ifdrop: lost by the interface; isb_osdrop: lost by the operating system.
        let drops = options
            .filter(|(code, _)| matches!(code, 5 | 7))
            .filter_map(|(_, value)| self.order.u64(value, 0))
            .reduce(u64::saturating_add);
        let described = match self.section.get(id as usize) {
            Some(index) => self.interfaces.get_mut(*index as usize),
            None => None,
        };
        if let (Some(described), Some(drops)) = (described, drops) {
            described.interface.drops = Some(drops);
        }
    }

    #[inline]
    fn enhanced_packet(&mut self, bytes: &[u8]) -> Result<Record, &'static str> {
        let id = self.order.u32(bytes, 8).ok_or(SHORT_PACKET)?;
        self.packet(bytes, id)
    }

    /// Like the enhanced block, but with a 16-bit interface and a drop count before the stamp.
    fn obsolete_packet(&mut self, bytes: &[u8]) -> Result<Record, &'static str> {
        let id = self.order.u16(bytes, 8).ok_or(SHORT_PACKET)?;
        self.packet(bytes, u32::from(id))
    }

    #[inline]
    fn packet(&mut self, bytes: &[u8], id: u32) -> Result<Record, &'static str> {
        let [high, low, captured, original_len] =
            [12, 16, 20, 24].map(|at| self.order.u32(bytes, at));
        let (Some(high), Some(low), Some(captured), Some(original_len)) =
            (high, low, captured, original_len)
        else {
            return Err(SHORT_PACKET);
        };
        let data_len = captured as usize;
        let room = bytes.len().saturating_sub(PACKET_AT);
        if data_len > room {
            return Err("a packet block is shorter than its packet");
        }
        let options_at = (PACKET_AT + data_len.next_multiple_of(4)).min(bytes.len());
        let options_len = bytes.len() - options_at;
        let outbound = match options_len {
            0 => None,
            _ => direction(self.order, bytes.get(options_at..).unwrap_or_default()),
        };
        let (interface, link_type, clock) = self.look_up(id);
        Ok(Record {
            at: clock.at((u64::from(high) << 32) | u64::from(low)),
            timed: true,
            interface,
            link_type,
            original_len,
            data_at: PACKET_AT,
            data_len,
            options_at,
            options_len,
            order: self.order,
            outbound,
        })
    }

    /// A Simple Packet Block has no time: it takes that of the packet before it.
    fn simple_packet(&mut self, bytes: &[u8]) -> Result<Record, &'static str> {
        const DATA_AT: usize = 12;
        let original_len = self.order.u32(bytes, 8).ok_or(SHORT_PACKET)?;
        let (interface, link_type, _) = self.look_up(0);
        let snaplen = self
            .interfaces
            .get(interface as usize)
            .and_then(|described| described.snaplen);
        let most = snaplen.unwrap_or(u32::MAX).min(original_len) as usize;
        Ok(Record {
            at: self.last_at,
            timed: false,
            interface,
            link_type,
            original_len,
            data_at: DATA_AT,
            data_len: bytes.len().saturating_sub(DATA_AT).min(most),
            options_at: bytes.len(),
            options_len: 0,
            order: self.order,
            outbound: None,
        })
    }

    /// The interface that a packet names by its number in the section.
    #[inline]
    fn look_up(&mut self, id: u32) -> (u32, Option<u16>, Clock) {
        let index = self.section.get(id as usize).copied();
        let described = index.and_then(|index| self.interfaces.get(index as usize));
        match (index, described) {
            (Some(index), Some(described)) => {
                let link_type = described.interface.link_type;
                (index, Some(link_type), described.clock)
            }
            _ => (self.undescribed_interface(), None, Clock::default()),
        }
    }

    /// The stand-in is in the table of the file but in no section, so that no number reaches it.
    #[cold]
    fn undescribed_interface(&mut self) -> u32 {
        if let Some(index) = self.undescribed {
            return index;
        }
        let index = self.add(Described {
            interface: Interface {
                name: None,
                link_type: u16::MAX,
                drops: None,
            },
            clock: Clock::default(),
            snaplen: None,
        });
        self.undescribed = Some(index);
        index
    }

    fn add(&mut self, described: Described) -> u32 {
        let index = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.push(described);
        index
    }
}

const SHORT_PACKET: &str = "a packet block is too short";

/// The byte order that a section header declares.
fn order_of_section(data: &[u8]) -> Result<ByteOrder, String> {
    if ByteOrder::Little.u32(data, 8) == Some(BYTE_ORDER_MARK) {
        Ok(ByteOrder::Little)
    } else if ByteOrder::Big.u32(data, 8) == Some(BYTE_ORDER_MARK) {
        Ok(ByteOrder::Big)
    } else {
        Err("the section header has no byte order mark".to_owned())
    }
}

/// Direction bits of `epb_flags` (the obsolete block's `pack_flags` has the same number).
fn direction(order: ByteOrder, options: &[u8]) -> Option<bool> {
    let flags = Options::new(order, options)
        .find(|(code, _)| *code == 2)
        .and_then(|(_, value)| order.u32(value, 0))?;
    match flags & 3 {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

// Block types (draft-ietf-opsawg-pcapng §4); all others are skipped.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
