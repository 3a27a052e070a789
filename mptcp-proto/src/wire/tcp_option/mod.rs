//! The options of a TCP header, one after the other (RFC 9293 §3.1).

use super::reader::Reader;

/// End of option list (RFC 9293 §3.2).
pub const KIND_END_OF_LIST: u8 = 0;
/// No-operation (RFC 9293 §3.2).
pub const KIND_NO_OPERATION: u8 = 1;
/// Maximum segment size (RFC 9293 §3.7.1).
pub const KIND_MAXIMUM_SEGMENT_SIZE: u8 = 2;
/// Window scale (RFC 7323 §2.2).
pub const KIND_WINDOW_SCALE: u8 = 3;
/// SACK permitted (RFC 2018 §2).
pub const KIND_SACK_PERMITTED: u8 = 4;
/// SACK (RFC 2018 §3).
pub const KIND_SACK: u8 = 5;
/// Timestamps (RFC 7323 §3.2).
pub const KIND_TIMESTAMPS: u8 = 8;
/// MD5 signature (RFC 2385 §3.0).
pub const KIND_MD5_SIGNATURE: u8 = 19;
/// User timeout (RFC 5482 §3).
pub const KIND_USER_TIMEOUT: u8 = 28;
/// Authentication (RFC 5925 §2.2).
pub const KIND_AUTHENTICATION: u8 = 29;
/// Multipath TCP (RFC 8684 §3).
pub const KIND_MPTCP: u8 = 30;
/// Fast Open cookie (RFC 7413 §2).
pub const KIND_FAST_OPEN: u8 = 34;
/// First of the two kinds for experiments (RFC 6994 §3).
pub const KIND_EXPERIMENT_1: u8 = 253;
/// Second of the two kinds for experiments (RFC 6994 §3).
pub const KIND_EXPERIMENT_2: u8 = 254;
/// Experiment id of Fast Open before it had its own kind (RFC 7413 §2).
pub const EXPERIMENT_FAST_OPEN: u16 = 0xf989;

/// One option as it lies in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOption<'a> {
    /// What kind of option.
    pub kind: u8,
    /// Where it begins in the option area.
    pub offset: usize,
    /// The whole option with kind and length; a single byte for end of list and no-operation.
    pub bytes: &'a [u8],
}

impl<'a> TcpOption<'a> {
    /// What the option says. One whose length is wrong for its kind is `Other`.
    pub fn value(&self) -> TcpOptionValue<'a> {
        let data = self.data();
        let value = match self.kind {
            KIND_END_OF_LIST => Some(TcpOptionValue::EndOfList),
            KIND_NO_OPERATION => Some(TcpOptionValue::NoOperation),
            KIND_MAXIMUM_SEGMENT_SIZE => exactly(data)
                .map(u16::from_be_bytes)
                .map(TcpOptionValue::MaximumSegmentSize),
            KIND_WINDOW_SCALE => exactly(data).map(|[shift]| TcpOptionValue::WindowScale(shift)),
            KIND_SACK_PERMITTED => exactly(data).map(|[]| TcpOptionValue::SackPermitted),
            KIND_SACK => SackBlocks::new(data).map(TcpOptionValue::Sack),
            KIND_TIMESTAMPS => timestamps(data),
            KIND_FAST_OPEN => Some(TcpOptionValue::FastOpen {
                cookie: data,
                experimental: false,
            }),
            KIND_EXPERIMENT_1 | KIND_EXPERIMENT_2 => experimental_fast_open(data),
            KIND_MPTCP => Some(TcpOptionValue::Mptcp(self.bytes)),
            _ => None,
        };
        value.unwrap_or(TcpOptionValue::Other {
            kind: self.kind,
            data,
        })
    }

    /// What comes after kind and length.
    pub fn data(&self) -> &'a [u8] {
        self.bytes.get(2..).unwrap_or_default()
    }
}

/// What an option says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcpOptionValue<'a> {
    /// Nothing comes after this.
    EndOfList,
    /// A filler.
    NoOperation,
    /// Largest segment the sender is ready to receive.
    MaximumSegmentSize(u16),
    /// By how many bits the sender's windows are shifted. RFC 7323 allows 14 at most; the number
    /// is kept as sent.
    WindowScale(u8),
    /// The sender understands SACK.
    SackPermitted,
    /// What arrived beyond the acknowledgement.
    Sack(SackBlocks<'a>),
    /// Timestamps.
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The clock value of the other side that is being echoed.
        echo: u32,
    },
    /// Fast Open; an empty cookie asks for one.
    FastOpen {
        /// The cookie.
        cookie: &'a [u8],
        /// Sent under the experiment id instead of the option's own kind.
        experimental: bool,
    },
    /// Multipath TCP: the whole option, for [`MptcpOption::parse`](super::mptcp::MptcpOption).
    Mptcp(&'a [u8]),
    /// Any other kind, or one of the above with a length that it cannot have.
    Other {
        /// What kind of option.
        kind: u8,
        /// What comes after kind and length.
        data: &'a [u8],
    },
}

/// Blocks of a SACK option: left and right edge of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SackBlocks<'a>(&'a [u8]);

impl<'a> SackBlocks<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        (!data.is_empty() && data.len().is_multiple_of(8)).then_some(Self(data))
    }

    /// The blocks in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + use<'a> {
        self.0.as_chunks::<8>().0.iter().map(|block| {
            let edges = u64::from_be_bytes(*block);
            #[expect(clippy::cast_possible_truncation, reason = "two halves of 64 bits")]
            let pair = ((edges >> 32) as u32, edges as u32);
            pair
        })
    }
}

/// The option area of one TCP header.
///
/// Yields every option, fillers and the end of the list included, whatever the lengths say. An
/// option that cannot be delimited is an error item, and the last one: where the next option
/// would begin is unknown then.
#[derive(Debug, Clone)]
pub struct TcpOptions<'a> {
    rest: &'a [u8],
    offset: usize,
    ended: bool,
}

impl<'a> TcpOptions<'a> {
    /// The options in `area`, which is what comes between the fixed header and the data.
    #[inline]
    pub const fn new(area: &'a [u8]) -> Self {
        Self {
            rest: area,
            offset: 0,
            ended: false,
        }
    }

    /// What has not been yielded: padding after the end of the list, or all from an option on
    /// that cannot be delimited.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    fn take(&mut self, kind: u8) -> Result<TcpOption<'a>, TcpOptionError> {
        let offset = self.offset;
        let len = match (kind, self.rest.get(1)) {
            (KIND_END_OF_LIST | KIND_NO_OPERATION, _) => 1,
            (_, None) => return Err(TcpOptionError::NoLength { kind, offset }),
            (_, Some(&len @ 0..2)) => return Err(TcpOptionError::TooShort { kind, offset, len }),
            (_, Some(&len)) => usize::from(len),
        };
        let have = self.rest.len();
        let (bytes, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(TcpOptionError::PastEnd {
                kind,
                offset,
                len,
                have,
            })?;
        self.rest = rest;
        self.offset = offset.saturating_add(len);
        Ok(TcpOption {
            kind,
            offset,
            bytes,
        })
    }
}

impl<'a> Iterator for TcpOptions<'a> {
    type Item = Result<TcpOption<'a>, TcpOptionError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let &kind = self.rest.first()?;
        let item = self.take(kind);
        self.ended = item.is_err() || kind == KIND_END_OF_LIST;
        Some(item)
    }
}

/// An option that cannot be delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TcpOptionError {
    /// The area ends after the kind.
    #[error("option {kind} at byte {offset} has no length")]
    NoLength {
        /// What kind of option.
        kind: u8,
        /// Where it begins in the option area.
        offset: usize,
    },
    /// The length does not even cover kind and length.
    #[error("option {kind} at byte {offset} has length {len}")]
    TooShort {
        /// What kind of option.
        kind: u8,
        /// Where it begins in the option area.
        offset: usize,
        /// The length.
        len: u8,
    },
    /// The option ends past the end of the area.
    #[error("option {kind} at byte {offset} has length {len}, {have} bytes left")]
    PastEnd {
        /// What kind of option.
        kind: u8,
        /// Where it begins in the option area.
        offset: usize,
        /// The length.
        len: usize,
        /// Bytes from the option's begin to the end of the area.
        have: usize,
    },
}

impl TcpOptionError {
    /// What kind of option.
    pub const fn kind(&self) -> u8 {
        match *self {
            Self::NoLength { kind, .. }
            | Self::TooShort { kind, .. }
            | Self::PastEnd { kind, .. } => kind,
        }
    }
}

fn exactly<const N: usize>(data: &[u8]) -> Option<[u8; N]> {
    data.try_into().ok()
}

fn timestamps(data: &[u8]) -> Option<TcpOptionValue<'_>> {
    let both = u64::from_be_bytes(exactly(data)?);
    #[expect(clippy::cast_possible_truncation, reason = "two halves of 64 bits")]
    let (value, echo) = ((both >> 32) as u32, both as u32);
    Some(TcpOptionValue::Timestamps { value, echo })
}

fn experimental_fast_open(data: &[u8]) -> Option<TcpOptionValue<'_>> {
    let mut reader = Reader::new(data);
    (reader.u16("experiment id") == Ok(EXPERIMENT_FAST_OPEN)).then(|| TcpOptionValue::FastOpen {
        cookie: reader.rest(),
        experimental: true,
    })
}

#[cfg(test)]
mod tests;
