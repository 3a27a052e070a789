use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn claim(map: &mut IntervalMap<u32>, range: Range<i64>, value: u32) -> Vec<Stretch<u32>> {
    let mut out = Vec::new();
    map.claim(range, value, &mut out);
    out
}

fn look_up(map: &mut IntervalMap<u32>, range: Range<i64>) -> Vec<Stretch<u32>> {
    let mut out = Vec::new();
    map.look_up(range, &mut out);
    out
}

fn stretch(range: Range<i64>, held: Held<u32>) -> Stretch<u32> {
    Stretch { range, held }
}

#[test]
fn the_first_value_of_a_place_stays() {
    let mut map = IntervalMap::new();
    claim(&mut map, 10..20, 1);
    assert_eq!(
        claim(&mut map, 5..25, 2),
        [
            stretch(5..10, Held::Free),
            stretch(10..20, Held::By(1)),
            stretch(20..25, Held::Free)
        ]
    );
    assert_eq!(
        look_up(&mut map, 19..21),
        [stretch(19..20, Held::By(1)), stretch(20..21, Held::By(2))]
    );
}

#[test]
fn four_senders_in_turn_make_a_run_each() {
    let mut map = IntervalMap::new();
    let starts = [0, 1_000_000, 2_000_000, 3_000_000];
    for step in 0..100 {
        for (owner, start) in (0u32..).zip(starts) {
            let at = start + step * 1400;
            assert_eq!(claim(&mut map, at..at + 1400, owner)[0].held, Held::Free);
        }
    }
    assert_eq!(map.run_count(), 4);
    assert_eq!(map.len(), 400 * 1400);
    assert_eq!(map.span(), Some(0..3_140_000));
}

#[test]
fn an_in_order_transfer_of_16_gib_is_one_run() {
    let mut map = IntervalMap::new();
    let mut out = Vec::new();
    for step in 0..262_144i64 {
        out.clear();
        map.claim(step * 65_536..(step + 1) * 65_536, 0, &mut out);
    }
    assert_eq!(map.run_count(), 1);
    assert_eq!(map.len(), 1 << 34);
}

#[test]
fn the_lower_half_loses_its_values_at_the_limit_and_keeps_its_places() {
    let mut map = IntervalMap::new();
    let most = i64::try_from(IntervalMap::<u32>::MAX_RUNS).unwrap();
    for (owner, step) in (0..).zip(0..=most) {
        claim(&mut map, step * 10..step * 10 + 10, owner);
    }
    assert!(map.run_count() <= IntervalMap::<u32>::MAX_RUNS / 2 + 1);
    assert_eq!((map.forgotten_runs(), map.refused()), (0, 0));
    assert_eq!(map.span(), Some(0..most * 10 + 10));
    assert_eq!(claim(&mut map, 5..25, 1), [stretch(5..25, Held::Unknown)]);
    assert_eq!(map.refused(), 1);
    let owner = u32::try_from(most).unwrap();
    assert_eq!(
        look_up(&mut map, most * 10..most * 10 + 10),
        [stretch(most * 10..most * 10 + 10, Held::By(owner))]
    );
}

#[test]
fn holes_in_the_lower_half_are_still_free() {
    let mut map = IntervalMap::new();
    let most = i64::try_from(IntervalMap::<u32>::MAX_RUNS).unwrap();
    for step in 0..=most {
        claim(&mut map, step * 2..step * 2 + 1, 0);
    }
    assert_eq!(
        claim(&mut map, 0..3, 1),
        [
            stretch(0..1, Held::Unknown),
            stretch(1..2, Held::Free),
            stretch(2..3, Held::Unknown)
        ]
    );
    assert_eq!(look_up(&mut map, 0..3), [stretch(0..3, Held::Unknown)]);
}

#[test]
fn runs_far_beyond_the_limit_are_forgotten() {
    let mut map = IntervalMap::new();
    let most = i64::try_from(IntervalMap::<u32>::MAX_RUNS).unwrap();
    for step in 0..3 * most {
        claim(&mut map, step * 2..step * 2 + 1, 0);
        assert!(map.run_count() <= 2 * IntervalMap::<u32>::MAX_RUNS);
    }
    assert!(map.forgotten_runs() > 0);
    assert_eq!(look_up(&mut map, 0..2), [stretch(0..2, Held::Unknown)]);
}

#[test]
fn one_call_reports_a_limited_number_of_stretches() {
    let mut map = IntervalMap::new();
    for step in 0..2000 {
        claim(&mut map, step * 2..step * 2 + 1, 0);
    }
    let found = claim(&mut map, 0..4000, 1);
    assert!(found.len() <= IntervalMap::<u32>::MAX_STRETCHES + 1);
    assert_eq!(found.last().map(|last| last.held), Some(Held::Unknown));
    assert_eq!(map.refused(), 1);
    assert_eq!(found.last().map(|last| last.range.end), Some(4000));
}

#[test]
fn places_beyond_the_limit_and_backward_ranges_are_ignored() {
    let mut map = IntervalMap::new();
    assert_eq!(claim(&mut map, i64::MAX - 5..i64::MAX, 0), []);
    assert_eq!(claim(&mut map, i64::MIN..i64::MIN + 5, 0), []);
    #[expect(clippy::reversed_empty_ranges, reason = "this is the point")]
    let backward = 5..2;
    assert_eq!(claim(&mut map, backward, 0), []);
    assert!(map.is_empty());
}

proptest! {
    #[test]
    fn claims_in_any_order_equal_a_value_per_place(
        claims in prop::collection::vec((0i64..300, 0i64..60, 0u32..4, any::<bool>()), 1..80)
    ) {
        let mut map = IntervalMap::new();
        let mut naive: BTreeMap<i64, u32> = BTreeMap::new();
        let mut next = 0;
        for (start, len, value, append) in claims {
            let start = if append { next } else { start };
            next = start + len;
            let range = start..start + len;
            let expected: Vec<_> =
                range.clone().map(|place| naive.get(&place).copied()).collect();
            let found: Vec<_> = claim(&mut map, range.clone(), value)
                .into_iter()
                .flat_map(|stretch| {
                    let held = match stretch.held {
                        Held::By(value) => Some(value),
                        _ => None,
                    };
                    stretch.range.map(move |_| held)
                })
                .collect();
            prop_assert_eq!(found, expected);
            for place in range {
                naive.entry(place).or_insert(value);
            }
            prop_assert_eq!(map.len(), naive.len() as u64);
        }
        for place in 0..400 {
            let held = naive.get(&place).map_or(Held::Free, |value| Held::By(*value));
            prop_assert_eq!(look_up(&mut map, place..place + 1)[0].held, held);
        }
        prop_assert_eq!(
            map.span(),
            naive.first_key_value().zip(naive.last_key_value())
                .map(|((first, _), (last, _))| *first..*last + 1)
        );
    }
}
