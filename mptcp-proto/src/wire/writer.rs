//! The option area of a TCP header, being filled.

use super::tcp_option::{KIND_END_OF_LIST, KIND_NO_OPERATION};

/// Option space of a TCP header: 60 bytes at most, less the 20 of the fixed part (RFC 9293 §3.1).
pub const MAX_OPTION_AREA: usize = 40;

/// An option does not fit in what is left of the option area.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("option of {needed} bytes, {have} left in the TCP header")]
pub struct NoRoom {
    /// Bytes the option takes.
    pub needed: usize,
    /// Bytes that are left.
    pub have: usize,
}

/// The option area of one TCP header. Options are appended whole or not at all.
#[derive(Debug, Clone, Copy)]
pub struct OptionArea {
    bytes: [u8; MAX_OPTION_AREA],
    len: usize,
}

impl OptionArea {
    /// An area without options.
    pub const fn new() -> Self {
        Self {
            bytes: [0; MAX_OPTION_AREA],
            len: 0,
        }
    }

    /// The options so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Bytes that are left.
    pub const fn room(&self) -> usize {
        MAX_OPTION_AREA.saturating_sub(self.len)
    }

    /// Appends bytes as they are, all or none, and gives them back as they lie in the area.
    pub fn push(&mut self, bytes: &[u8]) -> Result<&[u8], NoRoom> {
        let error = NoRoom {
            needed: bytes.len(),
            have: self.room(),
        };
        let end = self.len.checked_add(bytes.len()).ok_or(error)?;
        let target = self.bytes.get_mut(self.len..end).ok_or(error)?;
        target.copy_from_slice(bytes);
        self.len = end;
        Ok(target)
    }

    /// Fills up to the next multiple of 4 bytes, which the header's length field counts in.
    pub fn pad(&mut self) {
        while !self.len.is_multiple_of(4) {
            // The area's size is a multiple of 4, so there is room for what is missing to one.
            if self.push(&[KIND_NO_OPERATION]).is_err() {
                return;
            }
        }
    }

    /// Ends the list and fills with zeros up to the next multiple of 4 bytes.
    pub fn end(&mut self) {
        while !self.len.is_multiple_of(4) {
            if self.push(&[KIND_END_OF_LIST]).is_err() {
                return;
            }
        }
    }
}

impl Default for OptionArea {
    fn default() -> Self {
        Self::new()
    }
}

/// Fields of one option in network byte order, before the option goes into an area.
///
/// Longer than any option can be it does not get: what comes after is counted, not kept, so that
/// the area refuses the whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    bytes: [u8; MAX_OPTION_AREA],
    len: usize,
}

impl Writer {
    /// Begins an option of this kind. The length is filled in by [`Writer::finish`].
    pub(crate) fn new(kind: u8) -> Self {
        let mut writer = Self {
            bytes: [0; MAX_OPTION_AREA],
            len: 0,
        };
        writer.put(&[kind, 0]);
        writer
    }

    /// Appends bytes.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(target) = self.bytes.get_mut(self.len..end) {
            target.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Sets the length and appends the option to the area.
    pub(crate) fn finish(mut self, area: &mut OptionArea) -> Result<&[u8], NoRoom> {
        let error = NoRoom {
            needed: self.len,
            have: area.room(),
        };
        let len = u8::try_from(self.len).map_err(|_| error)?;
        if let Some(field) = self.bytes.get_mut(1) {
            *field = len;
        }
        area.push(self.bytes.get(..self.len).ok_or(error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_does_not_fit_leaves_the_area_as_it_was() {
        let mut area = OptionArea::new();
        area.push(&[1; 38]).unwrap();
        assert_eq!(area.push(&[2; 3]), Err(NoRoom { needed: 3, have: 2 }));
        assert_eq!(area.as_bytes(), [1; 38]);
        assert_eq!(area.push(&[2; 2]).unwrap(), [2, 2]);
        assert_eq!(area.room(), 0);
    }

    #[test]
    fn an_option_longer_than_the_whole_area_is_refused() {
        let mut writer = Writer::new(30);
        writer.put(&[0; 30]);
        writer.put(&[0; 9]);
        let mut area = OptionArea::new();
        assert_eq!(
            writer.finish(&mut area),
            Err(NoRoom {
                needed: 41,
                have: 40
            })
        );
        assert!(area.as_bytes().is_empty());
    }

    #[test]
    fn padding_fills_to_a_multiple_of_four() {
        let mut area = OptionArea::new();
        area.push(&[9]).unwrap();
        area.pad();
        assert_eq!(area.as_bytes(), [9, 1, 1, 1]);
        area.pad();
        assert_eq!(area.as_bytes().len(), 4);
        area.push(&[9, 9, 9]).unwrap();
        area.end();
        assert_eq!(area.as_bytes(), [9, 1, 1, 1, 9, 9, 9, 0]);
    }
}
