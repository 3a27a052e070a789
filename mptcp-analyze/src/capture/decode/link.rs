//! Link layers, from the link type of the capture to the IP header.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{Envelope, Layer, NoTcp, Step, Wire, undecoded};

/// Ethernet types that etherparse has no name for, or that are no `const` there.
pub(super) mod types {
    pub(in super::super) const IPV4: u16 = 0x0800;
    pub(in super::super) const IPV6: u16 = 0x86dd;
    pub(super) const QINQ_OLD: u16 = 0x9100;
    pub(super) const QINQ_OLDER: u16 = 0x9200;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_UPSTREAM: u16 = 0x8848;
    pub(super) const TRANSPARENT_ETHERNET: u16 = 0x6558;
    /// Linux's number for frames that begin with an LLC header.
    pub(super) const LINUX_802_2: u16 = 4;
    /// Smaller numbers are lengths, not types.
    pub(super) const MIN: u16 = 0x0600;
    /// Linux's hardware type of netlink captures.
    pub(in super::super) const ARPHRD_NETLINK: u16 = 824;
}

/// MPLS labels on one packet; real stacks have up to a dozen.
const MAX_LABELS: usize = 32;

/// Reads the outermost header of a packet of a capture of `link_type`.
#[inline]
pub(super) fn read<'a>(link_type: u16, envelope: &mut Envelope, wire: Wire<'a>) -> Step<'a> {
    match link_type {
        1 => ethernet(wire),
        12 | 14 | 101 | 228 | 229 => Step::Into(Layer::Ip, wire),
        113 => cooked(envelope, wire),
        276 => cooked_v2(envelope, wire),
        0 | 108 => loopback(wire),
        9 => ppp(wire),
        50 => ppp_hdlc(wire),
        51 => pppoe(wire),
        104 => cisco_hdlc(wire),
        _ => undecoded("link type not supported"),
    }
}

/// Ethernet II, or IEEE 802.3 with LLC.
#[inline]
pub(super) fn ethernet(wire: Wire<'_>) -> Step<'_> {
    match (Ethernet2HeaderSlice::from_slice(wire.bytes), wire.after(14)) {
        (Ok(header), Some(rest)) => Step::Into(Layer::EtherType(header.ether_type().0), rest),
        _ => undecoded("Ethernet header cut"),
    }
}

/// What follows an Ethernet type: tags, labels, sessions, or IP.
#[inline]
pub(super) fn ether_type(mut number: u16, mut wire: Wire<'_>) -> Step<'_> {
    // Each tag takes four bytes, so the packet's length bounds the loop.
    while let 0x8100 | 0x88a8 | types::QINQ_OLD | types::QINQ_OLDER = number {
        match (SingleVlanHeaderSlice::from_slice(wire.bytes), wire.after(4)) {
            (Ok(tag), Some(rest)) => (number, wire) = (tag.ether_type().0, rest),
            _ => return undecoded("VLAN tag cut"),
        }
    }
    match number {
        types::IPV4 | types::IPV6 => Step::Into(Layer::Ip, wire),
        types::MPLS | types::MPLS_UPSTREAM => mpls(wire),
        types::PPPOE_SESSION => pppoe(wire),
        types::PPP => Step::Tunnel(Layer::Ppp, wire),
        types::TRANSPARENT_ETHERNET => Step::Tunnel(Layer::Ethernet, wire),
        types::LINUX_802_2 => llc(wire),
        length if length < types::MIN => llc(wire.of_len(usize::from(length))),
        _ => Step::Done(NoTcp::NotIp),
    }
}

/// IEEE 802.2 LLC: only SNAP with an Ethernet type carries IP today.
fn llc(wire: Wire<'_>) -> Step<'_> {
    match (wire.bytes.first_chunk(), wire.u16(6), wire.after(8)) {
        (Some([0xaa, 0xaa, 3, 0, 0, 0]), Some(number), Some(rest)) if number >= types::MIN => {
            Step::Into(Layer::EtherType(number), rest)
        }
        _ => Step::Done(NoTcp::NotIp),
    }
}

/// MPLS label stack (RFC 3032). What follows has no type; the first nibble tells.
fn mpls(mut wire: Wire<'_>) -> Step<'_> {
    for _ in 0..MAX_LABELS {
        let (Some(label), Some(rest)) = (wire.u32(0), wire.after(4)) else {
            return undecoded("MPLS label cut");
        };
        wire = rest;
        if label & 0x100 == 0 {
            continue;
        }
        return match (wire.u8(0).map(|byte| byte >> 4), wire.after(4)) {
            (Some(4 | 6), _) => Step::Into(Layer::Ip, wire),
            // The control word of an Ethernet pseudowire (RFC 4385 §3).
            (Some(0), Some(frame)) => Step::Tunnel(Layer::Ethernet, frame),
            (Some(_), _) => Step::Tunnel(Layer::Ethernet, wire),
            (None, _) => undecoded("packet cut after the MPLS labels"),
        };
    }
    undecoded("more MPLS labels than the limit of 32")
}

/// PPPoE session header (RFC 2516 §4).
fn pppoe(wire: Wire<'_>) -> Step<'_> {
    let (Some(code), Some(length), Some(rest)) = (wire.u8(1), wire.u16(4), wire.after(6)) else {
        return undecoded("PPPoE header cut");
    };
    if code != 0 {
        return Step::Done(NoTcp::NotIp);
    }
    Step::Into(Layer::Ppp, rest.of_len(usize::from(length)))
}

/// PPP (RFC 1661 §2), with or without address and control bytes, with a long or a short protocol.
pub(super) fn ppp(mut wire: Wire<'_>) -> Step<'_> {
    if let (Some([0xff, 0x03]), Some(rest)) = (wire.bytes.first_chunk(), wire.after(2)) {
        wire = rest;
    }
    let short = wire.u8(0).filter(|first| first & 1 == 1);
    let (protocol, len) = match (short, wire.u16(0)) {
        (Some(protocol), _) => (u16::from(protocol), 1),
        (None, Some(protocol)) => (protocol, 2),
        (None, None) => return undecoded("PPP header cut"),
    };
    let rest = wire.after(len).unwrap_or(wire);
    match protocol {
        0x0021 | 0x0057 => Step::Into(Layer::Ip, rest),
        0x0281 | 0x0283 => mpls(rest),
        0x002d | 0x002f | 0x0061 | 0x0003 | 0x0005 => undecoded("PPP with compressed headers"),
        0x00fd | 0x00fb => undecoded("PPP with compressed payload"),
        0x0053 | 0x0055 => undecoded("PPP with encrypted payload"),
        _ => Step::Done(NoTcp::NotIp),
    }
}

/// PPP in HDLC framing: PPP, or Cisco HDLC by its first byte.
fn ppp_hdlc(wire: Wire<'_>) -> Step<'_> {
    match wire.u8(0) {
        Some(0x0f | 0x8f) => cisco_hdlc(wire),
        _ => ppp(wire),
    }
}

/// Cisco HDLC: address, control, Ethernet type.
fn cisco_hdlc(wire: Wire<'_>) -> Step<'_> {
    match (wire.u16(2), wire.after(4)) {
        (Some(number), Some(rest)) if number >= types::MIN => {
            Step::Into(Layer::EtherType(number), rest)
        }
        (Some(_), Some(_)) => Step::Done(NoTcp::NotIp),
        _ => undecoded("Cisco HDLC header cut"),
    }
}

/// NULL and LOOP: the address family in the byte order of some machine.
fn loopback(wire: Wire<'_>) -> Step<'_> {
    let (Some(family), Some(rest)) = (wire.u32(0), wire.after(4)) else {
        return undecoded("loopback header cut");
    };
    let family = if family > 0xffff {
        family.swap_bytes()
    } else {
        family
    };
    match family {
        // AF_INET everywhere; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, Darwin.
        2 | 10 | 24 | 28 | 30 => Step::Into(Layer::Ip, rest),
        _ => Step::Done(NoTcp::NotIp),
    }
}

/// Linux cooked capture, version 1: packet type, hardware type, address length, address, protocol.
/// Not by etherparse, which refuses packets of hardware types that it has no number for.
fn cooked<'a>(envelope: &mut Envelope, wire: Wire<'a>) -> Step<'a> {
    let (Some(packet_type), Some(rest)) = (wire.u16(0), wire.after(16)) else {
        return undecoded("SLL header cut");
    };
    note_direction(envelope, packet_type);
    cooked_payload(wire.u16(2), wire.u16(14), rest)
}

/// Linux cooked capture, version 2, which etherparse does not know: protocol, two reserved bytes,
/// interface index, hardware type, packet type, address length, address.
fn cooked_v2<'a>(envelope: &mut Envelope, wire: Wire<'a>) -> Step<'a> {
    let (Some(packet_type), Some(rest)) = (wire.u8(10), wire.after(20)) else {
        return undecoded("SLL2 header cut");
    };
    note_direction(envelope, u16::from(packet_type));
    cooked_payload(wire.u16(8), wire.u16(0), rest)
}

fn cooked_payload(hardware: Option<u16>, protocol: Option<u16>, rest: Wire<'_>) -> Step<'_> {
    match (hardware, protocol) {
        (Some(types::ARPHRD_NETLINK), _) | (_, None) => Step::Done(NoTcp::NotIp),
        (_, Some(number)) if number < types::MIN && number != types::LINUX_802_2 => {
            Step::Done(NoTcp::NotIp)
        }
        (_, Some(number)) => Step::Into(Layer::EtherType(number), rest),
    }
}

fn note_direction(envelope: &mut Envelope, packet_type: u16) {
    envelope.outbound = envelope.outbound.or(direction(packet_type));
}

/// The packet types of cooked captures: to us, broadcast, multicast, to others, from us.
#[inline]
pub(super) fn direction(packet_type: u16) -> Option<bool> {
    match packet_type {
        0..=2 => Some(false),
        4 => Some(true),
        _ => None,
    }
}
