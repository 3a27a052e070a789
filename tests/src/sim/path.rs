//! A path as the network sees it: elements in a row, with what passes them.

use std::net::IpAddr;
use std::time::Duration;

use mptcp_proto::time::Instant;

use super::host::HostId;
use super::link::{Backlog, Drops, Element};
use super::measure::{ElementReport, MAX_POINTS, PathReport, Series, Traffic, WayReport};
use crate::middlebox::flow_table::PerDirection;
use crate::middlebox::{Departure, Direction};

/// An element with what passed it.
pub(super) struct Slot {
    name: String,
    pub(super) element: Box<dyn Element>,
    /// For when a timer event is in the queue.
    pub(super) timer: Option<Instant>,
    counts: PerDirection<(u64, u64)>,
}

impl Slot {
    pub(super) fn new((name, element): (String, Box<dyn Element>)) -> Self {
        Self {
            name,
            element,
            timer: None,
            counts: PerDirection::default(),
        }
    }

    pub(super) fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        self.counts.of_mut(direction).0 += 1;
        self.element.handle_packet(now, direction, packet, out);
    }

    pub(super) fn count_departures(&mut self, out: &[Departure]) {
        for departure in out {
            self.counts.of_mut(departure.direction).1 += 1;
        }
    }
}

/// Who can be reached at one end of a path.
#[derive(Debug, Clone, Default)]
pub(super) struct PathEnd {
    pub(super) hosts: Vec<(IpAddr, HostId)>,
}

impl PathEnd {
    /// Who gets a packet for this address: what is for nobody, or for the address of a NAT, goes to
    /// the first host, as over a wire that ends there.
    pub(super) fn host(&self, destination: Option<IpAddr>) -> Option<HostId> {
        let known = self
            .hosts
            .iter()
            .find(|(address, _)| Some(*address) == destination);
        known.or(self.hosts.first()).map(|(_, host)| *host)
    }
}

/// What one direction of a path carried.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) sent: Traffic,
    pub(super) delivered: Traffic,
    pub(super) throughput: Series,
    backlog: Vec<Backlog>,
}

/// A path.
pub(super) struct Path {
    pub(super) text: String,
    pub(super) slots: Vec<Slot>,
    /// Where packets of each direction arrive.
    pub(super) ends: PerDirection<PathEnd>,
    pub(super) is_down: PerDirection<bool>,
    /// Packets lost because the whole path was down.
    pub(super) cut: PerDirection<u64>,
    pub(super) meters: PerDirection<Meter>,
}

impl Path {
    /// The element after this one in a direction; the first one for none.
    pub(super) fn next(&self, after: Option<usize>, direction: Direction) -> Option<usize> {
        match (after, direction) {
            (None, Direction::ToServer) => (!self.slots.is_empty()).then_some(0),
            (None, Direction::ToClient) => self.slots.len().checked_sub(1),
            (Some(at), Direction::ToServer) => Some(at + 1).filter(|next| *next < self.slots.len()),
            (Some(at), Direction::ToClient) => at.checked_sub(1),
        }
    }

    /// Notes what waits now.
    pub(super) fn sample(&mut self, now: Duration) {
        for direction in BOTH {
            let waits = self
                .slots
                .iter()
                .map(|slot| slot.element.backlog(now, direction));
            let sum = waits.fold(Backlog::default(), |sum, one| Backlog {
                bytes: sum.bytes + one.bytes,
                packets: sum.packets + one.packets,
            });
            let points = &mut self.meters.of_mut(direction).backlog;
            if points.len() < MAX_POINTS {
                points.push(sum);
            }
        }
    }

    pub(super) fn report(&self) -> PathReport {
        PathReport {
            to_server: self.way_report(Direction::ToServer),
            to_client: self.way_report(Direction::ToClient),
        }
    }

    fn way_report(&self, direction: Direction) -> WayReport {
        let meter = self.meters.of(direction);
        let drops = self.slots.iter().map(|slot| slot.element.drops(direction));
        let start = Drops {
            down: *self.cut.of(direction),
            ..Drops::default()
        };
        let drops = drops.fold(start, |sum, one| Drops {
            down: sum.down + one.down,
            too_big: sum.too_big + one.too_big,
            queue: sum.queue + one.queue,
            lost: sum.lost + one.lost,
        });
        let element = |slot: &Slot| {
            let (entered, left) = *slot.counts.of(direction);
            let name = slot.name.clone();
            ElementReport {
                name,
                entered,
                left,
            }
        };
        WayReport {
            sent: meter.sent,
            delivered: meter.delivered,
            throughput: meter.throughput.clone(),
            backlog: meter.backlog.clone(),
            drops,
            elements: self.slots.iter().map(element).collect(),
        }
    }
}

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];
