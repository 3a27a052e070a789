//! What all algorithms share, and helpers for the tests of each.

mod coupled;
mod cubic;
mod network;
mod sharing;
mod slow_start;
mod wvegas;

use proptest::prelude::*;

use super::*;
use crate::wire::mptcp::Priority;

const MSS: u32 = 1_000;
const SEGMENT: u64 = 1_000;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn path(id: u32, srtt: Duration) -> PathView {
    PathView {
        id: SubflowId(id),
        srtt,
        rttvar: Duration::ZERO,
        min_rtt: srtt,
        rto: ms(200),
        cwnd: 0,
        ssthresh: 0,
        in_flight: 0,
        queued: 0,
        window_left: 0,
        mss: MSS,
        priority: Priority::Regular,
        loss_state: LossState::Open,
        is_usable: true,
        is_stale: false,
    }
}

/// An acknowledgement of so many bytes on a subflow that uses its window.
fn ack(acked: u64) -> AckSample {
    AckSample {
        acked,
        rtt: None,
        in_flight: acked,
        is_cwnd_limited: true,
        ece: false,
        loss_state: LossState::Open,
    }
}

/// One subflow, with calls that need no more than what they are about.
struct Single {
    control: Box<dyn CongestionControl>,
    now: Instant,
}

const ID: SubflowId = SubflowId(0);

impl Single {
    fn new(kind: Kind) -> Self {
        let mut control = kind.build();
        control.add(ID, MSS);
        Self {
            control,
            now: Instant::ZERO,
        }
    }

    /// In congestion avoidance, with this window.
    fn avoiding(kind: Kind, segments: u64) -> Self {
        let mut single = Self::new(kind);
        while single.cwnd() < 2 * segments * SEGMENT {
            single.ack(ack(2 * SEGMENT));
        }
        single.loss(2 * segments * SEGMENT);
        single
    }

    fn ack(&mut self, sample: AckSample) {
        let paths = [path(0, ms(100))];
        self.control.on_ack(self.now, ID, &sample, &paths);
    }

    fn loss(&mut self, flight_size: u64) {
        let paths = [path(0, ms(100))];
        self.control.on_loss(self.now, ID, flight_size, &paths);
    }

    fn timeout(&mut self, flight_size: u64, is_first: bool) {
        let paths = [path(0, ms(100))];
        let timeout = Timeout {
            flight_size,
            is_first,
        };
        self.control.on_timeout(self.now, ID, timeout, &paths);
    }

    fn cwnd(&self) -> u64 {
        self.control.cwnd(ID)
    }

    fn ssthresh(&self) -> u64 {
        self.control.ssthresh(ID)
    }
}

#[test]
fn names_are_read_back() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(kind.build().kind(), kind);
    }
    assert_eq!("bbr".parse::<Kind>(), Err(UnknownKind));
}

#[test]
fn the_initial_window_is_ten_segments_and_fewer_of_large_ones() {
    for kind in Kind::ALL {
        let mut control = kind.build();
        // RFC 6928 §2: min (10*MSS, max (2*MSS, 14600)).
        for (mss, window) in [
            (536, 5_360),
            (1_460, 14_600),
            (2_000, 14_600),
            (9_000, 18_000),
        ] {
            control.add(ID, mss);
            assert_eq!(control.cwnd(ID), window, "{kind} {mss}");
            assert_eq!(control.ssthresh(ID), u64::MAX);
        }
    }
}

#[test]
fn slow_start_doubles_the_window_in_a_round_trip() {
    for kind in Kind::ALL {
        let mut single = Single::new(kind);
        for _ in 0..5 {
            single.ack(ack(2 * SEGMENT));
        }
        assert_eq!(single.cwnd(), 20 * SEGMENT, "{kind}");
    }
}

#[test]
fn one_acknowledgement_of_many_segments_counts_for_two() {
    let mut single = Single::new(Kind::Reno);
    single.ack(ack(8 * SEGMENT));
    assert_eq!(single.cwnd(), 12 * SEGMENT);
}

#[test]
fn slow_start_after_a_timeout_counts_one_segment() {
    let mut single = Single::new(Kind::Reno);
    single.timeout(10 * SEGMENT, true);
    let sample = AckSample {
        loss_state: LossState::Loss,
        ..ack(4 * SEGMENT)
    };
    single.ack(sample);
    assert_eq!(single.cwnd(), 2 * SEGMENT);
}

#[test]
fn congestion_avoidance_adds_a_segment_in_a_round_trip() {
    let mut single = Single::avoiding(Kind::Reno, 20);
    assert_eq!(single.cwnd(), 20 * SEGMENT);
    for _ in 0..20 {
        single.ack(ack(SEGMENT));
    }
    // The window grows meanwhile, so that the last acknowledgements count a little less.
    let grown = single.cwnd() - 20 * SEGMENT;
    assert!((970..=1_000).contains(&grown), "{grown}");
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    for kind in Kind::ALL {
        for mut single in [Single::new(kind), Single::avoiding(kind, 20)] {
            let before = single.cwnd();
            for _ in 0..50 {
                single.ack(AckSample {
                    is_cwnd_limited: false,
                    ..ack(SEGMENT)
                });
            }
            assert_eq!(single.cwnd(), before, "{kind}");
        }
    }
}

#[test]
fn the_window_does_not_grow_in_fast_recovery() {
    for kind in Kind::ALL {
        let mut single = Single::avoiding(kind, 20);
        let before = single.cwnd();
        single.ack(AckSample {
            loss_state: LossState::Recovery,
            ..ack(20 * SEGMENT)
        });
        assert_eq!(single.cwnd(), before, "{kind}");
    }
}

#[test]
fn a_loss_leaves_half_of_what_was_in_flight() {
    for kind in Kind::ALL {
        let mut single = Single::new(kind);
        single.loss(8 * SEGMENT);
        // CUBIC leaves 0.7 of it.
        let left = if kind == Kind::Cubic { 5_600 } else { 4_000 };
        assert_eq!((single.cwnd(), single.ssthresh()), (left, left), "{kind}");
        single.loss(SEGMENT);
        assert_eq!(single.cwnd(), 2 * SEGMENT, "{kind}");
    }
}

#[test]
fn a_timeout_leaves_one_segment_and_the_threshold_of_the_first() {
    for kind in Kind::ALL {
        let mut single = Single::new(kind);
        single.timeout(10 * SEGMENT, true);
        let threshold = single.ssthresh();
        assert!((5_000..=7_000).contains(&threshold), "{kind} {threshold}");
        single.timeout(SEGMENT, false);
        assert_eq!((single.cwnd(), single.ssthresh()), (SEGMENT, threshold));
    }
}

#[test]
fn a_loss_that_was_none_is_taken_back() {
    for kind in Kind::ALL {
        let mut single = Single::avoiding(kind, 20);
        let before = (single.cwnd(), single.ssthresh());
        single.loss(10 * SEGMENT);
        assert_ne!(before, (single.cwnd(), single.ssthresh()));
        single.control.on_undo(single.now, ID);
        assert_eq!(before, (single.cwnd(), single.ssthresh()), "{kind}");
        single.timeout(10 * SEGMENT, true);
        single.timeout(10 * SEGMENT, false);
        single.control.on_undo(single.now, ID);
        assert_eq!(before, (single.cwnd(), single.ssthresh()), "{kind}");
    }
}

#[test]
fn silence_leads_back_to_the_initial_window() {
    for kind in Kind::ALL {
        let mut single = Single::avoiding(kind, 40);
        let before = single.cwnd();
        single.control.on_idle(single.now, ID);
        assert_eq!(single.cwnd(), 10 * SEGMENT);
        assert!(single.ssthresh() >= before / 4 * 3, "{kind}");
    }
}

#[test]
fn the_penalty_halves_window_and_threshold() {
    for kind in Kind::ALL {
        let mut single = Single::new(kind);
        single.control.penalise(single.now, ID);
        assert_eq!((single.cwnd(), single.ssthresh()), (5_000, 5_000), "{kind}");
        for _ in 0..10 {
            single.control.penalise(single.now, ID);
        }
        assert_eq!(single.cwnd(), SEGMENT, "{kind}");
    }
}

#[test]
fn a_cap_lowers_the_window_and_never_raises_it() {
    let mut single = Single::avoiding(Kind::Lia, 20);
    single.control.cap(ID, 30 * SEGMENT);
    assert_eq!(single.cwnd(), 20 * SEGMENT);
    single.control.cap(ID, 15 * SEGMENT);
    assert_eq!((single.cwnd(), single.ssthresh()), (15_000, 15_000));
    single.control.cap(ID, 0);
    assert_eq!(single.cwnd(), 2 * SEGMENT);
}

#[test]
fn a_larger_segment_raises_the_least_window() {
    let mut single = Single::new(Kind::Reno);
    single.timeout(SEGMENT, true);
    single.control.set_mss(ID, 9_000);
    assert_eq!(single.cwnd(), 9_000);
}

#[test]
fn calls_for_an_unknown_subflow_do_nothing() {
    for kind in Kind::ALL {
        let mut single = Single::new(kind);
        let other = SubflowId(9);
        let timeout = Timeout {
            flight_size: 1,
            is_first: true,
        };
        single.control.on_ack(single.now, other, &ack(9), &[]);
        single.control.on_loss(single.now, other, 9, &[]);
        single.control.on_timeout(single.now, other, timeout, &[]);
        single.control.penalise(single.now, other);
        single.control.remove(other);
        assert_eq!((single.control.cwnd(other), single.cwnd()), (0, 10_000));
        single.control.remove(ID);
        assert_eq!(single.cwnd(), 0);
    }
}

/// Something that happens to a subflow.
#[derive(Debug, Clone, Copy)]
enum Event {
    Ack(AckSample),
    Loss(u64),
    Timeout(Timeout),
    Recovered,
    Undo,
    Idle,
    Penalise,
    Cap(u64),
    Mss(u32),
}

fn any_event() -> impl Strategy<Value = Event> {
    let size = prop_oneof![0..100_000_u64, any::<u64>()];
    let rtt = proptest::option::of((0..2_000_u64).prop_map(ms));
    let state = prop_oneof![
        6 => Just(LossState::Open),
        1 => Just(LossState::Recovery),
        1 => Just(LossState::Loss)
    ];
    let sample = (size.clone(), size.clone(), rtt, any::<bool>(), state).prop_map(
        |(acked, in_flight, rtt, is_cwnd_limited, loss_state)| AckSample {
            acked,
            rtt,
            in_flight,
            is_cwnd_limited,
            ece: false,
            loss_state,
        },
    );
    let timeout = (size.clone(), any::<bool>()).prop_map(|(flight_size, is_first)| Timeout {
        flight_size,
        is_first,
    });
    prop_oneof![
        20 => sample.prop_map(Event::Ack),
        2 => size.clone().prop_map(Event::Loss),
        1 => timeout.prop_map(Event::Timeout),
        2 => Just(Event::Recovered),
        1 => Just(Event::Undo),
        1 => Just(Event::Idle),
        1 => Just(Event::Penalise),
        1 => size.prop_map(Event::Cap),
        1 => (1..9_000_u32).prop_map(Event::Mss),
    ]
}

fn apply(
    control: &mut dyn CongestionControl,
    now: Instant,
    id: SubflowId,
    event: Event,
    paths: &[PathView],
) {
    match event {
        Event::Ack(sample) => control.on_ack(now, id, &sample, paths),
        Event::Loss(flight_size) => control.on_loss(now, id, flight_size, paths),
        Event::Timeout(timeout) => control.on_timeout(now, id, timeout, paths),
        Event::Recovered => control.on_recovered(now, id),
        Event::Undo => control.on_undo(now, id),
        Event::Idle => control.on_idle(now, id),
        Event::Penalise => control.penalise(now, id),
        Event::Cap(bytes) => control.cap(id, bytes),
        Event::Mss(mss) => control.set_mss(id, mss),
    }
}

proptest! {
    #[test]
    fn a_coupled_algorithm_with_one_usable_subflow_is_reno(
        events in proptest::collection::vec(any_event(), 1..60),
        has_dead_sibling: bool,
    ) {
        let mut paths = vec![path(0, ms(100))];
        if has_dead_sibling {
            paths.push(PathView { is_usable: false, ..path(1, ms(10)) });
        }
        let mut reno = Kind::Reno.build();
        reno.add(ID, MSS);
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_coupled()) {
            let mut control = kind.build();
            reno.add(ID, MSS);
            control.add(ID, MSS);
            control.add(SubflowId(1), MSS);
            for (at, event) in (1..).zip(&events) {
                let now = Instant::from_millis(10 * at);
                apply(&mut *reno, now, ID, *event, &paths);
                apply(&mut *control, now, ID, *event, &paths);
                prop_assert_eq!(control.cwnd(ID), reno.cwnd(ID), "{} {:?}", kind, event);
                prop_assert_eq!(control.ssthresh(ID), reno.ssthresh(ID));
            }
        }
    }

    #[test]
    fn windows_stay_between_a_segment_and_the_largest_receive_window(
        events in proptest::collection::vec((0..3_u32, any_event()), 1..80),
        rtts in proptest::array::uniform3(0..3_000_000_000_u64),
    ) {
        for kind in Kind::ALL {
            let mut control = kind.build();
            let mut mss = [MSS; 3];
            let paths: Vec<PathView> = (0..)
                .zip(rtts)
                .map(|(id, rtt)| path(id, Duration::from_nanos(rtt)))
                .collect();
            for id in 0..3 {
                control.add(SubflowId(id), MSS);
            }
            for (at, (id, event)) in (0..).zip(&events) {
                let id = SubflowId(*id);
                if let Event::Mss(new) = event {
                    mss[id.0 as usize] = *new;
                }
                apply(&mut *control, Instant::from_millis(7 * at), id, *event, &paths);
                let cwnd = control.cwnd(id);
                let least = u64::from(mss[id.0 as usize]);
                prop_assert!((least..=1 << 30).contains(&cwnd), "{} {}", kind, cwnd);
            }
        }
    }
}
