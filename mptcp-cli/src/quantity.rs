//! Sizes, rates and times for people; JSON has the exact numbers.

/// Bytes with three significant digits in powers of 1000: `999 B`, `1.23 MB`.
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    scaled(count, &["kB", "MB", "GB", "TB", "PB", "EB"])
}

/// A rate with three significant digits: `12.3 Mbit/s`.
pub fn bits_per_second(rate: u64) -> String {
    if rate < 1000 {
        return format!("{rate} bit/s");
    }
    scaled(
        rate,
        &["kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"],
    )
}

/// A span of time in nanoseconds: `850 ns`, `12.3 ms`, `4.56 s`, `3m07s`, `2h05m`, `3d04h`.
pub fn duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let count = nanoseconds.unsigned_abs();
    let seconds = count / 1_000_000_000;
    let text = match seconds {
        0 if count < 1000 => format!("{count} ns"),
        0..60 => scaled(count, &["us", "ms", "s"]),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    };
    format!("{sign}{text}")
}

/// `part` of `whole` in percent with one decimal, or a dash when there is no whole.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let permille = u128::from(part) * 1000 / u128::from(whole);
    format!("{}.{}%", permille / 10, permille % 10)
}

/// `count` with its noun in the right number.
pub fn counted(count: u64, singular: &str, plural: &str) -> String {
    let noun = if count == 1 { singular } else { plural };
    format!("{count} {noun}")
}

/// Three significant digits of `count` (at least 1000) in the first unit that leaves less than
/// 1000. Digits are cut, not rounded, so that a whole is never shown before it is reached.
fn scaled(count: u64, units: &[&str]) -> String {
    let mut divisor: u64 = 1000;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    for next in units {
        if count / divisor < 1000 {
            break;
        }
        divisor = divisor.saturating_mul(1000);
        unit = next;
    }
    let whole = count / divisor;
    let hundredths = count % divisor / (divisor / 100);
    match whole {
        0..10 => format!("{whole}.{hundredths:02} {unit}"),
        10..100 => format!("{whole}.{} {unit}", hundredths / 10),
        _ => format!("{whole} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        let sizes = [0, 999, 1000, 1234, 12_345, 999_999, 1_000_000, u64::MAX];
        let expected = [
            "0 B", "999 B", "1.00 kB", "1.23 kB", "12.3 kB", "999 kB", "1.00 MB", "18.4 EB",
        ];
        assert_eq!(sizes.map(bytes), expected);
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let times = [0, 850, 12_345, 12_345_678, 4_567_000_000, 187_000_000_000];
        let expected = ["0 ns", "850 ns", "12.3 us", "12.3 ms", "4.56 s", "3m07s"];
        assert_eq!(times.map(duration), expected);
        assert_eq!(duration(7_500_000_000_000), "2h05m");
        assert_eq!(duration(273_600_000_000_000), "3d04h");
        assert_eq!(duration(-12_345_678), "-12.3 ms");
        assert_eq!(duration(i64::MIN), "-106751d23h");
    }

    #[test]
    fn a_share_of_nothing_is_a_dash() {
        assert_eq!(share(1, 0), "-");
        assert_eq!(share(1, 3), "33.3%");
        assert_eq!(share(u64::MAX, u64::MAX), "100.0%");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "packet", "packets"), "1 packet");
        assert_eq!(counted(0, "packet", "packets"), "0 packets");
    }
}
