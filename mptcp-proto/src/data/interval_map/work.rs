//! What the runs of an interval map cost in steps: a hostile order of claims must not make one of them
//! cost more than the most usual numbers allow.

use std::cell::Cell;

use super::IntervalMap;

thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Notes that so many runs, or blocks of runs, change their place in memory.
pub(super) fn moved(count: usize) {
    STEPS.set(STEPS.get() + u64::try_from(count).unwrap());
}

/// Notes that a run is compared with a place.
pub(super) fn compared() {
    moved(1);
}

const CLAIMS: i64 = 1_000_000;

/// Steps of a claim, on average: the search in a block and in the list of blocks, half a block that
/// moves when it is in the middle, and its share of what comes now and then.
const MOST_ON_AVERAGE: u64 = 100;

/// Steps of the dearest claim: at the limit half of the runs become old ones.
const MOST_EACH: u64 = 4 * IntervalMap::<u32>::MAX_RUNS as u64;

/// Claims single places in this order and counts the steps.
#[track_caller]
fn check_order(name: &str, order: impl Iterator<Item = i64>) {
    let mut map = IntervalMap::new();
    let mut out = Vec::new();
    let (mut all, mut most) = (0, 0);
    for place in order {
        out.clear();
        STEPS.set(0);
        map.claim(place..place + 1, 0u32, &mut out);
        all += STEPS.get();
        most = most.max(STEPS.get());
    }
    let average = all / u64::try_from(CLAIMS).unwrap();
    assert!(all > 0, "{name}: nothing was counted");
    assert!(
        average <= MOST_ON_AVERAGE,
        "{name}: {average} steps on average"
    );
    assert!(most <= MOST_EACH, "{name}: {most} steps at once");
}

#[test]
fn no_order_of_a_million_claims_makes_them_dear() {
    check_order("ascending", (0..CLAIMS).map(|step| step * 2));
    check_order("descending", (0..CLAIMS).rev().map(|step| step * 2));
    let outward = |step: i64| step * if step % 2 == 0 { 2 } else { -2 };
    check_order("outward", (0..CLAIMS).map(outward));
    check_order("inward", (0..CLAIMS).rev().map(outward));
    check_order(
        "scattered",
        (0..CLAIMS).map(|step| step * 7_919 % CLAIMS * 2),
    );
    // Each block becomes full at its beginning, and is halved.
    let halves = (0..CLAIMS / 2).map(|step| step * 4);
    check_order(
        "halves",
        halves
            .clone()
            .chain(halves.clone().rev().map(|place| place + 2)),
    );
    // Holes, then what fills them: runs become one.
    let odd = (0..CLAIMS / 2).rev().map(|step| step * 2 + 1);
    check_order("filled", (0..CLAIMS / 2).map(|step| step * 2).chain(odd));
}
