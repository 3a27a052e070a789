//! How fast virtual time passes: events a second of the simulator alone, and with a TCP in its hosts.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run shall stop")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};
use mptcp_tests::sim::{
    Host, Link, Net, Node, Pair, Script, Seed, SmoltcpConfig, SmoltcpStack, Stop, secs,
};

/// A host that sends the same packet at a rate, so many times.
struct Metronome {
    packet: Vec<u8>,
    left: u64,
    next: Instant,
}

impl Host for Metronome {
    fn handle_packet(&mut self, _now: Instant, _packet: &[u8]) {}

    fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> bool {
        let due = self.left > 0 && self.next <= now;
        if due {
            packet.extend(&self.packet);
            self.left -= 1;
            self.next += Duration::from_micros(12);
        }
        due
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.left > 0).then_some(self.next)
    }

    fn handle_timeout(&mut self, _now: Instant) {}
}

fn alone(path: &str) -> u64 {
    let mut net = Net::new(Seed(1));
    let path = net.path(Link::of(path));
    let end = |address: IpAddr| SocketAddr::new(address, 80);
    let segment = Segment {
        source: end(net.client_address(path)),
        destination: end(net.server_address(path)),
        seq: mptcp_proto::seq::TcpSeq(1),
        ack: mptcp_proto::seq::TcpSeq(1),
        flags: Flags::ACK,
        window: 1,
        urgent: 0,
        ecn: Ecn::NotCapable,
        options: &[],
        payload: &[0; 1460],
        payload_sum: None,
    };
    let mut packet = Vec::new();
    segment.emit(&mut packet).unwrap();
    let host = |left| Metronome {
        packet: packet.clone(),
        left,
        next: Instant::ZERO,
    };
    let mut hosts = Pair {
        client: host(PACKETS),
        server: host(0),
    };
    assert_eq!(net.run_until_idle(&mut hosts), Stop::Idle);
    assert_eq!(net.counts().delivered, PACKETS);
    net.counts().events
}

fn with_tcp(path: &str, script: fn() -> Script) -> u64 {
    let mut net = Net::new(Seed(1));
    let path = net.path(Link::of(path));
    let (local, remote) = (net.client_address(path), net.server_address(path));
    let node = |address| {
        let config = SmoltcpConfig::new(&[address], Seed(1));
        Node::<_, Script>::new(SmoltcpStack::new(config))
    };
    let mut hosts = Pair {
        client: node(local),
        server: node(remote),
    };
    let (local, remote) = (SocketAddr::new(local, 4000), SocketAddr::new(remote, 80));
    hosts.client.dial(Instant::ZERO, local, remote, script());
    let server = || Script::new("down").wait_for_end().close();
    hosts.server.serve(80, server);
    let stop = net.run_until(&mut hosts, secs(10_000), |hosts| hosts.client.is_done());
    assert_eq!(stop, Stop::Done);
    net.counts().events
}

fn sim(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sim");
    group.sample_size(10);
    let boxes = "1gbit 5ms | isn:delta=5 | 1gbit 5ms | split:at=9000 | 1gbit 5ms";
    for (name, path) in [("packets, a link", "1gbit 5ms"), ("packets, boxes", boxes)] {
        group.throughput(Throughput::Elements(alone(path)));
        group.bench_function(name, |bencher| bencher.iter(|| alone(path)));
    }
    let bulk = || Script::new("up").send(20_000_000).close();
    let hour = || Script::new("up").send_at(32_000, 14_400_000).close();
    for (name, path, script) in [
        (
            "smoltcp, 20 MB",
            "1gbit 500us queue=1s",
            bulk as fn() -> Script,
        ),
        ("smoltcp, an hour at 32 kbit/s", "1mbit 50ms loss=1%", hour),
    ] {
        group.throughput(Throughput::Elements(with_tcp(path, script)));
        group.bench_function(name, |bencher| bencher.iter(|| with_tcp(path, script)));
    }
    group.finish();
}

const PACKETS: u64 = 50_000;

criterion_group!(benches, sim);
criterion_main!(benches);
