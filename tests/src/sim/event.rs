//! What will happen, in the order of time and, at the same time, of its making.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use mptcp_proto::time::Instant;

use super::host::HostId;
use super::net::PathId;
use crate::middlebox::Direction;

/// What happens.
#[derive(Debug)]
pub(super) enum What {
    /// A packet arrives at an element of a path, or behind the last one.
    Arrival(Hop),
    /// An element may have waited long enough.
    ElementTimer(PathId, usize),
    /// A host may have waited long enough.
    HostTimer(HostId),
}

/// A packet on its way.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) path: PathId,
    /// The element at which it arrives; none at the end of the path.
    pub(super) element: Option<usize>,
    pub(super) direction: Direction,
    pub(super) packet: Vec<u8>,
}

#[derive(Debug)]
struct Event {
    key: Reverse<(Instant, u64)>,
    what: What,
}

/// The events to come.
#[derive(Debug, Default)]
pub(super) struct Events {
    heap: BinaryHeap<Event>,
    made: u64,
}

impl Events {
    pub(super) fn push(&mut self, at: Instant, what: What) {
        let key = Reverse((at, self.made));
        self.made += 1;
        self.heap.push(Event { key, what });
    }

    pub(super) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|event| event.key.0.0)
    }

    pub(super) fn pop(&mut self) -> Option<What> {
        self.heap.pop().map(|event| event.what)
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_of_their_making() {
        let mut events = Events::default();
        for (at, host) in [(5, 0), (3, 1), (5, 2), (3, 3), (4, 4)] {
            events.push(Instant::from_nanos(at), What::HostTimer(HostId(host)));
        }
        assert_eq!(events.next_at(), Some(Instant::from_nanos(3)));
        let order = std::iter::from_fn(|| match events.pop()? {
            What::HostTimer(HostId(host)) => Some(host),
            other => panic!("{other:?} was never made"),
        });
        assert_eq!(order.collect::<Vec<_>>(), [1, 3, 4, 0, 2]);
        assert_eq!((events.len(), events.next_at()), (0, None));
    }
}
