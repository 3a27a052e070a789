//! Values on ranges of places; what came first stays.

use std::collections::VecDeque;
use std::ops::Range;

use rangemap::RangeMap;

/// Places of a store are between `-PLACE_LIMIT` and `PLACE_LIMIT`.
///
/// Nothing is further from a connection's start than a quarter of the DSN space unless a peer made
/// its numbers up, and sums of two such numbers cannot overflow.
pub const PLACE_LIMIT: i64 = 1 << 62;

/// A map from ranges of places to values in which the first value of a place stays.
///
/// Appending to one of the runs that were written last costs no search and no allocation.
#[derive(Debug, Clone)]
pub struct IntervalMap<V: Copy + Eq> {
    tree: RangeMap<i64, V>,
    /// Runs written last, newest first. Each may reach beyond its copy in the tree.
    open: VecDeque<OpenRun<V>>,
    /// Everything below was forgotten.
    floor: i64,
    forgotten_runs: u64,
    refused: u64,
    len: u64,
}

/// What is known of a stretch of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<V> {
    /// Nothing: after [`IntervalMap::claim`] the stretch has the new value.
    Free,
    /// It had this value already and keeps it.
    By(V),
    /// It was forgotten because of [`IntervalMap::MAX_RUNS`], or the range asked for falls into
    /// more than [`IntervalMap::MAX_STRETCHES`] stretches.
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

#[derive(Debug, Clone)]
struct OpenRun<V> {
    range: Range<i64>,
    value: V,
    /// Nothing is stored between the end of the run and here.
    free_until: i64,
    /// Whether the tree lacks a part of it.
    dirty: bool,
}

impl<V: Copy + Eq> Default for IntervalMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: Copy + Eq> IntervalMap<V> {
    /// Runs that are kept (about 1 MiB); beyond, the lowest is forgotten.
    ///
    /// Two subflows that take turns make a run a turn, so this is what a capture of 20 MB shows at
    /// the very least before old places are forgotten.
    pub const MAX_RUNS: usize = 16_384;

    /// Stretches that one call reports; the rest of the range is [`Held::Unknown`].
    ///
    /// The largest payload, 64 KiB, in segments of 536 bytes has half as many. Without a limit
    /// single bytes in turns would make every later call walk through tens of thousands.
    pub const MAX_STRETCHES: usize = 256;

    /// Runs that can be appended to without a search: one for each of so many subflows in turn.
    const OPEN_RUNS: usize = 4;

    /// An empty map.
    pub fn new() -> Self {
        Self {
            tree: RangeMap::new(),
            open: VecDeque::new(),
            floor: -PLACE_LIMIT,
            forgotten_runs: 0,
            refused: 0,
            len: 0,
        }
    }

    /// Gives `value` to the places of `range` that have none, and appends to `out` what was found
    /// there, in order.
    ///
    /// An empty range and places beyond [`PLACE_LIMIT`] are ignored.
    pub fn claim(&mut self, range: Range<i64>, value: V, out: &mut Vec<Stretch<V>>) {
        let Some(range) = within_limits(&range) else {
            return;
        };
        if self.claim_in_open_run(&range, value, out) {
            return;
        }
        self.flush();
        let first_new = out.len();
        self.walk(&range, out);
        for stretch in out.iter().skip(first_new) {
            if stretch.held == Held::Free {
                self.add_run(&stretch.range, value);
            }
        }
        self.forget_lowest();
    }

    /// Appends to `out` what is known of `range`, in order, and changes no value.
    pub fn look_up(&mut self, range: Range<i64>, out: &mut Vec<Stretch<V>>) {
        let Some(range) = within_limits(&range) else {
            return;
        };
        if let Some(run) = self.open.iter().find(|run| contains(&run.range, &range)) {
            let held = Held::By(run.value);
            out.push(Stretch { range, held });
            return;
        }
        self.flush();
        self.walk(&range, out);
    }

    /// Whether a place of `range` has a value.
    pub fn overlaps(&mut self, range: &Range<i64>) -> bool {
        self.flush();
        !range.is_empty() && self.tree.overlaps(range)
    }

    /// The runs, in order. Runs of one value that touch are one.
    pub fn runs(&mut self) -> impl Iterator<Item = (&Range<i64>, V)> {
        self.flush();
        self.tree.iter().map(|(range, value)| (range, *value))
    }

    /// From the first to one past the last place that has a value.
    pub fn span(&mut self) -> Option<Range<i64>> {
        self.flush();
        let (first, _) = self.tree.first_range_value()?;
        let (last, _) = self.tree.last_range_value()?;
        Some(first.start..last.end)
    }

    /// How many places have ever got a value, forgotten ones included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no place has ever got a value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Runs in memory.
    pub fn run_count(&mut self) -> usize {
        self.flush();
        self.tree.len()
    }

    /// How many runs were forgotten because of [`Self::MAX_RUNS`].
    pub fn forgotten_runs(&self) -> u64 {
        self.forgotten_runs
    }

    /// How many calls were not answered in full because of [`Self::MAX_STRETCHES`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn claim_in_open_run(
        &mut self,
        range: &Range<i64>,
        value: V,
        out: &mut Vec<Stretch<V>>,
    ) -> bool {
        for run in &mut self.open {
            let held = if contains(&run.range, range) {
                Held::By(run.value)
            } else if run.value == value
                && run.range.end == range.start
                && range.end <= run.free_until
            {
                run.range.end = range.end;
                run.dirty = true;
                self.len = self.len.saturating_add(length(range));
                Held::Free
            } else {
                continue;
            };
            let range = range.clone();
            out.push(Stretch { range, held });
            return true;
        }
        false
    }

    /// Brings the tree up to the open runs.
    fn flush(&mut self) {
        for run in self.open.iter_mut().filter(|run| run.dirty) {
            self.tree.insert(run.range.clone(), run.value);
            run.dirty = false;
        }
    }

    /// Cuts `range` where the tree's runs begin and end.
    fn walk(&mut self, range: &Range<i64>, out: &mut Vec<Stretch<V>>) {
        let most = out.len().saturating_add(Self::MAX_STRETCHES);
        let mut at = range.start;
        push(out, at..range.end.min(self.floor), Held::Unknown);
        at = at.max(self.floor.min(range.end));
        for (run, value) in self.tree.overlapping(range) {
            if out.len().saturating_add(2) > most {
                break;
            }
            push(out, at..run.start, Held::Free);
            push(
                out,
                at.max(run.start)..run.end.min(range.end),
                Held::By(*value),
            );
            at = at.max(run.end.min(range.end));
        }
        // Asked for an empty range, the tree would name the run that begins there.
        let rest = at..range.end;
        if !rest.is_empty() && self.tree.overlapping(rest).next().is_some() {
            self.refused = self.refused.saturating_add(1);
            push(out, at..range.end, Held::Unknown);
        } else {
            push(out, at..range.end, Held::Free);
        }
    }

    /// Adds a run where nothing is stored; it becomes the newest open one.
    fn add_run(&mut self, range: &Range<i64>, value: V) {
        self.tree.insert(range.clone(), value);
        self.len = self.len.saturating_add(length(range));
        for run in &mut self.open {
            if run.range.end <= range.start {
                run.free_until = run.free_until.min(range.start);
            }
        }
        let free_until = self
            .tree
            .overlapping(range.end..PLACE_LIMIT)
            .next()
            .map_or(PLACE_LIMIT, |(next, _)| next.start);
        // A run that ends where this one begins is never appended to again.
        self.open.retain(|run| run.range.end != range.start);
        self.open.truncate(Self::OPEN_RUNS.saturating_sub(1));
        self.open.push_front(OpenRun {
            range: range.clone(),
            value,
            free_until,
            dirty: false,
        });
    }

    fn forget_lowest(&mut self) {
        while self.tree.len() > Self::MAX_RUNS {
            let Some((lowest, _)) = self.tree.first_range_value() else {
                return;
            };
            let lowest = lowest.clone();
            self.floor = lowest.end;
            self.tree.remove(lowest);
            self.forgotten_runs = self.forgotten_runs.saturating_add(1);
            self.open.retain(|run| run.range.start >= self.floor);
        }
    }
}

fn push<V>(out: &mut Vec<Stretch<V>>, range: Range<i64>, held: Held<V>) {
    if !range.is_empty() {
        out.push(Stretch { range, held });
    }
}

fn contains(outer: &Range<i64>, inner: &Range<i64>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
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
