//! REMOVE_ADDR: addresses the sender has no longer (RFC 8684 §3.4.2).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin, write_reserved};
use crate::key::AddressId;

/// Address ids that one REMOVE_ADDR can hold: an option area of 40 bytes, less kind, length and
/// subtype.
pub const MAX_ADDRESS_IDS: usize = 37;

/// REMOVE_ADDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveAddr {
    /// Ids of the addresses.
    pub ids: AddressIds,
    /// Reserved bits (4).
    pub reserved: u8,
}

/// A list of one to [`MAX_ADDRESS_IDS`] address ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AddressIds {
    ids: [u8; MAX_ADDRESS_IDS],
    len: u8,
}

impl AddressIds {
    /// A list of these ids; none when there is no id, or more than an option can hold.
    pub fn new(ids: &[AddressId]) -> Option<Self> {
        Self::from_octets(ids.iter().map(|id| id.0))
    }

    /// The ids in the order in which they were sent.
    pub fn iter(&self) -> impl Iterator<Item = AddressId> + '_ {
        self.octets().iter().copied().map(AddressId)
    }

    fn from_octets(octets: impl ExactSizeIterator<Item = u8>) -> Option<Self> {
        let len = octets.len();
        let mut ids = [0; MAX_ADDRESS_IDS];
        for (slot, octet) in ids.get_mut(..len)?.iter_mut().zip(octets) {
            *slot = octet;
        }
        (len > 0).then_some(Self {
            ids,
            len: u8::try_from(len).ok()?,
        })
    }

    fn octets(&self) -> &[u8] {
        self.ids.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for AddressIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.octets()).finish()
    }
}

impl RemoveAddr {
    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        let count = body.len.saturating_sub(HEADER);
        if !(1..=MAX_ADDRESS_IDS).contains(&count) {
            return Err(body.bad_length());
        }
        let octets = body.reader.take("address ids", count)?;
        let ids =
            AddressIds::from_octets(octets.iter().copied()).ok_or_else(|| body.bad_length())?;
        Ok(Self {
            ids,
            reserved: body.nibble,
        })
    }

    pub(super) fn emit(&self) -> Writer {
        let mut writer = begin(Subtype::REMOVE_ADDR, self.reserved);
        writer.put(self.ids.octets());
        writer
    }
}

impl fmt::Display for RemoveAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("REMOVE_ADDR id=")?;
        for (position, id) in self.ids.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        write_reserved(f, u16::from(self.reserved))
    }
}

/// Kind, length and subtype.
const HEADER: usize = 3;
