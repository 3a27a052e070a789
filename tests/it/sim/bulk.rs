//! A bulk transfer of our endpoint over some paths.

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::{Buffers, Mechanisms, Offer};
use mptcp_proto::time::Instant;
use mptcp_proto::{cc, pm, sched};
use mptcp_tests::sim::{
    Link, MptcpStack, Net, Node, Outcome, Pair, PathId, Script, Seed, Series, Stop, secs,
};

use super::{PORT, analysed};

/// A bulk transfer, and what may differ in it.
#[derive(Debug, Clone)]
pub(super) struct Bulk {
    pub(super) links: Vec<&'static str>,
    pub(super) config: Config,
    pub(super) secs: u64,
    /// What the first seconds give does not count.
    pub(super) warm_up: u64,
    pub(super) seed: u64,
    pub(super) block_size: Option<usize>,
}

/// What a transfer gave, in bits per second.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    /// Of the application.
    pub(super) goodput: u64,
    /// Of whole packets on all paths.
    pub(super) throughput: u64,
    /// Bytes in the sender's buffer, the mean after the warm-up.
    pub(super) sender_memory: u64,
    /// And in the receiver's, those out of order among them.
    pub(super) receiver_memory: u64,
    /// What the receiving application has seen.
    pub(super) outcome: Outcome,
}

impl Bulk {
    pub(super) fn over(links: &[&'static str]) -> Self {
        let large = Buffers {
            receive: 4_000_000,
            max_receive: 8_000_000,
            send: 4_000_000,
            max_send: 8_000_000,
        };
        Self {
            links: links.to_vec(),
            config: Config {
                buffers: large,
                path_manager: pm::Kind::Fullmesh,
                ..Config::default()
            },
            secs: 15,
            warm_up: 5,
            seed: 7,
            block_size: None,
        }
    }

    pub(super) fn tcp(mut self) -> Self {
        self.config.mptcp = Offer::Off;
        self
    }

    pub(super) fn lasting(mut self, secs: u64) -> Self {
        self.secs = secs;
        self
    }

    pub(super) fn congestion(mut self, kind: cc::Kind) -> Self {
        self.config.congestion = kind;
        self
    }

    pub(super) fn scheduler(mut self, kind: sched::Kind) -> Self {
        self.config.scheduler = kind;
        self
    }

    /// Both buffers of both hosts have so many bytes at most, and at the begin if there is no autotuning.
    pub(super) fn buffers(mut self, bytes: usize) -> Self {
        let first = if self.config.mechanisms.autotuning.is_on() {
            bytes.min(64_000)
        } else {
            bytes
        };
        self.config.buffers = Buffers {
            receive: first,
            max_receive: bytes,
            send: first,
            max_send: bytes,
        };
        self
    }

    pub(super) fn mechanisms(mut self, mechanisms: Mechanisms) -> Self {
        self.config.mechanisms = mechanisms;
        self
    }

    /// Sends blocks of so many bytes with their times, instead of a stream.
    pub(super) fn blocks(mut self, size: usize) -> Self {
        self.block_size = Some(size);
        self
    }

    #[track_caller]
    pub(super) fn run(&self) -> Rates {
        let (rates, complaint) = self.run_and_look();
        assert_eq!(complaint, None);
        rates
    }

    /// The same, with what the analyzer finds.
    #[track_caller]
    pub(super) fn run_and_look(&self) -> (Rates, Option<String>) {
        let seed = Seed::from_env_or(self.seed);
        let mut net = Net::new(seed);
        let links = self.links.iter();
        let paths: Vec<PathId> = links.map(|link| net.path(Link::of(link))).collect();
        net.note(format!("{self:?}"));
        analysed::record_headers(&mut net);
        let mut client = MptcpStack::new(self.config.clone(), seed.derive("client"));
        for path in &paths {
            client.endpoint.address_up(net.client_address(*path));
        }
        let server = MptcpStack::new(self.config.clone(), seed.derive("server"));
        let mut hosts = Pair {
            client: Node::new(client),
            server: Node::new(server),
        };
        let local = SocketAddr::new(net.client_address(paths[0]), 40_000);
        let remote = SocketAddr::new(net.server_address(paths[0]), PORT);
        let up = match self.block_size {
            Some(size) => Script::new("up").blocks(size, u64::MAX / 2),
            None => Script::new("up").send(u64::MAX / 2).close(),
        };
        hosts.client.dial(Instant::ZERO, local, remote, up);
        let block_size = self.block_size;
        hosts.server.serve(PORT, move || {
            let down = Script::new("down").wait_for_end().close();
            match block_size {
                Some(size) => down.expect_blocks(size),
                None => down,
            }
        });
        assert_eq!(net.run_for(&mut hosts, secs(self.warm_up)), Stop::Time);
        let (mut samples, mut memory) = (0, [0, 0]);
        while net.now() < Instant::ZERO + secs(self.secs) {
            assert_eq!(net.run_for(&mut hosts, SAMPLE), Stop::Time);
            samples += 1;
            memory[0] += held(&hosts.client);
            memory[1] += held(&hosts.server);
        }
        let outcome = hosts.server.outcomes().swap_remove(0);
        let reports = paths.iter().map(|path| net.report(*path).to_server);
        let rates = Rates {
            goodput: self.rate(&outcome.goodput),
            throughput: reports.map(|way| self.rate(&way.throughput)).sum(),
            sender_memory: memory[0] / samples,
            receiver_memory: memory[1] / samples,
            outcome,
        };
        (rates, analysed::complaint(&net, &[]))
    }

    /// Bits per second after the warm-up.
    fn rate(&self, bytes: &Series) -> u64 {
        bytes.bits_per_second(secs(self.warm_up), secs(self.secs))
    }
}

/// Bytes in both buffers of a host's only connection.
fn held(node: &Node<MptcpStack>) -> u64 {
    let connections = node.stack.endpoint.connections();
    let held = connections.map(|connection| {
        let info = connection.info();
        let (_, readable, out_of_order) = info.receive_buffer;
        (info.send_buffer.1 + readable) as u64 + out_of_order
    });
    held.sum()
}

/// How often the buffers are looked at.
const SAMPLE: Duration = Duration::from_millis(50);
