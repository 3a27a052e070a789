//! The short way through the headers that nearly all packets have: Ethernet or a cooked capture,
//! IPv4 or IPv6 without options or extension headers, TCP.
//!
//! It takes nothing that the long way would read otherwise, and leaves everything odd to it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use crate::model::IpFacts;

use super::ip::protocol;
use super::link::{direction, types};
use super::{Content, Envelope, Wire, tcp};

/// Reads the TCP segment of a packet if it is an ordinary one.
#[inline]
pub(super) fn read<'a>(envelope: &Envelope, link_type: u16, wire: Wire<'a>) -> Option<Content<'a>> {
    let (ether_type, outbound, rest) = match link_type {
        1 => (wire.u16(12)?, envelope.outbound, wire.after(14)?),
        113 => {
            let outbound = envelope.outbound.or(direction(wire.u16(0)?));
            let ether_type = cooked(wire.u16(2)?, wire.u16(14)?)?;
            (ether_type, outbound, wire.after(16)?)
        }
        276 => {
            let outbound = envelope.outbound.or(direction(u16::from(wire.u8(10)?)));
            let ether_type = cooked(wire.u16(8)?, wire.u16(0)?)?;
            (ether_type, outbound, wire.after(20)?)
        }
        _ => return None,
    };
    match ether_type {
        types::IPV4 => v4(envelope, outbound, rest),
        types::IPV6 => v6(envelope, outbound, rest),
        _ => None,
    }
}

#[inline]
fn cooked(hardware: u16, ether_type: u16) -> Option<u16> {
    (hardware != types::ARPHRD_NETLINK).then_some(ether_type)
}

#[inline]
fn v4<'a>(envelope: &Envelope, outbound: Option<bool>, wire: Wire<'a>) -> Option<Content<'a>> {
    let header: &[u8; 20] = wire.bytes.first_chunk()?;
    let (words, _) = header.as_chunks::<4>();
    let word = |index: usize| {
        let word = words.get(index).copied().unwrap_or_default();
        u32::from_be_bytes(word)
    };
    let (first, second, third) = (word(0), word(1), word(2));
    let (source, destination) = (word(3), word(4));
    let ([version_and_len, tos, l0, l1], [i0, i1, f0, f1]) =
        (first.to_be_bytes(), second.to_be_bytes());
    let [ttl, protocol, ..] = third.to_be_bytes();
    let total_len = u16::from_be_bytes([l0, l1]);
    // More fragments, or an offset; a total length shorter than the header, or none.
    if version_and_len != 0x45
        || protocol != protocol::TCP
        || u16::from_be_bytes([f0, f1]) & 0x3fff != 0
        || total_len < 20
    {
        return None;
    }
    let facts = IpFacts {
        ttl,
        id: Some(u16::from_be_bytes([i0, i1])),
        tos,
        outbound,
    };
    let end = |address, port| SocketAddrV4::new(Ipv4Addr::from_bits(address), port);
    let ends = |source_port, destination_port| {
        let (source, destination) = (end(source, source_port), end(destination, destination_port));
        (source.into(), destination.into())
    };
    let payload = wire.of_len(usize::from(total_len)).after(20)?;
    Some(tcp::read(envelope, facts, ends, payload))
}

#[inline]
fn v6<'a>(envelope: &Envelope, outbound: Option<bool>, wire: Wire<'a>) -> Option<Content<'a>> {
    let header: &[u8; 40] = wire.bytes.first_chunk()?;
    let [
        first,
        second,
        _,
        _,
        l0,
        l1,
        protocol::TCP,
        hop_limit,
        addresses @ ..,
    ] = header
    else {
        return None;
    };
    let len = u16::from_be_bytes([*l0, *l1]);
    if first >> 4 != 6 || len == 0 {
        return None;
    }
    let (source, rest) = addresses.split_first_chunk::<16>()?;
    let destination = rest.first_chunk::<16>()?;
    let facts = IpFacts {
        ttl: *hop_limit,
        id: None,
        tos: first << 4 | second >> 4,
        outbound,
    };
    let end = |address: &[u8; 16], port| SocketAddrV6::new(Ipv6Addr::from(*address), port, 0, 0);
    let ends = |source_port, destination_port| {
        let (source, destination) = (end(source, source_port), end(destination, destination_port));
        (source.into(), destination.into())
    };
    let payload = wire.after(40)?.of_len(usize::from(len));
    Some(tcp::read(envelope, facts, ends, payload))
}
