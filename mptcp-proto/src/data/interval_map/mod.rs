//! Values on ranges of places; what came first stays.

mod runs;

use std::ops::Range;

use runs::{At, Runs};

/// Places of a store are between `-PLACE_LIMIT` and `PLACE_LIMIT`.
///
/// Nothing is further from a connection's start than a quarter of the DSN space unless a peer made
/// its numbers up, and sums of two such numbers cannot overflow.
pub const PLACE_LIMIT: i64 = 1 << 62;

/// A map from ranges of places to values in which the first value of a place stays.
///
/// Appending to one of the highest runs costs no search and no allocation.
#[derive(Debug, Clone)]
pub struct IntervalMap<V: Copy + Eq> {
    runs: Runs<V>,
}

/// What is below the runs of a map, without its values, once a limit was reached: of these places it is known that they have a value, but no longer which.
#[derive(Debug, Clone)]
struct Old {
    runs: Runs<()>,
    /// All old places are below, and all others are not.
    top: i64,
    /// Everything below was forgotten.
    bottom: i64,
    forgotten_runs: u64,
    /// Places of those.
    forgotten_len: u64,
    /// Calls that were not answered in full.
    refused: u64,
}

impl Default for Old {
    fn default() -> Self {
        Old {
            runs: Runs::new(),
            top: -PLACE_LIMIT,
            bottom: -PLACE_LIMIT,
            forgotten_runs: 0,
            forgotten_len: 0,
            refused: 0,
        }
    }
}

/// What is known of a stretch of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<V> {
    /// Nothing: after [`IntervalMap::claim`] the stretch has the new value.
    Free,
    /// It had this value already and keeps it.
    By(V),
    /// It had a value, and which one was forgotten because of [`IntervalMap::MAX_RUNS`]; or the range
    /// asked for falls into more than [`IntervalMap::MAX_STRETCHES`] stretches.
    Unknown,
}

/// A part of the range that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch<V> {
    /// Its places.
    pub range: Range<i64>,
    /// What is known of them.
    pub held: Held<V>,
}

impl Old {
    fn is_empty(&self) -> bool {
        self.runs.count() == 0 && self.forgotten_runs == 0
    }
}

impl<V> Stretch<V> {
    /// Number of places.
    pub fn len(&self) -> u64 {
        length(&self.range)
    }

    /// Whether it has no place; the stores never report such a stretch.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl<V: Copy + Eq> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Copy + Eq> IntervalMap<V> {
    /// Runs that are kept with their values (half a MiB). Beyond, those of the lower half lose them,
    /// and become one wherever they touch.
    ///
    /// Two subflows that take turns make a run a turn. With a turn every 4 KB the upper half are the
    /// latest 32 MB, more than is in flight: who sent older bytes first matters to nobody.
    pub const MAX_RUNS: usize = 16_384;

    /// Stretches that one call reports; the rest of the range is [`Held::Unknown`].
    ///
    /// The largest payload, 64 KiB, in segments of 536 bytes has half as many. Without a limit
    /// single bytes in turns would make every later call walk through tens of thousands.
    pub const MAX_STRETCHES: usize = 256;

    /// An empty map.
    pub const fn new() -> Self {
        Self { runs: Runs::new() }
    }

    /// Gives `value` to the places of `range` that have none, and appends to `out` what was found
    /// there, in order.
    ///
    /// An empty range and places beyond [`PLACE_LIMIT`] are ignored.
    pub fn claim(&mut self, range: Range<i64>, value: V, out: &mut Vec<Stretch<V>>) {
        let Some(range) = within_limits(&range) else {
            return;
        };
        if let Some(held) = self.claim_whole(&range, value) {
            out.push(Stretch { range, held });
            return;
        }
        let first_new = out.len();
        self.walk(&range, out);
        for stretch in out.iter().skip(first_new) {
            if stretch.held == Held::Free {
                self.add_run(&stretch.range, value);
            }
        }
        self.keep_limits();
    }

    /// Does what [`Self::claim`] does if one answer holds for all of `range`, and nothing else.
    #[inline]
    pub fn claim_whole(&mut self, range: &Range<i64>, value: V) -> Option<Held<V>> {
        let (at, held) = self.find_whole(range)?;
        if held == Held::Free {
            self.runs.insert(at, range.clone(), value);
            if self.runs.count() > Self::MAX_RUNS {
                self.keep_limits();
            }
        }
        Some(held)
    }

    /// Does what [`Self::claim`] does if nothing is known of `range`; otherwise `false`, and nothing is
    /// done.
    #[inline]
    pub fn claim_free(&mut self, range: &Range<i64>, value: V) -> bool {
        let Some((at, Held::Free)) = self.find_whole(range) else {
            return false;
        };
        self.runs.insert(at, range.clone(), value);
        if self.runs.count() > Self::MAX_RUNS {
            self.keep_limits();
        }
        true
    }

    /// Does what [`Self::claim`] does if nothing is known of `range` and it continues one of the
    /// highest runs; `false` when it does not, or it is not easily seen, and nothing was done.
    #[inline]
    pub fn extend(&mut self, range: &Range<i64>, value: V) -> bool {
        range.end <= PLACE_LIMIT && self.runs.extend(range, value)
    }

    /// Appends to `out` what is known of `range`, in order, and changes no value.
    pub fn look_up(&mut self, range: Range<i64>, out: &mut Vec<Stretch<V>>) {
        let Some(range) = within_limits(&range) else {
            return;
        };
        if let Some(held) = self.look_up_whole(&range) {
            out.push(Stretch { range, held });
            return;
        }
        self.walk(&range, out);
    }

    /// What is known of `range`, if that is the same for all of it.
    #[inline]
    pub fn look_up_whole(&self, range: &Range<i64>) -> Option<Held<V>> {
        if let Some(value) = self.runs.value_of(range) {
            return Some(Held::By(value));
        }
        self.find_whole(range).map(|(_, held)| held)
    }

    /// Whether a place of `range` has a value.
    pub fn overlaps(&self, range: &Range<i64>) -> bool {
        !range.is_empty() && self.overlapping(range).next().is_some()
    }

    /// The runs whose values are known, in order. Runs of one value that touch are one.
    pub fn runs(&self) -> impl Iterator<Item = (&Range<i64>, V)> {
        self.runs.iter().map(|run| (&run.range, run.value))
    }

    /// The places that have a value, in order; ranges that touch may be told apart.
    pub fn covered(&self) -> impl Iterator<Item = &Range<i64>> {
        let old = self.runs.old().into_iter().flat_map(|old| old.runs.iter());
        old.map(|run| &run.range)
            .chain(self.runs.iter().map(|run| &run.range))
    }

    /// From the first to one past the last place that has a value.
    pub fn span(&self) -> Option<Range<i64>> {
        let first = self.covered().next()?;
        let old = self.runs.old().and_then(|old| old.runs.last());
        let last = self.runs.last().map(|run| &run.range);
        let last = last.or(old.map(|run| &run.range))?;
        Some(first.start..last.end)
    }

    /// How many places have ever got a value, forgotten ones included. Looks at every run.
    pub fn len(&self) -> u64 {
        let forgotten = self.runs.old().map_or(0, |old| old.forgotten_len);
        self.covered()
            .map(length)
            .fold(forgotten, u64::saturating_add)
    }

    /// Whether no place has ever got a value.
    pub fn is_empty(&self) -> bool {
        self.runs.count() == 0 && self.runs.old().is_none_or(Old::is_empty)
    }

    /// Runs in memory.
    pub fn run_count(&self) -> usize {
        let old = self.runs.old().map_or(0, |old| old.runs.count());
        self.runs.count().saturating_add(old)
    }

    /// How many runs were forgotten altogether because of [`Self::MAX_RUNS`].
    pub fn forgotten_runs(&self) -> u64 {
        self.runs.old().map_or(0, |old| old.forgotten_runs)
    }

    /// How many calls were not answered in full because of [`Self::MAX_STRETCHES`] or
    /// [`Self::MAX_RUNS`].
    pub fn refused(&self) -> u64 {
        self.runs.old().map_or(0, |old| old.refused)
    }

    /// What is known of `range` if that is the same for all of it, and where its first place is.
    #[inline]
    fn find_whole(&self, range: &Range<i64>) -> Option<(At, Held<V>)> {
        if self.runs.old().is_some_and(|old| range.start < old.top)
            || range.start < -PLACE_LIMIT
            || range.end > PLACE_LIMIT
            || range.is_empty()
        {
            return None;
        }
        let at = self.runs.find(range.start);
        match self.runs.get(at) {
            None => Some((at, Held::Free)),
            Some(next) if next.range.start >= range.end => Some((at, Held::Free)),
            Some(run) if run.range.start <= range.start && range.end <= run.range.end => {
                Some((at, Held::By(run.value)))
            }
            Some(_) => None,
        }
    }

    /// The runs that have places of `range`, old ones as [`Held::Unknown`].
    fn overlapping(&self, range: &Range<i64>) -> impl Iterator<Item = (&Range<i64>, Held<V>)> {
        let Range { start, end } = *range;
        let old = self.runs.old().into_iter().flat_map(move |old| {
            let runs = old.runs.from(old.runs.find(start));
            runs.map(|run| (&run.range, Held::Unknown))
        });
        let runs = self.runs.from(self.runs.find(start));
        old.chain(runs.map(|run| (&run.range, Held::By(run.value))))
            .take_while(move |(run, _)| run.start < end)
    }

    /// Cuts `range` where runs begin and end.
    fn walk(&mut self, range: &Range<i64>, out: &mut Vec<Stretch<V>>) {
        let first_new = out.len();
        let most = first_new.saturating_add(Self::MAX_STRETCHES);
        let bottom = self.runs.old().map_or(-PLACE_LIMIT, |old| old.bottom);
        let mut at = range.start;
        push(out, at..range.end.min(bottom), Held::Unknown);
        at = at.max(bottom.min(range.end));
        for (run, held) in self.overlapping(&(at..range.end)) {
            if out.len().saturating_add(2) > most {
                break;
            }
            push(out, at..run.start, Held::Free);
            push(out, at.max(run.start)..run.end.min(range.end), held);
            at = at.max(run.end.min(range.end));
        }
        let rest = at..range.end;
        let held = if self.overlaps(&rest) {
            Held::Unknown
        } else {
            Held::Free
        };
        push(out, rest, held);
        let new = out.get(first_new..).unwrap_or_default();
        if new.iter().any(|stretch| stretch.held == Held::Unknown) {
            // So many runs, or old ones, are in blocks.
            if let Some(old) = self.runs.made_old() {
                old.refused = old.refused.saturating_add(1);
            }
        }
    }

    /// Gives `value` to places that have none.
    fn add_run(&mut self, range: &Range<i64>, value: V) {
        let mut start = range.start;
        if let Some(old) = self.runs.old_mut()
            && range.start < old.top
        {
            let below = start..range.end.min(old.top);
            start = below.end;
            let at = old.runs.find(below.start);
            old.runs.insert(at, below, ());
        }
        if start < range.end {
            let at = self.runs.find(start);
            self.runs.insert(at, start..range.end, value);
        }
    }

    fn keep_limits(&mut self) {
        if self.runs.count() > Self::MAX_RUNS {
            self.age();
        }
        if let Some(old) = self.runs.old_mut() {
            while old.runs.count() > Self::MAX_RUNS {
                let lowest = old.runs.take_lowest();
                old.bottom = lowest.last().map_or(old.bottom, |run| run.range.end);
                let count = u64::try_from(lowest.len()).unwrap_or(u64::MAX);
                old.forgotten_runs = old.forgotten_runs.saturating_add(count);
                let len = lowest.iter().map(|run| length(&run.range));
                old.forgotten_len = len.fold(old.forgotten_len, u64::saturating_add);
            }
        }
    }

    /// Makes the lower half of the runs old.
    #[cold]
    fn age(&mut self) {
        let mut old = self.runs.take_old().unwrap_or_default();
        while self.runs.count() > Self::MAX_RUNS / 2 {
            for run in self.runs.take_lowest() {
                old.top = run.range.end;
                let at = old.runs.find(run.range.start);
                old.runs.insert(at, run.range, ());
            }
        }
        self.runs.set_old(old);
    }
}

fn push<V>(out: &mut Vec<Stretch<V>>, range: Range<i64>, held: Held<V>) {
    if !range.is_empty() {
        out.push(Stretch { range, held });
    }
}

fn length(range: &Range<i64>) -> u64 {
    range.end.checked_sub(range.start).map_or(0, |len| {
        // A range that goes backwards has no place in it.
        u64::try_from(len).unwrap_or(0)
    })
}

fn within_limits(range: &Range<i64>) -> Option<Range<i64>> {
    let range = range.start.max(-PLACE_LIMIT)..range.end.min(PLACE_LIMIT);
    (!range.is_empty()).then_some(range)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod work;
