//! wVegas: what it keeps in queues, and where it sends.

use super::network::{Link, Network};
use super::*;

const SECONDS: u64 = 200;

#[test]
fn queues_stay_short() {
    let run = |kind| {
        let mut network = Network::new(&[Link::new(1_000, 100), Link::new(1_000, 100)]);
        network.connect(kind, &[(0, ms(40)), (1, ms(40))]);
        network.run(SECONDS);
        network
    };
    let (wvegas, lia) = (run(Kind::Wvegas), run(Kind::Lia));
    for id in [0, 1] {
        // Ten segments for both together take 10 ms at this rate, and the segment itself 1 ms; a
        // queue holds 100.
        let rtt = wvegas.rtt(0, id);
        assert!(rtt < ms(51), "{rtt:?}");
        assert_eq!(wvegas.lost(0, id), 0);
        assert!(lia.rtt(0, id) > wvegas.rtt(0, id));
        assert_ne!(lia.lost(0, id), 0);
    }
}

#[test]
fn traffic_moves_to_where_queues_are_short() {
    // The first link is shared with another connection that keeps ten segments in its queue.
    let mut network = Network::new(&[Link::new(1_000, 100), Link::new(1_000, 100)]);
    network.connect(Kind::Wvegas, &[(0, ms(40)), (1, ms(40))]);
    network.connect(Kind::Wvegas, &[(0, ms(40)), (0, ms(40))]);
    network.run(SECONDS);
    let rate = |id| network.rate(0, id, SECONDS);
    assert!(rate(1) > 1.5 * rate(0), "{} {}", rate(0), rate(1));
    assert!(rate(1) > 800.0, "{}", rate(1));
}
