//! One run: two hosts, one or two paths, a box, loss.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mptcp_analyze::capture::Captures;
use mptcp_analyze::model::{Analysis, Blame, Severity};
use mptcp_analyze::rebuild::RebuildOptions;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, ConnectionEnd, Event, FallbackReason, SubflowEnd};
use mptcp_proto::pm;
use mptcp_proto::tcp::{FastOpen, FastOpenCookie, KeepAlive};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::ResetReason;
use mptcp_tests::middlebox::spec::Spec;
use mptcp_tests::middlebox::{Departure, Direction, Middlebox};
use mptcp_tests::sim::{
    CLIENT, Link, MptcpStack, Net, Node, Pair, PathId, SERVER, Script, Seed, Stop, Stream, secs,
};

use super::super::PORT;
use super::beyond_tcp;
use super::boxes::Case;

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
    /// When the first subflow had been without an answer for too long.
    pub(super) gave_up_at: Option<Instant>,
}

/// What the analyzer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who caused the fallback.
    pub(super) by: Option<Blame>,
    /// Findings that are warnings or worse.
    pub(super) findings: Vec<&'static str>,
    /// Their texts.
    pub(super) texts: Vec<String>,
    /// All findings, notes among them.
    pub(super) all: BTreeSet<String>,
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

    fn link(&self, path: usize, touched: &Touched) -> Link {
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
                    touched: Arc::clone(touched),
                };
                Link::of(&near).through_box(&spec, watched)
            }
            // The NAT is an element of the simulator.
            Err(_) => Link::of(&near).through(&spec),
        };
        near.through(&far)
    }

    fn network(&self, touched: &Touched) -> (Net, Hosts) {
        let seed = self.seed;
        let mut net = Net::new(seed);
        let paths: Vec<PathId> = (0..self.paths)
            .map(|path| net.path(self.link(path, touched)))
            .collect();
        net.record(CLIENT);
        net.record(SERVER);
        let mut client = self.config(FastOpen::Cookie);
        client.path_manager = pm::Kind::Fullmesh;
        let mut client = MptcpStack::new(client, seed.derive("client"));
        for path in &paths {
            client.endpoint.address_up(net.client_address(*path));
        }
        let server = self.config(|cookie| FastOpen::Accept(Some(cookie)));
        let server = MptcpStack::new(server, seed.derive("server"));
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        let local = SocketAddr::new(net.client_address(paths[0]), 40_000);
        let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
        let mut up = Script::new("up").send(LEN).wait_for_end().close();
        if self.is_early {
            up = up.early();
        }
        hosts.client.dial(Instant::ZERO, local, remote, up);
        hosts.server.serve(PORT, || {
            Script::new("down").send(LEN).close().wait_for_end()
        });
        (net, hosts)
    }

    /// Lets it happen.
    pub(super) fn run(&self) -> Outcome {
        let touched = Touched::default();
        let (mut net, mut hosts) = self.network(&touched);
        net.note(format!("{self:?}"));
        let stop = net.run_until(&mut hosts, PATIENCE, |hosts| has_ended(hosts));
        let seen = [CLIENT, SERVER].map(|host| {
            let pcapng = net.pcapng(host, None).expect("it was recorded");
            Seen::of(pcapng)
        });
        let beyond_tcp = beyond_tcp::has_false_ack(&net) || beyond_tcp::has_false_clock(&net);
        net.run_for(&mut hosts, TIME_WAIT);
        let stacks = [&hosts.client.stack, &hosts.server.stack];
        let [seen, seen_by_server] = seen;
        Outcome {
            stop,
            received: [
                received(&hosts.server, "up"),
                received(&hosts.client, "down"),
            ],
            hosts: stacks.map(Host::of),
            left: stacks
                .map(|stack| stack.endpoint.connection_count())
                .iter()
                .sum(),
            scenario: net.scenario(),
            seen,
            seen_by_server,
            touched: touched.load(Ordering::Relaxed),
            beyond_tcp,
        }
    }
}

/// How many packets a box did not forward as they were.
type Touched = Arc<AtomicU64>;

/// A box that is watched.
struct Watched {
    inner: Box<dyn Middlebox>,
    touched: Touched,
}

impl Middlebox for Watched {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let before = out.len();
        let arrived = packet.clone();
        self.inner.handle_packet(now, direction, packet, out);
        let left = out.get(before..).unwrap_or_default();
        let is_same = |departure: &Departure| {
            departure.packet == arrived && departure.direction == direction && departure.at == now
        };
        if left.len() != 1 || !left.iter().all(is_same) {
            self.touched.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.inner.handle_timeout(now, out);
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

fn received(node: &Node<MptcpStack>, stream: &str) -> Data {
    let Some(outcome) = node.outcomes().into_iter().next() else {
        return Data::Short;
    };
    if outcome.received_sha256 == Stream::new(stream).sha256(LEN) {
        Data::Whole
    } else if outcome.ended_at.is_some() && outcome.received_bytes.abs_diff(LEN) < 1000 {
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
        let mut host = Self::default();
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

impl Seen {
    fn of(pcapng: Vec<u8>) -> Self {
        let options = RebuildOptions {
            verify_checksums: true,
            verify_tcp_checksums: true,
            ..RebuildOptions::default()
        };
        let captures = Captures::from_reader("client.pcapng", Cursor::new(pcapng));
        let captures = captures.expect("the recording is a capture");
        Self::from_analysis(&mptcp_analyze::analyze(captures, options))
    }

    fn from_analysis(analysis: &Analysis) -> Self {
        let connections = analysis.connections.iter();
        let mut by = None;
        let mut found = Vec::new();
        for connection in connections {
            by = by.or(connection.fallback.as_ref().map(|fallback| fallback.by));
            found.extend(&connection.findings);
        }
        found.extend(&analysis.findings);
        let all = found
            .iter()
            .map(|finding| format!("{} {}", finding.id, finding.text))
            .collect();
        found.retain(|finding| finding.severity >= Severity::Warn);
        let mut findings: Vec<&'static str> = found.iter().map(|finding| finding.id).collect();
        findings.sort_unstable();
        findings.dedup();
        let texts = found
            .iter()
            .map(|finding| format!("{} {}", finding.id, finding.text))
            .collect();
        Self {
            by,
            findings,
            texts,
            all,
        }
    }
}

/// Bytes in each direction.
pub(super) const LEN: u64 = 120_000;
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
