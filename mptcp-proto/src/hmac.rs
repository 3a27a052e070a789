//! HMACs of MP_JOIN and ADD_ADDR.

use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::key::{AddressId, Key, Nonce};
use crate::version::{HashAlgorithm, Version};

/// HMAC of MP_JOIN in full: 160 bits, as the third ACK carries it (RFC 8684 §3.2).
#[derive(Clone, Copy, Eq)]
pub struct JoinHmac([u8; 20]);

/// HMAC of MP_JOIN truncated to its leftmost 64 bits, as the SYN/ACK carries it (RFC 8684 §3.2).
#[derive(Clone, Copy, Eq)]
pub struct TruncatedHmac([u8; 8]);

/// HMAC of ADD_ADDR: the rightmost 64 bits (RFC 8684 §3.4.1).
#[derive(Clone, Copy, Eq)]
pub struct AddAddrHmac([u8; 8]);

/// An HMAC that leaks through a log or through the time of a comparison authenticates nobody.
macro_rules! authenticator {
    ($name:ident, $len:literal) => {
        impl $name {
            /// The HMAC in these bytes of an option.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes for an option.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                equal_in_constant_time(&self.0, &other.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

authenticator!(JoinHmac, 20);
authenticator!(TruncatedHmac, 8);
authenticator!(AddAddrHmac, 8);

impl JoinHmac {
    /// The leftmost 64 bits, which the SYN/ACK carries (RFC 8684 §3.2).
    pub fn truncated(&self) -> TruncatedHmac {
        TruncatedHmac(leftmost(self.0))
    }
}

/// HMAC that the host with `own` key sends in a join (RFC 8684 §3.2).
///
/// The initiator calls it with its key and nonce first, the listener with its own first: that the
/// two messages differ keeps one host from replaying the other's answer.
pub fn join_hmac(
    version: Version,
    own: Key,
    peer: Key,
    own_nonce: Nonce,
    peer_nonce: Nonce,
) -> JoinHmac {
    let key = hmac_key(own, peer);
    let message = [own_nonce.0.to_be_bytes(), peer_nonce.0.to_be_bytes()];
    JoinHmac(match version.rules().hash {
        HashAlgorithm::Sha1 => {
            let mac = Hmac::<Sha1>::new(&key.into());
            mac.chain_update(message.as_flattened())
                .finalize()
                .into_bytes()
                .into()
        }
        HashAlgorithm::Sha256 => leftmost(hmac_sha256(key, &[message.as_flattened()])),
    })
}

/// HMAC of an ADD_ADDR that the host with the key `sender` sends (RFC 8684 §3.4.1).
///
/// A port that the option leaves out counts as zero. RFC 6824 has no such HMAC.
pub fn add_addr_hmac(
    sender: Key,
    receiver: Key,
    id: AddressId,
    address: IpAddr,
    port: Option<u16>,
) -> AddAddrHmac {
    let key = hmac_key(sender, receiver);
    let port = port.unwrap_or(0).to_be_bytes();
    AddAddrHmac(rightmost(match address {
        IpAddr::V4(address) => hmac_sha256(key, &[&[id.0], &address.octets(), &port]),
        IpAddr::V6(address) => hmac_sha256(key, &[&[id.0], &address.octets(), &port]),
    }))
}

/// Whether two secrets are equal, in a time that does not tell where they differ.
pub(crate) fn equal_in_constant_time<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a
        .iter()
        .zip(b)
        .fold(0, |difference, (a, b)| black_box(difference | (a ^ b)));
    difference == 0
}

/// The first `N` bytes.
pub(crate) fn leftmost<const N: usize, const M: usize>(bytes: [u8; M]) -> [u8; N] {
    const { assert!(N <= M) };
    std::array::from_fn(|position| bytes[position])
}

/// The last `N` bytes.
pub(crate) fn rightmost<const N: usize, const M: usize>(bytes: [u8; M]) -> [u8; N] {
    const { assert!(N <= M) };
    std::array::from_fn(|position| bytes[M - N + position])
}

/// HMAC-SHA256 of the parts of a message in a row. A shorter key is filled up with zeros.
pub(crate) fn hmac_sha256(key: [u8; HASH_BLOCK], message: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(&key.into());
    for part in message {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Two keys in a row. HMAC fills a key up to the block of its hash with zeros (RFC 2104 §2), so
/// filling it here changes nothing, and leaves no length to go wrong.
fn hmac_key(first: Key, second: Key) -> [u8; HASH_BLOCK] {
    let mut key = [0; HASH_BLOCK];
    key[..8].copy_from_slice(&first.0);
    key[8..16].copy_from_slice(&second.0);
    key
}

/// Block size of SHA-1 and of SHA-256.
pub(crate) const HASH_BLOCK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmacs_differ_wherever_one_bit_differs() {
        let hmac = JoinHmac([7; 20]);
        for position in 0..160 {
            let mut other = hmac;
            other.0[position / 8] ^= 1 << (position % 8);
            assert_ne!(hmac, other);
        }
        assert_eq!(hmac, JoinHmac([7; 20]));
    }

    #[test]
    fn an_hmac_never_prints_itself() {
        assert_eq!(format!("{:?}", JoinHmac([7; 20])), "JoinHmac(..)");
        assert_eq!(format!("{:?}", AddAddrHmac([7; 8])), "AddAddrHmac(..)");
    }

    #[test]
    fn truncation_keeps_the_leftmost_bits() {
        let hmac = JoinHmac(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        assert_eq!(hmac.truncated(), TruncatedHmac([0, 1, 2, 3, 4, 5, 6, 7]));
    }

    #[test]
    fn an_absent_port_counts_as_zero() {
        let address = IpAddr::from([10, 0, 0, 1]);
        let hmac = |port| add_addr_hmac(Key([1; 8]), Key([2; 8]), AddressId(3), address, port);
        assert_eq!(hmac(None), hmac(Some(0)));
        assert_ne!(hmac(None), hmac(Some(1)));
    }
}
