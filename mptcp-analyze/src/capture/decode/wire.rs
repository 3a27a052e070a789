//! Bytes of a packet of which the end may not have been captured.

/// A part of a packet: what was captured of it, and how many bytes of it were not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    /// The captured bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes that followed on the wire.
    pub(super) missing: usize,
}

impl Wire<'_> {
    /// Length on the wire.
    #[inline]
    pub(super) fn wire_len(self) -> usize {
        self.bytes.len().saturating_add(self.missing)
    }

    /// What follows a header of `len` captured bytes; `None` when the header itself is cut.
    #[inline]
    pub(super) fn after(self, len: usize) -> Option<Self> {
        Some(Self {
            bytes: self.bytes.get(len..)?,
            missing: self.missing,
        })
    }

    /// The first `len` bytes on the wire, when an inner header tells the length: padding and
    /// trailers go. A header that claims more than the frame had is believed, because programs that
    /// shorten captures forget to note the original length.
    #[inline]
    pub(super) fn of_len(self, len: usize) -> Self {
        match self.bytes.get(..len) {
            Some(bytes) => Self { bytes, missing: 0 },
            None => Self {
                bytes: self.bytes,
                missing: len.saturating_sub(self.bytes.len()),
            },
        }
    }

    /// The byte at `at`.
    #[inline]
    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// The 16-bit number at `at`, in network order.
    #[inline]
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(u16::from_be_bytes(field))
    }

    /// The 32-bit number at `at`, in network order.
    #[inline]
    pub(super) fn u32(self, at: usize) -> Option<u32> {
        let field = *self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_be_bytes(field))
    }
}
