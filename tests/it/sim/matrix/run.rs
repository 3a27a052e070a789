//! One run: two hosts, one or two paths, a box, loss.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, ConnectionEnd, Counter, Event, FallbackReason, SubflowEnd};
use mptcp_proto::pm;
use mptcp_proto::tcp::{FastOpen, FastOpenCookie, KeepAlive};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::{Priority, ResetReason};
use mptcp_tests::middlebox::spec::Spec;
use mptcp_tests::sim::{
    CLIENT, Link, MptcpStack, Net, Node, Pair, PathId, SERVER, Script, Seed, Stop, Stream, ms, secs,
};

use super::super::PORT;
use super::super::analysed::Seen;
use super::beyond_tcp;
use super::boxes::Case;
use super::effect::{Effect, Watch, Watched};

/// On which path the box stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// That of the initial subflow.
    Initial,
    /// That of the second one.
    Second,
    /// On both.
    Both,
}

/// What a run is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setup {
    pub(super) case: Case,
    pub(super) place: Place,
    pub(super) offer: Offer,
    pub(super) paths: usize,
    pub(super) loss_percent: u32,
    /// Whether the first data go with the SYN, as a cookie of Fast Open allows.
    pub(super) is_early: bool,
    pub(super) seed: Seed,
    /// Whether the second path is that of an address which the server advertises, makes a backup and withdraws.
    pub(super) signals: bool,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) stop: Stop,
    /// What the server and the client received, against what was sent.
    pub(super) received: [Data; 2],
    pub(super) hosts: [Host; 2],
    /// Connections that the hosts still had when nothing more happened.
    pub(super) left: usize,
    pub(super) scenario: String,
    /// What the analyzer says of the packets at the client.
    pub(super) seen: Seen,
    /// And at the server.
    pub(super) seen_by_server: Seen,
    /// Packets that the box did not forward as they were.
    pub(super) touched: u64,
    /// What of that came to a host.
    pub(super) effect: Effect,
    /// Whether the SYN had data.
    pub(super) is_early: bool,
    /// Whether a sender was told that data have arrived which never do, or a receiver that all data are old:
    /// no TCP lives with that.
    pub(super) beyond_tcp: bool,
}

/// What a host received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    /// What was sent.
    Whole,
    /// As long, or otherwise complete, but not what was sent.
    Changed,
    /// Not all of it.
    Short,
}

/// How a host saw its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Host {
    pub(super) fallback: Option<FallbackReason>,
    /// Subflows that came up, the initial one among them.
    pub(super) up: usize,
    /// Those of them that were lost.
    pub(super) lost: usize,
    pub(super) end: Option<ConnectionEnd>,
    /// Subflows that were given up before they were up, because all was said.
    pub(super) late_joins: usize,
    /// What it has heard of addresses and priorities.
    pub(super) heard: Heard,
    /// ADD_ADDRs that it sent.
    pub(super) add_addrs: u64,
    /// When the first subflow had been without an answer for too long.
    pub(super) gave_up_at: Option<Instant>,
}

/// Signals that a host got.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each signal comes or not, whatever the others do"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Heard {
    pub(super) add_addr: bool,
    pub(super) echo: bool,
    pub(super) prio: bool,
    pub(super) remove_addr: bool,
}

type Hosts = Pair<Node<MptcpStack>, Node<MptcpStack>>;

impl Setup {
    fn config(&self, fast_open: impl Fn(FastOpenCookie) -> FastOpen) -> Config {
        let mut config = Config {
            mptcp: self.offer,
            ..Config::default()
        };
        if self.is_early {
            let cookie = FastOpenCookie::new(&[7; 6]).expect("a cookie may be so long");
            config.tcp.fast_open = fast_open(cookie);
        }
        // A host that has sent all and waits for data learns in no other way that its peer is gone.
        config.tcp.keep_alive = Some(KEEP_ALIVE);
        config.wishes.checksum = self.case.checksum;
        config
    }

    fn link(&self, path: usize, watch: &Watch) -> Link {
        let has_box = match self.place {
            Place::Initial => path == 0,
            Place::Second => path == 1,
            Place::Both => true,
        };
        let near = format!("10mbit {}ms queue=100kB", [5, 15][path]);
        // A router near the server: the hosts are told apart by their TTLs.
        let far = format!(
            "header:field=ttl,set=61 | 20mbit 5ms queue=100kB loss={}%",
            self.loss_percent
        );
        let spec = self.case.spec.replace("{}", &path.to_string());
        let spec = spec.replace("seed=7", &format!("seed={}", self.seed));
        let near = match spec.parse::<Spec>() {
            _ if !has_box || spec.is_empty() => Link::of(&near),
            Ok(boxes) => {
                let watched = Watched {
                    inner: boxes.build(),
                    watch: Arc::clone(watch),
                };
                Link::of(&near).through_box(&spec, watched)
            }
            // The NAT is an element of the simulator.
            Err(_) => Link::of(&near).through(&spec),
        };
        near.through(&far)
    }

    fn network(&self, watch: &Watch) -> (Net, Hosts, Vec<PathId>) {
        let seed = self.seed;
        let mut net = Net::new(seed);
        let paths: Vec<PathId> = (0..self.paths)
            .map(|path| net.path(self.link(path, watch)))
            .collect();
        net.limits.events = MOST_EVENTS;
        net.record(CLIENT);
        net.record(SERVER);
        let mut client = self.config(FastOpen::Cookie);
        client.path_manager = pm::Kind::Fullmesh;
        let mut client = MptcpStack::new(client, seed.derive("client"));
        let mut server = self.config(|cookie| FastOpen::Accept(Some(cookie)));
        if self.signals {
            server.path_manager = pm::Kind::Signal;
            server.patience.add_addr = ADD_ADDR_WAIT;
        }
        let mut server = MptcpStack::new(server, seed.derive("server"));
        if self.signals {
            let near = net.client_address(paths[0]);
            client.endpoint.address_up(near);
            for path in &paths {
                let far = net.server_address(*path);
                server.endpoint.address_up(far);
                net.join(*path, (CLIENT, &[near]), (SERVER, &[far]));
            }
        } else {
            for path in &paths {
                client.endpoint.address_up(net.client_address(*path));
            }
        }
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        let local = SocketAddr::new(net.client_address(paths[0]), 40_000);
        let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
        let len = self.len();
        let mut up = Script::new("up").send(len).wait_for_end().close();
        if self.is_early {
            up = up.early();
        }
        hosts.client.dial(Instant::ZERO, local, remote, up);
        hosts.server.serve(PORT, move || {
            Script::new("down").send(len).close().wait_for_end()
        });
        (net, hosts, paths)
    }

    /// Whether the server's second address goes away.
    fn withdraws(&self) -> bool {
        let options = ["add_addr", "remove_addr", "mp_prio"];
        let spec = self.case.spec;
        self.signals && (spec.is_empty() || options.iter().any(|name| spec.contains(name)))
    }

    /// Bytes in each direction.
    fn len(&self) -> u64 {
        if self.withdraws() { LONG_LEN } else { LEN }
    }

    /// Lets it happen.
    pub(super) fn run(&self) -> Outcome {
        let watch = Watch::default();
        let (mut net, mut hosts, paths) = self.network(&watch);
        net.note(format!("{self:?}"));
        if self.signals {
            let withdrawn = self.withdraws().then_some(paths[1]);
            change_addresses(&mut net, &mut hosts, self.len(), withdrawn);
        }
        let stop = net.run_until(&mut hosts, PATIENCE, |hosts| has_ended(hosts));
        let seen = [CLIENT, SERVER].map(|host| Seen::at(&net, host));
        let beyond_tcp = beyond_tcp::has_false_ack(&net) || beyond_tcp::has_false_clock(&net);
        net.run_for(&mut hosts, TIME_WAIT);
        let stacks = [&hosts.client.stack, &hosts.server.stack];
        let [seen, seen_by_server] = seen;
        let acts = watch.lock().unwrap();
        Outcome {
            stop,
            received: [
                received(&hosts.server, "up", self.len()),
                received(&hosts.client, "down", self.len()),
            ],
            hosts: stacks.map(Host::of),
            left: stacks
                .map(|stack| stack.endpoint.connection_count())
                .iter()
                .sum(),
            scenario: net.scenario(),
            seen,
            seen_by_server,
            touched: acts.touched,
            effect: acts.effect(&net),
            is_early: self.is_early,
            beyond_tcp,
        }
    }
}

/// In mid-transfer, the second subflow becomes a backup, and later the server's address on a path goes away.
fn change_addresses(net: &mut Net, hosts: &mut Hosts, len: u64, withdrawn: Option<PathId>) {
    let has = |hosts: &Hosts, bytes: u64| {
        let outcome = hosts.client.outcomes().into_iter().next();
        outcome.is_some_and(|outcome| outcome.received_bytes >= bytes)
    };
    net.run_until(hosts, LONG_WAIT, |hosts| has(hosts, len / 3));
    let client = &mut hosts.client.stack.endpoint;
    let ids: Vec<_> = client.connection_ids().collect();
    for id in ids {
        let Some(connection) = client.connection_mut(id) else {
            continue;
        };
        let subflow = connection.subflows().map(|subflow| subflow.id).nth(1);
        if let Some(subflow) = subflow {
            // Where the connection is TCP by now, there is nothing to change.
            let _ = connection.set_priority(subflow, Priority::Backup);
        }
    }
    net.run_until(hosts, LONG_WAIT, |hosts| has(hosts, len / 3 * 2));
    if let Some(path) = withdrawn {
        let gone = net.server_address(path);
        hosts.server.stack.endpoint.address_down(gone);
    }
}

/// Whether the client has had its connection, and no host has one that is not over.
fn has_ended(hosts: &Hosts) -> bool {
    let is_over = |node: &Node<MptcpStack>| {
        let mut ids = node.stack.endpoint.connection_ids();
        ids.all(|id| node.stack.ends().contains_key(&id))
    };
    let is_begun = !hosts.client.stack.ends().is_empty();
    is_begun && is_over(&hosts.client) && is_over(&hosts.server)
}

fn received(node: &Node<MptcpStack>, stream: &str, len: u64) -> Data {
    let Some(outcome) = node.outcomes().into_iter().next() else {
        return Data::Short;
    };
    if outcome.received_sha256 == Stream::new(stream).sha256(len) {
        Data::Whole
    } else if outcome.ended_at.is_some() && outcome.received_bytes.abs_diff(len) < 1000 {
        Data::Changed
    } else {
        Data::Short
    }
}

impl Host {
    /// Whether it never fell back, and closed in good order.
    pub(super) fn is_mptcp_to_the_end(&self) -> bool {
        self.fallback.is_none() && self.end == Some(ConnectionEnd::Closed)
    }

    fn of(stack: &MptcpStack) -> Self {
        let mut host = Self {
            add_addrs: stack.endpoint.counters().value(Counter::AddAddrTx),
            ..Self::default()
        };
        for (at, _, event) in stack.events() {
            if matches!(
                event,
                Event::SubflowDown {
                    how: SubflowEnd::TimedOut,
                    ..
                }
            ) {
                host.gave_up_at.get_or_insert(*at);
            }
            let is_late = |how: &SubflowEnd| {
                let reason = ResetReason::UNSPECIFIED;
                *how == SubflowEnd::ResetByUs { reason }
            };
            match event {
                Event::SubflowDown { how, .. } if is_late(how) => {
                    host.late_joins += 1;
                    host.lost += 1;
                }
                Event::AddressAnnounced { .. } => host.heard.add_addr = true,
                Event::AddressEchoed { .. } => host.heard.echo = true,
                Event::PriorityChanged { .. } => host.heard.prio = true,
                Event::AddressRemoved { .. } => host.heard.remove_addr = true,
                Event::FellBack { reason } => host.fallback = Some(*reason),
                Event::SubflowUp { .. } => host.up += 1,
                Event::SubflowDown { how, .. } if *how != SubflowEnd::Closed => host.lost += 1,
                Event::Closed { how } => host.end = Some(*how),
                _ => {}
            }
        }
        host
    }
}

/// The same where addresses come and go meanwhile.
const LONG_LEN: u64 = 400_000;

/// For a third of that.
const LONG_WAIT: Duration = secs(100);

/// Time to the first repetition of an ADD_ADDR without echo.
const ADD_ADDR_WAIT: Duration = ms(100);

/// A run needs some ten thousand: who needs so many sends without end.
const MOST_EVENTS: u64 = 500_000;

/// Bytes in each direction.
const LEN: u64 = 120_000;
/// RFC 9293 §3.8.4: two hours of silence at least; then as Linux has it.
const KEEP_ALIVE: KeepAlive = KeepAlive {
    idle: secs(2 * 3600),
    interval: secs(75),
    probes: 9,
};

/// When both hosts must have ended, whatever happens: one that waits for an answer gives up after
/// `max_retransmissions` (RFC 9293 §3.8.3), here half an hour at most, and one that waits for data by [`KEEP_ALIVE`],
/// which the other one's keep-alives delay.
const PATIENCE: Duration = secs(2 * (2 * 3600 + 9 * 75) + 1800);

/// Longer than TIME-WAIT, after which nothing is left of a connection.
const TIME_WAIT: Duration = secs(300);
