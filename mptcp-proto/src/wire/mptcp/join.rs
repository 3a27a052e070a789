//! MP_JOIN: adds a subflow to a connection (RFC 8684 §3.2).

use std::fmt;

use super::{Body, ParseError, Subtype, Writer, begin, begin_with_twelve_bits, write_reserved};
use crate::hmac::{JoinHmac, TruncatedHmac};
use crate::key::{AddressId, Nonce, Token};

/// The B flag: what a subflow is for (RFC 8684 §3.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Carries data at any time.
    #[default]
    Regular,
    /// Carries data when no regular subflow is usable.
    Backup,
}

impl Priority {
    /// The B flag is the lowest bit of the half byte after the subtype.
    pub(super) const fn from_nibble(nibble: u8) -> Self {
        if nibble & 1 == 0 {
            Self::Regular
        } else {
            Self::Backup
        }
    }

    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::Regular => 0,
            Self::Backup => 1,
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Regular => "regular",
            Self::Backup => "backup",
        })
    }
}

/// MP_JOIN in its three forms, which the length tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// In the SYN: which connection is meant.
    Syn {
        /// What the sender wants the subflow for.
        priority: Priority,
        /// Id of the address that the SYN comes from.
        address_id: AddressId,
        /// Token of the receiver.
        token: Token,
        /// Random number of the sender.
        nonce: Nonce,
        /// Reserved bits (3).
        reserved: u8,
    },
    /// In the SYN/ACK: proves that the listener knows both keys.
    SynAck {
        /// What the sender wants the subflow for.
        priority: Priority,
        /// Id of the address that the SYN/ACK comes from.
        address_id: AddressId,
        /// Leftmost 64 bits of the listener's HMAC.
        hmac: TruncatedHmac,
        /// Random number of the listener.
        nonce: Nonce,
        /// Reserved bits (3).
        reserved: u8,
    },
    /// In the third ACK: proves that the initiator knows both keys.
    Ack {
        /// The initiator's HMAC.
        hmac: JoinHmac,
        /// Reserved bits (12).
        reserved: u16,
    },
}

impl Join {
    pub(super) fn reserved_bits(&self) -> u16 {
        match *self {
            Self::Syn { reserved, .. } | Self::SynAck { reserved, .. } => u16::from(reserved),
            Self::Ack { reserved, .. } => reserved,
        }
    }

    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        let priority = Priority::from_nibble(body.nibble);
        let reserved = body.nibble >> 1;
        match body.len {
            12 => Ok(Self::Syn {
                priority,
                address_id: AddressId(body.reader.u8("address id")?),
                token: Token(body.reader.u32("token")?),
                nonce: Nonce(body.reader.u32("random number")?),
                reserved,
            }),
            16 => Ok(Self::SynAck {
                priority,
                address_id: AddressId(body.reader.u8("address id")?),
                hmac: TruncatedHmac::from_bytes(body.reader.array("truncated HMAC")?),
                nonce: Nonce(body.reader.u32("random number")?),
                reserved,
            }),
            24 => Ok(Self::Ack {
                reserved: body.twelve_bits("reserved")?,
                hmac: JoinHmac::from_bytes(body.reader.array("HMAC")?),
            }),
            _ => Err(body.bad_length()),
        }
    }

    pub(super) fn emit(&self) -> Writer {
        match *self {
            Self::Syn {
                priority,
                address_id,
                token,
                nonce,
                reserved,
            } => {
                let mut writer = begin(Subtype::JOIN, (reserved << 1) | priority.bit());
                writer.put(&[address_id.0]);
                writer.put(&token.0.to_be_bytes());
                writer.put(&nonce.0.to_be_bytes());
                writer
            }
            Self::SynAck {
                priority,
                address_id,
                hmac,
                nonce,
                reserved,
            } => {
                let mut writer = begin(Subtype::JOIN, (reserved << 1) | priority.bit());
                writer.put(&[address_id.0]);
                writer.put(hmac.as_bytes());
                writer.put(&nonce.0.to_be_bytes());
                writer
            }
            Self::Ack { hmac, reserved } => {
                let mut writer = begin_with_twelve_bits(Subtype::JOIN, reserved);
                writer.put(hmac.as_bytes());
                writer
            }
        }
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syn {
                priority,
                address_id,
                token,
                nonce,
                ..
            } => {
                write!(
                    f,
                    "MP_JOIN syn {priority} id={address_id} token={token} nonce={nonce}"
                )?;
            }
            Self::SynAck {
                priority,
                address_id,
                nonce,
                ..
            } => {
                write!(
                    f,
                    "MP_JOIN syn/ack {priority} id={address_id} nonce={nonce}"
                )?;
            }
            Self::Ack { .. } => f.write_str("MP_JOIN ack")?,
        }
        write_reserved(f, self.reserved_bits())
    }
}
