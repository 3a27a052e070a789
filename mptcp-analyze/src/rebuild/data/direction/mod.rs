//! One direction of one connection at data level.

mod counters;
mod first_frames;
mod merge;
mod packing;

use std::collections::VecDeque;
use std::ops::Range;

use mptcp_proto::data::{Held, PLACE_LIMIT, SenderMap, Stretch};
use mptcp_proto::seq::Dsn;
use mptcp_proto::wire::mptcp::{DataAck, WireDsn};

use super::assembler::{Assembler, MAX_OUT_OF_ORDER_BYTES, StreamChunk};
use super::scale::Scale;
use super::waiting::part_of;
use super::{Assemble, DataOptions, Sent};
use crate::model::{ByteClass, CheckResult, CheckTally, DirectionTotals, LimitHit, Timestamp};

use crate::rebuild::rare::{Absent, FrameMark, Rare};

use counters::Counters;
use first_frames::FirstFrames;
pub(crate) use merge::{Lost, Merged};

/// Pieces of data whose frame is remembered exactly, to name the first copy of a reinjection.
///
/// Subflows are rarely further apart than what is in flight; for older data the first frame of the
/// subflow is named instead.
const MAX_RECENT_PIECES: usize = 2048;

/// Bytes of discarded copies that are kept for the stream: what a subflow has in flight when it is
/// reset, for a few subflows.
const MAX_SPARE_BYTES: usize = 4 << 20;

/// One direction of one connection at data level: who sent which byte first, what was
/// acknowledged, and the stream itself.
#[derive(Debug, Clone)]
pub(crate) struct DataDirection {
    options: DataOptions,
    scale: Scale,
    senders: SenderMap,
    /// Highest data place known from a mapping or a DATA_FIN: 4-byte numbers are expanded near it.
    highest: i64,
    /// Highest place below which all is acknowledged; [`NEVER`] before the first DATA_ACK.
    acked: i64,
    /// Place of the first DATA_FIN, and its frame.
    data_fin: (i64, FrameMark),
    /// Whether the bytes at hand reach a receiver that has reset the subflow.
    discarding: bool,
    /// Whether such bytes were seen, so that later copies are of interest.
    has_discarded: bool,
    totals: Counters,
    first_frame: FrameMark,
    first_frames: FirstFrames,
    last_sender: Option<u32>,
    assembler: Option<Box<Assembler>>,
    rare: Rare<RareData>,
}

/// What few directions have.
#[derive(Debug, Clone, Default)]
struct RareData {
    /// Mappings with a wrong checksum: frame, and place of the first byte.
    bad_mappings: Vec<(u64, i64)>,
    /// What a subflow sent under a wrong checksum: not for the stream, another copy will come.
    rejected: Vec<(u32, Range<i64>)>,
    /// Copies that their receiver discards: for the stream only where no other copy comes.
    spare: Vec<(i64, Vec<u8>)>,
    spare_bytes: usize,
    recent: VecDeque<(Range<i64>, u64)>,
    reinjected_bytes: u64,
    data_retransmitted_bytes: u64,
    spurious_bytes: u64,
    checksums: CheckTally,
    out_of_range: u64,
}

impl Absent for RareData {
    const ABSENT: &'static Self = &RareData {
        bad_mappings: Vec::new(),
        rejected: Vec::new(),
        spare: Vec::new(),
        spare_bytes: 0,
        recent: VecDeque::new(),
        reinjected_bytes: 0,
        data_retransmitted_bytes: 0,
        spurious_bytes: 0,
        checksums: CheckTally {
            ok: 0,
            bad: 0,
            unverifiable: 0,
        },
        out_of_range: 0,
    };
}

/// Nothing is acknowledged.
const NEVER: i64 = i64::MIN;

impl Default for DataDirection {
    fn default() -> Self {
        Self::new(DataOptions::default())
    }
}

impl DataDirection {
    /// A direction of which nothing is known.
    pub(crate) fn new(options: DataOptions) -> Self {
        Self {
            options,
            assembler: match options.assemble {
                Assemble::No => None,
                Assemble::Hash => Some(Box::new(Assembler::new(false))),
                Assemble::Keep => Some(Box::new(Assembler::new(true))),
            },
            scale: Scale::default(),
            senders: SenderMap::new(),
            highest: 0,
            acked: NEVER,
            data_fin: (0, FrameMark::MISSING),
            discarding: false,
            has_discarded: false,
            totals: Counters::default(),
            first_frame: FrameMark::MISSING,
            first_frames: FirstFrames::default(),
            last_sender: None,
            rare: Rare::default(),
        }
    }

    /// The key of the sender is known, so relative numbers count from its IDSN from now on.
    /// Relative numbers that were handed out before lose their meaning if the base moves.
    pub(crate) fn set_idsn(&mut self, idsn: Dsn) {
        self.scale.set_idsn(idsn);
        let first = self.scale.place(1);
        if let Some(assembler) = &mut self.assembler {
            assembler.begin_at(first);
        }
        self.highest = self.highest.max(self.scale.place(0));
    }

    /// The data turned out not to count from the IDSN. Only before the first DSN: it becomes 1, or
    /// follows the data on `MP_CAPABLE`, whose place is known without one (RFC 8684 §3.1).
    pub(crate) fn forget_idsn(&mut self, first: Dsn) {
        self.scale = Scale::with(first, self.highest.max(1));
        self.acked = NEVER;
    }

    /// DSN that relative numbers count from: the IDSN, or one before the first DSN seen.
    #[cfg(test)]
    pub(crate) fn base(&self) -> Option<Dsn> {
        self.scale.base()
    }

    /// Whether the base is the IDSN.
    pub(crate) fn base_is_idsn(&self) -> bool {
        self.scale.is_idsn()
    }

    /// Highest DSN known; its upper half may be a guess.
    pub(crate) fn near(&self) -> Option<Dsn> {
        self.scale.dsn(self.highest)
    }

    /// Whether the stores have room for places far around the highest one.
    pub(crate) fn has_room_around(&self) -> bool {
        self.highest.unsigned_abs() <= PLACE_LIMIT.unsigned_abs() / 2
    }

    /// Highest DATA_ACK for the data of this direction, as a DSN.
    #[cfg(test)]
    pub(crate) fn acked(&self) -> Option<Dsn> {
        (self.acked != NEVER)
            .then_some(self.acked)
            .and_then(|place| self.scale.dsn(place))
    }

    /// Relative number of a DSN on the wire. The first one becomes 1 if there is no base.
    pub(crate) fn relative(&mut self, dsn: WireDsn) -> i64 {
        let place = self.place_of(dsn);
        self.scale.relative(place)
    }

    /// Data place of a DSN on the wire.
    #[inline]
    pub(super) fn place_of(&mut self, dsn: WireDsn) -> i64 {
        let near = self.highest;
        match dsn {
            WireDsn::Short(low) => self.scale.place_of_short(low, near),
            WireDsn::Long(full) => self.scale.place_of_long(Dsn(full), near),
        }
    }

    /// Relative number of a DATA_ACK for the data of this direction, which the peer sent.
    #[inline]
    pub(crate) fn on_data_ack(&mut self, ack: DataAck) -> i64 {
        let near = self.highest.max(self.acked);
        let place = match ack {
            DataAck::Short(low) => self.scale.place_of_short(low, near),
            DataAck::Long(full) => self.scale.place_of_long(Dsn(full), near),
        };
        self.acked = self.acked.max(place);
        self.scale.relative(place)
    }

    /// A DATA_FIN with this relative DSN.
    pub(crate) fn on_data_fin(&mut self, relative: i64, frame: u64) {
        let place = self.scale.place(relative);
        self.highest = self.highest.max(place.saturating_add(1));
        if self.data_fin.1.is_none() {
            self.data_fin = (place, Some(frame).into());
        }
    }

    /// Frame of the first DATA_FIN.
    pub(crate) fn data_fin_frame(&self) -> Option<u64> {
        self.data_fin.1.get()
    }

    /// Relative DSN of the first DATA_FIN.
    pub(crate) fn data_fin(&self) -> Option<i64> {
        self.data_fin_place()
            .map(|place| self.scale.relative(place))
    }

    fn data_fin_place(&self) -> Option<i64> {
        self.data_fin.1.is_some().then_some(self.data_fin.0)
    }

    /// Whether the peer has acknowledged the DATA_FIN.
    pub(crate) fn data_fin_is_acked(&self) -> bool {
        self.data_fin_place()
            .is_some_and(|place| self.acked_place() > place)
    }

    /// The stream in order, as far as it goes without a hole, since the last call.
    pub(crate) fn take_stream(&mut self) -> Vec<StreamChunk> {
        let scale = self.scale;
        let mut chunks = self
            .assembler
            .as_deref_mut()
            .map(Assembler::take)
            .unwrap_or_default();
        for chunk in &mut chunks {
            chunk.dsn = scale.relative(chunk.dsn);
        }
        chunks
    }

    /// Nothing more will come: the stream goes on behind its holes. Finish the subflows first.
    pub(crate) fn finish(&mut self) {
        if let Some(assembler) = &mut self.assembler {
            if let Some(rare) = self.rare.get_mut() {
                for (place, bytes) in rare.spare.drain(..) {
                    assembler.push(place, &bytes);
                }
            }
            assembler.finish();
        }
    }

    /// The first holes of the stream that were skipped, in relative DSNs.
    #[cfg(test)]
    pub(crate) fn stream_holes(&self) -> Vec<Range<i64>> {
        let holes = self.assembler.as_deref().map_or(&[][..], Assembler::holes);
        holes
            .iter()
            .map(|hole| self.scale.relative(hole.start)..self.scale.relative(hole.end))
            .collect()
    }

    /// Bytes that are missing between the first and the last byte seen, as ranges of relative DSNs.
    pub(crate) fn missing(&self) -> Vec<Range<i64>> {
        let scale = self.scale;
        let mut holes = self.senders.holes();
        for hole in &mut holes {
            *hole = scale.relative(hole.start)..scale.relative(hole.end);
        }
        holes
    }

    /// All counts of the direction. Finish the subflows first, so that all checksums are judged.
    pub(crate) fn totals(&self) -> DirectionTotals {
        let scale = self.scale;
        let relative = |place: i64| scale.relative(place);
        let rare = &*self.rare;
        let holes = self.missing().into_iter().take(DirectionTotals::MAX_HOLES);
        DirectionTotals {
            bad_checksum_frames: rare.bad_mappings.iter().map(|bad| bad.0).collect(),
            bad_checksum_dsns: rare
                .bad_mappings
                .iter()
                .map(|bad| relative(bad.1))
                .collect(),
            holes: holes.map(|hole| (hole.start, hole.end)).collect(),
            unique_bytes: self.senders.unique_bytes(),
            data_fin: self.data_fin.1.is_some(),
            data_fin_at: self.data_fin(),
            range: self
                .senders
                .span()
                .map(|span| (relative(span.start), relative(span.end))),
            base: scale.base(),
            base_is_idsn: scale.is_idsn(),
            data_acked: (self.acked != NEVER).then(|| relative(self.acked)),
            missing_bytes: self.senders.missing_bytes(),
            wire_bytes: self.totals.wire_bytes,
            reinjected_bytes: rare.reinjected_bytes,
            data_retransmitted_bytes: rare.data_retransmitted_bytes,
            spurious_bytes: rare.spurious_bytes,
            mappings: u64::from(self.totals.mappings),
            mapping_options: u64::from(self.totals.mapping_options),
            checksums: rare.checksums,
            data_times: self.totals.data_times(),
            stream_sha256: self.assembler.as_deref().and_then(Assembler::sha256),
        }
    }

    /// Limits that were reached.
    pub(crate) fn limits(&self) -> Vec<LimitHit> {
        let gave_up = self.assembler.as_deref().map_or(0, Assembler::gave_up);
        let hits = [
            (
                "runs of data sequence numbers",
                mptcp_proto::data::IntervalMap::<u32>::MAX_RUNS as u64,
                self.senders.dropped(),
            ),
            (
                "bytes of a data stream behind a hole",
                MAX_OUT_OF_ORDER_BYTES as u64,
                gave_up,
            ),
            (
                "distance of data sequence numbers",
                PLACE_LIMIT.cast_unsigned(),
                self.rare.out_of_range,
            ),
        ];
        limit_hits(hits)
    }

    pub(super) fn options(&self) -> DataOptions {
        self.options
    }

    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    pub(super) fn full_dsn(&self, place: i64) -> Option<Dsn> {
        self.scale.full_dsn(place)
    }

    /// Data place below which everything is acknowledged.
    pub(super) fn acked_place(&self) -> i64 {
        self.acked
    }

    pub(super) fn count_mapping_option(&mut self) {
        self.totals.mapping_options = self.totals.mapping_options.saturating_add(1);
    }

    pub(super) fn count_mapping(&mut self, end: i64) {
        self.totals.mappings = self.totals.mappings.saturating_add(1);
        self.highest = self.highest.max(end);
    }

    pub(super) fn count_out_of_range(&mut self) {
        let count = &mut self.rare.made().out_of_range;
        *count = count.saturating_add(1);
    }

    pub(super) fn count_wire_bytes(&mut self, len: u32) {
        self.totals.wire_bytes = self.totals.wire_bytes.saturating_add(u64::from(len));
    }

    pub(super) fn count_spurious(&mut self, len: u64) {
        if len > 0 {
            let count = &mut self.rare.made().spurious_bytes;
            *count = count.saturating_add(len);
        }
    }

    /// The checksum of the mapping from `place` on, which `frame` carried first.
    pub(super) fn on_checksum(&mut self, frame: u64, place: i64, result: CheckResult) {
        let rare = self.rare.made();
        let tally = &mut rare.checksums;
        let count = match result {
            CheckResult::Ok => &mut tally.ok,
            CheckResult::Bad => &mut tally.bad,
            CheckResult::Unverifiable(_) => &mut tally.unverifiable,
        };
        *count = count.saturating_add(1);
        if result == CheckResult::Bad && rare.bad_mappings.len() < DirectionTotals::MAX_BAD_MAPPINGS
        {
            rare.bad_mappings.push((frame, place));
        }
    }

    /// Adds bytes to the stream.
    pub(super) fn push_stream(&mut self, place: i64, bytes: &[u8]) {
        if let Some(assembler) = &mut self.assembler {
            assembler.push(place, bytes);
        }
    }

    /// Adds what a SYN carried: the bytes before relative DSN 1 (RFC 8684 appendix B).
    pub(super) fn push_syn_data(&mut self, bytes: &[u8]) {
        let len = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let place = self.scale.place(1).saturating_sub(len);
        if let Some(assembler) = &mut self.assembler {
            assembler.begin_at(place);
            assembler.push(place, bytes);
        }
    }

    /// Notes that `subflow` sends the first copy (on this subflow) of `places`, whose captured part
    /// is `bytes`, and tells `each` the class of every part of it.
    pub(super) fn claim(
        &mut self,
        places: Range<i64>,
        subflow: u32,
        sent: Sent,
        bytes: &[u8],
        mut each: impl FnMut(&Range<i64>, ByteClass),
    ) {
        self.note_times(sent.at);
        if let Some(held) = self.senders.claim_whole(&places, subflow) {
            let class = self.classify(&places, held, subflow, sent, bytes);
            each(&places, class);
            return;
        }
        let mut stretches: Vec<Stretch<u32>> = Vec::new();
        self.senders.claim(places.clone(), subflow, &mut stretches);
        for stretch in &stretches {
            let part = part_of(bytes, places.start, &stretch.range);
            let class = self.classify(&stretch.range, stretch.held, subflow, sent, part);
            each(&stretch.range, class);
        }
    }

    /// Does what [`Self::claim`] does if nobody sent `places`, as long as the stream is not put
    /// together; otherwise nothing is done.
    #[inline]
    pub(super) fn claim_free(&mut self, places: &Range<i64>, subflow: u32, sent: Sent) -> bool {
        let is_next = self.assembler.is_none()
            && (self.senders.extend(places, subflow) || self.senders.claim_free(places, subflow));
        if is_next {
            self.note_times(sent.at);
            self.note_first(places, subflow, sent.frame);
        }
        is_next
    }

    /// Takes bytes that all have one answer to the question who sent them first.
    #[inline]
    fn classify(
        &mut self,
        places: &Range<i64>,
        held: Held<u32>,
        subflow: u32,
        sent: Sent,
        bytes: &[u8],
    ) -> ByteClass {
        let class = match held {
            Held::Free => {
                self.note_first(places, subflow, sent.frame);
                ByteClass::New
            }
            Held::By(sender) if sender != subflow => ByteClass::Reinjection {
                of_frame: self.frame_of(places.start, sender),
            },
            Held::By(_) | Held::Unknown => ByteClass::DataRetransmission,
        };
        // Only after a rejected copy is a later one of interest.
        if self.assembler.is_some()
            && (class == ByteClass::New || self.has_discarded || !self.rare.rejected.is_empty())
        {
            self.push_accepted(subflow, places, bytes);
        }
        if class != ByteClass::New {
            let len = places.end.saturating_sub(places.start);
            self.count_repeated(class, u64::try_from(len).unwrap_or(0));
        }
        class
    }

    /// Adds bytes to the stream, unless they came under a wrong checksum.
    fn push_accepted(&mut self, subflow: u32, places: &Range<i64>, bytes: &[u8]) {
        let is_rejected = self.rare.rejected.iter().any(|(rejected, range)| {
            *rejected == subflow && range.start < places.end && places.start < range.end
        });
        if !is_rejected && !self.discarding {
            self.push_stream(places.start, bytes);
        } else if self.assembler.is_some()
            && self.rare.spare_bytes.saturating_add(bytes.len()) <= MAX_SPARE_BYTES
        {
            let rare = self.rare.made();
            rare.spare_bytes = rare.spare_bytes.saturating_add(bytes.len());
            rare.spare.push((places.start, bytes.to_vec()));
        }
    }

    /// Whether what comes now is sent to a receiver that has reset the subflow, and is lost.
    pub(crate) fn set_discarding(&mut self, discarding: bool) {
        self.discarding = discarding;
        self.has_discarded |= discarding;
    }

    /// What `subflow` sends from relative DSN `dsn` on, `len` bytes, has a wrong checksum: its
    /// receiver discards it (RFC 8684 §3.7), and the stream takes another copy if one comes.
    pub(crate) fn reject(&mut self, subflow: u32, dsn: i64, len: u16) {
        let start = self.scale.place(dsn);
        let rejected = (subflow, start..start.saturating_add(i64::from(len)));
        if self.rare.rejected.len() < DirectionTotals::MAX_BAD_MAPPINGS
            && !self.rare.rejected.contains(&rejected)
        {
            self.rare.made().rejected.push(rejected);
        }
    }

    fn count_repeated(&mut self, class: ByteClass, len: u64) {
        let count = match class {
            ByteClass::DataRetransmission => &mut self.rare.made().data_retransmitted_bytes,
            ByteClass::Reinjection { .. } => &mut self.rare.made().reinjected_bytes,
            ByteClass::New | ByteClass::TcpRetransmission | ByteClass::Unmapped => return,
        };
        *count = count.saturating_add(len);
    }

    fn note_times(&mut self, at: Timestamp) {
        let (first, last) = self.totals.data_times().unwrap_or((at, at));
        self.totals.first_at = Some(first.min(at)).into();
        self.totals.last_at = Some(last.max(at)).into();
    }

    #[inline]
    fn note_first(&mut self, places: &Range<i64>, subflow: u32, frame: u64) {
        self.highest = self.highest.max(places.end);
        self.first_frame.set_first(frame);
        if self.last_sender != Some(subflow) {
            self.note_sender(subflow, frame);
        }
        if self.options.name_frames {
            self.note_recent(places, frame);
        }
    }

    #[inline(never)]
    fn note_sender(&mut self, subflow: u32, frame: u64) {
        self.first_frames.note(subflow, frame);
        self.last_sender = Some(subflow);
    }

    fn note_recent(&mut self, places: &Range<i64>, frame: u64) {
        let recent = &mut self.rare.made().recent;
        if recent.len() >= MAX_RECENT_PIECES {
            recent.pop_front();
        }
        recent.push_back((places.clone(), frame));
    }

    /// Frame in (or after) which `sender` sent the byte at `place` first.
    fn frame_of(&self, place: i64, sender: u32) -> u64 {
        let recent = self.rare.recent.iter().rev();
        let exact = recent
            .clone()
            .find(|(places, _)| places.contains(&place))
            .map(|(_, frame)| *frame);
        exact
            .or_else(|| self.first_frames.get(sender))
            .or(self.first_frame.get())
            .unwrap_or(0)
    }
}

/// Those limits for which something was dropped.
pub(super) fn limit_hits<const N: usize>(hits: [(&'static str, u64, u64); N]) -> Vec<LimitHit> {
    hits.into_iter()
        .filter(|(_, _, dropped)| *dropped > 0)
        .map(|(limit, value, dropped)| LimitHit {
            limit,
            value,
            dropped,
        })
        .collect()
}
