//! Small forms of what most connections do not have: parts that are made when they are first
//! written to, and numbers that may be missing.

use std::ops::Deref;

use mptcp_proto::seq::TcpSeq;

use super::pack::{Pack, Packer, Unpacker};
use crate::model::Timestamp;

/// What is read of a part that was never written to.
pub(super) trait Absent: Default + 'static {
    const ABSENT: &'static Self;
}

/// A part that few have: it takes the room of a pointer until something is written to it.
#[derive(Debug, Clone)]
pub(super) struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
    }
}

impl<T: Absent> Deref for Rare<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::ABSENT)
    }
}

impl<T: Absent> Rare<T> {
    /// A part that was never written to.
    pub(super) const ABSENT: Self = Rare(None);

    /// The part, made if need be.
    #[inline]
    pub(super) fn made(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }

    /// The part, if something was written to it.
    #[inline]
    pub(super) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Whether nothing was ever written to it.
    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: Pack> Pack for Rare<T> {
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Rare(Pack::unpack(from))
    }
}

/// A frame that may be missing, in the room of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameMark(u64);

impl FrameMark {
    /// No frame.
    pub(super) const MISSING: Self = FrameMark(u64::MAX);

    /// The frame, if there is one.
    #[inline]
    pub(super) fn get(self) -> Option<u64> {
        self.is_some().then_some(self.0)
    }

    pub(super) fn is_some(self) -> bool {
        self != Self::MISSING
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::MISSING
    }

    /// Notes a frame if there is none.
    #[inline]
    pub(super) fn set_first(&mut self, frame: u64) {
        if self.is_none() {
            self.0 = frame;
        }
    }
}

impl Default for FrameMark {
    fn default() -> Self {
        Self::MISSING
    }
}

impl From<Option<u64>> for FrameMark {
    #[inline]
    fn from(frame: Option<u64>) -> Self {
        frame.map_or(Self::MISSING, FrameMark)
    }
}

impl Pack for FrameMark {
    fn pack(&self, to: &mut Packer<'_>) {
        self.is_some().pack(to);
        if let Some(frame) = self.get() {
            to.frame(frame);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        bool::unpack(from).then(|| from.frame()).into()
    }
}

/// A sequence number that may be missing, without the padding of an option.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SeqMark {
    bytes: [u8; 4],
    is_known: bool,
}

impl SeqMark {
    /// The number, if there is one.
    #[inline]
    pub(super) fn get(self) -> Option<TcpSeq> {
        self.is_known
            .then_some(TcpSeq(u32::from_ne_bytes(self.bytes)))
    }

    #[inline]
    pub(super) fn is_some(self) -> bool {
        self.is_known
    }

    /// Notes a number if there is none.
    #[inline]
    pub(super) fn set_first(&mut self, seq: TcpSeq) {
        if !self.is_known {
            self.bytes = seq.0.to_ne_bytes();
            self.is_known = true;
        }
    }
}

impl Pack for SeqMark {
    fn pack(&self, to: &mut Packer<'_>) {
        self.get().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut mark = Self::default();
        if let Some(seq) = Option::unpack(from) {
            mark.set_first(seq);
        }
        mark
    }
}

/// A time that may be missing, in the room of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeMark(i64);

impl TimeMark {
    const MISSING: i64 = i64::MIN;

    /// The time, if there is one.
    #[inline]
    pub(super) fn get(self) -> Option<Timestamp> {
        (self.0 != Self::MISSING).then_some(Timestamp(self.0))
    }

    /// Notes a time if there is none.
    pub(super) fn set_first(&mut self, at: Timestamp) {
        if self.0 == Self::MISSING {
            self.0 = at.0;
        }
    }
}

impl Default for TimeMark {
    fn default() -> Self {
        TimeMark(Self::MISSING)
    }
}

impl From<Option<Timestamp>> for TimeMark {
    #[inline]
    fn from(at: Option<Timestamp>) -> Self {
        TimeMark(at.map_or(Self::MISSING, |at| at.0))
    }
}

impl Pack for TimeMark {
    fn pack(&self, to: &mut Packer<'_>) {
        self.get().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Option::unpack(from).into()
    }
}
