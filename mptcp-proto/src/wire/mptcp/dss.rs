//! DSS: data sequence mapping, DATA_ACK and DATA_FIN (RFC 8684 §3.3).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin_with_twelve_bits, write_reserved};
use crate::seq::{Dsn, Ssn};

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
    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        let bits = body.twelve_bits("flags")?;
        let has = |flag| bits & flag != 0;
        let ack_len = width(has(HAS_DATA_ACK), has(LONG_DATA_ACK), 0);
        let mapping_len = width(has(HAS_MAPPING), has(LONG_DSN), SSN_AND_LENGTH);
        let without_checksum = HEADER.saturating_add(ack_len).saturating_add(mapping_len);
        let with_checksum = without_checksum.saturating_add(CHECKSUM);
        // The length decides about the checksum, not what the handshake agreed on: a capture may
        // lack the handshake, and a missing checksum is for others to judge (RFC 8684 §3.3).
        let has_checksum = has(HAS_MAPPING) && body.len == with_checksum;
        if !has_checksum && body.len != without_checksum {
            return Err(body.bad_length());
        }
        let reader = &mut body.reader;
        let data_ack = match (has(HAS_DATA_ACK), has(LONG_DATA_ACK)) {
            (false, _) => None,
            (true, false) => Some(DataAck::Short(reader.u32("data ACK")?)),
            (true, true) => Some(DataAck::Long(reader.u64("data ACK")?)),
        };
        let mapping = if has(HAS_MAPPING) {
            let dsn = if has(LONG_DSN) {
                WireDsn::Long(reader.u64("data sequence number")?)
            } else {
                WireDsn::Short(reader.u32("data sequence number")?)
            };
            let ssn = Ssn(reader.u32("subflow sequence number")?);
            let len = reader.u16("data-level length")?;
            let checksum = if has_checksum {
                Some(reader.u16("checksum")?)
            } else {
                None
            };
            Some(DssMapping {
                dsn,
                ssn,
                len,
                checksum,
            })
        } else {
            None
        };
        let stray = StrayWidths {
            data_ack: has(LONG_DATA_ACK) && !has(HAS_DATA_ACK),
            dsn: has(LONG_DSN) && !has(HAS_MAPPING),
        };
        let [_, reserved] = (bits >> 5).to_be_bytes();
        Ok(Self {
            data_ack,
            mapping,
            data_fin: has(DATA_FIN),
            reserved,
            stray,
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

fn width(present: bool, long: bool, more: usize) -> usize {
    match (present, long) {
        (false, _) => 0,
        (true, false) => more.saturating_add(4),
        (true, true) => more.saturating_add(8),
    }
}

const HAS_DATA_ACK: u16 = 0x01;
const LONG_DATA_ACK: u16 = 0x02;
const HAS_MAPPING: u16 = 0x04;
const LONG_DSN: u16 = 0x08;
const DATA_FIN: u16 = 0x10;

const HEADER: usize = 4;
const SSN_AND_LENGTH: usize = 6;
const CHECKSUM: usize = 2;
