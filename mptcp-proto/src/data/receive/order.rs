//! Data that arrived before those in front of them.

use std::collections::VecDeque;

use super::super::Payload;
use super::super::pieces::{Pieces, wide};
use super::{Inserted, OrderStats};
use crate::path::SubflowId;

/// Runs of contiguous data, lowest first, with holes between them.
///
/// A subflow delivers in order, and what its peer sends on it is mostly contiguous, so its data
/// mostly belong right behind those that it brought last. A hint for each subflow says where that was
/// (Raiciu et al., NSDI 2012, §4.3); only when it fails is there a search, over runs rather than
/// segments.
#[derive(Debug, Clone, Default)]
pub(super) struct OutOfOrder {
    runs: VecDeque<Pieces>,
    bytes: u64,
    /// Runs that were taken from the front so far: a hint counts them, so that it stays valid.
    taken: usize,
    /// For each subflow, the run that it brought data to last, counted with `taken`.
    hints: Vec<(SubflowId, usize)>,
    /// Empty runs, for their memory.
    spare: Vec<Pieces>,
    pub(super) stats: OrderStats,
}

impl OutOfOrder {
    /// Bytes held.
    pub(super) const fn len(&self) -> u64 {
        self.bytes
    }

    /// Runs held.
    pub(super) fn run_count(&self) -> usize {
        self.runs.len()
    }

    /// Place of the lowest byte.
    pub(super) fn start(&self) -> Option<u64> {
        self.runs.front().map(Pieces::start)
    }

    /// Place after the highest byte.
    pub(super) fn end(&self) -> Option<u64> {
        self.runs.back().map(Pieces::end)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.taken = self.taken.wrapping_add(self.runs.len());
        self.runs.clear();
        self.hints.clear();
        self.bytes = 0;
    }

    /// Takes the lowest run if it begins at `place` or before.
    pub(super) fn take_until(&mut self, place: u64) -> Option<Pieces> {
        if self.start()? > place {
            return None;
        }
        let run = self.runs.pop_front()?;
        self.taken = self.taken.wrapping_add(1);
        self.bytes = self.bytes.saturating_sub(run.len());
        Some(run)
    }

    /// Takes an empty run back.
    pub(super) fn recycle(&mut self, run: Pieces) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(run);
        }
    }

    /// Adds what is new of `payload`, whose first byte has the place `at`.
    pub(super) fn insert(
        &mut self,
        subflow: SubflowId,
        mut at: u64,
        mut payload: Payload,
        done: &mut Inserted,
    ) {
        // Runs that begin at or before the place; the last of them may reach it.
        let mut below = self.find(subflow, at);
        while !payload.is_empty() {
            let reached = below.checked_sub(1).and_then(|index| self.runs.get(index));
            let held = reached.map_or(0, |run| run.end().saturating_sub(at));
            if held > 0 {
                let known = payload.take_front(super::narrow(held));
                let differing = reached.map_or(0, |run| run.differing(at, &known));
                done.differing = done.differing.saturating_add(differing);
                done.duplicate = done.duplicate.saturating_add(wide(known.len()));
                at = at.saturating_add(wide(known.len()));
                if payload.is_empty() {
                    break;
                }
            }
            let free = match self.runs.get(below) {
                Some(next) => next.start().saturating_sub(at),
                None => u64::MAX,
            };
            let new = payload.take_front(super::narrow(free));
            let len = wide(new.len());
            if let Some(now_below) = self.add(below, at, new) {
                below = now_below;
                done.new = done.new.saturating_add(len);
                self.bytes = self.bytes.saturating_add(len);
            } else {
                done.refused = done.refused.saturating_add(len);
                below = below.saturating_add(1);
            }
            at = at.saturating_add(len);
        }
        self.set_hint(subflow, below.saturating_sub(1));
    }

    /// How many runs begin at or before `at`.
    fn find(&mut self, subflow: SubflowId, at: u64) -> usize {
        let hint = self.hints.iter().find(|(id, _)| *id == subflow);
        let hinted = hint.map(|(_, index)| index.wrapping_sub(self.taken));
        if let Some(index) = hinted
            && let Some(run) = self.runs.get(index)
        {
            let next = index.saturating_add(1);
            self.stats.comparisons = self.stats.comparisons.saturating_add(2);
            let is_before_next = self.runs.get(next).is_none_or(|next| at < next.start());
            if run.start() <= at && is_before_next {
                self.stats.shortcuts = self.stats.shortcuts.saturating_add(1);
                return next;
            }
        }
        let mut comparisons = 0;
        let below = self.runs.partition_point(|run| {
            comparisons += 1;
            run.start() <= at
        });
        self.stats.searches = self.stats.searches.saturating_add(1);
        self.stats.comparisons = self.stats.comparisons.saturating_add(comparisons);
        below
    }

    /// Adds bytes that nobody has, and that `below` runs begin before; gives how many begin at or
    /// before their end now. None when there are too many runs.
    fn add(&mut self, below: usize, at: u64, new: Payload) -> Option<usize> {
        let end = at.saturating_add(wide(new.len()));
        let touches_next = self.runs.get(below).is_some_and(|next| next.start() == end);
        let previous = below.checked_sub(1);
        if let Some(index) = previous
            && let Some(run) = self.runs.get_mut(index).filter(|run| run.end() == at)
        {
            run.push_back(new);
            if touches_next && let Some(mut next) = self.runs.remove(below) {
                if let Some(run) = self.runs.get_mut(index) {
                    run.append(&mut next);
                }
                self.recycle(next);
                self.stats.merges = self.stats.merges.saturating_add(1);
                self.move_hints(below, |index| index.wrapping_sub(1));
            }
            return Some(below);
        }
        if touches_next {
            self.runs.get_mut(below)?.push_front(new);
            return Some(below.saturating_add(1));
        }
        if self.runs.len() >= MAX_RUNS {
            return None;
        }
        let mut run = self.spare.pop().unwrap_or_default();
        run.reset(at);
        run.push_back(new);
        if below == self.runs.len() {
            self.stats.tails = self.stats.tails.saturating_add(1);
        }
        self.runs.insert(below, run);
        self.stats.runs = self.stats.runs.saturating_add(1);
        self.move_hints(below, |index| index.wrapping_add(1));
        Some(below.saturating_add(1))
    }

    /// Changes the hints for the runs from `first` on.
    fn move_hints(&mut self, first: usize, change: impl Fn(usize) -> usize) {
        for (_, index) in &mut self.hints {
            let position = index.wrapping_sub(self.taken);
            // A run that was taken has a position that no run has.
            if position >= first && position <= MAX_RUNS {
                *index = change(*index);
            }
        }
    }

    fn set_hint(&mut self, subflow: SubflowId, run: usize) {
        let hint = self.taken.wrapping_add(run);
        if let Some((_, index)) = self.hints.iter_mut().find(|(id, _)| *id == subflow) {
            *index = hint;
            return;
        }
        if self.hints.len() >= MAX_HINTS {
            self.hints.remove(0);
        }
        self.hints.push((subflow, hint));
    }
}

/// Runs that are kept. A path that is a quarter of a second slower than another at 500 Mbit/s leaves
/// as many holes if every other segment goes there; whoever makes more has his data refused, and
/// sends them again.
pub(super) const MAX_RUNS: usize = 8192;
/// Empty runs that are kept for their memory.
const MAX_SPARE: usize = 64;
/// Subflows with a hint.
const MAX_HINTS: usize = 16;
