//! Packets that are captured twice: on `any`, by a mirror port, or at two points of their way.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

use hashbrown::DefaultHashBuilder;

use super::pack::{Pack, Packer, Unpacker};
use crate::model::{Segment, Timestamp};

/// Packets per direction that a new packet is compared with to recognise a copy: the copy of a
/// mirror port, or of a handshake that passes two capture points, is among the next few.
const FEW_RECENT: usize = 4;

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
    /// Whether its packets were seen at more than one interface, direction or distance.
    has_points: bool,
}

/// The packets that a new one is compared with, oldest first. Nearly all ends need a few only, which
/// take no allocation.
#[derive(Debug)]
enum Recent {
    Few(u8, [Fingerprint; FEW_RECENT]),
    Many(VecDeque<Fingerprint>),
}

impl Default for Recent {
    fn default() -> Self {
        Recent::Few(0, [Fingerprint::default(); FEW_RECENT])
    }
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
    /// would not have.
    #[inline]
    pub(super) fn is_copy(&mut self, segment: &Segment<'_>) -> bool {
        let print = Fingerprint::of(segment);
        let (older, newer) = self.recent.as_slices();
        if let Some(last) = newer.last().or(older.last()) {
            self.has_constant_id |= last.has_id_of(&print) && last.hash != print.hash;
        }
        // Nearly always nothing is the same, and nothing was seen elsewhere.
        let differs = |seen: &Fingerprint| {
            u64::from(seen.hash == print.hash)
                | (seen.labels ^ print.labels) >> Fingerprint::ID_BITS
        };
        let sum = |recent: &[Fingerprint]| recent.iter().fold(0, |sum, seen| sum | differs(seen));
        if !self.has_points && sum(older) | sum(newer) == 0 {
            self.recent.push(print, FEW_RECENT);
            return false;
        }
        self.find_copy(print)
    }

    /// The same with a packet that may be a copy.
    fn find_copy(&mut self, print: Fingerprint) -> bool {
        let (older, newer) = self.recent.as_slices();
        let telling_id = !self.has_constant_id && print.has_telling_id();
        let mut points = false;
        let mut at_two_points = false;
        // The copy of a packet is as far back as the queue is long, and the oldest come first.
        let mut is_original = |seen: &Fingerprint| {
            let elsewhere = seen.is_elsewhere(&print);
            points |= elsewhere;
            let same = seen.hash == print.hash && seen.has_id_of(&print);
            at_two_points |= same && elsewhere;
            same && (elsewhere
                || (telling_id && print.at.since(seen.at).abs() <= MAX_COPY_DELAY_NS))
        };
        let found = older.iter().any(&mut is_original) || newer.iter().any(&mut is_original);
        self.has_points |= points;
        self.at_two_points |= at_two_points;
        let limit = if self.at_two_points {
            MAX_RECENT_AT_TWO_POINTS
        } else if self.has_points {
            MAX_RECENT
        } else {
            FEW_RECENT
        };
        self.recent.push(print, limit);
        found
    }
}

impl Pack for CopyWatch {
    /// Without the packets: what comes after a connection has long been at rest is no copy of them.
    fn pack(&self, to: &mut Packer<'_>) {
        let CopyWatch {
            recent: _,
            at_two_points,
            has_constant_id,
            has_points,
        } = self;
        at_two_points.pack(to);
        has_constant_id.pack(to);
        has_points.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        CopyWatch {
            recent: Recent::default(),
            at_two_points: Pack::unpack(from),
            has_constant_id: Pack::unpack(from),
            has_points: Pack::unpack(from),
        }
    }
}

impl Recent {
    #[inline]
    fn as_slices(&self) -> (&[Fingerprint], &[Fingerprint]) {
        match self {
            Recent::Few(count, few) => (few.get(..usize::from(*count)).unwrap_or(few), &[]),
            Recent::Many(many) => many.as_slices(),
        }
    }

    #[inline]
    fn push(&mut self, print: Fingerprint, limit: usize) {
        match self {
            Recent::Few(count, few) if usize::from(*count) < FEW_RECENT => {
                few[usize::from(*count)] = print;
                *count += 1;
            }
            Recent::Few(_, few) if limit == FEW_RECENT => {
                *few = [few[1], few[2], few[3], print];
            }
            Recent::Few(_, few) => {
                let mut many = VecDeque::from(few.to_vec());
                many.push_back(print);
                *self = Recent::Many(many);
            }
            Recent::Many(many) => {
                if many.len() >= limit {
                    many.pop_front();
                }
                many.push_back(print);
            }
        }
    }
}

impl Fingerprint {
    const ID_BITS: u32 = 17;
    const ID: u64 = (1 << Self::ID_BITS) - 1;

    #[inline]
    fn of(segment: &Segment<'_>) -> Self {
        // A fixed state would let a capture be made whose packets collide, and a collision hides
        // one packet at most; the hash never leaves this comparison.
        let mut hasher = FINGERPRINTS.with(BuildHasher::build_hasher);
        hasher.write(segment.header);
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

thread_local! {
    static FINGERPRINTS: DefaultHashBuilder = DefaultHashBuilder::default();
}
