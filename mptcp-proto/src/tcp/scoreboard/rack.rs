//! Loss detection by time (RFC 8985 §6).

use std::time::Duration;

use super::{AckTime, Fate, Record, Scoreboard};
use crate::time::Instant;

/// The newest segment that has arrived, by the time of its sending, and what is known of reordering.
#[derive(Debug, Default)]
pub(super) struct Rack {
    pub(super) newest: Option<Newest>,
    rtt: Duration,
    /// End of the highest segment that had arrived before the current acknowledgement.
    highest: u64,
    next_highest: u64,
    reordering_seen: bool,
    /// How many quarters of the round-trip time a segment may be late, less one.
    extra_quarters: u32,
    /// Recoveries until that is forgotten.
    persist: u32,
    /// Duplicates reported below this position belong to the same round trip.
    round_end: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Newest {
    pub(super) sent_at: Instant,
    pub(super) end: u64,
}

impl Rack {
    pub(super) const fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Another acknowledgement: the order of its own blocks says nothing of reordering.
    pub(super) const fn begin(&mut self) {
        self.highest = self.next_highest;
    }

    /// RFC 8985 §6.2 steps 2 and 3.
    pub(super) fn delivered(&mut self, sent: &Record, rtt: Duration, time: AckTime) {
        if !sent.is_repeat && sent.end < self.highest {
            self.reordering_seen = true;
        }
        self.next_highest = self.next_highest.max(sent.end);
        if sent.is_repeat && Self::may_be_the_original(sent, rtt, time) {
            return;
        }
        let is_newer = self
            .newest
            .is_none_or(|newest| (sent.sent_at, sent.end) > (newest.sent_at, newest.end));
        if is_newer {
            self.rtt = rtt;
            self.newest = Some(Newest {
                sent_at: sent.sent_at,
                end: sent.end,
            });
        }
    }

    /// Whether the acknowledgement of a segment that was sent again may be for its first copy.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "timestamps are the low 32 bits of the clock"
    )]
    fn may_be_the_original(sent: &Record, rtt: Duration, time: AckTime) -> bool {
        let echo_is_older = time.echo.is_some_and(|echo| {
            let sent_at = sent.sent_at.as_millis() as u32;
            echo.wrapping_sub(sent_at).cast_signed() < 0
        });
        echo_is_older || rtt < time.min_rtt
    }
}

impl Scoreboard {
    /// How long after a later segment one may arrive (RFC 8985 §6.2 step 4).
    pub(in crate::tcp) fn reordering_window(
        &self,
        in_recovery: bool,
        min_rtt: Duration,
        srtt: Duration,
    ) -> Duration {
        let rack = &self.rack;
        if !rack.reordering_seen && (in_recovery || self.sacked_segments >= DUPLICATE_THRESHOLD) {
            return Duration::ZERO;
        }
        let quarter = min_rtt / 4;
        quarter
            .saturating_mul(rack.extra_quarters.saturating_add(1))
            .min(srtt)
    }

    /// Takes for lost what was sent so long before a segment that has arrived (RFC 8985 §6.2
    /// step 5). Gives the number of such segments, and when the next will be.
    pub(in crate::tcp) fn detect_losses(
        &mut self,
        now: Instant,
        window: Duration,
    ) -> (u32, Option<Instant>) {
        let mut found = 0_u32;
        let Some(newest) = self.rack.newest else {
            return (found, None);
        };
        let patience = self.rack.rtt.saturating_add(window);
        while let Some(&sent) = self.order.front() {
            if sent.end > self.una {
                if (sent.at, sent.end) > (newest.sent_at, newest.end) {
                    break;
                }
                let index = self.index(sent.start.max(self.una));
                let current = index.and_then(|index| self.segments.get(index));
                let is_current =
                    current.is_some_and(|seg| seg.fate == Fate::InFlight && seg.sent_at == sent.at);
                let deadline = sent.at + patience;
                if is_current && deadline > now {
                    return (found, Some(deadline));
                }
                if let Some(index) = index.filter(|_| is_current)
                    && self.lose(index)
                {
                    found = found.saturating_add(1);
                }
            }
            self.order.pop_front();
        }
        (found, None)
    }

    /// The peer reports that a segment came twice: what was taken for lost was only late.
    pub(in crate::tcp) fn widen_reordering_window(&mut self) {
        let nxt = self.nxt;
        let una = self.una;
        let rack = &mut self.rack;
        if una >= rack.round_end {
            rack.round_end = nxt;
            rack.extra_quarters = rack
                .extra_quarters
                .saturating_add(1)
                .min(MAX_EXTRA_QUARTERS);
            rack.persist = PERSIST_RECOVERIES;
        }
    }

    /// A recovery is over: after some of them the window is as narrow as at the begin.
    pub(in crate::tcp) const fn narrow_reordering_window(&mut self) {
        let rack = &mut self.rack;
        rack.persist = rack.persist.saturating_sub(1);
        if rack.persist == 0 {
            rack.extra_quarters = 0;
        }
    }
}

/// `DupThresh` of RFC 8985 §6.
const DUPLICATE_THRESHOLD: u32 = 3;
const PERSIST_RECOVERIES: u32 = 16;
/// The round-trip time bounds the window anyway.
const MAX_EXTRA_QUARTERS: u32 = 255;
