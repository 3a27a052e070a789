//! State as bytes: what a connection that is over takes until the report.
//!
//! Most of its counts are zero and most of its numbers small, so a tenth of the room is enough. Every
//! type names all its fields, in one place for both ways. What a connection at rest does not have
//! (bytes that wait, limits that were hit, rare events) refuses to be packed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use mptcp_proto::hmac::{AddAddrHmac, JoinHmac, TruncatedHmac};
use mptcp_proto::key::{AddressId, Key, Nonce, Token};
use mptcp_proto::seq::{Dsn, TcpSeq};

use crate::model::{CheckResult, PerDirection, PerSide, Timestamp};

/// Bytes of the packed form of a connection, above which it is not worth it.
const MAX_PACKED: usize = 16 << 10;

/// Reasons of checks that are told apart; there are a dozen in all.
const MAX_WORDS: usize = 200;

/// Bytes that have their bits together.
const GROUP: usize = 8;

/// A value that can be packed.
pub(super) trait Pack: Sized {
    /// Appends the value.
    fn pack(&self, to: &mut Packer<'_>);

    /// Takes the value that [`Self::pack`] appended.
    fn unpack(from: &mut Unpacker<'_>) -> Self;
}

/// Where values are packed to.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    /// Eight bytes at a time: a bit for each that is not zero, then those.
    bytes: Vec<u8>,
    /// The bytes at hand, before they are eight.
    group: [u8; GROUP],
    /// How many they are.
    filled: usize,
    refused: bool,
    words: &'a mut Vec<&'static str>,
    /// Times are written as distances from this one.
    base: Timestamp,
}

impl<'a> Packer<'a> {
    /// Nothing packed.
    pub(super) fn new(words: &'a mut Vec<&'static str>, base: Timestamp) -> Self {
        Packer {
            bytes: Vec::with_capacity(1024),
            group: [0; GROUP],
            filled: 0,
            refused: false,
            words,
            base,
        }
    }

    /// The value at hand cannot be packed.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Refuses unless `holds`.
    pub(super) fn require(&mut self, holds: bool) {
        self.refused |= !holds;
    }

    /// The bytes; none when a value refused.
    pub(super) fn finish(mut self) -> Option<Box<[u8]>> {
        if self.filled > 0 {
            self.group
                .iter_mut()
                .skip(self.filled)
                .for_each(|byte| *byte = 0);
            self.take_group();
        }
        let fits = !self.refused && self.bytes.len() <= MAX_PACKED;
        fits.then(|| self.bytes.into_boxed_slice())
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.group[self.filled % GROUP] = byte;
        self.filled += 1;
        if self.filled == GROUP {
            self.take_group();
        }
    }

    fn take_group(&mut self) {
        let mut taken = [0; 2 * GROUP];
        let (mut mask, mut len) = (0, 1);
        // A zero is written too, and the next byte over it: no branch has to be guessed.
        for (place, byte) in self.group.into_iter().enumerate() {
            let counts = u8::from(byte != 0);
            taken[len % (2 * GROUP)] = byte;
            mask |= counts << place;
            len += usize::from(counts);
        }
        taken[0] = mask;
        self.bytes.extend(taken.get(..len).unwrap_or_default());
        self.filled = 0;
    }

    /// Seven bits a byte, the lowest first.
    #[inline]
    fn number(&mut self, mut number: u64) {
        if number < 0x80 {
            return self.byte((number & 0x7f) as u8);
        }
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8);
    }
}

/// Where values are unpacked from. Bytes that are missing are zeros.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    bytes: &'a [u8],
    mask: u8,
    /// The bit of the next byte; none when the next mask is to be read.
    bit: u8,
    words: &'a [&'static str],
    base: Timestamp,
}

impl<'a> Unpacker<'a> {
    /// The bytes of a packer that had the same words and the same base.
    pub(super) fn new(bytes: &'a [u8], words: &'a [&'static str], base: Timestamp) -> Self {
        Unpacker {
            bytes,
            mask: 0,
            bit: 0,
            words,
            base,
        }
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        if self.bit == 0 {
            self.mask = self.next();
            self.bit = 1;
        }
        let is_zero = self.mask & self.bit == 0;
        self.bit <<= 1;
        if is_zero { 0 } else { self.next() }
    }

    #[inline]
    fn next(&mut self) -> u8 {
        let (byte, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        *byte
    }

    #[inline]
    fn number(&mut self) -> u64 {
        let mut number = 0;
        let mut shift = 0;
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 63 {
                return number;
            }
        }
    }
}

/// Packs a struct field by field; a field that is left out does not compile.
macro_rules! pack_fields {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::rebuild::pack::Pack for $type {
            fn pack(&self, to: &mut $crate::rebuild::pack::Packer<'_>) {
                let Self { $($field),* } = self;
                $($crate::rebuild::pack::Pack::pack($field, to);)*
            }

            fn unpack(from: &mut $crate::rebuild::pack::Unpacker<'_>) -> Self {
                Self { $($field: $crate::rebuild::pack::Pack::unpack(from)),* }
            }
        }
    };
}

/// Packs an enum without fields as the position of the variant in this list.
macro_rules! pack_variants {
    ($type:ty { $first:ident $(, $variant:ident)* $(,)? }) => {
        impl $crate::rebuild::pack::Pack for $type {
            fn pack(&self, to: &mut $crate::rebuild::pack::Packer<'_>) {
                let variants = [Self::$first $(, Self::$variant)*];
                let position = variants.iter().position(|variant| variant == self);
                $crate::rebuild::pack::Pack::pack(&position.unwrap_or_default(), to);
            }

            fn unpack(from: &mut $crate::rebuild::pack::Unpacker<'_>) -> Self {
                let variants = [Self::$first $(, Self::$variant)*];
                let position = <usize as $crate::rebuild::pack::Pack>::unpack(from);
                variants.get(position).copied().unwrap_or(Self::$first)
            }
        }
    };
}

pub(super) use {pack_fields, pack_variants};

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
        to.byte(u8::from(*self));
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        from.byte() != 0
    }
}

impl Pack for Timestamp {
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.wrapping_sub(to.base.0).pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Timestamp(i64::unpack(from).wrapping_add(from.base.0))
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
                for byte in $bytes {
                    to.byte(byte);
                }
            }

            fn unpack(from: &mut Unpacker<'_>) -> Self {
                $from(std::array::from_fn(|_| from.byte()))
            }
        })*
    };
}

pack_bytes! {
    Key: key => key.0, Key;
    Token: token => token.0.to_be_bytes(), |bytes| Token(u32::from_be_bytes(bytes));
    Nonce: nonce => nonce.0.to_be_bytes(), |bytes| Nonce(u32::from_be_bytes(bytes));
    AddressId: id => [id.0], |[id]: [u8; 1]| AddressId(id);
    Dsn: dsn => dsn.0.to_be_bytes(), |bytes| Dsn(u64::from_be_bytes(bytes));
    TcpSeq: seq => seq.0.to_be_bytes(), |bytes| TcpSeq(u32::from_be_bytes(bytes));
    JoinHmac: hmac => *hmac.as_bytes(), JoinHmac::from_bytes;
    TruncatedHmac: hmac => *hmac.as_bytes(), TruncatedHmac::from_bytes;
    AddAddrHmac: hmac => *hmac.as_bytes(), AddAddrHmac::from_bytes;
}

impl Pack for IpAddr {
    fn pack(&self, to: &mut Packer<'_>) {
        self.is_ipv4().pack(to);
        match self {
            IpAddr::V4(address) => address.octets().into_iter().for_each(|byte| to.byte(byte)),
            IpAddr::V6(address) => address.octets().into_iter().for_each(|byte| to.byte(byte)),
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        if bool::unpack(from) {
            IpAddr::from(std::array::from_fn::<u8, 4, _>(|_| from.byte()))
        } else {
            IpAddr::from(std::array::from_fn::<u8, 16, _>(|_| from.byte()))
        }
    }
}

impl Pack for CheckResult {
    fn pack(&self, to: &mut Packer<'_>) {
        match *self {
            CheckResult::Ok => to.byte(0),
            CheckResult::Bad => to.byte(1),
            CheckResult::Unverifiable(why) => {
                let known = to.words.iter().position(|word| *word == why);
                let word = known.unwrap_or_else(|| {
                    to.words.push(why);
                    to.words.len() - 1
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: Pack + PartialEq + std::fmt::Debug>(value: &T) {
        let mut words = Vec::new();
        let base = Timestamp(1_700_000_000_000_000_000);
        let mut packer = Packer::new(&mut words, base);
        value.pack(&mut packer);
        let bytes = packer.finish().expect("nothing refuses");
        assert_eq!(T::unpack(&mut Unpacker::new(&bytes, &words, base)), *value);
    }

    #[test]
    fn numbers_come_out_as_they_went_in() {
        check(&[0, 1, 127, 128, u64::MAX]);
        check(&[0, -1, 63, 64, -64, -65, i64::MAX, i64::MIN]);
        check(&[Timestamp(i64::MIN), Timestamp(i64::MAX), Timestamp(0)]);
        check(&vec![0_u8; 1000]);
        check(&(vec![0_u16, 256, 0, 0], false, [Some(0_u8), None]));
    }

    #[test]
    fn secrets_words_and_addresses_come_out_as_they_went_in() {
        check(&(Key([0, 0, 1, 2, 0, 0, 0, 255]), Token(0), Dsn(u64::MAX)));
        check(&["10.0.0.1", "2001:db8::1"].map(|address| address.parse::<IpAddr>().unwrap()));
        let why = CheckResult::Unverifiable;
        check(&[
            CheckResult::Ok,
            why("one"),
            CheckResult::Bad,
            why("two"),
            why("one"),
        ]);
    }

    #[test]
    fn what_refuses_leaves_no_bytes() {
        let mut words = Vec::new();
        let mut packer = Packer::new(&mut words, Timestamp(0));
        packer.require(false);
        assert_eq!(packer.finish(), None);
        let mut packer = Packer::new(&mut words, Timestamp(0));
        vec![u64::MAX; MAX_PACKED].pack(&mut packer);
        assert_eq!(packer.finish(), None);
    }
}
