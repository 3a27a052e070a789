use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use mptcp_proto::conn;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::endpoint::{self, Endpoint};
use mptcp_proto::random::RandomSource;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Flags;
use mptcp_tracebox::diff::Field;
use mptcp_tracebox::engine::Engine;
use mptcp_tracebox::evidence::Role;
use mptcp_tracebox::packet::Packet;
use mptcp_tracebox::plan::Plan;
use mptcp_tracebox::trace::{Acked, CellState, Code, EndAnswer, EndOption, Trace};
use mptcp_tracebox::verdict::judge;

/// `SplitMix64`.
struct Seeded(u64);

impl RandomSource for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            [*byte, ..] = z.to_be_bytes();
        }
    }
}

/// Routers, each a millisecond from the next, and a host at the end.
struct Path {
    is_v4: bool,
    routers: u8,
    server: Endpoint,
    /// Packets on their way to the client, with when they arrive.
    back: VecDeque<(Instant, Vec<u8>)>,
}

impl Path {
    fn new(is_v4: bool, routers: u8, mptcp: Offer) -> Self {
        let mut server = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(2)));
        let config = conn::Config {
            mptcp,
            ..conn::Config::default()
        };
        server
            .listen(target(is_v4), 16, config)
            .expect("it is there");
        Self {
            is_v4,
            routers,
            server,
            back: VecDeque::new(),
        }
    }

    fn take(&mut self, now: Instant, bytes: &[u8]) {
        let mut packet = Packet::parse(bytes).expect("a TCP segment");
        if packet.ttl <= self.routers {
            let hop = packet.ttl;
            packet.ttl = 1;
            let error = time_exceeded(self.is_v4, hop, &packet.emit().expect("it is there"));
            self.back
                .push_back((now + millis(2 * u64::from(hop)), error));
            return;
        }
        let there = now + millis(u64::from(self.routers) + 1);
        self.server.handle_packet(there, bytes);
        self.pump(there);
    }

    fn pump(&mut self, now: Instant) {
        let mut out = Vec::new();
        while self.server.poll_transmit(now, &mut out) {
            let mut packet = Packet::parse(&out).expect("it is there");
            packet.ttl -= self.routers;
            let here = now + millis(u64::from(self.routers) + 1);
            self.back
                .push_back((here, packet.emit().expect("it is there")));
            out.clear();
        }
        while self.server.poll_event().is_some() {}
    }
}

fn millis(millis: u64) -> std::time::Duration {
    std::time::Duration::from_millis(millis)
}

fn target(is_v4: bool) -> SocketAddr {
    let text = if is_v4 {
        "10.0.9.9:80"
    } else {
        "[fd00::99]:80"
    };
    text.parse().expect("it is there")
}

fn source(is_v4: bool) -> SocketAddr {
    let text = if is_v4 {
        "10.0.0.1:40000"
    } else {
        "[fd00::1]:40000"
    };
    text.parse().expect("it is there")
}

/// An error with its own checksum; nothing here looks at that of the IP header.
fn time_exceeded(is_v4: bool, hop: u8, quote: &[u8]) -> Vec<u8> {
    let len = u16::try_from(quote.len() + 8).expect("it is there");
    let mut packet = if is_v4 {
        let mut header = vec![0x45, 0];
        header.extend((len + 20).to_be_bytes());
        header.extend([0, 0, 0, 0, 64 - hop, 1, 0, 0, 10, 0, hop, 1, 10, 0, 0, 1]);
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend(len.to_be_bytes());
        header.extend([58, 64 - hop]);
        header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, hop, 0]);
        let IpAddr::V6(client) = source(false).ip() else {
            unreachable!()
        };
        header.extend(client.octets());
        header
    };
    // The addresses and what RFC 8200 §8.1 adds to them count in IPv6 only.
    let mut covered = if is_v4 {
        Vec::new()
    } else {
        let mut pseudo = packet[8..40].to_vec();
        pseudo.extend(u32::from(len).to_be_bytes());
        pseudo.extend([0, 0, 0, 58]);
        pseudo
    };
    let at = packet.len();
    packet.extend([if is_v4 { 11 } else { 3 }, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend(quote);
    covered.extend(&packet[at..]);
    let mut sum: u16 = 0;
    for pair in covered.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        let (next, carry) = sum.overflowing_add(u16::from_be_bytes([pair[0], low]));
        sum = next + u16::from(carry);
    }
    packet[at + 2..at + 4].copy_from_slice(&(!sum).to_be_bytes());
    packet
}

/// Runs to the end. Returns the engine and how long it took.
fn run(path: &mut Path) -> (Engine, Instant) {
    let plan = Plan::new(source(path.is_v4), target(path.is_v4));
    let mut now = Instant::ZERO;
    let mut engine = Engine::new(plan, Box::new(Seeded(1)), now);
    for _ in 0..100_000 {
        while let Some(transmit) = engine.poll_transmit(now) {
            path.take(now, &transmit.bytes);
        }
        while engine.poll_event().is_some() {}
        if engine.is_done() {
            return (engine, now);
        }
        let earliest = path.back.iter().enumerate().min_by_key(|(_, (at, _))| *at);
        let arrival = earliest.map(|(number, (at, _))| (number, *at));
        let timer = engine.poll_timeout(now);
        match (arrival, timer) {
            (Some((number, at)), timer) if timer.is_none_or(|timer| at <= timer) => {
                now = now.max(at);
                let (_, packet) = path.back.remove(number).expect("it is there");
                engine.handle_packet(now, &packet);
            }
            (_, Some(timer)) => {
                now = now.max(timer);
                engine.handle_timeout(now);
                path.server.handle_timeout(now);
                path.pump(now);
            }
            (_, None) => panic!("nothing will happen any more: {engine:?}"),
        }
    }
    panic!("no end: {engine:?}");
}

fn traced(path: &mut Path) -> (Engine, Trace, Instant) {
    let (engine, end) = run(path);
    let trace = judge(engine.evidence(), target(path.is_v4));
    (engine, trace, end)
}

#[test]
fn a_clean_path_to_a_host_with_mptcp_is_clean() {
    for is_v4 in [true, false] {
        for routers in [0, 1, 4, 9] {
            let mut path = Path::new(is_v4, routers, Offer::V1);
            let (_, trace, end) = traced(&mut path);
            let [flow] = &trace.flows[..] else { panic!() };
            assert_eq!(flow.changes, [], "{routers}");
            assert_eq!(trace.verdict.code, Code::MptcpOk, "{:?}", trace.verdict);
            assert_eq!(flow.distance, Some(routers + 1));
            assert_eq!(flow.hops.len(), usize::from(routers));
            let mut cells = flow.hops.iter().flat_map(|hop| &hop.cells);
            assert!(
                cells.all(|cell| cell.state == CellState::Same),
                "{:?}",
                flow.hops
            );
            let talk = flow.talk.expect("it is there");
            assert!(talk.is_mptcp && !talk.failed && !talk.was_reset, "{talk:?}");
            assert_eq!(talk.acked, Acked::ByMptcp);
            assert_eq!(talk.passes_holes, Some(true));
            assert!(end < Instant::from_millis(3000), "{end}");
        }
    }
}

#[test]
fn a_host_without_mptcp_is_told_from_a_path_that_strips_it() {
    let mut path = Path::new(true, 3, Offer::Off);
    let (_, trace, _) = traced(&mut path);
    assert_eq!(trace.verdict.code, Code::ServerNoMptcp);
    assert_eq!(trace.verdict.between.expect("it is there").after, 3);
    assert!(trace.flows[0].talk.is_none());
}

#[test]
fn version_0_is_recognized() {
    let mut path = Path::new(true, 2, Offer::V0);
    let (_, trace, _) = traced(&mut path);
    assert_eq!(trace.verdict.code, Code::MptcpV0Only, "{:?}", trace.verdict);
}

#[test]
fn the_target_sees_one_connection_at_a_time_and_every_one_ends() {
    let mut path = Path::new(true, 4, Offer::V1);
    let (engine, trace, _) = traced(&mut path);
    assert_eq!(path.server.connection_count(), 0);
    let resets = engine.evidence().all().iter();
    assert!(
        resets
            .filter(|sent| sent.purpose.role == Role::Reset)
            .count()
            >= 3
    );
    let v1 = &trace.flows[0].ends[1];
    assert!(
        matches!(
            v1.answer,
            EndAnswer::SynAck {
                option: EndOption::Capable(1),
                ..
            }
        ),
        "{v1:?}"
    );
}

#[test]
fn what_a_router_rewrites_shows_behind_it() {
    // The copies of data are seen too: only the SYNs are rewritten here.
    let mut path = Path::new(true, 4, Offer::V1);
    let plan = Plan::new(source(true), target(true));
    let mut engine = Engine::new(plan, Box::new(Seeded(1)), Instant::ZERO);
    let mut now = Instant::ZERO;
    while !engine.is_done() {
        while let Some(transmit) = engine.poll_transmit(now) {
            let mut packet = Packet::parse(&transmit.bytes).expect("it is there");
            if packet.ttl > 2 && packet.flags.syn() {
                packet.window = 1000;
            }
            path.take(now, &packet.emit().expect("it is there"));
        }
        now = engine.poll_timeout(now).unwrap_or(now);
        for (_, packet) in path.back.drain(..) {
            engine.handle_packet(now, &packet);
        }
        engine.handle_timeout(now);
    }
    let trace = judge(engine.evidence(), target(true));
    let [located] = &trace.flows[0].changes[..] else {
        panic!("{:?}", trace.flows[0].changes)
    };
    assert_eq!(located.change.field, Field::Window);
    assert_eq!(located.between.to_string(), "between hop 2 and hop 3");
    assert_eq!(trace.verdict.code, Code::PathChanges);
}

#[test]
fn who_acknowledges_data_that_cannot_have_arrived_is_found_out() {
    let mut path = Path::new(true, 4, Offer::V1);
    let plan = Plan::new(source(true), target(true));
    let mut engine = Engine::new(plan, Box::new(Seeded(1)), Instant::ZERO);
    let mut now = Instant::ZERO;
    while !engine.is_done() {
        while let Some(transmit) = engine.poll_transmit(now) {
            let packet = Packet::parse(&transmit.bytes).expect("a TCP segment");
            if packet.ttl > 2 && !packet.payload.is_empty() {
                let len = u32::try_from(packet.payload.len()).expect("it is short");
                let ack = Packet {
                    source: packet.destination,
                    destination: packet.source,
                    ttl: 62,
                    seq: packet.ack,
                    ack: packet.seq.add(len),
                    flags: Flags::ACK,
                    options: Vec::new(),
                    payload: Vec::new(),
                    ..packet
                };
                path.back.push_front((now, ack.emit().expect("it fits")));
            }
            path.take(now, &transmit.bytes);
        }
        now = engine.poll_timeout(now).unwrap_or(now);
        for (_, packet) in path.back.drain(..) {
            engine.handle_packet(now, &packet);
        }
        engine.handle_timeout(now);
    }
    let trace = judge(engine.evidence(), target(true));
    assert_eq!(
        trace.verdict.code,
        Code::ProactiveAck,
        "{:?}",
        trace.verdict
    );
}
