//! The short way through the headers that nearly all packets have: Ethernet or a cooked capture,
//! IPv4 or IPv6 without options or extension headers, TCP.
//!
//! It takes nothing that the long way would read otherwise, and leaves everything odd to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::IpFacts;

use super::ip::protocol;
use super::link::{note_direction, types};
use super::tcp;
use super::{Content, Envelope, Transport, Wire};

/// Reads a packet if it is an ordinary TCP segment.
#[inline]
pub(super) fn read(link_type: u16, mut envelope: Envelope, wire: Wire<'_>) -> Option<Content<'_>> {
    let (ether_type, rest) = match link_type {
        1 => (wire.u16(12)?, wire.after(14)?),
        113 => {
            let rest = wire.after(16)?;
            note_direction(&mut envelope, wire.u16(0)?);
            (cooked(wire.u16(2)?, wire.u16(14)?)?, rest)
        }
        276 => {
            let rest = wire.after(20)?;
            note_direction(&mut envelope, u16::from(wire.u8(10)?));
            (cooked(wire.u16(8)?, wire.u16(0)?)?, rest)
        }
        _ => return None,
    };
    match ether_type {
        types::IPV4 => v4(&envelope, rest),
        types::IPV6 => v6(&envelope, rest),
        _ => None,
    }
}

#[inline]
fn cooked(hardware: u16, ether_type: u16) -> Option<u16> {
    (hardware != types::ARPHRD_NETLINK).then_some(ether_type)
}

#[inline]
fn v4<'a>(envelope: &Envelope, wire: Wire<'a>) -> Option<Content<'a>> {
    let header: &[u8; 20] = wire.bytes.first_chunk()?;
    let [
        0x45,
        tos,
        l0,
        l1,
        i0,
        i1,
        f0,
        f1,
        ttl,
        protocol::TCP,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *header
    else {
        return None;
    };
    let total_len = u16::from_be_bytes([l0, l1]);
    // More fragments, or an offset; a total length shorter than the header, or none.
    if u16::from_be_bytes([f0, f1]) & 0x3fff != 0 || total_len < 20 {
        return None;
    }
    let transport = Transport {
        source: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        destination: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        facts: IpFacts {
            ttl,
            id: Some(u16::from_be_bytes([i0, i1])),
            tos,
            outbound: envelope.outbound,
        },
        protocol: protocol::TCP,
    };
    let payload = wire.of_len(usize::from(total_len)).after(20)?;
    Some(tcp::read(envelope, &transport, payload))
}

#[inline]
fn v6<'a>(envelope: &Envelope, wire: Wire<'a>) -> Option<Content<'a>> {
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
    let transport = Transport {
        source: IpAddr::V6(Ipv6Addr::from(*source)),
        destination: IpAddr::V6(Ipv6Addr::from(*destination)),
        facts: IpFacts {
            ttl: *hop_limit,
            id: None,
            tos: first << 4 | second >> 4,
            outbound: envelope.outbound,
        },
        protocol: protocol::TCP,
    };
    let payload = wire.after(40)?.of_len(usize::from(len));
    Some(tcp::read(envelope, &transport, payload))
}
