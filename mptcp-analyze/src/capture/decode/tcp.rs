//! TCP headers, whole or cut.

use std::net::SocketAddr;

use mptcp_proto::seq::TcpSeq;

use crate::model::{IpFacts, Segment, TcpFlags};

use super::{Content, Envelope, Wire};

const HEADER_BYTES: usize = Segment::FIXED_HEADER_BYTES;
/// The least that makes a segment: ports, numbers, data offset, flags, window. A snapshot length
/// that cuts checksum and urgent pointer still shows which byte of which subflow this is.
const LEAST_BYTES: usize = 16;

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
    let Some(fixed) = wire.bytes.first_chunk::<LEAST_BYTES>() else {
        return Content::Undecoded("TCP header cut before its window field");
    };
    let (words, _) = fixed.as_chunks::<4>();
    let word = |index: usize| {
        let word = words.get(index).copied().unwrap_or_default();
        u32::from_be_bytes(word)
    };
    let (ports, seq, ack, rest) = (word(0), word(1), word(2), word(3));
    let [s0, s1, d0, d1] = ports.to_be_bytes();
    let [offset, flags, w0, w1] = rest.to_be_bytes();
    let header_len = offset >> 4 << 2;
    if usize::from(header_len) < HEADER_BYTES {
        return Content::Undecoded("TCP data offset below 5");
    }
    let Some(payload_len) = wire.wire_len().checked_sub(usize::from(header_len)) else {
        return Content::Undecoded("TCP header longer than its IP packet");
    };
    let (source, destination) = ends(u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Content::Tcp(Segment {
        frame: envelope.frame,
        at: envelope.at,
        interface: envelope.interface,
        source,
        destination,
        ip: facts,
        seq: TcpSeq(seq),
        ack: TcpSeq(ack),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        checksum: wire.u16(16).unwrap_or(0),
        header_len,
        bytes: wire.bytes,
        payload_len: u32::try_from(payload_len).unwrap_or(u32::MAX),
    })
}
