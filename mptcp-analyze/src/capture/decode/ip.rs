//! IPv4 and IPv6 headers, extension headers included, and what they carry.

use std::net::IpAddr;

use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice,
};

use crate::model::IpFacts;

use super::{Envelope, IcmpError, Layer, NoTcp, Piece, Step, Transport, Wire, tunnel, undecoded};

/// Protocol numbers (IANA).
pub(super) mod protocol {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ICMP: u8 = 1;
    pub(super) const IPV4: u8 = 4;
    pub(in super::super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const GRE: u8 = 47;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const ICMP_V6: u8 = 58;
    pub(super) const DESTINATION_OPTIONS: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HIP: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// Reads an IP header of the version that its first nibble tells.
#[inline]
pub(super) fn read<'a>(envelope: &Envelope, wire: Wire<'a>) -> Step<'a> {
    match wire.u8(0).map(|byte| byte >> 4) {
        Some(4) => v4(envelope, wire),
        Some(6) => v6(envelope, wire),
        Some(_) => undecoded("IP version neither 4 nor 6"),
        None => undecoded("packet cut before the IP header"),
    }
}

#[inline]
fn v4<'a>(envelope: &Envelope, wire: Wire<'a>) -> Step<'a> {
    let Ok(header) = Ipv4HeaderSlice::from_slice(wire.bytes) else {
        return undecoded("IPv4 header cut or wrong");
    };
    let header_len = header.slice().len();
    // Total length 0: a super-segment on its way from or to a network card that segments it. It is
    // as long as its frame.
    let wire = match usize::from(header.total_len()) {
        0 => wire,
        len if len < header_len => return undecoded("IPv4 total length shorter than the header"),
        len => wire.of_len(len),
    };
    let Some(payload) = wire.after(header_len) else {
        return undecoded("IPv4 header cut");
    };
    let id = header.identification();
    let transport = Transport {
        source: IpAddr::V4(header.source_addr()),
        destination: IpAddr::V4(header.destination_addr()),
        facts: IpFacts {
            ttl: header.ttl(),
            id: Some(id),
            tos: wire.u8(1).unwrap_or(0),
            outbound: envelope.outbound,
        },
        protocol: header.protocol().0,
    };
    if header.is_fragmenting_payload() {
        let piece = Piece {
            transport,
            id: u32::from(id),
            offset: usize::from(header.fragments_offset().byte_offset()),
            more: header.more_fragments(),
        };
        return Step::Piece(piece, payload);
    }
    Step::Into(Layer::Transport(transport), payload)
}

#[inline]
fn v6<'a>(envelope: &Envelope, wire: Wire<'a>) -> Step<'a> {
    let Ok(header) = Ipv6HeaderSlice::from_slice(wire.bytes) else {
        return undecoded("IPv6 header cut");
    };
    let Some(mut payload) = wire.after(header.slice().len()) else {
        return undecoded("IPv6 header cut");
    };
    // Payload length 0: a jumbogram (RFC 2675 §3) or a super-segment. It is as long as its frame.
    if header.payload_length() > 0 {
        payload = payload.of_len(usize::from(header.payload_length()));
    }
    let transport = Transport {
        source: IpAddr::V6(header.source_addr()),
        destination: IpAddr::V6(header.destination_addr()),
        facts: IpFacts {
            ttl: header.hop_limit(),
            id: None,
            tos: header.traffic_class(),
            outbound: envelope.outbound,
        },
        protocol: header.next_header().0,
    };
    Step::Into(Layer::Transport(transport), payload)
}

/// Reads what an IP packet carries: a protocol, or an extension header, each of which takes bytes
/// of the packet, so that its length bounds their number.
#[inline]
pub(super) fn transport(transport: Transport, wire: Wire<'_>) -> Step<'_> {
    match transport.protocol {
        protocol::TCP => Step::Tcp(transport, wire),
        protocol::UDP => tunnel::udp(wire),
        protocol::IPV4 | protocol::IPV6 => Step::Tunnel(Layer::Ip, wire),
        protocol::GRE => tunnel::gre(wire),
        protocol::ICMP => icmp(&transport, wire, &[3, 4, 5, 11, 12]),
        protocol::ICMP_V6 => icmp(&transport, wire, &[1, 2, 3, 4]),
        protocol::AUTHENTICATION => authentication(transport, wire),
        protocol::FRAGMENT if transport.source.is_ipv6() => fragment(transport, wire),
        extension if transport.source.is_ipv6() && is_extension(extension) => {
            match Ipv6RawExtHeaderSlice::from_slice(wire.bytes) {
                Ok(header) => header_then(transport, header.next_header().0, header.slice(), wire),
                Err(_) => undecoded("IPv6 extension header cut"),
            }
        }
        _ => Step::Done(NoTcp::OtherIp),
    }
}

fn is_extension(number: u8) -> bool {
    matches!(
        number,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
    )
}

/// What follows `header`, which names it `next`.
fn header_then<'a>(transport: Transport, next: u8, header: &[u8], wire: Wire<'a>) -> Step<'a> {
    let transport = Transport {
        protocol: next,
        ..transport
    };
    match wire.after(header.len()) {
        Some(rest) => Step::Into(Layer::Transport(transport), rest),
        None => undecoded("IPv6 extension header cut"),
    }
}

/// Authentication header (RFC 4302 §2): what it protects is not encrypted.
fn authentication(transport: Transport, wire: Wire<'_>) -> Step<'_> {
    match IpAuthHeaderSlice::from_slice(wire.bytes) {
        Ok(header) => header_then(transport, header.next_header().0, header.slice(), wire),
        Err(_) => undecoded("authentication header cut or wrong"),
    }
}

/// Fragment header (RFC 8200 §4.5); one alone in its packet fragments nothing (RFC 6946 §4).
fn fragment(transport: Transport, wire: Wire<'_>) -> Step<'_> {
    let Ok(header) = Ipv6FragmentHeaderSlice::from_slice(wire.bytes) else {
        return undecoded("IPv6 fragment header cut");
    };
    let next = header.next_header().0;
    match header_then(transport, next, header.slice(), wire) {
        Step::Into(Layer::Transport(transport), rest) if header.is_fragmenting_payload() => {
            let piece = Piece {
                transport,
                id: header.identification(),
                offset: usize::from(header.fragment_offset().byte_offset()),
                more: header.more_fragments(),
            };
            Step::Piece(piece, rest)
        }
        step => step,
    }
}

/// An ICMP message: an error quotes the packet that caused it from its ninth byte on.
fn icmp<'a>(transport: &Transport, wire: Wire<'a>, errors: &[u8]) -> Step<'a> {
    let other = match (wire.u8(0), wire.u8(1), wire.after(8)) {
        (Some(icmp_type), Some(code), Some(quoted)) if errors.contains(&icmp_type) => {
            NoTcp::IcmpError(IcmpError {
                source: transport.source,
                icmp_type,
                code,
                quoted: quoted.bytes,
            })
        }
        _ => NoTcp::OtherIp,
    };
    Step::Done(other)
}
