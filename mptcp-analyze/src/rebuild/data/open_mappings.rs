//! The mappings seen lately, to tell repetitions from new ones, and their checksums.

use std::collections::VecDeque;
use std::ops::Range;

use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::wire::checksum::{PartialSum, dss_checksum_holds};

use super::direction::DataDirection;
use super::known::{Known, KnownList};
use super::waiting::{overlap, part_of};
use crate::model::CheckResult;
use crate::rebuild::pack::{Pack, Packer, Unpacker};
use crate::rebuild::rare::{Absent, Rare};

/// Distinct mappings that are kept apart for each direction of a subflow.
///
/// Linux makes mappings of up to 64 KiB and older stacks one per segment, so this is a window of
/// 350 KB at least. Older mappings live on as runs: a late repetition is still known as one, only
/// their checksums can no longer be completed.
pub(super) const MAX_OPEN_MAPPINGS: usize = 256;

/// Mappings that stay apart once their connection is at rest: the latest, which may be repeated.
const MAX_AT_REST: usize = 2;

/// A mapping's longest payload.
const MAX_PAYLOAD: i64 = 65_535;

/// Place of mappings that cover no byte of the subflow.
pub(super) const NOWHERE: i64 = i64::MIN;

/// What makes a mapping distinct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MappingKey {
    /// Subflow place of its first byte.
    pub(super) place: i64,
    /// Data place of its first byte.
    pub(super) data: i64,
    /// Its length field.
    pub(super) len: u16,
}

impl MappingKey {
    /// No mapping: no data place is as high.
    const NONE: Self = Self {
        place: NOWHERE,
        data: i64::MAX,
        len: 0,
    };

    /// A DATA_FIN without data (RFC 8684 §3.3.3: subflow sequence number 0, length 1).
    pub(super) fn bare_data_fin(data: i64) -> Self {
        Self {
            place: NOWHERE,
            data,
            len: 1,
        }
    }
}

/// A mapping with a checksum, and the sum of its payload so far.
#[derive(Debug, Clone)]
pub(super) struct OpenMapping {
    /// Frame that carried it first.
    pub(super) frame: u64,
    /// Its subflow sequence number field.
    pub(super) ssn: u32,
    /// Its checksum field, until judged.
    pub(super) checksum: Option<u16>,
    /// How many bytes of payload it covers.
    pub(super) payload_len: u32,
    covered: u32,
    sum: PartialSum,
}

impl OpenMapping {
    pub(super) fn new(frame: u64, ssn: u32, checksum: Option<u16>, payload_len: u32) -> Self {
        Self {
            frame,
            ssn,
            checksum,
            payload_len,
            covered: 0,
            sum: PartialSum::default(),
        }
    }

    /// Whether its checksum holds; none while bytes or the DSN's upper half are missing.
    fn verdict(&self, checksum: u16, dsn: Option<Dsn>, len: u16) -> Option<CheckResult> {
        if self.covered < self.payload_len {
            return None;
        }
        let holds = dss_checksum_holds(dsn?, Ssn(self.ssn), len, self.sum, checksum);
        Some(if holds {
            CheckResult::Ok
        } else {
            CheckResult::Bad
        })
    }
}

/// The open mappings of one direction of one subflow.
#[derive(Debug, Clone)]
pub(super) struct OpenMappings {
    /// The mappings in the order of their keys; most are added at the end.
    known: KnownList,
    /// Those of them whose checksum is of interest.
    sums: Rare<Sums>,
    /// The one that was added or asked for last, or [`MappingKey::NONE`].
    last: MappingKey,
    /// Mappings that ended below this place may have been closed.
    old_below: i64,
}

#[derive(Debug, Clone, Default)]
struct Sums {
    /// In the order of their keys; most are added at the end and removed at the begin.
    list: VecDeque<(MappingKey, OpenMapping)>,
    /// How many are not judged yet.
    unjudged: u32,
}

impl Absent for Sums {
    const ABSENT: &'static Self = &Sums {
        list: VecDeque::new(),
        unjudged: 0,
    };
}

impl Default for OpenMappings {
    fn default() -> Self {
        Self::ABSENT.clone()
    }
}

impl Absent for OpenMappings {
    const ABSENT: &'static Self = &OpenMappings {
        known: KnownList::None,
        sums: Rare::ABSENT,
        last: MappingKey::NONE,
        old_below: NOWHERE,
    };
}

impl Pack for OpenMappings {
    /// Without the sums, all of which are judged. The lower mappings of a connection that is over live on
    /// as runs.
    fn pack(&self, to: &mut Packer<'_>) {
        let OpenMappings {
            known,
            sums,
            last: _,
            old_below,
        } = self;
        to.require(sums.unjudged == 0);
        // A mapping that is sent again with DATA_FIN needs the sum of its payload.
        to.require(sums.list.is_empty() || !to.is_open());
        // Those without place come first.
        let is_bare = |known: &&Known| known.place == NOWHERE;
        let bare = known.iter().take_while(is_bare).count();
        to.require(bare <= MAX_AT_REST);
        let most = if to.is_open() {
            MAX_OPEN_MAPPINGS
        } else {
            MAX_AT_REST
        };
        let kept = (known.len() - bare).min(most);
        let open_from = known.len() - kept;
        let closed = known.iter().take(open_from).skip(bare);
        let below = closed.map(Known::end).fold(*old_below, i64::max);
        (below != NOWHERE).pack(to);
        if below != NOWHERE {
            to.place(below);
        }
        let mut before = Known::before(below);
        (bare, kept).pack(to);
        for known in known.iter().take(bare.min(MAX_AT_REST)) {
            known.data.pack(to);
            (known.len, known.payload_len).pack(to);
        }
        for known in known.iter().skip(open_from) {
            known.pack_behind(&before, to);
            before = *known;
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let old_below = if bool::unpack(from) {
            from.place()
        } else {
            NOWHERE
        };
        let (bare, kept) = <(usize, usize)>::unpack(from);
        let mut before = Known::before(old_below);
        let mut known = KnownList::None;
        for _ in 0..bare.min(MAX_AT_REST) {
            let bare = Known {
                place: NOWHERE,
                data: Pack::unpack(from),
                len: Pack::unpack(from),
                payload_len: Pack::unpack(from),
            };
            if !from.is_for_report() {
                known.insert(bare);
            }
        }
        for _ in 0..kept.min(MAX_OPEN_MAPPINGS) {
            before = Known::unpack_behind(&before, from);
            if !from.is_for_report() {
                known.insert(before);
            }
        }
        OpenMappings {
            known,
            sums: Rare::default(),
            last: MappingKey::NONE,
            old_below,
        }
    }
}

impl OpenMappings {
    /// Whether this very mapping is open.
    #[inline]
    pub(super) fn contains(&mut self, key: &MappingKey) -> bool {
        self.last == *key || self.finds(key)
    }

    /// Whether this is the mapping that was added or asked for last, and open.
    #[inline]
    pub(super) fn is_latest(&self, key: &MappingKey) -> bool {
        self.last == *key
    }

    /// Whether all mappings that are open come before this one.
    #[inline]
    pub(super) fn is_highest(&self, key: &MappingKey) -> bool {
        self.known.back().is_none_or(|highest| highest.key() < *key)
    }

    /// Another length of payload than this that an open mapping of the same first byte has. A DATA_FIN
    /// adds one to the length of a mapping, and nothing to its payload.
    pub(super) fn other_length(&self, key: &MappingKey, payload_len: u16) -> Option<u16> {
        let mut twins = self.known.at(key.place, key.data);
        let other = twins.find(|known| known.payload_len != payload_len)?;
        (key.len > 0 && other.len > 0).then_some(other.payload_len)
    }

    /// Whether this mapping, which is open, was declared with another checksum than this.
    pub(super) fn contradicts_checksum(&self, key: &MappingKey, checksum: u16) -> bool {
        let sums = &self.sums.list;
        let found = match sums.back() {
            Some((latest, open)) if latest == key => Some(open),
            _ => {
                let found = sums.binary_search_by(|(other, _)| other.cmp(key));
                found.ok().and_then(|at| sums.get(at)).map(|(_, open)| open)
            }
        };
        found
            .and_then(|open| open.checksum)
            .is_some_and(|before| before != checksum)
    }

    fn finds(&mut self, key: &MappingKey) -> bool {
        if self.is_highest(key) {
            return false;
        }
        let is_known = self.known.holds(key);
        if is_known {
            self.last = *key;
        }
        is_known
    }

    /// Whether a mapping that ends at `end` may have been open before and closed since.
    pub(super) fn may_be_closed(&self, end: i64) -> bool {
        end <= self.old_below
    }

    /// Adds a distinct mapping; judges it at once if it needs no payload.
    pub(super) fn add(&mut self, key: MappingKey, open: OpenMapping, data: &mut DataDirection) {
        let payload_len = u16::try_from(open.payload_len).unwrap_or(u16::MAX);
        self.known.insert(Known::new(key, payload_len));
        if open.checksum.is_some() {
            self.add_sum(key, open, data);
        }
        self.last = key;
        while self.known.len() > MAX_OPEN_MAPPINGS {
            self.close_lowest(data);
        }
    }

    fn add_sum(&mut self, key: MappingKey, mut open: OpenMapping, data: &mut DataDirection) {
        let Sums { list, unjudged } = self.sums.made();
        reserve_few(list);
        *unjudged = unjudged.saturating_add(1);
        let is_last = list
            .back()
            .is_none_or(|(highest, _)| highest.place < key.place);
        let at = if is_last {
            list.len()
        } else {
            // A mapping that is sent again with a DATA_FIN has the same payload and a new checksum.
            let place = list.partition_point(|(other, _)| other.place < key.place);
            let twins = list.range(place..);
            if let Some((_, twin)) = twins
                .take_while(|(other, _)| other.place == key.place)
                .find(|(_, twin)| twin.payload_len == open.payload_len && key.place != NOWHERE)
            {
                open.covered = twin.covered;
                open.sum = twin.sum;
            }
            list.partition_point(|(other, _)| *other < key)
        };
        judge(&key, &mut open, unjudged, data);
        list.insert(at, (key, open));
    }

    /// Adds the first copy of payload to the sums of the mappings that cover it. `known` is its sum, if
    /// that is known already and all of the payload is there.
    #[inline]
    pub(super) fn feed(
        &mut self,
        places: &Range<i64>,
        bytes: &[u8],
        known: Option<PartialSum>,
        data: &mut DataDirection,
    ) {
        if self.sums.unjudged > 0 && !bytes.is_empty() {
            self.feed_sums(places, bytes, known, data);
        }
    }

    fn feed_sums(
        &mut self,
        places: &Range<i64>,
        bytes: &[u8],
        known: Option<PartialSum>,
        data: &mut DataDirection,
    ) {
        let Some(Sums { list, unjudged }) = self.sums.get_mut() else {
            return;
        };
        let lowest = places.start.saturating_sub(MAX_PAYLOAD);
        let begins = match list.back() {
            // In order, the latest mapping is the only one that waits for payload.
            Some((_, open)) if *unjudged == 1 && open.checksum.is_some() => list.len() - 1,
            _ => list.partition_point(|(key, _)| key.place < lowest),
        };
        for (key, open) in list.range_mut(begins..) {
            if key.place >= places.end {
                break;
            }
            if open.checksum.is_none() || key.place < lowest {
                continue;
            }
            let covers = key.place..key.place.saturating_add(i64::from(open.payload_len));
            let part = overlap(places, &covers);
            let bytes = part_of(bytes, places.start, &part);
            let offset = u32::try_from(part.start.saturating_sub(key.place)).unwrap_or(0);
            let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let sum = match known {
                Some(whole) if part == *places => whole,
                _ => PartialSum::of(bytes),
            };
            open.sum = open.sum.plus(sum.moved(offset));
            open.covered = open.covered.saturating_add(len);
            judge(key, open, unjudged, data);
        }
    }

    /// Closes all: what cannot be judged now never will be.
    pub(super) fn finish(&mut self, data: &mut DataDirection) {
        while self.known.back().is_some() {
            self.close_lowest(data);
        }
    }

    /// Moves all data places by `distance`.
    pub(super) fn shift_data(&mut self, distance: i64) {
        self.last = MappingKey::NONE;
        let moved = |key: MappingKey| MappingKey {
            data: key.data.saturating_add(distance),
            ..key
        };
        for known in self.known.iter_mut() {
            *known = Known::new(moved(known.key()), known.payload_len);
        }
        if let Some(sums) = self.sums.get_mut() {
            for (key, _) in &mut sums.list {
                *key = moved(*key);
            }
        }
    }

    fn close_lowest(&mut self, data: &mut DataDirection) {
        let Some(known) = self.known.pop_front() else {
            return;
        };
        let (key, payload_len) = (known.key(), known.payload_len);
        if self.last == key {
            self.last = MappingKey::NONE;
        }
        if !self.sums.list.is_empty() {
            self.close_sum(&key, data);
        }
        if key.place != NOWHERE {
            let end = key.place.saturating_add(i64::from(payload_len));
            self.old_below = self.old_below.max(end);
        }
    }

    fn close_sum(&mut self, key: &MappingKey, data: &mut DataDirection) {
        // Sums are closed in the order of the mappings, so this one is the first.
        let Some(Sums { list, unjudged }) = self.sums.get_mut() else {
            return;
        };
        if list.front().is_none_or(|(lowest, _)| lowest > key) {
            return;
        }
        let Some((_, mut open)) = list.pop_front() else {
            return;
        };
        judge(key, &mut open, unjudged, data);
        if open.checksum.is_some() {
            *unjudged = unjudged.saturating_sub(1);
            let why = if open.covered < open.payload_len {
                "not all of its payload is in the capture"
            } else {
                "the upper half of its DSN is unknown"
            };
            data.on_checksum(open.frame, key.data, CheckResult::Unverifiable(why));
        }
    }
}

/// Reports the checksum if it can be told by now, once.
fn judge(key: &MappingKey, open: &mut OpenMapping, unjudged: &mut u32, data: &mut DataDirection) {
    let Some(checksum) = open.checksum else {
        return;
    };
    if let Some(result) = open.verdict(checksum, data.full_dsn(key.data), key.len) {
        open.checksum = None;
        *unjudged = unjudged.saturating_sub(1);
        data.on_checksum(open.frame, key.data, result);
    }
}

/// Makes room for another; most directions of an ordinary connection have few.
pub(super) fn reserve_few<T>(list: &mut VecDeque<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 2).clamp(1, MAX_OPEN_MAPPINGS));
    }
}
