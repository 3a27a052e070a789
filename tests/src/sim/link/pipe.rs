//! A link with a rate, a queue and its accidents, both directions.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use super::lane::Lane;
use super::too_big::too_big;
use super::{Backlog, Drops, Element};
use crate::middlebox::flow_table::PerDirection;
use crate::middlebox::header;
use crate::middlebox::spec::Probability;
use crate::middlebox::{Departure, Direction, Middlebox};
use crate::sim::seed::Seed;

/// More packets never wait for a link, whatever its queue is said to hold.
pub const MAX_WAITING: u64 = 262_144;

/// The link. It holds nothing back: packets leave with the time at which they arrive at its end.
#[derive(Debug)]
pub(super) struct Pipe {
    ways: PerDirection<Way>,
}

#[derive(Debug)]
struct Way {
    lane: Lane,
    /// What is being sent or waits, in order.
    waiting: VecDeque<Sending>,
    waiting_bytes: u64,
    busy_until: Duration,
    /// How many packets came.
    number: u64,
    is_bad: bool,
    /// When the last packet arrives that keeps its place.
    last: Duration,
    dice: Dice,
    drops: Drops,
}

#[derive(Debug, Clone, Copy)]
struct Sending {
    start: Duration,
    done: Duration,
    bytes: u64,
}

/// A generator for each kind of accident, so that one does not change the others.
#[derive(Debug)]
struct Dice {
    loss: Rng,
    burst: Rng,
    jitter: Rng,
    reorder: Rng,
    duplicate: Rng,
    corrupt: Rng,
}

impl Dice {
    fn new(seed: Seed) -> Self {
        Self {
            loss: seed.generator("loss"),
            burst: seed.generator("burst"),
            jitter: seed.generator("jitter"),
            reorder: seed.generator("reorder"),
            duplicate: seed.generator("duplicate"),
            corrupt: seed.generator("corrupt"),
        }
    }
}

fn happens(dice: &mut Rng, probability: Probability) -> bool {
    dice.u32(..Probability::ONE) < probability.millionths()
}

impl Pipe {
    pub(super) fn new(lanes: &PerDirection<Lane>, seed: Seed) -> Self {
        Self {
            ways: PerDirection {
                to_server: Way::new(&lanes.to_server, seed.derive(">")),
                to_client: Way::new(&lanes.to_client, seed.derive("<")),
            },
        }
    }
}

impl Way {
    fn new(lane: &Lane, seed: Seed) -> Self {
        Self {
            lane: lane.clone(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            busy_until: Duration::ZERO,
            number: 0,
            is_bad: false,
            last: Duration::ZERO,
            dice: Dice::new(seed),
            drops: Drops::default(),
        }
    }

    /// When the packet has been sent, the time of its waiting included; none if the queue is full.
    fn send(&mut self, now: Duration, packet: &mut [u8]) -> Option<Duration> {
        let Some(rate) = self.lane.rate else {
            return Some(now);
        };
        while self.waiting.front().is_some_and(|first| first.done <= now) {
            let sent = self.waiting.pop_front().map_or(0, |first| first.bytes);
            self.waiting_bytes = self.waiting_bytes.saturating_sub(sent);
        }
        let bytes = packet.len() as u64;
        if let Some(current) = self.waiting.front() {
            let behind = self.waiting_bytes - current.bytes + bytes;
            let packets = self.waiting.len() as u64;
            if packets > MAX_WAITING || !self.lane.queue.holds(behind, packets, rate) {
                return None;
            }
        }
        let start = now.max(self.busy_until);
        if self
            .lane
            .mark
            .is_some_and(|mark| start > now.saturating_add(mark))
        {
            mark_congestion(packet);
        }
        let nanos = (u128::from(bytes) * 8_000_000_000).div_ceil(rate.into());
        let done = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.busy_until = done;
        self.waiting.push_back(Sending { start, done, bytes });
        self.waiting_bytes += bytes;
        Some(done)
    }

    fn is_lost(&mut self) -> bool {
        let lane = &self.lane;
        let mut lost = lane.drop.contains(&self.number);
        lost |= lane
            .every
            .is_some_and(|every| self.number.is_multiple_of(every));
        if let Some(burst) = lane.burst {
            let changes = if self.is_bad { burst.end } else { burst.start };
            self.is_bad ^= happens(&mut self.dice.burst, changes);
            lost |= self.is_bad;
        }
        lost | happens(&mut self.dice.loss, lane.loss)
    }

    fn corrupt(&mut self, packet: &mut [u8]) {
        if !happens(&mut self.dice.corrupt, self.lane.corrupt) {
            return;
        }
        let start = if packet.first().is_some_and(|byte| byte >> 4 == 6) {
            40
        } else {
            20
        };
        if let Some(body) = packet.get_mut(start..).filter(|body| !body.is_empty()) {
            let bit = self.dice.corrupt.usize(..body.len() * 8);
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }

    /// When a packet arrives that was sent at `done`.
    fn arrival(&mut self, done: Duration) -> Duration {
        let most = u64::try_from(self.lane.jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = if most > 0 {
            self.dice.jitter.u64(..=most)
        } else {
            0
        };
        let at = done + self.lane.delay + Duration::from_nanos(jitter);
        if let Some((often, by)) = self.lane.reorder
            && happens(&mut self.dice.reorder, often)
        {
            return at + by;
        }
        if self.lane.overtake {
            return at;
        }
        self.last = self.last.max(at);
        self.last
    }

    /// What waits now, without what is being sent.
    fn backlog(&self, now: Duration) -> Backlog {
        let waits = self.waiting.iter().rev().take_while(|one| one.start > now);
        waits.fold(Backlog::default(), |sum, one| Backlog {
            bytes: sum.bytes + one.bytes,
            packets: sum.packets + 1,
        })
    }
}

impl Middlebox for Pipe {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        mut packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let way = self.ways.of_mut(direction);
        way.number += 1;
        if way.lane.is_down(now) {
            way.drops.down += 1;
            return;
        }
        if let Some(mtu) = way.lane.mtu.filter(|mtu| packet.len() > mtu.bytes) {
            way.drops.too_big += 1;
            let answer = if mtu.is_silent {
                None
            } else {
                too_big(&packet, mtu.bytes)
            };
            out.extend(answer.map(|packet| Departure {
                at: now,
                direction: direction.reverse(),
                packet,
            }));
            return;
        }
        let Some(done) = way.send(now, &mut packet) else {
            way.drops.queue += 1;
            return;
        };
        // What is still on its way out when the link goes down does not arrive.
        if way.lane.is_down(done) {
            way.drops.down += 1;
            return;
        }
        if way.is_lost() {
            way.drops.lost += 1;
            return;
        }
        way.corrupt(&mut packet);
        let at = way.arrival(done);
        let departure = Departure {
            at,
            direction,
            packet,
        };
        let again = happens(&mut way.dice.duplicate, way.lane.duplicate);
        out.extend(again.then(|| departure.clone()));
        out.push(departure);
    }
}

impl Element for Pipe {
    fn backlog(&self, now: Duration, direction: Direction) -> Backlog {
        self.ways.of(direction).backlog(now)
    }

    fn drops(&self, direction: Direction) -> Drops {
        self.ways.of(direction).drops
    }
}

/// RFC 3168 §5: congestion experienced, on packets of a transport that understands it.
fn mark_congestion(packet: &mut [u8]) {
    match packet {
        [first, class, ..] if *first >> 4 == 4 && *class & 3 != 0 => {
            *class |= 3;
            header::fix_ip(packet);
        }
        [first, class, ..] if *first >> 4 == 6 && *class & 0x30 != 0 => *class |= 0x30,
        _ => {}
    }
}
