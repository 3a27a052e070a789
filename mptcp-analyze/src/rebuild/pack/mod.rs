//! State as bytes: what a connection that is over takes until the report.
//!
//! Most of its counts are zero and most of its numbers small, so a tenth of the room is enough. Every
//! type names all its fields, in one place for both ways. What a connection at rest does not have
//! (bytes that wait, limits that were hit, rare events) refuses to be packed.

mod values;

use mptcp_proto::seq::Dsn;

/// Bytes of the packed form of a connection, above which it is not worth it.
const MAX_PACKED: usize = 16 << 10;

/// Reasons of checks that are told apart; there are a dozen in all.
const MAX_WORDS: usize = 200;

/// Nanoseconds of a microsecond.
const NANOSECONDS: i64 = 1000;

/// Bytes that have their bits together.
const GROUP: usize = 8;

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
    /// A connection as bytes, and the same without its zeros.
    raw: Vec<u8>,
    squeezed: Vec<u8>,
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
    raw: Vec<u8>,
    refused: bool,
    is_open: bool,
    before: Before,
}

impl<'a> Packer<'a> {
    /// Nothing packed. A connection that is open is packed whole.
    pub(super) fn new(packing: &'a mut Packing, is_open: bool) -> Self {
        let mut raw = std::mem::take(&mut packing.raw);
        raw.clear();
        Packer {
            packing,
            raw,
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
    pub(super) fn finish(self) -> Option<Box<[u8]>> {
        let Packer {
            packing,
            raw,
            refused,
            is_open: _,
            before: _,
        } = self;
        squeeze(&raw, &mut packing.squeezed);
        packing.raw = raw;
        let fits = !refused && packing.squeezed.len() <= MAX_PACKED;
        fits.then(|| packing.squeezed.as_slice().into())
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.raw.push(byte);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        if number < 0x80 {
            self.byte((number & 0x7f) as u8);
        } else {
            self.large_number(number);
        }
    }

    #[inline(never)]
    fn large_number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.byte((number & 0x7f) as u8);
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

/// Eight bytes at a time: a bit for each that is not zero, then those.
fn squeeze(raw: &[u8], squeezed: &mut Vec<u8>) {
    squeezed.clear();
    let (groups, rest) = raw.as_chunks::<GROUP>();
    for group in groups {
        squeeze_group(*group, squeezed);
    }
    let mut last = [0; GROUP];
    if let Some(begin) = last.get_mut(..rest.len())
        && !rest.is_empty()
    {
        begin.copy_from_slice(rest);
        squeeze_group(last, squeezed);
    }
}

fn squeeze_group(group: [u8; GROUP], squeezed: &mut Vec<u8>) {
    let mut taken = [0; 2 * GROUP];
    let (mut mask, mut len) = (0, 1);
    // A zero is written too, and the next byte over it: no branch has to be guessed.
    for (place, byte) in group.into_iter().enumerate() {
        let counts = u8::from(byte != 0);
        taken[len % (2 * GROUP)] = byte;
        mask |= counts << place;
        len += usize::from(counts);
    }
    taken[0] = mask;
    // All sixteen, whose copy is one step, and then as many as there are.
    let end = squeezed.len() + len;
    squeezed.extend_from_slice(&taken);
    squeezed.truncate(end);
}

/// Where values are unpacked from. Bytes that are missing are zeros.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    bytes: &'a [u8],
    /// The bytes at hand.
    group: [u8; GROUP],
    /// Which of them is the next one.
    next: usize,
    words: &'a [&'static str],
    /// Whether the connection is looked at once, for a report.
    is_for_report: bool,
    before: Before,
}

impl<'a> Unpacker<'a> {
    /// The bytes of a packer that had the same words.
    pub(super) fn new(bytes: &'a [u8], words: &'a [&'static str]) -> Self {
        Unpacker {
            bytes,
            group: [0; GROUP],
            next: GROUP,
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
    fn byte(&mut self) -> u8 {
        if self.next == GROUP {
            self.fill();
        }
        let byte = self.group[self.next % GROUP];
        self.next += 1;
        byte
    }

    #[inline(never)]
    fn fill(&mut self) {
        let taken = match self.bytes.first_chunk::<{ GROUP + 1 }>() {
            Some(whole) => *whole,
            None => std::array::from_fn(|at| self.bytes.get(at).copied().unwrap_or_default()),
        };
        let mut at = 1;
        for (place, byte) in self.group.iter_mut().enumerate() {
            let counts = (taken[0] >> place) & 1;
            *byte = taken[at % (GROUP + 1)] * counts;
            at += usize::from(counts);
        }
        self.bytes = self.bytes.get(at..).unwrap_or_default();
        self.next = 0;
    }

    #[inline]
    pub(super) fn number(&mut self) -> u64 {
        let byte = self.byte();
        if byte < 0x80 {
            u64::from(byte)
        } else {
            self.large_number(byte)
        }
    }

    #[inline(never)]
    fn large_number(&mut self, first: u8) -> u64 {
        let mut number = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 || shift > 63 {
                return number;
            }
        }
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

impl Before {
    /// The number from which this one is counted, and which one it is; none when it is far from all.
    fn near(&self, dsn: Dsn) -> Option<(u8, i64)> {
        let far = 1_u64 << 40;
        (1..).zip(self.dsns).find_map(|(which, known)| {
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
        if let Some((which, distance)) = to.before.near(*self) {
            to.byte(which);
            distance.pack(to);
        } else {
            to.byte(0);
            to.bytes(&self.0.to_be_bytes());
            to.before.note_dsn(*self);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let which = usize::from(from.byte());
        let known = which
            .checked_sub(1)
            .and_then(|which| *from.before.dsns.get(which)?);
        if let Some(Dsn(known)) = known {
            return Dsn(known.wrapping_add(i64::unpack(from).cast_unsigned()));
        }
        let dsn = Dsn(u64::from_be_bytes(std::array::from_fn(|_| from.byte())));
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
