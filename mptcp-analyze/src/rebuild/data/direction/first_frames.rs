//! When the subflows of a direction sent their first data.

use std::collections::BTreeMap;

use crate::rebuild::pack::{Pack, Packer, Unpacker};
use crate::rebuild::rare::{Absent, FrameMark, Rare};

/// The first frame of each subflow with data; most directions have one such subflow, or two.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstFrames {
    /// The subflows that were first, and their frames; those without frame are free.
    subflows: [u32; FEW],
    frames: [FrameMark; FEW],
    others: Rare<BTreeMap<u32, u64>>,
}

/// Subflows that take no allocation.
const FEW: usize = 2;

impl Pack for FirstFrames {
    fn pack(&self, to: &mut Packer<'_>) {
        let FirstFrames {
            subflows,
            frames,
            others,
        } = self;
        for (subflow, frame) in subflows.iter().zip(frames) {
            frame.pack(to);
            if frame.is_some() {
                to.stream(u64::from(*subflow));
            }
        }
        others.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut unpacked = FirstFrames::default();
        for (subflow, frame) in unpacked.subflows.iter_mut().zip(&mut unpacked.frames) {
            *frame = Pack::unpack(from);
            if frame.is_some() {
                *subflow = u32::try_from(from.stream()).unwrap_or_default();
            }
        }
        unpacked.others = Pack::unpack(from);
        unpacked
    }
}

impl Absent for BTreeMap<u32, u64> {
    const ABSENT: &'static Self = &BTreeMap::new();
}

impl FirstFrames {
    pub(super) fn get(&self, subflow: u32) -> Option<u64> {
        let mut few = self.few();
        let found = few.find(|(id, _)| *id == subflow);
        found
            .map(|(_, frame)| frame)
            .or_else(|| self.others.get(&subflow).copied())
    }

    /// Notes a frame of `subflow`, if it is the first.
    pub(super) fn note(&mut self, subflow: u32, frame: u64) {
        for (id, first) in self.subflows.iter_mut().zip(&mut self.frames) {
            if first.is_none() {
                *id = subflow;
                first.set_first(frame);
                return;
            }
            if *id == subflow {
                return;
            }
        }
        self.others.made().entry(subflow).or_insert(frame);
    }

    /// Takes over those of another half.
    pub(super) fn absorb(&mut self, other: &Self, other_id: impl Fn(u32) -> u32) {
        let others = other.others.iter().map(|(id, frame)| (*id, *frame));
        for (subflow, frame) in other.few().chain(others) {
            self.note(other_id(subflow), frame);
        }
    }

    fn few(&self) -> impl Iterator<Item = (u32, u64)> {
        let few = self.subflows.iter().zip(self.frames);
        few.filter_map(|(subflow, frame)| Some((*subflow, frame.get()?)))
    }
}
