//! Which subflow sent a byte of the data stream first.

use std::ops::Range;

use super::{Held, IntervalMap, Stretch};

/// For every place of one direction's data stream, the subflow that sent it first.
#[derive(Debug, Clone, Default)]
pub struct SenderMap {
    senders: IntervalMap<u32>,
}

impl SenderMap {
    /// Nothing sent yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `subflow` sends `places`, and appends to `out` who sent them before:
    /// [`Held::Free`] is nobody.
    pub fn claim(&mut self, places: Range<i64>, subflow: u32, out: &mut Vec<Stretch<u32>>) {
        self.senders.claim(places, subflow, out);
    }

    /// Does what [`Self::claim`] does if nobody sent `places` and they follow others of `subflow`;
    /// `false` when they do not, or it is not easily seen, and nothing was done.
    #[inline]
    pub fn extend(&mut self, places: &Range<i64>, subflow: u32) -> bool {
        self.senders.extend(places, subflow)
    }

    /// Does what [`Self::claim`] does if nobody sent `places`; otherwise `false`, and nothing is done.
    #[inline]
    pub fn claim_free(&mut self, places: &Range<i64>, subflow: u32) -> bool {
        self.senders.claim_free(places, subflow)
    }

    /// Does what [`Self::claim`] does if one answer holds for all of `places`, and nothing else.
    #[inline]
    pub fn claim_whole(&mut self, places: &Range<i64>, subflow: u32) -> Option<Held<u32>> {
        self.senders.claim_whole(places, subflow)
    }

    /// Whether any of `places` was sent.
    pub fn holds_any(&self, places: &Range<i64>) -> bool {
        self.senders.overlaps(places)
    }

    /// Distinct bytes sent.
    pub fn unique_bytes(&self) -> u64 {
        self.senders.len()
    }

    /// From the first to one past the last byte sent.
    pub fn span(&self) -> Option<Range<i64>> {
        self.senders.span()
    }

    /// Bytes inside the span that nobody sent.
    pub fn missing_bytes(&self) -> u64 {
        let Some(span) = self.senders.span() else {
            return 0;
        };
        let mut at = span.start;
        let mut missing = 0u64;
        for run in self.senders.covered() {
            let hole = run.start.saturating_sub(at);
            missing = missing.saturating_add(u64::try_from(hole).unwrap_or(0));
            at = run.end;
        }
        missing
    }

    /// The holes inside the span, in order.
    pub fn holes(&self) -> Vec<Range<i64>> {
        let mut holes = Vec::new();
        let mut at = None;
        for run in self.senders.covered() {
            if let Some(at) = at
                && at < run.start
            {
                holes.push(at..run.start);
            }
            at = Some(run.end);
        }
        holes
    }

    /// The runs whose first senders are known, in order.
    pub fn runs(&self) -> impl Iterator<Item = (&Range<i64>, u32)> {
        self.senders.runs()
    }

    /// The places and their first senders.
    pub fn as_map(&self) -> &IntervalMap<u32> {
        &self.senders
    }

    /// Runs in memory.
    pub fn run_count(&self) -> usize {
        self.senders.run_count()
    }

    /// How often something was forgotten or refused for a limit of [`IntervalMap`].
    pub fn dropped(&self) -> u64 {
        self.senders
            .forgotten_runs()
            .saturating_add(self.senders.refused())
    }
}

impl From<IntervalMap<u32>> for SenderMap {
    fn from(senders: IntervalMap<u32>) -> Self {
        Self { senders }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_belongs_to_the_subflow_that_sent_it_first() {
        let mut map = SenderMap::new();
        let mut out = Vec::new();
        map.claim(1..101, 0, &mut out);
        map.claim(201..301, 0, &mut out);
        out.clear();
        map.claim(51..251, 1, &mut out);
        let senders: Vec<_> = out.iter().map(|s| (s.range.clone(), s.held)).collect();
        assert_eq!(
            senders,
            [
                (51..101, Held::By(0)),
                (101..201, Held::Free),
                (201..251, Held::By(0))
            ]
        );
        assert_eq!(map.unique_bytes(), 300);
        assert!(map.holds_any(&(300..400)));
        assert!(!map.holds_any(&(301..400)));
    }

    #[test]
    fn holes_are_counted_between_the_first_and_the_last_byte() {
        let mut map = SenderMap::new();
        map.claim(11..21, 0, &mut Vec::new());
        map.claim(31..41, 1, &mut Vec::new());
        assert_eq!(map.missing_bytes(), 10);
        assert_eq!(map.holes().first(), Some(&(21..31)));
        assert_eq!(map.span(), Some(11..41));
    }
}
