//! Mappings: where they lie, whether they are new, and which waiting bytes they explain.

use std::ops::Range;

use mptcp_proto::data::{Held, Insertion, PLACE_LIMIT};

use super::super::open_mappings::{MappingKey, OpenMapping};
use super::super::origin::MAX_HELD_MAPPINGS;
use super::super::{MappingConflict, MappingInput, MappingOutcome, Sent};
use super::{DataDirection, SubflowDirection};

/// A mapping in places.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlacedMapping {
    /// Data place of the first byte.
    pub(super) data: i64,
    ssn: u32,
    len: u16,
    payload_len: u32,
    checksum: Option<u16>,
    /// Subflow place of the segment that carried it.
    near: i64,
    sent: Sent,
    /// Whether that segment has payload.
    with_data: bool,
}

impl PlacedMapping {
    fn is_same(&self, other: &Self) -> bool {
        (self.data, self.ssn, self.len) == (other.data, other.ssn, other.len)
    }

    /// Whether the stores have room for the places of its bytes.
    pub(super) fn is_in_range(&self) -> bool {
        is_in_range(self.data)
    }

    fn is_infinite(&self) -> bool {
        self.len == 0
    }
}

impl SubflowDirection {
    /// A mapping in the options of a segment. To be called before [`Self::on_payload`] of the same
    /// segment.
    pub(crate) fn on_mapping(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        input: &MappingInput,
    ) -> MappingOutcome {
        data.count_mapping_option();
        let place = data.scale().place(input.dsn);
        if !is_in_range(place) {
            data.count_out_of_range();
            return MappingOutcome {
                out_of_range: true,
                ..MappingOutcome::default()
            };
        }
        self.last_mapping_frame = Some(input.frame).into();
        let payload_len = input.len.saturating_sub(u16::from(input.data_fin));
        let mapping = PlacedMapping {
            data: place,
            ssn: input.ssn,
            len: input.len,
            payload_len: u32::from(payload_len),
            // RFC 8684 §3.7: the infinite mapping has no end that a checksum could cover.
            checksum: input
                .checksum
                .filter(|_| data.options().verify_checksums && input.len > 0),
            near: self.origin.place(input.segment_seq),
            sent: Sent {
                frame: input.frame,
                at: input.at,
                acked: data.acked_place(),
            },
            with_data: input.segment_len > 0,
        };
        if payload_len == 0 && input.len > 0 {
            return self.on_bare_data_fin(data, &mapping);
        }
        if self.origin.is_settled() {
            return self.apply(data, subflow, &mapping);
        }
        self.hold(data, subflow, mapping, input.segment_len)
    }

    /// Keeps a mapping until it is known where SSN 1 is; applies all when it is.
    fn hold(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        mapping: PlacedMapping,
        segment_len: u32,
    ) -> MappingOutcome {
        if mapping.with_data {
            self.origin
                .narrow(mapping.near, segment_len, mapping.ssn, mapping.payload_len);
        }
        let repeated = self.rare.held.iter().any(|held| held.is_same(&mapping));
        if repeated && !self.origin.is_settled() {
            return MappingOutcome {
                repeated,
                ..MappingOutcome::default()
            };
        }
        if !repeated {
            self.rare.made().held.push(mapping);
        }
        let with_data = self.rare.held.iter().filter(|held| held.with_data).count();
        if with_data >= 2 || self.rare.held.len() >= MAX_HELD_MAPPINGS {
            self.origin.settle();
        }
        if !self.origin.is_settled() {
            return MappingOutcome::default();
        }
        let outcome = self.settle(data, subflow).unwrap_or_default();
        if repeated {
            return MappingOutcome {
                repeated,
                ..MappingOutcome::default()
            };
        }
        outcome
    }

    /// Decides where SSN 1 is and applies the mappings that waited for it. Gives the outcome of the
    /// last one.
    pub(super) fn settle(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
    ) -> Option<MappingOutcome> {
        let held = self
            .rare
            .get_mut()
            .map(|rare| std::mem::take(&mut rare.held));
        let held = held.unwrap_or_default();
        if !held.is_empty() {
            self.origin.settle();
        }
        let mut last = None;
        for mapping in held {
            last = Some(self.apply(data, subflow, &mapping));
        }
        last
    }

    fn on_bare_data_fin(
        &mut self,
        data: &mut DataDirection,
        mapping: &PlacedMapping,
    ) -> MappingOutcome {
        let key = MappingKey::bare_data_fin(mapping.data);
        let repeated = self.open.made().contains(&key);
        if !repeated {
            self.add_open(data, key, mapping);
        }
        MappingOutcome {
            repeated,
            ..MappingOutcome::default()
        }
    }

    fn apply(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        mapping: &PlacedMapping,
    ) -> MappingOutcome {
        self.infer_syn_data(data, mapping);
        let place = self.origin.place_of_ssn(mapping.ssn, mapping.near);
        let key = MappingKey {
            place,
            data: mapping.data,
            len: mapping.len,
        };
        if self.open.made().contains(&key) {
            let contradicts = |checksum| self.open.contradicts_checksum(&key, checksum);
            return MappingOutcome {
                repeated: true,
                other_checksum: mapping.checksum.is_some_and(contradicts),
                ..MappingOutcome::default()
            };
        }
        let mut added = Vec::new();
        let end = place.saturating_add(i64::from(mapping.payload_len));
        let Insertion {
            added: new,
            refused,
            conflict,
            ..
        } = self.insert_mapping(place, mapping, &mut added);
        if self.open.may_be_closed(end) && new == 0 && refused == 0 {
            return MappingOutcome {
                repeated: true,
                ..MappingOutcome::default()
            };
        }
        let now = u16::try_from(mapping.payload_len).unwrap_or(u16::MAX);
        let before = self.open.made().other_length(&key, now);
        self.add_open(data, key, mapping);
        for places in added {
            let data_start = mapping
                .data
                .saturating_add(places.start.saturating_sub(place));
            self.claim_waiting(data, subflow, places, data_start, mapping.sent);
        }
        let scale = data.scale();
        MappingOutcome {
            repeated: false,
            conflict: conflict.map(|conflict| MappingConflict {
                ssn: self.origin.ssn(conflict.place),
                kept_dsn: scale.relative(conflict.kept),
                refused_dsn: scale.relative(conflict.refused),
            }),
            other_checksum: false,
            resized: before.map(|before| (before, now)),
            out_of_range: false,
        }
    }

    /// Enters a mapping from `place` on, and appends to `added` what bytes may wait for.
    fn insert_mapping(
        &mut self,
        place: i64,
        mapping: &PlacedMapping,
        added: &mut Vec<Range<i64>>,
    ) -> Insertion {
        let PlacedMapping {
            data, payload_len, ..
        } = *mapping;
        if mapping.is_infinite() {
            return self.maps.insert_infinite(place, data, added);
        }
        if !self.maps.insert_free(place, data, payload_len) {
            return self.maps.insert(place, data, payload_len, added);
        }
        // No byte waits for it unless some came without a mapping.
        if self.totals.odd.unmapped_bytes > 0 {
            added.push(place..place.saturating_add(i64::from(payload_len)));
        }
        Insertion {
            added: u64::from(payload_len),
            ..Insertion::default()
        }
    }

    fn add_open(&mut self, data: &mut DataDirection, key: MappingKey, mapping: &PlacedMapping) {
        data.count_mapping(mapping.data.saturating_add(i64::from(mapping.payload_len)));
        let open = OpenMapping::new(
            mapping.sent.frame,
            mapping.ssn,
            mapping.checksum,
            mapping.payload_len,
        );
        self.open.made().add(key, open, data);
    }

    /// Without a SYN/ACK in the capture, the first mapping tells whether SYN data were accepted: SSN
    /// 1 is its own segment, and not the SYN's payload.
    fn infer_syn_data(&mut self, data: &mut DataDirection, mapping: &PlacedMapping) {
        let Some(len) = self.rare.syn_data.as_ref().map(|offered| offered.len) else {
            return;
        };
        let after = self
            .origin
            .place_of_ssn(1, mapping.near)
            .saturating_add(i64::from(len));
        let accepted = mapping.ssn == 1 && mapping.near == after;
        self.on_syn_acked(data, if accepted { len } else { 0 });
    }

    /// Counts bytes that were sent before their mapping, now that it is here.
    fn claim_waiting(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        places: Range<i64>,
        data_start: i64,
        sent: Sent,
    ) {
        if self.totals.odd.unmapped_bytes == 0 {
            return;
        }
        let offset = data_start.saturating_sub(places.start);
        let mut stretches = Vec::new();
        self.seen.look_up(places, &mut stretches);
        for stretch in stretches.iter().filter(|s| s.held == Held::By(())) {
            let rare = self.rare.get_mut();
            let waiting = rare.and_then(|rare| rare.waiting.as_deref_mut());
            let segments = waiting.map_or_else(Vec::new, |waiting| waiting.take(&stretch.range));
            let mut at = stretch.range.start;
            for segment in &segments {
                self.claim_late(data, subflow, at..segment.places.start, offset, sent, &[]);
                let bytes = &segment.bytes;
                self.claim_late(
                    data,
                    subflow,
                    segment.places.clone(),
                    offset,
                    segment.sent,
                    bytes,
                );
                at = segment.places.end;
            }
            self.claim_late(data, subflow, at..stretch.range.end, offset, sent, &[]);
        }
    }
}

/// Whether a mapping whose first byte has this data place lies within [`PLACE_LIMIT`].
pub(super) fn is_in_range(data: i64) -> bool {
    data >= -PLACE_LIMIT && data.saturating_add(i64::from(u16::MAX)) < PLACE_LIMIT
}
