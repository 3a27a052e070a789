//! Packed forms of numbers, collections and types of other crates.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use mptcp_proto::hmac::{AddAddrHmac, JoinHmac, TruncatedHmac};
use mptcp_proto::key::{AddressId, Key, Nonce, Token};
use mptcp_proto::seq::TcpSeq;

use super::{MAX_PACKED, MAX_WORDS, NANOSECONDS, Pack, Packer, Unpacker};
use crate::model::{CheckResult, PerDirection, PerSide, Timestamp};

macro_rules! pack_unsigned {
    ($($type:ty),*) => {
        $(impl Pack for $type {
            #[inline]
            fn pack(&self, to: &mut Packer<'_>) {
                to.number(u64::try_from(*self).unwrap_or(u64::MAX));
            }

            #[inline]
            fn unpack(from: &mut Unpacker<'_>) -> Self {
                Self::try_from(from.number()).unwrap_or(Self::MAX)
            }
        })*
    };
}

pack_unsigned!(u8, u16, u32, u64, usize);

impl Pack for i64 {
    /// The sign at the lowest bit, so that small numbers of either sign are short.
    fn pack(&self, to: &mut Packer<'_>) {
        to.number(((self << 1) ^ (self >> 63)).cast_unsigned());
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let number = from.number();
        (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
    }
}

impl Pack for bool {
    fn pack(&self, to: &mut Packer<'_>) {
        to.bit(*self);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        from.bit()
    }
}

impl Pack for Timestamp {
    /// The distance from the time before: microseconds, and nanoseconds, which many captures lack.
    fn pack(&self, to: &mut Packer<'_>) {
        let distance = self.0.wrapping_sub(to.before.at);
        to.before.at = self.0;
        distance.div_euclid(NANOSECONDS).pack(to);
        distance.rem_euclid(NANOSECONDS).pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let (micros, nanos) = (i64::unpack(from), i64::unpack(from));
        let distance = micros.wrapping_mul(NANOSECONDS).wrapping_add(nanos);
        from.before.at = from.before.at.wrapping_add(distance);
        Timestamp(from.before.at)
    }
}

impl<T: Pack> Pack for Option<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.is_some().pack(to);
        if let Some(value) = self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        bool::unpack(from).then(|| T::unpack(from))
    }
}

impl<T: Pack> Pack for Box<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.as_ref().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Box::new(T::unpack(from))
    }
}

impl<T: Pack, const N: usize> Pack for [T; N] {
    fn pack(&self, to: &mut Packer<'_>) {
        for value in self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        std::array::from_fn(|_| T::unpack(from))
    }
}

macro_rules! pack_collection {
    ($($type:ident<$($item:ident),*>: $element:ty),*) => {
        $(impl<$($item: Pack + Ord),*> Pack for $type<$($item),*> {
            fn pack(&self, to: &mut Packer<'_>) {
                self.len().pack(to);
                for value in self {
                    value.pack(to);
                }
            }

            fn unpack(from: &mut Unpacker<'_>) -> Self {
                let len = usize::unpack(from).min(MAX_PACKED);
                (0..len).map(|_| <$element>::unpack(from)).collect()
            }
        })*
    };
}

pack_collection!(BTreeSet<T>: T);

impl<T: Pack> Pack for Vec<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.len().pack(to);
        for value in self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let len = usize::unpack(from).min(MAX_PACKED);
        (0..len).map(|_| T::unpack(from)).collect()
    }
}

impl<T: Pack> Pack for VecDeque<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.len().pack(to);
        for value in self {
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Vec::unpack(from).into()
    }
}

impl<K: Pack + Ord, V: Pack> Pack for BTreeMap<K, V> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.len().pack(to);
        for (key, value) in self {
            key.pack(to);
            value.pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Vec::<(K, V)>::unpack(from).into_iter().collect()
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.pack(to);
        self.1.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        (A::unpack(from), B::unpack(from))
    }
}

impl<A: Pack, B: Pack, C: Pack> Pack for (A, B, C) {
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.pack(to);
        self.1.pack(to);
        self.2.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        (A::unpack(from), B::unpack(from), C::unpack(from))
    }
}

impl<T: Pack> Pack for PerSide<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.client.pack(to);
        self.server.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        PerSide {
            client: T::unpack(from),
            server: T::unpack(from),
        }
    }
}

impl<T: Pack> Pack for PerDirection<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.to_server.pack(to);
        self.to_client.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        PerDirection {
            to_server: T::unpack(from),
            to_client: T::unpack(from),
        }
    }
}

/// Packs numbers that look random byte by byte: none of them is short.
macro_rules! pack_bytes {
    ($($type:ty: $value:ident => $bytes:expr, $from:expr;)*) => {
        $(impl Pack for $type {
            fn pack(&self, to: &mut Packer<'_>) {
                let $value = self;
                to.bytes(&$bytes);
            }

            fn unpack(from: &mut Unpacker<'_>) -> Self {
                $from(from.bytes())
            }
        })*
    };
}

pack_bytes! {
    Key: key => key.0, Key;
    Token: token => token.0.to_be_bytes(), |bytes| Token(u32::from_be_bytes(bytes));
    Nonce: nonce => nonce.0.to_be_bytes(), |bytes| Nonce(u32::from_be_bytes(bytes));
    AddressId: id => [id.0], |[id]: [u8; 1]| AddressId(id);
    TcpSeq: seq => seq.0.to_be_bytes(), |bytes| TcpSeq(u32::from_be_bytes(bytes));
    JoinHmac: hmac => *hmac.as_bytes(), JoinHmac::from_bytes;
    TruncatedHmac: hmac => *hmac.as_bytes(), TruncatedHmac::from_bytes;
    AddAddrHmac: hmac => *hmac.as_bytes(), AddAddrHmac::from_bytes;
}

impl Pack for IpAddr {
    fn pack(&self, to: &mut Packer<'_>) {
        self.is_ipv4().pack(to);
        match self {
            IpAddr::V4(address) => to.bytes(&address.octets()),
            IpAddr::V6(address) => to.bytes(&address.octets()),
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        if bool::unpack(from) {
            IpAddr::from(from.bytes::<4>())
        } else {
            IpAddr::from(from.bytes::<16>())
        }
    }
}

impl Pack for CheckResult {
    fn pack(&self, to: &mut Packer<'_>) {
        match *self {
            CheckResult::Ok => to.number(0),
            CheckResult::Bad => to.number(1),
            CheckResult::Unverifiable(why) => {
                let words = &mut to.packing.words;
                let known = words.iter().position(|word| *word == why);
                let word = known.unwrap_or_else(|| {
                    words.push(why);
                    words.len() - 1
                });
                to.require(word < MAX_WORDS);
                (word + 2).pack(to);
            }
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        match from.number() {
            0 => CheckResult::Ok,
            1 => CheckResult::Bad,
            word => {
                let index = usize::try_from(word - 2).unwrap_or(usize::MAX);
                CheckResult::Unverifiable(from.words.get(index).copied().unwrap_or_default())
            }
        }
    }
}
