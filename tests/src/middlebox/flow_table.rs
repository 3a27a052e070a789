//! What a box remembers about flows, in bounded space.

use std::collections::{BTreeMap, VecDeque};

use super::Direction;
use super::segment::FlowKey;

/// A box on a path of a laboratory sees few flows; a scan must not make it grow. The oldest flow
/// is forgotten first.
pub const MAX_FLOWS: usize = 1024;

/// State of each flow.
#[derive(Debug, Clone, Default)]
pub struct FlowTable<T> {
    flows: BTreeMap<FlowKey, T>,
    oldest_first: VecDeque<FlowKey>,
}

impl<T: Default> FlowTable<T> {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            flows: BTreeMap::new(),
            oldest_first: VecDeque::new(),
        }
    }

    /// The state of a flow, a fresh one if it is not known.
    pub fn entry(&mut self, key: FlowKey) -> &mut T {
        if !self.flows.contains_key(&key) {
            if self.flows.len() >= MAX_FLOWS
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.flows.remove(&oldest);
            }
            self.oldest_first.push_back(key);
        }
        self.flows.entry(key).or_default()
    }

    /// The state of every flow.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.flows.values()
    }

    /// The state of every flow, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.flows.values_mut()
    }
}

/// One thing for each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerDirection<T> {
    /// What travels to the server.
    pub to_server: T,
    /// What travels to the client.
    pub to_client: T,
}

impl<T> PerDirection<T> {
    /// The one of this direction.
    pub fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// The one of this direction, to change it.
    pub fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Tcp;
    use super::*;

    #[test]
    fn the_oldest_flow_is_forgotten_when_the_table_is_full() {
        let key = |port| Tcp::to_server().port(port).segment().flow();
        let mut table = FlowTable::<u32>::new();
        for port in 0..=u16::try_from(MAX_FLOWS).unwrap() {
            *table.entry(key(port)) = 5;
        }
        assert_eq!(table.values().count(), MAX_FLOWS);
        assert_eq!(*table.entry(key(1024)), 5);
        assert_eq!(*table.entry(key(0)), 0);
    }

    #[test]
    fn both_directions_are_one_flow() {
        let there = Tcp::to_server().segment().flow();
        assert_eq!(there, Tcp::to_client().segment().flow());
    }
}
