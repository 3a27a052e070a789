//! Numbers, times and addresses as JSON strings, written without a detour over the heap: a document
//! of connections has a dozen in each.

use std::io::Write as _;
use std::net::SocketAddr;

use jiff::Timestamp as Instant;
use serde::{Serialize, Serializer};

use crate::model::Timestamp;

/// A number in hexadecimal, with all its digits.
pub(super) struct Hex<const DIGITS: usize>(u64);

/// `0x` and 16 digits.
pub(super) fn hex64(number: u64) -> Hex<16> {
    Hex(number)
}

/// `0x` and 8 digits.
pub(super) fn hex32(number: u32) -> Hex<8> {
    Hex(u64::from(number))
}

impl<const DIGITS: usize> Serialize for Hex<DIGITS> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Text::default();
        text.push(b"0x");
        for digit in (0..DIGITS).rev() {
            let value = (self.0 >> (4 * digit)) & 15;
            text.push(&[HEX_DIGITS[value as usize & 15]]);
        }
        text.serialize(serializer)
    }
}

/// RFC 3339 in UTC with as many decimals as needed; `null` outside the years -9999 to 9999, which
/// 64 bits of nanoseconds cannot reach.
pub(super) struct Time(pub(super) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Time(Timestamp(nanoseconds)) = *self;
        let Ok(time) = u64::try_from(nanoseconds) else {
            return time_before_1970(nanoseconds).serialize(serializer);
        };
        let (seconds, nanoseconds) = (time / NANOSECONDS, time % NANOSECONDS);
        let (days, seconds) = (seconds / DAY, seconds % DAY);
        let (year, month, day) = civil(days);
        let mut text = Text::default();
        text.decimal::<4>(year);
        text.push(b"-");
        text.decimal::<2>(month);
        text.push(b"-");
        text.decimal::<2>(day);
        text.push(b"T");
        text.decimal::<2>(seconds / 3600);
        text.push(b":");
        text.decimal::<2>(seconds / 60 % 60);
        text.push(b":");
        text.decimal::<2>(seconds % 60);
        if nanoseconds > 0 {
            text.push(b".");
            text.decimal::<9>(nanoseconds);
            text.drop_zeros();
        }
        text.push(b"Z");
        text.serialize(serializer)
    }
}

fn time_before_1970(nanoseconds: i64) -> Option<String> {
    let instant = Instant::from_nanosecond(i128::from(nanoseconds)).ok()?;
    Some(instant.to_string())
}

/// Year, month and day of a number of days since 1970: the years are taken to begin in March, so
/// that the leap day is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    const FROM_MARCH_OF_0000: u64 = 719_468;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days + FROM_MARCH_OF_0000;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next_year, month, day)
}

/// Address and port.
pub(super) struct End(pub(super) SocketAddr);

impl Serialize for End {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Text::default();
        match self.0 {
            SocketAddr::V4(end) => {
                for (position, byte) in end.ip().octets().into_iter().enumerate() {
                    if position > 0 {
                        text.push(b".");
                    }
                    text.number(byte.into());
                }
                text.push(b":");
                text.number(end.port());
            }
            SocketAddr::V6(end) => {
                // The longest has 58 characters.
                let mut rest = text.bytes.as_mut_slice();
                if write!(rest, "{end}").is_ok() {
                    text.len = MAX_TEXT - rest.len();
                }
            }
        }
        text.serialize(serializer)
    }
}

/// ASCII on the stack.
struct Text {
    bytes: [u8; MAX_TEXT],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Text {
            bytes: [0; MAX_TEXT],
            len: 0,
        }
    }
}

impl Text {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
        }
    }

    /// The last digits of a number.
    fn decimal<const DIGITS: usize>(&mut self, number: u64) {
        let mut digits = [b'0'; DIGITS];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = HEX_DIGITS[(rest % 10) as usize & 15];
            rest /= 10;
        }
        self.push(&digits);
    }

    /// A number without leading zeros.
    fn number(&mut self, number: u16) {
        match number {
            0..10 => self.decimal::<1>(number.into()),
            10..100 => self.decimal::<2>(number.into()),
            100..1000 => self.decimal::<3>(number.into()),
            1000..10_000 => self.decimal::<4>(number.into()),
            _ => self.decimal::<5>(number.into()),
        }
    }

    fn drop_zeros(&mut self) {
        while self.len > 0 && self.bytes.get(self.len - 1) == Some(&b'0') {
            self.len -= 1;
        }
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.bytes.get(..self.len).unwrap_or_default();
        serializer.serialize_str(str::from_utf8(bytes).unwrap_or_default())
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
const NANOSECONDS: u64 = 1_000_000_000;
const DAY: u64 = 86_400;
const MAX_TEXT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: impl Serialize, expected: &str) {
        let text = serde_json::to_value(value).unwrap();
        assert_eq!(text.as_str(), Some(expected));
    }

    #[test]
    fn hexadecimal_numbers_have_all_their_digits() {
        for number in [0, 1, 0xabcd_ef01, u32::MAX] {
            check(hex32(number), &format!("{number:#010x}"));
        }
        for number in [0, 0x0123_4567_89ab_cdef, u64::MAX] {
            check(hex64(number), &format!("{number:#018x}"));
        }
    }

    #[test]
    fn times_are_what_jiff_makes_of_them() {
        let days = (0..40_000).map(|day| day * 86_400 * 1_000_000_000 + day * 1_234_567_891);
        let odd = [
            -1,
            1,
            500_000_000,
            1_700_000_000_123_456_780,
            i64::MAX,
            i64::MIN,
        ];
        for nanoseconds in days.chain(odd) {
            let instant = Instant::from_nanosecond(i128::from(nanoseconds)).unwrap();
            check(Time(Timestamp(nanoseconds)), &instant.to_string());
        }
    }

    #[test]
    fn ends_are_what_the_standard_library_makes_of_them() {
        for end in [
            "0.0.0.0:0",
            "10.99.100.255:65535",
            "192.168.1.9:443",
            "[::1]:80",
            "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535",
            "[::ffff:10.1.2.3]:1",
        ] {
            check(End(end.parse().unwrap()), end);
        }
    }
}
