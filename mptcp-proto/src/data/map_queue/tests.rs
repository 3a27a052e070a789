use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn insert(queue: &mut MapQueue, place: i64, data: i64, len: u32) -> Insertion {
    queue.insert(place, data, len, &mut Vec::new())
}

fn pieces(queue: &mut MapQueue, places: Range<i64>) -> Vec<(Range<i64>, Option<i64>)> {
    let mut out = Vec::new();
    queue.look_up(places, |range, data| out.push((range, data)));
    out
}

#[test]
fn a_lookup_spans_two_mappings_and_a_gap() {
    let mut queue = MapQueue::new();
    insert(&mut queue, 1, 1, 10);
    insert(&mut queue, 11, 101, 10);
    assert_eq!(
        pieces(&mut queue, 5..25),
        [(5..11, Some(5)), (11..21, Some(101)), (21..25, None)]
    );
}

#[test]
fn a_mapping_with_another_offset_is_a_conflict_and_the_first_stays() {
    let mut queue = MapQueue::new();
    insert(&mut queue, 1, 1, 10);
    let second = insert(&mut queue, 6, 60, 10);
    assert_eq!(second.added, 5);
    assert_eq!(second.refused, 5);
    assert_eq!(
        second.conflict,
        Some(Conflict {
            place: 6,
            kept: 6,
            refused: 60
        })
    );
    assert_eq!(
        pieces(&mut queue, 9..12),
        [(9..11, Some(9)), (11..12, Some(65))]
    );
}

#[test]
fn the_same_mapping_again_is_only_repeated() {
    let mut queue = MapQueue::new();
    insert(&mut queue, 1, 1, 10);
    let again = insert(&mut queue, 1, 1, 10);
    assert_eq!((again.added, again.repeated, again.conflict), (0, 10, None));
}

#[test]
fn contiguous_mappings_are_one_run_and_know_their_end() {
    let mut queue = MapQueue::new();
    for step in 0..100_000i64 {
        insert(&mut queue, 1 + step * 65_535, 1 + step * 65_535, 65_535);
    }
    assert_eq!(queue.run_count(), 1);
    assert_eq!(queue.end(), Some((6_553_500_001, 6_553_500_001)));
}

#[test]
fn an_infinite_mapping_has_no_end() {
    let mut queue = MapQueue::new();
    insert(&mut queue, 1, 1, 10);
    queue.insert_infinite(11, 11, &mut Vec::new());
    assert_eq!(queue.end(), Some((11, 11)));
    assert_eq!(
        pieces(&mut queue, 1 << 40..(1 << 40) + 1),
        [(1 << 40..(1 << 40) + 1, Some(1 << 40))]
    );
}

#[test]
fn numbers_at_the_limits_do_not_overflow() {
    for place in [i64::MIN, -1, 0, i64::MAX] {
        for data in [i64::MIN, -1, 0, i64::MAX] {
            let mut queue = MapQueue::new();
            insert(&mut queue, place, data, u32::MAX);
            queue.insert_infinite(place, data, &mut Vec::new());
            queue.shift_data(i64::MIN);
            queue.shift_data(i64::MAX);
            pieces(&mut queue, i64::MIN..i64::MAX);
        }
    }
}

proptest! {
    #[test]
    fn mappings_in_any_order_equal_a_table_of_places(
        mappings in prop::collection::vec((0i64..200, 0i64..3, 1u32..50), 1..60),
        delta in -1000i64..1000,
    ) {
        let mut queue = MapQueue::new();
        let mut naive: BTreeMap<i64, i64> = BTreeMap::new();
        for (place, offset, len) in mappings {
            let result = insert(&mut queue, place, place + offset * 1000, len);
            let mut expected = Insertion::default();
            for at in place..place + i64::from(len) {
                let data = at + offset * 1000;
                match naive.get(&at) {
                    None => {
                        naive.insert(at, data);
                        expected.added += 1;
                    }
                    Some(held) if *held == data => expected.repeated += 1,
                    Some(held) => {
                        expected.refused += 1;
                        expected.conflict.get_or_insert(
                            Conflict { place: at, kept: *held, refused: data });
                    }
                }
            }
            prop_assert_eq!(result, expected);
        }
        queue.shift_data(delta);
        for place in 0..260 {
            let expected = naive.get(&place).map(|data| data + delta);
            prop_assert_eq!(pieces(&mut queue, place..place + 1)[0].1, expected);
        }
    }
}
