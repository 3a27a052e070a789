//! The data that a connection receives, put in order by DSN (RFC 8684 §3.3.4).

mod order;

use order::OutOfOrder;

use super::Payload;
use super::pieces::{Pieces, narrow, wide};
use crate::path::SubflowId;
use crate::seq::Dsn;

/// Receive buffer of a connection, shared by its subflows.
#[derive(Debug, Clone)]
pub struct ReceiveBuffer {
    /// DSN of the first byte. Everything below counts in places: the first byte has place 0.
    first: Dsn,
    /// In order and not read.
    ready: Pieces,
    out_of_order: OutOfOrder,
    /// Place of the DATA_FIN, if it arrived.
    fin: Option<u64>,
    /// Another place that a DATA_FIN had, and how often since the first one was heard last.
    rival: Option<(u64, u8)>,
    capacity: usize,
    /// Place after the last one that was announced to the peer.
    edge: u64,
    /// Place after the last byte of urgent data.
    urgent: u64,
    /// After fallback: nothing lies beyond the window.
    trusts_tcp: bool,
}

/// What became of some data. Sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inserted {
    /// Kept.
    pub new: u64,
    /// Were here already; the first copy stays.
    pub duplicate: u64,
    /// Of the duplicates, those that differ from the first copy: someone on the path changed data.
    /// Only counted where the first copy is still in the buffer.
    pub differing: u64,
    /// Beyond the window that was announced, or beyond the DATA_FIN: dropped.
    pub beyond: u64,
    /// Dropped because there would be too many holes.
    pub refused: u64,
    /// Whether there is more to read.
    pub is_readable: bool,
}

/// What became of a DATA_FIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinNoted {
    /// It is the first, and is waited for if data before it are missing.
    New,
    /// It is known.
    Repeated,
    /// It has another DSN than the first one, or one that data have: ignored.
    Conflict,
    /// It lies beyond the window: ignored.
    Beyond,
}

/// How data that came out of order found their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderStats {
    /// Pieces whose subflow brought the data before them: no search.
    pub shortcuts: u64,
    /// Pieces that took a search.
    pub searches: u64,
    /// Comparisons in all.
    pub comparisons: u64,
    /// Runs begun.
    pub runs: u64,
    /// Runs begun behind all others.
    pub tails: u64,
    /// Runs that grew together.
    pub merges: u64,
}

impl ReceiveBuffer {
    /// Runs of data out of order that are kept.
    pub const MAX_RUNS: usize = order::MAX_RUNS;
    /// Window that a header can announce at most, with the largest scale (RFC 7323 §2.3).
    pub const MAX_WINDOW: u64 = 65_535 << 14;

    /// An empty buffer for `capacity` bytes, the first of which will have the DSN `first` (the IDSN
    /// plus one, RFC 8684 §3.3.1).
    pub fn new(first: Dsn, capacity: usize) -> Self {
        Self {
            first,
            ready: Pieces::new(0),
            out_of_order: OutOfOrder::default(),
            fin: None,
            rival: None,
            capacity,
            urgent: 0,
            trusts_tcp: false,
            edge: wide(capacity).min(Self::MAX_WINDOW),
        }
    }

    /// The byte after those that are here in order, read or not, has the DSN `next`: they came with a SYN, before
    /// the numbers were known.
    pub fn number(&mut self, next: Dsn) {
        self.first = Dsn(next.0.wrapping_sub(self.ready.end()));
    }

    /// Takes `payload`, which `subflow` brought and whose first byte has the DSN `dsn`.
    pub fn insert(&mut self, subflow: SubflowId, dsn: Dsn, payload: Payload) -> Inserted {
        let mut done = Inserted::default();
        let next = self.ready.end();
        let mut payload = payload;
        let mut at = self.drop_read(dsn, &mut payload, &mut done);
        if at < next {
            let known = payload.take_front(narrow(next.saturating_sub(at)));
            done.differing = self.ready.differing(at, &known);
            done.duplicate = done.duplicate.saturating_add(wide(known.len()));
            at = next;
        }
        let limit = self.last_place().min(self.fin.unwrap_or(u64::MAX));
        let len = payload.len();
        payload.truncate(narrow(limit.saturating_sub(at)));
        done.beyond = wide(len.saturating_sub(payload.len()));
        if payload.is_empty() {
            return done;
        }
        let end = at.saturating_add(wide(payload.len()));
        if at == next && self.out_of_order.start().is_none_or(|start| start >= end) {
            done.new = wide(payload.len());
            self.ready.push_back(payload);
        } else {
            self.out_of_order.insert(subflow, at, payload, &mut done);
        }
        while let Some(mut run) = self.out_of_order.take_until(self.ready.end()) {
            self.ready.append(&mut run);
            self.out_of_order.recycle(run);
        }
        done.is_readable = self.ready.end() > next;
        done
    }

    /// Forgets what is not in order, and a DATA_FIN behind it, and says how many bytes that were. No DATA_ACK
    /// covers them, so the peer has them still and sends them again (RFC 8684 §3.3.2).
    pub fn discard_out_of_order(&mut self) -> u64 {
        let bytes = self.out_of_order.len();
        self.out_of_order.clear();
        self.fin = self.fin.filter(|fin| *fin <= self.ready.end());
        bytes
    }

    /// Takes note of a DATA_FIN with the DSN `dsn`. It counts once everything before it is here
    /// (RFC 8684 §3.3.3).
    pub fn set_fin(&mut self, dsn: Dsn) -> FinNoted {
        let place = self.place(dsn);
        match (place, self.fin) {
            (Some(place), Some(known)) if place == known => {
                self.rival = None;
                FinNoted::Repeated
            }
            (Some(place), Some(known)) if self.outlasts(place, known) => {
                self.fin = Some(place);
                FinNoted::New
            }
            (_, Some(_)) | (None, None) => FinNoted::Conflict,
            (Some(place), None) => {
                let data_end = self.out_of_order.end().unwrap_or(0).max(self.ready.end());
                if place < data_end {
                    return FinNoted::Conflict;
                }
                if place > self.last_place() {
                    return FinNoted::Beyond;
                }
                self.fin = Some(place);
                FinNoted::New
            }
        }
    }

    /// Whether a DATA_FIN at another place is repeated, and the first one never was: then a box on the path
    /// changed the first. The place must be one that a DATA_FIN may have, and the first not be reached.
    fn outlasts(&mut self, place: u64, known: u64) -> bool {
        let heard = match self.rival {
            Some((rival, heard)) if rival == place => heard.saturating_add(1),
            _ => 1,
        };
        self.rival = Some((place, heard));
        let data_end = self.out_of_order.end().unwrap_or(0).max(self.ready.end());
        let is_possible =
            (data_end..=self.last_place()).contains(&place) && known > self.ready.end();
        is_possible && heard >= MOST_RIVALS
    }

    /// The peer's urgent data end before the DSN `end`. Whether that is further than was known: then the application
    /// is told (RFC 9293 §3.8.5). A pointer does not reach further behind the window than 16 bits.
    pub fn note_urgent(&mut self, end: Dsn) -> bool {
        let furthest = self
            .edge
            .max(self.ready.end())
            .saturating_add(u64::from(u16::MAX));
        let place = self.place(end).filter(|place| *place <= furthest);
        let known = self.urgent.max(self.ready.start());
        let Some(place) = place.filter(|place| *place > known) else {
            return false;
        };
        self.urgent = place;
        true
    }

    /// Bytes that are not read yet, up to the last one that is urgent; 0 where none is.
    pub fn urgent(&self) -> u64 {
        self.urgent.saturating_sub(self.ready.start())
    }

    /// What to acknowledge: the DSN after the last one before which nothing is missing (RFC 8684
    /// §3.3.2), the DATA_FIN included.
    pub fn data_ack(&self) -> Dsn {
        let next = self.ready.end();
        self.dsn(next.saturating_add(u64::from(self.fin == Some(next))))
    }

    /// Bytes that came in order, each counted once.
    pub const fn bytes_received(&self) -> u64 {
        self.ready.end()
    }

    /// DSN of the first data byte that is missing.
    pub fn next_dsn(&self) -> Dsn {
        self.dsn(self.ready.end())
    }

    /// Whether the peer will send nothing more and all of it is here; it may be unread.
    pub fn is_fin_reached(&self) -> bool {
        self.fin == Some(self.ready.end())
    }

    /// Whether the DATA_FIN is here, reached or not.
    pub const fn has_fin(&self) -> bool {
        self.fin.is_some()
    }

    /// Copies into `buffer` what is in order, and gives the number of bytes.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while let Some(room) = buffer.get_mut(done..).filter(|room| !room.is_empty()) {
            let Some(piece) = self.ready.pop_front(room.len()) else {
                break;
            };
            if let Some(target) = room.get_mut(..piece.len()) {
                target.copy_from_slice(&piece);
            }
            done = done.saturating_add(piece.len());
        }
        done
    }

    /// Takes up to `max` bytes that are in order, without copying them.
    pub fn read_payload(&mut self, max: usize) -> Option<Payload> {
        self.ready.pop_front(max)
    }

    /// The next bytes that are in order, as many as are in one block.
    pub fn peek(&self) -> &[u8] {
        self.ready.iter().next().map_or(&[], Payload::as_slice)
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        narrow(self.ready.len())
    }

    /// Bytes that wait for others.
    pub fn out_of_order(&self) -> u64 {
        self.out_of_order.len()
    }

    /// Runs of bytes that wait for others.
    pub fn run_count(&self) -> usize {
        self.out_of_order.run_count()
    }

    /// How data that came out of order found their places.
    pub fn order_stats(&self) -> OrderStats {
        self.out_of_order.stats
    }

    /// Bytes that may be kept.
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Sets how many bytes may be kept. A window that was announced stays (RFC 9293 §3.8.6).
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// The window to announce now, in bytes from [`Self::data_ack`] on, on whatever subflow (RFC 8684
    /// §3.3.5). From here on the peer may send up to there.
    pub fn announce(&mut self) -> u64 {
        self.edge = self.edge.max(self.possible_edge());
        self.window()
    }

    /// From here on TCP alone sees to the window: what it has acknowledged must not be dropped, though a
    /// window of the data level did not cover it.
    pub fn trust_tcp(&mut self) {
        self.trusts_tcp = true;
    }

    /// The window that [`Self::announce`] would announce.
    pub fn possible_window(&self) -> u64 {
        let fin = u64::from(self.is_fin_reached());
        self.edge
            .max(self.possible_edge())
            .saturating_sub(self.ready.end())
            .saturating_sub(fin)
    }

    /// The window that was announced last, as it is now.
    pub fn window(&self) -> u64 {
        let fin = u64::from(self.is_fin_reached());
        self.edge
            .saturating_sub(self.ready.end())
            .saturating_sub(fin)
    }

    /// Whether the peer should hear of a larger window without having sent anything (RFC 9293
    /// §3.8.6.2.2): it grew by a segment or half of the buffer, whichever is less, and at least to
    /// twice of what the peer knows.
    pub fn is_window_update_due(&self, mss: usize) -> bool {
        if self.fin.is_some() {
            return false;
        }
        let known = self.window();
        let growth = self.possible_edge().saturating_sub(self.edge);
        let step = wide(mss.min(self.capacity / 2)).max(1);
        growth >= step && growth >= known
    }

    fn possible_edge(&self) -> u64 {
        let free = wide(self.capacity).saturating_sub(self.ready.len());
        self.ready.end().saturating_add(free.min(Self::MAX_WINDOW))
    }

    /// Drops what of `payload` was read already, and gives the place of the rest.
    fn drop_read(&self, dsn: Dsn, payload: &mut Payload, done: &mut Inserted) -> u64 {
        let start = self.ready.start();
        let offset = dsn.offset_from(self.dsn(start));
        if offset >= 0 {
            return start.saturating_add(offset.unsigned_abs());
        }
        let len = payload.len();
        payload.advance(narrow(offset.unsigned_abs()));
        done.duplicate = wide(len.saturating_sub(payload.len()));
        start
    }

    /// Place up to which data are taken. After fallback it is for TCP to say: the scale of its window may have
    /// rounded it up (RFC 7323 §2.3), and what it has acknowledged will not come again.
    const fn last_place(&self) -> u64 {
        if self.trusts_tcp { u64::MAX } else { self.edge }
    }

    const fn dsn(&self, place: u64) -> Dsn {
        self.first.add(place)
    }

    /// The place of a DSN, none when it lies before the first byte.
    const fn place(&self, dsn: Dsn) -> Option<u64> {
        let next = self.ready.end();
        next.checked_add_signed(dsn.offset_from(self.dsn(next)))
    }
}

#[cfg(test)]
mod tests;

/// So often a DATA_FIN at another place than the first one must come before it counts.
const MOST_RIVALS: u8 = 3;
