//! DSS: data sequence mapping, DATA_ACK and DATA_FIN (RFC 8684 §3.3).

use std::fmt;

use super::{Body, CutFields, ParseError, Subtype, Writer, begin_with_twelve_bits, write_reserved};
use crate::seq::{Dsn, Ssn};
use crate::wire::reader::{Reader, Truncated};
use crate::wire::tcp_option::KIND_MPTCP;

/// DSS.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +---------------+---------------+-------+----------------------+
/// |     Kind      |    Length     |Subtype| (reserved) |F|m|M|a|A|
/// +---------------+---------------+-------+----------------------+
/// |           Data ACK (4 or 8 octets, depending on flags)       |
/// +--------------------------------------------------------------+
/// |   Data sequence number (4 or 8 octets, depending on flags)   |
/// +--------------------------------------------------------------+
/// |              Subflow Sequence Number (4 octets)              |
/// +-------------------------------+------------------------------+
/// |  Data-Level Length (2 octets) |      Checksum (2 octets)     |
/// +-------------------------------+------------------------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dss {
    /// DATA_ACK.
    pub data_ack: Option<DataAck>,
    /// Data sequence mapping.
    pub mapping: Option<DssMapping>,
    /// DATA_FIN: the mapping's length counts one more than there is payload.
    pub data_fin: bool,
    /// Reserved bits (7).
    pub reserved: u8,
    /// The flags that tell a width, set although what they tell the width of is absent.
    pub stray: StrayWidths,
}

/// Width flags without their field: they mean nothing, and are kept so that emitting a parsed
/// option gives the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrayWidths {
    /// The flag `a` without `A`.
    pub data_ack: bool,
    /// The flag `m` without `M`.
    pub dsn: bool,
}

/// DATA_ACK as it is on the wire: all of it, or its low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAck {
    /// Low 32 bits.
    Short(u32),
    /// All 64 bits.
    Long(u64),
}

impl DataAck {
    /// The full number, the one nearest to `near` where only the low half was sent.
    pub fn expand(self, near: Dsn) -> Dsn {
        match self {
            Self::Short(low) => Dsn::expand(low, near),
            Self::Long(full) => Dsn(full),
        }
    }
}

impl fmt::Display for DataAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(low) => low.fmt(f),
            Self::Long(full) => full.fmt(f),
        }
    }
}

/// Data sequence number as it is on the wire: all of it, or its low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireDsn {
    /// Low 32 bits.
    Short(u32),
    /// All 64 bits.
    Long(u64),
}

impl WireDsn {
    /// The full number, the one nearest to `near` where only the low half was sent.
    pub fn expand(self, near: Dsn) -> Dsn {
        match self {
            Self::Short(low) => Dsn::expand(low, near),
            Self::Long(full) => Dsn(full),
        }
    }
}

impl fmt::Display for WireDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(low) => low.fmt(f),
            Self::Long(full) => full.fmt(f),
        }
    }
}

/// Data sequence mapping as it is on the wire (RFC 8684 §3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DssMapping {
    /// Number of the first byte in the data sequence.
    pub dsn: WireDsn,
    /// Number of the first byte on the subflow, relative to its ISN. Zero when the mapping holds a
    /// DATA_FIN and nothing else.
    pub ssn: Ssn,
    /// Data-level length; zero means that all data from here on are mapped (RFC 8684 §3.7).
    pub len: u16,
    /// Checksum, when the option is long enough to hold one.
    pub checksum: Option<u16>,
}

impl DssMapping {
    /// Whether all data from here on are mapped: the connection falls back (RFC 8684 §3.7).
    pub const fn is_infinite(&self) -> bool {
        self.len == 0
    }
}

impl Dss {
    #[inline]
    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        if body.len < HEADER {
            return Err(body.bad_length());
        }
        let flags = Flags(body.twelve_bits("flags")?);
        let has_checksum = flags.has_checksum(&body)?;
        let reader = &mut body.reader;
        let data_ack = flags.read_data_ack(reader)?;
        let mapping = match flags.read_dsn(reader)? {
            None => None,
            Some(dsn) => Some(DssMapping {
                dsn,
                ssn: Ssn(reader.u32("subflow sequence number")?),
                len: reader.u16("data-level length")?,
                checksum: if has_checksum {
                    Some(reader.u16("checksum")?)
                } else {
                    None
                },
            }),
        };
        let stray = StrayWidths {
            data_ack: flags.has(LONG_DATA_ACK) && data_ack.is_none(),
            dsn: flags.has(LONG_DSN) && mapping.is_none(),
        };
        let data_fin = flags.has(DATA_FIN);
        Ok(Self {
            data_ack,
            mapping,
            data_fin,
            reserved: flags.reserved(),
            stray,
        })
    }

    /// Parses a whole option, from its kind to its last byte, if it is a DSS as hosts send it: of the
    /// right length, without reserved or stray bits. A short way for those who see millions of them.
    #[inline]
    pub fn parse_plain(bytes: &[u8]) -> Option<Self> {
        let (&[kind, len, subtype, flags], rest) = bytes.split_first_chunk()?;
        let known = [kind, subtype] == [KIND_MPTCP, Subtype::DSS.0 << 4] && flags & 0xe0 == 0;
        if !known || usize::from(len) != bytes.len() {
            return None;
        }
        let flags = Flags(u16::from(flags));
        let (data_ack, rest) = match (flags.has(HAS_DATA_ACK), flags.has(LONG_DATA_ACK)) {
            (false, false) => (None, rest),
            (true, false) => {
                let (low, rest) = rest.split_first_chunk()?;
                (Some(DataAck::Short(u32::from_be_bytes(*low))), rest)
            }
            (true, true) => {
                let (full, rest) = rest.split_first_chunk()?;
                (Some(DataAck::Long(u64::from_be_bytes(*full))), rest)
            }
            (false, true) => return None,
        };
        let (mapping, rest) = match (flags.has(HAS_MAPPING), flags.has(LONG_DSN)) {
            (false, false) => (None, rest),
            (true, false) => {
                let (low, rest) = rest.split_first_chunk()?;
                plain_mapping(WireDsn::Short(u32::from_be_bytes(*low)), rest)?
            }
            (true, true) => {
                let (full, rest) = rest.split_first_chunk()?;
                plain_mapping(WireDsn::Long(u64::from_be_bytes(*full)), rest)?
            }
            (false, true) => return None,
        };
        rest.is_empty().then_some(Self {
            data_ack,
            mapping,
            data_fin: flags.has(DATA_FIN),
            reserved: 0,
            stray: StrayWidths {
                data_ack: false,
                dsn: false,
            },
        })
    }

    pub(super) fn emit(&self) -> Writer {
        let mut writer = begin_with_twelve_bits(Subtype::DSS, self.bits());
        match self.data_ack {
            Some(DataAck::Short(low)) => writer.put(&low.to_be_bytes()),
            Some(DataAck::Long(full)) => writer.put(&full.to_be_bytes()),
            None => {}
        }
        if let Some(mapping) = self.mapping {
            match mapping.dsn {
                WireDsn::Short(low) => writer.put(&low.to_be_bytes()),
                WireDsn::Long(full) => writer.put(&full.to_be_bytes()),
            }
            writer.put(&mapping.ssn.0.to_be_bytes());
            writer.put(&mapping.len.to_be_bytes());
            if let Some(checksum) = mapping.checksum {
                writer.put(&checksum.to_be_bytes());
            }
        }
        writer
    }

    fn bits(&self) -> u16 {
        let ack = match self.data_ack {
            Some(DataAck::Short(_)) => HAS_DATA_ACK,
            Some(DataAck::Long(_)) => HAS_DATA_ACK | LONG_DATA_ACK,
            None if self.stray.data_ack => LONG_DATA_ACK,
            None => 0,
        };
        let mapping = match self.mapping.map(|mapping| mapping.dsn) {
            Some(WireDsn::Short(_)) => HAS_MAPPING,
            Some(WireDsn::Long(_)) => HAS_MAPPING | LONG_DSN,
            None if self.stray.dsn => LONG_DSN,
            None => 0,
        };
        let fin = if self.data_fin { DATA_FIN } else { 0 };
        (u16::from(self.reserved & 0x7f) << 5) | fin | mapping | ack
    }
}

impl fmt::Display for Dss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DSS")?;
        if let Some(data_ack) = self.data_ack {
            write!(f, " ack={data_ack}")?;
        }
        if let Some(DssMapping {
            dsn,
            ssn,
            len,
            checksum,
        }) = self.mapping
        {
            write!(f, " dsn={dsn} ssn={ssn} len={len}")?;
            if let Some(checksum) = checksum {
                write!(f, " checksum={checksum:#06x}")?;
            }
            if len == 0 {
                f.write_str(" infinite")?;
            }
        }
        if self.data_fin {
            f.write_str(" DATA_FIN")?;
        }
        write_reserved(f, u16::from(self.reserved))
    }
}

/// What follows the DSN of a mapping, and what follows the mapping.
#[inline]
fn plain_mapping(dsn: WireDsn, rest: &[u8]) -> Option<(Option<DssMapping>, &[u8])> {
    let (ssn, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (checksum, rest) = match rest.split_first_chunk() {
        Some((checksum, rest)) => (Some(u16::from_be_bytes(*checksum)), rest),
        None => (None, rest),
    };
    let mapping = DssMapping {
        dsn,
        ssn: Ssn(u32::from_be_bytes(*ssn)),
        len: u16::from_be_bytes(*len),
        checksum,
    };
    Some((Some(mapping), rest))
}

/// The fields of a DSS that ends early; none when it ends before its flags do.
pub(super) fn parse_cut(mut body: Body<'_>) -> Option<CutFields> {
    let flags = Flags(body.twelve_bits("flags").ok()?);
    let data_ack = flags.read_data_ack(&mut body.reader);
    let dsn = if data_ack.is_ok() {
        flags.read_dsn(&mut body.reader).ok().flatten()
    } else {
        None
    };
    let ssn = dsn
        .and_then(|_| body.reader.u32("subflow sequence number").ok())
        .map(Ssn);
    let data_fin = flags.has(DATA_FIN);
    Some(CutFields::Dss {
        data_ack: data_ack.ok().flatten(),
        dsn,
        ssn,
        data_fin,
    })
}

/// The twelve bits after the subtype.
#[derive(Debug, Clone, Copy)]
struct Flags(u16);

impl Flags {
    #[inline]
    const fn has(self, flag: u16) -> bool {
        self.0 & flag != 0
    }

    #[inline]
    fn reserved(self) -> u8 {
        let [_, reserved] = (self.0 >> 5).to_be_bytes();
        reserved
    }

    /// Whether a checksum follows the mapping; an error when the length does not fit the flags.
    ///
    /// The length decides, not what the handshake agreed on: a capture may lack the handshake, and
    /// what a missing checksum means is for others to judge (RFC 8684 §3.3).
    #[inline]
    fn has_checksum(self, body: &Body<'_>) -> Result<bool, ParseError> {
        let ack_len = match (self.has(HAS_DATA_ACK), self.has(LONG_DATA_ACK)) {
            (false, _) => 0,
            (true, false) => 4,
            (true, true) => 8,
        };
        let mapping_len = match (self.has(HAS_MAPPING), self.has(LONG_DSN)) {
            (false, _) => 0,
            (true, false) => SHORT_MAPPING,
            (true, true) => LONG_MAPPING,
        };
        let rest = body
            .len
            .checked_sub(HEADER)
            .and_then(|rest| rest.checked_sub(ack_len));
        match rest.and_then(|rest| rest.checked_sub(mapping_len)) {
            Some(0) => Ok(false),
            Some(CHECKSUM) if self.has(HAS_MAPPING) => Ok(true),
            _ => Err(body.bad_length()),
        }
    }

    #[inline]
    fn read_data_ack(self, reader: &mut Reader<'_>) -> Result<Option<DataAck>, Truncated> {
        Ok(match (self.has(HAS_DATA_ACK), self.has(LONG_DATA_ACK)) {
            (false, _) => None,
            (true, false) => Some(DataAck::Short(reader.u32("data ACK")?)),
            (true, true) => Some(DataAck::Long(reader.u64("data ACK")?)),
        })
    }

    #[inline]
    fn read_dsn(self, reader: &mut Reader<'_>) -> Result<Option<WireDsn>, Truncated> {
        Ok(match (self.has(HAS_MAPPING), self.has(LONG_DSN)) {
            (false, _) => None,
            (true, false) => Some(WireDsn::Short(reader.u32("data sequence number")?)),
            (true, true) => Some(WireDsn::Long(reader.u64("data sequence number")?)),
        })
    }
}

const HAS_DATA_ACK: u16 = 0x01;
const LONG_DATA_ACK: u16 = 0x02;
const HAS_MAPPING: u16 = 0x04;
const LONG_DSN: u16 = 0x08;
const DATA_FIN: u16 = 0x10;

const HEADER: usize = 4;
/// DSN of 4 octets, SSN and length.
const SHORT_MAPPING: usize = 10;
/// DSN of 8 octets, SSN and length.
const LONG_MAPPING: usize = 14;
const CHECKSUM: usize = 2;
