use std::ops::Range;

use proptest::prelude::*;

use super::*;

const FIRST: Dsn = Dsn(u64::MAX - 50);
const A: SubflowId = SubflowId(0);
const B: SubflowId = SubflowId(1);

fn byte(place: u64) -> u8 {
    (place % 251) as u8
}

fn bytes(places: Range<u64>) -> Payload {
    Payload::from_vec(places.map(byte).collect())
}

fn insert(buffer: &mut ReceiveBuffer, on: SubflowId, places: Range<u64>) -> Inserted {
    buffer.insert(on, FIRST.add(places.start), bytes(places))
}

fn read_all(buffer: &mut ReceiveBuffer) -> Vec<u8> {
    let mut out = vec![0; buffer.readable()];
    assert_eq!(buffer.read(&mut out), out.len());
    out
}

#[test]
fn data_are_read_in_the_order_of_their_dsns() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    assert!(!insert(&mut buffer, B, 100..200).is_readable);
    assert_eq!(buffer.data_ack(), FIRST);
    assert!(insert(&mut buffer, A, 0..100).is_readable);
    assert_eq!(buffer.data_ack(), FIRST.add(200));
    assert_eq!(read_all(&mut buffer), bytes(0..200).as_slice());
    assert_eq!(buffer.readable(), 0);
}

#[test]
fn the_first_copy_stays_and_what_differs_is_counted() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    insert(&mut buffer, A, 0..10);
    insert(&mut buffer, A, 20..30);
    let mut read = [0; 4];
    buffer.read(&mut read);
    let done = buffer.insert(B, FIRST, Payload::from_vec(vec![0xff; 40]));
    // 4 were read, so nobody knows them any more; 6 and 10 are here.
    assert_eq!((done.new, done.duplicate, done.differing), (20, 20, 16));
    let rest = read_all(&mut buffer);
    assert_eq!(rest[..6], bytes(4..10)[..]);
    assert_eq!(rest[6..16], [0xff; 10]);
    assert_eq!(rest[16..26], bytes(20..30)[..]);
}

#[test]
fn data_before_the_beginning_and_beyond_the_window_are_dropped() {
    let mut buffer = ReceiveBuffer::new(FIRST, 100);
    let done = buffer.insert(A, Dsn(FIRST.0 - 10), bytes(0..20));
    assert_eq!((done.duplicate, done.new), (10, 10));
    let done = buffer.insert(A, Dsn(FIRST.0.wrapping_sub(1 << 62)), bytes(0..20));
    assert_eq!((done.duplicate, done.new), (20, 0));
    let done = insert(&mut buffer, A, 90..110);
    assert_eq!((done.new, done.beyond), (10, 10));
    assert_eq!(insert(&mut buffer, A, 1 << 60..(1 << 60) + 5).beyond, 5);
}

#[test]
fn an_announced_right_edge_never_moves_back() {
    let mut buffer = ReceiveBuffer::new(FIRST, 100);
    assert_eq!(buffer.announce(), 100);
    insert(&mut buffer, A, 0..60);
    assert_eq!(buffer.announce(), 40);
    buffer.set_capacity(10);
    assert_eq!(buffer.announce(), 40);
    assert_eq!(insert(&mut buffer, A, 60..100).new, 40);
    assert_eq!(buffer.announce(), 0);
    read_all(&mut buffer);
    assert_eq!(buffer.window(), 0, "not announced yet");
    assert_eq!(buffer.announce(), 10);
}

#[test]
fn a_window_update_waits_for_a_segment_or_half_of_the_buffer() {
    for (capacity, mss, step) in [(1000, 100, 100), (1000, 2000, 500)] {
        let mut buffer = ReceiveBuffer::new(FIRST, capacity);
        insert(&mut buffer, A, 0..1000);
        assert_eq!(buffer.announce(), 0);
        buffer.read(&mut vec![0; step - 1]);
        assert!(!buffer.is_window_update_due(mss));
        buffer.read(&mut [0]);
        assert!(buffer.is_window_update_due(mss));
        buffer.announce();
        assert!(!buffer.is_window_update_due(mss));
    }
}

#[test]
fn a_peer_with_window_left_hears_of_more_only_when_it_doubles() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    insert(&mut buffer, A, 0..700);
    assert_eq!(buffer.announce(), 300);
    buffer.read(&mut [0; 299]);
    assert!(!buffer.is_window_update_due(100));
    buffer.read(&mut [0]);
    assert!(buffer.is_window_update_due(100));
}

#[test]
fn the_data_fin_counts_once_everything_before_it_is_here() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    insert(&mut buffer, A, 50..100);
    assert_eq!(buffer.set_fin(FIRST.add(99)), FinNoted::Conflict);
    assert_eq!(buffer.set_fin(FIRST.add(1001)), FinNoted::Beyond);
    assert_eq!(buffer.set_fin(FIRST.add(100)), FinNoted::New);
    assert_eq!(buffer.set_fin(FIRST.add(100)), FinNoted::Repeated);
    assert_eq!(buffer.set_fin(FIRST.add(101)), FinNoted::Conflict);
    assert!(!buffer.is_fin_reached());
    assert_eq!(buffer.data_ack(), FIRST);
    let done = insert(&mut buffer, A, 0..110);
    assert_eq!((done.new, done.duplicate, done.beyond), (50, 50, 10));
    assert!(buffer.is_fin_reached());
    assert_eq!(buffer.data_ack(), FIRST.add(101));
    assert_eq!(read_all(&mut buffer).len(), 100);
    assert!(!buffer.is_window_update_due(1));
}

#[test]
fn the_window_ends_where_it_did_after_the_data_fin() {
    let mut buffer = ReceiveBuffer::new(FIRST, 100);
    insert(&mut buffer, A, 0..40);
    buffer.set_fin(FIRST.add(40));
    assert_eq!(buffer.announce(), 59);
    let mut full = ReceiveBuffer::new(FIRST, 40);
    insert(&mut full, A, 0..40);
    assert_eq!(full.set_fin(FIRST.add(40)), FinNoted::New);
    assert_eq!(full.announce(), 0);
}

#[test]
fn a_subflow_that_delivers_in_order_needs_no_search() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1 << 20);
    for n in 0..100 {
        // Each brings every other segment of its half, and the first byte never comes.
        insert(&mut buffer, A, 1 + n * 20..11 + n * 20);
        insert(&mut buffer, B, 100_000 + n * 20..100_010 + n * 20);
    }
    let stats = buffer.order_stats();
    assert_eq!((stats.shortcuts, stats.searches), (198, 2));
    assert_eq!(buffer.run_count(), 200);
    // The hints hold after runs were taken from the front.
    insert(&mut buffer, SubflowId(2), 0..1000);
    insert(&mut buffer, B, 102_000..102_010);
    assert_eq!(buffer.order_stats().shortcuts, 199);
}

#[test]
fn of_eight_subflows_most_segments_need_no_search() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1 << 20);
    let segments = 8000_u64;
    // Turns of 16 segments, each subflow 200 segments slower than the one before.
    let mut order: Vec<(u64, u64)> = (0..segments)
        .map(|number| (number + number / 16 % 8 * 200, number))
        .collect();
    order.sort_unstable();
    for (_, number) in order {
        let on = SubflowId(u32::try_from(number / 16 % 8).unwrap());
        insert(&mut buffer, on, number * 10..number * 10 + 10);
    }
    assert_eq!(read_all(&mut buffer).len() as u64, segments * 10);
    let stats = buffer.order_stats();
    let all = stats.shortcuts + stats.searches;
    assert!(stats.shortcuts * 10 > all * 9, "{stats:?}");
    assert!(stats.comparisons < all * 3, "{stats:?}");
}

#[test]
fn holes_are_bounded() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1 << 20);
    let max = ReceiveBuffer::MAX_RUNS as u64;
    for n in 0..max {
        assert_eq!(insert(&mut buffer, A, 2 * n + 1..2 * n + 2).new, 1);
    }
    assert_eq!(insert(&mut buffer, A, 2 * max + 1..2 * max + 2).refused, 1);
    // What fills holes is taken all the same.
    assert_eq!(insert(&mut buffer, A, 2 * max..2 * max + 1).refused, 0);
    assert_eq!(insert(&mut buffer, A, 0..100).new, 50);
    assert_eq!(buffer.readable(), 100);
}

#[test]
fn a_stream_of_single_bytes_does_not_keep_a_block_for_each() {
    let mut buffer = ReceiveBuffer::new(FIRST, 100_000);
    let block = Payload::from_vec(vec![7; 60_000]);
    for n in 0..1000 {
        buffer.insert(A, FIRST.add(1 + n), block.slice(5..6));
    }
    insert(&mut buffer, A, 0..1);
    let (mut pieces, mut memory) = (0, 0);
    while let Some(piece) = buffer.read_payload(usize::MAX) {
        pieces += 1;
        memory += piece.block_len();
    }
    assert!(
        pieces < 20 && memory < 4000,
        "{pieces} pieces, {memory} bytes"
    );
}

/// Bytes by place, the first copy first.
#[derive(Default)]
struct Naive {
    held: std::collections::BTreeMap<u64, u8>,
    read: u64,
}

impl Naive {
    fn next(&self) -> u64 {
        let held = self.held.range(self.read..).map(|(place, _)| *place);
        let in_order = (self.read..).zip(held).take_while(|(a, b)| a == b);
        self.read + in_order.count() as u64
    }

    fn insert(&mut self, start: u64, bytes: &[u8], edge: u64) -> (u64, u64, u64) {
        let (mut new, mut differing, mut beyond) = (0, 0, 0);
        for (place, byte) in (start..).zip(bytes) {
            if place >= edge {
                beyond += 1;
            } else if let Some(held) = self.held.get(&place) {
                differing += u64::from(held != byte && place >= self.read);
            } else {
                new += 1;
                self.held.insert(place, *byte);
            }
        }
        (new, differing, beyond)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_arrivals_give_what_a_map_of_bytes_gives(
        steps in prop::collection::vec((0_u32..3, 0_u64..600, 0_u64..90, 0_u8..8), 1..120),
        capacity in 1_usize..700,
    ) {
        let mut buffer = ReceiveBuffer::new(FIRST, capacity);
        let mut naive = Naive::default();
        for (subflow, start, len, twist) in steps {
            let edge = naive.next() + buffer.window();
            let mut payload = bytes(start..start + len).to_vec();
            if twist == 0 {
                payload.iter_mut().step_by(3).for_each(|byte| *byte ^= 0x80);
            }
            let (new, differing, beyond) = naive.insert(start, &payload, edge);
            let done = buffer.insert(SubflowId(subflow), FIRST.add(start), Payload::from_vec(payload));
            prop_assert_eq!((done.new, done.differing, done.beyond, done.refused), (new, differing, beyond, 0));
            prop_assert_eq!(done.duplicate, len - new - beyond);
            prop_assert_eq!(buffer.next_dsn(), FIRST.add(naive.next()));
            let held = naive.held.range(naive.next()..).count() as u64;
            prop_assert_eq!(buffer.out_of_order(), held);
            if twist == 1 {
                let out = read_all(&mut buffer);
                let expected: Vec<u8> = naive.held.range(naive.read..naive.next()).map(|(_, b)| *b).collect();
                prop_assert_eq!(out, expected);
                naive.read = naive.next();
            }
            if twist < 4 {
                let before = edge;
                buffer.announce();
                let after = naive.next() + buffer.window();
                prop_assert!(after >= before);
                let possible = naive.read + capacity as u64;
                prop_assert_eq!(after, before.max(possible));
            }
        }
    }
}

#[test]
fn what_is_not_in_order_can_be_forgotten_and_comes_again() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    insert(&mut buffer, A, 0..10);
    insert(&mut buffer, B, 20..30);
    insert(&mut buffer, A, 50..60);
    assert_eq!(buffer.set_fin(FIRST.add(60)), FinNoted::New);
    assert_eq!(buffer.discard_out_of_order(), 20);
    assert_eq!(
        (buffer.out_of_order(), buffer.data_ack()),
        (0, FIRST.add(10))
    );
    assert!(!buffer.has_fin());
    insert(&mut buffer, B, 20..40);
    insert(&mut buffer, B, 10..20);
    assert_eq!(buffer.set_fin(FIRST.add(40)), FinNoted::New);
    assert_eq!(read_all(&mut buffer), bytes(0..40).as_slice());
    assert!(buffer.is_fin_reached());
}

#[test]
fn a_data_fin_that_is_repeated_outlasts_one_that_was_not() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    insert(&mut buffer, A, 0..10);
    assert_eq!(buffer.set_fin(FIRST.add(500)), FinNoted::New);
    for _ in 1..MOST_RIVALS {
        assert_eq!(buffer.set_fin(FIRST.add(10)), FinNoted::Conflict);
    }
    // The first one again: it is the peer's.
    assert_eq!(buffer.set_fin(FIRST.add(500)), FinNoted::Repeated);
    for _ in 1..MOST_RIVALS {
        assert_eq!(buffer.set_fin(FIRST.add(10)), FinNoted::Conflict);
    }
    assert_eq!(buffer.set_fin(FIRST.add(10)), FinNoted::New);
    assert!(buffer.is_fin_reached());
    // Nothing moves an end that is reached.
    for _ in 0..=MOST_RIVALS {
        assert_eq!(buffer.set_fin(FIRST.add(20)), FinNoted::Conflict);
    }
}

#[test]
fn after_fallback_data_and_their_end_count_beyond_the_window_that_was_announced() {
    let mut buffer = ReceiveBuffer::new(FIRST, 1000);
    assert_eq!(buffer.set_fin(FIRST.add(1100)), FinNoted::Beyond);
    buffer.trust_tcp();
    assert_eq!(insert(&mut buffer, A, 0..1100).beyond, 0);
    assert_eq!(buffer.set_fin(FIRST.add(1100)), FinNoted::New);
    assert!(buffer.is_fin_reached());
}

#[test]
fn no_pointer_reaches_far_behind_the_window() {
    let mut buffer = ReceiveBuffer::new(Dsn(1), 1000);
    assert!(!buffer.note_urgent(Dsn(1 + 1000 + 65_536)));
    assert!(!buffer.note_urgent(Dsn(1 << 40)));
    assert!(!buffer.note_urgent(Dsn(1)));
    assert_eq!(buffer.urgent(), 0);
    assert!(buffer.note_urgent(Dsn(11)));
    assert!(!buffer.note_urgent(Dsn(11)));
    assert!(buffer.note_urgent(Dsn(21)));
    assert_eq!(buffer.urgent(), 20);
}
