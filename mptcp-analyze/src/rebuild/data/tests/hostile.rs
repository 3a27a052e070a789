//! Numbers that a peer made up, and orders chosen to cost the most.

use mptcp_proto::data::IntervalMap;
use mptcp_proto::wire::mptcp::{DataAck, WireDsn};
use proptest::prelude::*;

use super::*;

/// Numbers near the places where something wraps, and any others.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0u64..64, 0u64..5, any::<bool>()).prop_map(|(bit, near, minus)| {
            let power = 1u64 << bit;
            if minus {
                power.wrapping_sub(near)
            } else {
                power.wrapping_add(near)
            }
        }),
    ]
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & 0xffff_ffff).unwrap()
}

#[derive(Debug, Clone)]
struct Packet {
    kind: u8,
    subflow: usize,
    numbers: [u64; 3],
    len: u16,
    data_fin: bool,
}

fn packet() -> impl Strategy<Value = Packet> {
    let numbers = [number(), number(), number()];
    (any::<u8>(), 0usize..2, numbers, any::<u16>(), any::<bool>()).prop_map(
        |(kind, subflow, numbers, len, data_fin)| Packet {
            kind,
            subflow,
            numbers,
            len,
            data_fin,
        },
    )
}

fn feed(rig: &mut Rig, packet: &Packet) {
    let [dsn, ssn, seq] = packet.numbers;
    let id = u32::try_from(packet.subflow).unwrap();
    rig.frame += 1;
    let at = Timestamp(dsn.cast_signed());
    let subflow = &mut rig.subflows[packet.subflow];
    match packet.kind % 12 {
        0 => rig.data.set_idsn(Dsn(dsn)),
        1 => subflow.on_syn(TcpSeq(low_half(seq))),
        2 => _ = rig.data.on_data_ack(DataAck::Long(dsn)),
        3 => _ = rig.data.on_data_ack(DataAck::Short(low_half(dsn))),
        4 => rig.data.on_data_fin(dsn.cast_signed(), rig.frame),
        5 => subflow.on_syn_payload(&mut rig.data, b"hello", low_half(seq)),
        6 => subflow.on_syn_acked(&mut rig.data, low_half(ssn)),
        7 if packet.len < 6000 => subflow.set_implicit_mapping(&mut rig.data, id),
        kind => {
            let wire = if kind == 8 {
                WireDsn::Short(low_half(dsn))
            } else {
                WireDsn::Long(dsn)
            };
            let input = MappingInput {
                dsn: rig.data.relative(wire),
                ssn: low_half(ssn),
                len: packet.len,
                data_fin: packet.data_fin,
                checksum: Some(packet.len),
                segment_seq: TcpSeq(low_half(seq)),
                segment_len: low_half(dsn) % 70_000,
                frame: rig.frame,
                at,
            };
            subflow.on_mapping(&mut rig.data, id, &input);
            let payload = PayloadInput {
                sum: None,
                seq: TcpSeq(low_half(seq)),
                bytes: &[7; 100],
                len: if packet.data_fin {
                    low_half(ssn)
                } else {
                    u32::from(packet.len)
                },
                frame: rig.frame,
                at,
            };
            subflow.on_payload(&mut rig.data, id, &payload, &mut Vec::new());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_numbers_make_it_panic_or_lose_count(
        packets in prop::collection::vec(packet(), 1..50),
        others in prop::collection::vec(packet(), 0..20),
    ) {
        let mut rig = Rig::without_handshake(2);
        for packet in &packets {
            feed(&mut rig, packet);
        }
        let mut other = Rig::without_handshake(2);
        for packet in &others {
            feed(&mut other, packet);
        }
        let merged = rig.data.merge(other.data, |id| id + 2);
        rig.subflows.append(&mut other.subflows);
        rig.follow_merge(&merged, 2);
        for packet in &packets {
            feed(&mut rig, packet);
        }
        let totals = rig.finish();
        rig.data.take_stream();
        rig.data.missing();
        let wire: u64 = rig.subflows.iter().map(|s| s.totals().wire_bytes).sum();
        prop_assert_eq!(totals.wire_bytes, wire);
    }
}

#[test]
fn single_bytes_in_the_worst_order_stay_within_the_limits() {
    let mut rig = Rig::new(1);
    let most = i64::try_from(IntervalMap::<()>::MAX_RUNS).unwrap();
    // Every second byte, backwards: nothing merges, every insertion is at the wrong end.
    for step in (0..most + 500).rev() {
        rig.pay(0, 1 + step * 2, b"x");
    }
    // Mappings over all of it, each with another offset, over and over.
    let block = vec![0; 60_000];
    for round in 0..3 {
        let mut ssn = 1;
        while ssn < most * 2 {
            let mut pieces = rig.pay(0, ssn, &block);
            assert!(pieces.len() <= 2 * IntervalMap::<()>::MAX_STRETCHES + 2);
            pieces.clear();
            rig.map(0, ssn * 3 + round, ssn, 60_000);
            ssn += 1000;
        }
    }
    let hit: Vec<_> = rig.subflows[0]
        .limits()
        .iter()
        .map(|hit| hit.limit)
        .collect();
    assert!(hit.contains(&"runs of subflow sequence numbers"));
    assert!(hit.contains(&"segments that wait for a mapping"));
    rig.finish();
}

#[test]
fn alternating_dsns_stay_within_the_limit_of_runs() {
    let mut rig = Rig::new(2);
    for step in 0..20_000i64 {
        let subflow = usize::from(step % 2 == 0);
        rig.send(subflow, 1 + step, 1 + step / 2, 1);
    }
    assert_eq!(rig.data.limits(), [], "nothing was asked that is not known");
    // Who sent the second byte first is forgotten, but not that it was sent.
    rig.send(1, 2, 10_001, 1);
    let hits = rig.data.limits();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].dropped, 1);
    let totals = rig.finish();
    assert_eq!((totals.unique_bytes, totals.missing_bytes), (20_000, 0));
    assert_eq!(totals.range, Some((1, 20_001)));
}

#[test]
fn a_mapping_from_another_world_is_refused() {
    let mut rig = Rig::new(1);
    rig.send(0, 1, 1, 10);
    assert!(rig.map(0, i64::MIN + 5, 11, 10).out_of_range);
    assert!(rig.map(0, 1 << 62, 11, 10).out_of_range);
    assert_eq!(rig.data.limits()[0].dropped, 2);
}

#[test]
fn mappings_without_data_do_not_pile_up_before_the_origin_is_known() {
    let mut rig = Rig::without_handshake(1);
    rig.data.relative(WireDsn::Long(1));
    for step in 0..40 {
        rig.map_in(0, (1 + step * 10, 1 + step * 10, 10), (1, 0), None, false);
    }
    assert_eq!(rig.finish().mappings, 40);
}

#[test]
fn old_mappings_are_closed_and_their_repetitions_still_known() {
    let mut rig = Rig::new(1);
    for step in 0..1000 {
        rig.send(0, 1 + step * 10, 1 + step * 10, 10);
    }
    assert!(rig.map(0, 1, 1, 10).repeated);
    assert!(rig.map(0, 9991, 9991, 10).repeated);
    let totals = rig.finish();
    assert_eq!((totals.mappings, totals.mapping_options), (1000, 1002));
}
