//! An option whose subtype says nothing to us, kept as it is.

use std::fmt;

use super::{Body, ParseError, Subtype};
use crate::wire::tcp_option::KIND_MPTCP;
use crate::wire::writer::MAX_OPTION_AREA;

/// An option verbatim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opaque {
    bytes: [u8; MAX_OPTION_AREA],
    len: u8,
}

impl Opaque {
    /// Keeps a whole option, from its kind to its last byte.
    pub fn new(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse(Body::new(bytes)?)
    }

    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        let data_len = body.len.saturating_sub(HEADER);
        if data_len > MAX_OPTION_AREA.saturating_sub(HEADER) {
            return Err(body.bad_length());
        }
        let data = body.reader.take("data", data_len)?;
        let len = u8::try_from(body.len).map_err(|_| body.bad_length())?;
        let mut bytes = [0; MAX_OPTION_AREA];
        let header = [KIND_MPTCP, len, (body.subtype.0 << 4) | body.nibble];
        for (slot, byte) in bytes.iter_mut().zip(header.iter().chain(data)) {
            *slot = *byte;
        }
        Ok(Self { bytes, len })
    }

    /// The whole option, from its kind to its last byte.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Its subtype.
    pub fn subtype(&self) -> Subtype {
        Subtype(self.as_bytes().get(2).map_or(0, |byte| byte >> 4))
    }
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({:02x?})", self.as_bytes())
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} len={}", self.subtype(), self.len)
    }
}

/// Kind, length and subtype.
const HEADER: usize = 3;
