//! The list of captured packets, and the files it becomes.

use std::path::{Path, PathBuf};

use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

/// One captured packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured, in microseconds since the Unix epoch.
    pub at_us: u64,
    /// The captured bytes: an Ethernet frame, or the beginning of one.
    pub bytes: Vec<u8>,
    /// Length of the frame on the wire.
    pub wire_len: u32,
}

/// Packets in the order in which the file will have them.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The packets. A test may drop, repeat and permute them.
    pub packets: Vec<Packet>,
    /// Time of the next packet, in microseconds since the Unix epoch.
    pub now_us: u64,
    /// How much later than the one before each packet is captured, in microseconds.
    pub step_us: u64,
}

impl Capture {
    /// A capture without packets, one millisecond between any two that will come.
    pub fn new() -> Self {
        Self {
            packets: Vec::new(),
            now_us: 1_600_000_000_000_000,
            step_us: 1000,
        }
    }

    /// Adds a packet of which all was captured.
    pub fn push(&mut self, bytes: Vec<u8>) {
        let wire_len = u32::try_from(bytes.len()).expect("frames are short");
        self.push_cut(bytes, wire_len);
    }

    /// Adds a packet that was longer on the wire.
    pub fn push_cut(&mut self, bytes: Vec<u8>, wire_len: u32) {
        self.packets.push(Packet {
            at_us: self.now_us,
            bytes,
            wire_len,
        });
        self.now_us += self.step_us;
    }

    /// Lets time pass without a packet.
    pub fn wait_us(&mut self, us: u64) {
        self.now_us += us;
    }

    /// Number that the next packet will have in the file.
    pub fn next_frame(&self) -> u64 {
        self.packets.len() as u64 + 1
    }

    /// Number of the packet added last.
    pub fn last_frame(&self) -> u64 {
        self.packets.len() as u64
    }

    /// The packet with this frame number comes once more, now: a retransmission byte for byte.
    pub fn repeat(&mut self, frame: u64) {
        let mut packet = self.packets[index(frame)].clone();
        packet.at_us = self.now_us;
        self.now_us += self.step_us;
        self.packets.push(packet);
    }

    /// Removes the packet with this frame number: it was lost before the capture point.
    pub fn drop_frame(&mut self, frame: u64) -> Packet {
        self.packets.remove(index(frame))
    }

    /// Moves a packet to another place in the file; times stay in the order of the file.
    pub fn move_frame(&mut self, from: u64, to: u64) {
        let packet = self.packets.remove(index(from));
        self.packets.insert(index(to), packet);
        let mut times: Vec<u64> = self.packets.iter().map(|p| p.at_us).collect();
        times.sort_unstable();
        for (packet, at_us) in self.packets.iter_mut().zip(times) {
            packet.at_us = at_us;
        }
    }

    /// Cuts every packet to this many bytes.
    pub fn cut_to(&mut self, snaplen: usize) {
        for packet in &mut self.packets {
            packet.bytes.truncate(snaplen);
        }
    }

    /// Overwrites the MPTCP options of a packet with NOPs and mends the checksum, as
    /// `TCPOPTSTRIP --strip-options 30` of Linux does.
    pub fn strip_mptcp(&mut self, frame: u64) {
        self.rewrite_tcp(frame, |area| {
            let mut at = 0;
            while at + 1 < area.len() && area[at] != 0 {
                let len = if area[at] == 1 {
                    1
                } else {
                    usize::from(area[at + 1]).max(2)
                };
                let end = (at + len).min(area.len());
                if area[at] == 30 {
                    area[at..end].fill(1);
                }
                at = end;
            }
        });
    }

    /// Lets a middlebox change the option area of a packet in place; the TCP checksum is mended.
    pub fn rewrite_tcp(&mut self, frame: u64, change: impl FnOnce(&mut [u8])) {
        self.rewrite(frame, |area, _| change(area));
    }

    /// Lets a middlebox change the payload of a packet in place; the TCP checksum is mended.
    pub fn rewrite_payload(&mut self, frame: u64, change: impl FnOnce(&mut [u8])) {
        self.rewrite(frame, |_, payload| change(payload));
    }

    fn rewrite(&mut self, frame: u64, change: impl FnOnce(&mut [u8], &mut [u8])) {
        let packet = &mut self.packets[index(frame)];
        let headers =
            PacketHeaders::from_ethernet_slice(&packet.bytes).expect("the kit wrote this packet");
        let (Some(net), Some(TransportHeader::Tcp(mut tcp))) = (headers.net, headers.transport)
        else {
            panic!("frame {frame} is no TCP packet");
        };
        let mut payload = headers.payload.slice().to_vec();
        let mut area = tcp.options.as_slice().to_vec();
        change(&mut area, &mut payload);
        tcp.set_options_raw(&area).expect("as long as before");
        tcp.checksum = match &net {
            NetHeaders::Ipv4(ip, _) => tcp.calc_checksum_ipv4(ip, &payload),
            NetHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(ip, &payload),
            NetHeaders::Arp(_) => unreachable!("ARP carries no TCP"),
        }
        .expect("the kit's packets are short");
        let start = packet.bytes.len() - payload.len() - tcp.header_len();
        packet.bytes[start..start + tcp.header_len()].copy_from_slice(&tcp.to_bytes());
        packet.bytes[start + tcp.header_len()..].copy_from_slice(&payload);
    }

    /// The capture as a classic pcap file: microseconds, little endian, Ethernet.
    pub fn pcap_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, SNAPLEN, LINKTYPE_ETHERNET] {
            file.extend(u32::to_le_bytes(word));
        }
        for packet in &self.packets {
            let [seconds, micros] = [packet.at_us / 1_000_000, packet.at_us % 1_000_000];
            file.extend(low32(seconds).to_le_bytes());
            file.extend(low32(micros).to_le_bytes());
            file.extend(low32(packet.bytes.len() as u64).to_le_bytes());
            file.extend(packet.wire_len.to_le_bytes());
            file.extend(&packet.bytes);
        }
        file
    }

    /// The capture as a pcapng file: one section, one Ethernet interface, microseconds.
    pub fn pcapng_bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut section = Vec::new();
        section.extend(0x1a2b_3c4d_u32.to_le_bytes());
        section.extend(1_u32.to_le_bytes());
        section.extend([0xff; 8]);
        block(&mut file, 0x0a0d_0d0a, &section);
        let mut interface = Vec::new();
        interface.extend(LINKTYPE_ETHERNET.to_le_bytes());
        interface.extend(SNAPLEN.to_le_bytes());
        block(&mut file, 1, &interface);
        for packet in &self.packets {
            let mut body = Vec::new();
            body.extend(0_u32.to_le_bytes());
            body.extend(low32(packet.at_us >> 32).to_le_bytes());
            body.extend(low32(packet.at_us & 0xffff_ffff).to_le_bytes());
            body.extend(low32(packet.bytes.len() as u64).to_le_bytes());
            body.extend(packet.wire_len.to_le_bytes());
            body.extend(&packet.bytes);
            block(&mut file, 6, &body);
        }
        file
    }

    /// Writes the capture as a pcap file into a directory.
    pub fn write_pcap(&self, directory: &Path, name: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, self.pcap_bytes()).expect("the test's directory is writable");
        path
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

/// Appends a pcapng block, padded and framed by its length.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let padded = body.len().next_multiple_of(4);
    let total = low32(padded as u64 + 12).to_le_bytes();
    file.extend(kind.to_le_bytes());
    file.extend(total);
    file.extend(body);
    file.resize(file.len() + padded - body.len(), 0);
    file.extend(total);
}

fn index(frame: u64) -> usize {
    usize::try_from(frame).expect("frames are few") - 1
}

fn low32(value: u64) -> u32 {
    u32::try_from(value).expect("fits the field")
}

const LINKTYPE_ETHERNET: u32 = 1;
const SNAPLEN: u32 = 262_144;
