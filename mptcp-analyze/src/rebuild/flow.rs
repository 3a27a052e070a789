//! Which TCP stream a segment belongs to: 4-tuples, and their generations.
//!
//! A generation begins with a SYN that cannot be a repetition (RFC 9293 §3.4: another initial
//! sequence number), so a reused port is a new stream, and an ACK captured before its SYN is not.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use hashbrown::HashMap;
use mptcp_proto::seq::TcpSeq;

use crate::model::Segment;

/// How far before the SYN's next sequence number an early captured segment may start and still
/// belong to that SYN: the largest window without scaling.
const EARLY_SEGMENT_SPAN: u32 = 65_535;

/// Ports below are for servers (RFC 6335 §6).
const FIRST_USER_PORT: u16 = 1024;

/// Clients get a port from here on: 32,768 on Linux, 49,152 elsewhere (RFC 6335 §6).
const FIRST_EPHEMERAL_PORT: u16 = 32_768;

/// Index of a stream; equals Wireshark's `tcp.stream`.
pub(super) type StreamId = usize;

/// One end of a stream: 0 sent the first packet seen.
pub(super) type End = usize;

/// What the flow table has to know of a stream to tell generations apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlowEnds {
    /// Addresses of both ends; end 0 sent the first packet seen.
    pub(super) addresses: [SocketAddr; 2],
    /// Sequence number of the SYN of each end.
    pub(super) isns: [Option<TcpSeq>; 2],
    /// Sequence number of the first segment of each end that was not a SYN.
    first_seqs: [Option<TcpSeq>; 2],
    /// Whether a SYN without ACK came from the end.
    pub(super) opened: [bool; 2],
    /// Whether a SYN/ACK came from the end.
    accepted: [bool; 2],
    /// Whether the address of end 0 is the lower one.
    is_end_0_lower: bool,
}

impl FlowEnds {
    fn new(segment: &Segment<'_>, is_source_lower: bool) -> Self {
        FlowEnds {
            addresses: [segment.source, segment.destination],
            isns: [None; 2],
            first_seqs: [None; 2],
            opened: [false; 2],
            accepted: [false; 2],
            is_end_0_lower: is_source_lower,
        }
    }

    /// The end that opened the stream, as far as the handshake tells.
    pub(super) fn opener(&self) -> Option<End> {
        match (self.opened, self.accepted) {
            ([true, false], _) | (_, [false, true]) => Some(0),
            ([false, true], _) | (_, [true, false]) => Some(1),
            _ => None,
        }
    }

    /// The end that opened the stream, or the likelier one: not the one with a well-known port or
    /// with one that no system hands out, else the one that sent first.
    pub(super) fn likely_opener(&self) -> End {
        let below = |end: End, limit: u16| self.addresses[end].port() < limit;
        let served_at_0 = [FIRST_USER_PORT, FIRST_EPHEMERAL_PORT]
            .into_iter()
            .find(|&limit| below(0, limit) != below(1, limit))
            .is_some_and(|limit| below(0, limit));
        self.opener().unwrap_or(usize::from(served_at_0))
    }

    #[inline]
    fn end_of(&self, is_source_lower: bool) -> End {
        usize::from(self.is_end_0_lower != is_source_lower)
    }

    /// Whether `segment`, sent by `end`, cannot belong to this generation.
    #[inline]
    fn is_new_generation(&self, segment: &Segment<'_>, end: End) -> bool {
        if !segment.flags.syn() {
            return false;
        }
        let peer = 1 - end;
        if let Some(isn) = self.isns[end] {
            let repeated = isn == segment.seq;
            if segment.flags.ack() && !repeated {
                // A server that keeps no state may answer the same SYN with another number.
                return self.isns[peer].map(|p| p.add(1)) != Some(segment.ack);
            }
            return !repeated;
        }
        if segment.flags.ack() {
            return false;
        }
        if self.accepted[peer] || (self.opened[peer] && self.first_seqs != [None; 2]) {
            // The other end has opened this stream, and it is past its handshake.
            return true;
        }
        match self.first_seqs[end] {
            // Linux answers RSTs to its half-open joins with the number of the SYN itself.
            Some(first) => first
                .distance_from(segment.seq)
                .is_none_or(|ahead| ahead > EARLY_SEGMENT_SPAN),
            None => false,
        }
    }

    #[inline]
    fn note(&mut self, segment: &Segment<'_>, end: End) {
        if segment.flags.syn() {
            self.isns[end].get_or_insert(segment.seq);
            if segment.flags.ack() {
                self.accepted[end] = true;
            } else {
                self.opened[end] = true;
            }
        } else if !segment.flags.rst() {
            self.first_seqs[end].get_or_insert(segment.seq);
        }
    }
}

/// All streams seen, the newest generation of each 4-tuple reachable by its addresses.
#[derive(Debug)]
pub(super) struct FlowTable {
    /// Most streams that are told apart.
    limit: usize,
    newest: Newest,
    ends: Vec<FlowEnds>,
    /// Segments of new streams that were left out for the limit.
    pub(super) dropped: u64,
}

/// Where a segment belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) stream: StreamId,
    pub(super) end: End,
    /// Whether the segment is the first of the stream.
    pub(super) is_new: bool,
}

impl FlowTable {
    /// A table for so many streams.
    pub(super) fn new(limit: usize) -> Self {
        FlowTable {
            limit,
            newest: Newest::default(),
            ends: Vec::new(),
            dropped: 0,
        }
    }

    /// The stream of `segment`, made new if need be; `None` when there is no room for another.
    #[inline]
    pub(super) fn locate(&mut self, segment: &Segment<'_>) -> Option<Located> {
        let (key, is_source_lower) = FlowKey::of(segment.source, segment.destination);
        if let Some(stream) = self.newest.get(key) {
            let ends = &mut self.ends[stream];
            let end = ends.end_of(is_source_lower);
            if !ends.is_new_generation(segment, end) {
                ends.note(segment, end);
                return Some(Located {
                    stream,
                    end,
                    is_new: false,
                });
            }
        }
        if self.ends.len() >= self.limit {
            self.dropped += 1;
            return None;
        }
        let stream = self.ends.len();
        let mut ends = FlowEnds::new(segment, is_source_lower);
        ends.note(segment, 0);
        self.ends.push(ends);
        self.newest.insert(key, stream);
        Some(Located {
            stream,
            end: 0,
            is_new: true,
        })
    }

    /// The ends of a stream.
    pub(super) fn ends(&self, stream: StreamId) -> &FlowEnds {
        &self.ends[stream]
    }

    /// How many streams there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// A 4-tuple without direction, packed so that hashing and comparing it is cheap.
#[derive(Debug, Clone, Copy)]
enum FlowKey {
    /// Both addresses, both ports: the lower end first.
    V4(u64, u32),
    /// Likewise.
    V6(u128, u128, u32),
}

/// The packed addresses and ports of [`FlowKey::V4`], hashed in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyV4(u64, u32);

impl Hash for KeyV4 {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from(self.0) << 32 | u128::from(self.1));
    }
}

/// The newest stream of each 4-tuple. The keys of IPv4 are small, and so is their table.
#[derive(Debug, Default)]
struct Newest {
    v4: HashMap<KeyV4, u32>,
    v6: HashMap<(u128, u128, u32), u32>,
}

impl Newest {
    #[inline]
    fn get(&self, key: FlowKey) -> Option<StreamId> {
        let stream = match key {
            FlowKey::V4(addresses, ports) => self.v4.get(&KeyV4(addresses, ports)),
            FlowKey::V6(low, high, ports) => self.v6.get(&(low, high, ports)),
        };
        stream.map(|&stream| stream as StreamId)
    }

    fn insert(&mut self, key: FlowKey, stream: StreamId) {
        // There are no more streams than the limit, which is far below.
        let stream = u32::try_from(stream).unwrap_or(u32::MAX);
        match key {
            FlowKey::V4(addresses, ports) => self.v4.insert(KeyV4(addresses, ports), stream),
            FlowKey::V6(low, high, ports) => self.v6.insert((low, high, ports), stream),
        };
    }
}

impl FlowKey {
    /// The key of a 4-tuple, and whether the sender is its lower end.
    #[inline]
    fn of(source: SocketAddr, destination: SocketAddr) -> (Self, bool) {
        if let (SocketAddr::V4(source), SocketAddr::V4(destination)) = (source, destination) {
            let packed =
                |end: SocketAddrV4| u64::from(end.ip().to_bits()) << 16 | u64::from(end.port());
            let (low, high, is_source_lower) = ordered(packed(source), packed(destination));
            let ports = (low & 0xffff) << 16 | high & 0xffff;
            let addresses = (low >> 16) << 32 | high >> 16;
            let key = FlowKey::V4(addresses, u32::try_from(ports).unwrap_or_default());
            (key, is_source_lower)
        } else {
            let packed = |end: SocketAddr| (packed(end.ip()), end.port());
            let (low, high, is_source_lower) = ordered(packed(source), packed(destination));
            let ports = u32::from(low.1) << 16 | u32::from(high.1);
            (FlowKey::V6(low.0, high.0, ports), is_source_lower)
        }
    }
}

#[inline]
fn ordered<T: PartialOrd>(one: T, other: T) -> (T, T, bool) {
    if one <= other {
        (one, other, true)
    } else {
        (other, one, false)
    }
}

fn packed(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
