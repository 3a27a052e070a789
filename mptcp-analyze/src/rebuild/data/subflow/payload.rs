//! Payload: the class of every byte.

use std::ops::Range;

use mptcp_proto::data::Held;

use super::super::scale::Scale;
use super::super::waiting::{Waiting, part_of};
use super::super::{Assemble, PayloadInput, Sent};
use super::{ByteCounts, DataDirection, Implicit, SubflowDirection};
use crate::model::{ByteClass, Piece};

/// The payload of a segment in places, and the pieces it is cut into.
struct Cut<'a> {
    start: i64,
    bytes: &'a [u8],
    sent: Sent,
    scale: Scale,
    pieces: &'a mut Vec<Piece>,
}

impl SubflowDirection {
    /// The payload of a segment that is not a SYN. Appends the pieces it consists of to `pieces`.
    pub(crate) fn on_payload(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        input: &PayloadInput<'_>,
        pieces: &mut Vec<Piece>,
    ) {
        if input.len == 0 {
            return;
        }
        if !self.held.is_empty() && self.last_mapping_frame != Some(input.frame) {
            // This sender does not repeat a mapping in every segment, so that the one that waits
            // began with its segment.
            self.settle(data, subflow);
        }
        data.count_wire_bytes(input.len);
        self.totals.wire_bytes = self.totals.wire_bytes.saturating_add(u64::from(input.len));
        let start = self.origin.advance(input.seq);
        let places = start..start.saturating_add(i64::from(input.len));
        let mut cut = Cut {
            start,
            bytes: part_of(input.bytes, start, &places),
            sent: Sent {
                frame: input.frame,
                at: input.at,
                acked: data.acked_place(),
            },
            scale: data.scale(),
            pieces,
        };
        match self.seen.claim_whole(&places, ()) {
            Some(Held::Free) => self.on_first_copy(data, subflow, &places, &mut cut),
            Some(Held::By(()) | Held::Unknown) => self.on_copy(data, &places, &mut cut),
            None => self.on_mixed_copy(data, subflow, places, &mut cut),
        }
    }

    /// Bytes of which some were sent before.
    fn on_mixed_copy(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        places: Range<i64>,
        cut: &mut Cut<'_>,
    ) {
        let mut stretches = Vec::new();
        self.seen.claim(places, (), &mut stretches);
        for stretch in &stretches {
            match stretch.held {
                Held::Free => self.on_first_copy(data, subflow, &stretch.range, cut),
                Held::By(()) | Held::Unknown => self.on_copy(data, &stretch.range, cut),
            }
        }
    }

    /// Counts bytes that were sent before their mapping. `offset` leads from subflow places to data
    /// places.
    pub(super) fn claim_late(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        places: Range<i64>,
        offset: i64,
        sent: Sent,
        bytes: &[u8],
    ) {
        // More than is unmapped was counted before: its mapping was forgotten, or lay beyond the limit
        // of places and moved.
        let len = length(&places).min(self.totals.unmapped_bytes);
        if len == 0 {
            return;
        }
        let places = places.start..places.start.saturating_add(len.cast_signed());
        self.totals.unmapped_bytes = self.totals.unmapped_bytes.saturating_sub(len);
        self.open.feed(&places, bytes, data);
        let mapped = places.start.saturating_add(offset)..places.end.saturating_add(offset);
        let totals = &mut self.totals;
        let mut spurious = 0u64;
        data.claim(mapped, subflow, sent, bytes, |part, class| {
            spurious = spurious.saturating_add(count(totals, class, part, sent.acked));
        });
        data.count_spurious(spurious);
    }

    fn on_first_copy(
        &mut self,
        data: &mut DataDirection,
        subflow: u32,
        places: &Range<i64>,
        cut: &mut Cut<'_>,
    ) {
        self.open.feed(places, cut.part(places), data);
        let Self {
            maps,
            totals,
            waiting,
            implicit,
            ..
        } = self;
        let sent = cut.sent;
        let mut spurious = 0u64;
        maps.look_up(places.clone(), |part, mapped| {
            let bytes = cut.part(&part);
            let Some(mapped) = mapped else {
                count(totals, ByteClass::Unmapped, &part, i64::MIN);
                cut.add_unmapped(&part, ByteClass::Unmapped);
                match implicit {
                    Some(implicit) => implicit.push(data, &part, bytes),
                    None => wait(waiting.get_or_insert_default(), data, part, sent, bytes),
                }
                return;
            };
            let range = mapped..mapped.saturating_add(part.end.saturating_sub(part.start));
            data.claim(range, subflow, sent, bytes, |claimed, class| {
                spurious = spurious.saturating_add(count(totals, class, claimed, sent.acked));
                let from = part
                    .start
                    .saturating_add(claimed.start.saturating_sub(mapped));
                cut.add(from, claimed, class);
            });
        });
        data.count_spurious(spurious);
    }

    /// Bytes that this subflow sent before with the same SSN.
    fn on_copy(&mut self, data: &mut DataDirection, places: &Range<i64>, cut: &mut Cut<'_>) {
        let (maps, totals) = (&mut self.maps, &mut self.totals);
        let class = ByteClass::TcpRetransmission;
        let mut spurious = 0u64;
        maps.look_up(places.clone(), |part, mapped| {
            let len = part.end.saturating_sub(part.start);
            let Some(mapped) = mapped else {
                count(totals, class, &part, i64::MIN);
                cut.add_unmapped(&part, class);
                return;
            };
            let range = mapped..mapped.saturating_add(len);
            spurious = spurious.saturating_add(count(totals, class, &range, cut.sent.acked));
            cut.add(part.start, &range, class);
        });
        data.count_spurious(spurious);
    }
}

impl<'a> Cut<'a> {
    /// The captured bytes at `places`.
    fn part(&self, places: &Range<i64>) -> &'a [u8] {
        part_of(self.bytes, self.start, places)
    }

    /// Adds a piece whose data places are `mapped`; cut where the acknowledged data end, so that it
    /// is spurious as a whole or not at all.
    fn add(&mut self, from: i64, mapped: &Range<i64>, class: ByteClass) {
        let repeated = class != ByteClass::New;
        let border = if repeated {
            self.sent.acked.clamp(mapped.start, mapped.end)
        } else {
            mapped.start
        };
        if border <= mapped.start {
            let dsn = Some(self.scale.relative(mapped.start));
            self.push(from, length(mapped), dsn, class, false);
            return;
        }
        for (part, spurious) in [(mapped.start..border, true), (border..mapped.end, false)] {
            let from = from.saturating_add(part.start.saturating_sub(mapped.start));
            let dsn = Some(self.scale.relative(part.start));
            self.push(from, length(&part), dsn, class, spurious);
        }
    }

    fn add_unmapped(&mut self, places: &Range<i64>, class: ByteClass) {
        self.push(places.start, length(places), None, class, false);
    }

    fn push(&mut self, from: i64, len: u64, dsn: Option<i64>, class: ByteClass, spurious: bool) {
        // Offsets and lengths are those of a payload, whose length has 32 bits.
        let offset = u32::try_from(from.saturating_sub(self.start)).unwrap_or(u32::MAX);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        if len == 0 {
            return;
        }
        if let Some(last) = self.pieces.last_mut() {
            let follows = last.dsn.map(|dsn| dsn.saturating_add(i64::from(last.len))) == dsn;
            let adjacent = last.offset.checked_add(last.len) == Some(offset);
            if adjacent && follows && last.class == class && last.spurious == spurious {
                last.len = last.len.saturating_add(len);
                return;
            }
        }
        self.pieces.push(Piece {
            offset,
            len,
            dsn,
            class,
            spurious,
        });
    }
}

impl Implicit {
    /// Gives plain bytes after a fallback to the stream.
    pub(super) fn push(self, data: &mut DataDirection, places: &Range<i64>, bytes: &[u8]) {
        let part = places.start.max(self.place)..places.end;
        if !part.is_empty() {
            let ahead = part.start.saturating_sub(self.place);
            let bytes = part_of(bytes, places.start, &part);
            data.push_stream(self.data.saturating_add(ahead), bytes);
        }
    }
}

/// Remembers first copies for the mapping that may come for them.
fn wait(waiting: &mut Waiting, data: &DataDirection, places: Range<i64>, sent: Sent, bytes: &[u8]) {
    let options = data.options();
    let wanted = options.verify_checksums || options.assemble != Assemble::No;
    waiting.add(places, sent, if wanted { bytes } else { &[] });
}

/// Counts bytes of a class; gives how many of them had been acknowledged when they were sent again.
#[inline]
pub(super) fn count(
    totals: &mut ByteCounts,
    class: ByteClass,
    mapped: &Range<i64>,
    acked: i64,
) -> u64 {
    let len = length(mapped);
    let count = match class {
        ByteClass::New => &mut totals.unique_bytes,
        ByteClass::TcpRetransmission => &mut totals.tcp_retransmitted_bytes,
        ByteClass::DataRetransmission => &mut totals.data_retransmitted_bytes,
        ByteClass::Reinjection { .. } => &mut totals.reinjected_bytes,
        ByteClass::Unmapped => &mut totals.unmapped_bytes,
    };
    *count = count.saturating_add(len);
    if class == ByteClass::New {
        return 0;
    }
    let spurious = length(&(mapped.start..acked.clamp(mapped.start, mapped.end)));
    totals.spurious_bytes = totals.spurious_bytes.saturating_add(spurious);
    spurious
}

fn length(range: &Range<i64>) -> u64 {
    u64::try_from(range.end.saturating_sub(range.start)).unwrap_or(0)
}
