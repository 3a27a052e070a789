//! How many packets a run takes, and how long, where routers limit what they say.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use mptcp_tests::path::{Family, HopPlan, Path, PathPlan, Rate, RouterPlan, Spread, TargetPlan};
use mptcp_tests::sim::Seed;
use mptcp_tracebox::evidence::Role;
use mptcp_tracebox::plan::Plan;
use mptcp_tracebox::probe::Probe;
use mptcp_tracebox::trace::{CellState, Code};

use super::{Run, plan, run, run_through};

fn prepared(family: Family, router: &RouterPlan, hops: usize) -> (Path, Plan, Seed) {
    let description = PathPlan {
        hops: vec![HopPlan::One(router.clone()); hops],
        target: TargetPlan::V1,
        balance: Spread::Flow,
        latency_ms: 1.0,
    };
    let seed = Seed::from_env_or(1);
    let path = Path::new(&description, family, seed).unwrap();
    let plan = plan(&path);
    (path, plan, seed)
}

fn traced(family: Family, router: &RouterPlan, hops: usize) -> Run {
    let (mut path, plan, seed) = prepared(family, router, hops);
    run(&mut path, plan, seed).unwrap()
}

/// Packets to each TTL.
fn per_hop(run: &Run) -> BTreeMap<u8, usize> {
    let mut counts = BTreeMap::new();
    let sent = run.evidence.all().iter();
    for sent in sent.filter(|sent| sent.purpose.role == Role::Ladder) {
        *counts.entry(sent.purpose.ttl).or_default() += 1;
    }
    counts
}

#[test]
fn a_clean_path_takes_one_packet_for_each_probe_and_hop() {
    for family in Family::ALL {
        let run = traced(family, &RouterPlan::default(), 5);
        assert_eq!(run.trace.verdict.code, Code::MptcpOk);
        let counts = per_hop(&run);
        let expected = [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5), (6, 2)];
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected);
        assert!(run.took < Duration::from_millis(250), "{:?}", run.took);
    }
}

#[test]
fn routers_with_the_limits_of_linux_are_never_taken_for_droppers() {
    for (family, most) in [(Family::V4, 2_500), (Family::V6, 1_000)] {
        let router = RouterPlan {
            rate: Some(Rate::linux(family)),
            ..RouterPlan::default()
        };
        let run = traced(family, &router, 10);
        assert_eq!(run.trace.verdict.code, Code::MptcpOk);
        let flow = &run.trace.flows[0];
        let cells = flow.hops.iter().flat_map(|hop| &hop.cells);
        let states: Vec<CellState> = cells.map(|cell| cell.state).collect();
        assert_eq!(states, [CellState::Same; 50]);
        assert!(run.took < Duration::from_millis(most), "{:?}", run.took);
    }
}

#[test]
fn a_connection_in_vain_is_begun_again_and_a_second_time_is_enough() {
    for family in Family::ALL {
        for vain in [1, 2] {
            let (mut path, plan, seed) = prepared(family, &RouterPlan::default(), 5);
            let plan = Plan {
                probes: Probe::ALL.to_vec(),
                ..plan
            };
            // A firewall that takes it for a connection of before lets the SYN pass, and nothing else.
            let mut begun = BTreeSet::new();
            let run = run_through(&mut path, plan, seed, |transmit| {
                let purpose = &transmit.purpose;
                let is_data_phase = purpose.probe == Probe::Dss;
                let header = if family == Family::V4 { 20 } else { 40 };
                let is_syn = transmit.bytes[header + 13] == 0x02;
                if is_data_phase && is_syn {
                    // One that comes again has the same number.
                    begun.insert(transmit.bytes[header + 4..header + 8].to_vec());
                }
                !is_data_phase || is_syn || begun.len() > vain
            })
            .unwrap();
            let expected = if vain == 1 {
                Code::MptcpOk
            } else {
                Code::Undecided
            };
            let verdict = &run.trace.verdict;
            assert_eq!(verdict.code, expected, "{}", verdict.sentence);
            assert_eq!(begun.len(), 2);
            assert!(run.took < Duration::from_secs(18), "{:?}", run.took);
        }
    }
}

#[test]
fn a_path_that_loses_segments_is_not_said_to_lose_those_behind_a_hole() {
    let mut known = 0;
    for seed in 0..100 {
        let lossy = RouterPlan {
            after: Some(format!("impair:loss=0.3,seed={seed}")),
            ..RouterPlan::default()
        };
        let description = PathPlan {
            hops: vec![HopPlan::One(RouterPlan::default()), HopPlan::One(lossy)],
            target: TargetPlan::V1,
            balance: Spread::Flow,
            latency_ms: 1.0,
        };
        let mut path = Path::new(&description, Family::V4, Seed(seed)).unwrap();
        let plan = Plan {
            probes: Probe::ALL.to_vec(),
            ..plan(&path)
        };
        let run = run(&mut path, plan, Seed(seed)).unwrap();
        let holes = run.trace.flows[0].talk.and_then(|talk| talk.passes_holes);
        assert_ne!(holes, Some(false), "{seed}");
        known += u32::from(holes.is_some());
    }
    assert!(known > 30, "{known} of 100 passed them");
}

#[test]
fn each_syn_of_a_flow_has_a_larger_number_than_the_one_before() {
    for family in Family::ALL {
        let (mut path, plan, seed) = prepared(family, &RouterPlan::default(), 5);
        let plan = Plan {
            probes: Probe::ALL.to_vec(),
            ..plan
        };
        let run = run(&mut path, plan, seed).unwrap();
        let header = if family == Family::V4 { 20 } else { 40 };
        let sent = run.evidence.all().iter();
        let syns = sent.filter(|sent| sent.bytes[header + 13] == 0x02);
        let numbers = syns.map(|sent| {
            let seq = *sent.bytes[header + 4..].first_chunk().unwrap();
            (sent.purpose.role, u32::from_be_bytes(seq))
        });
        let numbers: Vec<_> = numbers.collect();
        // That of the connection is the last.
        assert_eq!(numbers.last().unwrap().0, Role::Connection);
        for pair in numbers.windows(2) {
            let step = pair[1].1.wrapping_sub(pair[0].1);
            assert!((0x1_0000..0x8000_0000).contains(&step), "{pair:?}");
        }
    }
}

#[test]
fn a_path_that_is_slower_than_the_first_try_expects_is_waited_for() {
    for family in Family::ALL {
        for latency_ms in [30, 60, 80] {
            // There and back over five routers.
            let slow = RouterPlan {
                latency_ms: Some(f64::from(latency_ms)),
                ..RouterPlan::default()
            };
            let run = traced(family, &slow, 5);
            let verdict = &run.trace.verdict;
            assert_eq!(verdict.code, Code::MptcpOk, "{}", verdict.sentence);
        }
    }
}

#[test]
fn no_hop_gets_more_packets_than_the_documented_bound() {
    for family in Family::ALL {
        for loss in [0.0, 0.3, 0.6, 1.0] {
            let router = RouterPlan {
                loss,
                rate: Some(Rate::linux(family)),
                ..RouterPlan::default()
            };
            let run = traced(family, &router, 15);
            let most = per_hop(&run).into_values().max().unwrap();
            assert!(most <= MOST_PER_HOP, "{family:?} {loss}: {most}");
            assert!(run.took < Duration::from_secs(60), "{loss}: {:?}", run.took);
        }
    }
}

/// Five probes with three tries each, and a control for each try after the first of the other four; two more of
/// each of them where they are dropped; and three more of each of three changes of which it is in doubt where they
/// are.
const MOST_PER_HOP: usize = 5 * 3 + 4 * 2 + 4 * 2 * 2 + 3 * 3;
