//! MP_CAPABLE: begins a connection, exchanges keys, may come with data (RFC 8684 §3.1).

use std::fmt;

use super::{Body, EmitError, ParseError, Subtype, Writer, begin};
use crate::key::Key;
use crate::version::Version;

/// MP_CAPABLE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capable {
    /// Version as sent; a number that no RFC defines yet is kept.
    pub version: u8,
    /// Flags A to H.
    pub flags: CapableFlags,
    /// Key of who sends the option. Absent in a SYN of version 1.
    pub sender_key: Option<Key>,
    /// Key of who receives it. Present from the third ACK on.
    pub receiver_key: Option<Key>,
    /// Length and checksum of the data in this packet (version 1).
    pub data: Option<CapableData>,
}

/// The mapping that comes with MP_CAPABLE: the data begin with DSN IDSN+1 and SSN 1 (RFC 8684
/// §3.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapableData {
    /// Data-level length.
    pub len: u16,
    /// Checksum, when the connection uses them.
    pub checksum: Option<u16>,
}

/// Flags of MP_CAPABLE (RFC 8684 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapableFlags(pub u8);

impl CapableFlags {
    /// A: a host requires checksums.
    pub const CHECKSUM: Self = Self(0x80);
    /// B: an extension follows that is not defined yet. Who gets it must not answer.
    pub const EXTENSIBLE: Self = Self(0x40);
    /// C: no joins to the address and port of the initial subflow (version 1).
    pub const NO_JOIN_TO_INITIAL: Self = Self(0x20);
    /// H: HMAC-SHA1 in version 0, HMAC-SHA256 in version 1.
    pub const HMAC_SHA: Self = Self(0x01);

    /// Whether A is set.
    pub const fn checksum(self) -> bool {
        self.contains(Self::CHECKSUM)
    }

    /// Whether B is set.
    pub const fn extensible(self) -> bool {
        self.contains(Self::EXTENSIBLE)
    }

    /// Whether C is set.
    pub const fn no_join_to_initial(self) -> bool {
        self.contains(Self::NO_JOIN_TO_INITIAL)
    }

    /// Whether H is set.
    pub const fn hmac_sha(self) -> bool {
        self.contains(Self::HMAC_SHA)
    }

    /// Whether all of these are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// These flags together with others.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }
}

impl fmt::Display for CapableFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#04x} [", self.0)?;
        for (position, letter) in ('A'..='H').enumerate() {
            if self.0 & (0x80 >> position) != 0 {
                write!(f, "{letter}")?;
            }
        }
        f.write_str("]")
    }
}

impl Capable {
    /// The version, if it is one that an RFC defines.
    pub const fn known_version(&self) -> Option<Version> {
        Version::from_number(self.version)
    }

    /// The flags that have no meaning in this version and yet are set.
    pub(super) fn reserved_bits(&self) -> u8 {
        self.flags.0 & rules_of(self.version).capable_reserved
    }

    pub(super) fn parse(mut body: Body<'_>) -> Result<Self, ParseError> {
        let version = body.nibble;
        body.expect_len(rules_of(version).capable_lengths)?;
        let reader = &mut body.reader;
        let flags = CapableFlags(reader.u8("flags")?);
        let mut capable = Self {
            version,
            flags,
            sender_key: None,
            receiver_key: None,
            data: None,
        };
        if body.len >= 12 {
            capable.sender_key = Some(Key(reader.array("sender's key")?));
        }
        if body.len >= 20 {
            capable.receiver_key = Some(Key(reader.array("receiver's key")?));
        }
        if body.len >= 22 {
            let len = reader.u16("data-level length")?;
            let checksum = if body.len == 24 {
                Some(reader.u16("checksum")?)
            } else {
                None
            };
            capable.data = Some(CapableData { len, checksum });
        }
        Ok(capable)
    }

    pub(super) fn emit(&self) -> Result<Writer, EmitError> {
        let no_form = |what| EmitError::NoForm {
            subtype: Subtype::CAPABLE,
            what,
        };
        if self.version > 0x0f {
            return Err(no_form("a version above 15"));
        }
        if self.receiver_key.is_some() && self.sender_key.is_none() {
            return Err(no_form("the receiver's key alone"));
        }
        if self.data.is_some() && self.receiver_key.is_none() {
            return Err(no_form("data and less than two keys"));
        }
        let is_v0 = self.known_version() == Some(Version::V0);
        if is_v0 && (self.sender_key.is_none() || self.data.is_some()) {
            return Err(no_form("version 0 and without keys or with data"));
        }
        let mut writer = begin(Subtype::CAPABLE, self.version);
        writer.put(&[self.flags.0]);
        for key in [self.sender_key, self.receiver_key].into_iter().flatten() {
            writer.put(&key.0);
        }
        if let Some(data) = self.data {
            writer.put(&data.len.to_be_bytes());
            if let Some(checksum) = data.checksum {
                writer.put(&checksum.to_be_bytes());
            }
        }
        Ok(writer)
    }
}

impl fmt::Display for Capable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MP_CAPABLE v{} flags={}", self.version, self.flags)?;
        match (self.sender_key.is_some(), self.receiver_key.is_some()) {
            (false, _) => {}
            (true, false) => f.write_str(" key=sender")?,
            (true, true) => f.write_str(" key=sender,receiver")?,
        }
        if let Some(data) = self.data {
            write!(f, " len={}", data.len)?;
            if let Some(checksum) = data.checksum {
                write!(f, " checksum={checksum:#06x}")?;
            }
        }
        Ok(())
    }
}

/// A version of the future is read like the latest one we know: the RFC has a host answer it with
/// the version it prefers itself (RFC 8684 §3.1), so its form is worth showing.
fn rules_of(version: u8) -> &'static crate::version::Rules {
    Version::from_number(version).unwrap_or(Version::V1).rules()
}
