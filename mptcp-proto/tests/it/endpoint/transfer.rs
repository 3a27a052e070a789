//! Data, DATA_ACKs and windows (RFC 8684 §3.3).

use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::{Offer, Switch};
use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::endpoint::ConnId;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{DssMapping, WireDsn};
use mptcp_proto::wire::segment::Segment;

use super::pair::{Pair, Seeded, Sent, Way, pattern};

#[test]
fn data_arrive_though_packets_are_lost() {
    for seed in 0..8 {
        let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
        let mut random = Seeded(seed);
        pair.hook = Some(Box::new(move |_, _, packet| {
            if random.happens(3) {
                Vec::new()
            } else {
                vec![packet]
            }
        }));
        pair.exchange(
            [ours, theirs],
            &pattern(400_000, seed),
            &pattern(400_000, !seed),
        );
    }
}

#[test]
fn nothing_is_left_of_a_connection_that_closed() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    pair.exchange([ours, theirs], &pattern(1000, 1), &pattern(1000, 2));
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.client.connection_count(), 0);
    assert_eq!(pair.server.connection_count(), 0);
    assert_eq!(pair.client.poll_timeout(), None);
}

/// Established connections whose client sends across the wrap of the low half of its DSNs soon.
fn about_to_wrap(config: &Config) -> (Pair, [ConnId; 2]) {
    let pairs = (0..).map(|seed| {
        let mut pair = Pair::new(seed);
        let ours = pair.connect(config.clone(), config.clone());
        pair.run_for(Duration::from_millis(100));
        let theirs = pair.accepted();
        (pair, [ours, theirs])
    });
    let mut found = pairs.filter(|(pair, [ours, _])| {
        let info = pair.client.connection(*ours).unwrap().info();
        info.write_seq.low() > u32::MAX - 2_000_000
    });
    found.next().unwrap()
}

fn mapping(sent: &Sent) -> Option<DssMapping> {
    let segment = Segment::parse(&sent.packet, false).unwrap();
    ReceivedOptions::parse(Some(Version::V1), segment.options)
        .dss?
        .mapping
}

#[test]
fn numbers_of_4_octets_carry_data_across_the_wrap_of_their_half() {
    for (offer, checksum) in [(Offer::V0, false), (Offer::V1, false), (Offer::V1, true)] {
        let mut config = Config {
            mptcp: offer,
            short_dsn: Switch::On,
            ..Config::default()
        };
        config.wishes.checksum = checksum;
        let (mut pair, ids) = about_to_wrap(&config);
        let mut random = Seeded(1);
        pair.hook = Some(Box::new(move |_, _, packet| {
            if random.happens(1) {
                Vec::new()
            } else {
                vec![packet]
            }
        }));
        pair.exchange(ids, &pattern(3_000_000, 1), &pattern(100_000, 2));
        let mappings = pair
            .log
            .iter()
            .filter_map(|sent| Some((sent.way, mapping(sent)?.dsn)));
        let (mut lowest, mut highest) = (u32::MAX, 0);
        for (way, dsn) in mappings {
            let WireDsn::Short(low) = dsn else {
                panic!("{dsn:?} has 8 octets");
            };
            if way == Way::ToServer {
                (lowest, highest) = (lowest.min(low), highest.max(low));
            }
        }
        assert!(lowest < 2_000_000 && highest > u32::MAX - 2_000_000);
    }
}

#[test]
fn numbers_of_4_octets_leave_more_room_for_data() {
    let segments = |short_dsn| {
        let config = Config {
            mptcp: Offer::V1,
            short_dsn,
            ..Config::default()
        };
        let (mut pair, ours, theirs) = Pair::established(config, Config::default());
        pair.exchange([ours, theirs], &pattern(1_000_000, 1), &[]);
        let payloads = pair.log.iter().filter(|sent| sent.way == Way::ToServer);
        let segments = payloads.map(|sent| Segment::parse(&sent.packet, false).unwrap());
        segments.map(|it| it.payload.len()).max().unwrap()
    };
    assert_eq!(segments(Switch::On), segments(Switch::Off) + 4);
}

#[test]
fn a_send_buffer_that_leaves_their_place_in_doubt_has_numbers_of_8_octets() {
    let mut config = Config {
        mptcp: Offer::V1,
        short_dsn: Switch::On,
        ..Config::default()
    };
    config.buffers.max_send = 1 << 31;
    let (mut pair, ours, theirs) = Pair::established(config.clone(), config);
    pair.exchange([ours, theirs], &pattern(10_000, 1), &[]);
    let mut mappings = pair.log.iter().filter_map(mapping);
    assert!(mappings.all(|mapping| matches!(mapping.dsn, WireDsn::Long(_))));
}
