//! Mappings, in whatever pieces and order they come (RFC 8684 §3.3.1).

use std::time::Duration;

use mptcp_proto::conn::{Config, FallbackReason, Violation};
use mptcp_proto::endpoint::{self, Endpoint};
use mptcp_proto::key::Key;
use mptcp_proto::random::RandomSource;
use mptcp_proto::wire::mptcp::{DataAck, DssMapping, MptcpOption, WireDsn};

use super::puppet::{KEY, Puppet, Reply, reset};
use crate::endpoint::pair::{CLIENT, SERVER, Seeded, address, pattern};

/// Case 1
#[test]
fn a_mapping_may_come_with_the_first_the_middle_or_the_last_of_its_segments() {
    for place in 0..3 {
        let mut puppet = Puppet::established(Config::default());
        let data = pattern(30, 1);
        for (n, piece) in data.chunks(10).enumerate() {
            let ssn = 1 + 10 * u32::try_from(n).unwrap();
            let options = if n == place {
                vec![puppet.mapped(0, 1, &data)]
            } else {
                Vec::new()
            };
            puppet.at(0, ssn, &options, piece);
        }
        assert_eq!(puppet.read(), data, "{place}");
        assert!(puppet.fallbacks().is_empty() && puppet.violations().is_empty());
    }
}

/// Case 2
#[test]
fn a_mapping_that_is_copied_to_every_segment_is_one_mapping() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(3000, 1);
    let option = puppet.mapped(0, 1, &data);
    for (ssn, piece) in (1..).step_by(1000).zip(data.chunks(1000)) {
        puppet.at(0, ssn, &[option], piece);
        // And once more, after delivery.
        puppet.at(0, ssn, &[option], piece);
    }
    assert_eq!(puppet.read(), data);
    assert!(puppet.violations().is_empty());
}

/// Case 3
#[test]
fn the_first_of_two_mappings_for_one_byte_stays_and_the_other_is_a_conflict() {
    for is_delivered in [false, true] {
        for is_joined in [false, true] {
            let mut puppet = Puppet::established(Config::default());
            let line = if is_joined {
                puppet.join("10.0.1.1:40001", 1)
            } else {
                0
            };
            let data = pattern(20, 1);
            let first = puppet.mapped(0, 1, &data);
            let other = puppet.mapped(7, 1, &data);
            puppet.at(line, 1, &[first], &data[..10]);
            if is_delivered {
                puppet.at(line, 11, &[first], &data[10..]);
            }
            let replies = puppet.ack(line, &[other]);
            assert_eq!(puppet.violations(), [Violation::MappingConflict]);
            if is_joined {
                let reset = reset(&replies).expect("the subflow is reset");
                assert_eq!(reset.options().reset.unwrap().reason.0, 1);
                assert!(puppet.fallbacks().is_empty());
            } else {
                assert_eq!(puppet.fallbacks(), [FallbackReason::MappingConflict]);
                puppet.at(line, 11, &[], &data[10..]);
                assert_eq!(puppet.read(), data);
            }
        }
    }
}

/// Case 4
#[test]
fn mappings_that_overlap_are_a_conflict_and_a_gap_between_them_waits() {
    // By one byte, and one in the other; whether they agree of each byte or not, they are not the
    // mapping that was declared first (RFC 8684 §3.3.1).
    for (dsn, ssn, len) in [(9, 10, 10), (3, 4, 5), (10, 10, 10), (4, 4, 5)] {
        let mut puppet = Puppet::established(Config::default());
        let data = pattern(30, 1);
        let first = puppet.mapped(0, 1, &data[..10]);
        let second = puppet.mapped(dsn, ssn, &data[..len]);
        puppet.at(0, 1, &[first], &data[..10]);
        puppet.ack(0, &[second]);
        assert_eq!(puppet.violations(), [Violation::MappingConflict]);
    }
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(30, 1);
    let last = puppet.mapped(20, 21, &data[20..]);
    let ack = puppet.data_ack();
    puppet.data(0, 0, &data[..10]);
    puppet.at(0, 11, &[ack], &data[10..20]);
    puppet.at(0, 21, &[last], &data[20..]);
    assert_eq!(puppet.read(), &data[..10]);
    let middle = puppet.mapped(10, 11, &data[10..20]);
    puppet.ack(0, &[middle]);
    assert_eq!(puppet.read(), &data[10..]);
}

/// Case 5
#[test]
fn a_mapping_longer_than_its_segment_waits_for_the_rest_and_verifies_all_of_it() {
    let mut config = Config::default();
    config.wishes.checksum = true;
    let mut puppet = Puppet::established(config);
    let data = pattern(31, 1);
    let option = puppet.mapped(0, 1, &data);
    puppet.at(0, 1, &[option], &data[..11]);
    puppet.at(0, 12, &[], &data[11..20]);
    let replies = puppet.wait(Duration::from_millis(100));
    assert!(puppet.read().is_empty());
    assert_eq!(data_acked(&puppet, &replies), 0);
    puppet.at(0, 21, &[], &data[20..]);
    assert_eq!(puppet.read(), data);
    let replies = puppet.wait(Duration::from_millis(100));
    assert_eq!(data_acked(&puppet, &replies), 31);
}

/// How much of the puppet's data the last of these segments DATA_ACKs.
fn data_acked(puppet: &Puppet, replies: &[Reply]) -> u64 {
    let acks = replies
        .iter()
        .filter_map(|reply| reply.options().dss?.data_ack);
    let last = acks.map(|ack| ack.expand(puppet.dsn(0))).next_back();
    let last = last.unwrap();
    last.distance_from(puppet.dsn(0)).unwrap()
}

/// Case 6
#[test]
fn bytes_beyond_their_mapping_wait_and_are_taken_when_they_come_again_with_one() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(9000, 1);
    let option = puppet.mapped(0, 1, &data[..10]);
    puppet.at(0, 1, &[option], &data[..20]);
    assert_eq!(puppet.read(), &data[..10]);
    assert!(puppet.violations().is_empty());
    // The peer lacks their DATA_ACK, and sends them again with a mapping.
    puppet.data(0, 10, &data[10..20]);
    assert_eq!(puppet.read(), &data[10..20]);
    assert!(puppet.violations().is_empty() && puppet.fallbacks().is_empty());
}

/// Case 7
#[test]
fn of_a_mapping_that_begins_in_old_data_only_the_new_part_is_delivered() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(30, 1);
    puppet.data(0, 0, &data[..10]);
    puppet.data(0, 5, &data[5..30]);
    assert_eq!(puppet.read(), data);
    assert!(puppet.violations().is_empty());
}

/// Case 8
#[test]
fn a_mapping_on_a_pure_acknowledgement_counts_for_data_that_come_later() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(30, 1);
    let option = puppet.mapped(0, 1, &data);
    puppet.ack(0, &[option]);
    puppet.at(0, 1, &[], &data[..15]);
    puppet.at(0, 16, &[], &data[15..]);
    assert_eq!(puppet.read(), data);
    assert!(puppet.fallbacks().is_empty() && puppet.violations().is_empty());
}

/// The low half of the DSNs of this key wraps after 1446 bytes (`endpoint.md` §0.5).
const WRAPPING: Key = Key([0, 0, 0, 0, 0, 0x03, 0xd9, 0xa2]);

/// Case 9
#[test]
fn short_and_long_numbers_mix_across_the_wrap_of_their_low_half() {
    for long in [
        [false; 4],
        [true; 4],
        [true, false, true, false],
        [false, true, false, true],
    ] {
        let mut puppet = Puppet::established_with(Config::default(), WRAPPING);
        let data = pattern(4000, 1);
        for (n, piece) in data.chunks(1000).enumerate() {
            let place = 1000 * n as u64;
            let ssn = 1 + u32::try_from(place).unwrap();
            let mut mapping = puppet.map(place, ssn, piece);
            if !long[n] {
                mapping.dsn = WireDsn::Short(puppet.dsn(place).low());
            }
            let option = puppet.dss(Some(mapping), false);
            let mut replies = puppet.at(0, ssn, &[option], piece);
            replies.extend(puppet.wait(Duration::from_millis(100)));
            let ack = replies.last().unwrap().options().dss.unwrap().data_ack;
            let expected = puppet.dsn(place + 1000);
            // As wide as the numbers of the peer (RFC 8684 §3.3.1 leaves it open; Linux does so).
            let expected = if long[n] {
                DataAck::Long(expected.0)
            } else {
                DataAck::Short(expected.low())
            };
            assert_eq!(ack, Some(expected));
        }
        assert_eq!(puppet.read(), data);
    }
}

/// Chooses the key [`WRAPPING`].
struct Wrapping(Seeded);

impl RandomSource for Wrapping {
    fn fill(&mut self, bytes: &mut [u8]) {
        if bytes.len() == WRAPPING.0.len() {
            bytes.copy_from_slice(&WRAPPING.0);
        } else {
            self.0.fill(bytes);
        }
    }
}

/// Case 9
#[test]
fn data_acks_of_32_bits_acknowledge_what_was_sent_across_the_wrap() {
    let host = Endpoint::new(endpoint::Config::default(), Box::new(Wrapping(Seeded(3))));
    let mut puppet = Puppet::with_host(host, KEY);
    let (at, config) = (address(SERVER), Config::default());
    puppet.host.listen(at, 16, config).unwrap();
    puppet.line(CLIENT, SERVER);
    puppet.host_key = puppet.syn()[0]
        .options()
        .capable
        .unwrap()
        .sender_key
        .unwrap();
    assert_eq!(puppet.host_key.0, WRAPPING.0);
    puppet.third_ack();
    let short_ack = |puppet: &mut Puppet, got: u64| {
        puppet.got = got;
        let MptcpOption::Dss(mut dss) = puppet.data_ack() else {
            unreachable!("it is a DSS");
        };
        dss.data_ack = Some(DataAck::Short(puppet.host_dsn(got).low()));
        puppet.ack(0, &[MptcpOption::Dss(dss)]);
    };
    short_ack(&mut puppet, 0);
    let replies = puppet.write(&pattern(5000, 1));
    let places = replies.iter().filter_map(Reply::mapping).map(|mapping| {
        let dsn = mapping.dsn.expand(puppet.host_dsn(0));
        dsn.distance_from(puppet.host_dsn(0)).unwrap() + u64::from(mapping.len)
    });
    assert_eq!(places.max(), Some(5000));
    assert!(puppet.host_dsn(5000).low() < puppet.host_dsn(0).low());
    for got in [1000, 1445, 1446, 1447, 3000, 5000] {
        short_ack(&mut puppet, got);
        let (una, info) = (puppet.host_dsn(got), puppet.conn().info());
        assert_eq!((info.bytes_acked, info.snd_una), (got, una));
    }
    // An old one is no acknowledgement of what lies 2^32 bytes ahead.
    short_ack(&mut puppet, 1000);
    assert_eq!(puppet.conn().info().bytes_acked, 5000);
    assert!(puppet.violations().is_empty());
}

/// Case 11
#[test]
fn the_pieces_of_an_odd_mapping_are_verified_in_any_order() {
    let mut config = Config::default();
    config.wishes.checksum = true;
    let data = pattern(15, 1);
    let pieces = [(1_u32, 0..3), (4, 3..8), (9, 8..15)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let mut puppet = Puppet::established(config.clone());
        let option = puppet.mapped(0, 1, &data);
        for n in order {
            let (ssn, range) = pieces[n].clone();
            puppet.at(0, ssn, &[option], &data[range]);
        }
        assert_eq!(puppet.read(), data, "{order:?}");
        assert!(puppet.violations().is_empty() && puppet.fallbacks().is_empty());
    }
}

/// Case 12
#[test]
fn a_checksum_that_nobody_agreed_on_is_skipped() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(100, 1);
    let mapping = DssMapping {
        checksum: Some(0xdead),
        ..puppet.map(0, 1, &data)
    };
    let option = puppet.dss(Some(mapping), false);
    puppet.at(0, 1, &[option], &data);
    assert_eq!(puppet.read(), data);
    assert!(puppet.violations().is_empty());
}

/// Case 63
#[test]
fn bytes_that_a_box_joined_to_others_are_taken_once_their_mapping_comes_again() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(2000, 1);
    // Two segments become one, and the options of the second are lost (RFC 8684 §3.3.5).
    let option = puppet.mapped(0, 1, &data[..1000]);
    puppet.at(0, 1, &[option], &data);
    assert_eq!(puppet.read(), &data[..1000]);
    // No DATA_ACK came for the second half: it is sent again with new sequence numbers.
    puppet.data(0, 1000, &data[1000..]);
    assert_eq!(puppet.read(), &data[1000..]);
    assert!(puppet.fallbacks().is_empty());
}

/// Case 64
#[test]
fn a_second_half_that_overtakes_the_first_confuses_nothing() {
    // The box copies the options to both halves, or leaves them with either.
    for with_option in [[true, true], [true, false], [false, true]] {
        let mut puppet = Puppet::established(Config::default());
        let data = pattern(1400, 1);
        let option = puppet.mapped(0, 1, &data);
        let options = |is_there: bool| if is_there { vec![option] } else { Vec::new() };
        puppet.at(0, 701, &options(with_option[1]), &data[700..]);
        puppet.at(0, 1, &options(with_option[0]), &data[..700]);
        assert_eq!(puppet.read(), data, "{with_option:?}");
        puppet.data(0, 1400, b"more");
        assert_eq!(puppet.read(), b"more");
        assert!(puppet.fallbacks().is_empty());
    }
}

/// Case 72
#[test]
fn of_several_options_the_first_counts_and_misplaced_ones_do_nothing() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(100, 1);
    let (right, wrong) = (puppet.map(0, 1, &data), puppet.map(50, 1, &data));
    let bare = |mapping| {
        let MptcpOption::Dss(dss) = puppet.dss(Some(mapping), false) else {
            unreachable!("it is a DSS");
        };
        MptcpOption::Dss(mptcp_proto::wire::mptcp::Dss {
            data_ack: None,
            ..dss
        })
    };
    let two = [bare(right), bare(wrong)];
    puppet.at(0, 1, &two, &data);
    assert_eq!(puppet.read(), data);
    // MP_CAPABLE long after the handshake.
    let (late, syn) = (puppet.capable_answer(), puppet.capable_syn());
    puppet.ack(0, &[late, syn]);
    // MP_JOIN on the initial subflow.
    let hmac = mptcp_proto::hmac::JoinHmac::from_bytes([7; 20]);
    puppet.join_ack(0, hmac);
    puppet.data(0, 100, b"more");
    assert_eq!(puppet.read(), b"more");
    assert!(puppet.fallbacks().is_empty());
    assert_eq!(puppet.conn().info().subflows_total, 1);
}
