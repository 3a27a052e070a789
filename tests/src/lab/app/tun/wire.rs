//! What lies between the endpoint and its devices: a box of the kit, or nothing.

use std::collections::VecDeque;
use std::time::Duration;

use crate::middlebox::{Departure, Direction, Middlebox};

/// The box and what it has let go but not yet.
pub(super) struct Wire {
    middlebox: Option<Box<dyn Middlebox>>,
    outward: Direction,
    /// In the order in which they leave.
    waiting: VecDeque<Departure>,
}

/// A packet at the end of the wire.
pub(super) enum Arrival {
    /// At the devices.
    Outside(Vec<u8>),
    /// At the endpoint.
    Inside(Vec<u8>),
}

impl Wire {
    /// `outward` is the way of the endpoint's packets, which the box calls by the roles of the hosts.
    pub(super) fn new(middlebox: Option<Box<dyn Middlebox>>, outward: Direction) -> Self {
        Self {
            middlebox,
            outward,
            waiting: VecDeque::new(),
        }
    }

    /// The endpoint sends a packet.
    pub(super) fn leave(&mut self, now: Duration, packet: Vec<u8>) {
        self.pass(now, self.outward, packet);
    }

    /// The kernel has sent a packet.
    pub(super) fn enter(&mut self, now: Duration, packet: Vec<u8>) {
        self.pass(now, self.outward.reverse(), packet);
    }

    fn pass(&mut self, now: Duration, direction: Direction, packet: Vec<u8>) {
        let mut out = Vec::new();
        if let Some(middlebox) = &mut self.middlebox {
            middlebox.handle_packet(now, direction, packet, &mut out);
        } else {
            out.push(Departure {
                at: now,
                direction,
                packet,
            });
        }
        self.keep(out);
    }

    fn keep(&mut self, out: Vec<Departure>) {
        for departure in out {
            let place = self
                .waiting
                .partition_point(|other| other.at <= departure.at);
            self.waiting.insert(place, departure);
        }
    }

    /// The next packet that is through.
    pub(super) fn poll(&mut self, now: Duration) -> Option<Arrival> {
        if let Some(middlebox) = &mut self.middlebox
            && middlebox.poll_timeout().is_some_and(|at| at <= now)
        {
            let mut out = Vec::new();
            middlebox.handle_timeout(now, &mut out);
            self.keep(out);
        }
        if self.waiting.front()?.at > now {
            return None;
        }
        let departure = self.waiting.pop_front()?;
        Some(if departure.direction == self.outward {
            Arrival::Outside(departure.packet)
        } else {
            Arrival::Inside(departure.packet)
        })
    }

    /// When a packet will be through that is not yet.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let held = self.middlebox.as_ref().and_then(|held| held.poll_timeout());
        let waiting = self.waiting.front().map(|departure| departure.at);
        held.into_iter().chain(waiting).min()
    }
}
