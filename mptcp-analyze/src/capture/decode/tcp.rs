//! TCP headers, whole or cut.

use std::net::SocketAddr;

use crate::model::{Around, IpFacts, Segment};

use super::{Content, Envelope, Wire};

const HEADER_BYTES: usize = Segment::FIXED_HEADER_BYTES;

/// Reads a TCP header; `ends` makes sender and receiver of its ports. Not by etherparse: it refuses
/// headers whose options are cut.
#[inline]
pub(super) fn read<'a>(
    envelope: &Envelope,
    facts: IpFacts,
    ends: impl FnOnce(u16, u16) -> (SocketAddr, SocketAddr),
    wire: Wire<'a>,
) -> Content<'a> {
    if wire.wire_len() < HEADER_BYTES {
        return Content::Undecoded("IP packet too short for a TCP header");
    }
    let fixed = wire.bytes.first_chunk::<{ Segment::LEAST_BYTES }>();
    let Some(&[s0, s1, d0, d1, .., offset, _, _, _]) = fixed else {
        return Content::Undecoded("TCP header cut before its window field");
    };
    let header_len = usize::from(Segment::header_len_of(offset));
    if header_len < HEADER_BYTES {
        return Content::Undecoded("TCP data offset below 5");
    }
    let Some(payload_len) = wire.wire_len().checked_sub(header_len) else {
        return Content::Undecoded("TCP header longer than its IP packet");
    };
    let (source, destination) = ends(u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let around = Around {
        frame: envelope.frame,
        at: envelope.at,
        interface: envelope.interface,
        source,
        destination,
        ip: facts,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    };
    Content::Tcp(Segment::new(around, wire.bytes))
}
