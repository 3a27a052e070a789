//! The blocks of a pcapng file (draft-ietf-opsawg-pcapng), as far as a run needs them.

use std::io::{self, Read};

use super::read::ReadError;

/// Blocks, and where each begins.
pub(super) struct Blocks<R> {
    file: R,
    at: u64,
    body: Vec<u8>,
}

/// What comes next.
pub(super) enum Next {
    /// A block of this type; its body is in [`Blocks::body`].
    Block { at: u64, kind: u32 },
    /// The file ends here.
    End,
    /// The file ends in the middle of the block that begins here.
    Cut(u64),
}

impl<R: Read> Blocks<R> {
    pub(super) const fn new(file: R) -> Self {
        Self {
            file,
            at: 0,
            body: Vec::new(),
        }
    }

    /// What lies between the lengths of the block at hand.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    pub(super) fn next(&mut self) -> Result<Next, ReadError> {
        let at = self.at;
        let failed = |source| ReadError::Io { at, source };
        let head = self.take(HEAD).map_err(failed)?;
        let is_end = head == 0;
        let words = (word(&self.body, 0), word(&self.body, 4));
        if is_end && at > 0 {
            return Ok(Next::End);
        }
        let (Some(kind), Some(len)) = words else {
            return if at == 0 {
                Err(ReadError::Format)
            } else {
                Ok(Next::Cut(at))
            };
        };
        if at == 0 && kind != SECTION_HEADER {
            return Err(ReadError::Format);
        }
        // The length of a section header is in the byte order that its body names.
        if kind == SECTION_HEADER {
            return self.section(at, len);
        }
        self.rest(at, kind, len, 0)
    }

    fn section(&mut self, at: u64, len: u32) -> Result<Next, ReadError> {
        let failed = |source| ReadError::Io { at, source };
        self.take(4).map_err(failed)?;
        match word(&self.body, 0) {
            None => Ok(Next::Cut(at)),
            Some(BYTE_ORDER_MAGIC) => self.rest(at, SECTION_HEADER, len, 4),
            Some(magic) if magic.swap_bytes() == BYTE_ORDER_MAGIC => Err(ReadError::ByteOrder(at)),
            Some(_) => Err(ReadError::Format),
        }
    }

    /// Reads what follows the first bytes of a body.
    fn rest(&mut self, at: u64, kind: u32, len: u32, taken: usize) -> Result<Next, ReadError> {
        let whole = usize::try_from(len).unwrap_or(usize::MAX);
        if whole > MAX_BLOCK {
            return Err(ReadError::TooLarge(at));
        }
        let rest = whole.checked_sub(HEAD + taken);
        let rest = rest.filter(|rest| *rest >= 4 && whole.is_multiple_of(4));
        let rest = rest.ok_or(ReadError::Length(at))?;
        let read = self
            .take(rest)
            .map_err(|source| ReadError::Io { at, source })?;
        if read < rest {
            return Ok(Next::Cut(at));
        }
        if word(&self.body, rest - 4) != Some(len) {
            return Err(ReadError::Length(at));
        }
        self.body.truncate(rest - 4);
        Ok(Next::Block { at, kind })
    }

    /// Reads so many bytes into the body, or what there is.
    fn take(&mut self, len: usize) -> io::Result<usize> {
        self.body.clear();
        let most = u64::try_from(len).unwrap_or(u64::MAX);
        let read = self.file.by_ref().take(most).read_to_end(&mut self.body)?;
        self.at += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(read)
    }
}

/// Options: code and value, up to the end of the list or to one that is cut.
pub(super) fn options(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[c0, c1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
        let (code, len) = (u16::from_le_bytes([c0, c1]), u16::from_le_bytes([l0, l1]));
        let value = rest.get(..usize::from(len))?;
        bytes = rest
            .get(usize::from(len).next_multiple_of(4)..)
            .unwrap_or_default();
        (code != 0).then_some((code, value))
    })
}

/// The first comment.
pub(super) fn comment(options: &[u8]) -> Option<&str> {
    let mut comments = self::options(options).filter(|(code, _)| *code == COMMENT);
    std::str::from_utf8(comments.next()?.1).ok()
}

/// Four bytes as a number.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub(super) const INTERFACE_DESCRIPTION: u32 = 1;
pub(super) const INTERFACE_STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const COMMENT: u16 = 1;
/// Type and length.
const HEAD: usize = 8;
/// Largest block that is read; a packet has 64 KiB at most, and so has a comment.
pub(super) const MAX_BLOCK: usize = 1 << 20;
