//! A thousand connections through one pair of hosts, with losses and joins, closed in every order.

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::config::{Buffers, Offer};
use mptcp_proto::conn::{Config, ConnectionEnd, Counter};
use mptcp_proto::endpoint::TableSizes;
use mptcp_proto::pm;
use mptcp_proto::time::Instant;
use mptcp_tests::sim::{Link, MptcpStack, Net, Node, Outcome, Pair, Script, Seed, Stop, Stream};

use super::analysed;

/// In which order the ends of a connection close: one port of the server for each.
const CLIENT_FIRST: u16 = 80;
const SERVER_FIRST: u16 = 81;
const BOTH_AT_ONCE: u16 = 82;
const CLIENT_ABORTS: u16 = 83;
const PORTS: [u16; 4] = [CLIENT_FIRST, SERVER_FIRST, BOTH_AT_ONCE, CLIENT_ABORTS];

const CONNECTIONS: u16 = 1000;

/// Bytes that the client of connection `number` sends: from none to 40,000.
fn upload(number: u16) -> u64 {
    u64::from(number) * 7919 % 40_000
}

const PAUSE: Duration = Duration::from_millis(150);

const DOWNLOAD: u64 = 15_000;

fn client_script(number: u16, port: u16) -> Script {
    let first = upload(number) / 2;
    // The pause gives the second path the time to join.
    let up = Script::new("up")
        .send(first)
        .wait(PAUSE)
        .send(upload(number) - first);
    match port {
        SERVER_FIRST => up.wait_for_end().close(),
        CLIENT_ABORTS => up.wait_for(DOWNLOAD).abort(),
        _ => up.close(),
    }
}

fn server_script(port: u16) -> Script {
    let down = Script::new("down").send(DOWNLOAD);
    match port {
        CLIENT_FIRST | CLIENT_ABORTS => down.wait_for_end().close(),
        _ => down.close(),
    }
}

fn config(offer: Offer) -> Config {
    Config {
        mptcp: offer,
        path_manager: pm::Kind::Fullmesh,
        buffers: Buffers {
            receive: 64_000,
            max_receive: 256_000,
            send: 64_000,
            max_send: 256_000,
        },
        ..Config::default()
    }
}

struct Soak {
    net: Net,
    hosts: Pair<Node<MptcpStack>, Node<MptcpStack>>,
}

impl Soak {
    fn new(offer: Offer) -> Self {
        let seed = Seed::from_env_or(5);
        let mut net = Net::new(seed);
        analysed::record_headers(&mut net);
        let paths = [
            "100mbit 5ms queue=200kB loss=1%",
            "50mbit 20ms queue=200kB loss=2% reorder=1%/5ms duplicate=1%",
        ]
        .map(|link| net.path(Link::of(link)));
        let mut client = MptcpStack::new(config(offer), seed.derive("client"));
        for path in paths {
            client.endpoint.address_up(net.client_address(path));
        }
        let server = MptcpStack::new(config(offer), seed.derive("server"));
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        for number in 0..CONNECTIONS {
            let port = PORTS[usize::from(number) % PORTS.len()];
            let local = SocketAddr::new(net.client_address(paths[0]), 20_000 + number);
            let remote = SocketAddr::new(net.server_address(paths[0]), port);
            let at = Instant::from_millis(u64::from(number) * 10);
            let script = client_script(number, port);
            hosts.client.dial(at, local, remote, script);
        }
        for port in PORTS {
            hosts.server.serve(port, move || server_script(port));
        }
        Self { net, hosts }
    }
}

/// A client that aborts has sent all, but need not have it acknowledged.
fn check_server(outcomes: &[Outcome]) {
    let up = Stream::new("up");
    let mut got: Vec<u64> = Vec::new();
    for outcome in outcomes {
        assert_eq!(outcome.received_sha256, up.sha256(outcome.received_bytes));
        got.push(outcome.received_bytes);
    }
    got.sort_unstable();
    let is_aborted = |number: &u16| usize::from(*number) % PORTS.len() == 3;
    for number in (0..CONNECTIONS).filter(|number| !is_aborted(number)) {
        let place = got.binary_search(&upload(number));
        got.remove(place.unwrap_or_else(|_| panic!("connection {number} is cut")));
    }
    let most = (0..CONNECTIONS).filter(is_aborted).map(upload).sum();
    assert!(got.iter().sum::<u64>() <= most);
}

fn check_soak(offer: Offer) {
    let Soak { mut net, mut hosts } = Soak::new(offer);
    assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle, "{net:?}");
    assert_eq!(analysed::complaint(&net, &[]), None);
    let clients = hosts.client.outcomes();
    assert_eq!(clients.len(), usize::from(CONNECTIONS));
    for (number, outcome) in clients.iter().enumerate() {
        assert_eq!(outcome.received_bytes, DOWNLOAD, "connection {number}");
        let down = Stream::new("down").sha256(DOWNLOAD);
        assert_eq!(outcome.received_sha256, down, "connection {number}");
    }
    let servers = hosts.server.outcomes();
    assert_eq!(servers.len(), usize::from(CONNECTIONS));
    check_server(&servers);
    let ends = hosts.server.stack.ends();
    let aborted = ends.values().filter(|end| **end != ConnectionEnd::Closed);
    assert_eq!(aborted.count(), usize::from(CONNECTIONS) / PORTS.len());

    // Nothing is left of them.
    for node in [&hosts.client, &hosts.server] {
        let endpoint = &node.stack.endpoint;
        assert_eq!(endpoint.table_sizes(), TableSizes::default());
        assert_eq!(endpoint.poll_timeout(), None);
    }
    let joins = hosts
        .server
        .stack
        .endpoint
        .counters()
        .value(Counter::JoinAckRx);
    assert!(joins > u64::from(CONNECTIONS) / 2, "{joins} joins");
}

#[test]
fn nothing_is_left_of_a_thousand_connections_of_version_1() {
    check_soak(Offer::V1);
}

#[test]
fn nothing_is_left_of_a_thousand_connections_of_version_0() {
    check_soak(Offer::V0);
}
