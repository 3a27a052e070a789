//! Protocol versions, and the one table of what differs between them.

use std::fmt;

/// Version of Multipath TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Version {
    /// RFC 6824.
    V0,
    /// RFC 8684.
    V1,
}

/// Hash function under tokens, IDSNs and HMACs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1 (RFC 6824 §3.1).
    Sha1,
    /// SHA-256 (RFC 8684 §3.1).
    Sha256,
}

/// Where the versions differ on the wire and in what is derived from the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Hash function under tokens, IDSNs and HMACs.
    pub hash: HashAlgorithm,
    /// Lengths that MP_CAPABLE may have (§3.1).
    pub capable_lengths: &'static [usize],
    /// Flag bits of MP_CAPABLE without a meaning (§3.1).
    pub capable_reserved: u8,
    /// ADD_ADDR names the IP version instead of flags, and has neither HMAC nor echo (§3.4.1).
    pub add_addr_has_ip_version: bool,
    /// MP_PRIO may name the address id of another subflow (RFC 6824 §3.3.8).
    pub prio_may_name_address: bool,
    /// MP_TCPRST exists (RFC 8684 §3.6).
    pub has_tcp_reset: bool,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Self; 2] = [Self::V0, Self::V1];

    /// The number in MP_CAPABLE.
    pub const fn number(self) -> u8 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
        }
    }

    /// The version with this number in MP_CAPABLE, if there is one.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            _ => None,
        }
    }

    /// What holds in this version.
    pub const fn rules(self) -> &'static Rules {
        match self {
            Self::V0 => &V0_RULES,
            Self::V1 => &V1_RULES,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.number())
    }
}

const V0_RULES: Rules = Rules {
    hash: HashAlgorithm::Sha1,
    capable_lengths: &[12, 20],
    capable_reserved: 0b0011_1110,
    add_addr_has_ip_version: true,
    prio_may_name_address: true,
    has_tcp_reset: false,
};

const V1_RULES: Rules = Rules {
    hash: HashAlgorithm::Sha256,
    capable_lengths: &[4, 12, 20, 22, 24],
    capable_reserved: 0b0001_1110,
    add_addr_has_ip_version: false,
    prio_may_name_address: false,
    has_tcp_reset: true,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_versions_map_to_each_other() {
        for number in 0..=u8::MAX {
            let version = Version::from_number(number);
            assert_eq!(version.map(Version::number), (number < 2).then_some(number));
        }
    }
}
