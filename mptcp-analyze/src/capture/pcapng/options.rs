//! The options at the end of a pcapng block.

use std::borrow::Cow;

use crate::capture::byte_order::ByteOrder;

/// `opt_comment`, valid in every block.
const COMMENT: u16 = 1;

/// Walks the options of a block; stops at the end mark or at the first that does not fit.
#[derive(Debug, Clone)]
pub(in crate::capture) struct Options<'a> {
    order: ByteOrder,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    /// The options in `bytes`.
    pub(in crate::capture) fn new(order: ByteOrder, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.order.u16(self.rest, 0)?;
        let len = usize::from(self.order.u16(self.rest, 2)?);
        if code == 0 {
            return None;
        }
        let area = self.rest.get(4..)?;
        let value = area.get(..len)?;
        // A writer may forget the padding of the last option.
        self.rest = area.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

/// The comments that the capture file has on a packet.
#[derive(Debug, Clone, Copy)]
pub struct Comments<'a> {
    order: ByteOrder,
    options: &'a [u8],
}

impl<'a> Comments<'a> {
    pub(in crate::capture) fn new(order: ByteOrder, options: &'a [u8]) -> Self {
        Self { order, options }
    }

    /// The comments, in the order of the file; bytes that are not UTF-8 are replaced.
    pub fn iter(self) -> impl Iterator<Item = Cow<'a, str>> {
        Options::new(self.order, self.options)
            .filter(|(code, _)| *code == COMMENT)
            .map(|(_, text)| String::from_utf8_lossy(text))
    }
}
