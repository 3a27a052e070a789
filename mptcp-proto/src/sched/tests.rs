//! Tables of subflows and what is picked.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::path::LossState;
use crate::wire::mptcp::Priority;

const MSS: u64 = 1_000;
const NEW: Chunk<'_> = Chunk::New {
    len: 1_000_000,
    window: 10_000_000,
};

/// A subflow with room for ten segments, and this round-trip time.
fn path(id: u32, srtt_ms: u64) -> PathView {
    PathView {
        id: SubflowId(id),
        srtt: Duration::from_millis(srtt_ms),
        rttvar: Duration::ZERO,
        min_rtt: Duration::from_millis(srtt_ms),
        rto: Duration::from_millis(200),
        cwnd: 10 * MSS,
        ssthresh: 10 * MSS,
        in_flight: 0,
        queued: 0,
        window_left: 1 << 30,
        mss: 1_000,
        priority: Priority::Regular,
        loss_state: LossState::Open,
        is_usable: true,
        is_stale: false,
    }
}

fn full(path: PathView) -> PathView {
    PathView {
        in_flight: path.cwnd,
        ..path
    }
}

fn backup(path: PathView) -> PathView {
    PathView {
        priority: Priority::Backup,
        ..path
    }
}

fn stale(path: PathView) -> PathView {
    PathView {
        is_stale: true,
        ..path
    }
}

fn timed_out(path: PathView) -> PathView {
    PathView {
        loss_state: LossState::Loss,
        ..path
    }
}

fn unusable(path: PathView) -> PathView {
    PathView {
        is_usable: false,
        ..path
    }
}

fn one(id: u32, segments: u64) -> Pick<'static> {
    Pick::One {
        on: SubflowId(id),
        max: segments * MSS,
    }
}

#[track_caller]
fn check(kind: Kind, paths: &[PathView], what: Chunk<'_>, expected: Pick<'_>) {
    let mut picker = Picker::new(kind);
    assert_eq!(picker.pick(Instant::ZERO, paths, what), expected, "{kind}");
}

/// For the schedulers that use one subflow at a time.
#[track_caller]
fn check_single(paths: &[PathView], what: Chunk<'_>, expected: Option<u32>) {
    for kind in [Kind::LowestRtt, Kind::RoundRobin, Kind::Blest, Kind::Ecf] {
        let mut picker = Picker::new(kind);
        let on = match picker.pick(Instant::ZERO, paths, what) {
            Pick::One { on, .. } => Some(on.0),
            Pick::Wait => None,
            Pick::Each { .. } => panic!("{kind} sends copies"),
        };
        assert_eq!(on, expected, "{kind}");
    }
}

#[test]
fn nothing_is_picked_without_subflows() {
    for kind in Kind::ALL {
        check(kind, &[], NEW, Pick::Wait);
        check(kind, &[unusable(path(0, 10))], NEW, Pick::Wait);
        check(kind, &[unusable(path(0, 10))], Chunk::DataFin, Pick::Wait);
    }
}

#[test]
fn names_are_read_back() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(kind.build().kind(), kind);
    }
    assert_eq!("fastest".parse::<Kind>(), Err(UnknownKind));
}

#[test]
fn the_lowest_round_trip_time_is_filled_first() {
    let (slow, fast) = (path(0, 40), path(1, 10));
    check(Kind::LowestRtt, &[slow, fast], NEW, one(1, 10));
    check(Kind::LowestRtt, &[slow, full(fast)], NEW, one(0, 10));
    check(Kind::LowestRtt, &[full(slow), full(fast)], NEW, Pick::Wait);
}

#[test]
fn the_receivers_window_limits_like_the_congestion_window() {
    let shut = PathView {
        window_left: 0,
        ..path(0, 10)
    };
    check_single(&[shut], NEW, None);
    let narrow = PathView {
        window_left: 2_500,
        ..path(0, 10)
    };
    check(Kind::LowestRtt, &[narrow], NEW, one(0, 2));
}

#[test]
fn nobody_waits_for_a_faster_subflow_that_nothing_can_open() {
    let shut = PathView {
        window_left: 0,
        ..path(0, 10)
    };
    let tight = Chunk::New {
        len: 1_000,
        window: 1_000,
    };
    for kind in [Kind::LowestRtt, Kind::Blest, Kind::Ecf] {
        check(kind, &[shut, path(1, 40)], tight, one(1, 1));
        check(kind, &[shut], Chunk::DataFin, one(0, 0));
    }
    // While something is under way on it, its window may open.
    let busy = PathView {
        in_flight: 1_000,
        ..shut
    };
    check(Kind::Blest, &[busy, path(1, 40)], tight, Pick::Wait);
}

#[test]
fn what_is_queued_takes_room() {
    let queued = PathView {
        in_flight: 4 * MSS,
        queued: 6 * MSS,
        ..path(0, 10)
    };
    check_single(&[queued], NEW, None);
}

#[test]
fn silly_windows_wait_unless_nothing_is_under_way() {
    let narrow = PathView {
        window_left: 300,
        in_flight: MSS,
        ..path(0, 10)
    };
    check(Kind::LowestRtt, &[narrow], NEW, Pick::Wait);
    let idle = PathView {
        in_flight: 0,
        ..narrow
    };
    let all = Pick::One {
        on: SubflowId(0),
        max: 300,
    };
    check(Kind::LowestRtt, &[idle], NEW, all);
    let last = Chunk::New {
        len: 300,
        window: 300,
    };
    check(Kind::LowestRtt, &[narrow], last, all);
}

#[test]
fn backups_are_used_only_without_a_usable_regular_subflow() {
    let (regular, spare) = (path(0, 40), backup(path(1, 10)));
    check_single(&[regular, spare], NEW, Some(0));
    check_single(&[full(regular), spare], NEW, None);
    check_single(&[unusable(regular), spare], NEW, Some(1));
    check_single(&[stale(regular), spare], NEW, Some(1));
    check_single(&[timed_out(regular), spare], NEW, Some(0));
}

#[test]
fn all_backups_are_as_good_as_none() {
    check_single(&[backup(path(0, 10)), backup(full(path(1, 5)))], NEW, {
        // BLEST and ECF could wait for the faster one, but the backlog is too long for that here.
        Some(0)
    });
}

#[test]
fn stale_subflows_are_used_only_when_all_are() {
    check_single(&[stale(path(0, 10)), path(1, 90)], NEW, Some(1));
    check_single(&[stale(path(0, 10)), full(path(1, 90))], NEW, None);
    check_single(&[stale(path(0, 10))], NEW, Some(0));
    check_single(
        &[stale(path(0, 10)), stale(backup(path(1, 5)))],
        NEW,
        Some(0),
    );
}

#[test]
fn a_subflow_after_a_timeout_gets_no_new_data_beside_a_healthy_one() {
    check_single(&[timed_out(path(0, 10)), path(1, 90)], NEW, Some(1));
    check_single(&[timed_out(path(0, 10))], NEW, Some(0));
}

fn again(already_on: &[SubflowId]) -> Chunk<'_> {
    Chunk::Reinjection {
        len: 500,
        already_on,
    }
}

#[test]
fn a_reinjection_goes_where_the_data_is_not() {
    let (fast, slow) = (path(0, 10), path(1, 90));
    for kind in Kind::ALL {
        let on_slow = Pick::One {
            on: SubflowId(1),
            max: 500,
        };
        check(kind, &[fast, slow], again(&[SubflowId(0)]), on_slow);
        check(kind, &[fast], again(&[SubflowId(0)]), Pick::Wait);
        let both = [SubflowId(0), SubflowId(1)];
        check(kind, &[fast, slow], again(&both), Pick::Wait);
    }
}

#[test]
fn data_that_only_lacks_its_data_ack_may_go_where_it_was() {
    check_single(&[path(0, 10)], again(&[]), Some(0));
}

#[test]
fn a_reinjection_uses_a_backup_once_the_regular_subflow_timed_out() {
    let (regular, spare) = (path(0, 40), backup(path(1, 10)));
    check_single(&[regular, spare], again(&[SubflowId(0)]), None);
    check_single(
        &[timed_out(regular), spare],
        again(&[SubflowId(0)]),
        Some(1),
    );
}

#[test]
fn a_data_fin_needs_no_room() {
    let shut = PathView {
        window_left: 0,
        ..full(path(0, 10))
    };
    check_single(&[shut], Chunk::DataFin, Some(0));
    let on = &[SubflowId(0)];
    let each = Pick::Each { on, max: 0 };
    check(Kind::Redundant, &[shut], Chunk::DataFin, each);
}

#[test]
fn round_robin_takes_turns_by_the_segment() {
    let mut paths = [path(0, 10), path(3, 500), path(7, 20)];
    let mut picker = Picker::new(Kind::RoundRobin);
    let mut order = |paths: &[PathView]| match picker.pick(Instant::ZERO, paths, NEW) {
        Pick::One { on, max } => (on.0, max),
        other => panic!("{other:?}"),
    };
    let turns: Vec<_> = (0..4).map(|_| order(&paths)).collect();
    assert_eq!(turns, [(0, MSS), (3, MSS), (7, MSS), (0, MSS)]);
    paths[1] = full(paths[1]);
    assert_eq!(order(&paths), (7, MSS));
}

#[test]
fn redundancy_works_with_one_subflow() {
    // multipath-tcp/mptcp#467: a redundant scheduler that stalls on its only subflow.
    let on = &[SubflowId(0)];
    let each = Pick::Each { on, max: 10 * MSS };
    check(Kind::Redundant, &[path(0, 10)], NEW, each);
    check(Kind::Redundant, &[full(path(0, 10))], NEW, Pick::Wait);
}

#[test]
fn redundant_copies_go_to_all_with_room_at_the_pace_of_the_narrowest() {
    let narrow = PathView {
        in_flight: 7 * MSS,
        ..path(1, 90)
    };
    let on = &[SubflowId(0), SubflowId(1)];
    let paths = [path(0, 10), narrow, full(path(2, 1))];
    let each = Pick::Each { on, max: 3 * MSS };
    check(Kind::Redundant, &paths, NEW, each);
}

/// The window that BLEST finds just large enough, by the formula of the paper in floating point.
fn blest_window(fast: &PathView, slow: &PathView, lambda: f64) -> f64 {
    let rounds = (slow.srtt.as_secs_f64() / fast.srtt.as_secs_f64()).ceil();
    let mss = f64::from(fast.mss);
    #[expect(clippy::cast_precision_loss, reason = "small windows")]
    let (cwnd, in_flight) = (fast.cwnd as f64 / mss, slow.in_flight as f64);
    let x = mss * (cwnd + (rounds - 1.0) / 2.0) * rounds;
    x * lambda + in_flight + f64::from(slow.mss)
}

#[test]
fn blest_waits_when_the_fast_subflow_could_fill_the_window() {
    let fast = full(path(0, 10));
    let slow = PathView {
        in_flight: 3 * MSS,
        ..path(1, 95)
    };
    // λ is 1.2 until the first slow round trip has passed.
    let enough = blest_window(&fast, &slow, 1.2);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    let enough = enough.ceil() as u64;
    let new = |window| Chunk::New { len: 9_000, window };
    check(Kind::Blest, &[fast, slow], new(enough + 1), one(1, 7));
    check(Kind::Blest, &[fast, slow], new(enough - 1), Pick::Wait);
    check(Kind::LowestRtt, &[fast, slow], new(enough - 1), one(1, 7));
}

#[test]
fn blest_grows_careful_after_blocking_and_bold_without() {
    let fast = full(path(0, 10));
    let slow = path(1, 100);
    let narrowest = |picker: &mut Picker, now| {
        let takes = |window: &u64| {
            let what = Chunk::New {
                len: 1_000,
                window: *window,
            };
            picker.pick(now, &[fast, slow], what) != Pick::Wait
        };
        (0..400_000).step_by(100).find(takes).unwrap()
    };
    let mut picker = Picker::new(Kind::Blest);
    let at_first = narrowest(&mut picker, Instant::from_millis(1));
    picker.on_blocked(Instant::from_millis(50));
    let blocked = narrowest(&mut picker, Instant::from_millis(150));
    assert!(blocked > at_first, "{blocked} {at_first}");
    let mut free = blocked;
    for round in 2..60 {
        free = narrowest(&mut picker, Instant::from_millis(150 * round));
    }
    assert!(free < at_first, "{free} {at_first}");
    // λ is 1 now, and goes no lower.
    let least = blest_window(&fast, &slow, 1.0);
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let off = (free as f64 - least).abs();
    assert!(off <= 100.0, "{free} {least}");
}

#[test]
fn ecf_waits_for_the_fast_subflow_when_it_finishes_first() {
    let fast = full(path(0, 10));
    let slow = path(1, 100);
    let new = |segments: u64| Chunk::New {
        len: segments * MSS,
        window: 1 << 30,
    };
    // (1 + k/10) · 10 ms < 100 ms up to k = 89, and k/10 · 100 ms ≥ 20 ms from k = 2 on.
    check(Kind::Ecf, &[fast, slow], new(1), one(1, 1));
    check(Kind::Ecf, &[fast, slow], new(2), Pick::Wait);
    check(Kind::Ecf, &[fast, slow], new(89), Pick::Wait);
    check(Kind::Ecf, &[fast, slow], new(90), one(1, 10));
    check(Kind::Ecf, &[path(0, 10), slow], new(50), one(0, 10));
}

#[test]
fn ecf_that_waits_goes_on_waiting_a_quarter_longer() {
    let (fast, slow) = (full(path(0, 10)), path(1, 100));
    let mut picker = Picker::new(Kind::Ecf);
    let mut waits = |segments: u64| {
        let what = Chunk::New {
            len: segments * MSS,
            window: 1 << 30,
        };
        picker.pick(Instant::ZERO, &[fast, slow], what) == Pick::Wait
    };
    // (1 + k/10) · 10 ms < 125 ms up to k = 114.
    assert!(!waits(110));
    assert!(waits(80));
    assert!(waits(114));
    assert!(!waits(115));
    assert!(!waits(110));
}

#[test]
fn ecf_leaves_room_for_the_deviation() {
    let fast = full(path(0, 10));
    let slow = PathView {
        rttvar: Duration::from_millis(50),
        ..path(1, 100)
    };
    let new = |segments: u64| Chunk::New {
        len: segments * MSS,
        window: 1 << 30,
    };
    // δ is 50 ms: k/10 · 100 ms ≥ 70 ms from k = 7 on.
    check(Kind::Ecf, &[fast, slow], new(6), one(1, 6));
    check(Kind::Ecf, &[fast, slow], new(7), Pick::Wait);
}

fn any_path(id: u32) -> impl Strategy<Value = PathView> {
    let sizes = (
        0..u64::MAX,
        0..u64::MAX,
        0..u64::MAX,
        0..u64::MAX,
        any::<u32>(),
    );
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (sizes, flags, any::<u64>(), any::<u64>()).prop_map(move |(sizes, flags, srtt, rttvar)| {
        PathView {
            cwnd: sizes.0,
            in_flight: sizes.1,
            queued: sizes.2,
            window_left: sizes.3,
            mss: sizes.4,
            is_usable: flags.0,
            is_stale: flags.1,
            priority: if flags.2 {
                Priority::Backup
            } else {
                Priority::Regular
            },
            loss_state: if flags.3 {
                LossState::Loss
            } else {
                LossState::Open
            },
            srtt: Duration::from_nanos(srtt),
            rttvar: Duration::from_nanos(rttvar),
            ..path(id, 1)
        }
    })
}

proptest! {
    #[test]
    fn whatever_the_numbers_a_pick_fits_its_subflow(
        paths in (any_path(0), any_path(1), any_path(2)),
        len: u64,
        window: u64,
    ) {
        let paths = [paths.0, paths.1, paths.2];
        for kind in Kind::ALL {
            let mut picker = Picker::new(kind);
            for at in [1, 2] {
                let what = Chunk::New { len, window };
                let (on, max) = match picker.pick(Instant::from_millis(at), &paths, what) {
                    Pick::One { on, max } => (vec![on], max),
                    Pick::Each { on, max } => (on.to_vec(), max),
                    Pick::Wait => continue,
                };
                prop_assert!(max > 0 && max <= len);
                for id in on {
                    let path = paths.iter().find(|path| path.id == id).unwrap();
                    prop_assert!(path.is_usable && path.room() >= max);
                }
            }
        }
    }
}
