//! DSS checksums: ok, bad, unverifiable.

use proptest::prelude::*;

use super::*;
use crate::model::CheckTally;

#[track_caller]
fn check_tally(rig: &mut Rig, ok: u64, bad: u64, unverifiable: u64) {
    assert_eq!(
        rig.finish().checksums,
        CheckTally {
            ok,
            bad,
            unverifiable
        }
    );
}

#[test]
fn a_right_checksum_over_odd_segments_in_any_order_is_ok() {
    let mut rig = Rig::new(1);
    let sum = Some(checksum(1, 1, 1000, false));
    for (at, len) in [(700, 301), (1, 333), (334, 366)] {
        rig.map_in(0, (1, 1, 1000), (at, u32::from(len)), sum, false);
        rig.pay(0, at, &stream(at, len));
    }
    check_tally(&mut rig, 1, 0, 0);
}

#[test]
fn a_changed_byte_is_bad_and_the_frame_is_kept() {
    let mut rig = Rig::new(1);
    let mut bytes = stream(1, 100);
    bytes[50] ^= 1;
    rig.frame = 41;
    rig.map_in(
        0,
        (1, 1, 100),
        (1, 100),
        Some(checksum(1, 1, 100, false)),
        false,
    );
    rig.pay(0, 1, &bytes);
    assert_eq!(rig.data.totals().bad_checksum_frames, [42]);
    check_tally(&mut rig, 0, 1, 0);
}

#[test]
fn only_the_first_copy_of_a_byte_is_summed() {
    let mut rig = Rig::new(1);
    let sum = Some(checksum(1, 1, 100, false));
    rig.map_in(0, (1, 1, 100), (1, 60), sum, false);
    rig.pay(0, 1, &stream(1, 60));
    rig.pay(0, 1, &[0xee; 60]);
    rig.pay(0, 31, &stream(31, 70));
    check_tally(&mut rig, 1, 0, 0);
}

#[test]
fn a_data_fin_is_in_the_length_and_has_no_byte() {
    let mut rig = Rig::new(1);
    rig.map_in(
        0,
        (1, 1, 101),
        (1, 100),
        Some(checksum(1, 1, 101, true)),
        true,
    );
    rig.pay(0, 1, &stream(1, 100));
    rig.map_in(
        0,
        (101, 0, 1),
        (101, 0),
        Some(checksum(101, 0, 1, true)),
        true,
    );
    rig.map_in(
        0,
        (102, 0, 1),
        (101, 0),
        Some(checksum(101, 0, 1, true)),
        true,
    );
    check_tally(&mut rig, 2, 1, 0);
}

#[test]
fn the_same_payload_with_a_data_fin_added_later_is_judged_too() {
    let mut rig = Rig::new(1);
    rig.map_in(
        0,
        (1, 1, 100),
        (1, 100),
        Some(checksum(1, 1, 100, false)),
        false,
    );
    rig.pay(0, 1, &stream(1, 100));
    rig.map_in(
        0,
        (1, 1, 101),
        (1, 100),
        Some(checksum(1, 1, 101, true)),
        true,
    );
    rig.pay(0, 1, &stream(1, 100));
    check_tally(&mut rig, 2, 0, 0);
}

#[test]
fn the_checksum_field_of_an_infinite_mapping_means_nothing() {
    let mut rig = Rig::new(1);
    rig.map_in(0, (1, 1, 0), (1, 100), Some(0), false);
    rig.pay(0, 1, &stream(1, 100));
    check_tally(&mut rig, 0, 0, 0);
}

#[test]
fn holes_and_cut_payload_are_unverifiable() {
    let mut rig = Rig::new(1);
    rig.map_in(0, (1, 1, 100), (1, 50), Some(1), false);
    rig.pay(0, 1, &stream(1, 50));
    rig.map_in(0, (101, 101, 100), (101, 100), Some(1), false);
    rig.pay_cut(0, 101, &stream(101, 99), 100);
    check_tally(&mut rig, 0, 0, 2);
}

#[test]
fn a_four_byte_dsn_without_the_key_is_unverifiable() {
    use mptcp_proto::wire::mptcp::WireDsn;
    let mut rig = Rig::without_handshake(1);
    rig.subflows[0].on_syn(TcpSeq(ISN));
    let dsn = rig
        .data
        .relative(WireDsn::Short(IDSN.low().wrapping_add(1)));
    rig.map_in(
        0,
        (dsn, 1, 100),
        (1, 100),
        Some(checksum(1, 1, 100, false)),
        false,
    );
    rig.pay(0, 1, &stream(1, 100));
    check_tally(&mut rig, 0, 0, 1);
}

#[test]
fn a_four_byte_dsn_is_verified_when_the_key_comes_late() {
    use mptcp_proto::wire::mptcp::WireDsn;
    let mut rig = Rig::without_handshake(1);
    rig.subflows[0].on_syn(TcpSeq(ISN));
    let dsn = rig
        .data
        .relative(WireDsn::Short(IDSN.low().wrapping_add(1)));
    rig.map_in(
        0,
        (dsn, 1, 100),
        (1, 100),
        Some(checksum(1, 1, 100, false)),
        false,
    );
    rig.pay(0, 1, &stream(1, 100));
    rig.data.set_idsn(IDSN);
    check_tally(&mut rig, 1, 0, 0);
}

#[test]
fn a_mapping_that_comes_after_its_payload_is_verified() {
    let mut rig = Rig::new(1);
    rig.pay(0, 51, &stream(51, 50));
    rig.pay(0, 1, &stream(1, 50));
    rig.map_in(
        0,
        (1, 1, 100),
        (1, 50),
        Some(checksum(1, 1, 100, false)),
        false,
    );
    check_tally(&mut rig, 1, 0, 0);
}

#[test]
fn without_verification_no_checksum_is_counted() {
    let mut rig = Rig::new(1);
    rig.data = DataDirection::new(DataOptions::default());
    rig.data.set_idsn(IDSN);
    rig.map_in(0, (1, 1, 100), (1, 100), Some(7), false);
    rig.pay(0, 1, &stream(1, 100));
    check_tally(&mut rig, 0, 0, 0);
}

proptest! {
    #[test]
    fn segments_and_mappings_in_any_order_give_the_same_verdict(
        sizes in prop::collection::vec(1u16..200, 1..12),
        order in prop::collection::vec(any::<u32>(), 64),
        corrupt in any::<Option<u8>>(),
        step in 1u16..90,
    ) {
        let mut rig = Rig::new(1);
        let mut events = Vec::new();
        let mut at = 1i64;
        for len in &sizes {
            events.push((true, at, *len));
            at += i64::from(*len);
        }
        let total = at - 1;
        let mut from = 1i64;
        while from <= total {
            let len = i64::from(step).min(total + 1 - from);
            events.push((false, from, u16::try_from(len).unwrap()));
            from += len;
        }
        let mut keyed: Vec<_> = events.into_iter().enumerate()
            .map(|(index, event)| (order[index % order.len()], index, event))
            .collect();
        keyed.sort_unstable();
        let changed = corrupt.map(|at| i64::from(at) % total + 1);
        for (_, _, (mapping, from, len)) in keyed {
            if mapping {
                let sum = Some(checksum(from, from, len, false));
                rig.map_in(0, (from, from, len), (from, u32::from(len)), sum, false);
            } else {
                let mut bytes = stream(from, len);
                if let Some(changed) = changed && (from..from + i64::from(len)).contains(&changed) {
                    bytes[usize::try_from(changed - from).unwrap()] ^= 0x10;
                }
                rig.pay(0, from, &bytes);
            }
        }
        let bad = u64::from(changed.is_some());
        let tally = rig.finish().checksums;
        prop_assert_eq!(tally, CheckTally { ok: sizes.len() as u64 - bad, bad, unverifiable: 0 });
    }
}
