//! LIA, OLIA and BALIA against models of their own, in packets and milliseconds as the papers have
//! them.

use proptest::prelude::*;

use super::super::balia::Balia;
use super::super::flow::Flow;
use super::super::flows::Rule;
use super::super::lia::Lia;
use super::super::olia::Olia;
use super::*;

/// A subflow of a model: window in packets, round-trip time in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Sub {
    w: f64,
    rtt: f64,
    /// Packets between losses.
    l: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn packets(bytes: u64) -> f64 {
    bytes as f64 / f64::from(MSS)
}

/// A subflow in congestion avoidance with a window of so many bytes.
fn flow<S: Copy + Default>(id: u32, cwnd: u64, rtt_ms: u32) -> Flow<S> {
    let mut flow = Flow::new(SubflowId(id), MSS);
    flow.cwnd = cwnd;
    flow.ssthresh = 1;
    flow.rtt = Some(f64::from(rtt_ms) / 1_000.0);
    flow
}

/// Packets that `me` gains when a whole window of it is acknowledged.
fn gained<R: Rule>(flows: &[Flow<R::State>], me: usize) -> f64 {
    let mut flows = flows.to_vec();
    let before = flows[me].cwnd;
    R::avoid(Instant::ZERO, &mut flows, me, before);
    packets(flows[me].cwnd) - packets(before)
}

/// A byte, which is what the windows are rounded to.
const BYTE: f64 = 1.001 / 1_000.0;

/// RFC 6356 §3 and §4, for one acknowledged packet.
fn lia_model(subs: &[Sub], me: usize) -> f64 {
    let total: f64 = subs.iter().map(|s| s.w).sum();
    let best = subs.iter().map(|s| s.w / s.rtt.powi(2)).fold(0.0, f64::max);
    let rate: f64 = subs.iter().map(|s| s.w / s.rtt).sum();
    let alpha = total * best / rate.powi(2);
    (alpha / total).min(1.0 / subs[me].w)
}

/// The sets of the draft, built one by one.
fn olia_model(subs: &[Sub], me: usize) -> f64 {
    let n = subs.len();
    let count = |set: &[usize]| packets(set.len() as u64 * SEGMENT);
    let largest = subs.iter().map(|s| s.w.floor()).fold(0.0, f64::max);
    let best = subs.iter().map(|s| s.l / s.rtt.powi(2)).fold(0.0, f64::max);
    let in_m = |i: &usize| subs[*i].w.floor() >= largest;
    let in_b = |i: &usize| subs[*i].l / subs[*i].rtt.powi(2) >= best;
    let m: Vec<usize> = (0..n).filter(in_m).collect();
    let collected: Vec<usize> = (0..n).filter(|i| in_b(i) && !in_m(i)).collect();
    let alpha = if collected.contains(&me) {
        1.0 / (packets(n as u64 * SEGMENT) * count(&collected))
    } else if m.contains(&me) && !collected.is_empty() {
        -1.0 / (packets(n as u64 * SEGMENT) * count(&m))
    } else {
        0.0
    };
    let rate: f64 = subs.iter().map(|s| s.w / s.rtt).sum();
    subs[me].w / subs[me].rtt.powi(2) / rate.powi(2) + alpha / subs[me].w
}

/// In the form that the kernel has it: `(x_r + max)(4 x_r + max) / (10 w_r (SUM x)²)`.
fn balia_model(subs: &[Sub], me: usize) -> f64 {
    let x = |s: &Sub| s.w / s.rtt;
    let sum: f64 = subs.iter().map(x).sum();
    let max = subs.iter().map(x).fold(0.0, f64::max);
    let mine = x(&subs[me]);
    (mine + max) * (4.0 * mine + max) / (10.0 * subs[me].w * sum.powi(2))
}

/// Windows in bytes, round-trip times in milliseconds, bytes between losses.
fn any_subflows() -> impl Strategy<Value = Vec<(u64, u32, u64)>> {
    let one = (SEGMENT..200 * SEGMENT, 1..800_u32, 0..10_000 * SEGMENT);
    proptest::collection::vec(one, 2..=8)
}

fn model(subflows: &[(u64, u32, u64)]) -> Vec<Sub> {
    let sub = |(cwnd, rtt, between): &(u64, u32, u64)| Sub {
        w: packets(*cwnd),
        rtt: f64::from(*rtt),
        l: packets(*between),
    };
    subflows.iter().map(sub).collect()
}

fn flows<R: Rule>(subflows: &[(u64, u32, u64)]) -> Vec<Flow<R::State>> {
    let numbered = (0..).zip(subflows);
    numbered
        .map(|(id, (cwnd, rtt, between))| {
            let mut flow = flow(id, *cwnd, *rtt);
            let delivered = AckSample {
                acked: *between,
                ..AckSample::default()
            };
            R::note(Instant::ZERO, &mut flow, &delivered);
            flow
        })
        .collect()
}

proptest! {
    #[test]
    fn lia_grows_as_its_formula_says(subflows in any_subflows()) {
        for me in 0..subflows.len() {
            let subs = model(&subflows);
            let expected = lia_model(&subs, me) * subs[me].w;
            let gained = gained::<Lia>(&flows::<Lia>(&subflows), me);
            prop_assert!((gained - expected).abs() < BYTE, "{} {}", gained, expected);
            prop_assert!(gained < 1.0 + 1e-9, "more than Reno: {}", gained);
        }
    }

    #[test]
    fn olia_grows_as_its_formula_says(subflows in any_subflows()) {
        for me in 0..subflows.len() {
            let subs = model(&subflows);
            // A window never shrinks below a segment.
            let expected = (olia_model(&subs, me) * subs[me].w).max(1.0 - subs[me].w);
            let gained = gained::<Olia>(&flows::<Olia>(&subflows), me);
            prop_assert!((gained - expected).abs() < BYTE, "{} {}", gained, expected);
        }
    }

    #[test]
    fn balia_grows_as_its_formula_says(subflows in any_subflows()) {
        for me in 0..subflows.len() {
            let subs = model(&subflows);
            let expected = balia_model(&subs, me) * subs[me].w;
            let gained = gained::<Balia>(&flows::<Balia>(&subflows), me);
            prop_assert!((gained - expected).abs() < BYTE, "{} {}", gained, expected);
            prop_assert!(gained < 1.0 + 1e-9, "more than Reno: {}", gained);
        }
    }

    #[test]
    fn balia_shrinks_as_its_formula_says(subflows in any_subflows()) {
        let subs = model(&subflows);
        let most = subs.iter().map(|s| s.w / s.rtt).fold(0.0, f64::max);
        for (me, sub) in subs.iter().enumerate() {
            let alpha = most / (sub.w / sub.rtt);
            let expected = (sub.w - sub.w / 2.0 * alpha.min(1.5)).max(1.0);
            let left = Balia::reduced(&flows::<Balia>(&subflows), me, u64::MAX);
            prop_assert!((packets(left) - expected).abs() < BYTE, "{} {}", left, expected);
        }
    }

    #[test]
    fn together_they_take_no_more_than_one_reno_on_the_best_path(
        subflows in any_subflows(),
        rtt in 1..800_u32,
    ) {
        // With equal round-trip times a round trip acknowledges each window once, and the best path
        // alone would gain one packet.
        let equal: Vec<_> = subflows.iter().map(|(cwnd, _, l)| (*cwnd, rtt, *l)).collect();
        let all = 0..equal.len();
        let lia: f64 = all.clone().map(|me| gained::<Lia>(&flows::<Lia>(&equal), me)).sum();
        let olia: f64 = all.clone().map(|me| gained::<Olia>(&flows::<Olia>(&equal), me)).sum();
        let balia: f64 = all.map(|me| gained::<Balia>(&flows::<Balia>(&equal), me)).sum();
        let count = packets(equal.len() as u64 * SEGMENT);
        prop_assert!(lia <= 1.0 + BYTE, "{}", lia);
        // Rounded to whole bytes on each subflow, and kept from below by the least window.
        let kept: f64 = model(&equal).iter().map(|s| if s.w < 2.0 { 0.5 } else { 0.0 }).sum();
        prop_assert!(olia <= 1.0 + count * BYTE + kept, "{}", olia);
        // Its formula has (9 + n) / 10 for the bound: it probes on paths that carry nothing.
        prop_assert!(balia <= (9.0 + count) / 10.0 + BYTE, "{}", balia);
    }
}

#[test]
fn two_equal_subflows_grow_half_as_fast_as_reno_together() {
    // RFC 6356 §3: alpha is 1/2 then, so each gains alpha / cwnd_total for each packet.
    let equal = [(20 * SEGMENT, 100, 0), (20 * SEGMENT, 100, 0)];
    let gained = gained::<Lia>(&flows::<Lia>(&equal), 0);
    assert!((gained - 0.25).abs() < BYTE, "{gained}");
}

#[test]
fn olia_shifts_from_the_largest_window_to_the_best_path() {
    // The second path has lost less and has the smaller window.
    let subflows = [(40 * SEGMENT, 100, 1_000), (10 * SEGMENT, 100, 900_000)];
    let flows = flows::<Olia>(&subflows);
    let (largest, best) = (gained::<Olia>(&flows, 0), gained::<Olia>(&flows, 1));
    // (40/50)² − 1/2 and (10/50)² + 1/2.
    assert!((largest - 0.14).abs() < BYTE, "{largest}");
    assert!((best - 0.54).abs() < BYTE, "{best}");
}

#[test]
fn olia_may_keep_a_single_segment_when_there_are_other_subflows() {
    let subflows = [(2 * SEGMENT, 100, 0), (20 * SEGMENT, 100, 0)];
    assert_eq!(Olia::reduced(&flows::<Olia>(&subflows), 0, u64::MAX), 1_000);
    let alone = flows::<Olia>(&subflows[..1]);
    assert_eq!(Olia::reduced(&alone, 0, u64::MAX), 2_000);
}

#[test]
fn olia_counts_what_goes_through_between_losses() {
    let mut control = Kind::Olia.build();
    let paths = [path(0, ms(100)), path(1, ms(100))];
    for id in [0, 1] {
        control.add(SubflowId(id), MSS);
        control.on_loss(Instant::ZERO, SubflowId(id), 10_000, &paths);
    }
    // Both have lost now; then the second gets a hundred segments through, and loses twice with
    // nothing in between, which counts once.
    for _ in 0..100 {
        let sample = AckSample {
            is_cwnd_limited: false,
            ..ack(SEGMENT)
        };
        control.on_ack(Instant::ZERO, SubflowId(1), &sample, &paths);
    }
    control.on_loss(Instant::ZERO, SubflowId(1), 4_000, &paths);
    control.on_loss(Instant::ZERO, SubflowId(1), 4_000, &paths);
    let windows = |control: &dyn CongestionControl| [0, 1].map(|id| control.cwnd(SubflowId(id)));
    assert_eq!(windows(&*control), [5_000, 1_000]);
    // So the second is the best, and does not have the largest window: (5/6)² − 1/2 of a segment
    // for the first, and then (1/6.194)² + 1/2 for the second.
    control.on_ack(Instant::ZERO, SubflowId(0), &ack(5_000), &paths);
    control.on_ack(Instant::ZERO, SubflowId(1), &ack(1_000), &paths);
    assert_eq!(windows(&*control), [5_194, 1_526]);
}
