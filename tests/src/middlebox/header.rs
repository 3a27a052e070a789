//! IP and ICMP headers that boxes write, and the checksums of what they changed.

use std::net::IpAddr;

use etherparse::IpNumber;
use etherparse::checksum::Sum16BitWords;

/// Longest packet whose length fits the header of IPv4.
pub const MAX_PACKET: usize = 65_535;

/// Length of the fixed IPv6 header.
pub const V6_LEN: usize = 40;

/// An IP header from one address to another for this protocol, its length not yet filled in. The
/// header of an IPv4 pair if the families differ, which no packet makes happen.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8) -> Vec<u8> {
    let mut header = Vec::with_capacity(V6_LEN);
    if let (IpAddr::V6(from), IpAddr::V6(to)) = (source, destination) {
        header.extend([0x60, 0, 0, 0, 0, 0, protocol, TTL]);
        header.extend(from.octets());
        header.extend(to.octets());
    } else {
        header.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, TTL, protocol, 0, 0]);
        header.extend(v4_octets(source));
        header.extend(v4_octets(destination));
    }
    header
}

/// An ICMP packet of either version around `message`, whose checksum field is filled in.
pub fn icmp(source: IpAddr, destination: IpAddr, mut message: Vec<u8>) -> Vec<u8> {
    let protocol = if source.is_ipv4() {
        IpNumber::ICMP
    } else {
        IpNumber::IPV6_ICMP
    };
    fix_icmp(source, destination, &mut message);
    let mut packet = ip(source, destination, protocol.0);
    packet.extend(message);
    fix_ip(&mut packet);
    packet
}

/// Fills in the checksum of an ICMP message, with the pseudo-header only in version 6.
pub fn fix_icmp(source: IpAddr, destination: IpAddr, message: &mut [u8]) {
    if message.len() < 4 {
        return;
    }
    message[2..4].fill(0);
    let checksum = if source.is_ipv4() {
        internet_checksum(message)
    } else {
        transport_checksum(source, destination, IpNumber::IPV6_ICMP.0, message)
    };
    message[2..4].copy_from_slice(&checksum);
}

/// Fills in the length of a packet and, in IPv4, the checksum of its header.
pub fn fix_ip(packet: &mut [u8]) {
    let len = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    if is_v4(packet) {
        let header_len = usize::from(packet[0] & 0x0f) * 4;
        if header_len >= 20 && header_len <= packet.len() {
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[10..12].fill(0);
            let checksum = internet_checksum(&packet[..header_len]);
            packet[10..12].copy_from_slice(&checksum);
        }
    } else if packet.len() >= V6_LEN {
        packet[4..6].copy_from_slice(&len.saturating_sub(40).to_be_bytes());
    }
}

/// Length of a packet as its header says.
pub fn declared_len(packet: &[u8]) -> usize {
    let at = if is_v4(packet) { 2 } else { 4 };
    let extra = if is_v4(packet) { 0 } else { V6_LEN };
    packet.get(at..at + 2).map_or(0, |field| {
        usize::from(u16::from_be_bytes([field[0], field[1]])) + extra
    })
}

/// Checksum of the Internet (RFC 1071) as it stands in a packet.
pub fn internet_checksum(bytes: &[u8]) -> [u8; 2] {
    Sum16BitWords::new()
        .add_slice(bytes)
        .ones_complement()
        .to_ne_bytes()
}

/// Checksum of TCP or ICMP over the pseudo-header and `bytes`, whose checksum field is zero.
pub fn transport_checksum(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    bytes: &[u8],
) -> [u8; 2] {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let mut sum = Sum16BitWords::new();
    for address in [source, destination] {
        sum = match address {
            IpAddr::V4(v4) => sum.add_slice(&v4.octets()),
            IpAddr::V6(v6) => sum.add_slice(&v6.octets()),
        };
    }
    sum.add_slice(&[0, 0, 0, protocol])
        .add_slice(&len.to_be_bytes())
        .add_slice(bytes)
        .ones_complement()
        .to_ne_bytes()
}

fn is_v4(packet: &[u8]) -> bool {
    packet.first().is_some_and(|byte| byte >> 4 == 4)
}

fn v4_octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => [0; 4],
    }
}

/// Time to live, or hop limit, of packets that a box makes.
const TTL: u8 = 64;
