//! A segment in ten or twenty bytes: every number is the distance from one that is near, and those are
//! short.

use mptcp_proto::seq::{Dsn, Ssn, TcpSeq};
use mptcp_proto::wire::mptcp::{DataAck, DssMapping, WireDsn};

use super::JournalEnd;
use crate::model::{PerDirection, Timestamp};
use crate::rebuild::checksums::TcpVerdict;
use crate::rebuild::flow::End;

/// Bytes of the longest note.
pub(super) const MAX_NOTE: usize = 64;

/// What the numbers of a note are counted from: those of the note before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    frame: u64,
    at: i64,
    /// The number that follows the latest mapping of each direction.
    pub(super) dsns: PerDirection<Dsn>,
}

/// An ordinary segment, as far as anything is to be entered of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Note {
    /// Number of its stream in the connection.
    pub(super) stream: usize,
    pub(super) end: End,
    pub(super) frame: u64,
    pub(super) at: Timestamp,
    pub(super) seq: TcpSeq,
    pub(super) payload_len: u32,
    pub(super) data_ack: Option<DataAck>,
    pub(super) mapping: Option<DssMapping>,
    pub(super) verdict: TcpVerdict,
}

/// Bits of the first two bytes; below them the end, then the number of the stream.
const HAS_ACK: u16 = 1 << 15;
const LONG_ACK: u16 = 1 << 14;
const HAS_MAPPING: u16 = 1 << 13;
const LONG_DSN: u16 = 1 << 12;
const HAS_CHECKSUM: u16 = 1 << 11;
/// The payload follows what the end sent before.
const IN_ORDER: u16 = 1 << 10;
/// The mapping follows the one before, and is that of the payload and no more.
const JUST_MAPPED: u16 = 1 << 9;
/// The time since the segment before is counted in microseconds.
const IN_MICROS: u16 = 1 << 8;
const VERDICT_SHIFT: u32 = 5;
const VERDICTS: u16 = 7;
const STREAM_SHIFT: u32 = 1;
const STREAMS: u16 = 0xf;
const NANOSECONDS: i64 = 1000;

impl Numbers {
    /// Counts from this frame on.
    pub(super) fn begin_at(&mut self, frame: u64, at: Timestamp) {
        self.frame = frame;
        self.at = at.0;
    }
}

impl Note {
    /// Appends the note of a segment that `own` sent.
    pub(super) fn write(&self, numbers: &mut Numbers, own: &mut JournalEnd, to: &mut Vec<u8>) {
        let head = self.head(numbers, own);
        to.extend_from_slice(&head.to_le_bytes());
        put(to, self.frame.wrapping_sub(numbers.frame));
        let since = self.at.0.wrapping_sub(numbers.at);
        put_signed(
            to,
            if head & IN_MICROS == 0 {
                since
            } else {
                since / NANOSECONDS
            },
        );
        numbers.begin_at(self.frame, self.at);
        if head & IN_ORDER == 0 {
            put_signed(to, self.seq.offset_from(own.next).into());
        }
        put(to, self.payload_len.into());
        own.next = self.seq.add(self.payload_len);
        if let Some(ack) = self.data_ack {
            let near = *numbers.dsns.of(own.direction.reverse());
            put_signed(to, ack.expand(near).offset_from(near));
        }
        if let Some(mapping) = &self.mapping {
            let near = *numbers.dsns.of(own.direction);
            let dsn = mapping.dsn.expand(near);
            if head & JUST_MAPPED == 0 {
                put_signed(to, dsn.offset_from(near));
                let first = own.ssn_0.add(mapping.ssn.0);
                put_signed(to, first.offset_from(self.seq).into());
                put(to, mapping.len.into());
            }
            if let Some(checksum) = mapping.checksum {
                to.extend_from_slice(&checksum.to_le_bytes());
            }
            *numbers.dsns.of_mut(own.direction) = dsn.add(mapping.len.into());
        }
    }

    /// Takes what [`Self::write`] appended, when the numbers were the same; none at the end.
    pub(super) fn read(
        numbers: &mut Numbers,
        ends: &mut [[JournalEnd; 2]],
        from: &mut &[u8],
    ) -> Option<Self> {
        let head = u16::from_le_bytes(take(from)?);
        let has = |flag: u16| head & flag != 0;
        let stream = usize::from(head >> STREAM_SHIFT & STREAMS);
        let end = usize::from(head & 1);
        let own = ends.get_mut(stream)?.get_mut(end)?;
        let frame = numbers.frame.wrapping_add(get(from)?);
        let unit = if has(IN_MICROS) { NANOSECONDS } else { 1 };
        let since = get_signed(from)?.wrapping_mul(unit);
        let at = Timestamp(numbers.at.wrapping_add(since));
        numbers.begin_at(frame, at);
        let mut seq = own.next;
        if !has(IN_ORDER) {
            seq = seq.add(low(get_signed(from)?));
        }
        let payload_len = u32::try_from(get(from)?).ok()?;
        own.next = seq.add(payload_len);
        let mut data_ack = None;
        if has(HAS_ACK) {
            let near = *numbers.dsns.of(own.direction.reverse());
            let ack = near.add(get_signed(from)?.cast_unsigned());
            data_ack = Some(if has(LONG_ACK) {
                DataAck::Long(ack.0)
            } else {
                DataAck::Short(ack.low())
            });
        }
        let mapping = if has(HAS_MAPPING) {
            let near = numbers.dsns.of_mut(own.direction);
            Some(read_mapping(
                head,
                near,
                own.ssn_0,
                (seq, payload_len),
                from,
            )?)
        } else {
            None
        };
        Some(Note {
            stream,
            end,
            frame,
            at,
            seq,
            payload_len,
            data_ack,
            mapping,
            verdict: TcpVerdict::from_bits(head >> VERDICT_SHIFT & VERDICTS),
        })
    }

    fn head(&self, numbers: &Numbers, own: &JournalEnd) -> u16 {
        let flag = |is_set: bool, flag: u16| if is_set { flag } else { 0 };
        let mapping = self.mapping.as_ref();
        let is_just_mapped = mapping.is_some_and(|mapping| {
            let near = *numbers.dsns.of(own.direction);
            mapping.dsn.expand(near) == near
                && own.ssn_0.add(mapping.ssn.0) == self.seq
                && u32::from(mapping.len) == self.payload_len
        });
        let since = self.at.0.wrapping_sub(numbers.at);
        let stream = u16::try_from(self.stream).unwrap_or_default() & STREAMS;
        flag(self.data_ack.is_some(), HAS_ACK)
            | flag(matches!(self.data_ack, Some(DataAck::Long(_))), LONG_ACK)
            | flag(mapping.is_some(), HAS_MAPPING)
            | flag(
                mapping.is_some_and(|m| matches!(m.dsn, WireDsn::Long(_))),
                LONG_DSN,
            )
            | flag(mapping.is_some_and(|m| m.checksum.is_some()), HAS_CHECKSUM)
            | flag(self.seq == own.next, IN_ORDER)
            | flag(is_just_mapped, JUST_MAPPED)
            | flag(since % NANOSECONDS == 0, IN_MICROS)
            | self.verdict.bits() << VERDICT_SHIFT
            | stream << STREAM_SHIFT
            | flag(self.end != 0, 1)
    }
}

/// Takes the mapping of a payload, of which the first number and the length are given.
fn read_mapping(
    head: u16,
    near: &mut Dsn,
    ssn_0: TcpSeq,
    (seq, payload_len): (TcpSeq, u32),
    from: &mut &[u8],
) -> Option<DssMapping> {
    let (mut dsn, mut first, mut len) = (*near, seq, u64::from(payload_len));
    if head & JUST_MAPPED == 0 {
        dsn = dsn.add(get_signed(from)?.cast_unsigned());
        first = first.add(low(get_signed(from)?));
        len = get(from)?;
    }
    let len = u16::try_from(len).ok()?;
    *near = dsn.add(len.into());
    let checksum = if head & HAS_CHECKSUM == 0 {
        None
    } else {
        Some(u16::from_le_bytes(take(from)?))
    };
    Some(DssMapping {
        dsn: if head & LONG_DSN == 0 {
            WireDsn::Short(dsn.low())
        } else {
            WireDsn::Long(dsn.0)
        },
        ssn: Ssn(first.0.wrapping_sub(ssn_0.0)),
        len,
        checksum,
    })
}

/// Seven bits a byte, the lowest first; the highest bit of a byte tells that another one follows.
#[inline]
fn put(to: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        to.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// The sign at the lowest bit, so that small numbers of either sign are short.
#[inline]
fn put_signed(to: &mut Vec<u8>, number: i64) {
    put(to, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

#[inline]
fn get(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = take(from)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

#[inline]
fn get_signed(from: &mut &[u8]) -> Option<i64> {
    let number = get(from)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

#[inline]
fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

/// The distance of two numbers of 32 bits, from the longer form of a note.
#[inline]
fn low(number: i64) -> u32 {
    Dsn(number.cast_unsigned()).low()
}
