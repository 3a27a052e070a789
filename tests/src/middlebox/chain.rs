//! Boxes in a row.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Departure, Direction, Middlebox};

/// More packets are not under way between the boxes of a chain; what comes then is dropped.
pub const MAX_UNDER_WAY: usize = 16_384;

/// Boxes in a row, the first one nearest to the client. What one holds for later arrives at its
/// neighbour then and not before.
pub struct Chain {
    boxes: Vec<Box<dyn Middlebox>>,
    /// Packets between two boxes, by time and then by the order of their coming.
    under_way: BTreeMap<(Duration, u64), Hop>,
    hops: u64,
}

struct Hop {
    /// The box it arrives at.
    to: usize,
    direction: Direction,
    packet: Vec<u8>,
}

impl Chain {
    /// These boxes, the first one nearest to the client.
    pub fn new(boxes: Vec<Box<dyn Middlebox>>) -> Self {
        Self {
            boxes,
            under_way: BTreeMap::new(),
            hops: 0,
        }
    }

    /// What box `from` lets go travels to its neighbour, or leaves the chain at its end.
    fn route(&mut self, from: usize, departures: Vec<Departure>, out: &mut Vec<Departure>) {
        for departure in departures {
            let to = match departure.direction {
                Direction::ToServer => Some(from + 1).filter(|to| *to < self.boxes.len()),
                Direction::ToClient => from.checked_sub(1),
            };
            match to {
                Some(to) => self.send(to, departure),
                None => out.push(departure),
            }
        }
    }

    fn send(&mut self, to: usize, departure: Departure) {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return;
        }
        let hop = Hop {
            to,
            direction: departure.direction,
            packet: departure.packet,
        };
        self.under_way.insert((departure.at, self.hops), hop);
        self.hops += 1;
    }

    /// Delivers whatever has arrived by `now`.
    fn deliver(&mut self, now: Duration, out: &mut Vec<Departure>) {
        while let Some(entry) = self.under_way.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let hop = entry.remove();
            let mut departures = Vec::new();
            if let Some(middlebox) = self.boxes.get_mut(hop.to) {
                middlebox.handle_packet(now, hop.direction, hop.packet, &mut departures);
            }
            self.route(hop.to, departures, out);
        }
    }
}

impl Middlebox for Chain {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let to = match direction {
            Direction::ToServer => 0,
            Direction::ToClient => self.boxes.len().saturating_sub(1),
        };
        let departure = Departure {
            at: now,
            direction,
            packet,
        };
        if self.boxes.is_empty() {
            out.push(departure);
        } else {
            self.deliver(now, out);
            self.send(to, departure);
        }
        self.deliver(now, out);
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let hop = self.under_way.keys().next().map(|(at, _)| *at);
        let boxes = self
            .boxes
            .iter()
            .filter_map(|middlebox| middlebox.poll_timeout());
        boxes.chain(hop).min()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.deliver(now, out);
        for from in 0..self.boxes.len() {
            let mut departures = Vec::new();
            if let Some(middlebox) = self.boxes.get_mut(from)
                && middlebox.poll_timeout().is_some_and(|at| at <= now)
            {
                middlebox.handle_timeout(now, &mut departures);
            }
            self.route(from, departures, out);
        }
        self.deliver(now, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, pass, pass_at, pass_one};
    use super::super::spec::Spec;
    use super::*;

    fn chain(text: &str) -> Box<dyn Middlebox> {
        text.parse::<Spec>().unwrap().build()
    }

    #[test]
    fn the_first_box_is_the_nearest_to_the_client() {
        let mut boxes = chain("rewrite:field=mss,set=1+rewrite:field=mss,set=2");
        let mss = Tcp::syn().area(&[2, 4, 5, 180]);
        assert_eq!(pass_one(boxes.as_mut(), &mss).options(), [2, 4, 0, 2]);
        let mss = Tcp::syn_ack().area(&[2, 4, 5, 180]);
        assert_eq!(pass_one(boxes.as_mut(), &mss).options(), [2, 4, 0, 1]);
    }

    #[test]
    fn an_answer_passes_the_boxes_on_its_way_back() {
        let mut boxes = chain("isn:delta=5+refuse:how=rst,on=data");
        let out = pass(boxes.as_mut(), &Tcp::to_server().payload(b"abc"));
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].direction, Direction::ToClient);
    }

    #[test]
    fn a_delayed_packet_arrives_at_the_next_box_later() {
        let mut boxes = chain("impair:delay_ms=10+impair:delay_ms=5");
        let at = Duration::from_millis;
        assert_eq!(pass_at(boxes.as_mut(), at(100), &Tcp::syn()), []);
        assert_eq!(boxes.poll_timeout(), Some(at(110)));
        let mut out = Vec::new();
        boxes.handle_timeout(at(110), &mut out);
        assert_eq!(out[0].at, at(115));
        assert_eq!(boxes.poll_timeout(), None);
    }

    #[test]
    fn a_chain_holds_no_more_than_its_limit() {
        let mut boxes = chain("impair:delay_ms=10+mirror");
        for _ in 0..=MAX_UNDER_WAY {
            pass(boxes.as_mut(), &Tcp::syn());
        }
        let mut out = Vec::new();
        boxes.handle_timeout(Duration::from_millis(10), &mut out);
        assert_eq!(out.len(), MAX_UNDER_WAY);
    }
}
