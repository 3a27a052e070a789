//! MP_FAIL: a checksum did not hold (RFC 8684 §3.7).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin_with_twelve_bits, write_reserved};
use crate::seq::Dsn;

/// MP_FAIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fail {
    /// Number of the first byte of the mapping that failed.
    pub dsn: Dsn,
    /// Reserved bits (12).
    pub reserved: u16,
}

impl Fail {
    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        body.expect_len(&[12])?;
        let reserved = body.twelve_bits("reserved")?;
        Ok(Self {
            dsn: Dsn(body.reader.u64("data sequence number")?),
            reserved,
        })
    }

    pub(super) fn emit(&self) -> Writer {
        let mut writer = begin_with_twelve_bits(Subtype::FAIL, self.reserved);
        writer.put(&self.dsn.0.to_be_bytes());
        writer
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MP_FAIL dsn={}", self.dsn)?;
        write_reserved(f, self.reserved)
    }
}
