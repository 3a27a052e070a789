//! The scoreboard against one that keeps a byte per byte.

use proptest::prelude::*;

use super::*;

const fn at(millis: u64) -> AckTime {
    AckTime {
        now: Instant::from_millis(millis),
        echo: None,
        min_rtt: Duration::ZERO,
    }
}

/// Ten segments of 100 bytes, a millisecond apart.
fn ten() -> Scoreboard {
    let mut board = Scoreboard::default();
    for millis in 0..10 {
        board.send(Instant::from_millis(millis), 100);
    }
    board
}

fn sack(board: &mut Scoreboard, range: Range<u64>, millis: u64) -> Progress {
    let mut progress = Progress::default();
    board.sack(range, at(millis), &mut progress);
    progress
}

fn ack(board: &mut Scoreboard, until: u64, millis: u64) -> Progress {
    let mut progress = Progress::default();
    board.ack(until, at(millis), &mut progress);
    progress
}

#[test]
fn a_repeated_sack_delivers_nothing() {
    let mut board = ten();
    assert_eq!(sack(&mut board, 300..500, 20).delivered, 200);
    assert_eq!(sack(&mut board, 300..500, 21).delivered, 0);
    assert_eq!(sack(&mut board, 200..600, 22).delivered, 200);
    assert_eq!(board.in_flight(), 600);
    let progress = ack(&mut board, 600, 23);
    assert_eq!((progress.acked, progress.delivered), (600, 200));
    assert_eq!(board.in_flight(), 400);
}

#[test]
fn a_segment_counts_as_sacked_once_all_its_parts_are() {
    let mut board = ten();
    assert_eq!(sack(&mut board, 350..400, 20).delivered, 0);
    assert_eq!(sack(&mut board, 300..320, 20).delivered, 0);
    assert_eq!(sack(&mut board, 320..350, 20).delivered, 100);
}

#[test]
fn three_sacked_segments_make_the_earlier_ones_lost() {
    let mut board = ten();
    sack(&mut board, 100..300, 20);
    let window = board.reordering_window(false, Duration::from_millis(20), Duration::from_secs(1));
    assert_eq!(window, Duration::from_millis(5));
    let (lost, next) = board.detect_losses(Instant::from_millis(20), window);
    // The newest that arrived left at 2 ms and took 18; the first has until 0 + 18 + 5.
    assert_eq!((lost, next), (0, Some(Instant::from_millis(23))));
    sack(&mut board, 300..400, 20);
    let window = board.reordering_window(false, Duration::from_millis(20), Duration::from_secs(1));
    assert_eq!(window, Duration::ZERO);
    let (lost, next) = board.detect_losses(Instant::from_millis(20), window);
    assert_eq!((lost, next), (1, None));
    assert_eq!(board.next_lost(), Some(0..100));
}

#[test]
fn a_retransmission_that_is_lost_too_is_noticed() {
    let mut board = ten();
    sack(&mut board, 100..400, 20);
    board.detect_losses(Instant::from_millis(20), Duration::ZERO);
    board.resend(Instant::from_millis(20), 0, 100);
    assert_eq!(board.next_lost(), None);
    board.send(Instant::from_millis(21), 100);
    sack(&mut board, 1000..1100, 41);
    let (lost, _) = board.detect_losses(Instant::from_millis(41), Duration::ZERO);
    // All that left before 21 ms and did not arrive: segments 0 again, and 4 to 9.
    assert_eq!(lost, 7);
    assert_eq!(board.next_lost(), Some(0..100));
}

#[test]
fn a_segment_that_no_longer_fits_leaves_in_parts() {
    let mut board = ten();
    board.lose_longer_than(60);
    assert_eq!(board.in_flight(), 0);
    board.resend(Instant::from_millis(30), 0, 60);
    assert_eq!(board.next_lost(), Some(60..100));
    board.resend(Instant::from_millis(30), 60, 40);
    assert_eq!(board.in_flight(), 100);
    assert_eq!(ack(&mut board, 80, 40).delivered, 80);
    assert_eq!(board.in_flight(), 20);
}

#[test]
fn a_receiver_that_forgets_what_it_had_is_sent_all_again() {
    let mut board = ten();
    sack(&mut board, 100..1000, 20);
    ack(&mut board, 100, 21);
    board.lose_all(Instant::from_millis(900), true, Duration::ZERO);
    assert_eq!(board.next_lost(), Some(100..200));
    assert!(!board.has_sacked());
    assert_eq!(board.lost.len(), 9);
}

proptest! {
    #[test]
    fn counts_equal_a_naive_scoreboard(
        steps in prop::collection::vec((0_u8..6, 0_u64..40, 1_u64..12), 1..60),
    ) {
        let mut board = Scoreboard::default();
        let mut now = 0;
        for (what, place, len) in steps {
            now += 1;
            let (una, nxt) = (board.una(), board.nxt());
            match what {
                0 | 1 => board.send(Instant::from_millis(now), len),
                2 => {
                    ack(&mut board, una + place.min(nxt - una), now);
                }
                3 => {
                    let start = (una + place).min(nxt);
                    let end = (start + len).min(nxt);
                    if start < end {
                        sack(&mut board, start..end, now);
                    }
                }
                4 => {
                    board.detect_losses(Instant::from_millis(now), Duration::from_millis(place / 8));
                }
                _ => {
                    if let Some(lost) = board.next_lost() {
                        board.resend(Instant::from_millis(now), lost.start, len);
                    }
                }
            }
            check_invariants(&board);
        }
    }
}

#[track_caller]
fn check_invariants(board: &Scoreboard) {
    let mut position = board.una;
    let (mut in_flight, mut sacked) = (0, 0);
    let mut lost = BTreeSet::new();
    for sent in &board.segments {
        assert_eq!(sent.start, position, "segments follow each other");
        assert!(sent.end > sent.start);
        position = sent.end;
        match sent.fate {
            Fate::InFlight => in_flight += sent.len(),
            Fate::Lost => {
                lost.insert(sent.start);
            }
            Fate::Sacked => sacked += 1,
        }
        if sent.fate == Fate::InFlight {
            let waits = |t: &&Transmission| {
                t.at == sent.sent_at && t.start <= sent.start && sent.end <= t.end
            };
            let newest = board.rack.newest.map_or(Instant::ZERO, |n| n.sent_at);
            assert!(
                sent.sent_at < newest || board.order.iter().any(|t| waits(&t)),
                "{sent:?} is never looked at again"
            );
        }
    }
    assert_eq!(position, board.nxt);
    assert_eq!(in_flight, board.in_flight);
    assert_eq!(lost, board.lost);
    assert_eq!(sacked, board.sacked_segments);
}

#[test]
fn transmissions_that_are_out_of_date_do_not_pile_up_behind_one_that_is_not() {
    let mut board = Scoreboard::default();
    let at = Instant::from_millis;
    for _ in 0..4 {
        board.send(at(0), 1000);
    }
    // The second one comes again and again, while nothing is heard of the first.
    for number in 1..1000 {
        board.resend(at(number), 1000, 1000);
        assert!(board.transmissions() as u64 <= board.transmission_limit());
        check_invariants(&board);
    }
    assert_eq!(board.segments(), 4);
}
