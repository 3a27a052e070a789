//! Path managers at work: two hosts, several paths that come and go, and what each manager is for.

mod backup;
mod break_before_make;
mod fullmesh;
mod ndiffports;
mod signal;
mod user;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mptcp_analyze::model::{Connection as Seen, EventKind, Side};
use mptcp_proto::conn::config::{Offer, Patience};
use mptcp_proto::conn::{Config, Connection, ConnectionEnd, Counter, Event, SubflowEnd};
use mptcp_proto::endpoint::ConnId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::time::Instant;
use mptcp_proto::{pm, sched};
use mptcp_tests::middlebox::select::Toward;
use mptcp_tests::sim::{
    CLIENT, HostId, Link, MptcpStack, Net, Node, Pair, PathId, SERVER, Script, Seed, Stop, Stream,
    secs,
};

use super::{PORT, analysed};

type Hosts = Pair<Node<MptcpStack>, Node<MptcpStack>>;

/// Bytes in each direction.
#[derive(Debug, Clone, Copy)]
struct Data {
    up: u64,
    down: u64,
    pace: Pace,
}

/// How fast it is sent.
#[derive(Debug, Clone, Copy)]
enum Pace {
    /// As fast as the paths are.
    Full,
    /// In bits per second.
    Rate(u64),
    /// A [`MESSAGE`] at a time with pauses of this length: hours of them cost little.
    Messages(Duration),
}

impl Pace {
    /// Sends so many bytes.
    fn script(self, name: &str, bytes: u64) -> Script {
        let script = Script::new(name);
        match self {
            Self::Full => script.send(bytes),
            Self::Rate(rate) => script.send_at(rate, bytes),
            Self::Messages(every) => {
                (0..bytes / MESSAGE).fold(script, |script, _| script.send(MESSAGE).wait(every))
            }
        }
    }
}

impl Data {
    /// As much in each direction as lasts for this time at this rate, in bits per second.
    fn at(rate: u64, time: Duration) -> Self {
        let bytes = rate / 8 * time.as_secs();
        Self {
            up: bytes,
            down: bytes,
            pace: Pace::Rate(rate),
        }
    }

    /// Small messages in each direction, for this time.
    fn messages(every: Duration, time: Duration) -> Self {
        let bytes = MESSAGE * (time.as_secs() / every.as_secs());
        Self {
            up: bytes,
            down: bytes,
            pace: Pace::Messages(every),
        }
    }
}

/// Two hosts with a connection.
struct Run {
    net: Net,
    hosts: Hosts,
    paths: Vec<PathId>,
    data: Data,
}

/// What differs between the runs.
struct Plan<'a> {
    offer: Offer,
    links: &'a [&'static str],
    client: pm::Kind,
    server: pm::Kind,
    data: Data,
    /// Whether the server knows of its addresses on all paths.
    has_server_addresses: bool,
    /// Whether the client begins with that of the first path alone.
    has_one_client_address: bool,
    scheduler: sched::Kind,
    /// Time to the first repetition of an ADD_ADDR without echo.
    add_addr: Duration,
}

impl<'a> Plan<'a> {
    /// A bulk transfer in both directions.
    fn new(offer: Offer, links: &'a [&'static str], client: pm::Kind) -> Self {
        Self {
            offer,
            links,
            client,
            server: pm::Kind::Signal,
            data: Data {
                up: 1_000_000,
                down: 2_000_000,
                pace: Pace::Full,
            },
            has_server_addresses: false,
            has_one_client_address: false,
            scheduler: sched::Kind::default(),
            add_addr: Patience::default().add_addr,
        }
    }

    fn run(&self) -> Run {
        let seed = Seed::from_env_or(7);
        let mut net = Net::new(seed);
        let links = self.links.iter();
        let paths: Vec<PathId> = links.map(|link| net.path(Link::of(link))).collect();
        net.record(CLIENT);
        net.record(SERVER);
        let stack = |path_manager, name| {
            let config = Config {
                mptcp: self.offer,
                path_manager,
                scheduler: self.scheduler,
                patience: Patience {
                    add_addr: self.add_addr,
                    ..Patience::default()
                },
                ..Config::default()
            };
            MptcpStack::new(config, seed.derive(name))
        };
        let mut client = stack(self.client, "client");
        let mut server = stack(self.server, "server");
        for path in &paths {
            if *path == paths[0] || !self.has_one_client_address {
                client.endpoint.address_up(net.client_address(*path));
            }
            if self.has_server_addresses {
                server.endpoint.address_up(net.server_address(*path));
            }
        }
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        let local = SocketAddr::new(net.client_address(paths[0]), 40_000);
        let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
        let Data { up, down, pace } = self.data;
        let script = pace.script("up", up).wait_for_end().close();
        hosts.client.dial(Instant::ZERO, local, remote, script);
        hosts.server.serve(PORT, move || {
            pace.script("down", down).close().wait_for_end()
        });
        Run {
            net,
            hosts,
            paths,
            data: self.data,
        }
    }
}

impl Run {
    fn lasting(&mut self, time: Duration) {
        assert_eq!(self.net.run_for(&mut self.hosts, time), Stop::Time);
    }

    /// A path takes nothing more, or does again.
    fn cut(&mut self, path: usize, is_down: bool) {
        self.net.set_down(self.paths[path], Toward::Both, is_down);
    }

    fn client_address(&self, path: usize) -> IpAddr {
        self.net.client_address(self.paths[path])
    }

    fn server_address(&self, path: usize) -> IpAddr {
        self.net.server_address(self.paths[path])
    }

    fn id(node: &Node<MptcpStack>) -> ConnId {
        let mut ids = node.stack.endpoint.connection_ids();
        ids.next().expect("the connection is there")
    }

    fn client(&mut self) -> &mut Connection {
        let id = Self::id(&self.hosts.client);
        let endpoint = &mut self.hosts.client.stack.endpoint;
        endpoint
            .connection_mut(id)
            .expect("the connection is there")
    }

    fn server(&mut self) -> &mut Connection {
        let id = Self::id(&self.hosts.server);
        let endpoint = &mut self.hosts.server.stack.endpoint;
        endpoint
            .connection_mut(id)
            .expect("the connection is there")
    }

    /// The two ends of each subflow that carries data, as the client has them, in order.
    fn ends(&mut self) -> Vec<(IpAddr, IpAddr)> {
        let up = self.client().subflows().filter(|subflow| subflow.is_up);
        let mut ends: Vec<_> = up
            .map(|subflow| (subflow.path.local.ip(), subflow.path.remote.ip()))
            .collect();
        ends.sort_unstable();
        ends
    }

    /// All pairs of the addresses of both hosts on the first two paths.
    fn all_pairs(&self) -> Vec<(IpAddr, IpAddr)> {
        let of = |client| {
            [0, 1].map(|server| (self.client_address(client), self.server_address(server)))
        };
        [0, 1].into_iter().flat_map(of).collect()
    }

    /// Bytes of whole packets that a path has carried to the client.
    fn carried(&self, path: usize) -> u64 {
        self.net.report(self.paths[path]).to_client.delivered.bytes
    }

    /// The same of what comes within this time.
    fn carries(&mut self, path: usize, time: Duration) -> u64 {
        let before = self.carried(path);
        self.lasting(time);
        self.carried(path) - before
    }

    /// Lets it end, and checks what holds whichever the path manager: all data, both ends closed, the analyzer sees the
    /// same at both hosts as these have counted, and blames nobody.
    #[track_caller]
    fn finish(mut self) -> Ended {
        let stop = self.net.run_until(&mut self.hosts, MOST, |hosts| {
            hosts.client.stack.ends().len() + hosts.server.stack.ends().len() == 2
        });
        assert_eq!(stop, Stop::Done, "{:?}", self.net);
        let received = |node: &Node<MptcpStack>, stream: &str, bytes| {
            let outcome = node.outcomes().swap_remove(0);
            let expected = Stream::new(stream).sha256(bytes);
            assert_eq!(outcome.received_sha256, expected, "{stream}");
        };
        received(&self.hosts.server, "up", self.data.up);
        received(&self.hosts.client, "down", self.data.down);
        let client = Log::of(&self.hosts.client.stack);
        let server = Log::of(&self.hosts.server.stack);
        let ended = Ended {
            seen: [CLIENT, SERVER].map(|host| seen(&self.net, host)),
            client,
            server,
        };
        ended.check_seen();
        // TIME-WAIT over, nothing is left.
        assert_eq!(self.net.run_until_idle(&mut self.hosts), Stop::Idle);
        assert_eq!(self.hosts.client.stack.endpoint.connection_count(), 0);
        assert_eq!(self.hosts.server.stack.endpoint.connection_count(), 0);
        ended
    }
}

/// The connection, as the analyzer sees it at a host.
#[track_caller]
fn seen(net: &Net, host: HostId) -> Seen {
    let mut analysis = analysed::analysis(net, host);
    assert_eq!(analysis.connections.len(), 1, "{host:?}");
    assert_eq!(analysis.plain_tcp_streams, 0, "{host:?}");
    analysis.connections.remove(0)
}

/// What a host has told and counted.
struct Log {
    events: Vec<Event>,
    counters: mptcp_proto::conn::Counters,
}

impl Log {
    fn of(stack: &MptcpStack) -> Self {
        let events = stack.events().iter().map(|(_, _, event)| *event);
        Self {
            events: events.collect(),
            counters: stack.endpoint.counters(),
        }
    }

    fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(event)).count()
    }

    /// Subflows that came up, the initial one among them.
    fn ups(&self) -> usize {
        self.count(|event| matches!(event, Event::SubflowUp { .. }))
    }

    /// How its subflows ended.
    fn downs(&self) -> Vec<(SubflowId, SubflowEnd)> {
        let downs = self.events.iter().filter_map(|event| match event {
            Event::SubflowDown { id, how } => Some((*id, *how)),
            _ => None,
        });
        downs.collect()
    }

    fn value(&self, counter: Counter) -> usize {
        usize::try_from(self.counters.value(counter)).expect("a run has few of them")
    }
}

/// A run that is over.
struct Ended {
    client: Log,
    server: Log,
    /// At the client and at the server.
    seen: [Seen; 2],
}

impl Ended {
    fn logs(&self) -> [(&Log, Side, &Seen); 2] {
        let [at_client, at_server] = &self.seen;
        [
            (&self.client, Side::Client, at_client),
            (&self.server, Side::Server, at_server),
        ]
    }

    #[track_caller]
    fn check_seen(&self) {
        for (log, side, seen) in self.logs() {
            let closed = Event::Closed {
                how: ConnectionEnd::Closed,
            };
            assert_eq!(log.events.last(), Some(&closed), "{side:?}");
            assert_eq!(seen.fallback, None, "{side:?}");
            let sent = |is_it: &dyn Fn(&EventKind) -> bool| {
                let own = seen.events.iter().filter(|event| event.sender == side);
                own.filter(|event| is_it(&event.kind)).count()
            };
            let joins = |kind: &EventKind| matches!(kind, EventKind::Joined);
            let is_own = |kind: &EventKind, wanted| matches!(kind, EventKind::AddAddr { echo, .. } if *echo == wanted);
            let removes = |kind: &EventKind| matches!(kind, EventKind::RemoveAddr { .. });
            let prios = |kind: &EventKind| matches!(kind, EventKind::Prio { .. });
            let found = [
                sent(&|kind| is_own(kind, false)),
                sent(&|kind| is_own(kind, true)),
                sent(&removes),
                sent(&prios),
            ];
            let counted = [
                Counter::AddAddrTx,
                Counter::EchoAddTx,
                Counter::RmAddrTx,
                Counter::PrioTx,
            ]
            .map(|counter| log.value(counter));
            assert_eq!(found, counted, "{side:?}");
            let joined = seen.events.iter().filter(|event| joins(&event.kind));
            assert_eq!(joined.count() + 1, log.ups(), "{side:?}");
            let up = seen.subflows.iter().filter(|subflow| subflow.established);
            assert_eq!(up.count(), log.ups(), "{side:?}");
        }
    }

    /// Ids of the addresses that were withdrawn, as seen at the client and then at the server.
    fn removed(&self) -> Vec<u8> {
        let events = self.seen.iter().flat_map(|seen| &seen.events);
        let ids = events.filter_map(|event| match event.kind {
            EventKind::RemoveAddr { id } => Some(id.0),
            _ => None,
        });
        ids.collect()
    }

    /// Findings that are warnings or worse, at either host.
    fn warnings(&self) -> Vec<&str> {
        let findings = self.seen.iter().flat_map(|seen| &seen.findings);
        let worse =
            findings.filter(|finding| finding.severity >= mptcp_analyze::model::Severity::Warn);
        worse.map(|finding| finding.text.as_str()).collect()
    }
}

/// Bytes of one message.
const MESSAGE: u64 = 1000;

/// Longer than any of the transfers.
const MOST: Duration = secs(4 * 3600);

const VERSIONS: [Offer; 2] = [Offer::V0, Offer::V1];
