//! Puts the packets of several interfaces into time order.
//!
//! A capture on several interfaces is written in bursts, one interface after the other, so its
//! blocks are out of time order by as much as the kernel's buffers hold back: 0.23 s were seen.
//! Packets of one interface never overtake each other, whatever their time stamps say.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::model::Timestamp;

use super::record::Record;

/// Packets held back: a quarter of a second of half a million packets a second.
pub(super) const MAX_HELD_PACKETS: usize = 1 << 17;
/// Bytes held back, their buffers' spare room included.
pub(super) const MAX_HELD_BYTES: usize = 64 << 20;
/// How much later than a packet the newest one must be before that packet is let go.
const HOLD_NS: i64 = 1_000_000_000;
/// Empty buffers kept for the next packets, and the largest that is worth keeping.
const MAX_SPARE_BUFFERS: usize = 4096;
const MAX_SPARE_BYTES: usize = 4096;

/// A packet held back, with a copy of its bytes.
pub(super) struct Held {
    /// Number of the packet.
    pub(super) frame: u64,
    /// Which file it is of.
    pub(super) file: u16,
    /// Its interface among all files.
    pub(super) interface: u32,
    /// Its record, as it was.
    pub(super) record: Record,
    bytes: Vec<u8>,
}

impl Held {
    /// The captured bytes.
    pub(super) fn data(&self) -> &[u8] {
        self.bytes.get(..self.record.data_len).unwrap_or_default()
    }

    /// The pcapng options.
    pub(super) fn options(&self) -> &[u8] {
        self.bytes.get(self.record.data_len..).unwrap_or_default()
    }
}

/// What is held back, in the order in which it goes.
#[derive(Default)]
pub(super) struct Reorder {
    order: BinaryHeap<Reverse<(Timestamp, u64, usize)>>,
    slots: Vec<Option<Held>>,
    free: Vec<usize>,
    spare: Vec<Vec<u8>>,
    held_bytes: usize,
    newest: Option<Timestamp>,
    /// Latest time of each interface.
    reached: Vec<Timestamp>,
    /// The packet let go last, while it is looked at.
    current: Option<Held>,
}

impl Reorder {
    /// Takes a packet in.
    pub(super) fn push(
        &mut self,
        (frame, file, interface): (u64, u16, u32),
        record: Record,
        data: &[u8],
        options: &[u8],
    ) {
        let at = self.reach(interface, record.at);
        self.newest = self.newest.max(Some(at));
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(options);
        self.held_bytes += bytes.capacity();
        let held = Some(Held {
            frame,
            file,
            interface,
            record,
            bytes,
        });
        let slot = if let Some(slot) = self.free.pop() {
            slot
        } else {
            self.slots.push(None);
            self.slots.len() - 1
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = held;
        }
        self.order.push(Reverse((at, frame, slot)));
    }

    /// The time that counts for the order: never before an earlier packet of the same interface.
    fn reach(&mut self, interface: u32, at: Timestamp) -> Timestamp {
        let index = interface as usize;
        if index >= self.reached.len() {
            self.reached.resize(index + 1, Timestamp(i64::MIN));
        }
        self.reached.get_mut(index).map_or(at, |latest| {
            *latest = at.max(*latest);
            *latest
        })
    }

    /// Whether the first packet may go: nothing earlier is to be expected, or there is no room.
    pub(super) fn is_ready(&self) -> bool {
        let Some(Reverse((first, _, _))) = self.order.peek() else {
            return false;
        };
        self.order.len() >= MAX_HELD_PACKETS
            || self.held_bytes >= MAX_HELD_BYTES
            || self
                .newest
                .is_some_and(|newest| newest.since(*first) > HOLD_NS)
    }

    /// Lets the first packet go: [`Reorder::current`]. `false` when there is none.
    pub(super) fn release(&mut self) -> bool {
        if let Some(held) = self.current.take() {
            self.keep_buffer(held.bytes);
        }
        let Some(Reverse((_, _, slot))) = self.order.pop() else {
            return false;
        };
        self.current = self.slots.get_mut(slot).and_then(Option::take);
        self.free.push(slot);
        if let Some(held) = &self.current {
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes.capacity());
        }
        self.current.is_some()
    }

    /// The packet let go last.
    pub(super) fn current(&self) -> Option<&Held> {
        self.current.as_ref()
    }

    fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < MAX_SPARE_BUFFERS && buffer.capacity() <= MAX_SPARE_BYTES {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Packets and bytes held back.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        (self.order.len(), self.held_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::byte_order::ByteOrder;
    use super::*;

    fn record(at_ns: i64, data_len: usize) -> Record {
        Record {
            at: Timestamp(at_ns),
            timed: true,
            interface: 0,
            link_type: Some(1),
            original_len: 0,
            data_at: 0,
            data_len,
            options_at: 0,
            options_len: 0,
            order: ByteOrder::Little,
            outbound: None,
        }
    }

    /// Pushes packets of one length, all at the same time, and lets go what may go.
    fn fill(count: u64, data: &[u8]) -> (u64, Reorder) {
        let mut reorder = Reorder::default();
        let mut released = 0;
        for frame in 0..count {
            reorder.push((frame, 0, 0), record(5, data.len()), data, &[]);
            while reorder.is_ready() {
                assert!(reorder.release());
                released += 1;
            }
            let (packets, bytes) = reorder.held();
            assert!(packets < MAX_HELD_PACKETS && bytes < MAX_HELD_BYTES);
        }
        (released, reorder)
    }

    #[test]
    fn no_more_packets_are_held_than_the_limit() {
        let (released, reorder) = fill(MAX_HELD_PACKETS as u64 + 9, &[]);
        assert_eq!(released, 10);
        assert_eq!(reorder.held().0, MAX_HELD_PACKETS - 1);
    }

    #[test]
    fn no_more_bytes_are_held_than_the_limit() {
        let data = vec![0; 1 << 20];
        let (released, mut reorder) = fill(70, &data);
        assert_eq!(released, 7);
        while reorder.release() {
            assert!(
                reorder
                    .current()
                    .is_some_and(|held| held.data().len() == data.len())
            );
        }
        assert_eq!(reorder.held(), (0, 0));
        assert!(reorder.spare.is_empty(), "large buffers are not kept");
    }

    #[test]
    fn few_small_buffers_are_kept() {
        let (_, mut reorder) = fill(3 * MAX_SPARE_BUFFERS as u64, &[0; 60]);
        while reorder.release() {}
        assert_eq!(reorder.spare.len(), MAX_SPARE_BUFFERS);
    }
}
