//! Bytes that several owners share without copying them.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::wire::checksum::PartialSum;

/// A range of a block of bytes. Cloning and slicing cost a reference count; the block is freed with
/// its last range.
///
/// A range that reaches past the end is cut there, so that no length from outside can panic.
#[derive(Clone, Default)]
pub struct Payload {
    /// None when empty, which then costs no allocation.
    block: Option<Arc<[u8]>>,
    start: usize,
    end: usize,
    /// The sum of all of the range, where it is known: it is lost with the first change of the range.
    sum: Option<PartialSum>,
}

impl Payload {
    /// No bytes.
    pub const EMPTY: Self = Self {
        block: None,
        start: 0,
        end: 0,
        sum: None,
    };

    /// A whole block.
    pub fn new(block: Arc<[u8]>) -> Self {
        let end = block.len();
        Self {
            block: (end > 0).then_some(block),
            start: 0,
            end,
            sum: None,
        }
    }

    /// The same bytes, whose sum is known.
    #[must_use]
    pub(crate) const fn with_sum(mut self, sum: Option<PartialSum>) -> Self {
        self.sum = sum;
        self
    }

    /// The sum of its bytes.
    pub(crate) fn sum(&self) -> PartialSum {
        self.sum.unwrap_or_else(|| PartialSum::of(self))
    }

    /// These bytes.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self::new(bytes.into())
    }

    /// A copy of these bytes.
    pub fn from_slice(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self::new(bytes.into())
    }

    /// The part of it that `range` says, counted from its own beginning.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = self.start.saturating_add(range.start).min(self.end);
        let end = self.start.saturating_add(range.end).min(self.end);
        let end = end.max(start);
        let is_all = (start, end) == (self.start, self.end);
        Self {
            block: self.block.clone(),
            start,
            end,
            sum: self.sum.filter(|_| is_all),
        }
    }

    /// Its first `at` bytes, and the rest.
    #[must_use]
    pub fn split_at(&self, at: usize) -> (Self, Self) {
        (self.slice(0..at), self.slice(at..self.len()))
    }

    /// Takes the first `len` bytes off, or all when there are fewer.
    #[must_use]
    pub fn split_to(&mut self, len: usize) -> Self {
        let head = self.slice(0..len);
        self.move_to(head.end.max(self.start), self.end);
        head
    }

    /// Appends `next` when it lies right behind in the same block, and says whether it does.
    pub fn try_join(&mut self, next: &Self) -> bool {
        let same = match (&self.block, &next.block) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            _ => false,
        };
        let joins = same && self.end == next.start;
        if joins {
            self.move_to(self.start, next.end);
        }
        joins
    }

    /// Number of bytes.
    pub const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no byte.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let block = self.block.as_deref().unwrap_or_default();
        block.get(self.start..self.end).unwrap_or_default()
    }

    /// Bytes of memory that it keeps alive, which can be many more than it has.
    pub fn block_len(&self) -> usize {
        self.block.as_deref().map_or(0, <[u8]>::len)
    }

    /// The same bytes, in a block of their own if the block they are in is more than
    /// [`MAX_WASTE`](Self::MAX_WASTE) times as large: a peer that sends large segments of which one
    /// byte is new must not fill the memory.
    #[must_use]
    pub fn compact(self) -> Self {
        if self.block_len() > self.len().saturating_mul(Self::MAX_WASTE) {
            Self::from_slice(self.as_slice())
        } else {
            self
        }
    }

    /// Takes the first `len` bytes off, or itself when there are no more than that: unlike
    /// [`Self::split_to`] it counts no reference then.
    #[must_use]
    pub fn take_front(&mut self, len: usize) -> Self {
        if len >= self.len() {
            std::mem::take(self)
        } else {
            self.split_to(len)
        }
    }

    /// Drops its first `len` bytes.
    pub fn advance(&mut self, len: usize) {
        self.move_to(self.start.saturating_add(len).min(self.end), self.end);
    }

    /// Drops everything after its first `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.move_to(self.start, self.start.saturating_add(len).min(self.end));
    }

    /// Another range of the same block.
    fn move_to(&mut self, start: usize, end: usize) {
        if (start, end) != (self.start, self.end) {
            self.sum = None;
        }
        (self.start, self.end) = (start, end);
    }

    /// Bytes of a block that one byte may keep alive after [`Payload::compact`].
    pub const MAX_WASTE: usize = 4;
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_vec(bytes)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self::from_slice(bytes)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Payload {}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_counts_from_the_beginning_of_what_is_sliced() {
        let payload = Payload::from_slice(b"0123456789");
        assert_eq!(payload.slice(2..8).slice(1..3).as_slice(), b"34");
        let (head, tail) = payload.split_at(4);
        assert_eq!((head.as_slice(), &tail[..]), (&b"0123"[..], &b"456789"[..]));
    }

    #[test]
    #[expect(
        clippy::reversed_empty_ranges,
        reason = "a caller's mistake must not panic"
    )]
    fn a_range_past_the_end_is_cut() {
        let payload = Payload::from_slice(b"0123456789").slice(2..5);
        assert_eq!(payload.slice(1..usize::MAX).as_slice(), b"34");
        assert!(payload.slice(7..9).is_empty());
        assert!(payload.slice(2..1).is_empty());
        assert_eq!(payload.split_at(usize::MAX).0, payload);
    }

    #[test]
    fn slices_share_their_block_until_they_would_waste_it() {
        let payload = Payload::from_vec(vec![7; 100]);
        assert_eq!(payload.slice(0..25).compact().block_len(), 100);
        assert_eq!(payload.slice(0..24).compact().block_len(), 24);
    }

    #[test]
    fn front_and_end_are_dropped_in_place() {
        let mut payload = Payload::from_slice(b"0123456789");
        payload.advance(2);
        payload.truncate(5);
        assert_eq!(payload.take_front(2).as_slice(), b"23");
        assert_eq!(payload.as_slice(), b"456");
        payload.truncate(9);
        assert_eq!(payload.take_front(9).as_slice(), b"456");
        payload.advance(9);
        assert!(payload.is_empty());
    }

    #[test]
    fn only_neighbours_in_one_block_join() {
        let whole = Payload::from_slice(b"0123456789");
        let mut head = whole.slice(2..4);
        assert!(!head.try_join(&whole.slice(5..7)));
        assert!(!head.try_join(&Payload::from_slice(b"45")));
        assert!(head.try_join(&whole.slice(4..7)));
        assert_eq!(head.as_slice(), b"23456");
    }

    #[test]
    fn a_known_sum_is_never_that_of_other_bytes() {
        let bytes = *b"0123456789";
        let whole = Payload::from_slice(&bytes).with_sum(Some(PartialSum::of(&bytes)));
        let check = |payload: &Payload| assert_eq!(payload.sum(), PartialSum::of(payload));
        check(&whole);
        assert_eq!(whole.slice(0..99).sum, whole.sum);
        let (head, tail) = whole.split_at(3);
        let mut rest = whole.clone();
        let first = rest.split_to(3);
        for part in [&head, &tail, &rest, &first, &whole.slice(2..7)] {
            check(part);
        }
        let mut joined = head.clone().with_sum(Some(PartialSum::of(&head)));
        assert!(joined.try_join(&tail));
        check(&joined);
        let mut cut = whole.clone();
        cut.truncate(99);
        assert_eq!(cut.sum, whole.sum);
        cut.truncate(8);
        check(&cut);
        cut = cut.with_sum(Some(PartialSum::of(&bytes[..8])));
        cut.advance(1);
        check(&cut);
    }

    #[test]
    fn no_byte_of_a_payload_is_printed() {
        assert_eq!(
            format!("{:?}", Payload::from_slice(b"secret")),
            "Payload(6 bytes)"
        );
    }
}
