//! Keys, tokens, nonces and address ids.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::hmac::{equal_in_constant_time, leftmost, rightmost};
use crate::seq::Dsn;
use crate::version::{HashAlgorithm, Version};

/// A host's key for one connection (RFC 8684 §3.1).
///
/// A key is a secret for as long as the connection lives: it prints as `Key(..)`, and equality
/// takes the same time wherever two keys differ.
#[derive(Clone, Copy, Eq)]
pub struct Key(pub [u8; 8]);

impl Key {
    /// Token of the connection: the most significant 32 bits of the key's hash (RFC 8684 §3.2).
    pub fn token(self, version: Version) -> Token {
        Token(self.hash_ends(version).0)
    }

    /// Initial data sequence number: the least significant 64 bits of the key's hash (RFC 8684
    /// §3.1). The first byte of data has the number after it.
    pub fn idsn(self, version: Version) -> Dsn {
        Dsn(self.hash_ends(version).1)
    }

    /// Token and initial data sequence number from one hash computation.
    pub fn token_and_idsn(self, version: Version) -> (Token, Dsn) {
        let (token, idsn) = self.hash_ends(version);
        (Token(token), Dsn(idsn))
    }

    /// The key in sixteen hexadecimal digits, for those who asked for it.
    pub fn to_hex(self) -> String {
        format!("{:016x}", u64::from_be_bytes(self.0))
    }

    fn hash_ends(self, version: Version) -> (u32, u64) {
        match version.rules().hash {
            HashAlgorithm::Sha1 => ends::<20>(Sha1::digest(self.0).into()),
            HashAlgorithm::Sha256 => ends::<32>(Sha256::digest(self.0).into()),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        equal_in_constant_time(&self.0, &other.0)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Token of a connection (RFC 8684 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u32);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Random number of an MP_JOIN handshake (RFC 8684 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub u32);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

/// Address id (RFC 8684 §3.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressId(pub u8);

impl fmt::Display for AddressId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First 32 and last 64 bits of a digest.
fn ends<const N: usize>(digest: [u8; N]) -> (u32, u64) {
    (
        u32::from_be_bytes(leftmost(digest)),
        u64::from_be_bytes(rightmost(digest)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_prints_itself() {
        assert_eq!(format!("{:?}", Key(*b"secret!!")), "Key(..)");
    }

    #[test]
    fn a_key_shows_its_bytes_in_order_when_asked() {
        assert_eq!(
            Key([0, 1, 2, 3, 4, 5, 6, 0xff]).to_hex(),
            "00010203040506ff"
        );
    }

    #[test]
    fn a_token_prints_in_eight_hexadecimal_digits() {
        assert_eq!(Token(0x9_ab09).to_string(), "0x0009ab09");
    }
}
