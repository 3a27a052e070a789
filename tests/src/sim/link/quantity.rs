//! Numbers with units: `40ms`, `10mbit`, `64kB`, `0.5%`.

/// Names of units and how many of the smallest each is, ascending.
pub(super) type Units = &'static [(&'static str, u64)];

/// Times, in nanoseconds.
pub(super) const TIME: Units = &[
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
];

/// Rates, in bits per second.
pub(super) const RATE: Units = &[
    ("bit", 1),
    ("kbit", 1_000),
    ("mbit", 1_000_000),
    ("gbit", 1_000_000_000),
];

/// Sizes, in bytes.
pub(super) const SIZE: Units = &[("B", 1), ("kB", 1_000), ("MB", 1_000_000)];

/// Parts of a whole, in millionths.
pub(super) const SHARE: Units = &[("%", 10_000)];

/// The number that `text` stands for; none if it has another unit or is no whole number of the
/// smallest one.
pub(super) fn read(text: &str, units: Units) -> Option<u64> {
    let digits = text.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let mut value = whole.parse::<u64>().ok()?.checked_mul(*factor)?;
    let mut step = *factor;
    for digit in part.bytes() {
        let digit = u64::from(digit.checked_sub(b'0')?);
        if digit > 0 && step % 10 != 0 {
            return None;
        }
        step /= 10;
        value = value.checked_add(digit.checked_mul(step)?)?;
    }
    Some(value)
}

/// The shortest text that [`read`] takes for this number.
pub(super) fn write(value: u64, units: Units) -> String {
    let fits = units
        .iter()
        .rev()
        .find(|(_, factor)| value.is_multiple_of(*factor));
    let (name, factor) = fits.or(units.first()).copied().unwrap_or(("", 1));
    let (whole, mut rest) = (value / factor, value % factor);
    let mut text = whole.to_string();
    let mut step = factor;
    while rest > 0 && step > 1 {
        if step == factor {
            text.push('.');
        }
        step /= 10;
        text.push_str(&(rest / step).to_string());
        rest %= step;
    }
    text + name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, units: Units, value: u64) {
        assert_eq!(read(text, units), Some(value), "{text}");
        assert_eq!(write(value, units), text);
    }

    #[test]
    fn numbers_are_read_as_written() {
        check("40ms", TIME, 40_000_000);
        check("0s", TIME, 0);
        check("1500us", TIME, 1_500_000);
        check("10mbit", RATE, 10_000_000);
        check("80kB", SIZE, 80_000);
        check("1%", SHARE, 10_000);
        check("0.05%", SHARE, 500);
        check("12.3456%", SHARE, 123_456);
        assert_eq!(read("1.5s", TIME), Some(1_500_000_000));
    }

    #[test]
    fn what_is_no_number_of_that_kind_is_refused() {
        for text in ["", "5", "ms", "5m", "-1ms", "1.5ns", "1.2.3ms", "0.00001%"] {
            let units = if text.ends_with('%') { SHARE } else { TIME };
            assert_eq!(read(text, units), None, "{text}");
        }
        assert_eq!(read("99999999999999999999s", TIME), None);
    }
}
