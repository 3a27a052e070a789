//! The short way for a mapping that is repeated and for payload that follows what came before.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::DssMapping;

use super::super::open_mappings::MappingKey;
use super::super::{PayloadInput, Sent};
use super::payload::count;
use super::{DataDirection, SubflowDirection, SynData};

impl SubflowDirection {
    /// Notes `mapping` if it is the latest one once more; otherwise nothing is done, and it is for
    /// [`Self::on_mapping`].
    #[inline]
    pub(crate) fn repeat_mapping(
        &mut self,
        data: &mut DataDirection,
        mapping: &DssMapping,
        segment_seq: TcpSeq,
        frame: u64,
    ) -> bool {
        let Some(latest) = self.open.latest() else {
            return false;
        };
        let Some(near) = self.origin.peek(segment_seq) else {
            return false;
        };
        let key = MappingKey {
            place: self.origin.place_of_ssn(mapping.ssn.0, near),
            data: data.place_of(mapping.dsn),
            len: mapping.len,
        };
        let is_settled =
            self.origin.is_settled() && !matches!(self.syn_data, SynData::Offered { .. });
        if key != *latest || mapping.is_infinite() || !is_settled {
            return false;
        }
        data.count_mapping_option();
        self.last_mapping_frame = Some(frame);
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
        if !self.held.is_empty() {
            return false;
        }
        let Some(start) = self.origin.peek(input.seq) else {
            return false;
        };
        let len = i64::from(input.len);
        let places = start..start.saturating_add(len);
        let Some(mapped) = self.maps.look_up_whole(&places) else {
            return false;
        };
        if !self.seen.extend(&places, ()) {
            return false;
        }
        self.origin.advance_to(start);
        data.count_wire_bytes(input.len);
        let totals = &mut self.totals;
        totals.wire_bytes = totals.wire_bytes.saturating_add(u64::from(input.len));
        self.open.feed(&places, input.bytes, data);
        let sent = Sent {
            frame: input.frame,
            at: input.at,
            acked: data.acked_place(),
        };
        let mapped = mapped..mapped.saturating_add(len);
        let mut spurious = 0u64;
        data.claim(mapped, subflow, sent, input.bytes, |part, class| {
            spurious = spurious.saturating_add(count(totals, class, part, sent.acked));
        });
        if spurious > 0 {
            data.count_spurious(spurious);
        }
        true
    }
}
