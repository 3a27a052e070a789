//! A set of places of a stream.

use std::collections::VecDeque;
use std::ops::Range;

/// Places as sorted ranges that do not touch.
///
/// Adding behind the highest range and removing the lowest ones take constant time; anything else is
/// a binary search, and a shift of the ranges above.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges(VecDeque<Range<u64>>);

impl Ranges {
    /// Adds all places of `range`.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        match self.0.back_mut() {
            Some(last) if range.start > last.end => self.0.push_back(range),
            Some(last) if range.start >= last.start => last.end = last.end.max(range.end),
            None => self.0.push_back(range),
            Some(_) => self.insert_between(range),
        }
    }

    /// Removes all places of `range`.
    pub(super) fn remove(&mut self, range: &Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|held| held.end <= range.start);
        let last = self.0.partition_point(|held| held.start < range.end);
        if first >= last {
            return;
        }
        let before = self.0.get(first).map(|held| held.start..range.start);
        let after = self
            .0
            .get(last.saturating_sub(1))
            .map(|held| range.end..held.end);
        let rest = [before, after].into_iter().flatten();
        let rest: Vec<_> = rest.filter(|part| !part.is_empty()).collect();
        self.replace(first..last, rest);
    }

    /// Removes all places below `to`.
    pub(super) fn drop_below(&mut self, to: u64) {
        while let Some(first) = self.0.front_mut() {
            if first.end <= to {
                self.0.pop_front();
            } else {
                first.start = first.start.max(to);
                return;
            }
        }
    }

    /// The range with the place `at`.
    pub(super) fn range_at(&self, at: u64) -> Option<&Range<u64>> {
        let index = self.0.partition_point(|held| held.end <= at);
        self.0.get(index).filter(|held| held.contains(&at))
    }

    /// The parts of `range` that are in the set, in order.
    pub(super) fn within(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.0.partition_point(|held| held.end <= range.start);
        self.0
            .range(first..)
            .map(move |held| held.start.max(range.start)..held.end.min(range.end))
            .take_while(|part| !part.is_empty())
    }

    /// The ranges, lowest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Number of ranges.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Number of places.
    pub(super) fn len(&self) -> u64 {
        let lengths = self
            .0
            .iter()
            .map(|held| held.end.saturating_sub(held.start));
        lengths.fold(0, u64::saturating_add)
    }

    /// Whether there is no place.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert_between(&mut self, range: Range<u64>) {
        // Ranges that only touch become one as well.
        let first = self.0.partition_point(|held| held.end < range.start);
        let last = self.0.partition_point(|held| held.start <= range.end);
        let mut whole = range;
        for held in self.0.range(first..last.max(first)) {
            whole = whole.start.min(held.start)..whole.end.max(held.end);
        }
        self.replace(first..last.max(first), vec![whole]);
    }

    fn replace(&mut self, old: Range<usize>, new: Vec<Range<u64>>) {
        let at = old.start;
        self.0.drain(old);
        for range in new.into_iter().rev() {
            self.0.insert(at, range);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_the_set_of_their_places(
            steps in prop::collection::vec((0_u64..60, 0_u64..12, 0_u8..4), 0..80),
        ) {
            let mut ranges = Ranges::default();
            let mut naive: BTreeSet<u64> = BTreeSet::new();
            for (start, len, what) in steps {
                let range = start..start + len;
                match what {
                    0 | 1 => { ranges.insert(range.clone()); naive.extend(range.clone()); }
                    2 => { ranges.remove(&range); naive.retain(|at| !range.contains(at)); }
                    _ => { ranges.drop_below(start / 2); naive.retain(|at| *at >= start / 2); }
                }
                let places: Vec<u64> = ranges.iter().cloned().flatten().collect();
                prop_assert_eq!(&places, &naive.iter().copied().collect::<Vec<_>>());
                let touch = ranges.iter().zip(ranges.iter().skip(1)).any(|(a, b)| a.end >= b.start);
                prop_assert!(!touch, "{:?}", ranges);
                let within: Vec<u64> = ranges.within(range.clone()).flatten().collect();
                prop_assert_eq!(within, naive.range(range).copied().collect::<Vec<_>>());
                for at in 0..72 {
                    prop_assert_eq!(ranges.range_at(at).is_some(), naive.contains(&at));
                }
            }
        }
    }
}
