//! Contiguous bytes of a stream, in pieces.

use std::collections::VecDeque;

use super::Payload;

/// The bytes from one place of a stream to another, as the pieces they came in.
///
/// Appending, and taking from the front, cost the same however much there is; finding a place takes
/// a binary search.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    start: u64,
    end: u64,
    /// Place of the first byte of each piece, and the piece.
    list: VecDeque<(u64, Payload)>,
}

impl Pieces {
    /// No byte yet; the first will have the place `at`.
    pub(super) fn new(at: u64) -> Self {
        Self {
            start: at,
            end: at,
            list: VecDeque::new(),
        }
    }

    /// Place of the first byte.
    pub(super) const fn start(&self) -> u64 {
        self.start
    }

    /// Place after the last byte.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// Number of bytes.
    pub(super) const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no byte.
    pub(super) const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of pieces.
    pub(super) fn piece_count(&self) -> usize {
        self.list.len()
    }

    /// Appends `piece`. Small pieces are copied together: a peer that sends one byte at a time must
    /// not make us keep a block for each.
    pub(super) fn push_back(&mut self, piece: Payload) {
        if piece.is_empty() {
            return;
        }
        let piece = piece.compact();
        let len = wide(piece.len());
        match self.list.back_mut() {
            Some((_, last)) if last.len() < SMALL && piece.len() < SMALL => {
                *last = Payload::from_vec([last.as_slice(), piece.as_slice()].concat());
            }
            _ => self.list.push_back((self.end, piece)),
        }
        self.end = self.end.saturating_add(len);
    }

    /// Puts `piece` before the first byte.
    pub(super) fn push_front(&mut self, piece: Payload) {
        if piece.is_empty() {
            return;
        }
        let piece = piece.compact();
        self.start = self.start.saturating_sub(wide(piece.len()));
        match self.list.front_mut() {
            Some((at, first)) if first.len() < SMALL && piece.len() < SMALL => {
                *first = Payload::from_vec([piece.as_slice(), first.as_slice()].concat());
                *at = self.start;
            }
            _ => self.list.push_front((self.start, piece)),
        }
    }

    /// Appends all of `other`, which begins where this ends, and leaves nothing there.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.list.len() < other.list.len() {
            while let Some(piece) = self.list.pop_back() {
                other.list.push_front(piece);
            }
            std::mem::swap(&mut self.list, &mut other.list);
        } else {
            self.list.append(&mut other.list);
        }
        self.end = other.end;
        other.start = other.end;
    }

    /// Begins anew at the place `at`, with the memory that it has.
    pub(super) fn reset(&mut self, at: u64) {
        self.list.clear();
        (self.start, self.end) = (at, at);
    }

    /// Takes up to `max` bytes from the front, no more than the first piece has.
    pub(super) fn pop_front(&mut self, max: usize) -> Option<Payload> {
        let (at, first) = self.list.front_mut()?;
        let taken = if first.len() <= max {
            self.list.pop_front()?.1
        } else {
            *at = at.saturating_add(wide(max));
            first.take_front(max)
        };
        self.start = self.start.saturating_add(wide(taken.len()));
        Some(taken)
    }

    /// Frees everything before the place `to`.
    pub(super) fn drop_front(&mut self, to: u64) {
        let to = to.min(self.end);
        while self.start < to {
            let left = to.saturating_sub(self.start);
            if self.pop_front(narrow(left)).is_none() {
                return;
            }
        }
    }

    /// Up to `max` bytes from the place `at` on, no more than the piece there has.
    pub(super) fn get(&self, at: u64, max: usize) -> Option<Payload> {
        if at < self.start || at >= self.end || max == 0 {
            return None;
        }
        let (place, piece) = self.list.get(self.index_of(at))?;
        let skip = narrow(at.saturating_sub(*place));
        Some(piece.slice(skip..skip.saturating_add(max)))
    }

    /// Up to `max` bytes from the place `at` on, copied together where several pieces hold them.
    pub(super) fn copy(&self, at: u64, max: usize) -> Option<Payload> {
        let first = self.get(at, max)?;
        let mut next = at.saturating_add(wide(first.len()));
        if first.len() == max || next >= self.end {
            return Some(first);
        }
        let mut bytes = first.to_vec();
        while let Some(piece) = self.get(next, max.saturating_sub(bytes.len())) {
            bytes.extend_from_slice(&piece);
            next = next.saturating_add(wide(piece.len()));
        }
        Some(Payload::from_vec(bytes))
    }

    /// How many of `bytes`, which are said to lie from the place `at` on, are others here. Bytes
    /// outside are not counted.
    pub(super) fn differing(&self, at: u64, bytes: &[u8]) -> u64 {
        let skip = self.start.saturating_sub(at);
        let mut rest = bytes.get(narrow(skip)..).unwrap_or_default();
        let mut at = at.max(self.start);
        let mut differing = 0_u64;
        while let Some(piece) = self.get(at, rest.len()) {
            let (same_place, after) = rest.split_at_checked(piece.len()).unwrap_or((rest, &[]));
            // Comparing whole slices is what is fast, and they are equal unless someone interferes.
            if *same_place != *piece {
                let different = same_place.iter().zip(piece.iter()).filter(|(a, b)| a != b);
                differing = differing.saturating_add(wide(different.count()));
            }
            at = at.saturating_add(wide(piece.len()));
            rest = after;
        }
        differing
    }

    /// The pieces, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Payload> {
        self.list.iter().map(|(_, piece)| piece)
    }

    /// Index of the piece with the place `at`, which is in range.
    fn index_of(&self, at: u64) -> usize {
        // What is looked for is nearly always at one of the ends.
        if self.list.back().is_some_and(|(place, _)| *place <= at) {
            return self.list.len().saturating_sub(1);
        }
        let after = self.list.partition_point(|(place, _)| *place <= at);
        after.saturating_sub(1)
    }
}

/// A length as a distance between places.
pub(super) const fn wide(len: usize) -> u64 {
    len as u64
}

/// A distance between places as a length; one that memory cannot hold is cut.
pub(super) fn narrow(distance: u64) -> usize {
    usize::try_from(distance).unwrap_or(usize::MAX)
}

/// Pieces shorter than this are copied together.
const SMALL: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(pieces: &Pieces) -> Vec<u8> {
        pieces.iter().flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn small_pieces_are_put_together() {
        let mut pieces = Pieces::new(0);
        for n in 0..=255 {
            pieces.push_back(Payload::from_slice(&[n]));
        }
        assert_eq!(pieces.piece_count(), 2);
        assert_eq!(bytes(&pieces), (0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn bytes_are_found_by_place_across_pieces() {
        let mut pieces = Pieces::new(1000);
        for n in 0..4 {
            pieces.push_back(Payload::from_vec(vec![n; 200]));
        }
        assert_eq!(pieces.get(1399, 500).unwrap().as_slice(), [1]);
        assert_eq!(pieces.copy(1399, 3).unwrap().as_slice(), [1, 2, 2]);
        assert_eq!(pieces.copy(1799, 3).unwrap().as_slice(), [3]);
        assert!(pieces.get(999, 1).is_none() && pieces.get(1800, 1).is_none());
        pieces.drop_front(1401);
        assert_eq!((pieces.start(), pieces.len()), (1401, 399));
        assert_eq!(pieces.pop_front(1000).unwrap().len(), 199);
    }

    #[test]
    fn only_differing_bytes_that_both_have_are_counted() {
        let mut pieces = Pieces::new(10);
        pieces.push_back(Payload::from_vec(vec![1; 200]));
        pieces.push_back(Payload::from_vec(vec![2; 200]));
        let mut claimed = vec![9; 10];
        claimed.extend(vec![1; 200]);
        claimed.extend([2, 2, 7]);
        assert_eq!(pieces.differing(0, &claimed), 1);
        assert_eq!(pieces.differing(408, &[2, 3, 3]), 1);
        assert_eq!(pieces.differing(500, &[2]), 0);
    }

    #[test]
    fn appended_pieces_follow_each_other_either_way_round() {
        for (first, second) in [(1, 5), (5, 1)] {
            let mut pieces = Pieces::new(7);
            (0..first).for_each(|_| pieces.push_back(Payload::from_vec(vec![1; 200])));
            let mut tail = Pieces::new(pieces.end());
            (0..second).for_each(|_| tail.push_back(Payload::from_vec(vec![2; 200])));
            pieces.append(&mut tail);
            assert_eq!((pieces.start(), pieces.len()), (7, 1200));
            let border = 7 + 200 * first;
            assert_eq!(pieces.copy(border - 1, 2).unwrap().as_slice(), [1, 2]);
            assert_eq!(pieces.piece_count(), 6);
        }
    }
}
