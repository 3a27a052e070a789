//! Packets and capture files, byte by byte.

use std::io::Write;

use etherparse::{IpNumber, PacketBuilder, PacketBuilderStep};
use flate2::Compression;
use flate2::write::GzEncoder;

/// MP_CAPABLE of a version 1 SYN, the option that must be found in every format.
pub(crate) const MP_CAPABLE: [u8; 4] = [30, 4, 0x01, 0x81];
/// The payload behind it.
pub(crate) const PAYLOAD: &[u8] = b"hello";

pub(crate) const V4_ENDS: &str = "10.0.0.1:1000 > 10.0.0.2:2000";
pub(crate) const V6_ENDS: &str = "[fd00::1]:1000 > [fd00::2]:2000";

const V6_SOURCE: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const V6_DESTINATION: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// An IPv4 SYN with the option and the payload.
pub(crate) fn syn_v4() -> Vec<u8> {
    syn(
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64),
        PAYLOAD,
    )
}

/// An IPv6 SYN with the option and the payload.
pub(crate) fn syn_v6() -> Vec<u8> {
    syn(PacketBuilder::ipv6(V6_SOURCE, V6_DESTINATION, 64), PAYLOAD)
}

/// An IPv4 SYN with a payload of some length.
pub(crate) fn syn_v4_with(payload: &[u8]) -> Vec<u8> {
    syn(
        PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64),
        payload,
    )
}

/// An IPv6 SYN with a payload of some length.
pub(crate) fn syn_v6_with(payload: &[u8]) -> Vec<u8> {
    syn(PacketBuilder::ipv6(V6_SOURCE, V6_DESTINATION, 64), payload)
}

fn syn(builder: PacketBuilderStep<etherparse::IpHeaders>, payload: &[u8]) -> Vec<u8> {
    let builder = builder.tcp(1000, 2000, 7, 500).syn();
    let builder = builder.options_raw(&MP_CAPABLE).expect("four bytes fit");
    let mut packet = Vec::new();
    builder
        .write(&mut packet, payload)
        .expect("a vector takes all");
    packet
}

/// An IPv4 packet of some protocol around `payload`.
pub(crate) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ip(
        PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64),
        protocol,
        payload,
    )
}

/// An IPv6 packet whose next header is `protocol`.
pub(crate) fn ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    // The builder refuses the numbers of extension headers.
    let mut packet = ip(
        PacketBuilder::ipv6(V6_SOURCE, V6_DESTINATION, 64),
        253,
        payload,
    );
    packet[6] = protocol;
    packet
}

fn ip(builder: PacketBuilderStep<etherparse::IpHeaders>, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    builder
        .write(&mut packet, IpNumber(protocol), payload)
        .expect("a vector takes all");
    packet
}

/// An IPv4 UDP packet to `port`.
pub(crate) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
        .udp(40_000, port)
        .write(&mut packet, payload)
        .expect("a vector takes all");
    packet
}

/// An Ethernet frame.
pub(crate) fn ethernet(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&[2; 12], &ether_type.to_be_bytes(), payload])
}

/// The parts in a row.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    pub(crate) fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    pub(crate) fn u64(self, number: u64) -> [u8; 8] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// A pcap file header.
pub(crate) fn pcap_header(order: Order, magic: u32, link_type: u32) -> Vec<u8> {
    join(&[
        &order.u32(magic),
        &order.u16(2),
        &order.u16(4),
        &[0; 8],
        &order.u32(65_535),
        &order.u32(link_type),
    ])
}

/// A pcap record; `extra` is what the modified variant has between header and packet.
pub(crate) fn pcap_record(
    order: Order,
    (seconds, fraction): (u32, u32),
    original_len: usize,
    extra: &[u8],
    packet: &[u8],
) -> Vec<u8> {
    join(&[
        &order.u32(seconds),
        &order.u32(fraction),
        &order.u32(len32(packet.len())),
        &order.u32(len32(original_len)),
        extra,
        packet,
    ])
}

/// A little-endian microsecond pcap file, its packets 20 ms apart.
pub(crate) fn pcap(link_type: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, link_type);
    for (index, packet) in (1..).zip(packets) {
        let record = pcap_record(
            Order::Little,
            (0, index * 20_000),
            packet.len(),
            &[],
            packet,
        );
        file.extend(record);
    }
    file
}

/// Any pcapng block.
pub(crate) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let len = order.u32(len32(body.len() + padding.len() + 12));
    join(&[&order.u32(kind), &len, body, &padding, &len])
}

/// A section header.
pub(crate) fn section(order: Order) -> Vec<u8> {
    let body = join(&[
        &order.u32(0x1a2b_3c4d),
        &order.u16(1),
        &order.u16(0),
        &[0xff; 8],
    ]);
    block(order, 0x0a0d_0d0a, &body)
}

/// Options in a row, end mark included.
pub(crate) fn options(order: Order, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (code, value) in options {
        bytes.extend(order.u16(*code));
        bytes.extend(order.u16(u16::try_from(value.len()).expect("a short value")));
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes.extend([0; 4]);
    bytes
}

/// An interface description.
pub(crate) fn interface(order: Order, link_type: u16, list: &[(u16, &[u8])]) -> Vec<u8> {
    let body = join(&[
        &order.u16(link_type),
        &[0; 2],
        &order.u32(0),
        &options(order, list),
    ]);
    block(order, 1, &body)
}

/// An enhanced packet.
pub(crate) fn enhanced(
    order: Order,
    (interface, ticks): (u32, u64),
    packet: &[u8],
    list: &[(u16, &[u8])],
) -> Vec<u8> {
    let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
    let listed = match list {
        [] => Vec::new(),
        _ => options(order, list),
    };
    let body = join(&[
        &order.u32(interface),
        &order.u32(u32::try_from(ticks >> 32).expect("half")),
        &order.u32(u32::try_from(ticks & 0xffff_ffff).expect("half")),
        &order.u32(len32(packet.len())),
        &order.u32(len32(packet.len())),
        packet,
        &padding,
        &listed,
    ]);
    block(order, 6, &body)
}

/// gzip around `bytes`.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes all");
    encoder.finish().expect("a vector takes all")
}

/// Zstandard around `bytes`.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("a test's packet is short")
}
