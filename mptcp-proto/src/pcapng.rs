//! Writes pcapng (draft-ietf-opsawg-pcapng): one section, time stamps in nanoseconds.

use std::io::{self, Write};

/// Writes blocks to `out`.
#[derive(Debug)]
pub struct PcapNgWriter<W> {
    out: W,
    interfaces: u32,
    /// The block at hand, kept to use its memory again.
    block: Vec<u8>,
}

/// What a section header block says.
#[derive(Debug, Clone, Copy, Default)]
pub struct SectionHeader<'a> {
    /// Name of the writing program.
    pub application: Option<&'a str>,
    /// Remark on the whole file.
    pub comment: Option<&'a str>,
}

/// What an interface description block says.
#[derive(Debug, Clone, Copy)]
pub struct InterfaceDescription<'a> {
    /// Link type.
    pub link_type: u16,
    /// Name of the interface.
    pub name: Option<&'a str>,
    /// Where it comes from.
    pub description: Option<&'a str>,
}

/// What an enhanced packet block says.
#[derive(Debug, Clone, Copy)]
pub struct EnhancedPacket<'a> {
    /// Number of the interface, as [`PcapNgWriter::interface`] gave it.
    pub interface: u32,
    /// When the packet was captured, in nanoseconds since 1970, or since a start of virtual time.
    pub at_ns: u64,
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
    /// Begins a section.
    ///
    /// # Errors
    /// Those of `out`, as all methods have them.
    pub fn begin(out: W, section: &SectionHeader<'_>) -> io::Result<Self> {
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
        if let Some(application) = section.application {
            writer.option(SHB_USERAPPL, application.as_bytes());
        }
        if let Some(comment) = section.comment {
            writer.option(COMMENT, comment.as_bytes());
        }
        if section.application.is_some() || section.comment.is_some() {
            writer.end_options();
        }
        writer.finish()?;
        Ok(writer)
    }

    /// Describes an interface and returns its number.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn interface(&mut self, interface: &InterfaceDescription<'_>) -> io::Result<u32> {
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
    ///
    /// # Errors
    /// Those of the writer below, and when the packet is larger than a block can be.
    pub fn packet(&mut self, packet: &EnhancedPacket<'_>) -> io::Result<()> {
        let time = packet.at_ns.to_le_bytes();
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

    /// Writes statistics of an interface that say nothing but this, at this time in nanoseconds since 1970: how
    /// a capture ended.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn remark(&mut self, interface: u32, at_ns: u64, comment: &str) -> io::Result<()> {
        let time = at_ns.to_le_bytes();
        self.start(INTERFACE_STATISTICS);
        self.push(&interface.to_le_bytes());
        self.push(&time[4..]);
        self.push(&time[..4]);
        self.option(COMMENT, comment.as_bytes());
        self.end_options();
        self.finish()
    }

    /// Makes sure that all was written, and gives back where to.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// Makes sure that all that was written is where it belongs.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
const INTERFACE_STATISTICS: u32 = 5;
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
    use super::*;

    #[test]
    fn a_section_without_remarks_has_no_options() {
        let mut file = Vec::new();
        PcapNgWriter::begin(&mut file, &SectionHeader::default()).unwrap();
        assert_eq!(file.len(), 28);
        assert_eq!(file[..8], [0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0]);
        assert_eq!(file[24..], [28, 0, 0, 0]);
    }
}
