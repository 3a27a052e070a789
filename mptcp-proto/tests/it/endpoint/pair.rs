//! Two endpoints with a network of lists between them, in virtual time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::{Config, Connection, Event};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Segment;

/// Splitmix64: enough for tests, and the same everywhere.
#[derive(Debug, Clone)]
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn happens(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}

impl RandomSource for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next().to_be_bytes()[0];
        }
    }
}

/// Which way a packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// A box on the path: what becomes of a packet. Nothing, one packet or several.
pub(crate) type Hook = Box<dyn FnMut(Instant, Way, Vec<u8>) -> Vec<Vec<u8>>>;

/// A packet that was sent, before the box saw it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) way: Way,
    pub(crate) packet: Vec<u8>,
}

pub(crate) struct Pair {
    pub(crate) client: Endpoint,
    pub(crate) server: Endpoint,
    pub(crate) now: Instant,
    /// One-way delay of the paths that have an address, by that address; else the default.
    pub(crate) delays: BTreeMap<SocketAddr, Duration>,
    pub(crate) delay: Duration,
    pub(crate) hook: Option<Hook>,
    pub(crate) log: Vec<Sent>,
    wire: BTreeMap<(Instant, u64), (Way, Vec<u8>)>,
    order: u64,
    pub(crate) events: [Vec<(ConnId, Event)>; 2],
}

pub(crate) const CLIENT: &str = "10.0.0.1:40000";
pub(crate) const SERVER: &str = "10.9.0.1:80";

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn path(local: &str, remote: &str) -> Path {
    Path {
        local: address(local),
        remote: address(remote),
    }
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        let host = endpoint::Config::default;
        Self::with_hosts(
            Endpoint::new(host(), Box::new(Seeded(seed))),
            Endpoint::new(host(), Box::new(Seeded(seed ^ 0xffff))),
        )
    }

    pub(crate) fn with_hosts(client: Endpoint, server: Endpoint) -> Self {
        Self {
            client,
            server,
            now: Instant::from_millis(1),
            delays: BTreeMap::new(),
            delay: Duration::from_millis(10),
            hook: None,
            log: Vec::new(),
            wire: BTreeMap::new(),
            order: 0,
            events: [Vec::new(), Vec::new()],
        }
    }

    /// A connection from [`CLIENT`] to [`SERVER`], on its way.
    pub(crate) fn connect(&mut self, client: Config, server: Config) -> ConnId {
        self.server.listen(address(SERVER), 16, server).unwrap();
        let path = path(CLIENT, SERVER);
        self.client.connect(self.now, path, client).unwrap()
    }

    /// An established connection.
    pub(crate) fn established(client: Config, server: Config) -> (Self, ConnId, ConnId) {
        let mut pair = Self::new(7);
        let ours = pair.connect(client, server);
        pair.run_for(Duration::from_millis(200));
        let theirs = pair.accepted();
        (pair, ours, theirs)
    }

    /// The connection that came in at the server.
    #[track_caller]
    pub(crate) fn accepted(&self) -> ConnId {
        let incoming =
            |(id, event): &(ConnId, Event)| matches!(event, Event::Incoming { .. }).then_some(*id);
        self.events[1]
            .iter()
            .find_map(incoming)
            .expect("a connection came in")
    }

    pub(crate) fn client(&mut self, id: ConnId) -> &mut Connection {
        self.client
            .connection_mut(id)
            .expect("the client's connection")
    }

    pub(crate) fn server(&mut self, id: ConnId) -> &mut Connection {
        self.server
            .connection_mut(id)
            .expect("the server's connection")
    }

    /// Lets both send, and collects their events.
    fn drain(&mut self) {
        let mut packet = Vec::new();
        for way in [Way::ToServer, Way::ToClient] {
            let mut count = 0;
            loop {
                let host = match way {
                    Way::ToServer => &mut self.client,
                    Way::ToClient => &mut self.server,
                };
                if !host.poll_transmit(self.now, &mut packet) {
                    break;
                }
                count += 1;
                assert!(count < 100_000, "a host sends without end");
                self.send(way, packet.clone());
            }
        }
        for (host, events) in [&mut self.client, &mut self.server]
            .into_iter()
            .zip(&mut self.events)
        {
            while let Some(event) = host.poll_event() {
                events.push(event);
            }
        }
    }

    fn send(&mut self, way: Way, packet: Vec<u8>) {
        self.log.push(Sent {
            at: self.now,
            way,
            packet: packet.clone(),
        });
        let segment = Segment::parse(&packet, false).expect("what is sent is whole");
        let ends = [segment.source, segment.destination];
        let delay = ends.iter().find_map(|end| self.delays.get(end)).copied();
        let at = self.now + delay.unwrap_or(self.delay);
        let packets = match &mut self.hook {
            Some(hook) => hook(self.now, way, packet),
            None => vec![packet],
        };
        for packet in packets {
            self.order += 1;
            self.wire.insert((at, self.order), (way, packet));
        }
    }

    /// The next thing happens; false when nothing ever will before `until`.
    fn step(&mut self, until: Instant) -> bool {
        self.drain();
        let arrival = self.wire.keys().next().map(|(at, _)| *at);
        let deadlines = [self.client.poll_timeout(), self.server.poll_timeout()];
        let next = deadlines.into_iter().flatten().chain(arrival).min();
        let Some(next) = next.filter(|next| *next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        let due = |wire: &BTreeMap<(Instant, u64), (Way, Vec<u8>)>, now| {
            wire.keys().next().copied().filter(|(at, _)| *at <= now)
        };
        while let Some(key) = due(&self.wire, self.now) {
            let (way, packet) = self.wire.remove(&key).unwrap();
            match way {
                Way::ToServer => self.server.handle_packet(self.now, &packet),
                Way::ToClient => self.client.handle_packet(self.now, &packet),
            };
        }
        for host in [&mut self.client, &mut self.server] {
            if host.poll_timeout().is_some_and(|at| at <= self.now) {
                host.handle_timeout(self.now);
            }
            check_queues(host);
        }
        true
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0_u64;
        while self.step(until) {
            steps += 1;
            assert!(steps < 3_000_000, "too many steps before {until}");
        }
    }

    /// Runs until `is_done`, which must be within `limit`.
    #[track_caller]
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut is_done: impl FnMut(&mut Self) -> bool,
    ) {
        let until = self.now + limit;
        while !is_done(self) {
            if !self.step(until) {
                let is_done = is_done(self);
                let hosts = [&self.client, &self.server];
                let infos = hosts.map(|host| {
                    host.connections()
                        .map(|c| (c.info(), c.subflows().collect::<Vec<_>>()))
                        .collect::<Vec<_>>()
                });
                let events = &self.events;
                assert!(is_done, "not done within {limit:?}: {events:?} {infos:#?}");
                return;
            }
        }
    }

    /// Sends `to_server` and `to_client` at the same time and closes both, and checks that all arrives.
    #[track_caller]
    pub(crate) fn exchange(&mut self, ids: [ConnId; 2], to_server: &[u8], to_client: &[u8]) {
        self.transfer(ids, to_server, to_client, Duration::from_secs(300));
        self.client(ids[0]).shutdown_write();
        self.server(ids[1]).shutdown_write();
        self.run_until(Duration::from_secs(300), |pair| {
            let is_over = |host: &Endpoint, id| {
                host.connection(id)
                    .is_none_or(|connection| connection.state().is_finished())
            };
            is_over(&pair.client, ids[0]) && is_over(&pair.server, ids[1])
        });
    }

    /// Sends both ways, and checks that all arrives.
    #[track_caller]
    pub(crate) fn transfer(
        &mut self,
        ids: [ConnId; 2],
        to_server: &[u8],
        to_client: &[u8],
        limit: Duration,
    ) {
        let (mut sent, mut received) = ([0, 0], [Vec::new(), Vec::new()]);
        self.run_until(limit, |pair| {
            let sides = [
                (pair.client.connection_mut(ids[0]), to_server, to_client),
                (pair.server.connection_mut(ids[1]), to_client, to_server),
            ];
            for (side, (connection, out, _)) in sides.into_iter().enumerate() {
                let Some(connection) = connection else {
                    continue;
                };
                if sent[side] < out.len() {
                    sent[side] += connection.write(&out[sent[side]..]).unwrap_or(0);
                }
                read_all(connection, &mut received[side]);
            }
            received[0].len() >= to_client.len() && received[1].len() >= to_server.len()
        });
        for (got, sent) in received.iter().zip([to_client, to_server]) {
            let same = got.iter().zip(sent).take_while(|(a, b)| a == b).count();
            let (lens, events) = ((got.len(), sent.len()), &self.events);
            assert!(
                got == sent,
                "the same up to byte {same}, lengths {lens:?}: {events:?}"
            );
        }
    }

    /// The events of one side that this function picks.
    pub(crate) fn picked<T>(&self, side: usize, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.events[side]
            .iter()
            .filter_map(|(_, event)| pick(event))
            .collect()
    }

    /// Everything that was sent, as a capture of raw IP packets with times in nanoseconds.
    pub(crate) fn pcap(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 0x0004_0000, 101] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for sent in &self.log {
            let nanos = sent.at.as_nanos();
            let len = u32::try_from(sent.packet.len()).unwrap();
            let seconds = u32::try_from(nanos / 1_000_000_000).unwrap();
            let rest = u32::try_from(nanos % 1_000_000_000).unwrap();
            for word in [seconds, rest, len, len] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(&sent.packet);
        }
        out
    }
}

/// Every queue keeps to its limit, at each step of each test.
pub(crate) fn check_queues(host: &Endpoint) {
    for connection in host.connections().take(2) {
        for queue in connection.queues() {
            assert!(queue.is_within(), "{queue:?}: {:?}", connection.info());
        }
    }
}

/// With `PAIR_PCAP_DIR` every run leaves its capture there, for other programs to look at.
impl Drop for Pair {
    #[expect(clippy::disallowed_methods, reason = "a test may write what it saw")]
    fn drop(&mut self) {
        let dir = std::env::var_os("PAIR_PCAP_DIR").filter(|dir| !dir.is_empty());
        let Some(dir) = dir else {
            return;
        };
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("test").replace("::", "-");
        let free = (0..).map(|n| std::path::Path::new(&dir).join(format!("{name}-{n}.pcap")));
        if let Some(file) = free.into_iter().find(|file| !file.exists()) {
            // A capture that cannot be written is no reason to fail while another test does.
            let _ = std::fs::write(file, self.pcap());
        }
    }
}

pub(crate) fn read_all(connection: &mut Connection, into: &mut Vec<u8>) {
    let mut buffer = [0; 16_384];
    while let Read::Data(len @ 1..) = connection.read(&mut buffer) {
        into.extend_from_slice(&buffer[..len]);
    }
}

/// Each wait is nearly double the one before (RFC 6298 §5.5).
#[track_caller]
pub(crate) fn check_back_off(times: &[Instant]) {
    let waits: Vec<Duration> = times.windows(2).map(|two| two[1].since(two[0])).collect();
    let grows = |two: &[Duration]| 10 * two[1] >= 18 * two[0];
    assert!(waits.len() >= 2 && waits.windows(2).all(grows), "{waits:?}");
}

/// Bytes that show at which place they belong.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Seeded(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}

impl Pair {
    /// Connections of one side that had such an event.
    pub(crate) fn picked_ids(&self, side: usize, is_such: impl Fn(&Event) -> bool) -> Vec<ConnId> {
        let events = self.events[side].iter();
        events
            .filter(|(_, event)| is_such(event))
            .map(|(id, _)| *id)
            .collect()
    }
}
