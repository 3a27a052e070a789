//! CUBIC against the formulas of RFC 9438.

use super::*;

/// Acknowledges one segment after the other, a window in each round trip.
struct Sender {
    single: Single,
    rtt: Duration,
}

impl Sender {
    /// After a loss at a window of so many segments.
    fn new(segments: u64, rtt: Duration) -> Self {
        let mut single = Single::new(Kind::Cubic);
        while single.cwnd() < segments * SEGMENT {
            let left = segments * SEGMENT - single.cwnd();
            single.ack(ack(left.min(2 * SEGMENT)));
        }
        single.loss(u64::MAX);
        Self { single, rtt }
    }

    fn ack_one(&mut self) {
        let cwnd = self.single.cwnd();
        let gap = self.rtt.as_nanos() * u128::from(SEGMENT) / u128::from(cwnd);
        self.single.now += Duration::from_nanos(u64::try_from(gap).unwrap());
        let sample = AckSample {
            rtt: Some(self.rtt),
            ..ack(SEGMENT)
        };
        self.single.ack(sample);
    }

    /// The window, in segments, after so much time.
    fn after(&mut self, time: Duration) -> f64 {
        let end = self.single.now + time;
        while self.single.now < end {
            self.ack_one();
        }
        self.window()
    }

    fn window(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let bytes = self.single.cwnd() as f64;
        bytes / f64::from(MSS)
    }
}

/// RFC 9438 equations 1 and 2 with C = 0.4 and β = 0.7.
fn w_cubic(t: f64, w_max: f64, cwnd_epoch: f64) -> f64 {
    let k = ((w_max - cwnd_epoch) / 0.4).cbrt();
    0.4 * (t - k).powi(3) + w_max
}

#[test]
fn the_window_follows_the_cubic_curve() {
    let mut sender = Sender::new(1_000, ms(100));
    assert!((sender.window() - 700.0).abs() < 0.01);
    let mut t = 0.0;
    for _ in 0..30 {
        t += 0.5;
        let expected = w_cubic(t, 1_000.0, 700.0);
        let window = sender.after(ms(500));
        let error = (window - expected).abs() / expected;
        assert!(error < 0.02, "after {t} s: {window}, not {expected}");
    }
}

#[test]
fn a_short_round_trip_is_the_reno_friendly_region() {
    // RFC 9438 §4.3: 3 · 0.3 / 1.7 segments a round trip up to the window before the loss, and
    // one from there.
    let mut sender = Sender::new(20, ms(10));
    let slow = sender.after(ms(100)) - 14.0;
    assert!((slow - 10.0 * 0.529).abs() < 0.5, "{slow}");
    while sender.window() < 20.0 {
        sender.ack_one();
    }
    let begin = sender.window();
    let fast = sender.after(ms(100)) - begin;
    assert!((fast - 10.0).abs() < 0.8, "{fast}");
}

#[test]
fn a_window_not_reached_again_leaves_room_for_others() {
    // RFC 9438 §4.7: 700 is below the 1000 of before, so the plateau is 700 · 1.7 / 2.
    let mut sender = Sender::new(1_000, ms(100));
    sender.single.loss(u64::MAX);
    let (w_max, begin) = (595.0, 490.0);
    let k: f64 = ((w_max - begin) / 0.4_f64).cbrt();
    let window = sender.after(Duration::from_secs_f64(k));
    assert!((window - w_max).abs() / w_max < 0.02, "{window}");
}

#[test]
fn time_without_data_is_no_time_on_the_curve() {
    let mut sender = Sender::new(1_000, ms(100));
    sender.after(ms(2_000));
    // Five seconds in which the window is not used.
    for _ in 0..50 {
        sender.single.now += ms(100);
        sender.single.ack(AckSample {
            is_cwnd_limited: false,
            ..ack(SEGMENT)
        });
    }
    let window = sender.after(ms(1_000));
    let expected = w_cubic(3.0, 1_000.0, 700.0);
    assert!((window - expected).abs() / expected < 0.02, "{window}");
}

#[test]
fn after_a_timeout_the_curve_begins_where_slow_start_ends() {
    let mut sender = Sender::new(100, ms(100));
    sender.single.timeout(u64::MAX, true);
    let threshold = sender.single.ssthresh();
    assert_eq!(threshold, 49_000);
    while sender.single.cwnd() < threshold {
        sender.ack_one();
    }
    // RFC 9438 §4.8: K is zero and the plateau is here, so the window is convex from now on; Reno's
    // share of 0.53 segments a round trip is above it.
    let begin = sender.window();
    let grown = sender.after(ms(500)) - begin;
    assert!((grown - 5.0 * 0.529).abs() < 0.6, "{grown}");
}

#[test]
fn the_mean_window_is_the_one_of_the_deterministic_loss_model() {
    // RFC 9438 equation 6: with one loss in 1/p segments the mean window is
    // 1.054 · RTT^0.75 / p^0.75 segments, and the largest 1/0.925 of that; it is reached again just
    // when the next loss is due.
    for (between, mean, largest) in [(10_000, 187.4, 202), (100_000, 1_054.0, 1_139)] {
        let mut sender = Sender::new(largest, ms(100));
        let begin = sender.single.now;
        for _ in 0..between {
            sender.ack_one();
        }
        let rounds = sender.single.now.since(begin).as_secs_f64() / 0.1;
        let error = f64::from(between) / rounds / mean - 1.0;
        assert!(error.abs() < 0.015, "{between}: {error}");
        let error = sender.window() / f64::from(u32::try_from(largest).unwrap()) - 1.0;
        assert!(error.abs() < 0.015, "{between}: {error}");
    }
}
