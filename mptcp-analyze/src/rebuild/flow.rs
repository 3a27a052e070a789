//! Which TCP stream a segment belongs to: 4-tuples, and their generations.
//!
//! A generation begins with a SYN that cannot be a repetition (RFC 9293 §3.4: another initial
//! sequence number), so a reused port is a new stream, and an ACK captured before its SYN is not.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};

use hashbrown::{DefaultHashBuilder, HashTable};
use mptcp_proto::seq::TcpSeq;

use super::glance::{Glance, Whole};
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
#[derive(Debug, Clone)]
pub(super) struct FlowEnds {
    addresses: Addresses,
    /// Sequence number of the SYN of each end, if there was one.
    isns: [TcpSeq; 2],
    /// Sequence number of the first segment of each end that was not a SYN, if there was one.
    first_seqs: [TcpSeq; 2],
    sent: [Sent; 2],
    /// Whether the address of end 0 is the lower one.
    is_end_0_lower: bool,
}

/// What an end has sent, a bit each: every stream of a capture has this.
#[derive(Debug, Clone, Copy, Default)]
struct Sent(u8);

impl Sent {
    /// A SYN, with or without ACK.
    const SYN: Self = Sent(1);
    /// A SYN without ACK.
    const OPENED: Self = Sent(2);
    /// A SYN/ACK.
    const ACCEPTED: Self = Sent(4);
    /// A segment that was not a SYN.
    const OTHER: Self = Sent(8);

    #[inline]
    fn has(self, what: Self) -> bool {
        self.0 & what.0 != 0
    }

    fn note(&mut self, what: Self) {
        self.0 |= what.0;
    }
}

/// Addresses of both ends; end 0 sent the first packet seen.
#[derive(Debug, Clone)]
enum Addresses {
    V4([SocketAddrV4; 2]),
    /// Anything else, which is larger.
    Any(Box<[SocketAddr; 2]>),
}

impl FlowEnds {
    fn new(segment: &Segment<'_>, is_source_lower: bool) -> Self {
        let addresses = match (segment.source, segment.destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                Addresses::V4([source, destination])
            }
            (source, destination) => Addresses::Any(Box::new([source, destination])),
        };
        FlowEnds {
            addresses,
            isns: [TcpSeq::default(); 2],
            first_seqs: [TcpSeq::default(); 2],
            sent: [Sent::default(); 2],
            is_end_0_lower: is_source_lower,
        }
    }

    /// Addresses of both ends; end 0 sent the first packet seen.
    pub(super) fn addresses(&self) -> [SocketAddr; 2] {
        match &self.addresses {
            Addresses::V4(addresses) => addresses.map(SocketAddr::V4),
            Addresses::Any(addresses) => **addresses,
        }
    }

    /// Sequence number of the SYN of an end.
    #[inline]
    pub(super) fn isn(&self, end: End) -> Option<TcpSeq> {
        self.sent[end].has(Sent::SYN).then_some(self.isns[end])
    }

    /// Sequence number of the first segment of an end that was not a SYN.
    fn first_seq(&self, end: End) -> Option<TcpSeq> {
        let is_known = self.sent[end].has(Sent::OTHER);
        is_known.then_some(self.first_seqs[end])
    }

    /// The end that opened the stream, as far as the handshake tells.
    pub(super) fn opener(&self) -> Option<End> {
        let which = |what| self.sent.map(|sent| sent.has(what));
        match (which(Sent::OPENED), which(Sent::ACCEPTED)) {
            ([true, false], _) | (_, [false, true]) => Some(0),
            ([false, true], _) | (_, [true, false]) => Some(1),
            _ => None,
        }
    }

    /// The end that opened the stream, or the likelier one: not the one with a well-known port or
    /// with one that no system hands out, else the one that sent first.
    pub(super) fn likely_opener(&self) -> End {
        let below = |end: End, limit: u16| self.addresses()[end].port() < limit;
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

    /// Whether the SYN `segment`, sent by `end`, cannot belong to this generation.
    fn is_new_generation(&self, segment: &Segment<'_>, end: End) -> bool {
        let peer = 1 - end;
        if let Some(isn) = self.isn(end) {
            let repeated = isn == segment.seq;
            if segment.flags.ack() && !repeated {
                // A server that keeps no state may answer the same SYN with another number.
                return self.isn(peer).map(|p| p.add(1)) != Some(segment.ack);
            }
            return !repeated;
        }
        if segment.flags.ack() {
            return false;
        }
        let is_begun = self.sent.iter().any(|sent| sent.has(Sent::OTHER));
        if self.sent[peer].has(Sent::ACCEPTED) || (self.sent[peer].has(Sent::OPENED) && is_begun) {
            // The other end has opened this stream, and it is past its handshake.
            return true;
        }
        match self.first_seq(end) {
            // Linux answers RSTs to its half-open joins with the number of the SYN itself.
            Some(first) => first
                .distance_from(segment.seq)
                .is_none_or(|ahead| ahead > EARLY_SEGMENT_SPAN),
            None => false,
        }
    }

    fn note_syn(&mut self, segment: &Segment<'_>, end: End) {
        let sent = &mut self.sent[end];
        if !sent.has(Sent::SYN) {
            self.isns[end] = segment.seq;
            sent.note(Sent::SYN);
        }
        sent.note(if segment.flags.ack() {
            Sent::ACCEPTED
        } else {
            Sent::OPENED
        });
    }

    /// Notes a segment that is neither SYN nor RST.
    #[inline]
    fn note_other(&mut self, seq: TcpSeq, end: End) {
        let sent = &mut self.sent[end];
        if !sent.has(Sent::OTHER) {
            self.first_seqs[end] = seq;
            sent.note(Sent::OTHER);
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
    /// A table for so many streams, by the hashes that `hashing` makes.
    pub(super) fn new(limit: usize, hashing: DefaultHashBuilder) -> Self {
        FlowTable {
            limit,
            newest: Newest::new(hashing),
            ends: Vec::new(),
            dropped: 0,
        }
    }

    /// The stream of a segment, made new if need be; `None` when there is no room for another.
    #[inline]
    pub(super) fn locate<'a>(
        &mut self,
        glance: &Glance,
        whole: &impl Whole<'a>,
    ) -> Option<Located> {
        let Some(stream) = self.newest.get(&glance.tuple) else {
            return self.begin(glance.tuple, &whole.segment());
        };
        let ends = &mut self.ends[stream];
        let end = ends.end_of(glance.tuple.is_source_lower);
        let located = Located {
            stream,
            end,
            is_new: false,
        };
        if glance.flags.syn() {
            let segment = whole.segment();
            if ends.is_new_generation(&segment, end) {
                return self.begin(glance.tuple, &segment);
            }
            ends.note_syn(&segment, end);
        } else if !glance.flags.rst() {
            ends.note_other(glance.seq, end);
        }
        Some(located)
    }

    /// Begins a stream.
    #[inline(never)]
    fn begin(&mut self, tuple: Tuple, segment: &Segment<'_>) -> Option<Located> {
        if self.ends.len() >= self.limit {
            self.dropped += 1;
            return None;
        }
        let stream = self.ends.len();
        let mut ends = FlowEnds::new(segment, tuple.is_source_lower);
        if segment.flags.syn() {
            ends.note_syn(segment, 0);
        } else if !segment.flags.rst() {
            ends.note_other(segment.seq, 0);
        }
        self.ends.push(ends);
        self.newest.insert(&tuple, stream);
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

    /// The stream that began on the 4-tuple of `stream` last, if it began later and was accepted.
    pub(super) fn accepted_later(&self, stream: StreamId) -> Option<StreamId> {
        let [one, other] = self.ends[stream].addresses();
        let tuple = Tuple::of(one, other, &self.newest.hashing);
        let newest = self.newest.get(&tuple)?;
        let sent = self.ends[newest].sent;
        let is_accepted = sent.iter().any(|sent| sent.has(Sent::ACCEPTED));
        (newest > stream && is_accepted).then_some(newest)
    }

    /// How many streams there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// A 4-tuple without direction, packed so that hashing and comparing it is cheap.
#[derive(Debug, Clone, Copy)]
enum FlowKey {
    V4(KeyV4),
    V6(KeyV6),
}

/// Both addresses, both ports: the lower end first.
type KeyV4 = (u64, u32);

/// Likewise.
type KeyV6 = ([u64; 2], [u64; 2], u32);

/// The 4-tuple of a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple {
    key: FlowKey,
    hash: u64,
    is_source_lower: bool,
}

/// A stream of IPv4, without the padding of nested pairs.
#[derive(Debug, Clone, Copy)]
struct EntryV4 {
    addresses: u64,
    ports: u32,
    stream: u32,
}

impl EntryV4 {
    #[inline]
    fn key(&self) -> KeyV4 {
        (self.addresses, self.ports)
    }
}

/// The newest stream of each 4-tuple. The keys of IPv4 are small, and so is their table.
#[derive(Debug)]
struct Newest {
    hashing: DefaultHashBuilder,
    v4: HashTable<EntryV4>,
    v6: HashTable<(KeyV6, u32)>,
}

impl Newest {
    fn new(hashing: DefaultHashBuilder) -> Self {
        Newest {
            hashing,
            v4: HashTable::new(),
            v6: HashTable::new(),
        }
    }

    #[inline]
    fn get(&self, tuple: &Tuple) -> Option<StreamId> {
        let stream = match &tuple.key {
            FlowKey::V4(key) => {
                let found = self.v4.find(tuple.hash, |entry| entry.key() == *key);
                found.map(|entry| entry.stream)
            }
            FlowKey::V6(key) => self.v6.find(tuple.hash, |(k, _)| k == key).map(|e| e.1),
        };
        stream.map(|stream| stream as StreamId)
    }

    fn insert(&mut self, tuple: &Tuple, stream: StreamId) {
        // There are no more streams than the limit, which is far below.
        let stream = u32::try_from(stream).unwrap_or(u32::MAX);
        let (hash, hashing) = (tuple.hash, &self.hashing);
        match tuple.key {
            FlowKey::V4(key) => {
                let hasher = |entry: &EntryV4| hash_v4(hashing, &entry.key());
                let same = |entry: &EntryV4| entry.key() == key;
                let (addresses, ports) = key;
                self.v4.entry(hash, same, hasher).insert(EntryV4 {
                    addresses,
                    ports,
                    stream,
                });
            }
            FlowKey::V6(key) => {
                let hasher = |(k, _): &(KeyV6, u32)| hashing.hash_one(k);
                let same = |(k, _): &(KeyV6, u32)| *k == key;
                self.v6.entry(hash, same, hasher).insert((key, stream));
            }
        }
    }
}

/// The hash of a key of IPv4, made in one step.
#[inline]
fn hash_v4(hashing: &DefaultHashBuilder, &(addresses, ports): &KeyV4) -> u64 {
    let mut hasher = hashing.build_hasher();
    hasher.write_u128(u128::from(addresses) << 32 | u128::from(ports));
    hasher.finish()
}

impl Tuple {
    /// The 4-tuple of what `source` sends to `destination`.
    #[expect(
        clippy::inline_always,
        reason = "once for each packet: the parts stay in registers"
    )]
    #[inline(always)]
    pub(super) fn of(
        source: SocketAddr,
        destination: SocketAddr,
        hashing: &DefaultHashBuilder,
    ) -> Self {
        if let (SocketAddr::V4(source), SocketAddr::V4(destination)) = (source, destination) {
            let packed =
                |end: SocketAddrV4| u64::from(end.ip().to_bits()) << 16 | u64::from(end.port());
            let (low, high, is_source_lower) = ordered(packed(source), packed(destination));
            let ports = (low & 0xffff) << 16 | high & 0xffff;
            let addresses = (low >> 16) << 32 | high >> 16;
            let key = (addresses, u32::try_from(ports).unwrap_or_default());
            Tuple {
                key: FlowKey::V4(key),
                hash: hash_v4(hashing, &key),
                is_source_lower,
            }
        } else {
            Self::of_v6(source, destination, hashing)
        }
    }

    #[inline(never)]
    fn of_v6(source: SocketAddr, destination: SocketAddr, hashing: &DefaultHashBuilder) -> Self {
        let packed = |end: SocketAddr| (halves(end.ip()), end.port());
        let (low, high, is_source_lower) = ordered(packed(source), packed(destination));
        let ports = u32::from(low.1) << 16 | u32::from(high.1);
        let key = (low.0, high.0, ports);
        Tuple {
            key: FlowKey::V6(key),
            hash: hashing.hash_one(key),
            is_source_lower,
        }
    }
}

impl Tuple {
    /// Sender and receiver.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        let (low, high) = match self.key {
            FlowKey::V4((addresses, ports)) => {
                let [low, high] = [addresses >> 32, addresses & u64::from(u32::MAX)]
                    .map(|bits| Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or_default()));
                ends_of(low.into(), high.into(), ports)
            }
            FlowKey::V6((low, high, ports)) => {
                let [low, high] = [low, high].map(|[upper, lower]| {
                    Ipv6Addr::from_bits(u128::from(upper) << 64 | u128::from(lower))
                });
                ends_of(low.into(), high.into(), ports)
            }
        };
        if self.is_source_lower {
            (low, high)
        } else {
            (high, low)
        }
    }
}

/// The lower and the higher end, by both addresses and both ports.
fn ends_of(low: IpAddr, high: IpAddr, ports: u32) -> (SocketAddr, SocketAddr) {
    let [l0, l1, h0, h1] = ports.to_be_bytes();
    (
        SocketAddr::new(low, u16::from_be_bytes([l0, l1])),
        SocketAddr::new(high, u16::from_be_bytes([h0, h1])),
    )
}

#[inline]
fn ordered<T: PartialOrd>(one: T, other: T) -> (T, T, bool) {
    if one <= other {
        (one, other, true)
    } else {
        (other, one, false)
    }
}

/// The upper and the lower half of an address.
fn halves(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(v4) => [0, u64::from(v4.to_bits())],
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            let (halves, _) = octets.as_chunks::<8>();
            [0, 1].map(|index| {
                let half = halves.get(index).copied();
                u64::from_be_bytes(half.unwrap_or_default())
            })
        }
    }
}
