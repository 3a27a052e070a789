//! Sizes, rates and times for people; JSON has the exact numbers.

use std::cmp::Reverse;

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

/// Each of `parts` of `whole` in percent with one decimal, or a dash when there is no whole. The
/// shares of parts that make up the whole add up to 100.0: what rounding down leaves over goes to
/// those that lost most by it.
pub fn shares(parts: &[u64], whole: u64) -> Vec<String> {
    if whole == 0 {
        return vec!["-".to_owned(); parts.len()];
    }
    let scaled = |part: u64| u128::from(part) * 1000;
    let whole = u128::from(whole);
    let mut permilles: Vec<u128> = parts.iter().map(|&part| scaled(part) / whole).collect();
    let sum: u128 = parts.iter().map(|&part| scaled(part)).sum();
    let rest = (sum / whole).saturating_sub(permilles.iter().sum());
    let mut by_loss: Vec<usize> = (0..parts.len()).collect();
    by_loss.sort_by_key(|&index| Reverse(scaled(parts[index]) % whole));
    for &index in by_loss
        .iter()
        .take(usize::try_from(rest).unwrap_or(usize::MAX))
    {
        permilles[index] += 1;
    }
    permilles
        .iter()
        .map(|permille| format!("{}.{}%", permille / 10, permille % 10))
        .collect()
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

    #[track_caller]
    fn check_shares(parts: &[u64], whole: u64, expected: &[&str]) {
        assert_eq!(shares(parts, whole), expected);
    }

    #[test]
    fn shares_of_a_whole_add_up_to_it() {
        check_shares(&[1, 1, 1], 3, &["33.4%", "33.3%", "33.3%"]);
        check_shares(&[21_000, 45_000], 66_000, &["31.8%", "68.2%"]);
        check_shares(&[u64::MAX], u64::MAX, &["100.0%"]);
        check_shares(&[2, 0], 2, &["100.0%", "0.0%"]);
    }

    #[test]
    fn parts_that_are_no_whole_are_not_rounded_up_to_one() {
        check_shares(&[1, 1], 3, &["33.3%", "33.3%"]);
        check_shares(&[], 3, &[]);
    }

    #[test]
    fn a_share_of_nothing_is_a_dash() {
        check_shares(&[0, 1], 0, &["-", "-"]);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "packet", "packets"), "1 packet");
        assert_eq!(counted(0, "packet", "packets"), "0 packets");
    }
}
