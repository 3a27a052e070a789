//! How the values of a box are written: numbers, words, bytes, probabilities.

use std::net::IpAddr;
use std::time::Duration;

use super::super::option_area::{NAMES, OptionSet};

/// A value with a text form.
pub trait Value: Sized + PartialEq {
    /// The value that this text stands for.
    fn read(text: &str) -> Option<Self>;
    /// The text that stands for this value.
    fn write(&self) -> String;
    /// What may be written, for error messages.
    fn allowed() -> String;
}

/// An enum of words.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$note:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$note])* $variant,)+
        }

        impl $crate::middlebox::spec::Value for $name {
            fn read(text: &str) -> Option<Self> {
                match text {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn write(&self) -> String {
                match self {
                    $(Self::$variant => $word.to_owned(),)+
                }
            }

            fn allowed() -> String {
                [$($word),+].join(", ")
            }
        }
    };
}
pub(crate) use words;

macro_rules! number {
    ($number:ty) => {
        impl Value for $number {
            fn read(text: &str) -> Option<Self> {
                match text.strip_prefix("0x") {
                    Some(hex) => Self::from_str_radix(hex, 16).ok(),
                    None => text.parse().ok(),
                }
            }

            fn write(&self) -> String {
                // Large numbers are patterns of bits rather than counts.
                if u64::from(*self) > 0xffff {
                    format!("{self:#x}")
                } else {
                    self.to_string()
                }
            }

            fn allowed() -> String {
                format!("a number from 0 to {}, in decimal or 0x…", Self::MAX)
            }
        }
    };
}

number!(u8);
number!(u16);
number!(u32);
number!(u64);

impl<T: Value> Value for Option<T> {
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Some)
    }

    fn write(&self) -> String {
        self.as_ref().map(T::write).unwrap_or_default()
    }

    fn allowed() -> String {
        T::allowed()
    }
}

impl Value for IpAddr {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn allowed() -> String {
        "an IP address".to_owned()
    }
}

impl Value for OptionSet {
    fn read(text: &str) -> Option<Self> {
        let names = text.split('/').map(|name| name.parse().ok());
        names.collect::<Option<Vec<_>>>().map(Self)
    }

    fn write(&self) -> String {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        names.join("/")
    }

    fn allowed() -> String {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        format!(
            "{}, a kind from 2 to 255, or mptcp.N; several with `/`",
            names.join(", ")
        )
    }
}

/// Bytes, written in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Value for Bytes {
    fn read(text: &str) -> Option<Self> {
        let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digits: Vec<u8> = text.chars().map(digit).collect::<Option<_>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        rest.is_empty()
            .then(|| Self(pairs.iter().map(|[high, low]| high << 4 | low).collect()))
    }

    fn write(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
            text
        })
    }

    fn allowed() -> String {
        "bytes in hexadecimal, two digits each".to_owned()
    }
}

/// A probability in millionths, so that equal texts are equal values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Probability(u32);

impl Probability {
    /// It always happens.
    pub const ALWAYS: Self = Self(Self::ONE);
    /// It never happens.
    pub const NEVER: Self = Self(0);
    /// Millionths that make a certainty.
    pub const ONE: u32 = 1_000_000;

    /// So many millionths, a certainty at most.
    #[must_use]
    pub const fn from_millionths(millionths: u32) -> Self {
        if millionths > Self::ONE {
            Self::ALWAYS
        } else {
            Self(millionths)
        }
    }

    /// So many millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl Value for Probability {
    fn read(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits_only = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if part.is_empty() || part.len() > 6 || !digits_only(part) || !digits_only(whole) {
            return None;
        }
        let millionths: u32 = format!("{part:0<6}").parse().ok()?;
        match whole.parse::<u32>().ok()? {
            0 => Some(Self(millionths)),
            1 if millionths == 0 => Some(Self::ALWAYS),
            _ => None,
        }
    }

    fn write(&self) -> String {
        let text = format!("{}.{:06}", self.0 / Self::ONE, self.0 % Self::ONE);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn allowed() -> String {
        "a probability from 0 to 1 with six decimals at most".to_owned()
    }
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u32);

impl Millis {
    /// The same time as a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

impl Value for Millis {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn write(&self) -> String {
        self.0.to_string()
    }

    fn allowed() -> String {
        "whole milliseconds".to_owned()
    }
}

/// Spans of time since the start, each without its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(pub Vec<(Millis, Millis)>);

impl Spans {
    /// Whether one of them holds this moment.
    pub fn contain(&self, now: Duration) -> bool {
        self.0
            .iter()
            .any(|(from, to)| from.duration() <= now && now < to.duration())
    }
}

impl Value for Spans {
    fn read(text: &str) -> Option<Self> {
        let span = |text: &str| {
            let (from, to) = text.split_once("..")?;
            let (from, to) = (Millis::read(from)?, Millis::read(to)?);
            (from < to).then_some((from, to))
        };
        text.split('/')
            .map(span)
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    fn write(&self) -> String {
        let spans: Vec<String> = self
            .0
            .iter()
            .map(|(from, to)| format!("{}..{}", from.0, to.0))
            .collect();
        spans.join("/")
    }

    fn allowed() -> String {
        "FROM..TO in milliseconds, FROM before TO; several with `/`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_read<T: Value + std::fmt::Debug>(text: &str, expected: Option<T>) {
        let value = T::read(text);
        let again = value.as_ref().and_then(|value| T::read(&value.write()));
        assert_eq!((&value, &again), (&expected, &value), "{text}");
        drop(expected);
    }

    #[test]
    fn values_are_read_as_written() {
        check_read("0x10203040", Some(0x1020_3040_u32));
        check_read("300", None::<u8>);
        check_read("0.05", Some(Probability(50_000)));
        check_read("1", Some(Probability::ALWAYS));
        check_read("1.0", Some(Probability::ALWAYS));
        check_read("1.1", None::<Probability>);
        check_read("+1", None::<Probability>);
        check_read("0.0000001", None::<Probability>);
        check_read("0aFF", Some(Bytes(vec![10, 255])));
        check_read("0a1", None::<Bytes>);
        check_read("zz", None::<Bytes>);
        check_read(
            "5..9/20..21",
            Some(Spans(vec![
                (Millis(5), Millis(9)),
                (Millis(20), Millis(21)),
            ])),
        );
        check_read("9..5", None::<Spans>);
    }
}
