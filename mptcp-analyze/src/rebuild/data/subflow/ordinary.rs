//! The short way for mappings and payload that follow what came before.
//!
//! Each method either does what the long way does, or nothing; sums that overflow go the long way.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::DssMapping;

use super::super::open_mappings::{MappingKey, OpenMapping};
use super::super::{PayloadInput, Sent};
use super::mapping::is_in_range;
use super::payload::count;
use super::{DataDirection, SubflowDirection};

impl SubflowDirection {
    /// Takes a mapping without DATA_FIN if it is the latest one once more, as Linux repeats it in
    /// every segment, or lies behind all others; otherwise nothing is done, and it is for
    /// [`Self::on_mapping`].
    #[inline]
    pub(crate) fn take_next_mapping(
        &mut self,
        data: &mut DataDirection,
        mapping: &DssMapping,
        segment_seq: TcpSeq,
        frame: u64,
    ) -> bool {
        let Some(near) = self.origin.peek(segment_seq) else {
            return false;
        };
        if !self.origin.is_settled() || self.rare.syn_data.is_some() || mapping.is_infinite() {
            return false;
        }
        let key = MappingKey {
            place: self.origin.place_of_ssn(mapping.ssn.0, near),
            data: data.place_of(mapping.dsn),
            len: mapping.len,
        };
        if self.open.is_latest(&key) {
            if mapping
                .checksum
                .is_some_and(|checksum| self.open.contradicts_checksum(&key, checksum))
            {
                return false;
            }
        } else if !self.add_highest(data, key, mapping, frame) {
            return false;
        }
        data.count_mapping_option();
        self.last_mapping_frame = Some(frame).into();
        true
    }

    /// Adds a mapping that is behind all others, and that no byte waits for.
    fn add_highest(
        &mut self,
        data: &mut DataDirection,
        key: MappingKey,
        mapping: &DssMapping,
        frame: u64,
    ) -> bool {
        let payload_len = u32::from(mapping.len);
        if self.totals.odd.unmapped_bytes > 0
            || !self.open.is_highest(&key)
            || !is_in_range(key.data)
            || !self.maps.insert_free(key.place, key.data, payload_len)
        {
            return false;
        }
        let checksum = mapping.checksum.filter(|_| data.options().verify_checksums);
        data.count_mapping(key.data.saturating_add(i64::from(payload_len)));
        let open = OpenMapping::new(frame, mapping.ssn.0, checksum, payload_len);
        self.open.made().add(key, open, data);
        true
    }

    /// Takes payload that extends what was sent, under mappings that follow each other; otherwise
    /// nothing is done, and it is for [`Self::on_payload`].
    #[inline]
    pub(crate) fn append(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        input: &PayloadInput<'_>,
    ) -> bool {
        if !self.rare.held.is_empty() {
            return false;
        }
        let len = i64::from(input.len);
        let places = self.origin.peek(input.seq).and_then(|start| {
            let end = start.checked_add(len)?;
            Some(start..end)
        });
        let Some(places) = places else {
            return false;
        };
        let mapped = self.maps.look_up_whole(&places);
        let Some((from, to)) = mapped.and_then(|from| Some((from, from.checked_add(len)?))) else {
            return false;
        };
        if !self.seen.extend(&places, ()) {
            return false;
        }
        self.origin.advance_to(places.start);
        data.count_wire_bytes(input.len);
        let totals = &mut self.totals;
        totals.wire_bytes = totals.wire_bytes.saturating_add(u64::from(input.len));
        if let Some(open) = self.open.get_mut() {
            open.feed(&places, input.bytes, input.sum, data);
        }
        let sent = Sent {
            frame: input.frame,
            at: input.at,
            acked: data.acked_place(),
        };
        if data.claim_free(&(from..to), subflow, sent) {
            totals.unique_bytes = totals.unique_bytes.saturating_add(u64::from(input.len));
            return true;
        }
        let mut spurious = 0u64;
        data.claim(from..to, subflow, sent, input.bytes, |part, class| {
            spurious = spurious.saturating_add(count(totals, class, part, sent.acked));
        });
        data.count_spurious(spurious);
        true
    }
}
