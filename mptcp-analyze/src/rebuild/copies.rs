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
const MAX_COPY_DELAY: u32 = 100_000_000 >> Ticks::SHIFT;

/// Recognises the copies among the packets that one end of a stream sends.
#[derive(Debug)]
pub(super) enum CopyWatch {
    /// All seen at one interface, direction and distance: so are those of nearly all ends, which take
    /// no allocation.
    Few(Few),
    Many(Box<Many>),
}

impl Default for CopyWatch {
    fn default() -> Self {
        CopyWatch::Few(Few::default())
    }
}

/// The latest packets of an end that was seen at one point, in a ring.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Few {
    keys: [u64; FEW_RECENT as usize],
    times: [Ticks; FEW_RECENT as usize],
    /// Where all were captured: the parts of a [`Point`], without its padding.
    interface: u32,
    way: u16,
    /// Packets taken up to now; beyond the length of the ring only its place there counts.
    count: u8,
    has_constant_id: bool,
}

/// The latest packets of an end that was seen at more than one point.
#[derive(Debug, Default)]
pub(super) struct Many {
    /// Oldest first.
    prints: VecDeque<Fingerprint>,
    /// Whether a copy from another capture point was seen.
    at_two_points: bool,
    /// Whether two different packets in a row had the same IPv4 identification: the end does not
    /// count them, and the number tells nothing about repetitions.
    has_constant_id: bool,
}

/// What makes two packets the same packet.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fingerprint {
    print: Print,
    point: Point,
}

/// What is the same wherever a packet is captured, and when it came.
#[derive(Debug, Clone, Copy, Default)]
struct Print {
    /// The identification, and above it as much of the hash as there is room for.
    key: u64,
    at: Ticks,
}

/// A time in units of 1,024 ns. They begin again after 73 minutes, when no packet has the header of one
/// of the latest few unless it is made up.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks(u32);

impl Ticks {
    const SHIFT: u32 = 10;

    #[inline]
    fn of(at: Timestamp) -> Self {
        let low = (at.0 >> Self::SHIFT).cast_unsigned() & u64::from(u32::MAX);
        Ticks(u32::try_from(low).unwrap_or_default())
    }

    fn distance(self, other: Self) -> u32 {
        self.0.wrapping_sub(other.0).cast_signed().unsigned_abs()
    }
}

/// Where a packet is captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Point {
    interface: u32,
    /// Direction and TTL.
    way: u16,
}

impl CopyWatch {
    /// A copy has the same TCP header, length and IPv4 identification, and either another capture
    /// point (interface, direction, TTL), or came at once with an identification that a repetition
    /// would not have.
    #[expect(
        clippy::inline_always,
        reason = "once for each packet: the fingerprint stays in registers"
    )]
    #[inline(always)]
    pub(super) fn is_copy(&mut self, print: Fingerprint) -> bool {
        let CopyWatch::Few(few) = self else {
            return self.is_copy_of_many(print.print.key, print.print.at, print.point);
        };
        !few.passes(print) && self.is_copy_of_few(print.print.key, print.print.at, print.point)
    }

    // The parts of the fingerprint, so that it needs no memory where it is made.
    #[cold]
    fn is_copy_of_few(&mut self, key: u64, at: Ticks, point: Point) -> bool {
        let CopyWatch::Few(few) = self else {
            return false;
        };
        if few.point() != point {
            *self = CopyWatch::Many(Box::new(few.many()));
            return self.is_copy_of_many(key, at, point);
        }
        let new = Print { key, at };
        few.has_constant_id |= few.newest().is_another_with_id_of(&new);
        let telling_id = !few.has_constant_id && new.has_telling_id();
        let found = telling_id && few.prints().any(|seen| new.repeats_at_once(&seen));
        few.push(new);
        found
    }

    #[inline(never)]
    fn is_copy_of_many(&mut self, key: u64, at: Ticks, point: Point) -> bool {
        let CopyWatch::Many(many) = self else {
            return false;
        };
        many.is_copy(Fingerprint {
            print: Print { key, at },
            point,
        })
    }
}

impl Many {
    fn is_copy(&mut self, new: Fingerprint) -> bool {
        if let Some(last) = self.prints.back() {
            self.has_constant_id |= last.print.is_another_with_id_of(&new.print);
        }
        let telling_id = !self.has_constant_id && new.print.has_telling_id();
        let at_two_points = &mut self.at_two_points;
        // The copy of a packet is as far back as the queue is long, and the oldest come first.
        let found = self.prints.iter().any(|seen| {
            let elsewhere = seen.point != new.point;
            let same = seen.print.key == new.print.key;
            *at_two_points |= same && elsewhere;
            same && (elsewhere || (telling_id && new.print.repeats_at_once(&seen.print)))
        });
        let limit = if self.at_two_points {
            MAX_RECENT_AT_TWO_POINTS
        } else {
            MAX_RECENT
        };
        if self.prints.len() >= limit {
            self.prints.pop_front();
        }
        self.prints.push_back(new);
        found
    }
}

impl Pack for CopyWatch {
    /// Without the packets: what comes after a connection has long been at rest is no copy of them.
    fn pack(&self, to: &mut Packer<'_>) {
        let (at_two_points, has_constant_id) = match self {
            CopyWatch::Few(few) => (false, few.has_constant_id),
            CopyWatch::Many(many) => (many.at_two_points, many.has_constant_id),
        };
        at_two_points.pack(to);
        has_constant_id.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let (at_two_points, has_constant_id) = (bool::unpack(from), bool::unpack(from));
        if at_two_points {
            return CopyWatch::Many(Box::new(Many {
                prints: VecDeque::new(),
                at_two_points,
                has_constant_id,
            }));
        }
        CopyWatch::Few(Few {
            has_constant_id,
            ..Few::default()
        })
    }
}

impl Few {
    /// Takes a packet that looks like none of the latest, and came by the same way; otherwise nothing is
    /// done.
    #[expect(
        clippy::inline_always,
        reason = "once for each packet: the fingerprint stays in registers"
    )]
    #[inline(always)]
    pub(super) fn passes(&mut self, print: Fingerprint) -> bool {
        if self.count == 0 {
            (self.interface, self.way) = (print.point.interface, print.point.way);
        } else {
            if self.holds(print.print.key) || self.point() != print.point {
                return false;
            }
            self.has_constant_id |= self.newest().has_id_of(&print.print);
        }
        self.push(print.print);
        true
    }

    /// TTL of all its packets.
    pub(super) fn ttl(&self) -> u8 {
        self.way.to_le_bytes()[0]
    }

    #[inline]
    fn point(&self) -> Point {
        Point {
            interface: self.interface,
            way: self.way,
        }
    }

    #[inline]
    fn newest(&self) -> Print {
        let place = usize::from(self.count.wrapping_sub(1) % FEW_RECENT);
        Print {
            key: self.keys[place],
            at: self.times[place],
        }
    }

    #[inline]
    fn holds(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    #[inline]
    fn push(&mut self, print: Print) {
        let place = usize::from(self.count % FEW_RECENT);
        self.keys[place] = print.key;
        self.times[place] = print.at;
        self.count += 1;
        if self.count == 2 * FEW_RECENT {
            self.count = FEW_RECENT;
        }
    }

    /// From the oldest on.
    fn prints(&self) -> impl Iterator<Item = Print> {
        let next = usize::from(self.count % FEW_RECENT);
        let older = if self.count < FEW_RECENT {
            0..0
        } else {
            next..self.keys.len()
        };
        let places = older.chain(0..next);
        places.map(|place| Print {
            key: self.keys[place],
            at: self.times[place],
        })
    }

    fn many(&self) -> Many {
        let point = self.point();
        Many {
            prints: self
                .prints()
                .map(|print| Fingerprint { print, point })
                .collect(),
            at_two_points: false,
            has_constant_id: self.has_constant_id,
        }
    }
}

impl Print {
    const ID_BITS: u32 = 17;
    const ID: u64 = (1 << Self::ID_BITS) - 1;

    #[inline]
    fn has_id_of(&self, other: &Self) -> bool {
        (self.key ^ other.key) & Self::ID == 0
    }

    fn is_another_with_id_of(&self, other: &Self) -> bool {
        self.has_id_of(other) && self.key != other.key
    }

    /// Whether there is an IPv4 identification, and not zero.
    #[inline]
    fn has_telling_id(&self) -> bool {
        self.key & Self::ID > 1
    }

    fn repeats_at_once(&self, seen: &Self) -> bool {
        self.key == seen.key && self.at.distance(seen.at) <= MAX_COPY_DELAY
    }
}

impl Fingerprint {
    /// The point where the packet was captured.
    #[inline]
    pub(super) fn interface(&self) -> u32 {
        self.point.interface
    }

    #[expect(
        clippy::inline_always,
        reason = "once for each packet: the parts stay in registers"
    )]
    #[inline(always)]
    pub(super) fn of(segment: &Segment<'_>, hashing: &DefaultHashBuilder) -> Self {
        let mut hasher = hashing.build_hasher();
        hasher.write(segment.header());
        hasher.write_u32(segment.payload_len);
        let id = segment.ip.id.map_or(0, |id| u64::from(id) + 1);
        let outbound = segment.ip.outbound.map_or(0, |out| u16::from(out) + 1);
        Fingerprint {
            print: Print {
                key: hasher.finish() << Print::ID_BITS | id,
                at: Ticks::of(segment.at),
            },
            point: Point {
                interface: segment.interface,
                way: outbound << 8 | u16::from(segment.ip.ttl),
            },
        }
    }
}
