//! MP_TCPRST: why a subflow is reset (RFC 8684 §3.6).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin, write_reserved};

/// MP_TCPRST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpReset {
    /// Flags U, V, W and T.
    pub flags: ResetFlags,
    /// Why.
    pub reason: ResetReason,
}

/// Flags of MP_TCPRST: U, V and W have no meaning, T says that the condition is transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ResetFlags(pub u8);

impl ResetFlags {
    /// T: the condition that led to the reset may soon be over.
    pub const TRANSIENT: Self = Self(1);

    /// Whether T is set.
    pub const fn transient(self) -> bool {
        self.0 & Self::TRANSIENT.0 != 0
    }

    /// U, V and W, the lowest bit being W.
    pub const fn reserved(self) -> u8 {
        (self.0 >> 1) & 0b111
    }
}

/// Reason of MP_TCPRST (RFC 8684 §3.6); a number without a meaning survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResetReason(pub u8);

impl ResetReason {
    /// Unspecified error.
    pub const UNSPECIFIED: Self = Self(0);
    /// MPTCP-specific error.
    pub const MPTCP_SPECIFIC: Self = Self(1);
    /// Lack of resources.
    pub const LACK_OF_RESOURCES: Self = Self(2);
    /// Administratively prohibited.
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(3);
    /// Too much outstanding data.
    pub const TOO_MUCH_OUTSTANDING_DATA: Self = Self(4);
    /// Unacceptable performance.
    pub const UNACCEPTABLE_PERFORMANCE: Self = Self(5);
    /// Middlebox interference.
    pub const MIDDLEBOX_INTERFERENCE: Self = Self(6);

    /// Whether a host that gives this reason sets T: the condition passes by itself, and a new subflow on the
    /// same path may do better. What broke a rule, or is not allowed, would do so again.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::LACK_OF_RESOURCES
                | Self::TOO_MUCH_OUTSTANDING_DATA
                | Self::UNACCEPTABLE_PERFORMANCE
        )
    }

    /// The RFC's words for it, if it has any.
    pub const fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::UNSPECIFIED => "unspecified error",
            Self::MPTCP_SPECIFIC => "MPTCP-specific error",
            Self::LACK_OF_RESOURCES => "lack of resources",
            Self::ADMINISTRATIVELY_PROHIBITED => "administratively prohibited",
            Self::TOO_MUCH_OUTSTANDING_DATA => "too much outstanding data",
            Self::UNACCEPTABLE_PERFORMANCE => "unacceptable performance",
            Self::MIDDLEBOX_INTERFERENCE => "middlebox interference",
            _ => return None,
        })
    }
}

impl fmt::Display for ResetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().unwrap_or("unknown reason"))
    }
}

impl TcpReset {
    /// What a host sends for this reason, with T where [`ResetReason::is_transient`].
    pub const fn because(reason: ResetReason) -> Self {
        let flags = if reason.is_transient() {
            ResetFlags::TRANSIENT
        } else {
            ResetFlags(0)
        };
        Self { flags, reason }
    }

    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        body.expect_len(&[4])?;
        let reason = ResetReason(body.reader.u8("reason")?);
        Ok(Self {
            flags: ResetFlags(body.nibble),
            reason,
        })
    }

    pub(super) fn emit(self) -> Writer {
        let mut writer = begin(Subtype::TCP_RESET, self.flags.0);
        writer.put(&[self.reason.0]);
        writer
    }
}

impl fmt::Display for TcpReset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MP_TCPRST reason={} ({})", self.reason.0, self.reason)?;
        if self.flags.transient() {
            f.write_str(" transient")?;
        }
        write_reserved(f, u16::from(self.flags.reserved()))
    }
}
