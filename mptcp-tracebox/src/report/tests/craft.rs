//! Options and packets, byte by byte.

use std::net::IpAddr;

use mptcp_proto::wire::tcp_option::TcpOptions;

use crate::probe::Probe;

pub(super) fn options(probe: &Probe, clock: u32) -> Vec<u8> {
    let mut options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10];
    options.extend(clock.to_be_bytes());
    options.extend([0, 0, 0, 0, 1, 3, 3, 7]);
    options.extend(match probe {
        Probe::CapableV1 => vec![30, 4, 1, 0x81],
        Probe::CapableV0 => vec![30, 12, 0, 0x81, 8, 7, 6, 5, 4, 3, 2, 1],
        Probe::Join => vec![30, 12, 0x10, 1, 8, 7, 6, 5, 4, 3, 2, 1],
        Probe::Options(bytes) => bytes.clone(),
        _ => Vec::new(),
    });
    options.resize(options.len().next_multiple_of(4), 0);
    options
}

/// Without MPTCP, and with an MSS of 1380.
pub(super) fn without_mptcp(area: &[u8]) -> Vec<u8> {
    let kept = TcpOptions::new(area).map_while(Result::ok);
    let kept = kept.filter(|option| option.kind != 30);
    let mut kept: Vec<u8> = kept.flat_map(|option| option.bytes.to_vec()).collect();
    kept[2..4].copy_from_slice(&1380_u16.to_be_bytes());
    kept
}

/// An ICMP message in an IP packet, as RFC 791 and RFC 8200 lay them out.
pub(super) fn icmp(from: IpAddr, to: IpAddr, head: [u8; 2], quote: &[u8]) -> Vec<u8> {
    let len = u16::try_from(quote.len() + 8).unwrap();
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut header = vec![0x45, 0xc0];
            header.extend((len + 20).to_be_bytes());
            header.extend([0, 0, 0, 0, 61, 1, 0, 0]);
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(len.to_be_bytes());
            header.extend([58, 61]);
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        _ => unreachable!("a sample has one family"),
    };
    let mut message = head.to_vec();
    message.extend([0; 6]);
    message.extend(quote);
    let sum = crate::quote::checksum(from, to, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    packet.extend(message);
    packet
}
