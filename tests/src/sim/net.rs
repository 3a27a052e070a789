//! The network: paths between hosts, and the clock that they share.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use mptcp_proto::time::Instant;

use super::event::{Events, Hop, What};
use super::fingerprint::Fingerprint;
use super::host::{CLIENT, HostId, Hosts, SERVER};
use super::link::Link;
use super::measure::{INTERVAL, PathReport};
use super::path::{Path, PathEnd, Slot};
use super::recording::{Kept, Recording, Way};
use super::route::{Routes, addresses};
use super::seed::{SEED_VARIABLE, Seed};
use crate::middlebox::flow_table::PerDirection;
use crate::middlebox::select::Toward;
use crate::middlebox::{Departure, Direction};

/// A path of a network, by the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathId(pub(super) usize);

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nothing is under way and no host waits for anything.
    Idle,
    /// The time that was asked for is over.
    Time,
    /// What was waited for has come true.
    Done,
    /// More than [`Limits::events`].
    Events,
    /// Later than [`Limits::until`].
    Late,
    /// More than [`Limits::events_at_once`] without time going on: somebody wakes up for nothing.
    Livelock,
    /// More than [`Limits::under_way`] packets and timers: somebody sends without end.
    Flood,
}

/// What ends a run that would not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events of all runs of the network.
    pub events: u64,
    /// Virtual time.
    pub until: Instant,
    /// Events at one and the same time.
    pub events_at_once: u64,
    /// Packets on the paths, and timers.
    pub under_way: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 1_000_000_000,
            until: Instant::from_millis(7 * 24 * 3600 * 1000),
            events_at_once: 1_000_000,
            under_way: 4_000_000,
        }
    }
}

/// What happened in all runs of a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetCounts {
    /// Events.
    pub events: u64,
    /// Packets for which a host had no route.
    pub unroutable: u64,
    /// Packets that arrived at hosts.
    pub delivered: u64,
}

/// A network in virtual time. Its hosts are those of the test.
pub struct Net {
    seed: Seed,
    now: Instant,
    /// Limits of every run.
    pub limits: Limits,
    notes: Vec<String>,
    /// For when a timer event of each host is in the queue.
    timers: Vec<Option<Instant>>,
    paths: Vec<Path>,
    routes: Routes,
    events: Events,
    counts: NetCounts,
    at_once: u64,
    fingerprint: Fingerprint,
    recordings: BTreeMap<HostId, Recording>,
    next_sample: Instant,
    flooded: bool,
}

impl Net {
    /// A network of [`CLIENT`] and [`SERVER`] without a path.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            now: Instant::ZERO,
            limits: Limits::default(),
            notes: Vec::new(),
            timers: vec![None; 2],
            paths: Vec::new(),
            routes: Routes::default(),
            events: Events::default(),
            counts: NetCounts::default(),
            at_once: 0,
            fingerprint: Fingerprint::default(),
            recordings: BTreeMap::new(),
            next_sample: Instant::ZERO + INTERVAL,
            flooded: false,
        }
    }

    /// One more host. It is the next one of those that the runs get.
    pub fn add_host(&mut self) -> HostId {
        self.timers.push(None);
        HostId(self.timers.len() - 1)
    }

    /// Another path between [`CLIENT`] and [`SERVER`]. Each has an address of both families at its
    /// end, see [`Net::client_address`]; the client's one decides that packets take this path, the
    /// server may use any of its own.
    pub fn path(&mut self, link: Link) -> PathId {
        let path = self.add_path(link);
        for family in FAMILIES {
            let (near, far) = (address(family, path, 1), address(family, path, 2));
            self.attach(path, Direction::ToClient, CLIENT, near);
            self.attach(path, Direction::ToServer, SERVER, far);
            self.route(CLIENT, Some(near), None, path, Direction::ToServer);
            self.route(SERVER, None, Some(near), path, Direction::ToClient);
        }
        path
    }

    /// Another path between any addresses of two hosts, which packets take that have both.
    pub fn path_between(
        &mut self,
        near: (HostId, &[IpAddr]),
        far: (HostId, &[IpAddr]),
        link: Link,
    ) -> PathId {
        let path = self.add_path(link);
        self.join(path, near, far);
        path
    }

    /// These addresses share a path with those that have it already: a bottleneck of many flows.
    pub fn join(&mut self, path: PathId, near: (HostId, &[IpAddr]), far: (HostId, &[IpAddr])) {
        near.1
            .iter()
            .for_each(|address| self.attach(path, Direction::ToClient, near.0, *address));
        far.1
            .iter()
            .for_each(|address| self.attach(path, Direction::ToServer, far.0, *address));
        for here in near.1 {
            for there in far
                .1
                .iter()
                .filter(|there| there.is_ipv4() == here.is_ipv4())
            {
                self.route(near.0, Some(*here), Some(*there), path, Direction::ToServer);
                self.route(far.0, Some(*there), Some(*here), path, Direction::ToClient);
            }
        }
    }

    /// A path beside another one: flows are spread over both by a hash of their ends (ECMP).
    pub fn path_beside(&mut self, path: PathId, link: Link) -> PathId {
        let beside = self.add_path(link);
        let ends = self.paths[path.0].ends.clone();
        self.paths[beside.0].ends = ends;
        self.routes.spread(path, beside);
        beside
    }

    fn add_path(&mut self, link: Link) -> PathId {
        let path = PathId(self.paths.len());
        let translated = link.nat_addresses();
        let text = link.to_string();
        let seed = self.seed.derive(&format!("path {}", path.0));
        self.paths.push(Path {
            text,
            slots: link.build(seed).into_iter().map(Slot::new).collect(),
            ends: PerDirection::default(),
            is_down: PerDirection::default(),
            cut: PerDirection::default(),
            meters: PerDirection::default(),
        });
        for address in translated {
            self.route(SERVER, None, Some(address), path, Direction::ToClient);
        }
        path
    }

    /// Who is reached where packets of this direction arrive.
    fn attach(&mut self, path: PathId, direction: Direction, host: HostId, address: IpAddr) {
        let end: &mut PathEnd = self.paths[path.0].ends.of_mut(direction);
        end.hosts.push((address, host));
    }

    /// Packets of a host take this path if they have these addresses; none stands for any.
    pub fn route(
        &mut self,
        host: HostId,
        source: Option<IpAddr>,
        destination: Option<IpAddr>,
        path: PathId,
        direction: Direction,
    ) {
        self.routes
            .add(host, source, destination, (path, direction));
    }

    /// The client's IPv4 address on a path of [`Net::path`].
    pub fn client_address(&self, path: PathId) -> IpAddr {
        address(Family::V4, path, 1)
    }

    /// The server's IPv4 address on a path of [`Net::path`].
    pub fn server_address(&self, path: PathId) -> IpAddr {
        address(Family::V4, path, 2)
    }

    /// The client's IPv6 address on a path of [`Net::path`].
    pub fn client_address_v6(&self, path: PathId) -> IpAddr {
        address(Family::V6, path, 1)
    }

    /// The server's IPv6 address on a path of [`Net::path`].
    pub fn server_address_v6(&self, path: PathId) -> IpAddr {
        address(Family::V6, path, 2)
    }

    /// The seed of the run.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What happened so far.
    pub fn counts(&self) -> NetCounts {
        self.counts
    }

    /// A number that equal runs share and others do not: over all packets that arrived, with their
    /// times and hosts.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.value()
    }

    /// What a path carried.
    pub fn report(&self, path: PathId) -> PathReport {
        self.paths[path.0].report()
    }

    /// From now on, records what a host sends and receives.
    pub fn record(&mut self, host: HostId) {
        self.record_only(host, Kept::default());
    }

    /// The same, but keeps no more than so much.
    pub fn record_only(&mut self, host: HostId, kept: Kept) {
        let recording = self.recordings.entry(host);
        recording.or_insert_with(|| Recording::new(kept));
    }

    /// Takes a path down, or up again, in these directions. What is on its way there is lost.
    pub fn set_down(&mut self, path: PathId, toward: Toward, is_down: bool) {
        let known = &mut self.paths[path.0];
        for direction in [Direction::ToServer, Direction::ToClient] {
            if toward.includes(direction) {
                *known.is_down.of_mut(direction) = is_down;
            }
        }
    }

    /// What was recorded at a host.
    pub fn recording(&self, host: HostId) -> Option<&Recording> {
        self.recordings.get(&host)
    }

    /// The recording as a pcapng file: all paths of the host, each an interface, or one of them.
    /// None if the host was not recorded.
    pub fn pcapng(&self, host: HostId, only: Option<PathId>) -> Option<Vec<u8>> {
        let names: Vec<String> = (0..self.paths.len())
            .map(|path| format!("path{path}"))
            .collect();
        let recording = self.recordings.get(&host)?;
        Some(recording.pcapng(&names, only.map(|path| path.0)))
    }

    /// Adds something to [`Net::scenario`], for example what the hosts do.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// One line that says how to repeat the run. It is printed when a test fails.
    pub fn scenario(&self) -> String {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("?");
        let begin = format!("{SEED_VARIABLE}={} cargo test {test}", self.seed);
        let paths = self.paths.iter().enumerate();
        let paths = paths.map(|(number, path)| format!("path{number}: {}", path.text));
        let parts = std::iter::once(begin)
            .chain(paths)
            .chain(self.notes.iter().cloned());
        let parts: Vec<String> = parts.chain([format!("at {}", self.now)]).collect();
        parts.join(" # ")
    }

    /// Runs until nothing more will happen.
    pub fn run_until_idle(&mut self, hosts: &mut dyn Hosts) -> Stop {
        self.run(hosts, Instant::FAR_FUTURE)
    }

    /// Runs for this time.
    pub fn run_for(&mut self, hosts: &mut dyn Hosts, time: Duration) -> Stop {
        let until = self.now + time;
        self.run(hosts, until)
    }

    /// Runs until `done`, which is asked after every event, but no longer than `time`.
    pub fn run_until<H: Hosts>(
        &mut self,
        hosts: &mut H,
        time: Duration,
        mut done: impl FnMut(&mut H) -> bool,
    ) -> Stop {
        let until = self.now + time;
        if let Some(stop) = self.wake_all(hosts) {
            return stop;
        }
        loop {
            if done(hosts) {
                return Stop::Done;
            }
            if let Some(stop) = self.step(hosts, until) {
                return stop;
            }
        }
    }

    fn run(&mut self, hosts: &mut dyn Hosts, until: Instant) -> Stop {
        if let Some(stop) = self.wake_all(hosts) {
            return stop;
        }
        loop {
            if let Some(stop) = self.step(hosts, until) {
                return stop;
            }
        }
    }

    /// The test may have told the hosts something since the last run.
    fn wake_all(&mut self, hosts: &mut dyn Hosts) -> Option<Stop> {
        self.at_once = 0;
        for host in (0..self.timers.len()).map(HostId) {
            self.drain(hosts, host);
        }
        self.flooded.then_some(Stop::Flood)
    }

    /// One event; why the run ends if it does.
    fn step(&mut self, hosts: &mut dyn Hosts, until: Instant) -> Option<Stop> {
        let last = until.min(self.limits.until);
        let next = self.events.next_at();
        if next.is_none_or(|at| at > last) {
            let stop = match next {
                None if until == Instant::FAR_FUTURE => return Some(Stop::Idle),
                _ if last < until => Stop::Late,
                _ => Stop::Time,
            };
            self.advance(last);
            return Some(stop);
        }
        if self.counts.events >= self.limits.events {
            return Some(Stop::Events);
        }
        let at = next.unwrap_or(self.now);
        self.at_once = if at > self.now { 0 } else { self.at_once + 1 };
        if self.at_once > self.limits.events_at_once {
            return Some(Stop::Livelock);
        }
        self.advance(at);
        self.counts.events += 1;
        match self.events.pop()? {
            What::Arrival(hop) => self.arrive(hosts, hop),
            What::ElementTimer(path, element) => self.element_timer(path, element),
            What::HostTimer(host) => self.host_timer(hosts, host),
        }
        (self.flooded || self.events.len() > self.limits.under_way).then_some(Stop::Flood)
    }

    /// Moves the clock, and notes on the way what waits.
    fn advance(&mut self, to: Instant) {
        while self.next_sample <= to {
            let at = self.next_sample.since_start();
            self.paths.iter_mut().for_each(|path| path.sample(at));
            self.next_sample += INTERVAL;
        }
        self.now = self.now.max(to);
    }

    fn arrive(&mut self, hosts: &mut dyn Hosts, hop: Hop) {
        let path = &mut self.paths[hop.path.0];
        if *path.is_down.of(hop.direction) {
            *path.cut.of_mut(hop.direction) += 1;
            return;
        }
        let Some(element) = hop.element else {
            return self.deliver(hosts, hop.path, hop.direction, &hop.packet);
        };
        let mut out = Vec::new();
        let now = self.now.since_start();
        path.slots[element].handle_packet(now, hop.direction, hop.packet, &mut out);
        self.depart(hop.path, element, out);
    }

    fn element_timer(&mut self, path: PathId, element: usize) {
        let slot = &mut self.paths[path.0].slots[element];
        slot.timer = None;
        let now = self.now.since_start();
        let mut out = Vec::new();
        if slot.element.poll_timeout().is_some_and(|at| at <= now) {
            slot.element.handle_timeout(now, &mut out);
        }
        self.depart(path, element, out);
    }

    /// What leaves an element goes on to the next one, and its timer is set anew.
    fn depart(&mut self, path: PathId, element: usize, out: Vec<Departure>) {
        let known = &mut self.paths[path.0];
        known.slots[element].count_departures(&out);
        for departure in out {
            let next = known.next(Some(element), departure.direction);
            let hop = Hop {
                path,
                element: next,
                direction: departure.direction,
                packet: departure.packet,
            };
            let at = Instant::ZERO + departure.at;
            self.events.push(at.max(self.now), What::Arrival(hop));
        }
        let slot = &mut known.slots[element];
        let wanted = slot.element.poll_timeout().map(|at| Instant::ZERO + at);
        if let Some(at) = sooner(wanted, slot.timer, self.now) {
            slot.timer = Some(at);
            self.events.push(at, What::ElementTimer(path, element));
        }
    }

    fn deliver(&mut self, hosts: &mut dyn Hosts, path: PathId, way: Direction, packet: &[u8]) {
        let known = &mut self.paths[path.0];
        let meter = known.meters.of_mut(way);
        meter.delivered.add(packet);
        meter.throughput.add(self.now, packet.len() as u64);
        let destination = addresses(packet).map(|(_, destination)| destination);
        let Some(host) = known.ends.of(way).host(destination) else {
            return;
        };
        self.counts.delivered += 1;
        self.fingerprint.add(self.now, host, packet);
        if let Some(recording) = self.recordings.get_mut(&host) {
            recording.add(self.now, path.0, Way::In, packet);
        }
        if let Some(receiver) = hosts.host(host) {
            receiver.handle_packet(self.now, packet);
        }
        self.drain(hosts, host);
    }

    fn host_timer(&mut self, hosts: &mut dyn Hosts, id: HostId) {
        self.timers[id.0] = None;
        if let Some(host) = hosts.host(id)
            && host.poll_timeout().is_some_and(|at| at <= self.now)
        {
            host.handle_timeout(self.now);
        }
        self.drain(hosts, id);
    }

    /// Takes what a host has to send, and sets its timer anew.
    fn drain(&mut self, hosts: &mut dyn Hosts, id: HostId) {
        let Some(host) = hosts.host(id) else {
            return;
        };
        let mut packet = Vec::new();
        while host.poll_transmit(self.now, &mut packet) {
            self.send(id, std::mem::take(&mut packet));
            if self.events.len() > self.limits.under_way {
                self.flooded = true;
                return;
            }
        }
        if let Some(at) = sooner(host.poll_timeout(), self.timers[id.0], self.now) {
            self.timers[id.0] = Some(at);
            self.events.push(at, What::HostTimer(id));
        }
    }

    fn send(&mut self, host: HostId, packet: Vec<u8>) {
        let Some((path, direction)) = self.routes.exit(host, &packet) else {
            self.counts.unroutable += 1;
            return;
        };
        if let Some(recording) = self.recordings.get_mut(&host) {
            recording.add(self.now, path.0, Way::Out, &packet);
        }
        let known = &mut self.paths[path.0];
        known.meters.of_mut(direction).sent.add(&packet);
        let hop = Hop {
            path,
            element: known.next(None, direction),
            direction,
            packet,
        };
        self.events.push(self.now, What::Arrival(hop));
    }
}

/// When a timer event is needed that is not in the queue yet. One that comes too early looks again.
fn sooner(wanted: Option<Instant>, set: Option<Instant>, now: Instant) -> Option<Instant> {
    let wanted = wanted?.max(now);
    (wanted < Instant::FAR_FUTURE && set.is_none_or(|set| wanted < set)).then_some(wanted)
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Address number `host` of a path.
fn address(family: Family, path: PathId, host: u8) -> IpAddr {
    let number = u16::try_from(path.0 + 1).expect("paths are few");
    match family {
        Family::V4 => {
            let [high, low] = number.to_be_bytes();
            Ipv4Addr::new(10, high, low, host).into()
        }
        Family::V6 => Ipv6Addr::new(0xfd00, 0, 0, number, 0, 0, 0, host.into()).into(),
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario())
    }
}

/// A test that fails while its network exists says how to repeat it.
#[expect(
    clippy::print_stderr,
    reason = "it is read by whoever repairs the test"
)]
impl Drop for Net {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.scenario());
        }
    }
}
