//! State as bytes: what a connection that is over takes until the report.
//!
//! Most of its counts are zero and most of its numbers small, so a tenth of the room is enough: what is
//! there, true or not zero is a bit, all bits stand together, and the rest follows them. Every type names
//! all its fields, in one place for both ways. What a connection at rest does not have (bytes that wait,
//! limits that were hit, rare events) refuses to be packed.

mod values;

use mptcp_proto::seq::Dsn;

/// Bytes of the packed form of a connection, above which it is not worth it.
const MAX_PACKED: usize = 16 << 10;

/// Reasons of checks that are told apart; there are a dozen in all.
const MAX_WORDS: usize = 200;

/// Nanoseconds of a microsecond.
const NANOSECONDS: i64 = 1000;

/// Most bytes of a number whose first byte tells how many they are; a larger one takes one more.
const WORD: u32 = 8;

/// Bytes of a length in front of the bits.
const LEN_BYTES: usize = 2;

/// A value that can be packed.
pub(super) trait Pack: Sized {
    /// Appends the value.
    fn pack(&self, to: &mut Packer<'_>);

    /// Takes the value that [`Self::pack`] appended.
    fn unpack(from: &mut Unpacker<'_>) -> Self;
}

/// Memory that packing uses again for each connection.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// Reasons of checks, for packed ones to name.
    pub(super) words: Vec<&'static str>,
    /// The bits of a connection behind room for their length, and what follows them.
    bits: Vec<u8>,
    bytes: Vec<u8>,
}

/// What the values were that went before: those that follow are near, and written as distances.
#[derive(Debug, Clone, Copy, Default)]
struct Before {
    at: i64,
    frame: u64,
    stream: u64,
    /// End of the latest run.
    place: i64,
    /// The first number of each direction.
    dsns: [Option<Dsn>; 2],
}

/// Where values are packed to.
#[derive(Debug)]
pub(super) struct Packer<'a> {
    packing: &'a mut Packing,
    bits: Vec<u8>,
    /// The latest bits, and how many they are.
    latest: u64,
    latest_count: u32,
    bytes: Vec<u8>,
    refused: bool,
    is_open: bool,
    before: Before,
}

impl<'a> Packer<'a> {
    /// Nothing packed. A connection that is open is packed whole.
    pub(super) fn new(packing: &'a mut Packing, is_open: bool) -> Self {
        let mut bits = std::mem::take(&mut packing.bits);
        let mut bytes = std::mem::take(&mut packing.bytes);
        bits.clear();
        bits.extend_from_slice(&[0; LEN_BYTES]);
        bytes.clear();
        Packer {
            packing,
            bits,
            latest: 0,
            latest_count: 0,
            bytes,
            refused: false,
            is_open,
            before: Before::default(),
        }
    }

    /// Whether more may follow, so that nothing may be left out.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
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
        let latest = self.latest.to_le_bytes();
        let begun = self.latest_count.div_ceil(u8::BITS) as usize;
        self.bits.extend(latest.into_iter().take(begun));
        let len = self.bits.len() + self.bytes.len();
        let fits = !self.refused && len <= MAX_PACKED;
        let packed = fits.then(|| {
            let bits = u16::try_from(self.bits.len()).unwrap_or_default();
            let mut whole = Vec::with_capacity(len);
            whole.extend_from_slice(&self.bits);
            whole.extend_from_slice(&self.bytes);
            if let Some(place) = whole.first_chunk_mut() {
                *place = bits.to_le_bytes();
            }
            whole.into_boxed_slice()
        });
        self.packing.bits = self.bits;
        self.packing.bytes = self.bytes;
        packed
    }

    #[inline]
    fn bit(&mut self, bit: bool) {
        self.latest |= u64::from(bit) << self.latest_count;
        self.latest_count += 1;
        if self.latest_count == u64::BITS {
            self.keep_bits();
        }
    }

    #[inline(never)]
    fn keep_bits(&mut self) {
        let bits = std::mem::take(&mut self.latest);
        self.bits.extend_from_slice(&bits.to_le_bytes());
        self.latest_count = 0;
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A bit that tells whether it is zero; if not, seven bits a byte, the lowest first. How many
    /// zeros the first byte ends with is how many bytes follow it.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        self.bit(number != 0);
        if number == 0 {
            return;
        }
        let bits = u64::BITS - number.leading_zeros();
        let len = bits.div_ceil(7);
        if len > WORD {
            self.bytes(&[0]);
            self.bytes(&number.to_le_bytes());
            return;
        }
        // All eight, whose copy is one step, and then as many as there are.
        let end = self.bytes.len() + len as usize;
        let word = (number << 1 | 1) << (len - 1);
        self.bytes(&word.to_le_bytes());
        self.bytes.truncate(end);
    }

    /// A frame, by its distance from the one before.
    pub(super) fn frame(&mut self, frame: u64) {
        let distance = frame.wrapping_sub(self.before.frame);
        self.before.frame = frame;
        distance.cast_signed().pack(self);
    }

    /// A stream, by its distance from the first one.
    pub(super) fn stream(&mut self, stream: u64) {
        stream
            .wrapping_sub(self.before.stream)
            .cast_signed()
            .pack(self);
        if self.before.stream == 0 {
            self.before.stream = stream;
        }
    }

    /// A place, by its distance from the end of the latest run.
    pub(super) fn place(&mut self, place: i64) {
        place.wrapping_sub(self.before.place).pack(self);
    }

    /// A run ends here.
    pub(super) fn end_run(&mut self, place: i64) {
        self.before.place = place;
    }
}

/// Where values are unpacked from. Bytes that are missing are zeros.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    bits: &'a [u8],
    /// The bits at hand, the next one lowest, and how many there are.
    latest: u64,
    latest_count: u32,
    bytes: &'a [u8],
    words: &'a [&'static str],
    /// Whether the connection is looked at once, for a report.
    is_for_report: bool,
    before: Before,
}

impl<'a> Unpacker<'a> {
    /// The bytes of a packer that had the same words.
    pub(super) fn new(packed: &'a [u8], words: &'a [&'static str]) -> Self {
        let bits_len = packed
            .first_chunk()
            .map_or(0, |len| u16::from_le_bytes(*len));
        let (bits, bytes) = packed.split_at_checked(bits_len.into()).unwrap_or_default();
        Unpacker {
            bits: bits.get(LEN_BYTES..).unwrap_or_default(),
            latest: 0,
            latest_count: 0,
            bytes,
            words,
            is_for_report: false,
            before: Before::default(),
        }
    }

    /// The same for a report, which does without what only later packets are compared with.
    pub(super) fn for_report(self) -> Self {
        Unpacker {
            is_for_report: true,
            ..self
        }
    }

    pub(super) fn is_for_report(&self) -> bool {
        self.is_for_report
    }

    #[inline]
    fn bit(&mut self) -> bool {
        if self.latest_count == 0 {
            self.next_bits();
        }
        let bit = self.latest & 1 != 0;
        self.latest >>= 1;
        self.latest_count -= 1;
        bit
    }

    #[inline(never)]
    fn next_bits(&mut self) {
        self.latest = u64::from_le_bytes(begin_of(self.bits));
        self.latest_count = u64::BITS;
        self.bits = behind(self.bits, size_of::<u64>());
    }

    #[inline]
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let bytes = begin_of(self.bytes);
        self.bytes = behind(self.bytes, N);
        bytes
    }

    /// What [`Packer::number`] took.
    #[inline]
    pub(super) fn number(&mut self) -> u64 {
        if !self.bit() {
            return 0;
        }
        let word = u64::from_le_bytes(begin_of(self.bytes));
        let len = word.trailing_zeros() + 1;
        if len > WORD {
            self.bytes = behind(self.bytes, 1);
            return u64::from_le_bytes(self.bytes());
        }
        self.bytes = behind(self.bytes, len as usize);
        let unused = u64::BITS - u8::BITS * len;
        word << unused >> unused >> len
    }

    /// What [`Packer::frame`] took.
    pub(super) fn frame(&mut self) -> u64 {
        let distance = i64::unpack(self).cast_unsigned();
        self.before.frame = self.before.frame.wrapping_add(distance);
        self.before.frame
    }

    /// What [`Packer::stream`] took.
    pub(super) fn stream(&mut self) -> u64 {
        let distance = i64::unpack(self).cast_unsigned();
        let stream = self.before.stream.wrapping_add(distance);
        if self.before.stream == 0 {
            self.before.stream = stream;
        }
        stream
    }

    /// What [`Packer::place`] took.
    pub(super) fn place(&mut self) -> i64 {
        self.before.place.wrapping_add(i64::unpack(self))
    }

    /// A run ends here.
    pub(super) fn end_run(&mut self, place: i64) {
        self.before.place = place;
    }
}

#[inline]
fn begin_of<const N: usize>(bytes: &[u8]) -> [u8; N] {
    match bytes.first_chunk() {
        Some(begin) => *begin,
        None => padded(bytes),
    }
}

/// The same near the end, with zeros behind it.
#[cold]
fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or_default())
}

#[inline]
fn behind(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(len..).unwrap_or_default()
}

impl Before {
    /// The number from which this one is counted, and whether it is the second; none when it is far
    /// from both.
    fn near(&self, dsn: Dsn) -> Option<(bool, i64)> {
        let far = 1_u64 << 40;
        [false, true]
            .into_iter()
            .zip(self.dsns)
            .find_map(|(which, known)| {
                let distance = dsn.0.wrapping_sub(known?.0).cast_signed();
                (distance.unsigned_abs() < far).then_some((which, distance))
            })
    }

    fn note_dsn(&mut self, dsn: Dsn) {
        if let Some(free) = self.dsns.iter_mut().find(|known| known.is_none()) {
            *free = Some(dsn);
        }
    }
}

impl Pack for Dsn {
    fn pack(&self, to: &mut Packer<'_>) {
        let near = to.before.near(*self);
        to.bit(near.is_some());
        if let Some((which, distance)) = near {
            to.bit(which);
            distance.pack(to);
        } else {
            to.bytes(&self.0.to_be_bytes());
            to.before.note_dsn(*self);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        if from.bit() {
            let [first, second] = from.before.dsns;
            let known = if from.bit() { second } else { first };
            let known = known.unwrap_or(Dsn(0));
            return Dsn(known.0.wrapping_add(i64::unpack(from).cast_unsigned()));
        }
        let dsn = Dsn(u64::from_be_bytes(from.bytes()));
        from.before.note_dsn(dsn);
        dsn
    }
}

/// Packs a struct field by field; a field that is left out does not compile. A field can be a
/// `frame`, a `stream` or a `place`, which are counted from others.
macro_rules! pack_fields {
    ($type:ty { $($field:ident $(: $way:ident)?),* $(,)? }) => {
        impl $crate::rebuild::pack::Pack for $type {
            fn pack(&self, to: &mut $crate::rebuild::pack::Packer<'_>) {
                let Self { $($field),* } = self;
                $($crate::rebuild::pack::pack_field!($field, to $(, $way)?);)*
            }

            fn unpack(from: &mut $crate::rebuild::pack::Unpacker<'_>) -> Self {
                Self { $($field: $crate::rebuild::pack::unpack_field!(from $(, $way)?)),* }
            }
        }
    };
}

/// Packs a field in the way that is named.
macro_rules! pack_field {
    ($field:ident, $to:ident) => {
        $crate::rebuild::pack::Pack::pack($field, $to)
    };
    ($field:ident, $to:ident, stream) => {
        $to.stream(*$field as u64)
    };
    ($field:ident, $to:ident, $way:ident) => {
        $to.$way(*$field)
    };
}

/// Unpacks a field in the way that is named.
macro_rules! unpack_field {
    ($from:ident) => {
        $crate::rebuild::pack::Pack::unpack($from)
    };
    ($from:ident, stream) => {
        usize::try_from($from.stream()).unwrap_or_default()
    };
    ($from:ident, $way:ident) => {
        $from.$way()
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

pub(super) use {pack_field, pack_fields, pack_variants, unpack_field};

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use mptcp_proto::key::{Key, Token};

    use super::*;
    use crate::model::{CheckResult, Timestamp};

    #[track_caller]
    fn check<T: Pack + PartialEq + std::fmt::Debug>(value: &T) {
        let mut packing = Packing::default();
        let mut packer = Packer::new(&mut packing, false);
        value.pack(&mut packer);
        let bytes = packer.finish().expect("nothing refuses");
        let mut from = Unpacker::new(&bytes, &packing.words);
        assert_eq!(T::unpack(&mut from), *value);
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
        check(&[7, u64::MAX, 0, 1 << 40, 1 << 63, 5, (1 << 63) - 9].map(Dsn));
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
        let mut packing = Packing::default();
        let mut packer = Packer::new(&mut packing, false);
        packer.require(false);
        assert_eq!(packer.finish(), None);
        let mut packer = Packer::new(&mut packing, false);
        vec![u64::MAX; MAX_PACKED].pack(&mut packer);
        assert_eq!(packer.finish(), None);
    }
}
