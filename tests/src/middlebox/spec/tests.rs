use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::middlebox::bench::Tcp;
use crate::middlebox::segment::Segment;
use crate::middlebox::{Departure, Direction};

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = text.parse::<Spec>().unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn errors_name_what_is_wrong_and_what_is_possible() {
    check_error("", "no box is called ``; there are strip, rewrite,");
    check_error("stripe", "no box is called `stripe`; there are strip,");
    check_error("strip+", "no box is called ``");
    check_error(
        "strip:kind=3",
        "strip has no key `kind`; it has option, how, toward, on, with, options_over, from, count, checksum",
    );
    check_error(
        "strip:how=fast",
        "strip: how=`fast` should be nop, remove, eol",
    );
    check_error(
        "strip:option=mp_capabel",
        "strip: option=`mp_capabel` should be mss,",
    );
    check_error("impair:loss=2", "impair: loss=`2` should be a probability");
    check_error("split:at=0", "split: at=`0` should be half, or a number");
    check_error("strip:how", "strip: `how` should be key=value");
    check_error("isn:delta=1,delta=2", "isn: `delta` is given twice");
}

#[test]
fn every_example_is_read_written_and_built() {
    for entry in ALL {
        let spec: Spec = entry.example.parse().unwrap();
        assert_eq!(
            spec.to_string().parse::<Spec>().unwrap(),
            spec,
            "{}",
            entry.name
        );
        assert!(entry.example.starts_with(entry.name));
        assert!(entry.about.ends_with('.'));
        drop(spec.build());
    }
}

#[test]
fn what_is_default_is_not_written() {
    let spec: Spec = "strip:how=nop,on=syn+isn:sack=fix+mirror".parse().unwrap();
    assert_eq!(spec.to_string(), "strip:on=syn+isn+mirror");
}

/// Keys with values as large and as small as they get.
const PAIRS: &[&str] = &[
    "toward=client",
    "toward=server",
    "on=data",
    "on=third_ack",
    "with=dss/mss",
    "options_over=0",
    "options_over=255",
    "from=3",
    "count=2",
    "how=remove",
    "how=eol",
    "how=rst",
    "how=icmp",
    "how=correct",
    "option=30/2",
    "option=mptcp.15",
    "field=data_ack",
    "field=address",
    "field=flow_label",
    "field=traffic_class",
    "field=reserved",
    "field=sequence",
    "set=0xffffffff",
    "set=0xffffffffffff",
    "xor=0x80",
    "delta=0xffffffff",
    "sack=leave",
    "find=00",
    "put=",
    "put=010203",
    "times=0",
    "mtu=0",
    "skip_bytes=1",
    "at=1",
    "at=half",
    "options=first",
    "rest=remove",
    "max=65535",
    "min=9",
    "hold_ms=0",
    "duplicates=drop",
    "tcp_bytes=0",
    "tcp_bytes=65535",
    "mpls=0xffffffff",
    "source=fd00::9",
    "delay_ms=4294967295",
    "jitter_ms=4294967295",
    "order=free",
    "loss=0.5",
    "burst_start=0.000001",
    "burst_end=1",
    "burst_loss=0.3",
    "reorder=0.5",
    "duplicate=0.5",
    "down_ms=1..2/5..9",
    "seed=18446744073709551615",
    "checksum=stale",
];

/// Texts of boxes with random keys from a list, values that fit and values that are far off.
fn texts() -> impl Strategy<Value = String> {
    let pairs = prop::sample::select(PAIRS);
    let names = prop::sample::select(ALL);
    let one = (names, prop::collection::vec(pairs, 0..6)).prop_map(|(entry, pairs)| {
        // Pairs that the box does not know are left out one by one.
        let mut text = entry.name.to_owned();
        for pair in pairs {
            let sign = if text.contains(':') { ',' } else { ':' };
            let longer = format!("{text}{sign}{pair}");
            if longer.parse::<Spec>().is_ok() {
                text = longer;
            }
        }
        text
    });
    prop::collection::vec(one, 1..4).prop_map(|ones| ones.join("+"))
}

/// Packets of few flows with every field free, whole or broken.
fn packets() -> impl Strategy<Value = (Direction, Vec<u8>)> {
    let area = prop::collection::vec(
        prop_oneof![
            Just(vec![2, 4, 5, 180]),
            Just(vec![30, 8, 0x20, 1, 0, 0, 0, 1]),
            Just(vec![30, 16, 0x20, 4, 0, 0, 0, 2, 0, 0, 0, 1, 0, 3, 9, 9]),
            Just(vec![5, 10, 0, 0, 3, 232, 0, 0, 4, 0]),
            Just(vec![30, 0]),
            prop::collection::vec(any::<u8>(), 0..9),
        ],
        0..4,
    );
    let fields = (
        0_u32..40,
        any::<u8>(),
        area,
        prop::collection::vec(0_u8..4, 0..40),
    );
    let damage = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
    (any::<bool>(), any::<bool>(), fields, damage, any::<bool>()).prop_map(
        |(to_server, v6, (seq, flags, area, payload), damage, cut)| {
            let tcp = if to_server {
                Tcp::to_server()
            } else {
                Tcp::to_client()
            };
            let mut area = area.concat();
            area.truncate(40);
            let tcp = tcp.seq(990 + seq).ack(1990 + seq).flags(flags).area(&area);
            let tcp = tcp.payload(&payload);
            let mut packet = if v6 { tcp.clone().v6() } else { tcp.clone() }.packet();
            if let Some((index, byte)) = damage {
                let at = index.index(packet.len());
                packet[at] = byte;
                packet.truncate(if cut { at } else { packet.len() });
            }
            (tcp.direction(), packet)
        },
    )
}

/// Sends packets through a box, one each millisecond, and serves its timeouts.
fn run(spec: &Spec, packets: &[(Direction, Vec<u8>)]) -> Vec<Departure> {
    let mut middlebox = spec.build();
    let mut out = Vec::new();
    for (ms, (direction, packet)) in (0..).zip(packets) {
        let now = Duration::from_millis(ms);
        if middlebox.poll_timeout().is_some_and(|at| at <= now) {
            middlebox.handle_timeout(now, &mut out);
        }
        let before = out.len();
        middlebox.handle_packet(now, *direction, packet.clone(), &mut out);
        assert!(out[before..].iter().all(|departure| departure.at >= now));
    }
    middlebox.handle_timeout(Duration::from_secs(1 << 40), &mut out);
    out
}

/// More than one packet makes, on average, in a chain of three.
const MOST_PER_PACKET: usize = 64 * 8;

proptest! {
    #[test]
    fn text_and_boxes_are_the_same(text in texts()) {
        let spec: Spec = text.parse().unwrap();
        prop_assert_eq!(spec.to_string().parse::<Spec>().unwrap(), spec);
    }

    #[test]
    fn no_packet_makes_a_box_panic_or_grow(
        text in texts(),
        packets in prop::collection::vec(packets(), 0..30),
    ) {
        let spec: Spec = text.parse().unwrap();
        let out = run(&spec, &packets);
        prop_assert!(out.len() <= packets.len() * MOST_PER_PACKET, "{} packets", out.len());
        prop_assert!(out.iter().all(|departure| departure.packet.len() <= 65_535));
        prop_assert_eq!(run(&spec, &packets), out);
    }

    #[test]
    fn every_example_survives_arbitrary_bytes(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..120), 0..6),
        first in prop_oneof![Just(0x45_u8), Just(0x60), any::<u8>()],
    ) {
        for entry in ALL {
            let spec: Spec = entry.example.parse().unwrap();
            let packets: Vec<_> = packets
                .iter()
                .cloned()
                .map(|mut packet| {
                    packet.iter_mut().take(1).for_each(|byte| *byte = first);
                    (Direction::ToServer, packet)
                })
                .collect();
            let out = run(&spec, &packets);
            let others = packets.iter().filter(|(_, packet)| Segment::parse(packet).is_none());
            if !matches!(entry.name, "impair" | "quote") {
                let left: Vec<_> = out.iter().map(|departure| &departure.packet).collect();
                prop_assert!(others.into_iter().all(|(_, packet)| left.contains(&packet)));
            }
        }
    }
}
