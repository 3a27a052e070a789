//! Which subflows carry which data.

use std::ops::Range;

use super::super::ranges::Ranges;
use crate::path::SubflowId;

/// For each subflow the data that were given to it and are not DATA_ACKed, by place.
///
/// A subflow that sends in order has one range, or one for each turn that others had in between.
#[derive(Debug, Clone, Default)]
pub(super) struct Holders(Vec<(SubflowId, Ranges)>);

impl Holders {
    /// Notes that `subflow` carries `range`.
    pub(super) fn assign(&mut self, subflow: SubflowId, range: Range<u64>) {
        if let Some((_, ranges)) = self.0.iter_mut().find(|(id, _)| *id == subflow) {
            ranges.insert(range);
            return;
        }
        let mut ranges = Ranges::default();
        ranges.insert(range);
        self.0.push((subflow, ranges));
    }

    /// Forgets what lies before the place `to`.
    pub(super) fn drop_below(&mut self, to: u64) {
        for (_, ranges) in &mut self.0 {
            ranges.drop_below(to);
        }
    }

    /// Forgets a subflow, and gives what it carried.
    pub(super) fn forget(&mut self, subflow: SubflowId) -> Ranges {
        match self.0.iter().position(|(id, _)| *id == subflow) {
            Some(index) => self.0.swap_remove(index).1,
            None => Ranges::default(),
        }
    }

    /// What `subflow` carries.
    pub(super) fn of(&self, subflow: SubflowId) -> Option<&Ranges> {
        self.0
            .iter()
            .find(|(id, _)| *id == subflow)
            .map(|(_, ranges)| ranges)
    }

    /// What subflows other than `subflow` carry.
    pub(super) fn others(&self, subflow: SubflowId) -> impl Iterator<Item = &Ranges> {
        self.0
            .iter()
            .filter(move |(id, _)| *id != subflow)
            .map(|(_, ranges)| ranges)
    }

    /// The subflows that carry the place `at`, in the order of their ids, and the place up to which
    /// it is just these, but no further than `end`.
    pub(super) fn at(&self, at: u64, end: u64) -> (Vec<SubflowId>, u64) {
        let mut subflows = Vec::new();
        let mut until = end;
        for (id, ranges) in &self.0 {
            if let Some(range) = ranges.range_at(at) {
                subflows.push(*id);
                until = until.min(range.end);
            } else if let Some(next) = ranges.within(at..end).next() {
                until = until.min(next.start);
            }
        }
        subflows.sort_unstable();
        (subflows, until)
    }
}
