//! A path of routers and boxes in virtual time, as a prober sees it: bytes in, bytes out.
//!
//! Each router may have a box before it looks at the TTL (PREROUTING of a Linux router) and one behind
//! (FORWARD). Nothing is random but the [`Seed`].
//!
//! ```
//! use mptcp_proto::time::Instant;
//! use mptcp_tests::path::{Family, Path, PathPlan};
//! use mptcp_tests::sim::Seed;
//!
//! let plan = PathPlan::parse(r#"hops = [{}, { after = "strip:option=mp_capable", quotes = 8 }]"#)?;
//! let mut path = Path::new(&plan, Family::V4, Seed(7))?;
//! assert_eq!(path.target().to_string(), "10.77.200.1:80");
//! path.send(Instant::ZERO, vec![0x45]);
//! while let Some(at) = path.poll_timeout() {
//!     path.handle_timeout(at);
//! }
//! assert_eq!(path.poll_arrival(), None);
//! # Ok::<(), anyhow::Error>(())
//! ```

mod balance;
mod plan;
mod router;
mod target;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use mptcp_proto::time::Instant;

use crate::middlebox::spec::Spec;
use crate::middlebox::{Departure, Direction, Middlebox};
use crate::sim::Seed;
use balance::Balance;
pub use plan::{Family, HopPlan, PathPlan, Quotes, Rate, RouterPlan, Spread, TargetPlan};
use router::Router;
use target::Target;

/// A path between a prober and its target.
pub struct Path {
    hops: Vec<Hop>,
    target: Target,
    source: SocketAddr,
    destination: SocketAddr,
    balance: Balance,
    latency: Duration,
    /// What is under way, by time and then by the order of its coming.
    agenda: BTreeMap<(Instant, u64), Event>,
    events: u64,
    arrivals: VecDeque<Vec<u8>>,
    passages: Vec<Passage>,
    now: Instant,
}

/// The routers at one TTL, of which each packet meets one.
struct Hop {
    latency: Duration,
    ways: Vec<Way>,
}

struct Way {
    router: Router,
    before: Option<Box<dyn Middlebox>>,
    after: Option<Box<dyn Middlebox>>,
}

/// Where a box stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// TTL of its router, from 1.
    pub hop: u8,
    /// Number of the router among those of this TTL.
    pub way: usize,
    /// Before or behind the look at the TTL.
    pub stage: Stage,
}

/// Before or behind a router's look at the TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Quotes of the router itself show what the box did.
    Before,
    /// Only quotes of the next router do.
    After,
}

/// A packet went into a box: what truly happened to it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Which box.
    pub spot: Spot,
    /// Which way the packet travelled.
    pub direction: Direction,
    /// The packet as it came.
    pub before: Vec<u8>,
    /// What left because of it.
    pub after: Vec<(Direction, Vec<u8>)>,
}

enum Event {
    /// A packet comes to a point of the path.
    Arrival(Point, Direction, Vec<u8>),
    /// A packet leaves a box; whether it still has to pass the look at the TTL.
    Left(Spot, bool, Direction, Vec<u8>),
    /// A box wants to be called.
    BoxTimeout(Spot),
    /// The target wants to be called.
    TargetTimeout,
}

#[derive(Clone, Copy)]
enum Point {
    Client,
    /// Counted from 0.
    Hop(usize),
    Target,
}

impl Path {
    /// The path that a plan describes. All randomness comes from the seed.
    pub fn new(plan: &PathPlan, family: Family, seed: Seed) -> anyhow::Result<Self> {
        let mut hops = Vec::new();
        for (number, hop) in plan.hops.iter().enumerate() {
            let mut ways = Vec::new();
            for (way, router) in hop.routers().iter().enumerate() {
                let name = format!("hop {} way {way}", number + 1);
                let address = match router.addr {
                    Some(address) => address,
                    None => family.router(number + 1, way),
                };
                ways.push(Way {
                    router: Router::new(router, address, seed.generator(&name)),
                    before: build(router.before.as_deref()).context(name.clone())?,
                    after: build(router.after.as_deref()).context(name)?,
                });
            }
            let latency = hop.routers().first().and_then(|router| router.latency_ms);
            let latency = latency.unwrap_or(plan.latency_ms);
            anyhow::ensure!(!ways.is_empty(), "hop {} has no router", number + 1);
            hops.push(Hop {
                latency: Duration::from_secs_f64(latency / 1000.0),
                ways,
            });
        }
        Ok(Self {
            hops,
            target: Target::new(plan.target, family.target(), seed.derive("target")),
            source: family.client(),
            destination: family.target(),
            balance: Balance::new(plan.balance, seed),
            latency: Duration::from_secs_f64(plan.latency_ms / 1000.0),
            agenda: BTreeMap::new(),
            events: 0,
            arrivals: VecDeque::new(),
            passages: Vec::new(),
            now: Instant::ZERO,
        })
    }

    /// The prober's end: an address, and a port that it may use.
    pub const fn source(&self) -> SocketAddr {
        self.source
    }

    /// Whom the prober asks.
    pub const fn target(&self) -> SocketAddr {
        self.destination
    }

    /// Address of a router; TTLs count from 1.
    pub fn router(&self, ttl: u8, way: usize) -> Option<IpAddr> {
        let hop = self.hops.get(usize::from(ttl).checked_sub(1)?)?;
        Some(hop.ways.get(way)?.router.address)
    }

    /// What the boxes did so far.
    pub fn passages(&self) -> &[Passage] {
        &self.passages
    }

    /// The prober sends a packet.
    pub fn send(&mut self, now: Instant, packet: Vec<u8>) {
        self.now = self.now.max(now);
        self.travel(self.now, 0, Direction::ToServer, packet);
    }

    /// The next packet that came for the prober.
    pub fn poll_arrival(&mut self) -> Option<Vec<u8>> {
        self.arrivals.pop_front()
    }

    /// When [`Path::handle_timeout`] wants to be called; none while nothing is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = self.agenda.first_key_value();
        next.map(|((at, _), _)| *at)
    }

    /// Everything happens that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(entry) = self.agenda.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(at);
            match event {
                Event::Arrival(point, direction, packet) => self.arrive(point, direction, packet),
                Event::Left(spot, to_ttl, direction, packet) => {
                    self.left(spot, to_ttl, direction, packet);
                }
                Event::BoxTimeout(spot) => self.box_timeout(spot),
                Event::TargetTimeout => self.target_timeout(),
            }
        }
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        // More is lost, as on a link whose queue is full.
        if self.agenda.len() < MAX_UNDER_WAY {
            self.agenda.insert((at, self.events), event);
            self.events += 1;
        }
    }

    /// A packet leaves the gap before hop `gap` (the last gap is before the target) in a direction.
    fn travel(&mut self, at: Instant, gap: usize, direction: Direction, packet: Vec<u8>) {
        let latency = self.hops.get(gap).map_or(self.latency, |hop| hop.latency);
        let point = match direction {
            Direction::ToServer if gap < self.hops.len() => Point::Hop(gap),
            Direction::ToServer => Point::Target,
            Direction::ToClient => gap.checked_sub(1).map_or(Point::Client, Point::Hop),
        };
        self.schedule(at + latency, Event::Arrival(point, direction, packet));
    }

    fn arrive(&mut self, point: Point, direction: Direction, packet: Vec<u8>) {
        match point {
            Point::Client if self.arrivals.len() < MAX_UNDER_WAY => self.arrivals.push_back(packet),
            Point::Client => {}
            Point::Target => {
                self.target.handle_packet(self.now, &packet);
                self.drain_target();
            }
            Point::Hop(hop) => {
                let ways = self.hops[hop].ways.len();
                let way = self.balance.way(hop, ways, &packet);
                let hop = u8::try_from(hop + 1).unwrap_or(u8::MAX);
                let stage = Stage::Before;
                self.enter(Spot { hop, way, stage }, direction, packet);
            }
        }
    }

    /// A packet comes to the place of a box, whether there is one or not.
    fn enter(&mut self, spot: Spot, direction: Direction, packet: Vec<u8>) {
        let now = self.now.since_start();
        let is_before = spot.stage == Stage::Before;
        let Some(middlebox) = self.middlebox(spot) else {
            return self.left(spot, is_before, direction, packet);
        };
        let mut out = Vec::new();
        middlebox.handle_packet(now, direction, packet.clone(), &mut out);
        if self.passages.len() < MAX_PASSAGES {
            let after = out.iter().map(|out| (out.direction, out.packet.clone()));
            self.passages.push(Passage {
                spot,
                direction,
                before: packet,
                after: after.collect(),
            });
        }
        self.depart(spot, Some(direction), out);
    }

    /// What a box lets go. What it sends back itself does not pass its own router again.
    fn depart(&mut self, spot: Spot, came: Option<Direction>, out: Vec<Departure>) {
        for departure in out {
            let goes_on = came.is_none_or(|came| came == departure.direction);
            let to_ttl = spot.stage == Stage::Before && goes_on;
            let at = Instant::ZERO + departure.at;
            let (direction, packet) = (departure.direction, departure.packet);
            if at <= self.now {
                self.left(spot, to_ttl, direction, packet);
            } else {
                self.schedule(at, Event::Left(spot, to_ttl, direction, packet));
            }
        }
        let timeout = self.middlebox(spot).and_then(|it| it.poll_timeout());
        if let Some(at) = timeout {
            self.schedule(Instant::ZERO + at, Event::BoxTimeout(spot));
        }
    }

    /// A packet leaves the place of a box: to the look at the TTL, or to the next hop.
    fn left(&mut self, spot: Spot, to_ttl: bool, direction: Direction, mut packet: Vec<u8>) {
        let index = usize::from(spot.hop).saturating_sub(1);
        if !to_ttl {
            let gap = match direction {
                Direction::ToServer => index + 1,
                Direction::ToClient => index,
            };
            return self.travel(self.now, gap, direction, packet);
        }
        let router = &mut self.hops[index].ways[spot.way].router;
        if router::forward(&mut packet) {
            let stage = Stage::After;
            self.enter(Spot { stage, ..spot }, direction, packet);
        } else if let Some(error) = router.time_exceeded(self.now, &packet) {
            // An error goes to who sent the packet, and that is where the packet came from.
            let back = direction.reverse();
            self.left(spot, false, back, error);
        }
    }

    fn middlebox(&mut self, spot: Spot) -> Option<&mut Box<dyn Middlebox>> {
        let hop = self.hops.get_mut(usize::from(spot.hop).checked_sub(1)?)?;
        let way = hop.ways.get_mut(spot.way)?;
        match spot.stage {
            Stage::Before => way.before.as_mut(),
            Stage::After => way.after.as_mut(),
        }
    }

    fn box_timeout(&mut self, spot: Spot) {
        let now = self.now.since_start();
        let mut out = Vec::new();
        if let Some(middlebox) = self.middlebox(spot)
            && middlebox.poll_timeout().is_some_and(|at| at <= now)
        {
            middlebox.handle_timeout(now, &mut out);
            self.depart(spot, None, out);
        }
    }

    fn target_timeout(&mut self) {
        if self.target.poll_timeout().is_some_and(|at| at <= self.now) {
            self.target.handle_timeout(self.now);
            self.drain_target();
        }
    }

    fn drain_target(&mut self) {
        while let Some(packet) = self.target.poll_transmit(self.now) {
            let gap = self.hops.len();
            self.travel(self.now, gap, Direction::ToClient, packet);
        }
        if let Some(at) = self.target.poll_timeout() {
            self.schedule(at.max(self.now), Event::TargetTimeout);
        }
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Path")
            .field("hops", &self.hops.len())
            .field("now", &self.now)
            .field("under_way", &self.agenda.len())
            .finish_non_exhaustive()
    }
}

fn build(text: Option<&str>) -> anyhow::Result<Option<Box<dyn Middlebox>>> {
    let spec: Option<Spec> = text.map(str::parse).transpose()?;
    Ok(spec.map(|spec| spec.build()))
}

/// Packets that are under way, or wait for the prober.
pub const MAX_UNDER_WAY: usize = 16_384;
/// Packets through boxes that are remembered.
pub const MAX_PASSAGES: usize = 65_536;

#[cfg(test)]
mod tests;
