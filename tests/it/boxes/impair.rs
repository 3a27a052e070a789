//! What links do to packets.

use std::time::Duration;

use super::change::{Change, What, When};
use super::ground::{Plan, Trial};
use super::sides::side;
use super::{Case, UNHARMED, check_with};
use crate::seen::Seen;

/// How long each packet to the server was in the box.
fn delays(trial: &Trial) -> Vec<Duration> {
    let pairs = side(&trial.near, true).zip(side(&trial.far, true));
    pairs
        .map(|(before, after)| after.time.saturating_sub(before.time))
        .collect()
}

/// Takes out of the near side what did not arrive at the far side, where the order is the same;
/// how many packets that were.
fn take_lost(trial: &mut Trial) -> usize {
    let mut arrived = side(&trial.far, true).map(content).peekable();
    let before = trial.near.len();
    trial
        .near
        .retain(|packet| !packet.to_server() || arrived.next_if_eq(&content(packet)).is_some());
    before - trial.near.len()
}

/// What tells packets apart, but for exact copies.
fn content(packet: &Seen) -> (u32, u32, Vec<u8>, Vec<u8>) {
    let (options, payload) = (packet.options.clone(), packet.payload.clone());
    (packet.sequence, packet.acknowledgment, options, payload)
}

/// The same packets arrived in another order. Takes them out of the captures.
fn reordered(trial: &mut Trial) {
    let mut sides = [&trial.near, &trial.far].map(|packets| {
        let contents = side(packets, true).map(content);
        contents.collect::<Vec<_>>()
    });
    assert_ne!(sides[0], sides[1]);
    for contents in &mut sides {
        contents.sort();
    }
    assert_eq!(sides[0], sides[1]);
    trial.near.retain(|packet| !packet.to_server());
    trial.far.retain(|packet| !packet.to_server());
}

const ALL: &[Case] = &[
    Case {
        spec: "impair:delay_ms=20",
        own: |trial| {
            assert!(
                delays(trial)
                    .iter()
                    .all(|delay| *delay >= Duration::from_millis(20))
            );
            // The last ones may still be in the box when the captures end.
            trial.end -= Duration::from_millis(100);
        },
        ..UNHARMED
    },
    Case {
        spec: "impair:jitter_ms=10",
        own: |trial| {
            let delays = delays(trial);
            let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
            let range = most.saturating_sub(*least);
            assert!(range > Duration::from_millis(2), "{range:?}");
            trial.end -= Duration::from_millis(100);
        },
        ..UNHARMED
    },
    Case {
        spec: "impair:loss=0.2,toward=server,seed=5",
        own: |trial| {
            assert!(take_lost(trial) > 0);
            assert!(trial.hosts[0].counters.of("TcpRetransSegs") > 0);
        },
        ..UNHARMED
    },
    Case {
        spec: "impair:duplicate=1",
        change: Change::new(When::All, What::Replace(|packet| vec![packet.clone(); 2])),
        ..UNHARMED
    },
    Case {
        spec: "impair:reorder=0.3,reorder_ms=5,toward=server,seed=2",
        own: reordered,
        ..UNHARMED
    },
    Case {
        spec: "impair:down_ms=0..1200",
        own: |trial| {
            let lost = take_lost(trial);
            assert!(lost > 0);
            assert!(side(&trial.near, true).next().unwrap().is_syn());
        },
        ..UNHARMED
    },
];

#[test]
fn links_may_be_bad_in_every_way() {
    let plan = Plan {
        turns: &[20_000, 2000, 500],
        ..Plan::USUAL
    };
    check_with(ALL, &plan, "");
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[ALL];
