//! What was sent and not acknowledged: the scoreboard of RFC 6675 with the times of RFC 8985.
//!
//! Nothing here walks over the window at every acknowledgement: ranges from SACK are remembered, so
//! only new ones are looked at, and transmissions lie in a queue in the order of their times, whose
//! front is all that loss detection looks at.

mod rack;

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use rack::Rack;

use super::ranges::Ranges;
use crate::time::Instant;

/// The segments between the first one not acknowledged and the next to be sent. The FIN counts as a
/// byte.
#[derive(Debug, Default)]
pub(super) struct Scoreboard {
    segments: VecDeque<Record>,
    una: u64,
    nxt: u64,
    in_flight: u64,
    sacked: Ranges,
    sacked_segments: u32,
    lost: BTreeSet<u64>,
    /// Every transmission, oldest first; some are out of date.
    order: VecDeque<Transmission>,
    rack: Rack,
    gaps: Vec<Range<u64>>,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    start: u64,
    end: u64,
    sent_at: Instant,
    fate: Fate,
    is_repeat: bool,
}

impl Record {
    const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    const fn transmission(&self) -> Transmission {
        Transmission {
            at: self.sent_at,
            start: self.start,
            end: self.end,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    InFlight,
    Lost,
    Sacked,
}

#[derive(Debug, Clone, Copy)]
struct Transmission {
    at: Instant,
    start: u64,
    end: u64,
}

/// An acknowledgement, as far as the scoreboard needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckTime {
    pub(super) now: Instant,
    /// The clock value in milliseconds that it echoes, without our offset.
    pub(super) echo: Option<u32>,
    pub(super) min_rtt: Duration,
}

/// What an acknowledgement brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Bytes cumulatively acknowledged.
    pub(super) acked: u64,
    /// Bytes neither acknowledged nor reported by SACK before.
    pub(super) delivered: u64,
    /// Segments of them.
    pub(super) segments: u32,
    /// Round-trip time of the oldest segment that was sent only once.
    pub(super) rtt: Option<Duration>,
    /// And of the newest.
    pub(super) newest_rtt: Option<Duration>,
}

impl Scoreboard {
    pub(super) const fn una(&self) -> u64 {
        self.una
    }

    pub(super) const fn nxt(&self) -> u64 {
        self.nxt
    }

    /// Bytes neither acknowledged, reported by SACK nor lost.
    pub(super) const fn in_flight(&self) -> u64 {
        self.in_flight
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.una == self.nxt
    }

    pub(super) fn has_sacked(&self) -> bool {
        !self.sacked.is_empty()
    }

    pub(super) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Whether one segment only is outstanding.
    pub(super) fn is_single(&self) -> bool {
        self.segments.len() == 1
    }

    /// A segment of `len` leaves for the first time.
    pub(super) fn send(&mut self, now: Instant, len: u64) {
        let (start, end) = (self.nxt, self.nxt.saturating_add(len));
        self.segments.push_back(Record {
            start,
            end,
            sent_at: now,
            fate: Fate::InFlight,
            is_repeat: false,
        });
        self.order.push_back(Transmission {
            at: now,
            start,
            end,
        });
        self.in_flight = self.in_flight.saturating_add(len);
        self.nxt = end;
    }

    /// The lowest range taken for lost.
    pub(super) fn next_lost(&self) -> Option<Range<u64>> {
        let start = *self.lost.first()?;
        let sent = self.segments.get(self.index(start)?)?;
        Some(sent.start..sent.end)
    }

    /// The highest segment that has neither arrived nor got lost.
    pub(super) fn last_in_flight(&self) -> Option<Range<u64>> {
        let newest = self.segments.iter().rev();
        let mut in_flight = newest.take_while(|sent| sent.fate != Fate::Lost);
        in_flight
            .find(|sent| sent.fate == Fate::InFlight)
            .map(|sent| sent.start..sent.end)
    }

    /// A segment leaves again, of which only the first `len` bytes may fit today.
    pub(super) fn resend(&mut self, now: Instant, start: u64, len: u64) {
        let Some(index) = self.index(start) else {
            return;
        };
        self.split(index, start.saturating_add(len));
        let Some(sent) = self.segments.get_mut(index) else {
            return;
        };
        if sent.fate == Fate::Lost {
            self.lost.remove(&sent.start);
            self.in_flight = self.in_flight.saturating_add(sent.len());
        }
        sent.fate = Fate::InFlight;
        sent.sent_at = now;
        sent.is_repeat = true;
        let sent = *sent;
        self.note_transmission(sent);
    }

    /// Everything before `until` is acknowledged.
    pub(super) fn ack(&mut self, until: u64, time: AckTime, progress: &mut Progress) {
        let until = until.min(self.nxt);
        self.rack.begin();
        progress.acked = until.saturating_sub(self.una);
        while let Some(sent) = self.segments.front().copied() {
            if sent.end > until {
                break;
            }
            self.segments.pop_front();
            match sent.fate {
                Fate::InFlight => self.in_flight = self.in_flight.saturating_sub(sent.len()),
                Fate::Lost => {
                    self.lost.remove(&sent.start);
                }
                Fate::Sacked => self.sacked_segments = self.sacked_segments.saturating_sub(1),
            }
            if sent.fate != Fate::Sacked {
                self.delivered(&sent, time, progress);
            }
        }
        self.trim_first(until, progress);
        self.una = self.una.max(until);
        self.sacked.remove_below(until);
        while self.order.front().is_some_and(|sent| sent.end <= until) {
            self.order.pop_front();
        }
        self.forget_outdated();
    }

    fn note_transmission(&mut self, sent: Record) {
        self.order.push_back(sent.transmission());
        self.forget_outdated();
    }

    /// Transmissions of segments that were sent again, or have arrived, lie behind the first one that has not:
    /// they must not become ever more while that is on its way.
    fn forget_outdated(&mut self) {
        if self.order.len() as u64 <= self.transmission_limit() {
            return;
        }
        let in_flight = self
            .segments
            .iter()
            .filter(|sent| sent.fate == Fate::InFlight);
        let mut current: Vec<Transmission> = in_flight.map(Record::transmission).collect();
        current.sort_by_key(|sent| (sent.at, sent.end));
        self.order = current.into();
    }

    /// Transmissions that are remembered, those that are out of date among them.
    pub(super) fn transmissions(&self) -> usize {
        self.order.len()
    }

    /// What [`Self::transmissions`] never exceeds: twice the segments, and a few.
    pub(super) fn transmission_limit(&self) -> u64 {
        (self.segments.len() as u64)
            .saturating_mul(2)
            .saturating_add(FEW_TRANSMISSIONS)
    }

    /// Segments that were sent and are not acknowledged.
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    fn trim_first(&mut self, until: u64, progress: &mut Progress) {
        let Some(first) = self.segments.front_mut() else {
            return;
        };
        if first.start >= until {
            return;
        }
        let part = until.saturating_sub(first.start);
        match first.fate {
            Fate::InFlight => self.in_flight = self.in_flight.saturating_sub(part),
            Fate::Lost => {
                self.lost.remove(&first.start);
                self.lost.insert(until);
            }
            Fate::Sacked => {}
        }
        first.start = until;
        if first.fate != Fate::Sacked {
            progress.delivered = progress.delivered.saturating_add(part);
        }
    }

    /// The receiver holds `range`, which must lie between the ends of the scoreboard.
    pub(super) fn sack(&mut self, range: Range<u64>, time: AckTime, progress: &mut Progress) {
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.clear();
        self.sacked.gaps(&range, &mut gaps);
        if !gaps.is_empty() {
            let merged = self.sacked.insert(range);
            for gap in &gaps {
                self.sack_new(gap, &merged, time, progress);
            }
        }
        self.gaps = gaps;
    }

    /// Segments that touch `gap` and lie wholly in `merged` have arrived.
    fn sack_new(
        &mut self,
        gap: &Range<u64>,
        merged: &Range<u64>,
        time: AckTime,
        progress: &mut Progress,
    ) {
        let Some(mut index) = self.index(gap.start) else {
            return;
        };
        while let Some(sent) = self.segments.get_mut(index) {
            if sent.start >= gap.end {
                break;
            }
            let is_covered = merged.start <= sent.start && sent.end <= merged.end;
            if is_covered && sent.fate != Fate::Sacked {
                match sent.fate {
                    Fate::InFlight => self.in_flight = self.in_flight.saturating_sub(sent.len()),
                    _ => {
                        self.lost.remove(&sent.start);
                    }
                }
                sent.fate = Fate::Sacked;
                self.sacked_segments = self.sacked_segments.saturating_add(1);
                let sent = *sent;
                self.delivered(&sent, time, progress);
            }
            index = index.saturating_add(1);
        }
    }

    fn delivered(&mut self, sent: &Record, time: AckTime, progress: &mut Progress) {
        let rtt = time.now.since(sent.sent_at);
        progress.delivered = progress.delivered.saturating_add(sent.len());
        progress.segments = progress.segments.saturating_add(1);
        if !sent.is_repeat {
            progress.rtt = Some(progress.rtt.map_or(rtt, |oldest| oldest.max(rtt)));
            progress.newest_rtt = Some(progress.newest_rtt.map_or(rtt, |newest| newest.min(rtt)));
        }
        self.rack.delivered(sent, rtt, time);
    }

    /// Takes the lowest segment for lost (RFC 6582 §3.2 without SACK). Whether it was not yet.
    pub(super) fn lose_first(&mut self) -> bool {
        self.lose(0)
    }

    /// The timeout has expired. Without SACK, or when the receiver threw away what it had reported
    /// (RFC 2018 §8), nothing that is outstanding counts as arrived. With it, what was sent lately may
    /// still come (RFC 8985 §6.3).
    pub(super) fn lose_all(&mut self, now: Instant, uses_sack: bool, window: Duration) {
        let reneged = self
            .segments
            .front()
            .is_some_and(|s| s.fate == Fate::Sacked);
        if reneged {
            self.sacked.clear();
            self.sacked_segments = 0;
        }
        let spared_after = self.rack.rtt().saturating_add(window);
        for index in 0..self.segments.len() {
            let Some(sent) = self.segments.get_mut(index) else {
                return;
            };
            if reneged && sent.fate == Fate::Sacked {
                sent.fate = Fate::Lost;
                self.lost.insert(sent.start);
            }
            let is_young = uses_sack && sent.sent_at + spared_after > now;
            if index == 0 || !is_young {
                self.lose(index);
            }
        }
    }

    /// Segments longer than `max` bytes cannot arrive on this path: they are to be sent again in
    /// parts, which is no sign of congestion.
    pub(super) fn lose_longer_than(&mut self, max: u64) {
        for index in 0..self.segments.len() {
            if self
                .segments
                .get(index)
                .is_some_and(|sent| sent.len() > max)
            {
                self.lose(index);
            }
        }
    }

    /// Whatever is taken for lost is in flight after all. Its times would make it lost again at
    /// once, so if it does not come, the retransmission timer says so.
    pub(super) fn forgive(&mut self) {
        for start in std::mem::take(&mut self.lost) {
            let index = self.index(start);
            if let Some(sent) = index.and_then(|index| self.segments.get_mut(index)) {
                sent.fate = Fate::InFlight;
                self.in_flight = self.in_flight.saturating_add(sent.len());
            }
        }
    }

    fn lose(&mut self, index: usize) -> bool {
        let Some(sent) = self.segments.get_mut(index) else {
            return false;
        };
        let was_in_flight = sent.fate == Fate::InFlight;
        if was_in_flight {
            sent.fate = Fate::Lost;
            self.in_flight = self.in_flight.saturating_sub(sent.len());
            self.lost.insert(sent.start);
        }
        was_in_flight
    }

    /// The segment that holds `position`.
    fn index(&self, position: u64) -> Option<usize> {
        let after = self.segments.partition_point(|sent| sent.start <= position);
        let index = after.checked_sub(1)?;
        (self.segments.get(index)?.end > position).then_some(index)
    }

    /// Cuts a segment in two at `at`, unless that is an end of it.
    fn split(&mut self, index: usize, at: u64) {
        let Some(sent) = self.segments.get_mut(index) else {
            return;
        };
        if at <= sent.start || at >= sent.end {
            return;
        }
        let mut rest = *sent;
        sent.end = at;
        rest.start = at;
        match rest.fate {
            Fate::Lost => {
                self.lost.insert(at);
            }
            Fate::Sacked => self.sacked_segments = self.sacked_segments.saturating_add(1),
            Fate::InFlight => {}
        }
        self.segments.insert(index.saturating_add(1), rest);
        if rest.fate == Fate::InFlight {
            self.note_transmission(rest);
        }
    }
}

/// Transmissions out of date that may be remembered beside twice the segments.
const FEW_TRANSMISSIONS: u64 = 16;

#[cfg(test)]
mod tests;
