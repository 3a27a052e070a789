use proptest::prelude::*;

use super::*;
use crate::middlebox::bench::{Tcp, check_checksums};
use crate::middlebox::segment::Segment;

#[track_caller]
fn check_text(text: &str) {
    assert_eq!(Link::of(text).to_string(), text);
}

#[test]
fn paths_are_written_as_they_are_read() {
    check_text("10mbit 40ms queue=80ms loss=1%");
    check_text("0s");
    check_text("1gbit 10us queue=50p mark=1ms burst=0.5%/25% drop=3/17 every=100");
    check_text("5ms jitter=5ms overtake reorder=1%/10ms duplicate=2% corrupt=0.1%");
    check_text("5ms mtu=1400/silent down=1s..2s/5s..6s");
    check_text(">10mbit 20ms >queue=64kB <2mbit");
    check_text("10mbit 5ms | strip:option=mp_join,on=syn | nat:10.9.9.9 | 1ms");
    check_text("nat:fd00::9/30s");
    assert_eq!(Link::of("0.5s 1500kbit").to_string(), "1500kbit 500ms");
}

#[test]
fn what_is_no_path_is_refused_with_the_reason() {
    let error = |text: &str| text.parse::<Link>().unwrap_err().to_string();
    assert_eq!(error("10mbit fast"), "`fast` is no word of a link");
    assert_eq!(error("speed=3"), "`speed=3` is no word of a link");
    assert_eq!(error("queue=3"), "`queue=3` should be as 80ms, 64kB or 50p");
    assert_eq!(error("0bit"), "`0bit` is no word of a link");
    assert_eq!(
        error("down=2s..1s"),
        "`down=2s..1s` should be FROM..TO with `/`"
    );
    assert_eq!(
        error("1ms | nat:x"),
        "`nat:x` should be nat:ADDRESS or nat:ADDRESS/TIME"
    );
    assert!(error("strip:option=x").contains("strip"));
}

/// Sends packets of 1,000 bytes at these times in microseconds; when they arrive.
fn arrivals(text: &str, at_us: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let (_, mut element) = Link::of(text).build(Seed(1)).remove(0);
    let tcp = Tcp::to_server().payload(&[1; 960]);
    let mut out = Vec::new();
    for at in at_us {
        let now = Duration::from_micros(at);
        element.handle_packet(now, Direction::ToServer, tcp.packet(), &mut out);
    }
    let micros = |departure: &Departure| u64::try_from(departure.at.as_micros()).unwrap();
    out.iter().map(micros).collect()
}

#[test]
fn packets_are_sent_one_after_the_other_at_the_rate() {
    // 8,000 bits at 8 Mbit/s take a millisecond.
    assert_eq!(
        arrivals("8mbit 5ms", [0, 0, 500, 9000]),
        [6000, 7000, 8000, 15_000]
    );
    assert_eq!(arrivals("5ms", [0, 0, 500]), [5000, 5000, 5500]);
}

#[test]
fn a_full_queue_drops_what_comes_last() {
    for queue in ["2p", "2kB", "2ms", "2999B"] {
        let text = format!("8mbit queue={queue}");
        assert_eq!(
            arrivals(&text, [0, 0, 0, 0, 1000]),
            [1000, 2000, 3000, 4000],
            "{queue}"
        );
    }
    assert_eq!(arrivals("8mbit queue=0B", [0, 999, 1000]), [1000, 2000]);
}

#[test]
fn a_link_that_is_down_loses_what_enters_and_what_is_leaving() {
    let text = "8mbit 1ms down=2ms..4ms";
    assert_eq!(arrivals(text, [0, 500, 1500, 3999, 4000]), [2000, 6000]);
}

#[test]
fn chosen_packets_are_lost() {
    assert_eq!(arrivals("0s drop=1/3", [0, 1, 2, 3]), [1, 3]);
    assert_eq!(arrivals("0s every=2", [0, 1, 2, 3]), [0, 2]);
    assert_eq!(arrivals("0s loss=100%", 0..50), []);
    let lost = 10_000 - arrivals("0s loss=5%", 0..10_000).len();
    assert!((400..600).contains(&lost), "{lost}");
    let lost = 10_000 - arrivals("0s burst=1%/25%", 0..10_000).len();
    assert!((300..480).contains(&lost), "{lost}");
}

#[test]
fn an_accident_of_one_kind_does_not_change_those_of_another() {
    let lost = |text: &str| {
        let arrived = arrivals(text, (0..1000).map(|number| number * 1000));
        arrived.iter().map(|at| at / 1000).collect::<Vec<_>>()
    };
    let alone = lost("0s loss=10%");
    assert_eq!(lost("0s loss=10% jitter=900us corrupt=50%"), alone);
    let mut doubled = lost("0s loss=10% duplicate=30%");
    doubled.dedup();
    assert_eq!(doubled, alone);
}

#[test]
fn jitter_keeps_the_order_unless_packets_may_overtake() {
    assert!(arrivals("5ms jitter=20ms", (0..300).map(|n| n * 1000)).is_sorted());
    assert!(!arrivals("5ms jitter=20ms overtake", (0..300).map(|n| n * 1000)).is_sorted());
    let late = arrivals("0s reorder=10%/3ms", (0..200).map(|n| n * 1000));
    assert!(!late.is_sorted());
}

#[test]
fn a_queue_tells_what_waits_without_what_is_being_sent() {
    let (_, mut element) = Link::of("8mbit").build(Seed(1)).remove(0);
    let packet = Tcp::to_server().payload(&[1; 960]).packet();
    for _ in 0..4 {
        element.handle_packet(
            Duration::ZERO,
            Direction::ToServer,
            packet.clone(),
            &mut Vec::new(),
        );
    }
    let backlog = |us| {
        element
            .backlog(Duration::from_micros(us), Direction::ToServer)
            .packets
    };
    assert_eq!(
        [
            backlog(0),
            backlog(999),
            backlog(1000),
            backlog(2500),
            backlog(3000)
        ],
        [3, 3, 2, 1, 0]
    );
    assert_eq!(
        element.backlog(Duration::ZERO, Direction::ToClient),
        Backlog::default()
    );
}

#[test]
fn a_packet_that_is_too_big_is_answered_unless_the_link_is_silent() {
    for (text, answers) in [("0s mtu=1000", 1), ("0s mtu=1000/silent", 0)] {
        for tcp in [Tcp::to_server(), Tcp::to_server().v6()] {
            let (_, mut element) = Link::of(text).build(Seed(1)).remove(0);
            let mut packet = tcp.payload(&[1; 1000]).packet();
            if packet[0] >> 4 == 4 {
                packet[6] |= 0x40;
            }
            let mut out = Vec::new();
            element.handle_packet(
                Duration::ZERO,
                Direction::ToServer,
                packet.clone(),
                &mut out,
            );
            assert_eq!(out.len(), answers);
            assert_eq!(element.drops(Direction::ToServer).too_big, 1);
            for departure in out {
                assert_eq!(departure.direction, Direction::ToClient);
                check_checksums(&departure.packet);
                let (at, kind) = if packet[0] >> 4 == 4 {
                    (20, [3, 4])
                } else {
                    (40, [2, 0])
                };
                assert_eq!(departure.packet[at..at + 2], kind);
                assert_eq!(departure.packet[at + 6..at + 8], [3, 232]);
                assert_eq!(departure.packet[at + 8..at + 38], packet[..30]);
            }
        }
    }
}

#[test]
fn one_bit_flips_behind_the_ip_header() {
    let (_, mut element) = Link::of("0s corrupt=100%").build(Seed(1)).remove(0);
    for tcp in [Tcp::to_server(), Tcp::to_server().v6()] {
        let packet = tcp.payload(b"abc").packet();
        let mut out = Vec::new();
        element.handle_packet(
            Duration::ZERO,
            Direction::ToServer,
            packet.clone(),
            &mut out,
        );
        let pairs = packet.iter().zip(&out[0].packet);
        let flipped: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
        assert_eq!(flipped, 1);
        assert_eq!(packet[..20], out[0].packet[..20]);
    }
}

#[test]
fn a_packet_that_waits_long_is_marked_if_its_transport_understands() {
    for (ect, marked) in [(0, 0), (2, 3)] {
        let (_, mut element) = Link::of("8mbit mark=1500us").build(Seed(1)).remove(0);
        let mut packet = Tcp::to_server().payload(&[1; 960]).packet();
        packet[1] |= ect;
        header_checksum(&mut packet);
        let mut out = Vec::new();
        for _ in 0..3 {
            element.handle_packet(
                Duration::ZERO,
                Direction::ToServer,
                packet.clone(),
                &mut out,
            );
        }
        assert_eq!(
            out.iter().map(|out| out.packet[1] & 3).collect::<Vec<_>>(),
            [ect, ect, marked]
        );
        for departure in &out {
            check_checksums(&departure.packet);
        }
    }
}

fn header_checksum(packet: &mut [u8]) {
    crate::middlebox::header::fix_ip(packet);
}

#[test]
fn a_nat_gives_each_flow_a_port_and_lets_answers_back() {
    let (_, mut nat) = Link::of("nat:10.9.9.9").build(Seed(1)).remove(0);
    let mut pass = |direction, packet: Vec<u8>| {
        let mut out = Vec::new();
        nat.handle_packet(Duration::ZERO, direction, packet, &mut out);
        for departure in &out {
            check_checksums(&departure.packet);
        }
        out.pop().map(|out| Segment::parse(&out.packet).unwrap())
    };
    let mut ports = Vec::new();
    for port in [4000, 4001, 4000] {
        let out = pass(Direction::ToServer, Tcp::syn().port(port).packet()).unwrap();
        assert_eq!(out.source().ip(), "10.9.9.9".parse::<IpAddr>().unwrap());
        ports.push(out.source().port());
        let answer = out.answer(0x12, 1, 2, 3).emit();
        let back = pass(Direction::ToClient, answer).unwrap();
        assert_eq!(back.destination(), Tcp::syn().port(port).segment().source());
    }
    assert_eq!(ports, [20_000, 20_001, 20_000]);
    assert!(pass(Direction::ToClient, Tcp::syn_ack().packet()).is_none());
}

#[test]
fn a_silent_flow_loses_its_port() {
    let (_, mut nat) = Link::of("nat:10.9.9.9/30s").build(Seed(1)).remove(0);
    let mut port = |at| {
        let mut out = Vec::new();
        let now = Duration::from_secs(at);
        nat.handle_packet(now, Direction::ToServer, Tcp::syn().packet(), &mut out);
        Segment::parse(&out[0].packet).unwrap().source().port()
    };
    let ports = [port(0), port(30), port(60), port(91)];
    assert_eq!(ports, [20_000, 20_000, 20_000, 20_001]);
}

#[test]
fn a_nat_that_knows_too_many_flows_lets_no_new_one_pass() {
    let (_, mut nat) = Link::of("nat:10.9.9.9").build(Seed(1)).remove(0);
    let mut out = Vec::new();
    for port in 0..=u16::try_from(MAX_NAT_FLOWS).unwrap() {
        let packet = Tcp::syn().port(port).packet();
        nat.handle_packet(Duration::ZERO, Direction::ToServer, packet, &mut out);
    }
    assert_eq!(out.len(), MAX_NAT_FLOWS);
}

#[test]
fn no_queue_holds_more_than_the_limit() {
    let text = format!("1bit queue={}p", u64::MAX);
    let (_, mut element) = Link::of(&text).build(Seed(1)).remove(0);
    let mut out = Vec::new();
    for _ in 0..MAX_WAITING + 5 {
        element.handle_packet(Duration::ZERO, Direction::ToServer, vec![0; 20], &mut out);
    }
    assert_eq!(
        element.backlog(Duration::ZERO, Direction::ToServer).packets,
        MAX_WAITING
    );
    assert_eq!(element.drops(Direction::ToServer).queue, 4);
}

#[test]
fn a_test_may_say_itself_which_packets_are_lost() {
    let link = Link::new(Duration::ZERO).drop_if("third", {
        let mut number = 0;
        move |direction, _| {
            number += 1;
            direction == Direction::ToServer && number == 3
        }
    });
    assert_eq!(link.to_string(), "0s | third");
    let (_, mut element) = link.build(Seed(1)).remove(1);
    let mut out = Vec::new();
    for number in 0..5 {
        element.handle_packet(Duration::ZERO, Direction::ToServer, vec![number], &mut out);
    }
    let passed: Vec<u8> = out.iter().map(|out| out.packet[0]).collect();
    assert_eq!(passed, [0, 1, 3, 4]);
}

proptest! {
    #[test]
    fn every_path_is_the_path_of_its_own_text(
        words in prop::collection::vec((0..3_usize, prop::sample::select(WORDS)), 0..12),
    ) {
        let words: Vec<String> = words
            .iter()
            .map(|(way, word)| format!("{}{word}", ["", ">", "<"][*way]))
            .collect();
        let link = Link::of(&words.join(" "));
        let text = link.to_string();
        let again = Link::of(&text);
        prop_assert_eq!(again.to_string(), text);
        let [Stage::Pipe(one), Stage::Pipe(other)] = [&link.stages[0], &again.stages[0]] else {
            panic!("these words make a link");
        };
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_link_loses_nothing_that_it_does_not_count(
        seed: u64,
        text in prop::sample::select(vec![
            "1mbit 5ms queue=5p loss=10%", "1mbit queue=20ms down=5ms..9ms", "2ms burst=10%/30%",
            "0s mtu=200 every=3", "1mbit jitter=3ms overtake drop=1/2/3",
        ]),
        sizes in prop::collection::vec((20..400_usize, 0..3000_u64), 1..100),
    ) {
        let (_, mut element) = Link::of(text).build(Seed(seed)).remove(0);
        let (mut now, mut out) = (Duration::ZERO, Vec::new());
        for (size, wait) in &sizes {
            now += Duration::from_micros(*wait);
            element.handle_packet(now, Direction::ToServer, vec![0x45; *size], &mut out);
        }
        let drops = element.drops(Direction::ToServer);
        let lost = drops.down + drops.too_big + drops.queue + drops.lost;
        prop_assert_eq!(out.len() as u64 + lost, sizes.len() as u64);
        prop_assert!(element.backlog(now, Direction::ToServer).packets <= sizes.len() as u64);
    }
}

const WORDS: &[&str] = &[
    "10mbit",
    "1500kbit",
    "40ms",
    "5us",
    "queue=80ms",
    "queue=64kB",
    "queue=50p",
    "mark=1ms",
    "loss=1%",
    "loss=0.0001%",
    "burst=0.5%/25%",
    "drop=3/17",
    "every=100",
    "jitter=5ms",
    "overtake",
    "reorder=1%/10ms",
    "duplicate=1%",
    "corrupt=1%",
    "mtu=1400",
    "mtu=68/silent",
    "down=1s..2s/5s..6s",
];
