//! Every middlebox of the kit on a simulated connection: what it does to each packet and to the data,
//! written apart from the boxes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::{Flags, Segment};
use mptcp_tests::middlebox::spec;
use mptcp_tests::payload::sha256;
use mptcp_tests::sim::{
    CLIENT, HostId, Link, Outcome, SERVER, Script, SocketState, Stream, Way, ms,
};

use super::Trial;

/// What is expected of one box.
struct Case {
    /// The box, which stands between two links.
    spec: &'static str,
    /// What it does to packets.
    packets: Packets,
    /// What becomes of the client's data; the server's always arrive.
    data: fn(Vec<u8>) -> Vec<u8>,
}

/// What a box does to packets.
enum Packets {
    /// Nothing.
    Same,
    /// Each one becomes another one.
    Edit(fn(&mut Seen)),
    /// Something else.
    Own(fn(&Run)),
}

/// A packet as one side of the box has seen it. Its checksums were right.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    at: Instant,
    source: SocketAddr,
    destination: SocketAddr,
    seq: u32,
    ack: u32,
    flags: Flags,
    window: u16,
    ttl: u8,
    options: Vec<u8>,
    payload: Vec<u8>,
}

impl Seen {
    fn parse(at: Instant, packet: &[u8]) -> Option<Self> {
        let segment = Segment::parse(packet, false).ok()?;
        Some(Self {
            at,
            source: segment.source,
            destination: segment.destination,
            seq: segment.seq.0,
            ack: segment.ack.0,
            flags: segment.flags,
            window: segment.window,
            ttl: packet[8],
            options: segment.options.to_vec(),
            payload: segment.payload.to_vec(),
        })
    }

    fn to_server(&self) -> bool {
        self.destination.port() == super::PORT
    }

    fn is_syn(&self) -> bool {
        self.flags.syn() && !self.flags.ack()
    }

    fn is_syn_ack(&self) -> bool {
        self.flags.syn() && self.flags.ack()
    }
}

/// A run with a box.
struct Run {
    /// What the client and the server sent, before the box.
    sent: [Vec<Seen>; 2],
    /// What arrived of that, after the box.
    arrived: [Vec<Seen>; 2],
    outcomes: [Outcome; 2],
}

/// What the client sent, and the client.
const UP: usize = 0;
/// What the server sent, and the server.
const DOWN: usize = 1;

impl Run {
    fn new(link: Link) -> Self {
        let mut trial = Trial::with(7, link, |config| config);
        trial.record();
        trial.start(Script::new("up").send(LEN).wait_for(LEN).close(), || {
            Script::new("down").send(LEN).wait_for_end().close()
        });
        trial.finish(20);
        let packets = |host: HostId, wanted: Way| -> Vec<Seen> {
            let recording = trial.net.recording(host).unwrap();
            let found = recording.packets().filter(|(_, way, _)| *way == wanted);
            found
                .filter_map(|(at, _, packet)| Seen::parse(at, packet))
                .collect()
        };
        let nodes = [&trial.hosts.client, &trial.hosts.server];
        let none = || Script::new("none").outcome();
        Self {
            sent: [packets(CLIENT, Way::Out), packets(SERVER, Way::Out)],
            arrived: [packets(SERVER, Way::In), packets(CLIENT, Way::In)],
            outcomes: nodes.map(|node| node.outcomes().into_iter().next().unwrap_or_else(none)),
        }
    }

    fn through(text: &str) -> Self {
        Self::new(Link::of(&format!("{NEAR} | {text} | {FAR}")))
    }

    /// What is not as it should be.
    fn differences(&self, case: &Case) -> Vec<String> {
        let mut wrong = Vec::new();
        match case.packets {
            Packets::Same => self.compare(|_| {}, &mut wrong),
            Packets::Edit(edit) => self.compare(edit, &mut wrong),
            Packets::Own(check) => check(self),
        }
        let [client, server] = &self.outcomes;
        if server.received_sha256 != sha256(&(case.data)(stream("up"))) {
            wrong.push(format!("the server got {} bytes", server.received_bytes));
        }
        if server.received_bytes > 0 && client.received_sha256 != sha256(&stream("down")) {
            wrong.push(format!("the client got {} bytes", client.received_bytes));
        }
        wrong
    }

    fn compare(&self, edit: fn(&mut Seen), wrong: &mut Vec<String>) {
        // Times differ, and what was sent last may not have arrived when the run ended.
        let untimed = |seen: &Seen| Seen {
            at: Instant::ZERO,
            ..seen.clone()
        };
        for way in [UP, DOWN] {
            let expected = self.sent[way].iter().map(|sent| {
                let mut changed = untimed(sent);
                edit(&mut changed);
                changed
            });
            let arrived: Vec<Seen> = self.arrived[way].iter().map(untimed).collect();
            let expected: Vec<Seen> = expected.take(arrived.len()).collect();
            let under_way = self.sent[way].len() - expected.len();
            if under_way > 2 || arrived.is_empty() {
                wrong.push(format!("{way}: {under_way} packets did not arrive"));
            }
            let differs = arrived.iter().zip(&expected).position(|(a, b)| a != b);
            wrong.extend(differs.map(|at| {
                format!(
                    "{way}: packet {at}: {:?}, not {:?}",
                    arrived[at], expected[at]
                )
            }));
        }
    }
}

fn stream(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    Stream::new(name).append(0, LEN, &mut bytes);
    bytes
}

/// The options of this kind become NOPs.
fn to_nops(seen: &mut Seen, kind: u8) {
    let (mut at, area) = (0, &mut seen.options);
    while at < area.len() && area[at] != 0 {
        let len = if area[at] == 1 {
            1
        } else {
            usize::from(area[at + 1])
        };
        if area[at] == kind {
            area[at..at + len].fill(1);
        }
        at += len;
    }
}

/// The MSS that a SYN announces; it is the first option of `smoltcp`.
fn mss(syn: &Seen) -> u16 {
    assert_eq!(syn.options[..2], [2, 4]);
    u16::from_be_bytes([syn.options[2], syn.options[3]])
}

fn total(packets: &[Seen]) -> usize {
    packets.iter().map(|seen| seen.payload.len()).sum()
}

fn longest(packets: &[Seen]) -> usize {
    packets.iter().map(|seen| seen.payload.len()).max().unwrap()
}

fn count(packets: &[Seen], which: fn(&Seen) -> bool) -> usize {
    packets.iter().filter(|seen| which(seen)).count()
}

/// How long the client waits for the ACK of its first data.
fn first_ack(run: &Run) -> Duration {
    let data = run.sent[UP].iter().find(|seen| !seen.payload.is_empty());
    let data = data.unwrap();
    let acks = |seen: &&Seen| seen.ack.wrapping_sub(data.seq).cast_signed() > 0;
    let mut answers = run.arrived[DOWN].iter();
    answers.find(acks).unwrap().at.since(data.at)
}

const fn case(spec: &'static str, packets: Packets) -> Case {
    Case {
        spec,
        packets,
        data: |bytes| bytes,
    }
}

const fn refused(spec: &'static str, check: fn(&Run)) -> Case {
    Case {
        data: |_| Vec::new(),
        ..case(spec, Packets::Own(check))
    }
}

/// Boxes that change, at most, packets for themselves.
const ONE_BY_ONE: &[Case] = &[
    case("strip:option=mptcp", Packets::Same),
    case("rewrite:field=key", Packets::Same),
    case("syn-payload", Packets::Same),
    case("hole", Packets::Same),
    case("ack:how=correct", Packets::Same),
    case("ack:how=drop", Packets::Same),
    case("quote:tcp_bytes=8", Packets::Same),
    case(
        "strip:option=sack_ok,on=syn",
        Packets::Edit(|seen| {
            if seen.is_syn() {
                to_nops(seen, 4);
            }
        }),
    ),
    case(
        "strip:option=wscale,on=synack,toward=client",
        Packets::Edit(|seen| {
            if seen.is_syn_ack() {
                to_nops(seen, 3);
            }
        }),
    ),
    case(
        "header:field=ttl,set=9,toward=server",
        Packets::Edit(|seen| {
            if seen.to_server() {
                seen.ttl = 9;
            }
        }),
    ),
    case(
        "isn:delta=0x10203040,toward=server",
        Packets::Edit(|seen| {
            if seen.to_server() {
                seen.seq = seen.seq.wrapping_add(0x1020_3040);
            } else if seen.flags.ack() {
                seen.ack = seen.ack.wrapping_sub(0x1020_3040);
            }
        }),
    ),
];

/// Boxes of which more is to be said.
const OTHERS: &[Case] = &[
    case(
        "rewrite:field=mss,set=1000",
        Packets::Own(|run| {
            for way in [UP, DOWN] {
                assert_eq!(mss(&run.sent[way][0]), 1460);
                assert_eq!(mss(&run.arrived[way][0]), 1000);
                assert_eq!(longest(&run.sent[way]), 1000);
            }
        }),
    ),
    case(
        "rewrite:field=mss,set=1000,on=syn+mirror",
        Packets::Own(|run| {
            assert_eq!(mss(&run.sent[DOWN][0]), 1460);
            assert_eq!(mss(&run.arrived[DOWN][0]), 1000);
        }),
    ),
    Case {
        data: |mut bytes| {
            bytes[100] ^= 0x20;
            bytes
        },
        ..case(
            "flip:at=100,xor=0x20,toward=server",
            Packets::Own(|run| {
                let pairs = run.sent[UP].iter().zip(&run.arrived[UP]);
                let changed = pairs.filter(|(sent, came)| sent.payload != came.payload);
                assert_eq!(changed.count(), 1);
            }),
        )
    },
    case(
        "split:at=700",
        Packets::Own(|run| {
            for way in [UP, DOWN] {
                assert_eq!(longest(&run.arrived[way]), 700);
                assert_eq!(total(&run.arrived[way]), total(&run.sent[way]));
            }
        }),
    ),
    case(
        "coalesce:max=2920,hold_ms=20,toward=server",
        Packets::Own(|run| {
            assert_eq!(longest(&run.arrived[UP]), 2920);
            assert_eq!(total(&run.arrived[UP]), total(&run.sent[UP]));
            assert!(run.arrived[UP].len() < run.sent[UP].len());
        }),
    ),
    case(
        "proactive:toward=server",
        Packets::Own(|run| {
            assert!(run.arrived[DOWN].len() > run.sent[DOWN].len());
            // The box is 5 ms away, the server 25 ms.
            let took = first_ack(run);
            assert!((ms(10)..ms(13)).contains(&took), "{took:?}");
            assert!(first_ack(&Run::through("quote")) > ms(50));
        }),
    ),
    refused("refuse:how=rst,on=syn", |run| {
        assert_eq!(run.outcomes[UP].state, Some(SocketState::Failed));
        assert_eq!(count(&run.arrived[DOWN], |seen| seen.flags.rst()), 1);
    }),
    refused("refuse:how=icmp,on=syn", |run| {
        assert_eq!(run.arrived[UP], []);
        assert!(run.sent[UP].len() > 2);
    }),
    case(
        "refuse:how=drop,on=syn,count=1",
        Packets::Own(|run| {
            assert_eq!(count(&run.sent[UP], Seen::is_syn), 2);
            assert_eq!(count(&run.arrived[UP], Seen::is_syn), 1);
        }),
    ),
    case(
        "impair:delay_ms=10",
        Packets::Own(|run| {
            let without = Run::through("quote");
            for way in [UP, DOWN] {
                let took = |run: &Run| run.arrived[way][0].at.since(run.sent[way][0].at);
                assert_eq!(took(run), took(&without) + ms(10));
            }
        }),
    ),
    case(
        "impair:duplicate=1,toward=server",
        Packets::Own(|run| assert_eq!(count(&run.arrived[UP], Seen::is_syn), 2)),
    ),
];

#[test]
fn boxes_do_on_a_connection_what_they_do_in_their_own_tests() {
    let mut wrong = Vec::new();
    for case in ONE_BY_ONE.iter().chain(OTHERS) {
        let differences = Run::through(case.spec).differences(case);
        let named = differences.iter();
        wrong.extend(named.map(|text| format!("{}: {text}", case.spec)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_box_has_a_case() {
    let specs = ONE_BY_ONE.iter().chain(OTHERS).map(|case| case.spec);
    let names = specs.chain(["payload"]).flat_map(|spec| spec.split('+'));
    let tried: BTreeSet<&str> = names.filter_map(|name| name.split(':').next()).collect();
    assert_eq!(tried, spec::ALL.iter().map(|entry| entry.name).collect());
}

#[test]
fn an_alg_replaces_bytes_of_the_stream() {
    let found = stream("up")[3000..3006].to_vec();
    let hex = |bytes: &[u8]| {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<Vec<_>>().concat()
    };
    for put in [&b"secret"[..], b"a longer text", b"short"] {
        let text = format!(
            "payload:find={},put={},toward=server",
            hex(&found),
            hex(put)
        );
        let run = Run::through(&text);
        let mut expected = stream("up");
        expected.splice(3000..3006, put.iter().copied());
        assert_eq!(run.outcomes[DOWN].received_bytes, expected.len() as u64);
        assert_eq!(run.outcomes[DOWN].received_sha256, sha256(&expected));
        assert_eq!(run.outcomes[UP].received_sha256, sha256(&stream("down")));
    }
}

#[test]
fn a_box_lets_nothing_pass_behind_a_hole() {
    let run = |text: &str| {
        let run = Run::new(Link::of(text));
        assert_eq!(run.outcomes[DOWN].received_sha256, sha256(&stream("up")));
        let mut next = None;
        let data = run.arrived[UP]
            .iter()
            .filter(|seen| !seen.payload.is_empty());
        let behind_holes = data.filter(|seen| {
            let expected: u32 = *next.get_or_insert(seen.seq);
            let len = u32::try_from(seen.payload.len()).unwrap();
            let is_later = |a: u32, b: u32| a.wrapping_sub(b).cast_signed() > 0;
            let end = seen.seq.wrapping_add(len);
            next = Some(if is_later(end, expected) {
                end
            } else {
                expected
            });
            is_later(seen.seq, expected)
        });
        behind_holes.count()
    };
    assert!(run("10mbit 5ms >drop=9/17 | 10mbit 20ms") > 0);
    assert_eq!(
        run("10mbit 5ms >drop=9/17 | hole:toward=server | 10mbit 20ms"),
        0
    );
}

#[test]
fn the_place_of_a_box_does_not_matter_for_what_arrives() {
    for entry in spec::ALL.iter().filter(|entry| entry.name != "impair") {
        let spec = entry.example;
        let places = [
            format!("{spec} | {NEAR} | {FAR}"),
            format!("{NEAR} | {spec} | {FAR}"),
            format!("{NEAR} | {FAR} | {spec}"),
        ];
        let outcomes = places.map(|place| {
            let run = Run::new(Link::of(&place));
            run.outcomes
                .map(|outcome| (outcome.state, outcome.received_sha256))
        });
        let same = outcomes.iter().all(|outcome| *outcome == outcomes[0]);
        assert!(same, "{spec}: {outcomes:?}");
    }
}

const LEN: u64 = 60_000;
const NEAR: &str = "10mbit 5ms";
const FAR: &str = "10mbit 20ms";
