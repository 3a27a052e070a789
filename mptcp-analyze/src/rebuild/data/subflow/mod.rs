//! One direction of one subflow.

mod mapping;
mod ordinary;
mod payload;

use mptcp_proto::data::{IntervalMap, MapQueue};
use mptcp_proto::seq::TcpSeq;

use super::Assemble;
use super::direction::{DataDirection, Lost, Merged, limit_hits};
use super::open_mappings::OpenMappings;
use super::origin::Origin;
use super::waiting::{MAX_WAITING_SEGMENTS, Waiting};
use crate::model::{ByteClass, LimitHit};
use crate::rebuild::pack::{Pack, Packer, Unpacker, pack_fields};
use crate::rebuild::rare::{Absent, FrameMark, Rare};
use mapping::PlacedMapping;

/// One direction of one subflow: which bytes were sent, and what their mappings say.
///
/// Methods that take a [`DataDirection`] must always be given the one of the same connection, and
/// the same subflow id.
#[derive(Debug, Clone, Default)]
pub(crate) struct SubflowDirection {
    origin: Origin,
    /// Places sent.
    seen: IntervalMap<()>,
    maps: MapQueue,
    /// Made at the first mapping.
    open: Rare<OpenMappings>,
    last_mapping_frame: FrameMark,
    /// Whether it is known what became of data in the SYN.
    syn_data_decided: bool,
    rare: Rare<RareDirection>,
    totals: ByteCounts,
}

/// What few directions have.
#[derive(Debug, Clone, Default)]
struct RareDirection {
    /// Made when a segment has to wait.
    waiting: Option<Box<Waiting>>,
    /// Mappings seen before it is known where SSN 1 is.
    held: Vec<PlacedMapping>,
    /// Data in the SYN (TCP Fast Open) that are not known to be accepted.
    syn_data: Option<SynData>,
    implicit: Option<Implicit>,
}

impl Absent for RareDirection {
    const ABSENT: &'static Self = &RareDirection {
        waiting: None,
        held: Vec::new(),
        syn_data: None,
        implicit: None,
    };
}

/// Bytes of one direction of one subflow, by what became of them; see
/// [`SubflowTotals`](crate::model::SubflowTotals).
#[derive(Debug, Clone, Default)]
pub(crate) struct ByteCounts {
    pub(crate) wire_bytes: u64,
    pub(crate) unique_bytes: u64,
    pub(in crate::rebuild) odd: Rare<OddBytes>,
}

/// Bytes that were not just sent once, with a mapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "they are called as in the model")]
pub(crate) struct OddBytes {
    pub(crate) tcp_retransmitted_bytes: u64,
    pub(crate) data_retransmitted_bytes: u64,
    pub(crate) reinjected_bytes: u64,
    pub(crate) spurious_bytes: u64,
    pub(crate) unmapped_bytes: u64,
}

impl Absent for OddBytes {
    const ABSENT: &'static Self = &OddBytes {
        tcp_retransmitted_bytes: 0,
        data_retransmitted_bytes: 0,
        reinjected_bytes: 0,
        spurious_bytes: 0,
        unmapped_bytes: 0,
    };
}

/// Where plain bytes begin that continue the stream after a fallback.
#[derive(Debug, Clone, Copy)]
struct Implicit {
    /// Subflow place.
    place: i64,
    /// Data place.
    data: i64,
}

/// Data in the SYN (TCP Fast Open).
#[derive(Debug, Clone)]
struct SynData {
    len: u32,
    bytes: Vec<u8>,
}

/// Bytes of SYN data that are kept for each direction of a subflow. A SYN is one segment, and no
/// segment has more.
const MAX_SYN_BYTES: usize = 64 << 10;

impl Pack for ByteCounts {
    /// Most bytes are sent once.
    fn pack(&self, to: &mut Packer<'_>) {
        let ByteCounts {
            wire_bytes,
            unique_bytes,
            odd,
        } = self;
        wire_bytes.pack(to);
        wire_bytes.wrapping_sub(*unique_bytes).pack(to);
        odd.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let wire_bytes = u64::unpack(from);
        ByteCounts {
            wire_bytes,
            unique_bytes: wire_bytes.wrapping_sub(Pack::unpack(from)),
            odd: Pack::unpack(from),
        }
    }
}

pack_fields!(OddBytes {
    tcp_retransmitted_bytes,
    data_retransmitted_bytes,
    reinjected_bytes,
    spurious_bytes,
    unmapped_bytes,
});

impl Pack for SubflowDirection {
    fn pack(&self, to: &mut Packer<'_>) {
        let SubflowDirection {
            origin,
            seen,
            maps,
            open,
            last_mapping_frame,
            syn_data_decided,
            rare,
            totals,
        } = self;
        let RareDirection {
            waiting,
            held,
            syn_data,
            implicit,
        } = &**rare;
        to.require(waiting.is_none() && held.is_empty());
        to.require(syn_data.is_none() && implicit.is_none());
        // First the runs, to which places are near.
        seen.pack(to);
        origin.pack(to);
        maps.pack(to);
        open.pack(to);
        last_mapping_frame.pack(to);
        syn_data_decided.pack(to);
        totals.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        SubflowDirection {
            seen: Pack::unpack(from),
            origin: Pack::unpack(from),
            maps: Pack::unpack(from),
            open: if from.is_for_report() {
                // They were all judged.
                Option::<OpenMappings>::unpack(from);
                Rare::default()
            } else {
                Pack::unpack(from)
            },
            last_mapping_frame: Pack::unpack(from),
            syn_data_decided: Pack::unpack(from),
            rare: Rare::default(),
            totals: Pack::unpack(from),
        }
    }
}

impl RareDirection {
    /// Moves all data places by `distance`.
    fn shift_data(&mut self, distance: i64) {
        if let Some(waiting) = &mut self.waiting {
            waiting.shift_data(distance);
        }
        for held in &mut self.held {
            held.data = held.data.saturating_add(distance);
        }
        self.held.retain(PlacedMapping::is_in_range);
        if let Some(implicit) = &mut self.implicit {
            implicit.data = implicit.data.saturating_add(distance);
        }
    }
}

impl SubflowDirection {
    /// A SYN or SYN/ACK with this ISN. Give its payload to [`Self::on_syn_payload`].
    pub(crate) fn on_syn(&mut self, isn: TcpSeq) {
        self.origin.on_syn(isn);
    }

    /// Payload of a SYN. It has no mapping, and whether it is data of the connection is up to the
    /// SYN/ACK (RFC 8684 appendix B).
    pub(crate) fn on_syn_payload(&mut self, data: &mut DataDirection, payload: &[u8], len: u32) {
        data.count_wire_bytes(len);
        self.totals.wire_bytes = self.totals.wire_bytes.saturating_add(u64::from(len));
        if len > 0 && !self.syn_data_decided && self.rare.syn_data.is_none() {
            let kept = match data.options().assemble {
                Assemble::No => &[],
                Assemble::Hash | Assemble::Keep => payload,
            };
            let kept = kept.get(..kept.len().min(MAX_SYN_BYTES)).unwrap_or(kept);
            self.rare.made().syn_data = Some(SynData {
                len,
                bytes: kept.to_vec(),
            });
        }
    }

    /// The SYN/ACK acknowledged `len` bytes of the SYN's payload: SSN 1 is the byte after them.
    /// Call it for every SYN/ACK, also with 0.
    pub(crate) fn on_syn_acked(&mut self, data: &mut DataDirection, len: u32) {
        self.syn_data_decided = true;
        let offered = self.rare.get_mut().and_then(|rare| rare.syn_data.take());
        let Some(SynData {
            len: offered,
            bytes,
        }) = offered
        else {
            return;
        };
        let len = len.min(offered);
        self.origin.skip(len);
        let accepted = usize::try_from(len).unwrap_or(usize::MAX);
        if let (true, Some(bytes)) = (accepted > 0, bytes.get(..accepted)) {
            data.push_syn_data(bytes);
        }
    }

    /// Nothing will come any more: judges what is still open.
    pub(crate) fn finish(&mut self, data: &mut DataDirection, subflow: u32) {
        self.settle(data, subflow);
        if let Some(open) = self.open.get_mut() {
            open.finish(data);
        }
    }

    /// From the end of the last mapping on (or from the first byte, if there was none), plain bytes
    /// continue the stream. They are still counted as unmapped.
    ///
    /// For the one subflow that is left after a fallback without an infinite mapping.
    pub(crate) fn set_implicit_mapping(&mut self, data: &mut DataDirection, subflow: u32) {
        self.settle(data, subflow);
        let start = self.origin.place_of_ssn(1, 1);
        let (place, at) = self.maps.end().unwrap_or((start, data.scale().place(1)));
        let implicit = Implicit { place, data: at };
        let rare = self.rare.made();
        rare.implicit = Some(implicit);
        if let Some(waiting) = &mut rare.waiting {
            for segment in waiting.drain() {
                implicit.push(data, &segment.places, &segment.bytes);
            }
        }
    }

    /// Unwrapped subflow sequence number of a byte; none before the first byte after the SYN.
    /// Provisional while neither SYN nor enough mappings were seen.
    pub(crate) fn ssn_of(&self, seq: TcpSeq) -> Option<u64> {
        let ssn = self.origin.ssn(self.origin.peek(seq)?);
        u64::try_from(ssn).ok().filter(|ssn| *ssn > 0)
    }

    /// Place of a byte: it keeps its meaning when the number of the first byte is found out late.
    pub(crate) fn place_of(&self, seq: TcpSeq) -> Option<i64> {
        self.origin.peek(seq)
    }

    /// The sequence number of its latest payload, and that of SSN 0; none while the latter may change.
    pub(crate) fn settled_numbers(&self) -> Option<(TcpSeq, TcpSeq)> {
        let is_simple = self.rare.held.is_empty() && self.rare.syn_data.is_none();
        self.origin.settled_numbers().filter(|_| is_simple)
    }

    /// Whether no mapping covers the byte at `place`.
    pub(crate) fn is_unmapped(&mut self, place: i64) -> bool {
        let mut unmapped = false;
        let byte = place..place.saturating_add(1);
        self.maps
            .look_up(byte, |_, data| unmapped |= data.is_none());
        unmapped
    }

    /// Whether a mapping was entered, or waits.
    pub(crate) fn has_mapping(&self) -> bool {
        self.last_mapping_frame.is_some()
    }

    /// The counts of bytes.
    pub(crate) fn totals(&self) -> &ByteCounts {
        &self.totals
    }

    /// Distinct payload bytes without a mapping so far.
    #[cfg(test)]
    pub(crate) fn unmapped(&self) -> u64 {
        self.totals.odd.unmapped_bytes
    }

    /// Adapts to the merge of the data direction, for a subflow of the half that was taken over.
    pub(crate) fn follow_merge(&mut self, merged: &Merged) {
        if merged.distance != 0 {
            self.maps.shift_data(merged.distance);
            if let Some(open) = self.open.get_mut() {
                open.shift_data(merged.distance);
            }
            if let Some(rare) = self.rare.get_mut() {
                rare.shift_data(merged.distance);
            }
        }
    }

    /// Bytes that were taken for the first ones turned out to be repetitions.
    pub(crate) fn lose(&mut self, lost: &Lost) {
        let totals = &mut self.totals;
        totals.unique_bytes = totals.unique_bytes.saturating_sub(lost.bytes);
        let odd = totals.odd.made();
        let count = match lost.class {
            ByteClass::Reinjection { .. } => &mut odd.reinjected_bytes,
            ByteClass::Unmapped => &mut odd.unmapped_bytes,
            _ => &mut odd.data_retransmitted_bytes,
        };
        *count = count.saturating_add(lost.bytes);
    }

    /// Limits that were reached.
    pub(crate) fn limits(&self) -> Vec<LimitHit> {
        let runs = IntervalMap::<()>::MAX_RUNS as u64;
        limit_hits([
            (
                "runs of subflow sequence numbers",
                runs,
                self.seen
                    .forgotten_runs()
                    .saturating_add(self.seen.refused()),
            ),
            ("runs of mappings", runs, self.maps.dropped()),
            (
                "segments that wait for a mapping",
                MAX_WAITING_SEGMENTS as u64,
                self.rare.waiting.as_deref().map_or(0, Waiting::dropped),
            ),
        ])
    }
}
