//! What a truncated packet still has of an option: ICMP errors quote the beginning of a packet
//! only, and captures cut packets to a length.

use super::{
    Body, CapableFlags, DataAck, MptcpOption, ParseError, Priority, Subtype, WireDsn, dss,
};
use crate::key::{AddressId, Key, Token};
use crate::seq::Ssn;
use crate::version::Version;

/// An option, or what there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaxOption {
    /// All of it.
    Whole(MptcpOption),
    /// The beginning of it.
    Cut(CutOption),
}

/// The beginning of an option. Its length is one that the option may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOption {
    /// Which option.
    pub subtype: Subtype,
    /// Bytes that it says it has.
    pub claimed_len: usize,
    /// Bytes that are there.
    pub have: usize,
    /// The fields that are there in full.
    pub fields: CutFields,
}

/// The fields of a cut option that are there in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutFields {
    /// MP_CAPABLE.
    Capable {
        /// Version as sent.
        version: u8,
        /// Flags A to H.
        flags: Option<CapableFlags>,
        /// Key of who sends the option.
        sender_key: Option<Key>,
    },
    /// MP_JOIN of a SYN.
    JoinSyn {
        /// What the sender wants the subflow for.
        priority: Priority,
        /// Id of the address that the SYN comes from.
        address_id: Option<AddressId>,
        /// Token of the receiver.
        token: Option<Token>,
    },
    /// DSS whose flags are there.
    Dss {
        /// DATA_ACK.
        data_ack: Option<DataAck>,
        /// DSN of the mapping.
        dsn: Option<WireDsn>,
        /// SSN of the mapping.
        ssn: Option<Ssn>,
        /// DATA_FIN.
        data_fin: bool,
    },
    /// Anything else: the subtype is all there is to say.
    Other,
}

impl MptcpOption {
    /// Parses what a truncated packet still has of an option, from its kind on.
    ///
    /// The length must still be one that the option may have. With fewer than three bytes there is
    /// not even a subtype, and that is an error.
    pub fn parse_lax(version: Option<Version>, bytes: &[u8]) -> Result<LaxOption, ParseError> {
        let body = Body::new_lax(bytes)?;
        match Self::parse_body(version, body) {
            Ok(option) => Ok(LaxOption::Whole(option)),
            Err(ParseError::Truncated(_)) => Ok(LaxOption::Cut(CutOption {
                subtype: body.subtype,
                claimed_len: body.len,
                have: bytes.len(),
                fields: CutFields::of(body),
            })),
            Err(error) => Err(error),
        }
    }
}

impl CutFields {
    fn of(mut body: Body<'_>) -> Self {
        match body.subtype {
            Subtype::CAPABLE => Self::Capable {
                version: body.nibble,
                flags: body.reader.u8("flags").ok().map(CapableFlags),
                sender_key: body.reader.array("sender's key").ok().map(Key),
            },
            Subtype::JOIN if body.len == 12 => Self::JoinSyn {
                priority: Priority::from_nibble(body.nibble),
                address_id: body.reader.u8("address id").ok().map(AddressId),
                token: body.reader.u32("token").ok().map(Token),
            },
            Subtype::DSS => dss::parse_cut(body).unwrap_or(Self::Other),
            _ => Self::Other,
        }
    }
}
