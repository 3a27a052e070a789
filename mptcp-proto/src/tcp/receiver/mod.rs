//! The peer's stream: what comes next, what has to wait, and the window that we announce.

use std::collections::BTreeMap;
use std::ops::Range;

use super::ranges::Ranges;

/// Receive side of a connection.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Next position that is missing; the FIN does not count.
    next: u64,
    /// Next position that the caller has not taken.
    taken: u64,
    /// Pieces from `taken` on, none over another. Below `next` they only wait for the caller.
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: u64,
    /// What arrived above `next`.
    ranges: Ranges,
    /// Positions in the ranges that grew last, newest first (RFC 2018 §4).
    recent: [Option<u64>; SACK_BLOCKS],
    /// A duplicate to be reported first (RFC 2883).
    duplicate: Option<Range<u64>>,
    /// Position of the FIN.
    fin: Option<u64>,
    fin_reached: bool,
    /// Right edge of the window: the largest that was announced.
    edge: u64,
    /// What the last segment announced, as a right edge.
    announced: u64,
    /// Largest window ever announced.
    largest_window: u64,
    /// Largest room that the caller has named: what is known of the size of its buffer.
    largest_room: u64,
    /// Largest payload of a segment: what counts as a full one.
    full_segment: u64,
    gaps: Vec<Range<u64>>,
}

/// What a segment's payload turned out to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Intake {
    /// Bytes of the payload that come next.
    pub(super) delivered: Option<Range<usize>>,
    /// Whether something arrived that was missing.
    pub(super) is_new: bool,
    /// Whether a part of it had arrived before.
    pub(super) is_duplicate: bool,
    /// Whether it is out of order, or closes a gap: the sender wants to know at once (RFC 5681
    /// §4.2).
    pub(super) is_urgent: bool,
    /// Bytes that had no room.
    pub(super) dropped: u64,
}

impl Receiver {
    pub(super) fn new(initial_window: u64) -> Self {
        Self {
            edge: initial_window,
            announced: initial_window,
            largest_window: initial_window,
            ..Self::default()
        }
    }

    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// What the next acknowledgement says, as a position: the FIN counts.
    pub(super) const fn ack_position(&self) -> u64 {
        self.next.saturating_add(self.fin_reached as u64)
    }

    /// Bytes of the window that are left for the peer.
    pub(super) const fn window(&self) -> u64 {
        self.edge.saturating_sub(self.ack_position())
    }

    pub(super) const fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    pub(super) fn waiting_pieces(&self) -> usize {
        self.waiting.len()
    }

    pub(super) const fn full_segment(&self) -> u64 {
        self.full_segment
    }

    pub(super) fn has_gap(&self) -> bool {
        !self.ranges.is_empty()
    }

    /// Takes payload at `start`, which must end inside of the window.
    pub(super) fn insert(&mut self, start: u64, payload: &[u8]) -> Intake {
        let mut intake = Intake::default();
        let len = u64::try_from(payload.len()).unwrap_or(0);
        self.full_segment = self.full_segment.max(len);
        let range = start..start.saturating_add(len);
        if start == self.next && self.ranges.is_empty() && self.waiting.is_empty() {
            // Nothing else is here: nearly always so.
            self.next = range.end;
            self.taken = range.end;
            intake.delivered = (len > 0).then_some(0..payload.len());
            intake.is_new = len > 0;
            return intake;
        }
        let fresh = range.start.max(self.next)..range.end;
        if fresh.is_empty() {
            intake.is_duplicate = len > 0;
            intake.is_urgent = true;
            self.duplicate = Some(range);
            return intake;
        }
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.clear();
        self.ranges.gaps(&fresh, &mut gaps);
        let missing: u64 = gaps
            .iter()
            .map(|gap| gap.end.saturating_sub(gap.start))
            .sum();
        if missing < len {
            intake.is_duplicate = true;
            self.duplicate = Some(if missing == 0 {
                fresh.clone()
            } else {
                range.start..fresh.start
            })
            .filter(|duplicate| !duplicate.is_empty());
        }
        intake.is_urgent = true;
        for gap in &gaps {
            self.take_gap(gap, start, payload, &mut intake);
        }
        self.gaps = gaps;
        self.advance();
        intake
    }

    /// Takes a part of a segment that nothing here covers.
    fn take_gap(&mut self, gap: &Range<u64>, start: u64, payload: &[u8], intake: &mut Intake) {
        let offset = |position: u64| usize::try_from(position.saturating_sub(start)).unwrap_or(0);
        let within = offset(gap.start)..offset(gap.end);
        let Some(bytes) = payload.get(within.clone()) else {
            return;
        };
        if gap.start == self.next && self.taken == self.next {
            self.next = gap.end;
            self.taken = gap.end;
            intake.delivered = Some(within);
            intake.is_new = true;
            return;
        }
        if !self.keep(gap.start, bytes) {
            intake.dropped = gap.end.saturating_sub(gap.start);
            return;
        }
        intake.is_new = true;
        self.waiting_bytes = self
            .waiting_bytes
            .saturating_add(gap.end.saturating_sub(gap.start));
        let merged = self.ranges.insert(gap.clone());
        self.remember(&merged);
    }

    /// Keeps bytes until what precedes them comes. Whether there was room.
    fn keep(&mut self, start: u64, bytes: &[u8]) -> bool {
        if let Some((&before, piece)) = self.waiting.range_mut(..start).next_back() {
            let end = before.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if end == start && piece.len().saturating_add(bytes.len()) <= MAX_PIECE {
                piece.extend_from_slice(bytes);
                return true;
            }
        }
        if self.waiting.len() >= MAX_OUT_OF_ORDER_PIECES {
            return false;
        }
        self.waiting.insert(start, bytes.to_vec());
        true
    }

    /// The range that grew last is reported first.
    fn remember(&mut self, merged: &Range<u64>) {
        let old = self.recent;
        let others = old
            .into_iter()
            .flatten()
            .filter(|position| !merged.contains(position));
        let mut newest = std::iter::once(merged.start).chain(others);
        for slot in &mut self.recent {
            *slot = newest.next();
        }
    }

    /// Moves on over what has been waiting.
    fn advance(&mut self) {
        if let Some(first) = self.ranges.first()
            && first.start <= self.next
        {
            self.next = self.next.max(first.end);
        }
        self.ranges.remove_below(self.next);
    }

    /// The next piece that has waited long enough.
    pub(super) fn pop(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.taken >= self.next {
            return None;
        }
        let (start, bytes) = self.waiting.pop_first()?;
        let len = u64::try_from(bytes.len()).unwrap_or(0);
        self.waiting_bytes = self.waiting_bytes.saturating_sub(len);
        self.taken = start.saturating_add(len);
        Some((start, bytes))
    }

    /// Payload of a SYN, which waits for the caller.
    pub(super) fn keep_first(&mut self, payload: &[u8]) {
        if self.keep(0, payload) {
            self.next = u64::try_from(payload.len()).unwrap_or(0);
            self.waiting_bytes = self.next;
        }
    }

    /// A FIN after the byte before `position`. Whether it is believed: data beyond it, or another
    /// FIN elsewhere, would contradict.
    pub(super) fn set_fin(&mut self, position: u64) -> bool {
        let end = self.ranges.last().map_or(self.next, |last| last.end);
        if self.fin.is_some_and(|fin| fin != position) || position < end {
            return false;
        }
        self.fin = Some(position);
        true
    }

    pub(super) const fn fin(&self) -> Option<u64> {
        self.fin
    }

    /// Whether the FIN is reached, and was not before.
    pub(super) fn reach_fin(&mut self) -> bool {
        let reached = !self.fin_reached && self.fin == Some(self.next);
        self.fin_reached |= reached;
        reached
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.fin_reached
    }

    /// A segment that arrived before, to be reported (RFC 2883 §4).
    pub(super) fn report_duplicate(&mut self, range: Range<u64>) {
        self.duplicate = Some(range).filter(|range| !range.is_empty());
    }

    /// At most `max` blocks for a SACK option, as positions.
    pub(super) fn sack_blocks(&self, max: usize) -> impl Iterator<Item = Range<u64>> {
        let recent = self.recent.into_iter().flatten();
        let runs = recent.filter_map(|position| self.ranges.containing(position.max(self.next)));
        self.duplicate.clone().into_iter().chain(runs).take(max)
    }

    /// A duplicate is reported once.
    pub(super) fn clear_duplicate(&mut self) {
        self.duplicate = None;
    }

    /// How many blocks there are to report, or a few more.
    pub(super) fn sack_count(&self) -> usize {
        let runs = self.recent.iter().flatten();
        let runs = if self.has_gap() { runs.count() } else { 0 };
        runs.saturating_add(usize::from(self.duplicate.is_some()))
    }

    /// How far the window would move the right edge, were it announced now. What its scale cannot say
    /// does not count: an announcement would bring nothing, and be due again for ever.
    pub(super) const fn edge_gain(&self, window: u64, shift: u8) -> u64 {
        self.ack_position()
            .saturating_add(window >> shift << shift)
            .saturating_sub(self.announced)
    }

    /// Takes note that there is room for so many bytes.
    pub(super) fn note_room(&mut self, window: u64) {
        self.largest_room = self.largest_room.max(window);
    }

    /// Largest window ever announced that the buffer has room for. The SYN may have announced more, and who
    /// waits for half of that to open waits for ever (RFC 9293 §3.8.6.2.2).
    pub(super) fn largest_window(&self) -> u64 {
        if self.largest_room == 0 {
            return self.largest_window;
        }
        self.largest_window.min(self.largest_room)
    }

    /// The field of the header for this window (RFC 9293 §3.8.6.2.2), which is then announced.
    pub(super) fn announce(&mut self, window: u64, shift: u8, is_shared: bool) -> u16 {
        let at = self.ack_position();
        let mut edge = at.saturating_add(window);
        if !is_shared {
            // RFC 9293 §3.8.6.2.2: a small step is not worth announcing, and none goes back.
            let step = self.full_segment.min(self.largest_window() / 2);
            if edge < self.announced.saturating_add(step) {
                edge = edge.min(self.announced);
            }
            edge = edge.max(self.announced);
        }
        let exact = edge.saturating_sub(at);
        let rounds_up = !is_shared && at.saturating_add(exact >> shift << shift) < self.announced;
        let field = (exact >> shift).saturating_add(u64::from(rounds_up));
        let field = u16::try_from(field).unwrap_or(u16::MAX);
        // What rounding up adds is accepted, but is no promise: else it would add up.
        let announced = at.saturating_add(u64::from(field) << shift);
        self.announced = if rounds_up {
            announced.min(self.announced)
        } else {
            announced
        };
        self.edge = self.edge.max(announced);
        self.largest_window = self.largest_window.max(u64::from(field) << shift);
        field
    }
}

/// Pieces that may wait for earlier data. With the largest piece it is 128 MiB, which the window
/// forbids; with one-byte segments in the worst order it is a few hundred KiB.
pub const MAX_OUT_OF_ORDER_PIECES: usize = 2048;
/// Adjacent segments are kept together up to this size, in bytes.
const MAX_PIECE: usize = 64 * 1024;
/// A SACK option of an otherwise empty option area has room for so many.
const SACK_BLOCKS: usize = 4;

#[cfg(test)]
mod tests;
