//! MP_PRIO: changes what a subflow is for (RFC 8684 §3.3.8).

use std::fmt;

use super::{Body, ParseError, Priority, Subtype, Writer, begin, write_reserved};
use crate::key::AddressId;
use crate::version::Version;

/// MP_PRIO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prio {
    /// What the subflow is for from now on.
    pub priority: Priority,
    /// Which address is meant, when it is not the subflow that carries the option (version 0).
    pub address_id: Option<AddressId>,
    /// Reserved bits (3).
    pub reserved: u8,
}

impl Prio {
    pub(super) fn parse(version: Option<Version>, mut body: Body<'_>) -> Result<Self, ParseError> {
        let may_name_address = version.is_none_or(|v| v.rules().prio_may_name_address);
        let address_id = match body.len {
            3 => None,
            4 if may_name_address => Some(AddressId(body.reader.u8("address id")?)),
            _ => return Err(body.bad_length()),
        };
        let priority = Priority::from_nibble(body.nibble);
        Ok(Self {
            priority,
            address_id,
            reserved: body.nibble >> 1,
        })
    }

    pub(super) fn emit(self) -> Writer {
        let mut writer = begin(Subtype::PRIO, (self.reserved << 1) | self.priority.bit());
        if let Some(address_id) = self.address_id {
            writer.put(&[address_id.0]);
        }
        writer
    }
}

impl fmt::Display for Prio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MP_PRIO {}", self.priority)?;
        if let Some(address_id) = self.address_id {
            write!(f, " id={address_id}")?;
        }
        write_reserved(f, u16::from(self.reserved))
    }
}
