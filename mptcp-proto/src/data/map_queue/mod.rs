//! From subflow places to data places.

use std::ops::Range;

use super::{Held, IntervalMap, PLACE_LIMIT, Stretch};

/// The mappings of one direction of one subflow: which data place a subflow place has.
///
/// The first mapping of a place stays (RFC 8684 §3.3.1: a mapping is fixed once it was declared);
/// one that says otherwise is a [`Conflict`].
#[derive(Debug, Clone, Default)]
pub struct MapQueue {
    /// Data place minus subflow place.
    offsets: IntervalMap<i64>,
    /// Subflow place after the highest finite mapping, and the data place that follows.
    end: Option<(i64, i64)>,
}

/// What [`MapQueue::insert`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Insertion {
    /// Places that had no mapping and have one now.
    pub added: u64,
    /// Places that had just this mapping before.
    pub repeated: u64,
    /// Places that keep another mapping.
    pub refused: u64,
    /// The first of the refused places.
    pub conflict: Option<Conflict>,
}

/// Two mappings that give one subflow place different data places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// First subflow place they disagree on.
    pub place: i64,
    /// Its data place by the mapping that came first, which stays.
    pub kept: i64,
    /// Its data place by the mapping that came later.
    pub refused: i64,
}

impl MapQueue {
    /// No mapping yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Maps `len` subflow places from `place` on to the data places from `data` on, and appends to
    /// `out` the ranges of subflow places that are mapped by this.
    pub fn insert(
        &mut self,
        place: i64,
        data: i64,
        len: u32,
        out: &mut Vec<Range<i64>>,
    ) -> Insertion {
        let end = place.saturating_add(i64::from(len));
        if len > 0 && self.end.is_none_or(|(highest, _)| end > highest) {
            self.end = Some((end, data.saturating_add(i64::from(len))));
        }
        self.insert_range(place..end, data, out)
    }

    /// Does what [`Self::insert`] does if none of the places is mapped; otherwise `false`, and nothing
    /// is done.
    #[inline]
    pub fn insert_free(&mut self, place: i64, data: i64, len: u32) -> bool {
        let end = place.saturating_add(i64::from(len));
        let offset = clamp(data).saturating_sub(clamp(place));
        let places = place..end;
        let is_free =
            self.offsets.extend(&places, offset) || self.offsets.claim_free(&places, offset);
        if is_free && self.end.is_none_or(|(highest, _)| end > highest) {
            self.end = Some((end, data.saturating_add(i64::from(len))));
        }
        is_free
    }

    /// Maps everything from `place` on to the data places from `data` on: the infinite mapping
    /// (RFC 8684 §3.7).
    pub fn insert_infinite(
        &mut self,
        place: i64,
        data: i64,
        out: &mut Vec<Range<i64>>,
    ) -> Insertion {
        self.insert_range(place..PLACE_LIMIT, data, out)
    }

    /// Calls `each` for the parts of `places`, in order, with the data place of the first byte if
    /// there is one.
    #[inline]
    pub fn look_up(&mut self, places: Range<i64>, mut each: impl FnMut(Range<i64>, Option<i64>)) {
        if let Some(data) = self.look_up_whole(&places) {
            each(places, Some(data));
            return;
        }
        let mut stretches: Vec<Stretch<i64>> = Vec::new();
        self.offsets.look_up(places, &mut stretches);
        for stretch in stretches {
            let data = match stretch.held {
                Held::By(offset) => Some(stretch.range.start.saturating_add(offset)),
                Held::Free | Held::Unknown => None,
            };
            each(stretch.range, data);
        }
    }

    /// The data place of the first of `places`, if one mapping, or several that follow each other,
    /// cover them all.
    #[inline]
    pub fn look_up_whole(&self, places: &Range<i64>) -> Option<i64> {
        match self.offsets.look_up_whole(places) {
            Some(Held::By(offset)) => Some(places.start.saturating_add(offset)),
            _ => None,
        }
    }

    /// Subflow place after the highest finite mapping, and the data place that follows it.
    pub fn end(&self) -> Option<(i64, i64)> {
        self.end
    }

    /// What is mapped: data place minus subflow place.
    pub fn offsets(&self) -> &IntervalMap<i64> {
        &self.offsets
    }

    /// The queue of which [`Self::offsets`] and [`Self::end`] tell.
    pub fn from_parts(offsets: IntervalMap<i64>, end: Option<(i64, i64)>) -> Self {
        Self { offsets, end }
    }

    /// Whether nothing was ever mapped.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Runs in memory: contiguous mappings are one.
    pub fn run_count(&self) -> usize {
        self.offsets.run_count()
    }

    /// How often something was forgotten or refused for a limit of [`IntervalMap`].
    pub fn dropped(&self) -> u64 {
        self.offsets
            .forgotten_runs()
            .saturating_add(self.offsets.refused())
    }

    /// Moves all data places by `delta`, for a user who learns late what they are relative to.
    pub fn shift_data(&mut self, delta: i64) {
        let mut moved = IntervalMap::new();
        for (range, offset) in self.offsets.runs() {
            let offset = clamp(offset.saturating_add(delta));
            // No store holds places beyond the limit: what maps there was made up, or is the end of
            // an infinite mapping.
            let lowest = (-PLACE_LIMIT).saturating_sub(offset);
            let highest = PLACE_LIMIT.saturating_sub(offset);
            let kept = range.start.max(lowest)..range.end.min(highest);
            moved.claim(kept, offset, &mut Vec::new());
        }
        self.offsets = moved;
        self.end = self
            .end
            .map(|(place, data)| (place, data.saturating_add(delta)));
    }

    fn insert_range(
        &mut self,
        places: Range<i64>,
        data: i64,
        out: &mut Vec<Range<i64>>,
    ) -> Insertion {
        let mut result = Insertion::default();
        let (place, data) = (clamp(places.start), clamp(data));
        let offset = data.saturating_sub(place);
        match self.offsets.claim_whole(&places, offset) {
            Some(Held::Free) => {
                let added = places.end.saturating_sub(places.start);
                result.added = u64::try_from(added).unwrap_or(0);
                out.push(places);
                return result;
            }
            Some(Held::By(held)) if held == offset => {
                let repeated = places.end.saturating_sub(places.start);
                result.repeated = u64::try_from(repeated).unwrap_or(0);
                return result;
            }
            _ => {}
        }
        let mut stretches = Vec::new();
        self.offsets.claim(places, offset, &mut stretches);
        for stretch in stretches {
            let len = stretch.len();
            match stretch.held {
                Held::Free => {
                    result.added = result.added.saturating_add(len);
                    out.push(stretch.range);
                }
                Held::By(held) if held == offset => {
                    result.repeated = result.repeated.saturating_add(len);
                }
                Held::By(held) => {
                    result.refused = result.refused.saturating_add(len);
                    result.conflict.get_or_insert(Conflict {
                        place: stretch.range.start,
                        kept: stretch.range.start.saturating_add(held),
                        refused: stretch.range.start.saturating_add(offset),
                    });
                }
                Held::Unknown => {}
            }
        }
        result
    }
}

fn clamp(place: i64) -> i64 {
    place.clamp(-PLACE_LIMIT, PLACE_LIMIT)
}

#[cfg(test)]
mod tests;
