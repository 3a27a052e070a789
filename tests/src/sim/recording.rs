//! What a host sent and received, as a pcapng file with an interface for each path.

use std::io;

use mptcp_proto::pcapng::{EnhancedPacket, InterfaceDescription, PcapNgWriter, SectionHeader};
use mptcp_proto::time::Instant;

/// A recording keeps no more bytes; later packets are counted only.
pub const MAX_RECORDED_BYTES: usize = 1 << 30;

/// How much a recording keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Bytes of all packets together, [`MAX_RECORDED_BYTES`] at most.
    pub bytes: usize,
    /// Packets, from the first one on.
    pub packets: usize,
    /// Bytes of each packet, from the IP header on: the snapshot length of the file.
    pub of_each: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            bytes: MAX_RECORDED_BYTES,
            packets: usize::MAX,
            of_each: usize::MAX,
        }
    }
}

/// The packets of a host in the order in which it sent and received them.
#[derive(Debug, Clone)]
pub struct Recording {
    kept: Kept,
    packets: Vec<Recorded>,
    bytes: usize,
    missed: u64,
}

#[derive(Debug, Clone)]
struct Recorded {
    at: Instant,
    interface: usize,
    way: Way,
    /// What is kept of it.
    packet: Vec<u8>,
    original_len: usize,
}

/// Which way a packet went, as seen from its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The host received it.
    In,
    /// The host sent it.
    Out,
}

impl Recording {
    pub(super) fn new(kept: Kept) -> Self {
        let bytes = kept.bytes.min(MAX_RECORDED_BYTES);
        Self {
            kept: Kept { bytes, ..kept },
            packets: Vec::new(),
            bytes: 0,
            missed: 0,
        }
    }

    pub(super) fn add(&mut self, at: Instant, interface: usize, way: Way, packet: &[u8]) {
        let head = packet.get(..self.kept.of_each).unwrap_or(packet);
        let is_full = self.packets.len() >= self.kept.packets;
        if is_full || self.bytes.saturating_add(head.len()) > self.kept.bytes {
            self.missed += 1;
            return;
        }
        self.bytes += head.len();
        self.packets.push(Recorded {
            at,
            interface,
            way,
            packet: head.to_vec(),
            original_len: packet.len(),
        });
    }

    /// How many packets were not kept because there were too many.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The packets: when, which way, and what was kept from the IP header on.
    pub fn packets(&self) -> impl Iterator<Item = (Instant, Way, &[u8])> {
        let parts = |one: &'_ Recorded| (one.at, one.way);
        self.packets.iter().map(move |one| {
            let (at, way) = parts(one);
            (at, way, one.packet.as_slice())
        })
    }

    /// The file: times are virtual, in nanoseconds since the start; link type RAW, because there are
    /// no frames. With `only`, the packets of that interface alone.
    pub(super) fn pcapng(&self, names: &[String], only: Option<usize>) -> Vec<u8> {
        let mut file = Vec::new();
        self.write(&mut file, names, only)
            .expect("writing to memory does not fail, and no packet has 4 GiB");
        file
    }

    fn write(&self, file: &mut Vec<u8>, names: &[String], only: Option<usize>) -> io::Result<()> {
        let mut writer = PcapNgWriter::begin(file, &SectionHeader::default())?;
        let wanted = |interface: usize| only.is_none_or(|only| only == interface);
        let mut numbers = vec![0; names.len()];
        for (index, name) in names.iter().enumerate().filter(|(index, _)| wanted(*index)) {
            numbers[index] = writer.interface(&InterfaceDescription {
                link_type: LINKTYPE_RAW,
                name: Some(name),
                description: None,
            })?;
        }
        for one in self.packets.iter().filter(|one| wanted(one.interface)) {
            writer.packet(&EnhancedPacket {
                interface: numbers.get(one.interface).copied().unwrap_or(0),
                at_ns: one.at.as_nanos(),
                original_len: u32::try_from(one.original_len).unwrap_or(u32::MAX),
                bytes: &one.packet,
                outbound: Some(one.way == Way::Out),
                comments: &[],
            })?;
        }
        Ok(())
    }
}

const LINKTYPE_RAW: u16 = 101;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_laid_out_as_the_draft_says() {
        let mut recording = Recording::new(Kept::default());
        let at = Instant::from_nanos(0x0102_0304_0506_0708);
        recording.add(at, 1, Way::Out, &[0x45]);
        recording.add(at, 0, Way::In, &[0x60]);
        let names = ["wifi".to_owned(), "p".to_owned()];
        // draft-ietf-opsawg-pcapng §4.1 to §4.3: section, interface, one packet, written by hand.
        let expected = concat!(
            "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000",
            "010000002800000065000000000000000200010070000000",
            "09000100090000000000000028000000",
            "0600000030000000000000000403020108070605",
            "01000000010000004500000002000400020000000000000030000000",
        );
        let file = recording.pcapng(&names, Some(1));
        let hex: Vec<String> = file.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.concat(), expected);
        assert_eq!(recording.pcapng(&names, None).len(), 28 + 2 * 40 + 2 * 48);
    }

    #[test]
    fn only_the_begin_of_each_packet_is_kept_and_its_length_is_told() {
        let mut recording = Recording::new(Kept {
            packets: 2,
            of_each: 4,
            ..Kept::default()
        });
        let packet = [0x45, 0, 0, 7, 1, 2, 3];
        for _ in 0..3 {
            recording.add(Instant::ZERO, 0, Way::In, &packet);
        }
        assert_eq!(recording.missed(), 1);
        let mut kept = recording.packets().map(|(_, _, bytes)| bytes);
        assert!(kept.by_ref().take(2).all(|bytes| bytes == [0x45, 0, 0, 7]));
        assert_eq!(kept.next(), None);
        let file = recording.pcapng(&["p".to_owned()], None);
        // draft-ietf-opsawg-pcapng §4.3: captured length, original length, packet data.
        let lengths = [4, 0, 0, 0, 7, 0, 0, 0, 0x45, 0, 0, 7];
        let found = file.windows(lengths.len());
        assert_eq!(found.filter(|bytes| *bytes == lengths).count(), 2);
    }
}
