//! The data stream in order.

use std::collections::BTreeMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// Bytes that wait behind a hole, 64 of overhead for each piece included. Beyond, the hole is
/// given up: a capture that lost a packet would otherwise keep all that follows in memory.
pub(super) const MAX_OUT_OF_ORDER_BYTES: usize = 32 << 20;

/// Holes that are remembered; more are only counted.
const MAX_HOLES: usize = 256;

/// Size at which a new chunk is begun.
const CHUNK_BYTES: usize = 256 << 10;

const ISLAND_OVERHEAD: usize = 64;

/// A contiguous part of the data stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamChunk {
    /// Relative DSN of its first byte. More than the end of the chunk before: there is a hole.
    pub dsn: i64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Puts the bytes of the stream in order, hashes them, and keeps them if wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Assembler {
    keep: bool,
    /// Place of the next byte in order; none before the first.
    next: Option<i64>,
    delivered: u64,
    ready: Vec<StreamChunk>,
    islands: BTreeMap<i64, Vec<u8>>,
    island_bytes: usize,
    hash: Sha256,
    holes: Vec<Range<i64>>,
    hole_count: u64,
    gave_up: u64,
}

impl Assembler {
    pub(super) fn new(keep: bool) -> Self {
        Self {
            keep,
            ..Self::default()
        }
    }

    /// The stream begins at `place`; without effect after its first byte.
    pub(super) fn begin_at(&mut self, place: i64) {
        if self.delivered == 0 {
            self.next = Some(place);
        }
    }

    /// Takes bytes. What was delivered already is ignored.
    pub(super) fn push(&mut self, place: i64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(place);
        if place > next {
            self.add_island(place, bytes);
            return;
        }
        self.deliver_rest(place, bytes);
        self.deliver_islands();
    }

    /// Gives up all holes: nothing more will come.
    pub(super) fn finish(&mut self) {
        while !self.islands.is_empty() {
            self.skip_hole();
        }
    }

    /// Takes the ordered chunks, in places.
    pub(super) fn take(&mut self) -> Vec<StreamChunk> {
        std::mem::take(&mut self.ready)
    }

    /// SHA-256 of the stream, if it has bytes and no hole.
    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        let whole = self.delivered > 0 && self.hole_count == 0 && self.islands.is_empty();
        whole.then(|| self.hash.clone().finalize().into())
    }

    /// The first holes, as places.
    #[cfg(test)]
    pub(super) fn holes(&self) -> &[Range<i64>] {
        &self.holes
    }

    /// Number of holes that were given up because of [`MAX_OUT_OF_ORDER_BYTES`].
    pub(super) fn gave_up(&self) -> u64 {
        self.gave_up
    }

    /// Takes over all that `other`, whose places are `distance` apart, still has.
    pub(super) fn absorb(&mut self, other: Self, distance: i64) {
        let kept: usize = other.ready.iter().map(|chunk| chunk.bytes.len()).sum();
        if other.delivered > kept as u64 {
            // Their beginning is hashed and gone, so the joint stream cannot be whole.
            self.hole_count = self.hole_count.saturating_add(1);
        }
        let chunks = other.ready.into_iter().map(|c| (c.dsn, c.bytes));
        for (place, bytes) in chunks.chain(other.islands) {
            self.push(place.saturating_add(distance), &bytes);
        }
    }

    fn add_island(&mut self, place: i64, bytes: &[u8]) {
        let held = self.islands.entry(place).or_default();
        if held.len() < bytes.len() {
            let cost = if held.is_empty() { ISLAND_OVERHEAD } else { 0 };
            let more = bytes.len().saturating_sub(held.len());
            self.island_bytes = self.island_bytes.saturating_add(more + cost);
            *held = bytes.to_vec();
        }
        while self.island_bytes > MAX_OUT_OF_ORDER_BYTES {
            self.gave_up = self.gave_up.saturating_add(1);
            self.skip_hole();
        }
    }

    /// Goes on at the lowest island.
    fn skip_hole(&mut self) {
        let Some((&place, _)) = self.islands.first_key_value() else {
            return;
        };
        if let Some(next) = self.next
            && next < place
        {
            self.hole_count = self.hole_count.saturating_add(1);
            if self.holes.len() < MAX_HOLES {
                self.holes.push(next..place);
            }
            self.next = Some(place);
        }
        self.deliver_islands();
    }

    fn deliver_islands(&mut self) {
        while let Some(island) = self.islands.first_entry() {
            let place = *island.key();
            if self.next.is_some_and(|next| place > next) {
                return;
            }
            let bytes = island.remove();
            let cost = bytes.len().saturating_add(ISLAND_OVERHEAD);
            self.island_bytes = self.island_bytes.saturating_sub(cost);
            self.deliver_rest(place, &bytes);
        }
    }

    /// Delivers what `bytes` have beyond the next place, which they reach.
    fn deliver_rest(&mut self, place: i64, bytes: &[u8]) {
        let next = self.next.unwrap_or(place);
        let known = usize::try_from(next.saturating_sub(place)).unwrap_or(usize::MAX);
        let Some(fresh) = bytes.get(known..).filter(|fresh| !fresh.is_empty()) else {
            return;
        };
        self.hash.update(fresh);
        self.delivered = self.delivered.saturating_add(fresh.len() as u64);
        self.next = Some(next.saturating_add(i64::try_from(fresh.len()).unwrap_or(i64::MAX)));
        if self.keep {
            self.keep_bytes(next, fresh);
        }
    }

    fn keep_bytes(&mut self, place: i64, bytes: &[u8]) {
        if let Some(chunk) = self.ready.last_mut()
            && chunk.bytes.len() < CHUNK_BYTES
            && i64::try_from(chunk.bytes.len())
                .is_ok_and(|len| chunk.dsn.checked_add(len) == Some(place))
        {
            chunk.bytes.extend_from_slice(bytes);
            return;
        }
        self.ready.push(StreamChunk {
            dsn: place,
            bytes: bytes.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests;
