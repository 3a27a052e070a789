//! A connection of hours over paths and addresses that come and go: links down, losses in bursts, a NAT that forgets, hosts
//! that are silent or do not read for minutes. All of it follows from a seed.

use std::cell::Cell;
use std::fmt::Write;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use mptcp_analyze::model::Severity;
use mptcp_proto::conn::config::{Offer, Patience};
use mptcp_proto::conn::{Config, ConnectionEnd};
use mptcp_proto::endpoint::TableSizes;
use mptcp_proto::tcp::KeepAlive;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Priority;
use mptcp_proto::{pm, sched};
use mptcp_tests::middlebox::select::Toward;
use mptcp_tests::sim::{
    Application, CLIENT, Link, MptcpStack, Net, Node, Outcome, Pair, PathId, SERVER, Script, Seed,
    Socket, SocketState, Stop, Stream, secs,
};

use super::{PORT, analysed};

const LINKS: [&str; 3] = [
    "10mbit 10ms queue=100kB burst=0.05%/30%",
    "4mbit 60ms queue=60kB loss=0.5% jitter=5ms overtake duplicate=0.1%",
    "20mbit 5ms queue=200kB burst=0.02%/5% reorder=0.5%/10ms | nat:10.9.9.9/90s | 15ms",
];

/// A script whose reader sleeps at times, so that the window shuts.
struct Sleeper {
    script: Script,
    naps: Vec<Range<Instant>>,
    until: Option<Instant>,
}

/// The socket of one who sleeps.
struct Asleep<'a>(&'a mut dyn Socket);

impl Socket for Asleep<'_> {
    fn state(&self) -> SocketState {
        self.0.state()
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.write(bytes)
    }

    fn read(&mut self, _bytes: &mut [u8]) -> usize {
        0
    }

    fn is_at_end(&self) -> bool {
        false
    }

    fn shutdown_write(&mut self) {
        self.0.shutdown_write();
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}

impl Application for Sleeper {
    fn run(&mut self, now: Instant, socket: &mut dyn Socket) {
        let nap = self.naps.iter().find(|nap| nap.contains(&now));
        self.until = nap.map(|nap| nap.end);
        if self.until.is_some() {
            self.script.run(now, &mut Asleep(socket));
        } else {
            self.script.run(now, socket);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let wakes = [self.script.poll_timeout(), self.until];
        wakes
            .into_iter()
            .flatten()
            .min()
            .filter(|_| !self.is_done())
    }

    /// Who sleeps still has to read.
    fn is_done(&self) -> bool {
        self.until.is_none() && self.script.is_done()
    }
}

/// Something that happens to the network or to a host, and a while later is over.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Nothing passes, in one direction or in both.
    Cut(usize, Toward),
    /// The client has no longer this address; its path may go with it.
    ClientAddress(usize, bool),
    /// The server has no longer this address.
    ServerAddress(usize),
    /// A subflow of one of the hosts, by its place among them, is a backup.
    Backup(bool, usize),
}

type Hosts = Pair<Node<MptcpStack, Sleeper>, Node<MptcpStack, Sleeper>>;

struct Hours {
    net: Net,
    hosts: Hosts,
    paths: Vec<PathId>,
    /// What begins or is over, when.
    changes: Vec<(Instant, Change, bool)>,
    sizes: [u64; 2],
}

/// From one end of a range to before the other, evenly spread.
fn pick(random: &mut fastrand::Rng, seconds: Range<u64>) -> Duration {
    Duration::from_millis(random.u64(seconds.start * 1000..seconds.end * 1000))
}

/// Bursts of data with pauses between them, and how much it is.
fn script(random: &mut fastrand::Rng, name: &str) -> (Script, u64) {
    let (mut script, mut sum) = (Script::new(name), 0);
    let mut time = Duration::ZERO;
    while time < LASTS {
        let bytes = match random.u8(..4) {
            0 => random.u64(1..2000),
            1 | 2 => random.u64(2000..100_000),
            _ => random.u64(100_000..1_000_000),
        };
        let pause = match random.u8(..3) {
            0 => pick(random, 0..5),
            1 => pick(random, 5..300),
            // Longer than the NAT's patience, and than the time to a keep-alive.
            _ => pick(random, 300..1500),
        };
        script = script.send(bytes).wait(pause);
        sum += bytes;
        time += pause;
    }
    (script, sum)
}

fn changes(random: &mut fastrand::Rng) -> Vec<(Instant, Change, bool)> {
    let mut changes = Vec::new();
    // There is a connection by then.
    let mut at = Instant::ZERO + secs(60);
    loop {
        at += pick(random, 5..180);
        let path = random.usize(..LINKS.len());
        let (change, lasts) = match random.u8(..8) {
            0 => (Change::Cut(path, Toward::Server), 1..60),
            1 => (Change::Cut(path, Toward::Client), 1..60),
            2 | 3 => (Change::Cut(path, Toward::Both), 1..400),
            4 | 5 => (Change::ClientAddress(path, random.bool()), 1..300),
            6 => (Change::ServerAddress(path), 1..300),
            _ => (Change::Backup(random.bool(), random.usize(..4)), 1..120),
        };
        let over = at + pick(random, lasts);
        if at > Instant::ZERO + LASTS {
            break;
        }
        changes.extend([(at, change, true), (over, change, false)]);
    }
    changes.sort_by_key(|(at, ..)| *at);
    changes
}

fn config(random: &mut fastrand::Rng, offer: Offer, path_manager: pm::Kind) -> Config {
    let mut config = Config {
        mptcp: offer,
        path_manager,
        scheduler: sched::Kind::ALL[random.usize(..sched::Kind::ALL.len())],
        patience: Patience {
            // All addresses may be gone for longer than the usual minute.
            without_subflow: secs(1800),
            add_addr: secs(10),
            ..Patience::default()
        },
        ..Config::default()
    };
    config.wishes.checksum = random.bool();
    config.tcp.keep_alive = Some(KeepAlive {
        idle: secs(300),
        interval: secs(20),
        probes: 6,
    });
    config
}

impl Hours {
    fn new(seed: Seed, offer: Offer) -> Self {
        let random = &mut seed.generator("hours");
        let mut net = Net::new(seed);
        let paths: Vec<PathId> = LINKS.iter().map(|link| net.path(Link::of(link))).collect();
        net.note(format!("{offer:?}"));
        analysed::record_headers(&mut net);
        let mut client = MptcpStack::new(
            config(random, offer, pm::Kind::Fullmesh),
            seed.derive("client"),
        );
        let mut server = MptcpStack::new(
            config(random, offer, pm::Kind::Signal),
            seed.derive("server"),
        );
        for path in &paths {
            client.endpoint.address_up(net.client_address(*path));
            server.endpoint.address_up(net.server_address(*path));
        }
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        let (mut up, sent_up) = script(random, "up");
        let (mut down, sent_down) = script(random, "down");
        match random.u8(..3) {
            0 => (up, down) = (up.close(), down.wait_for_end().close()),
            1 => (up, down) = (up.wait_for_end().close(), down.close()),
            _ => (up, down) = (up.close(), down.close()),
        }
        let [naps, more] = [0, 1].map(|_| naps(random));
        let local = SocketAddr::new(net.client_address(paths[0]), 40_000);
        let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
        let sleeper = |script, naps| Sleeper {
            script,
            naps,
            until: None,
        };
        hosts
            .client
            .dial(Instant::ZERO, local, remote, sleeper(up, naps));
        let down = Cell::new(Some(sleeper(down, more)));
        hosts
            .server
            .serve(PORT, move || down.take().expect("there is one connection"));
        Self {
            net,
            hosts,
            paths,
            changes: changes(random),
            sizes: [sent_up, sent_down],
        }
    }

    fn apply(&mut self, change: Change, begins: bool) {
        match change {
            Change::Cut(path, toward) => self.net.set_down(self.paths[path], toward, begins),
            Change::ClientAddress(path, cuts) => {
                let address = self.net.client_address(self.paths[path]);
                let endpoint = &mut self.hosts.client.stack.endpoint;
                if cuts {
                    self.net.set_down(self.paths[path], Toward::Both, begins);
                }
                if begins {
                    endpoint.address_down(address);
                } else {
                    endpoint.address_up(address);
                }
            }
            Change::ServerAddress(path) => {
                let address = self.net.server_address(self.paths[path]);
                let endpoint = &mut self.hosts.server.stack.endpoint;
                if begins {
                    endpoint.address_down(address);
                } else {
                    endpoint.address_up(address);
                }
            }
            Change::Backup(is_client, place) => {
                let node = if is_client {
                    &mut self.hosts.client
                } else {
                    &mut self.hosts.server
                };
                let priority = if begins {
                    Priority::Backup
                } else {
                    Priority::Regular
                };
                set_priority(&mut node.stack, place, priority);
            }
        }
    }

    /// Lets it all happen; why it ended.
    fn run(&mut self) -> Stop {
        let mut changes = std::mem::take(&mut self.changes).into_iter().peekable();
        let mut events = 0_u64;
        loop {
            let next = changes.peek().map(|(at, ..)| *at);
            let until = next.unwrap_or(Instant::ZERO + MOST);
            let time = until.since(self.net.now());
            let stop = self.net.run_until(&mut self.hosts, time, |hosts| {
                events += 1;
                if events.is_multiple_of(LOOK_EACH) {
                    check_queues(hosts);
                }
                let ends = hosts.client.stack.ends().len() + hosts.server.stack.ends().len();
                ends == 2 && hosts.client.is_done() && hosts.server.is_done()
            });
            let Some((_, change, begins)) = changes.next().filter(|_| stop == Stop::Time) else {
                return stop;
            };
            self.apply(change, begins);
            check_queues(&self.hosts);
        }
    }

    /// How both ends stand, for who looks for the reason.
    fn standing(&self) -> String {
        let mut text = String::new();
        for node in [&self.hosts.client, &self.hosts.server] {
            let _ = writeln!(text, "{:?}", node.stack.ends());
            for (at, _, event) in node.stack.events().iter().rev().take(20) {
                let _ = writeln!(text, "  {at} {event:?}");
            }
            for connection in node.stack.endpoint.connections() {
                let _ = writeln!(text, "{:?}", connection.info());
                for subflow in connection.subflows() {
                    let _ = writeln!(text, "  {subflow:?}");
                }
            }
        }
        text
    }

    #[track_caller]
    fn check(mut self) {
        let stop = self.run();
        assert_eq!(stop, Stop::Done, "{} {:?}", self.standing(), self.net);
        let nodes = [&self.hosts.server, &self.hosts.client];
        let received = nodes.map(|node| {
            let script = node.applications().next().map(|sleeper| &sleeper.script);
            script.expect("it has had a connection").outcome()
        });
        let check = |outcome: &Outcome, name: &str, size: u64| {
            assert_eq!(outcome.received_bytes, size, "{name} {:?}", self.net);
            let expected = Stream::new(name).sha256(size);
            assert_eq!(outcome.received_sha256, expected, "{name} {:?}", self.net);
        };
        check(&received[0], "up", self.sizes[0]);
        check(&received[1], "down", self.sizes[1]);
        for node in nodes {
            let mut ends = node.stack.ends().values();
            assert!(
                ends.all(|end| *end == ConnectionEnd::Closed),
                "{:?}",
                node.stack.ends()
            );
        }
        check_analysis(&self.net);
        assert_eq!(self.net.run_until_idle(&mut self.hosts), Stop::Idle);
        for node in [&self.hosts.server, &self.hosts.client] {
            let endpoint = &node.stack.endpoint;
            assert_eq!(endpoint.table_sizes(), TableSizes::default());
        }
    }
}

fn naps(random: &mut fastrand::Rng) -> Vec<Range<Instant>> {
    let mut naps = Vec::new();
    let mut at = Instant::ZERO;
    while at < Instant::ZERO + LASTS {
        at += pick(random, 60..1800);
        let end = at + pick(random, 1..400);
        naps.push(at..end);
        at = end;
    }
    naps
}

fn set_priority(stack: &mut MptcpStack, place: usize, priority: Priority) {
    let ids: Vec<_> = stack.endpoint.connection_ids().collect();
    for id in ids {
        let Some(connection) = stack.endpoint.connection_mut(id) else {
            continue;
        };
        let subflow = connection.subflows().map(|subflow| subflow.id).nth(place);
        if let Some(subflow) = subflow {
            // The subflow may be closing.
            let _ = connection.set_priority(subflow, priority);
        }
    }
}

#[track_caller]
fn check_queues(hosts: &Hosts) {
    for node in [&hosts.client, &hosts.server] {
        for connection in node.stack.endpoint.connections() {
            for queue in connection.queues() {
                assert!(queue.is_within(), "{queue:?}");
            }
        }
    }
}

/// Nobody is blamed, no rule is broken, and what the analyzer warns of is what comes of such paths.
#[track_caller]
fn check_analysis(net: &Net) {
    for host in [CLIENT, SERVER] {
        let analysis = analysed::analysis(net, host);
        assert_eq!(analysis.connections.len(), 1, "{host:?} {net:?}");
        let connection = &analysis.connections[0];
        assert_eq!(connection.fallback, None, "{host:?} {net:?}");
        for finding in analysis.all_findings() {
            let is_expected = finding.severity < Severity::Warn || EXPECTED.contains(&finding.id);
            assert!(is_expected, "{host:?} {finding:?} {net:?}");
        }
    }
}

/// Subflows that were reset, or whose handshake failed.
const EXPECTED: [&str; 2] = ["MPT032", "MPT060"];

#[test]
fn a_connection_of_hours_outlives_its_paths() {
    for offer in [Offer::V0, Offer::V1] {
        Hours::new(Seed::from_env_or(7), offer).check();
    }
}

/// How long the applications go on.
const LASTS: Duration = secs(3 * 3600);

/// When all must be over, whatever was lost last.
const MOST: Duration = secs(8 * 3600);

/// The queues are looked at after each so many events.
const LOOK_EACH: u64 = 16;
