//! What a host sent and received, as a pcapng file with an interface for each path.

use mptcp_proto::time::Instant;

/// A recording keeps no more bytes; later packets are counted only.
pub const MAX_RECORDED_BYTES: usize = 1 << 30;

/// The packets of a host in the order in which it sent and received them.
#[derive(Debug, Clone)]
pub struct Recording {
    limit: usize,
    packets: Vec<Recorded>,
    bytes: usize,
    missed: u64,
}

#[derive(Debug, Clone)]
struct Recorded {
    at: Instant,
    interface: usize,
    way: Way,
    packet: Vec<u8>,
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
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(MAX_RECORDED_BYTES),
            packets: Vec::new(),
            bytes: 0,
            missed: 0,
        }
    }

    pub(super) fn add(&mut self, at: Instant, interface: usize, way: Way, packet: &[u8]) {
        if self.bytes.saturating_add(packet.len()) > self.limit {
            self.missed += 1;
            return;
        }
        self.bytes += packet.len();
        self.packets.push(Recorded {
            at,
            interface,
            way,
            packet: packet.to_vec(),
        });
    }

    /// How many packets were not kept because there were too many.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// The packets: when, which way, and from the IP header on.
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
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        block(&mut file, 0x0a0d_0d0a, &section);
        let wanted = |interface: usize| only.is_none_or(|only| only == interface);
        let mut numbers = Vec::new();
        let mut written = 0;
        for (index, name) in names.iter().enumerate() {
            numbers.push(written);
            if wanted(index) {
                block(&mut file, 1, &interface_body(name));
                written += 1;
            }
        }
        for one in self.packets.iter().filter(|one| wanted(one.interface)) {
            let number = numbers.get(one.interface).copied().unwrap_or(0);
            block(&mut file, 6, &one.body(number));
        }
        file
    }
}

impl Recorded {
    /// An enhanced packet block, with the direction in its flags.
    fn body(&self, interface: u32) -> Vec<u8> {
        let nanos = self.at.as_nanos().to_be_bytes();
        let [h0, h1, h2, h3, l0, l1, l2, l3] = nanos;
        let len = u32::try_from(self.packet.len()).unwrap_or(u32::MAX);
        let mut body = interface.to_le_bytes().to_vec();
        body.extend([h3, h2, h1, h0, l3, l2, l1, l0]);
        body.extend(len.to_le_bytes());
        body.extend(len.to_le_bytes());
        body.extend(&self.packet);
        body.resize(body.len().next_multiple_of(4), 0);
        let way = match self.way {
            Way::In => 1,
            Way::Out => 2,
        };
        option(&mut body, 2, &u32::to_le_bytes(way));
        option(&mut body, 0, &[]);
        body
    }
}

fn interface_body(name: &str) -> Vec<u8> {
    let mut body = LINKTYPE_RAW.to_le_bytes().to_vec();
    body.extend([0; 6]);
    option(&mut body, 2, name.as_bytes());
    option(&mut body, 9, &[NANOSECONDS]);
    option(&mut body, 0, &[]);
    body
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Appends a block, framed by its length.
fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
    let total = u32::try_from(body.len() + 12)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    file.extend(kind.to_le_bytes());
    file.extend(total);
    file.extend(body);
    file.extend(total);
}

const LINKTYPE_RAW: u16 = 101;
/// `if_tsresol`: 10^-9.
const NANOSECONDS: u8 = 9;
