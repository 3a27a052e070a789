//! Going on as TCP, at every stage (RFC 8684 §3.7).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, FallbackReason};
use mptcp_proto::pm;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Subtype;
use mptcp_proto::wire::segment::Segment;

use super::handshake::{fallback, version};
use super::meddle::{Seen, blank, flip, meddle, strip, subtypes};
use super::pair::{Hook, Pair, Way, pattern};

fn checksums() -> Config {
    Config {
        wishes: Wishes {
            checksum: true,
            ..Wishes::default()
        },
        ..Config::default()
    }
}

/// Runs an exchange through a box, and checks why each side fell back.
#[track_caller]
fn check(config: &Config, hook: Hook, expected: [Option<FallbackReason>; 2]) -> Pair {
    let mut pair = Pair::new(11);
    pair.hook = Some(hook);
    let ours = pair.connect(config.clone(), config.clone());
    pair.run_for(Duration::from_millis(50));
    let (up, down) = (pattern(100_000, 1), pattern(120_000, 2));
    pair.client(ours).write(b"begin").unwrap();
    pair.run_for(Duration::from_millis(500));
    let theirs = pair.accepted();
    let mut begin = Vec::new();
    super::pair::read_all(pair.server(theirs), &mut begin);
    assert_eq!(begin, b"begin");
    pair.exchange([ours, theirs], &up, &down);
    let reasons = [0, 1].map(|side| pair.picked(side, fallback).first().copied());
    assert_eq!(reasons, expected);
    pair
}

#[track_caller]
fn check_strip(
    config: &Config,
    is_due: impl FnMut(&Seen<'_>) -> bool + 'static,
    client: FallbackReason,
    server: FallbackReason,
) {
    check(config, strip(is_due), [Some(client), Some(server)]);
}

#[test]
fn after_a_fallback_no_option_of_mptcp_is_sent() {
    // The option is lost from the SYN, the SYN/ACK, or the third ACK.
    for lost in 0..3 {
        let is_lost = move |seen: &Seen<'_>| match lost {
            0 => seen.is_syn() && seen.way == Way::ToServer,
            1 => seen.is_syn_ack(),
            _ => seen.way == Way::ToServer && seen.number == 1,
        };
        let mut pair = Pair::new(11);
        pair.hook = Some(strip(is_lost));
        let ours = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(200));
        let theirs = pair.accepted();
        pair.client(ours).write(b"begin").unwrap();
        pair.run_for(Duration::from_millis(500));
        let mut begin = Vec::new();
        super::pair::read_all(pair.server(theirs), &mut begin);
        assert_eq!([0, 1].map(|side| pair.picked(side, fallback).len()), [1, 1]);
        let before = pair.log.len();
        pair.exchange([ours, theirs], &pattern(30_000, 1), &pattern(30_000, 2));
        let later: Vec<_> = pair.log[before..]
            .iter()
            .flat_map(|sent| subtypes(&Segment::parse(&sent.packet, false).unwrap()))
            .collect();
        assert_eq!(later, [], "lost at {lost}");
        assert!(pair.log.len() > before + 20);
    }
}

#[test]
fn a_syn_without_the_option_makes_both_tcp() {
    check_strip(
        &Config::default(),
        |seen| seen.is_syn() && seen.way == Way::ToServer,
        FallbackReason::SynAckOptionMissing,
        FallbackReason::SynOptionMissing,
    );
}

#[test]
fn a_syn_ack_without_the_option_makes_both_tcp() {
    check_strip(
        &Config::default(),
        |seen| seen.is_syn_ack() && seen.way == Way::ToClient,
        FallbackReason::SynAckOptionMissing,
        FallbackReason::ThirdAckOptionMissing,
    );
}

#[test]
fn a_third_ack_without_the_option_makes_both_tcp() {
    check_strip(
        &Config::default(),
        |seen| seen.way == Way::ToServer && !seen.segment.flags.syn(),
        FallbackReason::DataAckMissing,
        FallbackReason::ThirdAckOptionMissing,
    );
}

#[test]
fn first_data_without_the_option_make_both_tcp() {
    for offer in [Offer::V0, Offer::V1] {
        check_strip(
            &version(offer),
            |seen| seen.way == Way::ToServer && seen.has_data(),
            FallbackReason::DataAckMissing,
            FallbackReason::FirstDataOptionMissing,
        );
    }
}

#[test]
fn options_that_never_come_back_from_the_server_make_both_tcp() {
    check_strip(
        &Config::default(),
        |seen| seen.way == Way::ToClient && !seen.segment.flags.syn(),
        FallbackReason::DataAckMissing,
        FallbackReason::OptionsMissing,
    );
}

#[test]
fn options_lost_in_the_middle_make_both_tcp() {
    for from in [5, 20, 60] {
        for checksum in [false, true] {
            let config = if checksum {
                checksums()
            } else {
                Config::default()
            };
            check_strip(
                &config,
                move |seen| seen.number >= from,
                FallbackReason::OptionsMissing,
                FallbackReason::OptionsMissing,
            );
        }
    }
}

#[test]
fn options_lost_in_the_middle_one_way_never_stop_the_data() {
    for way in [Way::ToServer, Way::ToClient] {
        for from in [5, 20, 60] {
            let mut pair = Pair::new(11);
            pair.hook = Some(strip(move |seen| seen.way == way && seen.number >= from));
            let ours = pair.connect(Config::default(), Config::default());
            pair.run_for(Duration::from_millis(50));
            let theirs = pair.accepted();
            pair.exchange([ours, theirs], &pattern(200_000, 1), &pattern(200_000, 2));
            let fallbacks = [0, 1].map(|side| pair.picked(side, fallback).len());
            assert_ne!(fallbacks, [0, 0], "{way:?} from {from}");
        }
    }
}

#[test]
fn an_upload_alone_survives_the_loss_of_options_one_way() {
    for way in [Way::ToServer, Way::ToClient] {
        let mut pair = Pair::new(11);
        pair.hook = Some(strip(move |seen| seen.way == way && seen.number >= 20));
        let ours = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(50));
        let theirs = pair.accepted();
        pair.exchange([ours, theirs], &pattern(300_000, 1), &[]);
    }
}

#[test]
fn a_wrong_checksum_on_the_first_mapping_falls_back_without_mp_fail() {
    let pair = check_changed(0, &checksums());
    assert!(!sent(&pair, Subtype::FAIL));
    // The plain acknowledgements of the server tell the client.
    assert_eq!(pair.picked(1, fallback), [FallbackReason::FirstChecksum]);
    assert_eq!(pair.picked(0, fallback), [FallbackReason::DataAckMissing]);
}

/// A box changes one byte of the n-th data segment to the server; the application gets it as TCP would.
#[track_caller]
fn check_changed(number: usize, config: &Config) -> Pair {
    let mut pair = Pair::new(11);
    let mut count = 0;
    pair.hook = Some(meddle(move |seen, _, payload| {
        if seen.way == Way::ToServer && seen.has_data() {
            if count == number {
                payload[0] ^= 0xff;
            }
            count += 1;
        }
        true
    }));
    let ours = pair.connect(config.clone(), config.clone());
    pair.run_for(Duration::from_millis(50));
    let theirs = pair.accepted();
    let data = pattern(200_000, 1);
    let (mut done, mut got) = (0, Vec::new());
    pair.run_until(Duration::from_secs(60), |pair| {
        done += pair.client(ours).write(&data[done..]).unwrap();
        super::pair::read_all(pair.server(theirs), &mut got);
        got.len() >= data.len()
    });
    let differing = got.iter().zip(&data).filter(|(a, b)| a != b).count();
    assert_eq!((got.len(), differing), (data.len(), 1));
    pair.exchange([ours, theirs], b"", b"bye");
    pair
}

fn sent(pair: &Pair, subtype: Subtype) -> bool {
    pair.log.iter().any(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        subtypes(&segment).contains(&subtype)
    })
}

#[test]
fn a_wrong_checksum_later_is_answered_with_mp_fail_and_an_infinite_mapping() {
    for number in [3, 10, 40] {
        let pair = check_changed(number, &checksums());
        assert!(sent(&pair, Subtype::FAIL));
        assert_eq!(pair.picked(1, fallback), [FallbackReason::Checksum]);
        assert_eq!(pair.picked(0, fallback), [FallbackReason::FailReceived]);
    }
}

#[test]
fn a_third_ack_with_another_key_makes_both_tcp() {
    let hook = meddle(|seen, options, _| {
        if seen.way == Way::ToServer && !seen.segment.flags.syn() && seen.number == 1 {
            flip(options, Subtype::CAPABLE);
        }
        true
    });
    check(
        &Config::default(),
        hook,
        [
            Some(FallbackReason::DataAckMissing),
            Some(FallbackReason::KeyMismatch),
        ],
    );
}

/// An exchange over a box on all paths, where the server has a second address for the client to join.
#[track_caller]
fn check_beside_an_advertised_address(hook: Hook, fallbacks: usize) -> Pair {
    let mut pair = Pair::new(5);
    pair.hook = Some(hook);
    pair.client.address_up("10.0.0.1".parse().unwrap());
    for text in ["10.9.0.1", "10.9.1.1"] {
        pair.server.address_up(text.parse().unwrap());
    }
    let with = |path_manager| Config {
        path_manager,
        ..Config::default()
    };
    let ours = pair.connect(with(pm::Kind::Fullmesh), with(pm::Kind::Signal));
    // The client speaks first: what acknowledges that has the ADD_ADDR, and no data yet.
    pair.run_for(Duration::from_millis(20));
    pair.client(ours).write(b"begin").unwrap();
    pair.run_for(Duration::from_millis(15));
    let theirs = pair.accepted();
    let mut begin = Vec::new();
    super::pair::read_all(pair.server(theirs), &mut begin);
    assert_eq!(begin, b"begin");
    pair.exchange([ours, theirs], &pattern(100_000, 1), &pattern(120_000, 2));
    let fell_back = [0, 1].map(|side| pair.picked(side, fallback).len());
    assert_eq!(fell_back, [fallbacks; 2]);
    pair
}

fn is_join(pair: &Pair, way: Way, has_key: bool) -> bool {
    pair.log.iter().any(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        let has_join = subtypes(&segment).contains(&Subtype::JOIN);
        sent.way == way && has_join && segment.flags.syn() != has_key
    })
}

#[test]
fn nothing_joins_before_a_dss_has_come() {
    let hook = meddle(|seen, options, _| {
        if !seen.segment.flags.syn() {
            blank(options, |subtype| subtype == Subtype::DSS);
        }
        true
    });
    let pair = check_beside_an_advertised_address(hook, 1);
    assert!(sent(&pair, Subtype::ADD_ADDR));
    assert!(!is_join(&pair, Way::ToServer, false));
}

#[test]
fn a_join_under_way_is_reset_where_the_first_data_have_lost_their_mapping() {
    let hook = strip(|seen| seen.way == Way::ToClient && seen.has_data());
    let pair = check_beside_an_advertised_address(hook, 1);
    assert!(is_join(&pair, Way::ToServer, false));
    assert!(!is_join(&pair, Way::ToServer, true));
}

/// A box that drops what the server says with data on the initial subflow, for so long.
fn without_first_data(time: Duration, is_stripped: bool) -> Hook {
    let until = Instant::from_millis(1) + time;
    let mut strip = strip(move |seen| is_stripped && seen.way == Way::ToClient && seen.has_data());
    Box::new(move |now, way, packet| {
        let segment = Segment::parse(&packet, false).unwrap();
        let is_lost = now < until
            && segment.source == super::pair::address(super::pair::SERVER)
            && !segment.payload.is_empty();
        if is_lost {
            return Vec::new();
        }
        strip(now, way, packet)
    })
}

/// When the SYN of a join left, each time, and when its first answer did.
fn join_times(pair: &Pair) -> (Vec<Instant>, Option<Instant>) {
    let times = |way| {
        let syns = pair.log.iter().filter(move |sent| {
            let segment = Segment::parse(&sent.packet, false).unwrap();
            let is_join = subtypes(&segment).contains(&Subtype::JOIN);
            sent.way == way && segment.flags.syn() && is_join
        });
        syns.map(|sent| sent.at)
    };
    (times(Way::ToServer).collect(), times(Way::ToClient).next())
}

#[test]
fn a_join_waits_for_first_data_that_were_lost_and_is_reset_where_they_come_bare() {
    let hook = without_first_data(Duration::from_millis(500), true);
    let pair = check_beside_an_advertised_address(hook, 1);
    let (syns, answer) = join_times(&pair);
    assert_eq!((syns.is_empty(), answer), (false, None));
}

#[test]
fn a_join_that_waits_for_first_data_is_answered_once_they_have_arrived() {
    let hook = without_first_data(Duration::from_millis(500), false);
    let pair = check_beside_an_advertised_address(hook, 0);
    let (syns, answer) = join_times(&pair);
    let answer = answer.unwrap();
    assert_eq!(syns.len(), 1);
    let first = pair.log.iter().find(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        let is_data = sent.way == Way::ToClient && !segment.payload.is_empty();
        is_data && sent.at > Instant::from_millis(500)
    });
    // The round trip of what came through at last, which alone is acknowledged after 40 ms.
    assert_eq!(answer, first.unwrap().at + Duration::from_millis(60));
}

#[test]
fn a_join_waits_no_longer_when_the_first_data_have_timed_out_four_times() {
    let hook = without_first_data(Duration::from_secs(3600), false);
    let pair = check_beside_an_advertised_address(hook, 0);
    let (_, answer) = join_times(&pair);
    let first = pair.log.iter().filter(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        let is_data = sent.way == Way::ToClient && !segment.payload.is_empty();
        is_data && Some(sent.at) < answer
    });
    let mut times: Vec<Instant> = first.map(|sent| sent.at).collect();
    times.dedup();
    // The first flight, a probe of RFC 8985 §7 and three timeouts; with the fourth, the answer.
    assert_eq!(times.len(), 5, "{times:?} {answer:?}");
}

/// The same from the other end: it is the client whose first data are lost, and who would join.
#[test]
fn no_join_begins_before_first_data_that_were_lost_have_arrived() {
    let is_late = |now: Instant| now > Instant::from_millis(300);
    let mut strip = strip(|seen| seen.way == Way::ToServer && seen.has_data());
    let mut pair = Pair::new(5);
    pair.hook = Some(Box::new(move |now, way, packet| {
        let segment = Segment::parse(&packet, false).unwrap();
        let is_data = way == Way::ToServer && !segment.payload.is_empty();
        if is_data && !is_late(now) {
            return Vec::new();
        }
        strip(now, way, packet)
    }));
    for text in ["10.0.0.1", "10.0.1.1"] {
        pair.client.address_up(text.parse().unwrap());
    }
    let with = |path_manager| Config {
        mptcp: Offer::V0,
        path_manager,
        ..Config::default()
    };
    let ours = pair.connect(with(pm::Kind::Fullmesh), with(pm::Kind::Kernel));
    pair.run_for(Duration::from_millis(35));
    let theirs = pair.accepted();
    pair.exchange([ours, theirs], &pattern(100_000, 1), &pattern(120_000, 2));
    let fell_back = [0, 1].map(|side| pair.picked(side, fallback).len());
    assert_eq!(fell_back, [1, 1]);
    assert_eq!(join_times(&pair).0, []);
}
