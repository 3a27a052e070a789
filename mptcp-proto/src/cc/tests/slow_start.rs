//! RFC 9406: how the first slow start ends without a loss.

use super::network::{Link, Network};
use super::*;

/// A round trip of ten acknowledgements of two segments, each with this round-trip time; gives by how
/// many segments the window grew.
fn round(single: &mut Single, rtt: Duration) -> u64 {
    let before = single.cwnd();
    for left in (0..10).rev() {
        single.ack(AckSample {
            rtt: Some(rtt),
            // Twenty segments are always in flight, so that the last acknowledgement of a round
            // leaves the twenty of the next one.
            in_flight: if left == 0 {
                22 * SEGMENT
            } else {
                20 * SEGMENT
            },
            ..ack(2 * SEGMENT)
        });
    }
    (single.cwnd() - before) / SEGMENT
}

/// After rounds with a base round-trip time.
fn started(base: Duration) -> Single {
    let mut single = Single::new(Kind::Reno);
    for _ in 0..3 {
        assert_eq!(round(&mut single, base), 20);
    }
    single
}

#[test]
fn slow_start_ends_after_five_rounds_of_higher_delay() {
    let mut single = started(ms(40));
    // An eighth of 40 ms more. The eighth sample of that round finds out.
    assert_eq!(round(&mut single, ms(45)), 15);
    for _ in 0..3 {
        assert_eq!(round(&mut single, ms(45)), 5);
        assert_eq!(single.ssthresh(), u64::MAX);
    }
    round(&mut single, ms(45));
    assert!(single.ssthresh() <= single.cwnd());
    // A segment in a round trip from now on, and twenty segments are less than one.
    assert_eq!(round(&mut single, ms(45)), 0);
}

#[test]
fn a_delay_that_goes_away_was_no_queue() {
    let mut single = started(ms(40));
    round(&mut single, ms(45));
    round(&mut single, ms(44));
    assert_eq!(round(&mut single, ms(44)), 20);
}

#[test]
fn the_threshold_is_between_4_and_16_ms() {
    for (base, stays, ends) in [(8, 11, 12), (80, 89, 90), (400, 415, 417)] {
        assert_eq!(round(&mut started(ms(base)), ms(stays)), 20, "{base}");
        assert_eq!(round(&mut started(ms(base)), ms(ends)), 15, "{base}");
    }
}

#[test]
fn few_samples_tell_nothing() {
    let mut single = started(ms(40));
    let before = single.cwnd();
    for left in (0..7).rev() {
        single.ack(AckSample {
            rtt: Some(ms(90)),
            in_flight: if left == 0 {
                40 * SEGMENT
            } else {
                14 * SEGMENT
            },
            ..ack(2 * SEGMENT)
        });
    }
    assert_eq!(single.cwnd() - before, 14 * SEGMENT);
}

#[test]
fn a_deep_queue_is_not_filled_and_overrun() {
    // A queue of fifty times the path's 80 segments, which drops at random from a quarter on.
    let lost = |kind| {
        let mut network = Network::new(&[Link::new(1_000, 4_000)]);
        network.connect(kind, &[(0, ms(80))]);
        network.run(2);
        network.lost(0, 0)
    };
    for kind in [Kind::Reno, Kind::Cubic, Kind::Lia] {
        assert_eq!(lost(kind), 0, "{kind}");
    }
}
