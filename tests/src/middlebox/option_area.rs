//! The option area of a TCP header: where options are, what they are called.

use std::fmt;
use std::str::FromStr;

/// End of the option list.
pub const EOL: u8 = 0;
/// No operation, the padding between options.
pub const NOP: u8 = 1;
/// Maximum segment size.
pub const MSS: u8 = 2;
/// Window scale.
pub const WINDOW_SCALE: u8 = 3;
/// Selective acknowledgments.
pub const SACK: u8 = 5;
/// Timestamps.
pub const TIMESTAMPS: u8 = 8;
/// Multipath TCP.
pub const MPTCP: u8 = 30;

/// Subtype of MP_CAPABLE.
pub const MP_CAPABLE: u8 = 0;
/// Subtype of MP_JOIN.
pub const MP_JOIN: u8 = 1;
/// Subtype of DSS.
pub const DSS: u8 = 2;
/// Subtype of ADD_ADDR.
pub const ADD_ADDR: u8 = 3;
/// Subtype of MP_FAIL.
pub const MP_FAIL: u8 = 6;
/// Subtype of MP_FASTCLOSE.
pub const MP_FASTCLOSE: u8 = 7;

/// Where an option lies in its area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Kind of the option.
    pub kind: u8,
    /// Offset of its first byte in the area.
    pub at: usize,
    /// Its length, never beyond the area.
    pub len: usize,
}

impl Place {
    /// The option's bytes, empty if `area` is not the one that was walked.
    pub fn of(self, area: &[u8]) -> &[u8] {
        area.get(self.at..self.at + self.len).unwrap_or_default()
    }

    /// Its MPTCP subtype; none if it is no MPTCP option.
    pub fn subtype(self, area: &[u8]) -> Option<u8> {
        let bytes = self.of(area);
        (self.kind == MPTCP)
            .then(|| bytes.get(2).map(|byte| byte >> 4))
            .flatten()
    }
}

/// The options of an area, NOPs left out. Ends at EOL and at the first length that cannot be.
pub fn walk(area: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(&kind) = area.get(at) {
        match kind {
            EOL => break,
            NOP => at += 1,
            _ => {
                let len = usize::from(area.get(at + 1).copied().unwrap_or(0));
                if len < 2 || at + len > area.len() {
                    break;
                }
                places.push(Place { kind, at, len });
                at += len;
            }
        }
    }
    places
}

/// Which options are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionName {
    /// Every option of this kind.
    Kind(u8),
    /// MPTCP options of this subtype.
    Subtype(u8),
    /// ADD_ADDR with the E flag clear, or set.
    AddAddr {
        /// Whether the echo is meant.
        echo: bool,
    },
}

impl OptionName {
    /// Whether the option at `place` is meant.
    pub fn fits(self, place: Place, area: &[u8]) -> bool {
        match self {
            Self::Kind(kind) => place.kind == kind,
            Self::Subtype(subtype) => place.subtype(area) == Some(subtype),
            // In v0 the low bits are the IP version, 4 or 6: the last one is never set.
            Self::AddAddr { echo } => {
                place.subtype(area) == Some(ADD_ADDR)
                    && place.of(area).get(2).is_some_and(|b| (b & 1 == 1) == echo)
            }
        }
    }
}

/// Several names at once; none of them means no option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionSet(pub Vec<OptionName>);

impl OptionSet {
    /// The set of one name.
    pub fn one(name: OptionName) -> Self {
        Self(vec![name])
    }

    /// Whether the option at `place` is meant.
    pub fn fits(&self, place: Place, area: &[u8]) -> bool {
        self.0.iter().any(|name| name.fits(place, area))
    }

    /// Whether the area has an option that is meant.
    pub fn is_in(&self, area: &[u8]) -> bool {
        walk(area).into_iter().any(|place| self.fits(place, area))
    }
}

impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((word, _)) = NAMES.iter().find(|(_, name)| name == self) {
            return f.write_str(word);
        }
        match self {
            Self::Kind(kind) => write!(f, "{kind}"),
            Self::Subtype(subtype) => write!(f, "mptcp.{subtype}"),
            Self::AddAddr { .. } => Err(fmt::Error),
        }
    }
}

impl FromStr for OptionName {
    type Err = UnknownOption;

    fn from_str(text: &str) -> Result<Self, UnknownOption> {
        if let Some((_, name)) = NAMES.iter().find(|(word, _)| *word == text) {
            return Ok(*name);
        }
        let known = |name: Self| {
            let listed = NAMES.iter().find(|(_, listed)| *listed == name);
            listed.map_or(name, |(_, listed)| *listed)
        };
        let number = text.strip_prefix("mptcp.");
        match number.unwrap_or(text).parse() {
            Ok(subtype @ 0..16) if number.is_some() => Ok(known(Self::Subtype(subtype))),
            Ok(kind @ 2..) if number.is_none() => Ok(known(Self::Kind(kind))),
            _ => Err(UnknownOption),
        }
    }
}

/// No option has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no option has this name")]
pub struct UnknownOption;

/// Names in the text form of boxes.
pub const NAMES: &[(&str, OptionName)] = &[
    ("mss", OptionName::Kind(MSS)),
    ("wscale", OptionName::Kind(WINDOW_SCALE)),
    ("sack_ok", OptionName::Kind(4)),
    ("sack", OptionName::Kind(SACK)),
    ("timestamps", OptionName::Kind(TIMESTAMPS)),
    ("mptcp", OptionName::Kind(MPTCP)),
    ("tfo", OptionName::Kind(34)),
    ("mp_capable", OptionName::Subtype(MP_CAPABLE)),
    ("mp_join", OptionName::Subtype(MP_JOIN)),
    ("dss", OptionName::Subtype(DSS)),
    ("add_addr", OptionName::Subtype(ADD_ADDR)),
    ("add_addr_announce", OptionName::AddAddr { echo: false }),
    ("add_addr_echo", OptionName::AddAddr { echo: true }),
    ("remove_addr", OptionName::Subtype(4)),
    ("mp_prio", OptionName::Subtype(5)),
    ("mp_fail", OptionName::Subtype(MP_FAIL)),
    ("mp_fastclose", OptionName::Subtype(MP_FASTCLOSE)),
    ("mp_tcprst", OptionName::Subtype(8)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_cannot_be_ends_the_walk() {
        assert_eq!(walk(&[1, 1, 2, 4, 5, 180, 30, 0]).len(), 1);
        assert_eq!(walk(&[30, 9, 0, 0]), []);
        assert_eq!(walk(&[30]), []);
        assert_eq!(walk(&[0, 2, 4, 5, 180]), []);
    }

    #[test]
    fn an_echo_is_told_from_an_announcement() {
        let echo = [30, 8, 0x31, 7, 10, 0, 0, 1];
        let set = |text: &str| OptionSet::one(text.parse().unwrap());
        assert!(set("add_addr_echo").is_in(&echo));
        assert!(!set("add_addr_announce").is_in(&echo));
        assert!(set("add_addr").is_in(&echo));
        assert!(!set("dss").is_in(&echo));
    }

    #[test]
    fn names_and_numbers_mean_the_same_options() {
        assert_eq!("30".parse(), Ok(OptionName::Kind(30)));
        assert_eq!("mptcp.1".parse(), "mp_join".parse::<OptionName>());
        assert_eq!("mptcp.16".parse::<OptionName>(), Err(UnknownOption));
        assert_eq!("1".parse::<OptionName>(), Err(UnknownOption));
        for (word, name) in NAMES {
            assert_eq!(name.to_string(), *word);
        }
    }
}
