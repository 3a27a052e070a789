//! Tables of what the mechanisms decide.

use std::time::Duration;

use super::*;
use crate::path::{LossState, PathView, SubflowId};
use crate::time::Instant;
use crate::wire::mptcp::Priority;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn path(id: u32, srtt_ms: u64, segments: u64) -> PathView {
    PathView {
        id: SubflowId(id),
        srtt: ms(srtt_ms),
        rttvar: Duration::ZERO,
        min_rtt: ms(srtt_ms),
        rto: ms(200),
        cwnd: segments * 1_000,
        ssthresh: 0,
        in_flight: 0,
        queued: 0,
        window_left: 0,
        mss: 1_000,
        priority: Priority::Regular,
        loss_state: LossState::Open,
        is_usable: true,
        is_stale: false,
    }
}

#[test]
fn data_is_sent_again_where_the_holders_are_much_slower() {
    let idle = path(0, 20, 10);
    let cases: [(&[PathView], bool); 6] = [
        (&[], false),
        (&[path(1, 80, 10)], false),
        (&[path(1, 81, 10)], true),
        (&[path(1, 81, 10), path(2, 40, 10)], false),
        // A window of four segments has no fast retransmit.
        (&[path(1, 21, 4)], true),
        // It is there already.
        (&[path(1, 500, 10), idle], false),
    ];
    for (holders, expected) in cases {
        assert_eq!(
            is_worth_retransmitting(&idle, holders),
            expected,
            "{holders:?}"
        );
    }
}

#[test]
fn a_slower_holder_is_penalised_once_in_its_round_trip() {
    let (idle, holder) = (path(0, 20, 10), path(1, 200, 10));
    let mut penalty = Penalty::default();
    let mut times = Vec::new();
    for millis in (0..1_000).step_by(50) {
        if penalty.is_due(at(millis), &idle, &holder) {
            times.push(millis);
        }
    }
    assert_eq!(times, [0, 200, 400, 600, 800]);
    penalty.remove(SubflowId(1));
    assert!(penalty.is_due(at(801), &idle, &holder));
}

#[test]
fn neither_faster_nor_recovering_subflows_are_penalised() {
    let idle = path(0, 100, 10);
    let mut penalty = Penalty::default();
    assert!(!penalty.is_due(at(0), &idle, &path(1, 100, 10)));
    assert!(!penalty.is_due(at(0), &idle, &idle));
    for loss_state in [LossState::Recovery, LossState::Loss] {
        let recovering = PathView {
            loss_state,
            ..path(1, 200, 10)
        };
        assert!(!penalty.is_due(at(0), &idle, &recovering));
    }
    assert!(penalty.is_due(at(0), &idle, &path(1, 200, 10)));
}

#[test]
fn the_receive_buffer_is_twice_what_comes_in_the_longest_round_trip() {
    // WiFi with 8 Mbit/s and 3G with 2 Mbit/s and 150 ms, as in the paper: 187,500 bytes in 150 ms.
    let mut buffer = ReceiveBuffer::new(64_000..=6_000_000);
    for millis in (0..=600).step_by(10) {
        buffer.on_read(at(millis), 12_500, ms(150));
    }
    // The first round trip counts both its ends.
    assert_eq!(buffer.size(), 2 * (187_500 + 12_500));
}

#[test]
fn the_receive_buffer_keeps_within_its_sizes_and_never_shrinks() {
    let mut buffer = ReceiveBuffer::new(64_000..=100_000);
    assert_eq!(buffer.size(), 64_000);
    buffer.on_read(at(0), 1_000, ms(100));
    buffer.on_read(at(100), 1_000, ms(100));
    assert_eq!(buffer.size(), 64_000);
    buffer.on_read(at(200), u64::MAX, ms(100));
    assert_eq!(buffer.size(), 100_000);
    buffer.on_read(at(300), 1, ms(100));
    buffer.on_read(at(400), 1, ms(100));
    assert_eq!(buffer.size(), 100_000);
}

#[test]
fn a_reader_who_was_away_does_not_make_the_buffer_grow() {
    let mut buffer = ReceiveBuffer::new(10_000..=1_000_000);
    buffer.on_read(at(0), 0, ms(100));
    // 60,000 bytes in a second are 6,000 in a round trip.
    buffer.on_read(at(1_000), 60_000, ms(100));
    assert_eq!(buffer.size(), 12_000);
    // And no round-trip time tells nothing.
    buffer.on_read(at(2_000), 1_000_000, Duration::ZERO);
    assert_eq!(buffer.size(), 12_000);
}

#[test]
fn the_send_buffer_covers_all_rates_for_the_longest_round_trip() {
    // 10,000 bytes in 20 ms are 100,000 in 200 ms, and 5,000 come with the slow one.
    let paths = [path(0, 20, 10), path(1, 200, 5)];
    assert_eq!(needed_send_buffer(&paths), 2 * 105_000);
    let gone = PathView {
        is_usable: false,
        ..path(1, 200, 5)
    };
    assert_eq!(needed_send_buffer(&[paths[0], gone]), 2 * 10_000);
    assert_eq!(needed_send_buffer(&[path(0, 0, 10)]), 0);
    let huge = PathView {
        cwnd: u64::MAX,
        srtt: Duration::from_nanos(1),
        ..paths[0]
    };
    assert_eq!(needed_send_buffer(&[huge, paths[1]]), u64::MAX);
}

#[test]
fn a_window_is_capped_where_the_round_trip_time_has_doubled() {
    let queueing = |srtt_ms| PathView {
        min_rtt: ms(50),
        ..path(0, srtt_ms, 30)
    };
    // (srtt in ms, cap): 30 segments over the round-trip time, times 100 ms.
    for (srtt_ms, cap) in [
        (50, None),
        (100, None),
        (150, Some(20_000)),
        (300, Some(10_000)),
    ] {
        assert_eq!(
            CwndCap::default().poll(at(0), &queueing(srtt_ms)),
            cap,
            "{srtt_ms}"
        );
    }
    let unmeasured = PathView {
        min_rtt: Duration::ZERO,
        ..path(0, 100, 30)
    };
    assert_eq!(CwndCap::default().poll(at(0), &unmeasured), None);
}

#[test]
fn a_window_is_capped_once_in_a_round_trip() {
    let queueing = PathView {
        min_rtt: ms(50),
        ..path(0, 150, 30)
    };
    let mut cap = CwndCap::default();
    let capped: Vec<u64> = (0..600)
        .step_by(10)
        .filter(|millis| cap.poll(at(*millis), &queueing).is_some())
        .collect();
    assert_eq!(capped, [0, 150, 300, 450]);
}
