//! The simulator, with `smoltcp` in its hosts: a TCP that is not ours.

mod analysed;
mod boxes;
mod buffers;
mod bulk;
mod grid;
mod hours;
mod matrix;
mod networks;
mod path_managers;
mod recordings;
mod runs;
mod soak;
mod throughput;
mod transfers;

use std::net::SocketAddr;

use mptcp_proto::time::Instant;
use mptcp_tests::sim::{
    CLIENT, Link, Net, Node, Outcome, Pair, PathId, SERVER, Script, Seed, SmoltcpConfig,
    SmoltcpStack, Stop, Stream, secs,
};

type Hosts = Pair<Node<SmoltcpStack>, Node<SmoltcpStack>>;

/// A network of one path with a `smoltcp` at each end.
struct Trial {
    net: Net,
    hosts: Hosts,
    path: PathId,
}

impl Trial {
    fn new(seed: u64, link: &str) -> Self {
        Self::with(seed, Link::of(link), |config| config)
    }

    fn with(seed: u64, link: Link, change: impl Fn(SmoltcpConfig) -> SmoltcpConfig) -> Self {
        let mut net = Net::new(Seed::from_env_or(seed));
        let path = net.path(link);
        let seed = net.seed();
        let node = |name: &str, addresses: [std::net::IpAddr; 2]| {
            let config = SmoltcpConfig::new(&addresses, seed.derive(name));
            Node::new(SmoltcpStack::new(change(config)))
        };
        let hosts = Pair {
            client: node(
                "client",
                [net.client_address(path), net.client_address_v6(path)],
            ),
            server: node(
                "server",
                [net.server_address(path), net.server_address_v6(path)],
            ),
        };
        Self { net, hosts, path }
    }

    /// The client runs one script, the server another for each connection.
    fn start(&mut self, client: Script, server: impl FnMut() -> Script + 'static) {
        let local = SocketAddr::new(self.net.client_address(self.path), 40_000);
        let remote = SocketAddr::new(self.net.server_address(self.path), PORT);
        self.net.note(format!("client: {}", client.text()));
        self.hosts.client.dial(Instant::ZERO, local, remote, client);
        self.hosts.server.serve(PORT, server);
    }

    /// Both send so many bytes; the client closes when it has received all, then the server does.
    /// Returns when both have seen the end. `smoltcp` 0.12 stops its retransmission timer at any ACK
    /// once the other host has closed, so nothing may be on its way then.
    #[track_caller]
    fn exchange(&mut self, up: u64, down: u64) -> [Outcome; 2] {
        self.start(
            Script::new("up").send(up).wait_for(down).close(),
            move || Script::new("down").send(down).wait_for_end().close(),
        );
        assert_eq!(self.finish(600), Stop::Done, "{:?}", self.net);
        self.outcomes()
    }

    fn finish(&mut self, most_secs: u64) -> Stop {
        self.net
            .run_until(&mut self.hosts, secs(most_secs), |hosts| {
                hosts.client.is_done() && hosts.server.is_done()
            })
    }

    fn outcomes(&self) -> [Outcome; 2] {
        let first = |node: &Node<SmoltcpStack>| node.outcomes().swap_remove(0);
        [first(&self.hosts.client), first(&self.hosts.server)]
    }

    fn record(&mut self) {
        for host in [CLIENT, SERVER] {
            self.net.record(host);
        }
    }
}

/// That both hosts got what the other one sent.
#[track_caller]
fn check_whole(outcomes: &[Outcome; 2], up: u64, down: u64) {
    let [client, server] = outcomes;
    assert_eq!([server.received_bytes, client.received_bytes], [up, down]);
    assert_eq!(server.received_sha256, Stream::new("up").sha256(up));
    assert_eq!(client.received_sha256, Stream::new("down").sha256(down));
}

const PORT: u16 = 80;
