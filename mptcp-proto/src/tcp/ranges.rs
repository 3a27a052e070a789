//! Sorted ranges of stream positions that neither overlap nor touch.

use std::collections::VecDeque;
use std::ops::Range;

/// The ranges. To insert at either end costs nothing, elsewhere a search and a move.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges {
    runs: VecDeque<Range<u64>>,
}

impl Ranges {
    /// Adds a range, and gives the run that it is part of now.
    pub(super) fn insert(&mut self, range: Range<u64>) -> Range<u64> {
        let from = self.runs.partition_point(|run| run.end < range.start);
        let to = self.runs.partition_point(|run| run.start <= range.end);
        let mut merged = range;
        for run in self.runs.range(from..to.max(from)) {
            merged.start = merged.start.min(run.start);
            merged.end = merged.end.max(run.end);
        }
        if to > from.saturating_add(1) {
            self.runs.drain(from.saturating_add(1)..to);
        }
        match self.runs.get_mut(from) {
            Some(run) if to > from => *run = merged.clone(),
            _ => self.runs.insert(from, merged.clone()),
        }
        merged
    }

    /// Appends to `out` what of `range` is in no run.
    pub(super) fn gaps(&self, range: &Range<u64>, out: &mut Vec<Range<u64>>) {
        let from = self.runs.partition_point(|run| run.end <= range.start);
        let mut start = range.start;
        for run in self.runs.range(from..) {
            if run.start >= range.end {
                break;
            }
            if run.start > start {
                out.push(start..run.start);
            }
            start = start.max(run.end);
        }
        if start < range.end {
            out.push(start..range.end);
        }
    }

    /// The run that holds `position`.
    pub(super) fn containing(&self, position: u64) -> Option<Range<u64>> {
        let index = self.runs.partition_point(|run| run.end <= position);
        let run = self.runs.get(index)?;
        run.contains(&position).then(|| run.clone())
    }

    /// Forgets all before `position`.
    pub(super) fn remove_below(&mut self, position: u64) {
        while let Some(run) = self.runs.front_mut() {
            if run.end > position {
                run.start = run.start.max(position);
                return;
            }
            self.runs.pop_front();
        }
    }

    /// The lowest run.
    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.runs.front().cloned()
    }

    /// The highest run.
    pub(super) fn last(&self) -> Option<Range<u64>> {
        self.runs.back().cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn ranges_equal_a_set_of_positions(
            inserted in prop::collection::vec((0_u64..60, 1_u64..9), 0..30),
            probe in (0_u64..60, 1_u64..20),
            cut in 0_u64..60,
        ) {
            let mut ranges = Ranges::default();
            let mut naive = BTreeSet::new();
            for (start, len) in inserted {
                let merged = ranges.insert(start..start + len);
                naive.extend(start..start + len);
                prop_assert!(merged.clone().all(|position| naive.contains(&position)));
                prop_assert!(merged.start == 0 || !naive.contains(&(merged.start - 1)));
                prop_assert!(!naive.contains(&merged.end));
            }
            let probed = probe.0..probe.0 + probe.1;
            let mut gaps = Vec::new();
            ranges.gaps(&probed, &mut gaps);
            let missing: Vec<u64> = gaps.into_iter().flatten().collect();
            let expected: Vec<u64> = probed.filter(|p| !naive.contains(p)).collect();
            prop_assert_eq!(missing, expected);
            ranges.remove_below(cut);
            naive.retain(|&position| position >= cut);
            for position in 0..80 {
                prop_assert_eq!(ranges.containing(position).is_some(), naive.contains(&position));
            }
        }
    }
}
