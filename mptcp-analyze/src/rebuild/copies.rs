//! Packets that are captured twice: on `any`, by a mirror port, or at two points of their way.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;

use super::pack::{Pack, Packer, Unpacker};
use crate::model::{Segment, Timestamp};

/// Packets per direction that a new packet is compared with to recognise a copy: the copy of a
/// mirror port, or of a handshake that passes two capture points, is among the next few.
const FEW_RECENT: u8 = 4;

/// The same once packets were seen at more than one point. On a router's `any` capture a copy
/// follows when the packet has passed the queue, which is rarely longer.
const MAX_RECENT: usize = 64;

/// The same once an end's packets are known to be captured at two points: the queue between them may
/// be a whole device's (1,000 packets on Linux).
const MAX_RECENT_AT_TWO_POINTS: usize = 1024;

/// A copy made at the same point follows at once; a host repeats after 200 ms at the earliest.
const MAX_COPY_DELAY_NS: i64 = 100_000_000;

/// Recognises the copies among the packets that one end of a stream sends.
#[derive(Debug, Default)]
pub(super) struct CopyWatch {
    recent: Recent,
    /// Whether a copy from another capture point was seen.
    at_two_points: bool,
    /// Whether two different packets in a row had the same IPv4 identification: the end does not
    /// count them, and the number tells nothing about repetitions.
    has_constant_id: bool,
}

/// The packets that a new one is compared with.
#[derive(Debug)]
enum Recent {
    /// All seen at one interface, direction and distance: so are those of nearly all ends, which take
    /// no allocation.
    Few(Few),
    /// Oldest first.
    Many(VecDeque<Fingerprint>),
}

impl Default for Recent {
    fn default() -> Self {
        Recent::Few(Few::default())
    }
}

/// The latest packets of an end, in a ring.
#[derive(Debug, Clone, Copy, Default)]
struct Few {
    prints: [Fingerprint; FEW_RECENT as usize],
    /// Where the next one goes.
    next: u8,
    is_full: bool,
}

/// What makes two packets the same packet.
#[derive(Debug, Clone, Copy, Default)]
struct Fingerprint {
    hash: u64,
    at: Timestamp,
    /// The identification, and above it the capture point: interface, direction, TTL.
    labels: u64,
}

impl CopyWatch {
    /// A copy has the same TCP header, length and IPv4 identification, and either another capture
    /// point (interface, direction, TTL), or came at once with an identification that a repetition
    /// would not have. `hashing` must always be the same.
    #[inline]
    pub(super) fn is_copy(&mut self, segment: &Segment<'_>, hashing: &DefaultHashBuilder) -> bool {
        let print = Fingerprint::of(segment, hashing);
        let Recent::Few(few) = &mut self.recent else {
            return self.is_copy_of_many(print.hash, print.at, print.labels);
        };
        if !few.is_empty() {
            let last = few.newest();
            if few.holds(print.hash) || last.is_elsewhere(&print) {
                return self.is_copy_of_few(print.hash, print.at, print.labels);
            }
            self.has_constant_id |= last.has_id_of(&print);
        }
        few.push(print);
        false
    }

    // The parts of the fingerprint, so that it needs no memory where it is made.
    #[cold]
    fn is_copy_of_few(&mut self, hash: u64, at: Timestamp, labels: u64) -> bool {
        let Recent::Few(few) = self.recent else {
            return false;
        };
        let print = Fingerprint { hash, at, labels };
        let last = few.newest();
        self.has_constant_id |= last.has_id_of(&print) && last.hash != print.hash;
        let found = self.find(few.in_order(), print);
        if last.is_elsewhere(&print) {
            self.recent = Recent::Many(few.in_order().chain([print]).collect());
        } else if let Recent::Few(few) = &mut self.recent {
            few.push(print);
        }
        found
    }

    #[inline(never)]
    fn is_copy_of_many(&mut self, hash: u64, at: Timestamp, labels: u64) -> bool {
        let Recent::Many(many) = &mut self.recent else {
            return false;
        };
        let print = Fingerprint { hash, at, labels };
        let mut many = std::mem::take(many);
        if let Some(last) = many.back() {
            self.has_constant_id |= last.has_id_of(&print) && last.hash != print.hash;
        }
        // The copy of a packet is as far back as the queue is long, and the oldest come first.
        let found = self.find(many.iter().copied(), print);
        let limit = if self.at_two_points {
            MAX_RECENT_AT_TWO_POINTS
        } else {
            MAX_RECENT
        };
        if many.len() >= limit {
            many.pop_front();
        }
        many.push_back(print);
        self.recent = Recent::Many(many);
        found
    }

    /// Whether one of these is the packet that `print` is a copy of.
    fn find(&mut self, mut seen: impl Iterator<Item = Fingerprint>, print: Fingerprint) -> bool {
        let telling_id = !self.has_constant_id && print.has_telling_id();
        let at_two_points = &mut self.at_two_points;
        seen.any(|seen| {
            let elsewhere = seen.is_elsewhere(&print);
            let same = seen.hash == print.hash && seen.has_id_of(&print);
            *at_two_points |= same && elsewhere;
            same && (elsewhere
                || (telling_id && print.at.since(seen.at).abs() <= MAX_COPY_DELAY_NS))
        })
    }
}

impl Pack for CopyWatch {
    /// Without the packets: what comes after a connection has long been at rest is no copy of them.
    fn pack(&self, to: &mut Packer<'_>) {
        let CopyWatch {
            recent: _,
            at_two_points,
            has_constant_id,
        } = self;
        at_two_points.pack(to);
        has_constant_id.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        CopyWatch {
            recent: Recent::default(),
            at_two_points: Pack::unpack(from),
            has_constant_id: Pack::unpack(from),
        }
    }
}

impl Few {
    #[inline]
    fn is_empty(&self) -> bool {
        !self.is_full && self.next == 0
    }

    #[inline]
    fn newest(&self) -> Fingerprint {
        let newest = self.next.wrapping_sub(1) % FEW_RECENT;
        self.prints[usize::from(newest)]
    }

    #[inline]
    fn holds(&self, hash: u64) -> bool {
        self.prints.iter().any(|print| print.hash == hash)
    }

    #[inline]
    fn push(&mut self, print: Fingerprint) {
        let at = self.next % FEW_RECENT;
        self.prints[usize::from(at)] = print;
        self.next = (at + 1) % FEW_RECENT;
        self.is_full |= self.next == 0;
    }

    /// From the oldest on.
    fn in_order(self) -> impl Iterator<Item = Fingerprint> {
        let (newer, older) = self.prints.split_at(usize::from(self.next % FEW_RECENT));
        let older = if self.is_full { older } else { &[] };
        let prints: Vec<_> = older.iter().chain(newer).copied().collect();
        prints.into_iter()
    }
}

impl Fingerprint {
    const ID_BITS: u32 = 17;
    const ID: u64 = (1 << Self::ID_BITS) - 1;

    #[inline]
    fn of(segment: &Segment<'_>, hashing: &DefaultHashBuilder) -> Self {
        let mut hasher = hashing.build_hasher();
        hasher.write(segment.header());
        hasher.write_u32(segment.payload_len);
        let id = segment.ip.id.map_or(0, |id| u64::from(id) + 1);
        let outbound = segment.ip.outbound.map_or(0, |out| u64::from(out) + 1);
        let point = u64::from(segment.interface) << 10 | outbound << 8 | u64::from(segment.ip.ttl);
        Fingerprint {
            hash: hasher.finish(),
            at: segment.at,
            labels: point << Self::ID_BITS | id,
        }
    }

    #[inline]
    fn has_id_of(&self, other: &Self) -> bool {
        (self.labels ^ other.labels) & Self::ID == 0
    }

    /// Whether there is an IPv4 identification, and not zero.
    #[inline]
    fn has_telling_id(&self) -> bool {
        self.labels & Self::ID > 1
    }

    #[inline]
    fn is_elsewhere(&self, other: &Self) -> bool {
        (self.labels ^ other.labels) >> Self::ID_BITS != 0
    }
}
