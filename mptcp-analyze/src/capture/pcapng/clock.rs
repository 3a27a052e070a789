//! Time stamps of a pcapng interface: `if_tsresol` and `if_tsoffset`.

use crate::model::Timestamp;

const NS_PER_SECOND: i128 = 1_000_000_000;

/// How the time stamps of an interface count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    resolution: Resolution,
    offset_s: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resolution {
    /// Units of 10^-n seconds.
    PowerOfTen(u8),
    /// Units of 2^-n seconds.
    PowerOfTwo(u8),
}

impl Default for Clock {
    /// Microseconds since the epoch, as without any option.
    fn default() -> Self {
        Self {
            resolution: Resolution::PowerOfTen(6),
            offset_s: 0,
        }
    }
}

impl Clock {
    /// With the `if_tsresol` byte: the highest bit chooses the base, the others the exponent.
    pub(super) fn with_resolution(self, byte: u8) -> Self {
        let exponent = byte & 0x7f;
        let resolution = match byte & 0x80 {
            0 => Resolution::PowerOfTen(exponent),
            _ => Resolution::PowerOfTwo(exponent),
        };
        Self { resolution, ..self }
    }

    /// With the `if_tsoffset`, in seconds.
    pub(super) fn with_offset(self, offset_s: i64) -> Self {
        Self { offset_s, ..self }
    }

    /// The time of a stamp; clamped to what nanoseconds in 64 bits can tell (the year 2262).
    #[inline]
    pub(super) fn at(self, ticks: u64) -> Timestamp {
        let ns_per_tick = match self.resolution {
            Resolution::PowerOfTen(6) => 1_000,
            Resolution::PowerOfTen(9) => 1,
            _ => return self.at_any(ticks),
        };
        match i64::try_from(ticks).map(|ticks| ticks.checked_mul(ns_per_tick)) {
            Ok(Some(ns)) if self.offset_s == 0 => Timestamp(ns),
            _ => self.at_any(ticks),
        }
    }

    fn at_any(self, ticks: u64) -> Timestamp {
        let ticks = i128::from(ticks);
        let ns = match self.resolution {
            Resolution::PowerOfTen(n) if n <= 9 => ticks * 10_i128.pow(u32::from(9 - n)),
            // 10^20 units are more than 64 bits count: less than a nanosecond.
            Resolution::PowerOfTen(n) if n >= 29 => 0,
            Resolution::PowerOfTen(n) => ticks / 10_i128.pow(u32::from(n - 9)),
            Resolution::PowerOfTwo(n) => (ticks * NS_PER_SECOND) >> n,
        };
        let ns = ns + i128::from(self.offset_s) * NS_PER_SECOND;
        let clamped = ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        Timestamp(i64::try_from(clamped).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_at(clock: Clock, ticks: u64, expected_ns: i64) {
        assert_eq!(clock.at(ticks), Timestamp(expected_ns));
    }

    #[test]
    fn without_options_stamps_are_microseconds() {
        check_at(Clock::default(), 1_500_000, 1_500_000_000);
    }

    #[test]
    fn resolutions_of_both_bases_become_nanoseconds() {
        let clock = Clock::default();
        check_at(clock.with_resolution(9), 7, 7);
        check_at(clock.with_resolution(0), 7, 7_000_000_000);
        check_at(clock.with_resolution(3), 7, 7_000_000);
        check_at(clock.with_resolution(12), 7_900, 7);
        check_at(clock.with_resolution(0x94), 3 << 19, 1_500_000_000);
        check_at(clock.with_resolution(0x80), 2, 2_000_000_000);
    }

    #[test]
    fn the_offset_moves_both_ways() {
        check_at(Clock::default().with_offset(10), 1, 10_000_001_000);
        check_at(Clock::default().with_offset(-1), 2_000_000, 1_000_000_000);
    }

    #[test]
    fn absurd_clocks_are_clamped_and_never_panic() {
        for byte in 0..=u8::MAX {
            for offset in [i64::MIN, -1, 0, 1, i64::MAX] {
                let clock = Clock::default().with_resolution(byte).with_offset(offset);
                clock.at(u64::MAX);
            }
        }
        check_at(Clock::default().with_resolution(0), u64::MAX, i64::MAX);
        check_at(Clock::default().with_resolution(0x7f), u64::MAX, 0);
    }
}
