//! Writes pcapng (draft-ietf-opsawg-pcapng): one section, time stamps in nanoseconds.

use std::io::{self, Write};

use crate::model::Timestamp;

/// Writes blocks to `out`.
#[derive(Debug)]
pub(crate) struct PcapNgWriter<W> {
    out: W,
    interfaces: u32,
    /// The block at hand, kept to use its memory again.
    block: Vec<u8>,
}

/// What an interface description block says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InterfaceDescription<'a> {
    /// Link type.
    pub link_type: u16,
    /// Name of the interface.
    pub name: Option<&'a str>,
    /// Where it comes from.
    pub description: Option<&'a str>,
}

/// What an enhanced packet block says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EnhancedPacket<'a> {
    /// Number of the interface, as [`PcapNgWriter::interface`] gave it.
    pub interface: u32,
    /// When the packet was captured; times before 1970 become 1970.
    pub at: Timestamp,
    /// Length on the wire.
    pub original_len: u32,
    /// The captured bytes.
    pub bytes: &'a [u8],
    /// Direction, if the capture knows it.
    pub outbound: Option<bool>,
    /// Comments on the packet.
    pub comments: &'a [String],
}

impl<W: Write> PcapNgWriter<W> {
    /// Begins a section; `application` is the name of the writing program.
    pub(crate) fn begin(out: W, application: &str) -> io::Result<Self> {
        let mut writer = PcapNgWriter {
            out,
            interfaces: 0,
            block: Vec::new(),
        };
        writer.start(SECTION_HEADER);
        writer.push(&BYTE_ORDER_MAGIC.to_le_bytes());
        writer.push(&1_u16.to_le_bytes());
        writer.push(&0_u16.to_le_bytes());
        // The length of the section is not known yet.
        writer.push(&u64::MAX.to_le_bytes());
        writer.option(SHB_USERAPPL, application.as_bytes());
        writer.end_options();
        writer.finish()?;
        Ok(writer)
    }

    /// Describes an interface and returns its number.
    pub(crate) fn interface(&mut self, interface: &InterfaceDescription<'_>) -> io::Result<u32> {
        self.start(INTERFACE_DESCRIPTION);
        self.push(&interface.link_type.to_le_bytes());
        self.push(&0_u16.to_le_bytes());
        // No snapshot length: 0 is `no limit`.
        self.push(&0_u32.to_le_bytes());
        if let Some(name) = interface.name {
            self.option(IF_NAME, name.as_bytes());
        }
        if let Some(description) = interface.description {
            self.option(IF_DESCRIPTION, description.as_bytes());
        }
        self.option(IF_TSRESOL, &[NANOSECONDS]);
        self.end_options();
        self.finish()?;
        let number = self.interfaces;
        self.interfaces = self.interfaces.saturating_add(1);
        Ok(number)
    }

    /// Writes a packet.
    pub(crate) fn packet(&mut self, packet: &EnhancedPacket<'_>) -> io::Result<()> {
        let time = u64::try_from(packet.at.0).unwrap_or(0).to_le_bytes();
        let captured = u32::try_from(packet.bytes.len())
            .map_err(|_| io::Error::other("a packet of 4 GiB does not fit into pcapng"))?;
        self.start(ENHANCED_PACKET);
        self.push(&packet.interface.to_le_bytes());
        // Upper half first, each half in the byte order of the section.
        self.push(&time[4..]);
        self.push(&time[..4]);
        self.push(&captured.to_le_bytes());
        self.push(&packet.original_len.to_le_bytes());
        self.push(packet.bytes);
        self.pad();
        if let Some(outbound) = packet.outbound {
            let flags: u32 = if outbound { 2 } else { 1 };
            self.option(EPB_FLAGS, &flags.to_le_bytes());
        }
        for comment in packet.comments {
            self.option(COMMENT, comment.as_bytes());
        }
        if packet.outbound.is_some() || !packet.comments.is_empty() {
            self.end_options();
        }
        self.finish()
    }

    fn start(&mut self, block_type: u32) {
        self.block.clear();
        self.push(&block_type.to_le_bytes());
        // Place for the length, which is known at the end.
        self.push(&0_u32.to_le_bytes());
    }

    fn push(&mut self, bytes: &[u8]) {
        self.block.extend_from_slice(bytes);
    }

    /// Options and packet data are padded to 32 bits.
    fn pad(&mut self) {
        self.block.resize(self.block.len().next_multiple_of(4), 0);
    }

    /// Writes an option; a value that is too long for its 16-bit length is cut between characters.
    fn option(&mut self, code: u16, value: &[u8]) {
        let mut len = value.len().min(usize::from(u16::MAX));
        while len < value.len() && value.get(len).is_some_and(|byte| byte & 0xc0 == 0x80) {
            len -= 1;
        }
        let length = u16::try_from(len).expect("the length was limited above");
        self.push(&code.to_le_bytes());
        self.push(&length.to_le_bytes());
        self.push(&value[..len]);
        self.pad();
    }

    fn end_options(&mut self) {
        self.push(&[0; 4]);
    }

    fn finish(&mut self) -> io::Result<()> {
        let len = self.block.len().saturating_add(4);
        let len = u32::try_from(len)
            .map_err(|_| io::Error::other("a block of 4 GiB does not fit into pcapng"))?
            .to_le_bytes();
        self.block[4..8].copy_from_slice(&len);
        self.push(&len);
        self.out.write_all(&self.block)
    }
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const IF_DESCRIPTION: u16 = 3;
const EPB_FLAGS: u16 = 2;
const SHB_USERAPPL: u16 = 4;
const IF_TSRESOL: u16 = 9;
/// Exponent of 10 of the unit of time stamps, negated.
const NANOSECONDS: u8 = 9;

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::capture::Captures;

    fn file(packets: &[EnhancedPacket<'_>]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut writer = PcapNgWriter::begin(&mut file, "test").unwrap();
        let interface = InterfaceDescription {
            link_type: 101,
            name: Some("wlan0"),
            description: Some("a"),
        };
        assert_eq!(writer.interface(&interface).unwrap(), 0);
        for packet in packets {
            writer.packet(packet).unwrap();
        }
        file
    }

    fn packet<'a>(at: i64, bytes: &'a [u8], comments: &'a [String]) -> EnhancedPacket<'a> {
        let at = Timestamp(at);
        EnhancedPacket {
            interface: 0,
            at,
            original_len: 1500,
            bytes,
            outbound: None,
            comments,
        }
    }

    #[track_caller]
    fn check_round_trip(at: i64, bytes: &[u8], comments: &[String], expected_at: i64) {
        let file = file(&[packet(at, bytes, comments)]);
        assert_eq!(file.len() % 4, 0);
        let mut captures = Captures::from_reader("-", Cursor::new(file)).unwrap();
        let read = captures.next_packet().expect("a packet");
        assert_eq!((read.at, read.bytes), (Timestamp(expected_at), bytes));
        assert_eq!((read.link_type, read.original_len), (101, 1500));
        assert_eq!(read.comments.iter().collect::<Vec<_>>(), comments);
        assert!(captures.next_packet().is_none());
        assert_eq!(
            captures.finish()[0].interfaces[0].name.as_deref(),
            Some("wlan0")
        );
    }

    #[test]
    fn packets_of_every_padding_come_back() {
        for len in 0..9 {
            let comments = vec!["x".repeat(len), "second".to_owned()];
            let bytes = vec![0x45; len];
            check_round_trip(
                1_795_180_615_798_454_321,
                &bytes,
                &comments,
                1_795_180_615_798_454_321,
            );
        }
    }

    #[test]
    fn a_time_before_the_epoch_becomes_the_epoch() {
        check_round_trip(-5, &[0x45], &[], 0);
    }

    #[test]
    fn a_comment_that_is_too_long_is_cut_between_characters() {
        let comments = vec!["é".repeat(40_000)];
        let file = file(&[packet(1, &[0x45], &comments)]);
        let mut captures = Captures::from_reader("-", Cursor::new(file)).unwrap();
        let read = captures.next_packet().expect("a packet");
        let comment: Vec<_> = read.comments.iter().collect();
        assert_eq!(comment, ["é".repeat(32_767)]);
    }
}
