//! The data that a connection sends, until they are DATA_ACKed (RFC 8684 §3.3.5, §3.3.6).

mod holders;

use std::ops::Range;

use holders::Holders;

use super::Payload;
use super::pieces::{Pieces, narrow, wide};
use super::ranges::Ranges;
use crate::path::SubflowId;
use crate::seq::Dsn;

/// Send buffer of a connection.
///
/// Data stay here until they are DATA_ACKed, whatever a subflow acknowledges: a proxy may have done
/// so, and the receiver may have had no room (RFC 8684 §3.3.5). What a subflow was given stays known,
/// so that it can go to another one.
#[derive(Debug, Clone)]
pub struct SendBuffer {
    /// DSN of the first byte. Everything below counts in places: the first byte has place 0.
    first: Dsn,
    /// Not DATA_ACKed, blocks ready for sending.
    data: Pieces,
    /// Written after those, still growing.
    tail: Vec<u8>,
    /// First place that was not DATA_ACKed.
    acked: u64,
    /// First place that was never sent.
    next: u64,
    /// Place after the last one that the peer has room for.
    edge: u64,
    capacity: usize,
    fin: Fin,
    holders: Holders,
    reinjections: Ranges,
}

/// How far the DATA_FIN got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fin {
    Open,
    Queued,
    Sent,
    Acked,
}

/// What a DATA_ACK did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAcked {
    /// It acknowledged data.
    Advanced {
        /// Bytes, the DATA_FIN not counted.
        bytes: u64,
        /// Whether it acknowledged the DATA_FIN.
        fin: bool,
    },
    /// It says what was known (RFC 8684 §3.3.2: DATA_ACKs are cumulative).
    Repeated,
    /// It acknowledges what was never sent, and is to be ignored.
    Beyond,
}

/// The data that hold up the window: the lowest that were sent and not DATA_ACKed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oldest {
    /// DSN of the first byte.
    pub dsn: Dsn,
    /// Bytes from there on that the same subflows carry.
    pub len: u64,
    /// Who carries them; nobody when the subflows that did are gone.
    pub subflows: Vec<SubflowId>,
}

/// Which data of a subflow are to be sent again elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reinject {
    /// All that are not DATA_ACKed.
    All,
    /// Those that no other subflow carries.
    OnlyHere,
}

impl SendBuffer {
    /// Bytes of a mapping at most: a length of 16 bits, of which a DATA_FIN may take one.
    pub const MAX_CHUNK: usize = 65_534;

    /// An empty buffer whose first byte will have the DSN `first` (the IDSN plus one, RFC 8684
    /// §3.3.1). Nothing is sent before the peer's window is known.
    pub fn new(first: Dsn, capacity: usize) -> Self {
        Self {
            first,
            data: Pieces::new(0),
            tail: Vec::new(),
            acked: 0,
            next: 0,
            edge: 0,
            capacity,
            fin: Fin::Open,
            holders: Holders::default(),
            reinjections: Ranges::default(),
        }
    }

    /// Copies as many of `bytes` as there is room for, and says how many those were: none after
    /// [`Self::shut_down`].
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if self.fin != Fin::Open {
            return 0;
        }
        let taken = bytes.len().min(self.free());
        let bytes = bytes.get(..taken).unwrap_or_default();
        if bytes.len() < BLOCK {
            self.tail.extend_from_slice(bytes);
            if self.tail.len() >= BLOCK {
                self.seal();
            }
        } else {
            self.seal();
            for block in bytes.chunks(MAX_BLOCK) {
                self.data.push_back(Payload::from_slice(block));
            }
        }
        taken
    }

    /// Bytes that can be written.
    pub fn free(&self) -> usize {
        self.capacity.saturating_sub(self.used())
    }

    /// Bytes that are kept.
    pub fn used(&self) -> usize {
        narrow(self.end().saturating_sub(self.acked))
    }

    /// Blocks in which they are kept.
    pub fn blocks(&self) -> usize {
        self.data
            .piece_count()
            .saturating_add(usize::from(!self.tail.is_empty()))
    }

    /// Ranges of data that `subflow` carries.
    pub fn ranges_of(&self, subflow: SubflowId) -> usize {
        self.holders.of(subflow).map_or(0, Ranges::count)
    }

    /// Bytes that may be kept.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets how many bytes may be kept. What is kept beyond that stays.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// The first `len` bytes, already sent, went with the SYN: they lie before the first DSN, which belongs
    /// to the byte after them (RFC 8684 appendix B.2).
    pub fn set_early(&mut self, len: u64) {
        self.first = Dsn(self.first.0.wrapping_sub(len));
    }

    /// Nothing more will be written: a DATA_FIN follows the last byte.
    pub fn shut_down(&mut self) {
        self.fin = self.fin.max(Fin::Queued);
    }

    /// Takes up to `max` bytes that were never sent and that the peer has room for, to be sent on the
    /// subflow `on`.
    pub fn take_new(&mut self, on: SubflowId, max: usize) -> Option<(Dsn, Payload)> {
        let window = narrow(self.edge.saturating_sub(self.next));
        self.take_unsent(on, max.min(window))
    }

    /// Takes one byte that the peer has no room for, to learn whether it has by now (RFC 9293
    /// §3.8.6.1).
    pub fn take_probe(&mut self, on: SubflowId) -> Option<(Dsn, Payload)> {
        self.take_unsent(on, 1)
    }

    /// Bytes that were never sent.
    pub fn unsent(&self) -> u64 {
        self.end().saturating_sub(self.next)
    }

    /// Bytes that were sent and are not DATA_ACKed.
    pub fn in_flight(&self) -> u64 {
        self.next.saturating_sub(self.acked)
    }

    /// Bytes beyond those sent that the peer has room for.
    pub fn window_left(&self) -> u64 {
        self.edge.saturating_sub(self.next)
    }

    /// Whether there are data that only the peer's window holds back.
    pub fn is_window_blocked(&self) -> bool {
        self.unsent() > 0 && self.window_left() == 0
    }

    /// Bytes that were sent, each counted once.
    pub const fn bytes_sent(&self) -> u64 {
        self.next
    }

    /// DSN after the last byte that was written, the DATA_FIN included once nothing more will be.
    pub fn write_dsn(&self) -> Dsn {
        let fin = u64::from(self.fin >= Fin::Queued);
        self.dsn(self.end().saturating_add(fin))
    }

    /// DSN of the first byte that was never sent.
    pub fn next_dsn(&self) -> Dsn {
        self.dsn(self.next)
    }

    /// DSN of the first byte that is not DATA_ACKed.
    pub fn unacked_dsn(&self) -> Dsn {
        self.dsn(self.acked)
    }

    /// Frees what lies before `data_ack`.
    pub fn on_data_ack(&mut self, data_ack: Dsn) -> DataAcked {
        let Some(place) = self.place(data_ack) else {
            return DataAcked::Repeated;
        };
        let fin_sent = u64::from(self.fin >= Fin::Sent);
        if place > self.next.saturating_add(fin_sent) {
            return DataAcked::Beyond;
        }
        if place <= self.acked {
            return DataAcked::Repeated;
        }
        let fin = place > self.end();
        let bytes_end = place.min(self.end());
        let bytes = bytes_end.saturating_sub(self.acked);
        if fin {
            self.fin = Fin::Acked;
        }
        self.acked = place;
        self.data.drop_front(bytes_end);
        self.holders.drop_below(bytes_end);
        self.reinjections.drop_below(bytes_end);
        DataAcked::Advanced { bytes, fin }
    }

    /// Takes note that the peer has room for `window` bytes from `data_ack` on. The right edge never
    /// moves back (RFC 8684 §3.3.5): a smaller window may have been overtaken, or come from a
    /// subflow whose box knows better. Says whether it moved.
    pub fn set_window(&mut self, data_ack: Dsn, window: u64) -> bool {
        let sent = self.next.saturating_add(1);
        let Some(place) = self.place(data_ack).filter(|place| *place <= sent) else {
            return false;
        };
        let edge = place.saturating_add(window);
        let has_moved = edge > self.edge;
        self.edge = self.edge.max(edge);
        has_moved
    }

    /// DSN of the DATA_FIN, once it is certain.
    pub fn fin_dsn(&self) -> Option<Dsn> {
        (self.fin >= Fin::Queued).then(|| self.dsn(self.end()))
    }

    /// Whether a DATA_FIN is to be sent for the first time: all data were sent (RFC 8684 §3.3.3).
    pub fn is_fin_due(&self) -> bool {
        self.fin == Fin::Queued && self.unsent() == 0
    }

    /// The DATA_FIN was sent, with the last data or alone.
    pub fn on_fin_sent(&mut self) {
        if self.fin == Fin::Queued && self.unsent() == 0 {
            self.fin = Fin::Sent;
        }
    }

    /// Whether a DATA_FIN was sent and is not DATA_ACKed.
    pub fn is_fin_unacked(&self) -> bool {
        self.fin == Fin::Sent
    }

    /// Whether everything is DATA_ACKed, the DATA_FIN included.
    pub fn is_finished(&self) -> bool {
        self.fin == Fin::Acked
    }

    /// The oldest data in flight, and who has them.
    pub fn oldest(&self) -> Option<Oldest> {
        if self.in_flight() == 0 {
            return None;
        }
        let (subflows, until) = self.holders.at(self.acked, self.next);
        Some(Oldest {
            dsn: self.dsn(self.acked),
            len: until.saturating_sub(self.acked),
            subflows,
        })
    }

    /// Bytes of `subflow` that are not DATA_ACKed.
    pub fn carried_by(&self, subflow: SubflowId) -> u64 {
        self.holders.of(subflow).map_or(0, Ranges::len)
    }

    /// Whether any subflow but `subflow` carries data that are not DATA_ACKed.
    pub fn is_carried_by_others(&self, subflow: SubflowId) -> bool {
        self.holders
            .others(subflow)
            .any(|ranges| !ranges.is_empty())
    }

    /// Notes that `on` carries a copy of data that another subflow was given.
    pub fn assign(&mut self, on: SubflowId, dsn: Dsn, len: usize) {
        if let Some(range) = self.sent_range(dsn, wide(len)) {
            self.holders.assign(on, range);
        }
    }

    /// Up to `max` bytes from `dsn` on, if they were sent and are not DATA_ACKed.
    pub fn data_at(&self, dsn: Dsn, max: usize) -> Option<Payload> {
        let range = self.sent_range(dsn, wide(max))?;
        let len = narrow(range.end.saturating_sub(range.start));
        self.data.copy(range.start, len)
    }

    /// Queues data of `subflow` for sending on another one, and gives their number in bytes. Those in
    /// the queue stay there once.
    pub fn reinject_from(&mut self, subflow: SubflowId, which: Reinject) -> u64 {
        let ranges = self.holders.of(subflow).cloned().unwrap_or_default();
        self.queue(subflow, ranges, which)
    }

    /// Forgets a subflow that is gone, and queues what only it carried.
    pub fn forget_subflow(&mut self, subflow: SubflowId) -> u64 {
        let ranges = self.holders.forget(subflow);
        self.queue(subflow, ranges, Reinject::OnlyHere)
    }

    /// Queues data from `dsn` on for sending again, whoever carries them.
    pub fn reinject(&mut self, dsn: Dsn, len: u64) {
        if let Some(range) = self.sent_range(dsn, len) {
            self.reinjections.insert(range);
        }
    }

    /// Bytes in the reinjection queue.
    pub fn reinjections(&self) -> u64 {
        self.reinjections.len()
    }

    /// The first data in the reinjection queue, and who carries them already.
    pub fn next_reinjection(&self) -> Option<Oldest> {
        let range = self.reinjections.iter().next()?;
        let (subflows, until) = self.holders.at(range.start, range.end);
        Some(Oldest {
            dsn: self.dsn(range.start),
            len: until.saturating_sub(range.start),
            subflows,
        })
    }

    /// Takes up to `max` bytes from the reinjection queue for the subflow `on`: the first that it
    /// does not carry already, or just the first when `also_same` (there is no other subflow).
    pub fn take_reinjection(
        &mut self,
        on: SubflowId,
        max: usize,
        also_same: bool,
    ) -> Option<(Dsn, Payload)> {
        let range = self.first_reinjection(on, also_same)?;
        let len = range.end.saturating_sub(range.start).min(wide(max));
        let payload = self
            .data
            .copy(range.start, narrow(len).min(Self::MAX_CHUNK))?;
        let end = range.start.saturating_add(wide(payload.len()));
        let taken = range.start..end;
        self.reinjections.remove(&taken);
        self.holders.assign(on, taken);
        Some((self.dsn(range.start), payload))
    }

    fn first_reinjection(&self, on: SubflowId, also_same: bool) -> Option<Range<u64>> {
        let carried = match self.holders.of(on) {
            Some(carried) if !also_same => carried,
            _ => return self.reinjections.iter().next().cloned(),
        };
        for range in self.reinjections.iter() {
            let mut at = range.start;
            for part in carried.within(range.clone()) {
                if at < part.start {
                    return Some(at..part.start);
                }
                at = part.end;
            }
            if at < range.end {
                return Some(at..range.end);
            }
        }
        None
    }

    fn queue(&mut self, from: SubflowId, mut ranges: Ranges, which: Reinject) -> u64 {
        if which == Reinject::OnlyHere {
            for other in self.holders.others(from) {
                other.iter().for_each(|range| ranges.remove(range));
            }
        }
        for range in ranges.iter() {
            self.reinjections.insert(range.clone());
        }
        ranges.len()
    }

    fn take_unsent(&mut self, on: SubflowId, max: usize) -> Option<(Dsn, Payload)> {
        let max = max.min(Self::MAX_CHUNK);
        if max == 0 {
            return None;
        }
        if self.next >= self.data.end() {
            self.seal();
        }
        let piece = self.data.get(self.next, max)?;
        let payload = if piece.len() < max && piece.len() < MAX_JOINED {
            self.seal();
            self.data.copy(self.next, max.min(MAX_JOINED))?
        } else {
            piece
        };
        let dsn = self.dsn(self.next);
        let end = self.next.saturating_add(wide(payload.len()));
        self.holders.assign(on, self.next..end);
        self.next = end;
        Some((dsn, payload))
    }

    /// The places from `dsn` on that were sent and are not DATA_ACKed.
    fn sent_range(&self, dsn: Dsn, len: u64) -> Option<Range<u64>> {
        let start = self.place(dsn)?;
        let end = start.saturating_add(len).min(self.next);
        let range = start.max(self.acked)..end;
        (!range.is_empty()).then_some(range)
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            let block = std::mem::take(&mut self.tail);
            self.data.push_back(Payload::from_vec(block));
        }
    }

    /// Place after the last byte written.
    fn end(&self) -> u64 {
        self.data.end().saturating_add(wide(self.tail.len()))
    }

    const fn dsn(&self, place: u64) -> Dsn {
        self.first.add(place)
    }

    /// The place of a DSN, none when it lies before the first byte.
    const fn place(&self, dsn: Dsn) -> Option<u64> {
        let distance = dsn.offset_from(self.dsn(self.acked));
        self.acked.checked_add_signed(distance)
    }
}

/// Writes of fewer bytes are collected.
const BLOCK: usize = 16 * 1024;
/// A block holds no more bytes than this, so that memory is freed as data are DATA_ACKed.
const MAX_BLOCK: usize = 64 * 1024;
/// At the end of a block, up to so many bytes are copied to fill a segment from the next block.
const MAX_JOINED: usize = 9 * 1024;

#[cfg(test)]
mod tests;
