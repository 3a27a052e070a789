//! More than two hosts and one path: routes, shared links, several paths, NATs, routers that say
//! that a packet is too big.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use mptcp_proto::time::Instant;
use mptcp_proto::{conn, pm};
use mptcp_tests::middlebox::select::Toward;
use mptcp_tests::middlebox::{Direction, spec};
use mptcp_tests::sim::{
    CLIENT, Host, Link, MptcpStack, Net, Node, Pair, SERVER, Script, Seed, SmoltcpConfig,
    SmoltcpStack, Stop, Stream, ms, secs,
};

use proptest::prelude::*;

use super::{PORT, analysed};

fn node(net: &Net, name: &str, addresses: &[IpAddr]) -> Node<SmoltcpStack> {
    let config = SmoltcpConfig::new(addresses, net.seed().derive(name));
    Node::new(SmoltcpStack::new(config))
}

fn upload(node: &mut Node<SmoltcpStack>, local: (IpAddr, u16), remote: IpAddr, bytes: u64) {
    let script = Script::new("up").send(bytes).close();
    let remote = SocketAddr::new(remote, PORT);
    node.dial(Instant::ZERO, local.into(), remote, script);
}

fn sink() -> Script {
    Script::new("down").wait_for_end().close()
}

#[test]
fn the_client_address_decides_the_path() {
    let mut net = Net::new(Seed::from_env_or(7));
    let paths = ["10mbit 10ms", "2mbit 40ms"].map(|link| net.path(Link::of(link)));
    let clients = paths.map(|path| net.client_address(path));
    let servers = paths.map(|path| net.server_address(path));
    let mut hosts = Pair {
        client: node(&net, "client", &clients),
        server: node(&net, "server", &servers),
    };
    // The second connection goes to the first path's server address over the second path.
    for (number, client) in (0..).zip(clients) {
        upload(
            &mut hosts.client,
            (client, 40_000 + number),
            servers[0],
            100_000,
        );
    }
    hosts.server.serve(PORT, sink);
    assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle);
    let received = hosts.server.outcomes();
    assert_eq!(
        received
            .iter()
            .map(|one| one.received_bytes)
            .collect::<Vec<_>>(),
        [100_000; 2]
    );
    for path in paths {
        let report = net.report(path);
        assert!((100_000..110_000).contains(&report.to_server.delivered.bytes));
        assert!(report.to_client.delivered.packets > 0);
    }
    assert_eq!(net.counts().unroutable, 0);
}

#[test]
fn hosts_share_a_bottleneck() {
    let mut net = Net::new(Seed::from_env_or(7));
    let addresses = |net: u8| [10, 9, net, 1].into();
    let [one, two, far]: [IpAddr; 3] = [1, 2, 3].map(addresses);
    let other = net.add_host();
    let path = net.path_between(
        (CLIENT, &[one]),
        (SERVER, &[far]),
        Link::of("10mbit 5ms queue=50p"),
    );
    net.join(path, (other, &[two]), (SERVER, &[]));
    net.route(other, Some(two), None, path, Direction::ToServer);
    net.route(SERVER, None, Some(two), path, Direction::ToClient);
    let mut hosts = vec![
        node(&net, "one", &[one]),
        node(&net, "far", &[far]),
        node(&net, "two", &[two]),
    ];
    upload(&mut hosts[0], (one, 40_000), far, 1_000_000);
    upload(&mut hosts[2], (two, 40_000), far, 1_000_000);
    hosts[1].serve(PORT, sink);
    let stop = net.run_until(&mut hosts, secs(60), |hosts| {
        hosts[0].is_done() && hosts[2].is_done()
    });
    assert_eq!(stop, Stop::Done);
    let took = net.now().since_start();
    // Two megabytes take 1.6 s at 10 Mbit/s, and no flow had the link for itself.
    assert!((ms(1600)..ms(5000)).contains(&took), "{took:?}");
}

#[test]
fn flows_are_spread_over_equal_paths_and_each_stays_on_its_own() {
    let mut net = Net::new(Seed::from_env_or(7));
    let first = net.path(Link::of("10mbit 10ms"));
    let second = net.path_beside(first, Link::of("10mbit 15ms"));
    let (local, remote) = (net.client_address(first), net.server_address(first));
    let mut hosts = Pair {
        client: node(&net, "client", &[local]),
        server: node(&net, "server", &[remote]),
    };
    for port in 0..16 {
        upload(&mut hosts.client, (local, 40_000 + port), remote, 10_000);
    }
    hosts.server.serve(PORT, sink);
    net.record(SERVER);
    net.run_until_idle(&mut hosts);
    let done = hosts
        .server
        .outcomes()
        .iter()
        .filter(|one| one.received_bytes == 10_000)
        .count();
    assert_eq!(done, 16);
    let flows = [first, second].map(|path| net.report(path).to_server.delivered.bytes / 10_000);
    assert_eq!(flows.iter().sum::<u64>(), 16);
    assert!(flows.iter().all(|flows| *flows >= 3), "{flows:?}");
}

#[test]
fn a_path_can_be_taken_down_in_one_direction_and_up_again() {
    let mut net = Net::new(Seed::from_env_or(7));
    let path = net.path(Link::of("10mbit 5ms"));
    let (local, remote) = (net.client_address(path), net.server_address(path));
    let mut hosts = Pair {
        client: node(&net, "client", &[local]),
        server: node(&net, "server", &[remote]),
    };
    upload(&mut hosts.client, (local, 40_000), remote, 1_000_000);
    hosts.server.serve(PORT, sink);
    let received = |net: &Net| net.report(path).to_server.delivered.bytes;
    net.run_for(&mut hosts, ms(300));
    let before = received(&net);
    net.set_down(path, Toward::Server, true);
    net.run_for(&mut hosts, ms(300));
    assert_eq!(received(&net), before);
    assert!(before > 100_000 && net.report(path).to_server.drops.down > 0);
    assert_eq!(net.report(path).to_client.drops.down, 0);
    net.set_down(path, Toward::Server, false);
    net.run_until_idle(&mut hosts);
    assert_eq!(hosts.server.outcomes()[0].received_bytes, 1_000_000);
}

#[test]
fn the_server_sees_the_address_of_the_nat() {
    let mut net = Net::new(Seed::from_env_or(7));
    let path = net.path(Link::of("10mbit 5ms | nat:10.77.0.1 | 10mbit 5ms"));
    let (local, remote) = (net.client_address(path), net.server_address(path));
    let mut hosts = Pair {
        client: node(&net, "client", &[local]),
        server: node(&net, "server", &[remote]),
    };
    upload(&mut hosts.client, (local, 40_000), remote, 50_000);
    hosts.server.serve(PORT, sink);
    net.record(SERVER);
    net.run_until_idle(&mut hosts);
    assert_eq!(
        hosts.server.outcomes()[0].received_sha256,
        Stream::new("up").sha256(50_000)
    );
    let recording = net.recording(SERVER).unwrap();
    assert!(recording.packets().all(|(_, _, packet)| {
        [&packet[12..16], &packet[16..20]].contains(&&[10, 77, 0, 1][..])
    }));
}

#[test]
fn a_nat_on_one_path_does_not_keep_the_client_from_joining_an_advertised_address() {
    let mut net = Net::new(Seed::from_env_or(7));
    let links = ["10mbit 5ms | nat:10.77.0.1 | 10mbit 5ms", "10mbit 15ms"];
    let paths = links.map(|link| net.path(Link::of(link)));
    let stack = |net: &Net, name: &str, path_manager| {
        let config = conn::Config {
            path_manager,
            ..conn::Config::default()
        };
        MptcpStack::new(config, net.seed().derive(name))
    };
    let mut client = stack(&net, "client", pm::Kind::Fullmesh);
    let mut server = stack(&net, "server", pm::Kind::Signal);
    // The client's only address has id 0, and the server sees two.
    let local = net.client_address(paths[0]);
    client.endpoint.address_up(local);
    for path in paths {
        let far = net.server_address(path);
        server.endpoint.address_up(far);
        net.join(path, (CLIENT, &[local]), (SERVER, &[far]));
    }
    let mut hosts = Pair {
        client: Node::new(client),
        server: Node::new(server),
    };
    let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
    let up = Script::new("up").send(1_000_000).close();
    hosts
        .client
        .dial(Instant::ZERO, (local, 40_000).into(), remote, up);
    hosts.server.serve(PORT, sink);
    analysed::record_headers(&mut net);
    assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle);
    assert_eq!(
        hosts.server.outcomes()[0].received_sha256,
        Stream::new("up").sha256(1_000_000)
    );
    let joined = net.report(paths[1]).to_server.delivered.bytes;
    assert!(joined > 300_000, "{joined} bytes over the second path");
    assert_eq!(analysed::complaint(&net, &[]), None);
}

/// A host that sends one large packet and keeps what it receives.
struct Large {
    packet: Option<Vec<u8>>,
    received: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Host for Large {
    fn handle_packet(&mut self, _now: Instant, packet: &[u8]) {
        self.received.borrow_mut().push(packet.to_vec());
    }

    fn poll_transmit(&mut self, _now: Instant, packet: &mut Vec<u8>) -> bool {
        *packet = self.packet.take().unwrap_or_default();
        !packet.is_empty()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

#[test]
fn a_router_behind_a_link_says_that_a_packet_is_too_big() {
    let mut net = Net::new(Seed::from_env_or(7));
    let path = net.path(Link::of("10ms | mtu=1400 5ms"));
    let mut packet = vec![
        0x45, 0, 5, 220, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 1, 1, 10, 0, 1, 2,
    ];
    packet.resize(1500, 0);
    let hosts: [Rc<RefCell<Vec<Vec<u8>>>>; 2] = Default::default();
    let host = |index: usize, packet| Large {
        packet,
        received: Rc::clone(&hosts[index]),
    };
    let mut pair = Pair {
        client: host(0, Some(packet)),
        server: host(1, None),
    };
    assert_eq!(net.run_until_idle(&mut pair), Stop::Idle);
    assert_eq!(net.now(), Instant::from_millis(20));
    assert_eq!(hosts[1].borrow().len(), 0);
    let answer = hosts[0].borrow()[0].clone();
    assert_eq!(answer[9], 1);
    assert_eq!(
        (answer[20], answer[21], &answer[26..28]),
        (3, 4, &[5, 120][..])
    );
    assert_eq!(net.report(path).to_server.drops.too_big, 1);
}

/// A host that sends what it was given.
struct Sender(Vec<Vec<u8>>);

impl Host for Sender {
    fn handle_packet(&mut self, _now: Instant, _packet: &[u8]) {}

    fn poll_transmit(&mut self, _now: Instant, packet: &mut Vec<u8>) -> bool {
        let next = self.0.pop();
        packet.extend(next.iter().flatten());
        next.is_some()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

proptest! {
    #[test]
    fn no_packet_stops_the_network(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..90), 0..4_u8), 1..30),
        seed: u64,
    ) {
        let boxes: Vec<&str> = spec::ALL.iter().map(|entry| entry.example).collect();
        let text = format!("1mbit mark=1us corrupt=10% mtu=68 | {} | nat:10.9.9.9", boxes.join(" | "));
        let mut net = Net::new(Seed(seed));
        net.path(Link::of(&text));
        // Some are garbage, the others have addresses, a protocol and lengths that make sense.
        let sent: Vec<Vec<u8>> = packets
            .iter()
            .map(|(bytes, kind)| {
                let mut packet = bytes.clone();
                let len = packet.len();
                if *kind > 0 && len >= 20 {
                    packet[0] = 0x45;
                    packet[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
                    packet[6..8].copy_from_slice(&[0x40, 0]);
                    packet[9] = [6, 6, 1][usize::from(*kind) - 1];
                    packet[12..20].copy_from_slice(&[10, 0, 1, 1, 10, 0, 1, 2]);
                }
                packet
            })
            .collect();
        let mut hosts = Pair {
            client: Sender(sent.clone()),
            server: Sender(sent),
        };
        prop_assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle);
    }
}
