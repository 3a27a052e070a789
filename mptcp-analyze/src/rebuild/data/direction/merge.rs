//! Two halves that turn out to be one connection.

use mptcp_proto::data::{Held, SenderMap};

use super::{Counters, DataDirection, NEVER, RareData};
use crate::model::{ByteClass, CheckTally, DirectionTotals};

/// Runs of a half that are entered anew when the other half turns out to have been first. Larger
/// ones stay first: their bytes were sent long ago, and so were those of the other half.
const MAX_REENTERED_RUNS: usize = 1024;

/// What a merge changes for the subflows of both halves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Merged {
    /// To be added to the data places of the subflows that moved.
    pub(in crate::rebuild::data) distance: i64,
    /// Bytes that turned out to be repetitions.
    pub(in crate::rebuild) lost: Vec<Lost>,
}

/// Bytes of a subflow that another one, or the same, had sent before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lost {
    /// New id of the subflow.
    pub(in crate::rebuild) subflow: u32,
    pub(in crate::rebuild::data) bytes: u64,
    /// What they are instead: sent before, or without mapping where their DSN is so far from the
    /// others that it cannot belong to the connection.
    pub(in crate::rebuild::data) class: ByteClass,
}

impl DataDirection {
    /// How far the data of `other` are from these, if both are the same direction of one connection.
    pub(crate) fn distance_to(&self, other: &Self) -> i64 {
        self.scale.distance(&other.scale, self.highest)
    }

    /// Takes over `other`, the same direction of the same connection. `other_id` gives the new ids
    /// of its subflows.
    ///
    /// Bytes that both halves have belong to the half that sent data first. Give the result to
    /// [`SubflowDirection::follow_merge`](super::super::SubflowDirection::follow_merge) of every
    /// subflow of `other`, and what was lost to [`SubflowDirection::lose`] of the subflow it names.
    ///
    /// The work is that of `other`, which is the newer and smaller half: a capture can be made in
    /// which every stream is merged into one connection.
    ///
    /// [`SubflowDirection::lose`]: super::super::SubflowDirection::lose
    pub(crate) fn merge(&mut self, mut other: Self, other_id: impl Fn(u32) -> u32) -> Merged {
        let distance = self.scale.distance(&other.scale, self.highest);
        self.scale.learn(&other.scale, distance);
        let mut merged = Merged {
            distance,
            lost: Vec::new(),
        };
        let other_is_first = match (self.first_frame.get(), other.first_frame.get()) {
            (Some(own), Some(theirs)) => theirs < own,
            (own, _) => own.is_none(),
        };
        if other_is_first && self.can_step_back(&mut other.senders, distance) {
            let mut senders = std::mem::take(&mut self.senders);
            self.claim_runs(&mut other.senders, &other_id, distance, &mut merged);
            self.claim_runs(&mut senders, |id| id, 0, &mut merged);
        } else {
            self.claim_runs(&mut other.senders, &other_id, distance, &mut merged);
        }
        self.merge_frames(&mut other, &other_id, distance);
        self.merge_places(&other, distance);
        self.add_totals(&other, distance);
        for lost in &merged.lost {
            self.count_repeated(lost.class, lost.bytes);
        }
        if let (Some(own), Some(theirs)) = (&mut self.assembler, other.assembler) {
            own.absorb(*theirs, distance);
        }
        merged
    }

    /// Whether the order of the halves matters, because they have bytes in common, and there is
    /// little enough to enter it anew.
    fn can_step_back(&mut self, theirs: &mut SenderMap, distance: i64) -> bool {
        if self.senders.run_count() > MAX_REENTERED_RUNS {
            return false;
        }
        let senders = &mut self.senders;
        theirs.runs().any(|(run, _)| {
            let places = run.start.saturating_add(distance)..run.end.saturating_add(distance);
            senders.holds_any(&places)
        })
    }

    fn claim_runs(
        &mut self,
        senders: &mut SenderMap,
        id: impl Fn(u32) -> u32,
        distance: i64,
        merged: &mut Merged,
    ) {
        let mut out = Vec::new();
        for (run, sender) in senders.runs() {
            let subflow = id(sender);
            let places = run.start.saturating_add(distance)..run.end.saturating_add(distance);
            out.clear();
            self.senders.claim(places, subflow, &mut out);
            let mut beyond = u64::try_from(run.end.saturating_sub(run.start)).unwrap_or(0);
            for stretch in &out {
                beyond = beyond.saturating_sub(stretch.len());
                let class = match stretch.held {
                    Held::Free => continue,
                    Held::By(first) if first != subflow => ByteClass::Reinjection {
                        of_frame: self.first_frames.get(first).unwrap_or(0),
                    },
                    Held::By(_) | Held::Unknown => ByteClass::DataRetransmission,
                };
                merged.lost.push(Lost {
                    subflow,
                    bytes: stretch.len(),
                    class,
                });
            }
            if beyond > 0 {
                self.count_out_of_range();
                merged.lost.push(Lost {
                    subflow,
                    bytes: beyond,
                    class: ByteClass::Unmapped,
                });
            }
        }
    }

    fn merge_frames(&mut self, other: &mut Self, other_id: impl Fn(u32) -> u32, distance: i64) {
        self.first_frames.absorb(&other.first_frames, other_id);
        self.last_sender = None;
        let first_frames = [self.first_frame.get(), other.first_frame.get()];
        self.first_frame = first_frames.into_iter().flatten().min().into();
        let Some(theirs) = other.rare.get_mut() else {
            return;
        };
        let recent = &mut self.rare.made().recent;
        for (places, frame) in theirs.recent.drain(..) {
            let places = places.start.saturating_add(distance)..places.end.saturating_add(distance);
            recent.push_back((places, frame));
        }
        while recent.len() > super::MAX_RECENT_PIECES {
            recent.pop_front();
        }
    }

    fn merge_places(&mut self, other: &Self, distance: i64) {
        self.highest = self.highest.max(other.highest.saturating_add(distance));
        if other.acked != NEVER {
            self.acked = self.acked.max(other.acked.saturating_add(distance));
        }
        if self.data_fin.1.is_none() {
            let (place, frame) = other.data_fin;
            self.data_fin = (place.saturating_add(distance), frame);
        }
    }

    /// Adds the counters that need no correction.
    fn add_totals(&mut self, other: &Self, distance: i64) {
        add_totals(&mut self.totals, &other.totals);
        if other.rare.is_absent() {
            return;
        }
        let (own, theirs) = (self.rare.made(), &*other.rare);
        let bad = theirs.bad_mappings.iter();
        own.bad_mappings
            .extend(bad.map(|(frame, place)| (*frame, place.saturating_add(distance))));
        own.bad_mappings.sort_unstable();
        own.bad_mappings.truncate(DirectionTotals::MAX_BAD_MAPPINGS);
        add_rare(own, theirs);
    }
}

fn add_totals(own: &mut Counters, other: &Counters) {
    own.wire_bytes = own.wire_bytes.saturating_add(other.wire_bytes);
    own.mappings = own.mappings.saturating_add(other.mappings);
    own.mapping_options = own.mapping_options.saturating_add(other.mapping_options);
    let firsts = [own.first_at.get(), other.first_at.get()];
    own.first_at = firsts.into_iter().flatten().min().into();
    own.last_at = own.last_at.get().max(other.last_at.get()).into();
}

fn add_rare(own: &mut RareData, other: &RareData) {
    own.out_of_range = own.out_of_range.saturating_add(other.out_of_range);
    own.reinjected_bytes = own.reinjected_bytes.saturating_add(other.reinjected_bytes);
    own.data_retransmitted_bytes = own
        .data_retransmitted_bytes
        .saturating_add(other.data_retransmitted_bytes);
    own.spurious_bytes = own.spurious_bytes.saturating_add(other.spurious_bytes);
    let CheckTally {
        ok,
        bad,
        unverifiable,
    } = other.checksums;
    own.checksums.ok = own.checksums.ok.saturating_add(ok);
    own.checksums.bad = own.checksums.bad.saturating_add(bad);
    own.checksums.unverifiable = own.checksums.unverifiable.saturating_add(unverifiable);
}
