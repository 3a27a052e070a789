//! Subtypes of the MPTCP option (RFC 8684 §7.2).

use std::fmt;

/// Subtype of an MPTCP option: four bits, all of which survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subtype(pub u8);

impl Subtype {
    /// MP_CAPABLE (RFC 8684 §3.1).
    pub const CAPABLE: Self = Self(0);
    /// MP_JOIN (RFC 8684 §3.2).
    pub const JOIN: Self = Self(1);
    /// DSS (RFC 8684 §3.3).
    pub const DSS: Self = Self(2);
    /// ADD_ADDR (RFC 8684 §3.4.1).
    pub const ADD_ADDR: Self = Self(3);
    /// REMOVE_ADDR (RFC 8684 §3.4.2).
    pub const REMOVE_ADDR: Self = Self(4);
    /// MP_PRIO (RFC 8684 §3.3.8).
    pub const PRIO: Self = Self(5);
    /// MP_FAIL (RFC 8684 §3.7).
    pub const FAIL: Self = Self(6);
    /// MP_FASTCLOSE (RFC 8684 §3.5).
    pub const FAST_CLOSE: Self = Self(7);
    /// MP_TCPRST (RFC 8684 §3.6).
    pub const TCP_RESET: Self = Self(8);
    /// MP_EXPERIMENTAL (RFC 8684 §7.2).
    pub const EXPERIMENTAL: Self = Self(15);

    /// The name in the RFC, if the subtype has one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::CAPABLE => "MP_CAPABLE",
            Self::JOIN => "MP_JOIN",
            Self::DSS => "DSS",
            Self::ADD_ADDR => "ADD_ADDR",
            Self::REMOVE_ADDR => "REMOVE_ADDR",
            Self::PRIO => "MP_PRIO",
            Self::FAIL => "MP_FAIL",
            Self::FAST_CLOSE => "MP_FASTCLOSE",
            Self::TCP_RESET => "MP_TCPRST",
            Self::EXPERIMENTAL => "MP_EXPERIMENTAL",
            _ => return None,
        })
    }
}

impl fmt::Display for Subtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "MPTCP subtype {:#x}", self.0),
        }
    }
}
