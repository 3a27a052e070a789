//! Runs of places in order: what an interval map keeps.

use std::ops::Range;

use super::Old;
#[cfg(test)]
use super::work;

/// Runs in a block. Entering one in the middle moves half a block, 1 KiB or so.
const BLOCK: usize = 128;

/// Runs that are kept without blocks, in memory for two more at a time.
const FEW: usize = 8;

/// Runs that are looked at from the end before a search begins: nearly all places that are asked
/// for lie in one of the last few.
const NEAR_END: usize = 8;

/// Places side by side that have one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run<V> {
    pub(super) range: Range<i64>,
    pub(super) value: V,
}

/// Runs that do not overlap, in order.
///
/// Most stores of a capture's connections never have a second run, so the first one needs no
/// memory of its own, and few that have one ever have many.
#[derive(Debug, Clone)]
pub(super) enum Runs<V> {
    None,
    One(Run<V>),
    Few(Vec<Run<V>>),
    Many(Box<Blocks<V>>),
}

/// Runs in blocks: entering one costs the same wherever it goes, and next to nothing at the end.
#[derive(Debug, Clone)]
pub(super) struct Blocks<V> {
    /// None of them empty.
    list: Vec<Vec<Run<V>>>,
    count: usize,
    /// Kept here because only a map of many runs has it.
    old: Option<Box<Old>>,
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
        Runs::None
    }

    /// How many runs there are.
    pub(super) fn count(&self) -> usize {
        match self {
            Runs::None => 0,
            Runs::One(_) => 1,
            Runs::Few(few) => few.len(),
            Runs::Many(many) => many.count,
        }
    }

    /// Where the first run is that ends after `place`.
    #[inline]
    pub(super) fn find(&self, place: i64) -> At {
        match self {
            Runs::None => At { block: 0, index: 0 },
            Runs::One(run) => At {
                block: 0,
                index: usize::from(run.range.end <= place),
            },
            Runs::Few(few) => At {
                block: 0,
                index: index_of(few, place),
            },
            Runs::Many(many) => many.find(place),
        }
    }

    /// The run at `at`; none at the end.
    #[inline]
    pub(super) fn get(&self, at: At) -> Option<&Run<V>> {
        self.block(at.block)?.get(at.index)
    }

    /// The runs from `at` on.
    pub(super) fn from(&self, at: At) -> impl Iterator<Item = &Run<V>> {
        let first = self.block(at.block).and_then(|runs| runs.get(at.index..));
        let later = self.blocks().get(at.block.saturating_add(1)..);
        first
            .into_iter()
            .chain(later.into_iter().flatten().map(Vec::as_slice))
            .flatten()
    }

    /// All runs.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Run<V>> {
        self.from(At { block: 0, index: 0 })
    }

    /// The last run.
    #[inline]
    pub(super) fn last(&self) -> Option<&Run<V>> {
        match self {
            Runs::None => None,
            Runs::One(run) => Some(run),
            Runs::Few(few) => few.last(),
            Runs::Many(many) => many.list.last()?.last(),
        }
    }

    /// Enters `range`, which no run has a place of; `at` is where [`Self::find`] finds its start.
    /// It becomes one run with its neighbours if they touch and have the same value.
    #[inline]
    pub(super) fn insert(&mut self, at: At, range: Range<i64>, value: V) {
        match self {
            Runs::None => *self = Runs::One(Run { range, value }),
            Runs::One(run) if run.range.end == range.start && run.value == value => {
                run.range.end = range.end;
            }
            Runs::One(run) if run.range.start == range.end && run.value == value => {
                run.range.start = range.start;
            }
            Runs::One(first) => {
                let mut few = Vec::with_capacity(2);
                few.push(first.clone());
                few.insert(at.index.min(1), Run { range, value });
                *self = Runs::Few(few);
            }
            Runs::Few(few) => {
                if let Some(many) = insert_few(few, at, range, value) {
                    *self = Runs::Many(Box::new(many));
                }
            }
            Runs::Many(many) => many.insert(at, range, value),
        }
    }

    /// The value of all of `range`, if one of the last runs has it.
    #[inline]
    pub(super) fn value_of(&self, range: &Range<i64>) -> Option<V> {
        let run = match self {
            Runs::None => return None,
            Runs::One(run) => (run.range.start <= range.start).then_some(run)?,
            Runs::Few(few) => last_from(few, range.start)?,
            Runs::Many(many) => last_from(many.list.last()?, range.start)?,
        };
        (range.start < range.end && range.end <= run.range.end).then_some(run.value)
    }

    /// Makes one of the last runs longer by `range`, if it ends where the range begins, has the same
    /// value, and there is room before the next one.
    #[inline]
    pub(super) fn extend(&mut self, range: &Range<i64>, value: V) -> bool {
        match self {
            Runs::None => false,
            Runs::One(run) => {
                let fits =
                    run.range.end == range.start && run.value == value && range.start < range.end;
                if fits {
                    run.range.end = range.end;
                }
                fits
            }
            Runs::Few(few) => extend(few, range, value),
            Runs::Many(many) => {
                let latest = many.list.last_mut();
                latest.is_some_and(|latest| extend(latest, range, value))
            }
        }
    }

    /// Takes out the lowest block of runs.
    pub(super) fn take_lowest(&mut self) -> Vec<Run<V>> {
        match std::mem::replace(self, Runs::None) {
            Runs::None => Vec::new(),
            Runs::One(run) => vec![run],
            Runs::Few(few) => few,
            Runs::Many(mut many) => {
                let lowest = many.take_lowest();
                *self = Runs::Many(many);
                lowest
            }
        }
    }

    /// What is below the runs; there is nothing unless there were many.
    #[inline]
    pub(super) fn old(&self) -> Option<&Old> {
        match self {
            Runs::Many(many) => many.old.as_deref(),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(super) fn old_mut(&mut self) -> Option<&mut Old> {
        match self {
            Runs::Many(many) => many.old.as_deref_mut(),
            _ => None,
        }
    }

    /// The same, made if need be.
    pub(super) fn made_old(&mut self) -> Option<&mut Old> {
        match self {
            Runs::Many(many) => Some(many.old.get_or_insert_default()),
            _ => None,
        }
    }

    /// Takes out what is below.
    pub(super) fn take_old(&mut self) -> Option<Box<Old>> {
        match self {
            Runs::Many(many) => many.old.take(),
            _ => None,
        }
    }

    /// Puts it back.
    pub(super) fn set_old(&mut self, old: Box<Old>) {
        if let Runs::Many(many) = self {
            many.old = Some(old);
        }
    }

    fn blocks(&self) -> &[Vec<Run<V>>] {
        match self {
            Runs::None | Runs::One(_) | Runs::Few(_) => &[],
            Runs::Many(many) => &many.list,
        }
    }

    #[inline]
    fn block(&self, block: usize) -> Option<&[Run<V>]> {
        match self {
            Runs::None => None,
            Runs::One(run) => (block == 0).then_some(std::slice::from_ref(run)),
            Runs::Few(few) => (block == 0).then_some(few),
            Runs::Many(many) => many.list.get(block).map(Vec::as_slice),
        }
    }
}

impl<V: Copy + Eq> Blocks<V> {
    #[inline]
    fn find(&self, place: i64) -> At {
        let last = self.list.len().saturating_sub(1);
        let latest = self.list.last().map_or(&[][..], Vec::as_slice);
        let is_in_latest = latest.first().is_none_or(|run| run.range.start <= place);
        if last == 0 || is_in_latest {
            let index = index_of(latest, place);
            return At { block: last, index };
        }
        self.find_in_older(place)
    }

    fn find_in_older(&self, place: i64) -> At {
        let block = self.list.partition_point(|block| {
            #[cfg(test)]
            work::compared();
            block.last().is_none_or(|run| run.range.end <= place)
        });
        let index = self.list.get(block).map_or(0, |runs| index_of(runs, place));
        At { block, index }
    }

    fn insert(&mut self, at: At, range: Range<i64>, value: V) {
        let next = self.list.get(at.block).and_then(|runs| runs.get(at.index));
        let joins_next =
            next.is_some_and(|next| next.range.start == range.end && next.value == value);
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

    fn get_mut(&mut self, at: At) -> Option<&mut Run<V>> {
        self.list.get_mut(at.block)?.get_mut(at.index)
    }

    #[inline]
    fn before(&mut self, at: At) -> Option<&mut Run<V>> {
        match at.index.checked_sub(1) {
            Some(index) => self.list.get_mut(at.block)?.get_mut(index),
            None => self.list.get_mut(at.block.checked_sub(1)?)?.last_mut(),
        }
    }

    /// Makes the run at `at` and the one before it one.
    fn join_next(&mut self, at: At) {
        let Some(runs) = self.list.get_mut(at.block) else {
            return;
        };
        if at.index >= runs.len() {
            return;
        }
        #[cfg(test)]
        work::moved(runs.len() - at.index);
        let end = runs.remove(at.index).range.end;
        if runs.is_empty() {
            #[cfg(test)]
            work::moved(self.list.len() - at.block);
            self.list.remove(at.block);
        }
        self.count = self.count.saturating_sub(1);
        if let Some(before) = self.before(at) {
            before.range.end = end;
        }
    }

    fn insert_new(&mut self, at: At, run: Run<V>) {
        self.count = self.count.saturating_add(1);
        let At { block, index } = at;
        let blocks = self.list.len();
        let is_last = block.saturating_add(1) >= blocks;
        let Some(runs) = self.list.get_mut(block) else {
            self.list.push(vec![run]);
            return;
        };
        #[cfg(test)]
        work::moved(runs.len() - index.min(runs.len()));
        if runs.len() < BLOCK {
            if index == runs.len() {
                runs.push(run);
            } else {
                runs.insert(index, run);
            }
        } else if is_last && index == runs.len() {
            let mut fresh = Vec::with_capacity(BLOCK);
            fresh.push(run);
            self.list.push(fresh);
        } else {
            #[cfg(test)]
            work::moved(BLOCK / 2 + blocks - block);
            let mut upper = runs.split_off(BLOCK / 2);
            match index.checked_sub(BLOCK / 2) {
                Some(index) if index > 0 => upper.insert(index, run),
                _ => runs.insert(index.min(runs.len()), run),
            }
            self.list.insert(block.saturating_add(1), upper);
        }
    }

    fn take_lowest(&mut self) -> Vec<Run<V>> {
        if self.list.is_empty() {
            return Vec::new();
        }
        #[cfg(test)]
        work::moved(self.list.len());
        let lowest = self.list.remove(0);
        self.count = self.count.saturating_sub(lowest.len());
        lowest
    }
}

/// Makes one of the last of `runs` longer by `range`; see [`Runs::extend`].
#[inline]
fn extend<V: Copy + Eq>(runs: &mut [Run<V>], range: &Range<i64>, value: V) -> bool {
    let mut room_to = i64::MAX;
    for run in runs.iter_mut().rev().take(NEAR_END) {
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

/// Enters `range` among few runs; gives them in blocks if there are too many now.
fn insert_few<V: Copy + Eq>(
    few: &mut Vec<Run<V>>,
    at: At,
    range: Range<i64>,
    value: V,
) -> Option<Blocks<V>> {
    if join(few, at.index, &range, value) {
        return None;
    }
    if few.len() < FEW {
        if few.len() == few.capacity() {
            few.reserve_exact(2);
        }
        few.insert(at.index.min(few.len()), Run { range, value });
        return None;
    }
    let mut many = Blocks {
        count: few.len(),
        list: vec![std::mem::take(few)],
        old: None,
    };
    many.insert(at, range, value);
    Some(many)
}

/// Makes `range` a part of the runs before and after `index`, if it touches one of the same value.
fn join<V: Copy + Eq>(runs: &mut Vec<Run<V>>, index: usize, range: &Range<i64>, value: V) -> bool {
    let next = runs.get_mut(index);
    let next = next.filter(|next| next.range.start == range.end && next.value == value);
    let end = next.as_ref().map(|next| next.range.end);
    if let Some(next) = next {
        next.range.start = range.start;
    }
    let before = index.checked_sub(1).and_then(|index| runs.get_mut(index));
    let before = before.filter(|run| run.range.end == range.start && run.value == value);
    let Some(before) = before else {
        return end.is_some();
    };
    before.range.end = end.unwrap_or(range.end);
    if end.is_some() {
        runs.remove(index);
    }
    true
}

/// Of the last of `runs`, the one that a range from `place` on can lie in.
#[inline]
fn last_from<V>(runs: &[Run<V>], place: i64) -> Option<&Run<V>> {
    let mut near_end = runs.iter().rev().take(NEAR_END);
    near_end.find(|run| run.range.start <= place)
}

/// Index of the first run that ends after `place`.
#[inline]
fn index_of<V>(runs: &[Run<V>], place: i64) -> usize {
    let mut rest = runs;
    for _ in 0..NEAR_END {
        #[cfg(test)]
        work::compared();
        match rest.split_last() {
            Some((last, before)) if last.range.end > place => rest = before,
            _ => return rest.len(),
        }
    }
    rest.partition_point(|run| {
        #[cfg(test)]
        work::compared();
        run.range.end <= place
    })
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
            assert!(runs.blocks().len() <= 2 * count / BLOCK + 1);
        }
        assert!(runs.blocks().iter().all(|block| block.len() <= BLOCK));
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
