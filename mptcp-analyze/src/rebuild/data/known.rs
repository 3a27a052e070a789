//! The mappings that are known.

use std::collections::VecDeque;

use super::open_mappings::{MappingKey, NOWHERE, reserve_few};
use crate::rebuild::pack::{Pack, Packer, Unpacker};

/// Mappings in the order of their keys; most are added at the end.
///
/// Many directions of short connections have one, which takes no memory of its own.
#[derive(Debug, Clone)]
pub(super) enum KnownList {
    None,
    One(Known),
    Many(VecDeque<Known>),
}

impl KnownList {
    pub(super) fn len(&self) -> usize {
        match self {
            KnownList::None => 0,
            KnownList::One(_) => 1,
            KnownList::Many(many) => many.len(),
        }
    }

    /// The highest.
    #[inline]
    pub(super) fn back(&self) -> Option<&Known> {
        match self {
            KnownList::None => None,
            KnownList::One(one) => Some(one),
            KnownList::Many(many) => many.back(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Known> {
        let (one, many) = match self {
            KnownList::None => (None, None),
            KnownList::One(one) => (Some(one), None),
            KnownList::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Known> {
        let (one, many) = match self {
            KnownList::None => (None, None),
            KnownList::One(one) => (Some(one), None),
            KnownList::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// Whether the mapping is there.
    pub(super) fn holds(&self, key: &MappingKey) -> bool {
        match self {
            KnownList::None => false,
            KnownList::One(one) => one.key() == *key,
            KnownList::Many(many) => many.binary_search_by(|known| known.key().cmp(key)).is_ok(),
        }
    }

    /// Those with this first byte.
    pub(super) fn at(&self, place: i64, data: i64) -> impl Iterator<Item = &Known> {
        let first = (place, data);
        let (one, many) = match self {
            KnownList::None => (None, None),
            KnownList::One(one) => (Some(one), None),
            KnownList::Many(many) => {
                let from = many.partition_point(|known| (known.place, known.data) < first);
                (None, Some(many.range(from..)))
            }
        };
        one.into_iter()
            .chain(many.into_iter().flatten())
            .skip_while(move |known| (known.place, known.data) < first)
            .take_while(move |known| (known.place, known.data) == first)
    }

    /// Adds a mapping that is not there.
    pub(super) fn insert(&mut self, known: Known) {
        match self {
            KnownList::None => *self = KnownList::One(known),
            KnownList::One(one) => {
                let mut many = VecDeque::with_capacity(2);
                many.push_back(*one);
                many.insert(usize::from(one.key() < known.key()), known);
                *self = KnownList::Many(many);
            }
            KnownList::Many(many) => insert_ordered(many, known),
        }
    }

    /// Takes out the lowest.
    pub(super) fn pop_front(&mut self) -> Option<Known> {
        match self {
            KnownList::None => None,
            KnownList::One(one) => {
                let one = *one;
                *self = KnownList::None;
                Some(one)
            }
            KnownList::Many(many) => many.pop_front(),
        }
    }
}

fn insert_ordered(many: &mut VecDeque<Known>, known: Known) {
    match many.back() {
        Some(highest) if highest.key() >= known.key() => {
            let key = known.key();
            let at = many.partition_point(|other| other.key() < key);
            many.insert(at, known);
        }
        _ => {
            reserve_few(many);
            many.push_back(known);
        }
    }
}

/// A mapping that is known, and how many bytes of payload it covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) place: i64,
    pub(super) data: i64,
    pub(super) len: u16,
    pub(super) payload_len: u16,
}

impl Known {
    pub(super) fn new(key: MappingKey, payload_len: u16) -> Self {
        let MappingKey { place, data, len } = key;
        Known {
            place,
            data,
            len,
            payload_len,
        }
    }

    #[inline]
    pub(super) fn key(&self) -> MappingKey {
        MappingKey {
            place: self.place,
            data: self.data,
            len: self.len,
        }
    }
}

impl Known {
    /// What would be there if one ended at `end`.
    pub(super) fn before(end: i64) -> Self {
        let place = if end == NOWHERE { 0 } else { end };
        Known {
            place,
            data: place,
            len: 0,
            payload_len: 0,
        }
    }

    pub(super) fn end(&self) -> i64 {
        self.place.saturating_add(i64::from(self.payload_len))
    }

    fn offset(&self) -> i64 {
        self.data.wrapping_sub(self.place)
    }

    /// Packs it by what it has in common with the one before.
    pub(super) fn pack_behind(&self, before: &Self, to: &mut Packer<'_>) {
        self.place.wrapping_sub(before.end()).pack(to);
        self.offset().wrapping_sub(before.offset()).pack(to);
        self.len.pack(to);
        self.len.wrapping_sub(self.payload_len).pack(to);
    }

    pub(super) fn unpack_behind(before: &Self, from: &mut Unpacker<'_>) -> Self {
        let place = before.end().wrapping_add(i64::unpack(from));
        let offset = before.offset().wrapping_add(i64::unpack(from));
        let len = u16::unpack(from);
        Known {
            place,
            data: place.wrapping_add(offset),
            len,
            payload_len: len.wrapping_sub(u16::unpack(from)),
        }
    }
}
