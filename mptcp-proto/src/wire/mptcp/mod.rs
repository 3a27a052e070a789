//! MPTCP options: kind 30, told apart by a subtype (RFC 8684 §3).
//!
//! Parsing is exact: a length that the form does not have is an error, and RFC 8684 §3 has such an
//! option ignored as if it were absent. Everything that parses is kept to the last bit, reserved
//! ones included, so that emitting it gives the same bytes.

pub mod add_addr;
pub mod capable;
pub mod dss;
pub mod fail;
pub mod fast_close;
pub mod join;
pub mod lax;
pub mod opaque;
pub mod prio;
pub mod remove_addr;
pub mod subtype;
pub mod tcp_reset;

use std::fmt;

use super::reader::{Reader, Truncated};
use super::tcp_option::KIND_MPTCP;
use super::writer::{NoRoom, OptionArea, Writer};
use crate::version::Version;

pub use add_addr::AddAddr;
pub use capable::{Capable, CapableData, CapableFlags};
pub use dss::{DataAck, Dss, DssMapping, WireDsn};
pub use fail::Fail;
pub use fast_close::FastClose;
pub use join::{Join, Priority};
pub use lax::{CutFields, CutOption, LaxOption};
pub use opaque::Opaque;
pub use prio::Prio;
pub use remove_addr::{AddressIds, RemoveAddr};
pub use subtype::Subtype;
pub use tcp_reset::{ResetFlags, ResetReason, TcpReset};

/// An MPTCP option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MptcpOption {
    /// MP_CAPABLE (RFC 8684 §3.1).
    Capable(Capable),
    /// MP_JOIN (RFC 8684 §3.2).
    Join(Join),
    /// DSS (RFC 8684 §3.3).
    Dss(Dss),
    /// ADD_ADDR (RFC 8684 §3.4.1).
    AddAddr(AddAddr),
    /// REMOVE_ADDR (RFC 8684 §3.4.2).
    RemoveAddr(RemoveAddr),
    /// MP_PRIO (RFC 8684 §3.3.8).
    Prio(Prio),
    /// MP_FAIL (RFC 8684 §3.7).
    Fail(Fail),
    /// MP_FASTCLOSE (RFC 8684 §3.5).
    FastClose(FastClose),
    /// MP_TCPRST (RFC 8684 §3.6).
    TcpReset(TcpReset),
    /// MP_EXPERIMENTAL (RFC 8684 §7.2), kept verbatim.
    Experimental(Opaque),
    /// A subtype that the version does not define, kept verbatim.
    Unknown(Opaque),
}

impl MptcpOption {
    /// Parses a whole option, from its kind to its last byte, on a connection of this version.
    ///
    /// MP_CAPABLE says itself which version it is of.
    #[inline]
    pub fn parse(version: Version, bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse_body(Some(version), Body::new(bytes)?)
    }

    /// Parses a whole option on a connection whose version is not known.
    ///
    /// The forms tell the versions apart, with one exception that cannot occur in version 1 while
    /// its reserved bits are zero: an ADD_ADDR with 4 or 6 in the low half of its third byte and a
    /// length of version 0 is taken for version 0.
    #[inline]
    pub fn parse_unversioned(bytes: &[u8]) -> Result<Self, ParseError> {
        Self::parse_body(None, Body::new(bytes)?)
    }

    #[inline]
    fn parse_body(version: Option<Version>, body: Body<'_>) -> Result<Self, ParseError> {
        match body.subtype {
            Subtype::CAPABLE => Capable::parse(body).map(Self::Capable),
            Subtype::JOIN => Join::parse(body).map(Self::Join),
            Subtype::DSS => Dss::parse(body).map(Self::Dss),
            Subtype::ADD_ADDR => AddAddr::parse(version, body).map(Self::AddAddr),
            Subtype::REMOVE_ADDR => RemoveAddr::parse(body).map(Self::RemoveAddr),
            Subtype::PRIO => Prio::parse(version, body).map(Self::Prio),
            Subtype::FAIL => Fail::parse(body).map(Self::Fail),
            Subtype::FAST_CLOSE => FastClose::parse(body).map(Self::FastClose),
            Subtype::TCP_RESET if version.is_none_or(|v| v.rules().has_tcp_reset) => {
                TcpReset::parse(body).map(Self::TcpReset)
            }
            Subtype::EXPERIMENTAL => Opaque::parse(body).map(Self::Experimental),
            _ => Opaque::parse(body).map(Self::Unknown),
        }
    }

    /// Appends the option to an option area, and gives its bytes there.
    pub fn emit<'a>(&self, area: &'a mut OptionArea) -> Result<&'a [u8], EmitError> {
        let writer = match self {
            Self::Capable(capable) => capable.emit()?,
            Self::Join(join) => join.emit(),
            Self::Dss(dss) => dss.emit(),
            Self::AddAddr(add_addr) => add_addr.emit()?,
            Self::RemoveAddr(remove_addr) => remove_addr.emit(),
            Self::Prio(prio) => prio.emit(),
            Self::Fail(fail) => fail.emit(),
            Self::FastClose(fast_close) => fast_close.emit(),
            Self::TcpReset(reset) => reset.emit(),
            Self::Experimental(opaque) | Self::Unknown(opaque) => {
                return Ok(area.push(opaque.as_bytes())?);
            }
        };
        Ok(writer.finish(area)?)
    }

    /// Which option this is.
    #[inline]
    pub fn subtype(&self) -> Subtype {
        match self {
            Self::Capable(_) => Subtype::CAPABLE,
            Self::Join(_) => Subtype::JOIN,
            Self::Dss(_) => Subtype::DSS,
            Self::AddAddr(_) => Subtype::ADD_ADDR,
            Self::RemoveAddr(_) => Subtype::REMOVE_ADDR,
            Self::Prio(_) => Subtype::PRIO,
            Self::Fail(_) => Subtype::FAIL,
            Self::FastClose(_) => Subtype::FAST_CLOSE,
            Self::TcpReset(_) => Subtype::TCP_RESET,
            Self::Experimental(opaque) | Self::Unknown(opaque) => opaque.subtype(),
        }
    }

    /// The reserved bits that are set, in the order in which they lie in the option. They are sent
    /// as zero and ignored on receipt (RFC 8684 §3), so a set one is worth a note.
    #[inline]
    pub fn reserved_bits(&self) -> u16 {
        match self {
            Self::Capable(capable) => u16::from(capable.reserved_bits()),
            Self::Join(join) => join.reserved_bits(),
            Self::Dss(dss) => u16::from(dss.reserved),
            Self::AddAddr(add_addr) => u16::from(add_addr.reserved),
            Self::RemoveAddr(remove_addr) => u16::from(remove_addr.reserved),
            Self::Prio(prio) => u16::from(prio.reserved),
            Self::Fail(fail) => fail.reserved,
            Self::FastClose(fast_close) => fast_close.reserved,
            Self::TcpReset(reset) => u16::from(reset.flags.reserved()),
            Self::Experimental(_) | Self::Unknown(_) => 0,
        }
    }
}

impl fmt::Display for MptcpOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capable(capable) => capable.fmt(f),
            Self::Join(join) => join.fmt(f),
            Self::Dss(dss) => dss.fmt(f),
            Self::AddAddr(add_addr) => add_addr.fmt(f),
            Self::RemoveAddr(remove_addr) => remove_addr.fmt(f),
            Self::Prio(prio) => prio.fmt(f),
            Self::Fail(fail) => fail.fmt(f),
            Self::FastClose(fast_close) => fast_close.fmt(f),
            Self::TcpReset(reset) => reset.fmt(f),
            Self::Experimental(opaque) | Self::Unknown(opaque) => opaque.fmt(f),
        }
    }
}

/// Bytes that are no MPTCP option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The option ends in the middle of a field.
    #[error(transparent)]
    Truncated(#[from] Truncated),
    /// No form of this option has this length.
    #[error("{subtype} cannot have length {len}")]
    BadLength {
        /// Which option.
        subtype: Subtype,
        /// Its length.
        len: usize,
    },
    /// The length field is not the number of bytes.
    #[error("option says {claimed} bytes and has {have}")]
    LengthField {
        /// What the length field says.
        claimed: usize,
        /// How many bytes there are.
        have: usize,
    },
    /// The option is of another kind than 30.
    #[error("option {kind} is not MPTCP")]
    NotMptcp {
        /// What kind of option.
        kind: u8,
    },
    /// ADD_ADDR of version 0 with an IP version other than 4 and 6, or one that does not fit the
    /// length (RFC 6824 §3.4.1).
    #[error("ADD_ADDR names IP version {ip_version} in {len} bytes")]
    BadIpVersion {
        /// The IP version.
        ip_version: u8,
        /// The option's length.
        len: usize,
    },
}

/// A value that cannot become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The option area is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No form of the option holds this combination of fields.
    #[error("{subtype} has no form with {what}")]
    NoForm {
        /// Which option.
        subtype: Subtype,
        /// Which fields do not go together.
        what: &'static str,
    },
}

/// An option past kind and length, with the byte that holds the subtype already read.
#[derive(Debug, Clone, Copy)]
struct Body<'a> {
    subtype: Subtype,
    /// The half byte after the subtype: a version or flags.
    nibble: u8,
    /// Length of the whole option.
    len: usize,
    reader: Reader<'a>,
}

impl<'a> Body<'a> {
    /// A whole option, no byte more or less than its length says.
    #[inline]
    fn new(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let body = Self::new_lax(bytes)?;
        if body.len > bytes.len() {
            return Err(ParseError::LengthField {
                claimed: body.len,
                have: bytes.len(),
            });
        }
        Ok(body)
    }

    /// An option that may end early.
    #[inline]
    fn new_lax(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let have = bytes.len();
        let mut reader = Reader::new(bytes);
        let kind = reader.u8("kind")?;
        if kind != KIND_MPTCP {
            return Err(ParseError::NotMptcp { kind });
        }
        let claimed = usize::from(reader.u8("length")?);
        if claimed < have {
            return Err(ParseError::LengthField { claimed, have });
        }
        let byte = reader.u8("subtype")?;
        Ok(Self {
            subtype: Subtype(byte >> 4),
            nibble: byte & 0x0f,
            len: claimed,
            reader,
        })
    }

    fn bad_length(&self) -> ParseError {
        ParseError::BadLength {
            subtype: self.subtype,
            len: self.len,
        }
    }

    fn expect_len(&self, allowed: &[usize]) -> Result<(), ParseError> {
        if allowed.contains(&self.len) {
            Ok(())
        } else {
            Err(self.bad_length())
        }
    }

    /// The half byte after the subtype and the byte after that: twelve bits in one.
    #[inline]
    fn twelve_bits(&mut self, field: &'static str) -> Result<u16, ParseError> {
        let low = self.reader.u8(field)?;
        Ok(u16::from_be_bytes([self.nibble, low]))
    }
}

/// Begins an option with its subtype and the half byte after it.
fn begin(subtype: Subtype, nibble: u8) -> Writer {
    let mut writer = Writer::new(KIND_MPTCP);
    writer.put(&[(subtype.0 << 4) | (nibble & 0x0f)]);
    writer
}

/// Begins an option with its subtype and the twelve bits after it.
fn begin_with_twelve_bits(subtype: Subtype, bits: u16) -> Writer {
    let [high, low] = bits.to_be_bytes();
    let mut writer = begin(subtype, high);
    writer.put(&[low]);
    writer
}

/// Appends the reserved bits to a line when there are any.
fn write_reserved(f: &mut fmt::Formatter<'_>, reserved: u16) -> fmt::Result {
    if reserved == 0 {
        Ok(())
    } else {
        write!(f, " reserved={reserved:#x}")
    }
}
