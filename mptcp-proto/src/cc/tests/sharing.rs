//! How connections share links (RFC 6356 §2): the goals of coupled congestion control.

use super::network::{Link, Network};
use super::*;

const SECONDS: u64 = 400;

/// Rate of two subflows over the rate of one Reno connection that shares their only link.
fn share(kind: Kind) -> f64 {
    let mut network = Network::new(&[Link::new(1_000, 100)]);
    network.connect(kind, &[(0, ms(80)), (0, ms(80))]);
    network.connect(Kind::Reno, &[(0, ms(80))]);
    network.run(SECONDS);
    let rate = |connection, id| network.rate(connection, id, SECONDS);
    (rate(0, 0) + rate(0, 1)) / rate(1, 0)
}

#[test]
fn coupled_subflows_take_one_share_of_a_common_link() {
    for kind in [Kind::Lia, Kind::Olia, Kind::Balia] {
        let share = share(kind);
        assert!((0.9..1.2).contains(&share), "{kind}: {share}");
    }
}

#[test]
fn uncoupled_subflows_take_a_share_each() {
    let share = share(Kind::Reno);
    assert!((1.7..2.3).contains(&share), "{share}");
}

#[test]
fn disjoint_links_are_both_used() {
    for kind in Kind::ALL {
        // BALIA gives three quarters of the window up for a loss on the slower path.
        let least = if kind == Kind::Balia { 0.7 } else { 0.85 };
        let mut network = Network::new(&[Link::new(500, 50), Link::new(1_000, 100)]);
        network.connect(kind, &[(0, ms(80)), (1, ms(40))]);
        network.run(SECONDS);
        for (id, rate) in [(0, 500.0), (1, 1_000.0)] {
            let used = network.rate(0, id, SECONDS) / rate;
            assert!((least..=1.01).contains(&used), "{kind} {id}: {used}");
        }
    }
}

#[test]
fn a_connection_is_no_worse_than_reno_on_its_best_link() {
    // RFC 6356 §2, goal 1: one link has a Reno connection on it, the other three.
    let links = [Link::new(1_000, 100), Link::new(1_000, 100)];
    let build = |kind, subflows: &[(usize, Duration)]| {
        let mut network = Network::new(&links);
        network.connect(kind, subflows);
        for link in [0, 1, 1, 1] {
            network.connect(Kind::Reno, &[(link, ms(80))]);
        }
        network.run(SECONDS);
        network
    };
    let alone = build(Kind::Reno, &[(0, ms(80))]).rate(0, 0, SECONDS);
    for kind in [Kind::Lia, Kind::Olia, Kind::Balia] {
        let network = build(kind, &[(0, ms(80)), (1, ms(80))]);
        let both = network.rate(0, 0, SECONDS) + network.rate(0, 1, SECONDS);
        assert!(both > 0.9 * alone, "{kind}: {both} against {alone}");
        // Goal 3: it moves away from congestion.
        let (empty, crowded) = (network.rate(0, 0, SECONDS), network.rate(0, 1, SECONDS));
        assert!(empty > 1.5 * crowded, "{kind}: {empty} and {crowded}");
    }
}
