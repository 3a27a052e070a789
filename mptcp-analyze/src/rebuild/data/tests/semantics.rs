//! Classes, mappings, origins, fallback, the stream.

use mptcp_proto::seq::Dsn;
use mptcp_proto::wire::mptcp::{DataAck, WireDsn};
use sha2::{Digest, Sha256};

use super::*;
use ByteClass::{DataRetransmission, New, Reinjection, TcpRetransmission, Unmapped};

#[test]
fn the_same_bytes_have_a_class_by_where_they_are_sent_again() {
    let mut rig = Rig::new(2);
    assert_eq!(
        classes(&rig.send(0, 1, 1, 100)),
        [(0, 100, Some(1), New, false)]
    );
    let first = rig.frame;
    assert_eq!(
        classes(&rig.pay(0, 1, &stream(1, 100))),
        [(0, 100, Some(1), TcpRetransmission, false)]
    );
    assert_eq!(
        classes(&rig.send(0, 1, 101, 100)),
        [(0, 100, Some(1), DataRetransmission, false)]
    );
    assert_eq!(
        classes(&rig.send(1, 1, 1, 100)),
        [(0, 100, Some(1), Reinjection { of_frame: first }, false)]
    );
    let totals = rig.finish();
    assert_eq!(totals.unique_bytes, 100);
    assert_eq!(totals.wire_bytes, 400);
    assert_eq!(totals.data_retransmitted_bytes, 100);
    assert_eq!(totals.reinjected_bytes, 100);
    assert_eq!(totals.spurious_bytes, 0);
    let first = rig.subflows[0].totals();
    assert_eq!(first.unique_bytes, 100);
    assert_eq!(first.odd.tcp_retransmitted_bytes, 100);
    assert_eq!(first.odd.data_retransmitted_bytes, 100);
    let second = rig.subflows[1].totals();
    assert_eq!((second.unique_bytes, second.odd.reinjected_bytes), (0, 100));
}

#[test]
fn repeated_bytes_are_spurious_when_they_were_acknowledged_before() {
    let mut rig = Rig::new(2);
    rig.send(0, 1, 1, 100);
    let frame = rig.frame;
    rig.ack(41);
    let class = Reinjection { of_frame: frame };
    assert_eq!(
        classes(&rig.send(1, 1, 1, 100)),
        [
            (0, 40, Some(1), class, true),
            (40, 60, Some(41), class, false)
        ]
    );
    rig.ack(101);
    rig.pay(0, 1, &stream(1, 100));
    let totals = rig.finish();
    assert_eq!(totals.spurious_bytes, 140);
    assert_eq!(rig.subflows[0].totals().odd.spurious_bytes, 100);
    assert_eq!(rig.subflows[1].totals().odd.spurious_bytes, 40);
}

#[test]
fn a_mapping_repeated_in_every_segment_is_one_mapping() {
    let mut rig = Rig::new(1);
    for step in 0..10i64 {
        let at = 1 + step * 100;
        let outcome = rig.map_in(0, (1, 1, 1000), (at, 100), None, false);
        assert_eq!(outcome.repeated, step > 0);
        assert_eq!(
            classes(&rig.pay(0, at, &stream(at, 100))),
            [(0, 100, Some(at), New, false)]
        );
    }
    let totals = rig.finish();
    assert_eq!((totals.mappings, totals.mapping_options), (1, 10));
    assert_eq!(totals.unique_bytes, 1000);
    assert_eq!(totals.reinjected_bytes + totals.data_retransmitted_bytes, 0);
}

#[test]
fn a_segment_may_span_two_mappings_and_begin_before_its_own() {
    let mut rig = Rig::new(1);
    rig.map(0, 1, 1, 100);
    rig.map_in(0, (501, 101, 100), (51, 150), None, false);
    rig.pay(0, 1, &stream(1, 50));
    assert_eq!(
        classes(&rig.pay(0, 51, &[0; 170])),
        [
            (0, 50, Some(51), New, false),
            (50, 100, Some(501), New, false),
            (150, 20, None, Unmapped, false)
        ]
    );
    assert_eq!(rig.subflows[0].unmapped(), 20);
}

#[test]
fn bytes_wait_for_a_mapping_that_comes_later() {
    let mut rig = Rig::new(2);
    rig.frame = 5;
    assert_eq!(
        classes(&rig.pay(0, 101, &stream(101, 100))),
        [(0, 100, None, Unmapped, false)]
    );
    assert_eq!(rig.subflows[0].unmapped(), 100);
    rig.map_in(0, (1, 1, 200), (1, 100), None, false);
    assert_eq!(rig.subflows[0].unmapped(), 0);
    rig.pay(0, 1, &stream(1, 100));
    rig.map(1, 150, 1, 10);
    assert_eq!(
        rig.pay(1, 1, &stream(150, 10))[0].class,
        Reinjection { of_frame: 5 }
    );
    let totals = rig.finish();
    assert_eq!(totals.unique_bytes, 200);
    let expected: [u8; 32] = Sha256::digest(stream(1, 200)).into();
    assert_eq!(totals.stream_sha256, Some(expected));
}

#[test]
fn a_late_mapping_for_bytes_that_are_forgotten_still_counts_them() {
    let mut rig = Rig::new(1);
    for step in 0..1100 {
        rig.pay(0, 1 + step, b"x");
    }
    rig.map(0, 1, 1, 1100);
    assert_eq!(rig.subflows[0].unmapped(), 0);
    assert_eq!(rig.finish().unique_bytes, 1100);
    assert_eq!(rig.subflows[0].limits()[0].dropped, 76);
}

#[test]
fn mappings_that_contradict_are_a_conflict_and_the_first_wins() {
    let mut rig = Rig::new(1);
    rig.map(0, 1, 1, 100);
    let outcome = rig.map(0, 1051, 51, 100);
    assert_eq!(
        outcome.conflict,
        Some(MappingConflict {
            ssn: 51,
            kept_dsn: 51,
            refused_dsn: 1051
        })
    );
    assert_eq!(rig.map(0, 1051, 51, 100).conflict, None);
    assert_eq!(
        classes(&rig.pay(0, 1, &[0; 150])),
        [
            (0, 100, Some(1), New, false),
            (100, 50, Some(1101), New, false)
        ]
    );
}

#[test]
fn a_byte_belongs_to_the_subflow_that_sent_it_first() {
    let mut rig = Rig::new(3);
    rig.send(0, 1, 1, 100);
    rig.send(1, 51, 1, 100);
    rig.send(2, 1, 1, 200);
    let unique: Vec<u64> = rig
        .subflows
        .iter()
        .map(|s| s.totals().unique_bytes)
        .collect();
    assert_eq!(unique, [100, 50, 50]);
    assert_eq!(rig.finish().unique_bytes, 200);
}

#[test]
fn a_data_fin_is_no_byte() {
    let mut rig = Rig::new(1);
    rig.map_in(0, (1, 1, 101), (1, 100), None, true);
    rig.pay(0, 1, &stream(1, 100));
    rig.data.on_data_fin(101, 9);
    assert!(!rig.map_in(0, (101, 0, 1), (101, 0), None, true).repeated);
    assert!(rig.map_in(0, (101, 0, 1), (101, 0), None, true).repeated);
    let totals = rig.finish();
    assert_eq!(totals.unique_bytes, 100);
    assert_eq!(totals.missing_bytes, 0);
    assert_eq!(totals.data_fin_at, Some(101));
    assert_eq!(totals.range, Some((1, 101)));
    assert_eq!(totals.mappings, 2);
}

#[test]
fn an_infinite_mapping_maps_all_that_follows() {
    let mut rig = Rig::new(1);
    rig.send(0, 1, 1, 100);
    rig.map_in(0, (101, 101, 0), (101, 50), None, false);
    rig.pay(0, 101, &stream(101, 50));
    rig.frame += 1;
    assert_eq!(
        classes(&rig.pay(0, 151, &stream(151, 60_000))),
        [(0, 60_000, Some(151), New, false)]
    );
    let totals = rig.finish();
    assert_eq!(totals.unique_bytes, 60_150);
    let expected: [u8; 32] = Sha256::digest(stream(1, 60_150)).into();
    assert_eq!(totals.stream_sha256, Some(expected));
}

#[test]
fn plain_bytes_after_a_fallback_continue_the_stream_and_stay_unmapped() {
    let mut rig = Rig::new(1);
    rig.send(0, 1, 1, 100);
    rig.pay(0, 101, &stream(101, 50));
    rig.subflows[0].set_implicit_mapping(&mut rig.data, 0);
    rig.pay(0, 201, &stream(201, 50));
    assert_eq!(
        classes(&rig.pay(0, 151, &stream(151, 50))),
        [(0, 50, None, Unmapped, false)]
    );
    let totals = rig.finish();
    assert_eq!(rig.subflows[0].unmapped(), 150);
    assert_eq!(totals.unique_bytes, 100);
    let expected: [u8; 32] = Sha256::digest(stream(1, 250)).into();
    assert_eq!(totals.stream_sha256, Some(expected));
}

#[test]
fn accepted_syn_data_come_before_dsn_1_and_shift_ssn_1() {
    let mut rig = Rig::new(1);
    let payload = stream(-99, 100);
    rig.subflows[0].on_syn_payload(&mut rig.data, &payload, 100);
    rig.subflows[0].on_syn_acked(&mut rig.data, 100);
    assert_eq!(rig.subflows[0].ssn_of(seq(101)), Some(1));
    // SSN 1 is sequence number 101 now.
    rig.map_in(0, (1, 1, 50), (101, 50), None, false);
    assert_eq!(
        classes(&rig.pay(0, 101, &stream(1, 50))),
        [(0, 50, Some(1), New, false)]
    );
    let totals = rig.finish();
    assert_eq!((totals.unique_bytes, totals.wire_bytes), (50, 150));
    let expected: [u8; 32] = Sha256::digest(stream(-99, 150)).into();
    assert_eq!(totals.stream_sha256, Some(expected));
    assert_eq!(rig.subflows[0].unmapped(), 0);
}

#[test]
fn refused_syn_data_are_sent_again_as_ordinary_bytes() {
    let mut rig = Rig::new(1);
    rig.subflows[0].on_syn_payload(&mut rig.data, &stream(1, 100), 100);
    rig.subflows[0].on_syn_acked(&mut rig.data, 0);
    assert_eq!(
        classes(&rig.send(0, 1, 1, 100)),
        [(0, 100, Some(1), New, false)]
    );
}

#[test]
fn without_a_syn_ack_the_first_mapping_tells_that_syn_data_were_accepted() {
    let mut rig = Rig::new(1);
    rig.subflows[0].on_syn_payload(&mut rig.data, &stream(-99, 100), 100);
    rig.map_in(0, (1, 1, 50), (101, 50), None, false);
    assert_eq!(
        classes(&rig.pay(0, 101, &stream(1, 50))),
        [(0, 50, Some(1), New, false)]
    );
}

#[test]
fn a_capture_that_begins_inside_a_mapping_gets_its_dsns_right() {
    let mut rig = Rig::without_handshake(1);
    assert_eq!(rig.data.relative(WireDsn::Long(5001)), 1);
    for ssn in [101, 201, 301] {
        rig.map_in(0, (1, 1, 400), (ssn, 100), None, false);
        assert_eq!(rig.pay(0, ssn, &stream(ssn, 100))[0].class, Unmapped);
    }
    rig.map_in(0, (401, 401, 400), (401, 100), None, false);
    assert_eq!(
        classes(&rig.pay(0, 401, &stream(401, 100))),
        [(0, 100, Some(401), New, false)]
    );
    let totals = rig.finish();
    assert_eq!((totals.mappings, totals.unique_bytes), (2, 400));
    assert_eq!(totals.range, Some((101, 501)));
    assert_eq!(rig.subflows[0].ssn_of(seq(401)), Some(401));
}

#[test]
fn a_sender_that_names_each_mapping_once_needs_no_syn() {
    let mut rig = Rig::without_handshake(1);
    rig.data.relative(WireDsn::Long(5001));
    rig.map_in(0, (1, 7001, 300), (7001, 100), None, false);
    rig.pay(0, 7001, &stream(1, 100));
    rig.frame += 1;
    assert_eq!(
        classes(&rig.pay(0, 7101, &stream(101, 100))),
        [(0, 100, Some(101), New, false)]
    );
    assert_eq!(rig.finish().unique_bytes, 200);
}

#[test]
fn one_lonely_segment_without_handshake_is_settled_at_the_end() {
    let mut rig = Rig::without_handshake(1);
    rig.data.relative(WireDsn::Short(9));
    rig.map_in(0, (1, 77, 300), (1, 100), None, false);
    rig.pay(0, 1, &stream(1, 100));
    assert_eq!(rig.finish().unique_bytes, 100);
}

#[test]
fn learning_the_idsn_late_moves_all_numbers() {
    let mut rig = Rig::without_handshake(1);
    rig.subflows[0].on_syn(TcpSeq(ISN));
    let dsn = rig.data.relative(WireDsn::Long(IDSN.0 + 51));
    assert_eq!(dsn, 1);
    rig.send(0, dsn, 51, 50);
    rig.data.on_data_ack(DataAck::Long(IDSN.0 + 101));
    rig.data.set_idsn(IDSN);
    assert!(rig.data.base_is_idsn());
    assert_eq!(rig.data.relative(WireDsn::Long(IDSN.0 + 51)), 51);
    let totals = rig.finish();
    assert_eq!(totals.range, Some((51, 101)));
    assert_eq!(totals.data_acked, Some(101));
    assert_eq!(totals.base, Some(IDSN));
}

#[test]
fn short_dsns_expand_over_the_wrap_of_their_low_half() {
    let mut rig = Rig::new(1);
    // The IDSN's low half is 0xffff_ff00.
    assert_eq!(rig.data.relative(WireDsn::Short(0xffff_ff01)), 1);
    assert_eq!(rig.data.relative(WireDsn::Short(0x0000_0100)), 0x200);
    rig.send(0, 0x200, 1, 100);
    assert_eq!(rig.data.on_data_ack(DataAck::Short(0x0000_0164)), 0x264);
    assert_eq!(rig.data.near(), Some(Dsn(IDSN.0 + 0x264)));
    assert_eq!(rig.data.acked(), Some(Dsn(IDSN.0 + 0x264)));
}

#[test]
fn a_subflow_carries_more_than_4_gib_in_a_handful_of_runs() {
    let mut rig = Rig::new(1);
    rig.data = DataDirection::new(DataOptions::default());
    rig.data.set_idsn(IDSN);
    let mut pieces = Vec::new();
    let total = 5i64 << 30;
    let mut at = 1i64;
    while at <= total {
        rig.map_in(0, (at, at, 65_000), (at, 65_000), None, false);
        let input = PayloadInput {
            sum: None,
            seq: seq(at),
            bytes: &[],
            len: 65_000,
            frame: rig.frame,
            at: Timestamp(0),
        };
        pieces.clear();
        rig.subflows[0].on_payload(&mut rig.data, 0, &input, &mut pieces);
        assert_eq!(classes(&pieces), [(0, 65_000, Some(at), New, false)]);
        at += 65_000;
    }
    assert_eq!(rig.subflows[0].ssn_of(seq(at)), u64::try_from(at).ok());
    let totals = rig.finish();
    assert_eq!(totals.unique_bytes, u64::try_from(at - 1).unwrap());
    assert_eq!(totals.mappings, totals.mapping_options);
    assert_eq!(totals.missing_bytes, 0);
}

#[test]
fn a_payload_cut_by_the_snaplen_counts_in_full() {
    let mut rig = Rig::new(1);
    rig.map(0, 1, 1, 1000);
    let pieces = rig.pay_cut(0, 1, &stream(1, 30), 1000);
    assert_eq!(classes(&pieces), [(0, 1000, Some(1), New, false)]);
    rig.send(0, 1001, 1001, 10);
    let totals = rig.finish();
    assert_eq!((totals.unique_bytes, totals.wire_bytes), (1010, 1010));
    assert_eq!(totals.stream_sha256, None);
    assert_eq!(rig.data.stream_holes().first(), Some(&(31..1001)));
    assert_eq!(rig.data.missing(), []);
}

#[test]
fn missing_bytes_lie_between_the_first_and_the_last() {
    let mut rig = Rig::new(1);
    rig.send(0, 11, 11, 10);
    rig.send(0, 31, 31, 10);
    assert_eq!(rig.data.missing().first(), Some(&(21..31)));
    assert_eq!(rig.finish().missing_bytes, 10);
}

#[test]
fn two_halves_become_one_connection() {
    let mut rig = Rig::without_handshake(1);
    rig.frame = 10;
    let dsn = rig.data.relative(WireDsn::Long(IDSN.0 + 1));
    rig.send(0, dsn, 1, 100);
    let mut other = Rig::without_handshake(1);
    other.frame = 20;
    let dsn = other.data.relative(WireDsn::Long(IDSN.0 + 51));
    other.send(0, dsn, 1, 100);
    let merged = rig.data.merge(other.data, |id| id + 1);
    rig.subflows.append(&mut other.subflows);
    rig.follow_merge(&merged, 1);
    assert_eq!(rig.subflows[1].totals().unique_bytes, 50);
    assert_eq!(rig.subflows[1].totals().odd.reinjected_bytes, 50);
    rig.frame = 30;
    assert_eq!(
        classes(&rig.send(1, 101, 101, 100)),
        [
            (0, 50, Some(101), DataRetransmission, false),
            (50, 50, Some(151), New, false)
        ]
    );
    let totals = rig.finish();
    assert_eq!((totals.unique_bytes, totals.reinjected_bytes), (200, 50));
    assert_eq!((totals.range, totals.mappings), (Some((1, 201)), 3));
}

#[test]
fn after_a_merge_bytes_belong_to_the_half_that_was_first() {
    let mut rig = Rig::new(1);
    rig.frame = 20;
    rig.send(0, 1, 1, 100);
    let mut other = Rig::without_handshake(1);
    other.frame = 10;
    let dsn = other.data.relative(WireDsn::Long(IDSN.0 + 51));
    other.send(0, dsn, 1, 100);
    let merged = rig.data.merge(other.data, |_| 1);
    rig.subflows.append(&mut other.subflows);
    rig.follow_merge(&merged, 1);
    assert_eq!(rig.subflows[0].totals().unique_bytes, 50);
    assert_eq!(rig.subflows[1].totals().unique_bytes, 100);
    assert_eq!(rig.finish().range, Some((1, 151)));
}
