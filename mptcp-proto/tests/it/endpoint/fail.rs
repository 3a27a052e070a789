//! Wrong checksums, MP_FAIL and resets on one of several subflows (RFC 8684 §3.6, §3.7).

use std::time::Duration;

use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, FallbackReason, SubflowEnd, Violation};
use mptcp_proto::path::SubflowId;
use mptcp_proto::tcp::IcmpError;
use mptcp_proto::wire::mptcp::{Priority, ResetReason, Subtype};
use mptcp_proto::wire::segment::Segment;

use super::handshake::fallback;
use super::join::{SECOND, down, established, join, violation};
use super::meddle::{blank, drop_if, meddle, subtypes};
use super::pair::{Pair, Seeded, Way, address, pattern};

fn checksums() -> Config {
    Config {
        wishes: Wishes {
            checksum: true,
            ..Wishes::default()
        },
        ..Config::default()
    }
}

#[test]
fn a_wrong_checksum_on_one_of_two_subflows_resets_it_and_the_data_go_over_the_other() {
    let (mut pair, ids) = established(&checksums());
    join(&mut pair, ids[0], Priority::Regular);
    let mut count = 0;
    pair.hook = Some(meddle(move |seen, _, payload| {
        if seen.segment.source == address(SECOND) && seen.has_data() {
            count += 1;
            if count == 10 {
                payload[0] ^= 1;
            }
        }
        true
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(1_000_000, 1), &pattern(1_000_000, 2), limit);
    let reason = ResetReason::MIDDLEBOX_INTERFERENCE;
    assert_eq!(
        pair.picked(1, down),
        [(SubflowId(1), SubflowEnd::ResetByUs { reason })]
    );
    let reason = Some((reason, false));
    assert_eq!(
        pair.picked(0, down),
        [(SubflowId(1), SubflowEnd::ResetByPeer { reason })]
    );
    let resets = pair.log.iter().filter_map(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        segment.flags.rst().then(|| subtypes(&segment))
    });
    let resets: Vec<_> = resets.collect();
    assert_eq!(resets[0], [Subtype::FAIL, Subtype::TCP_RESET]);
    assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
}

#[test]
fn mappings_without_the_checksum_that_was_agreed_on_fall_back() {
    let (mut pair, ids) = established(&checksums());
    pair.hook = Some(meddle(|seen, options, _| {
        if seen.way == Way::ToServer
            && let Some(at) = options.windows(2).position(|pair| pair == [30, 28])
        {
            // The DSS is shorter by its checksum.
            options[at + 1] = 26;
            options[at + 26..at + 28].fill(1);
        }
        true
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(100_000, 1), &pattern(100_000, 2), limit);
    assert_eq!(pair.picked(1, fallback), [FallbackReason::ChecksumMissing]);
}

/// Two subflows; a box changes the checksums of what goes over the second one to the server.
fn changed_checksums(config: &Config, change: fn(&mut [u8])) -> Pair {
    let (mut pair, ids) = established(config);
    join(&mut pair, ids[0], Priority::Regular);
    pair.hook = Some(meddle(move |seen, options, _| {
        if seen.segment.source == address(SECOND) && seen.has_data() {
            change(options);
        }
        true
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(300_000, 1), &pattern(300_000, 2), limit);
    assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
    pair
}

fn check_second_was_reset(pair: &Pair) {
    let reason = ResetReason::MPTCP_SPECIFIC;
    let ours = (SubflowId(1), SubflowEnd::ResetByUs { reason });
    assert_eq!(pair.picked(1, down), [ours]);
    let reason = Some((reason, false));
    let told = (SubflowId(1), SubflowEnd::ResetByPeer { reason });
    assert_eq!(pair.picked(0, down), [told]);
}

#[test]
fn a_subflow_without_the_checksum_that_was_agreed_on_is_reset_where_there_is_another() {
    let pair = changed_checksums(&checksums(), |options| {
        if let Some(at) = options.windows(2).position(|pair| pair == [30, 28]) {
            options[at + 1] = 26;
            options[at + 26..at + 28].fill(1);
        }
    });
    check_second_was_reset(&pair);
    assert_eq!(pair.picked(1, violation), [Violation::ChecksumMissing]);
}

/// The two octets after a mapping, which are no-operations, become a checksum.
fn add_checksum(options: &mut [u8]) {
    if let Some(at) = options.windows(2).position(|pair| pair == [30, 26]) {
        options[at + 1] = 28;
    }
}

#[test]
fn a_subflow_with_a_checksum_that_nobody_agreed_on_is_reset_where_there_is_another() {
    let pair = changed_checksums(&Config::default(), add_checksum);
    check_second_was_reset(&pair);
    assert_eq!(pair.picked(1, violation), [Violation::ChecksumUnexpected]);
    // RFC 6824 §3.3: version 0 ignores it.
    let old = Config {
        mptcp: mptcp_proto::conn::config::Offer::V0,
        ..Config::default()
    };
    let pair = changed_checksums(&old, add_checksum);
    assert!(pair.picked(1, violation).is_empty() && pair.picked(1, down).is_empty());
}

#[test]
fn a_mapping_that_contradicts_another_falls_back_alone_and_resets_one_of_two() {
    for is_joined in [false, true] {
        let (mut pair, ids) = established(&Config::default());
        if is_joined {
            join(&mut pair, ids[0], Priority::Regular);
        }
        let meant = address(if is_joined {
            SECOND
        } else {
            super::pair::CLIENT
        });
        let (mut last, mut count) = (Vec::new(), 0);
        pair.hook = Some(meddle(move |seen, options, _| {
            let is_data = seen.segment.source == meant && seen.has_data();
            if is_data && let Some(at) = options.windows(2).position(|pair| pair == [30, 26]) {
                // The mapping without the DATA_ACK; a later segment of it.
                let mapping = options[at + 12..at + 26].to_vec();
                count += usize::from(mapping == last);
                if mapping == last && count == 6 {
                    options[at + 19] ^= 1;
                }
                last = mapping;
            }
            true
        }));
        let limit = Duration::from_secs(60);
        pair.transfer(ids, &pattern(400_000, 1), &pattern(400_000, 2), limit);
        if is_joined {
            assert!(pair.picked(1, fallback).is_empty());
            assert_eq!(pair.picked(1, down).len(), 1);
        } else {
            assert_eq!(pair.picked(1, fallback), [FallbackReason::MappingConflict]);
        }
        assert!(
            pair.picked(1, violation)
                .contains(&Violation::MappingConflict)
        );
    }
}

#[test]
fn mappings_may_come_on_any_segment_of_theirs() {
    for seed in 0..6 {
        let (mut pair, ids) = established(&Config::default());
        let mut random = Seeded(seed);
        pair.hook = Some(meddle(move |seen, options, _| {
            if seen.way == Way::ToServer && seen.has_data() && random.happens(60) {
                blank(options, |_| true);
            }
            true
        }));
        let limit = Duration::from_secs(120);
        pair.transfer(ids, &pattern(60_000, 1), &pattern(1000, 2), limit);
    }
}

#[test]
fn what_icmp_says_of_one_subflow_holds_for_it_alone() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    pair.client(ids[0]).write(&pattern(100_000, 1)).unwrap();
    pair.run_for(Duration::from_millis(1));
    let second = pair.log.iter().rev().map(|sent| sent.packet.clone());
    let second = second.into_iter().find(|packet| {
        let segment = Segment::parse(packet, false).unwrap();
        segment.source == address(super::pair::CLIENT) && !segment.payload.is_empty()
    });
    let packet = second.unwrap();
    let segment = Segment::parse(&packet, false).unwrap();
    let path = super::pair::path(super::pair::CLIENT, super::pair::SERVER);
    let error = IcmpError::PacketTooBig { mtu: 1000 };
    pair.client.handle_icmp(pair.now, path, segment.seq, error);
    let mss = |pair: &Pair| {
        let connection = pair.client.connections().next().unwrap();
        connection
            .subflows()
            .map(|subflow| subflow.tcp.mss)
            .collect::<Vec<_>>()
    };
    assert_eq!(mss(&pair), [948, 1448]);
    let client = address(super::pair::CLIENT);
    pair.hook = Some(drop_if(move |seen| {
        seen.segment.source == client && seen.segment.payload.len() > 960
    }));
    let limit = Duration::from_secs(60);
    let mut rest = pattern(100_000, 1);
    rest.extend(pattern(200_000, 3));
    let (mut done, mut got) = (100_000, Vec::new());
    pair.run_until(limit, |pair| {
        done += pair.client(ids[0]).write(&rest[done..]).unwrap();
        super::pair::read_all(pair.server(ids[1]), &mut got);
        got.len() == rest.len()
    });
    assert!(got == rest);
}

#[test]
fn reordered_and_doubled_packets_change_nothing() {
    for seed in 0..6 {
        let (mut pair, ids) = established(&checksums());
        join(&mut pair, ids[0], Priority::Regular);
        let mut random = Seeded(seed);
        let mut held: Option<Vec<u8>> = None;
        pair.hook = Some(Box::new(move |_, _, packet| {
            if random.happens(5) && held.is_none() {
                held = Some(packet);
                return Vec::new();
            }
            let mut out = vec![packet.clone()];
            if random.happens(3) {
                out.push(packet);
            }
            if random.happens(30) {
                out.extend(held.take());
            }
            out
        }));
        pair.exchange(ids, &pattern(400_000, seed), &pattern(400_000, !seed));
        assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
    }
}
