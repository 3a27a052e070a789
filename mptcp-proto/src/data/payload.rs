//! Bytes that are sent, shared by every copy of them that waits for an acknowledgement.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A range of a block of bytes. To clone or to cut it copies no byte.
#[derive(Clone, Default)]
pub struct Payload {
    /// None when empty, which then costs no allocation.
    block: Option<Arc<[u8]>>,
    start: usize,
    end: usize,
}

impl Payload {
    /// No bytes.
    pub const EMPTY: Self = Self {
        block: None,
        start: 0,
        end: 0,
    };

    /// A whole block.
    pub fn new(block: Arc<[u8]>) -> Self {
        let end = block.len();
        Self {
            block: Some(block),
            start: 0,
            end,
        }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        let block = self.block.as_deref().unwrap_or_default();
        block.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes.
    pub const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A part of it; what lies past its end is left out.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = self.start.saturating_add(range.start).min(self.end);
        let end = self.start.saturating_add(range.end).clamp(start, self.end);
        Self {
            block: self.block.clone(),
            start,
            end,
        }
    }

    /// Takes the first `len` bytes off, or all when there are fewer.
    #[must_use]
    pub fn split_to(&mut self, len: usize) -> Self {
        let head = self.slice(0..len);
        self.start = head.end;
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
            self.end = next.end;
        }
        joins
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self::new(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() {
            return Self::EMPTY;
        }
        Self::new(Arc::from(bytes))
    }
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
    fn parts_share_the_block() {
        let whole = Payload::from(&b"abcdef"[..]);
        let mut rest = whole.clone();
        let head = rest.split_to(2);
        assert_eq!((&*head, &*rest), (&b"ab"[..], &b"cdef"[..]));
        assert_eq!(&*rest.slice(1..3), b"de");
        let mut joined = head;
        assert!(joined.try_join(&rest));
        assert_eq!(joined, whole);
    }

    #[test]
    fn a_part_past_the_end_is_cut() {
        let mut whole = Payload::from(&b"abc"[..]);
        assert_eq!(&*whole.slice(2..9), b"c");
        assert!(whole.slice(7..9).is_empty());
        assert_eq!(whole.slice(usize::MAX..usize::MAX).len(), 0);
        assert_eq!(&*whole.split_to(9), b"abc");
        assert!(whole.is_empty());
    }

    #[test]
    fn bytes_of_two_blocks_do_not_join() {
        let mut first = Payload::from(&b"abc"[..]);
        assert!(!first.try_join(&Payload::from(&b"def"[..])));
        let gap = first.slice(2..3);
        let mut head = first.slice(0..1);
        assert!(!head.try_join(&gap));
        assert!(!head.try_join(&Payload::EMPTY));
    }
}
