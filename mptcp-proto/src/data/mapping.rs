//! One data sequence mapping.

use crate::seq::{Dsn, Ssn};

/// A data sequence mapping (RFC 8684 §3.3.1): `len` bytes from `ssn` on are the data from `dsn` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSequenceMapping {
    /// DSN of the first byte, in full width.
    pub dsn: Dsn,
    /// Subflow sequence number of the first byte; 0 when the mapping is a DATA_FIN without data.
    pub ssn: Ssn,
    /// Data-level length in bytes, a DATA_FIN counted as one; 0 is the infinite mapping.
    pub len: u16,
    /// Checksum, if the connection uses it.
    pub checksum: Option<u16>,
}

impl DataSequenceMapping {
    /// Whether the mapping has no end (RFC 8684 §3.7).
    pub const fn is_infinite(&self) -> bool {
        self.len == 0
    }

    /// How many bytes of payload it covers when its option has (or has not) the DATA_FIN flag.
    ///
    /// RFC 8684 §3.3.3: the DATA_FIN takes the last DSN of the mapping and no byte of the subflow.
    pub const fn payload_len(&self, data_fin: bool) -> u16 {
        self.len.saturating_sub(data_fin as u16)
    }

    /// DSN after the last one of the mapping; `None` for the infinite mapping.
    pub const fn end(&self) -> Option<Dsn> {
        if self.is_infinite() {
            return None;
        }
        Some(Dsn(self.dsn.0.wrapping_add(self.len as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(len: u16) -> DataSequenceMapping {
        DataSequenceMapping {
            dsn: Dsn(u64::MAX),
            ssn: Ssn(1),
            len,
            checksum: None,
        }
    }

    #[test]
    fn a_data_fin_takes_a_dsn_but_no_payload() {
        assert_eq!(mapping(10).payload_len(true), 9);
        assert_eq!(mapping(1).payload_len(true), 0);
        assert_eq!(mapping(10).payload_len(false), 10);
    }

    #[test]
    fn the_end_wraps_and_the_infinite_mapping_has_none() {
        assert_eq!(mapping(3).end(), Some(Dsn(2)));
        assert_eq!(mapping(0).end(), None);
    }
}
