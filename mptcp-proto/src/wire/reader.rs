//! Reading fields from the front of a byte string.

/// A field ends past the end of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} needs {needed} bytes, {have} left")]
pub struct Truncated {
    /// Which field.
    pub field: &'static str,
    /// Bytes the field takes.
    pub needed: usize,
    /// Bytes that were left.
    pub have: usize,
}

/// Takes fields in network byte order from the front of a byte string.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the front of `bytes`.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    #[inline]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// How many bytes have not been read.
    #[inline]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes a byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Truncated> {
        self.array(field).map(u8::from_be_bytes)
    }

    /// Takes a number of 2 bytes.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Truncated> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Takes a number of 4 bytes.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Truncated> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Takes a number of 8 bytes.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Truncated> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// Takes `len` bytes.
    pub fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Truncated> {
        let have = self.rest.len();
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Truncated {
            field,
            needed: len,
            have,
        })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Truncated> {
        let have = self.rest.len();
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Truncated {
            field,
            needed: N,
            have,
        })?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_network_byte_order() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.u16("b"), Ok(0x0203));
        assert_eq!(reader.u32("c"), Ok(0x0405_0607));
        assert_eq!(reader.remaining(), 0);
    }

    #[test]
    fn a_field_past_the_end_is_named_and_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        let error = reader.u32("token").unwrap_err();
        assert_eq!(error.to_string(), "token needs 4 bytes, 3 left");
        assert_eq!(reader.rest(), [1, 2, 3]);
    }
}
