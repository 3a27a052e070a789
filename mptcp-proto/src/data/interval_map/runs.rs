//! Runs of places in order: what an interval map keeps.

use std::ops::Range;

/// Runs in a block. Entering one in the middle moves half a block, 1 KiB or so.
const BLOCK: usize = 128;

/// Runs that are looked at from the end before a search begins: nearly all places that are asked
/// for lie in one of the last few.
const NEAR_END: usize = 8;

/// Places side by side that have one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run<V> {
    pub(super) range: Range<i64>,
    pub(super) value: V,
}

/// Runs that do not overlap, in order, in blocks: entering a run costs the same wherever it goes,
/// and next to nothing at the end.
#[derive(Debug, Clone)]
pub(super) struct Runs<V> {
    /// None of them empty.
    blocks: Vec<Vec<Run<V>>>,
    count: usize,
}

/// Where a run is, or would be.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    block: usize,
    index: usize,
}

impl<V: Copy + Eq> Runs<V> {
    /// No run.
    pub(super) const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            count: 0,
        }
    }

    /// How many runs there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Where the first run is that ends after `place`.
    #[inline]
    pub(super) fn find(&self, place: i64) -> At {
        let last = self.blocks.len().saturating_sub(1);
        let latest = self.blocks.last().map_or(&[][..], Vec::as_slice);
        let is_in_latest = latest.first().is_none_or(|run| run.range.start <= place);
        if last == 0 || is_in_latest {
            let index = index_of(latest, place);
            return At { block: last, index };
        }
        self.find_in_older(place)
    }

    fn find_in_older(&self, place: i64) -> At {
        let block = self
            .blocks
            .partition_point(|block| block.last().is_none_or(|run| run.range.end <= place));
        let index = self
            .blocks
            .get(block)
            .map_or(0, |runs| index_of(runs, place));
        At { block, index }
    }

    /// The run at `at`; none at the end.
    #[inline]
    pub(super) fn get(&self, at: At) -> Option<&Run<V>> {
        self.blocks.get(at.block)?.get(at.index)
    }

    /// The runs from `at` on.
    pub(super) fn from(&self, at: At) -> impl Iterator<Item = &Run<V>> {
        let first = self
            .blocks
            .get(at.block)
            .and_then(|runs| runs.get(at.index..));
        let later = self.blocks.get(at.block.saturating_add(1)..);
        first
            .into_iter()
            .chain(later.into_iter().flatten().map(Vec::as_slice))
            .flatten()
    }

    /// All runs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run<V>> {
        self.blocks.iter().flatten()
    }

    /// The last run.
    pub(super) fn last(&self) -> Option<&Run<V>> {
        self.blocks.last()?.last()
    }

    /// Enters `range`, which no run has a place of; `at` is where [`Self::find`] finds its start.
    /// It becomes one run with its neighbours if they touch and have the same value.
    #[inline]
    pub(super) fn insert(&mut self, at: At, range: Range<i64>, value: V) {
        let joins_next = self
            .get(at)
            .is_some_and(|next| next.range.start == range.end && next.value == value);
        if let Some(before) = self.before(at)
            && before.range.end == range.start
            && before.value == value
        {
            before.range.end = range.end;
            if joins_next {
                self.join_next(at);
            }
        } else if joins_next {
            if let Some(next) = self.get_mut(at) {
                next.range.start = range.start;
            }
        } else {
            self.insert_new(at, Run { range, value });
        }
    }

    /// The value of all of `range`, if one of the last runs has it.
    #[inline]
    pub(super) fn value_of(&self, range: &Range<i64>) -> Option<V> {
        let latest = self.blocks.last()?;
        let mut near_end = latest.iter().rev().take(NEAR_END);
        let run = near_end.find(|run| run.range.start <= range.start)?;
        (range.start < range.end && range.end <= run.range.end).then_some(run.value)
    }

    /// Makes one of the last runs longer by `range`, if it ends where the range begins, has the same
    /// value, and there is room before the next one.
    #[inline]
    pub(super) fn extend(&mut self, range: &Range<i64>, value: V) -> bool {
        let Some(latest) = self.blocks.last_mut() else {
            return false;
        };
        let mut room_to = i64::MAX;
        for run in latest.iter_mut().rev().take(NEAR_END) {
            if run.range.end == range.start && run.value == value {
                // A run that touches the next one may have to become one with it.
                let fits = range.start < range.end && range.end < room_to;
                if fits {
                    run.range.end = range.end;
                }
                return fits;
            }
            if run.range.end < range.start {
                return false;
            }
            room_to = run.range.start;
        }
        false
    }

    fn get_mut(&mut self, at: At) -> Option<&mut Run<V>> {
        self.blocks.get_mut(at.block)?.get_mut(at.index)
    }

    #[inline]
    fn before(&mut self, at: At) -> Option<&mut Run<V>> {
        match at.index.checked_sub(1) {
            Some(index) => self.blocks.get_mut(at.block)?.get_mut(index),
            None => self.blocks.get_mut(at.block.checked_sub(1)?)?.last_mut(),
        }
    }

    /// Makes the run at `at` and the one before it one.
    fn join_next(&mut self, at: At) {
        let Some(runs) = self.blocks.get_mut(at.block) else {
            return;
        };
        if at.index >= runs.len() {
            return;
        }
        let end = runs.remove(at.index).range.end;
        if runs.is_empty() {
            self.blocks.remove(at.block);
        }
        self.count = self.count.saturating_sub(1);
        if let Some(before) = self.before(at) {
            before.range.end = end;
        }
    }

    fn insert_new(&mut self, at: At, run: Run<V>) {
        self.count = self.count.saturating_add(1);
        let At { block, index } = at;
        let is_last = block.saturating_add(1) >= self.blocks.len();
        let Some(runs) = self.blocks.get_mut(block) else {
            // Most maps never have a second block.
            self.blocks.reserve_exact(1);
            self.blocks.push(vec![run]);
            return;
        };
        if runs.len() < BLOCK {
            if index == runs.len() {
                runs.push(run);
            } else {
                runs.insert(index, run);
            }
        } else if is_last && index == runs.len() {
            let mut fresh = Vec::with_capacity(BLOCK);
            fresh.push(run);
            self.blocks.push(fresh);
        } else {
            let mut upper = runs.split_off(BLOCK / 2);
            match index.checked_sub(BLOCK / 2) {
                Some(index) if index > 0 => upper.insert(index, run),
                _ => runs.insert(index.min(runs.len()), run),
            }
            self.blocks.insert(block.saturating_add(1), upper);
        }
    }

    /// Takes out the lowest block of runs.
    pub(super) fn take_lowest(&mut self) -> Vec<Run<V>> {
        if self.blocks.is_empty() {
            return Vec::new();
        }
        let lowest = self.blocks.remove(0);
        self.count = self.count.saturating_sub(lowest.len());
        lowest
    }
}

/// Index of the first run that ends after `place`.
#[inline]
fn index_of<V>(runs: &[Run<V>], place: i64) -> usize {
    let mut rest = runs;
    for _ in 0..NEAR_END {
        match rest.split_last() {
            Some((last, before)) if last.range.end > place => rest = before,
            _ => return rest.len(),
        }
    }
    rest.partition_point(|run| run.range.end <= place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Enters single places in this order, and looks after each at what the next one can move: a
    /// block of runs, and the list of blocks, which is as long as half of them are full.
    #[track_caller]
    fn check_order(order: impl Iterator<Item = i64>) {
        let mut runs = Runs::new();
        for (count, place) in (1..).zip(order) {
            let at = runs.find(place);
            runs.insert(at, place..place + 1, ());
            assert_eq!(runs.count(), count);
            assert!(runs.blocks.len() <= 2 * count / BLOCK + 1);
        }
        assert!(runs.blocks.iter().all(|block| block.len() <= BLOCK));
        assert!(runs.iter().is_sorted_by_key(|run| run.range.start));
    }

    const COUNT: i64 = 20_000;

    #[test]
    fn no_order_makes_an_insertion_move_more_than_a_block() {
        check_order((0..COUNT).map(|step| step * 2));
        check_order((0..COUNT).rev().map(|step| step * 2));
        // From both ends to the middle, and every other one twice.
        check_order((0..COUNT).map(|step| step * 2 * if step % 2 == 0 { 1 } else { -1 }));
        check_order((0..COUNT).map(|step| (step * 7919 % COUNT) * 2));
        let halves = (0..COUNT / 2).map(|step| step * 4);
        check_order(halves.clone().chain(halves.rev().map(|place| place + 2)));
    }

    #[test]
    fn runs_that_touch_become_one_across_blocks() {
        let mut runs = Runs::new();
        for step in (0..1000).chain(1001..2000) {
            let at = runs.find(step * 2);
            runs.insert(at, step * 2..step * 2 + 1, ());
        }
        for step in 0..2000 {
            let at = runs.find(step * 2 + 1);
            runs.insert(at, step * 2 + 1..step * 2 + 2, ());
        }
        let at = runs.find(2000);
        runs.insert(at, 2000..2001, ());
        assert_eq!(runs.count(), 1);
        assert_eq!(runs.last().map(|run| run.range.clone()), Some(0..4000));
    }
}
