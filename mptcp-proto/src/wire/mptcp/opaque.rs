//! An option whose subtype says nothing to us, kept as it is.

use std::fmt;

use super::{Body, ParseError, Subtype};
use crate::wire::writer::MAX_OPTION_AREA;

/// An option verbatim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Opaque {
    bytes: [u8; MAX_OPTION_AREA],
    len: u8,
}

impl Opaque {
    /// Keeps a whole option, from its kind to its last byte.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let body = Body::new(bytes)?;
        let mut kept = [0; MAX_OPTION_AREA];
        let target = kept
            .get_mut(..bytes.len())
            .ok_or_else(|| body.bad_length())?;
        target.copy_from_slice(bytes);
        let len = u8::try_from(bytes.len()).map_err(|_| body.bad_length())?;
        Ok(Self { bytes: kept, len })
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
