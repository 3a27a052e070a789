//! MP_FASTCLOSE: ends a connection at once (RFC 8684 §3.5).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin_with_twelve_bits, write_reserved};
use crate::key::Key;

/// MP_FASTCLOSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FastClose {
    /// Key of who receives the option: proves that the sender saw the handshake.
    pub receiver_key: Key,
    /// Reserved bits (12).
    pub reserved: u16,
}

impl FastClose {
    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        body.expect_len(&[12])?;
        let reserved = body.twelve_bits("reserved")?;
        Ok(Self {
            receiver_key: Key(body.reader.array("receiver's key")?),
            reserved,
        })
    }

    pub(super) fn emit(&self) -> Writer {
        let mut writer = begin_with_twelve_bits(Subtype::FAST_CLOSE, self.reserved);
        writer.put(&self.receiver_key.0);
        writer
    }
}

impl fmt::Display for FastClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MP_FASTCLOSE")?;
        write_reserved(f, self.reserved)
    }
}
