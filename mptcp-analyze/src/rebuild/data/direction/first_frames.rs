//! When the subflows of a direction sent their first data.

use std::collections::BTreeMap;

use crate::rebuild::pack::{Pack, Packer, Unpacker};
use crate::rebuild::rare::{Absent, FrameMark, Rare};

/// The first frame of each subflow with data; most directions have one such subflow, or two.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstFrames {
    one: Option<(u32, FrameMark)>,
    others: Rare<BTreeMap<u32, u64>>,
}

impl Pack for FirstFrames {
    fn pack(&self, to: &mut Packer<'_>) {
        let FirstFrames { one, others } = self;
        one.is_some().pack(to);
        if let Some((subflow, frame)) = one {
            to.stream(u64::from(*subflow));
            frame.pack(to);
        }
        others.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let one = bool::unpack(from).then(|| {
            let subflow = u32::try_from(from.stream()).unwrap_or_default();
            (subflow, Pack::unpack(from))
        });
        FirstFrames {
            one,
            others: Pack::unpack(from),
        }
    }
}

impl Absent for BTreeMap<u32, u64> {
    const ABSENT: &'static Self = &BTreeMap::new();
}

impl FirstFrames {
    pub(super) fn get(&self, subflow: u32) -> Option<u64> {
        match self.one {
            Some((one, frame)) if one == subflow => frame.get(),
            _ => self.others.get(&subflow).copied(),
        }
    }

    /// Notes a frame of `subflow`, if it is the first.
    pub(super) fn note(&mut self, subflow: u32, frame: u64) {
        match self.one {
            Some((one, _)) if one == subflow => {}
            Some(_) => {
                self.others.made().entry(subflow).or_insert(frame);
            }
            None => self.one = Some((subflow, Some(frame).into())),
        }
    }

    /// Takes over those of another half.
    pub(super) fn absorb(&mut self, other: &Self, other_id: impl Fn(u32) -> u32) {
        let one = other.one.and_then(|(one, frame)| Some((one, frame.get()?)));
        let others = other.others.iter().map(|(id, frame)| (*id, *frame));
        for (subflow, frame) in one.into_iter().chain(others) {
            self.note(other_id(subflow), frame);
        }
    }
}
