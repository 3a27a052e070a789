//! Payload that no mapping covers yet.

use std::collections::VecDeque;
use std::ops::Range;

use super::Sent;

/// Segments without a mapping that are remembered for each direction of a subflow. When a mapping
/// comes for an older one, its bytes are counted as if they were sent with the mapping.
pub(super) const MAX_WAITING_SEGMENTS: usize = 1024;

/// Payload bytes without a mapping that are kept for each direction of a subflow: four times the
/// longest mapping. Beyond, the oldest are dropped, and their checksum is unverifiable.
pub(super) const MAX_WAITING_BYTES: usize = 256 << 10;

/// Segments that wait for their mapping, in order of arrival.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    segments: VecDeque<WaitingSegment>,
    bytes: usize,
    dropped: u64,
}

/// First copies of payload bytes.
#[derive(Debug, Clone)]
pub(super) struct WaitingSegment {
    /// Their subflow places.
    pub(super) places: Range<i64>,
    pub(super) sent: Sent,
    /// The bytes, as far as they were captured and are wanted.
    pub(super) bytes: Vec<u8>,
}

impl Waiting {
    /// Notes that `places` were sent without a mapping.
    pub(super) fn add(&mut self, places: Range<i64>, sent: Sent, bytes: &[u8]) {
        if bytes.len() > MAX_WAITING_BYTES {
            self.dropped = self.dropped.saturating_add(1);
            return;
        }
        let mut kept = Vec::new();
        while self.segments.len() >= MAX_WAITING_SEGMENTS
            || self.bytes.saturating_add(bytes.len()) > MAX_WAITING_BYTES
        {
            let Some(oldest) = self.segments.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.bytes.len());
            self.dropped = self.dropped.saturating_add(1);
            // After fallback every segment comes here; its buffer is the one that just left.
            kept = oldest.bytes;
            kept.clear();
        }
        kept.extend_from_slice(bytes);
        self.bytes = self.bytes.saturating_add(kept.len());
        self.segments.push_back(WaitingSegment {
            places,
            sent,
            bytes: kept,
        });
    }

    /// Takes out everything inside `places`, in order of place.
    pub(super) fn take(&mut self, places: &Range<i64>) -> Vec<WaitingSegment> {
        let mut taken = Vec::new();
        let mut index = 0;
        while let Some(segment) = self.segments.get(index) {
            let inside = overlap(&segment.places, places);
            if inside.is_empty() {
                index = index.saturating_add(1);
                continue;
            }
            let Some(segment) = self.segments.remove(index) else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(segment.bytes.len());
            let after = segment.part(&(inside.end..segment.places.end));
            let before = segment.part(&(segment.places.start..inside.start));
            for rest in [after, before].into_iter().flatten() {
                self.bytes = self.bytes.saturating_add(rest.bytes.len());
                self.segments.insert(index, rest);
                index = index.saturating_add(1);
            }
            taken.extend(segment.part(&inside));
        }
        taken.sort_by_key(|segment| segment.places.start);
        taken
    }

    /// Takes out everything, in order of arrival.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = WaitingSegment> {
        self.bytes = 0;
        self.segments.drain(..)
    }

    /// Segments dropped for a limit.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Moves the acknowledged data places by `distance`.
    pub(super) fn shift_data(&mut self, distance: i64) {
        for segment in &mut self.segments {
            segment.sent.acked = segment.sent.acked.saturating_add(distance);
        }
    }
}

impl WaitingSegment {
    /// The part of it at `places`, which lie inside.
    fn part(&self, places: &Range<i64>) -> Option<Self> {
        if places.is_empty() {
            return None;
        }
        Some(Self {
            places: places.clone(),
            sent: self.sent,
            bytes: part_of(&self.bytes, self.places.start, places).to_vec(),
        })
    }
}

/// The captured bytes at `places` of bytes that begin at `start`.
pub(super) fn part_of<'a>(bytes: &'a [u8], start: i64, places: &Range<i64>) -> &'a [u8] {
    let from = usize::try_from(places.start.saturating_sub(start)).unwrap_or(usize::MAX);
    let to = usize::try_from(places.end.saturating_sub(start)).unwrap_or(0);
    bytes.get(from..to.min(bytes.len())).unwrap_or_default()
}

/// What two ranges have in common; empty when nothing.
pub(super) fn overlap(one: &Range<i64>, other: &Range<i64>) -> Range<i64> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const SENT: Sent = Sent {
        frame: 1,
        at: Timestamp(0),
        acked: 0,
    };

    #[test]
    fn taking_the_middle_leaves_both_ends() {
        let mut waiting = Waiting::default();
        waiting.add(1..11, SENT, b"0123456789");
        let taken = waiting.take(&(4..6));
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].bytes, b"34");
        let mut rest: Vec<_> = waiting.segments.iter().map(|s| s.bytes.clone()).collect();
        rest.sort();
        assert_eq!(rest, [b"012".to_vec(), b"56789".to_vec()]);
        assert_eq!(waiting.bytes, 8);
    }

    #[test]
    fn a_cut_payload_gives_what_it_has() {
        let mut waiting = Waiting::default();
        waiting.add(1..11, SENT, b"012");
        assert_eq!(waiting.take(&(3..11))[0].bytes, b"2");
    }

    #[test]
    fn the_oldest_bytes_are_dropped_at_the_limit() {
        let mut waiting = Waiting::default();
        let block = vec![0; 64 << 10];
        for step in 0..6 {
            waiting.add(step << 16..(step + 1) << 16, SENT, &block);
            assert!(waiting.bytes <= MAX_WAITING_BYTES);
        }
        assert_eq!(waiting.dropped(), 2);
        assert!(waiting.take(&(0..1)).is_empty());
    }

    #[test]
    fn the_oldest_segments_are_dropped_at_the_limit() {
        let mut waiting = Waiting::default();
        for step in 0..1030 {
            waiting.add(step..step + 1, SENT, b"x");
        }
        assert_eq!(waiting.segments.len(), MAX_WAITING_SEGMENTS);
        assert_eq!(waiting.dropped(), 6);
    }
}
