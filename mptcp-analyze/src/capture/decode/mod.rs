//! Packets to TCP segments: peels link layers and tunnels until a segment is found or nothing is.
//!
//! Link types read: Ethernet (1), SLL (113), SLL2 (276), raw IP (12, 14, 101, 228, 229), NULL (0),
//! LOOP (108), PPP (9), PPP-HDLC (50), PPP over Ethernet (51), Cisco HDLC (104). On the way: VLAN
//! tags, MPLS, PPPoE, LLC/SNAP, IP in IP, GRE, VXLAN, GTP-U. Not read: 802.11, Frame Relay, ERSPAN,
//! Geneve, L2TP, encrypted tunnels.

mod fragment;
mod ip;
mod link;
mod quick;
mod tcp;
#[cfg(test)]
mod tests;
mod tunnel;
mod wire;

use std::net::{IpAddr, SocketAddr};

use crate::model::{IpFacts, Segment, Timestamp};

use fragment::Fragments;
use wire::Wire;

/// Tunnels within tunnels: an operator's GTP-U in MPLS in VXLAN is four; more is an attack on the
/// reader's patience.
const MAX_TUNNELS: usize = 8;
/// Fragmented packets within reassembled fragmented packets.
const MAX_REASSEMBLIES: usize = 2;

/// What a packet turned out to hold.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// A TCP segment.
    Tcp(Segment<'a>),
    /// An ICMP error, with the packet it is about.
    IcmpError(IcmpError<'a>),
    /// A fragment of an IP packet that is not whole yet.
    Fragment,
    /// An IP packet without TCP.
    OtherIp,
    /// A whole frame without IP, for example ARP.
    NotIp,
    /// What could not be read, and why.
    Undecoded(&'static str),
}

/// An ICMP error message, of either IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// Who sent it.
    pub source: IpAddr,
    /// Type: of RFC 792 when `source` is IPv4, of RFC 4443 when it is IPv6.
    pub icmp_type: u8,
    /// Code.
    pub code: u8,
    /// What is there of the packet that it quotes, from its IP header on.
    pub quoted: &'a [u8],
}

/// What a capture file says about a packet beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Envelope {
    /// Number of the packet.
    pub(super) frame: u64,
    /// When it was captured.
    pub(super) at: Timestamp,
    /// Which file it is of.
    pub(super) file: u16,
    /// Its interface among all files.
    pub(super) interface: u32,
    /// Bytes on the wire.
    pub(super) original_len: u32,
    /// Direction as the file tells it.
    pub(super) outbound: Option<bool>,
}

/// A layer that is about to be read.
#[derive(Debug, Clone, Copy)]
enum Layer {
    Ethernet,
    /// What an Ethernet type names.
    EtherType(u16),
    Ppp,
    /// IPv4 or IPv6, as its first nibble says.
    Ip,
    /// The payload of an IP packet, by protocol number.
    Transport(Transport),
}

/// An IP packet without its headers.
#[derive(Debug, Clone, Copy)]
struct Transport {
    source: IpAddr,
    destination: IpAddr,
    facts: IpFacts,
    protocol: u8,
}

/// A fragment and the packet it is a part of.
#[derive(Debug, Clone, Copy)]
struct Piece {
    transport: Transport,
    id: u32,
    offset: usize,
    more: bool,
}

/// What reading a layer leads to.
enum Step<'a> {
    /// Another layer.
    Into(Layer, Wire<'a>),
    /// A layer inside a tunnel.
    Tunnel(Layer, Wire<'a>),
    /// A fragment.
    Piece(Piece, Wire<'a>),
    /// A TCP segment, not read yet: the value is large, and made where it stays.
    Tcp(Transport, Wire<'a>),
    /// The end without a segment.
    Done(NoTcp<'a>),
}

/// [`Content`] without its largest variant.
#[derive(Debug, Clone, Copy)]
enum NoTcp<'a> {
    IcmpError(IcmpError<'a>),
    Fragment,
    OtherIp,
    NotIp,
    Undecoded(&'static str),
}

impl<'a> From<NoTcp<'a>> for Content<'a> {
    fn from(other: NoTcp<'a>) -> Self {
        match other {
            NoTcp::IcmpError(error) => Self::IcmpError(error),
            NoTcp::Fragment => Self::Fragment,
            NoTcp::OtherIp => Self::OtherIp,
            NoTcp::NotIp => Self::NotIp,
            NoTcp::Undecoded(why) => Self::Undecoded(why),
        }
    }
}

const fn undecoded<'a>(why: &'static str) -> Step<'a> {
    Step::Done(NoTcp::Undecoded(why))
}

/// Decodes packets; remembers fragments between them.
pub(super) struct Decoder {
    fragments: Fragments,
    /// Packets put together from fragments, while they are looked at.
    whole: [Vec<u8>; MAX_REASSEMBLIES],
}

impl Decoder {
    /// A decoder for packets of `files` files.
    pub(super) fn new(files: usize) -> Self {
        Self {
            fragments: Fragments::new(files),
            whole: [const { Vec::new() }; MAX_REASSEMBLIES],
        }
    }

    /// Fragments, per file, of packets that never became whole.
    pub(super) fn finish(self) -> Vec<u64> {
        self.fragments.finish()
    }

    /// What is in a packet.
    #[inline]
    pub(super) fn decode<'a>(
        &'a mut self,
        envelope: &Envelope,
        link_type: u16,
        bytes: &'a [u8],
    ) -> Content<'a> {
        let missing = (envelope.original_len as usize).saturating_sub(bytes.len());
        let wire = Wire { bytes, missing };
        match quick::read(envelope, link_type, wire) {
            Some(content) => content,
            None => self.decode_slowly(envelope, link_type, wire),
        }
    }

    #[inline(never)]
    fn decode_slowly<'a>(
        &'a mut self,
        envelope: &Envelope,
        link_type: u16,
        wire: Wire<'a>,
    ) -> Content<'a> {
        match self.decode_layers(*envelope, link_type, wire) {
            Ok((ip, wire)) => {
                let ends = |source_port, destination_port| {
                    let source = SocketAddr::new(ip.source, source_port);
                    (source, SocketAddr::new(ip.destination, destination_port))
                };
                tcp::read(envelope, ip.facts, ends, wire)
            }
            Err(other) => other.into(),
        }
    }

    /// The long way: layer by layer.
    fn decode_layers<'a>(
        &'a mut self,
        mut envelope: Envelope,
        link_type: u16,
        wire: Wire<'a>,
    ) -> Result<(Transport, Wire<'a>), NoTcp<'a>> {
        let mut slots = &mut self.whole[..];
        let mut tunnels = 0;
        let mut step = link::read(link_type, &mut envelope, wire);
        loop {
            let (layer, wire) = match step {
                Step::Into(layer, wire) => (layer, wire),
                Step::Tunnel(..) if tunnels == MAX_TUNNELS => {
                    let why = "more tunnels in one packet than the limit of 8";
                    return Err(NoTcp::Undecoded(why));
                }
                Step::Tunnel(layer, wire) => {
                    tunnels += 1;
                    (layer, wire)
                }
                Step::Piece(piece, wire) => {
                    let Some(whole) = self.fragments.add(&envelope, &piece, wire) else {
                        return Err(NoTcp::Fragment);
                    };
                    let Some((slot, rest)) = std::mem::take(&mut slots).split_first_mut() else {
                        return Err(NoTcp::Undecoded("fragments in fragments in fragments"));
                    };
                    slots = rest;
                    *slot = whole.bytes;
                    let missing = whole.missing;
                    let bytes = slot.as_slice();
                    (Layer::Transport(whole.transport), Wire { bytes, missing })
                }
                Step::Tcp(transport, wire) => return Ok((transport, wire)),
                Step::Done(other) => return Err(other),
            };
            step = match layer {
                Layer::Ethernet => link::ethernet(wire),
                Layer::EtherType(ether_type) => link::ether_type(ether_type, wire),
                Layer::Ppp => link::ppp(wire),
                Layer::Ip => ip::read(&envelope, wire),
                Layer::Transport(transport) => ip::transport(transport, wire),
            };
        }
    }
}
