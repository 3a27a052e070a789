//! Data, DATA_ACKs and windows (RFC 8684 §3.3).

use std::time::Duration;

use mptcp_proto::conn::Config;

use super::pair::{Pair, Seeded, pattern};

#[test]
fn data_arrive_though_packets_are_lost() {
    for seed in 0..8 {
        let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
        let mut random = Seeded(seed);
        pair.hook = Some(Box::new(move |_, _, packet| {
            if random.happens(3) {
                Vec::new()
            } else {
                vec![packet]
            }
        }));
        pair.exchange(
            [ours, theirs],
            &pattern(400_000, seed),
            &pattern(400_000, !seed),
        );
    }
}

#[test]
fn nothing_is_left_of_a_connection_that_closed() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    pair.exchange([ours, theirs], &pattern(1000, 1), &pattern(1000, 2));
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.client.connection_count(), 0);
    assert_eq!(pair.server.connection_count(), 0);
    assert_eq!(pair.client.poll_timeout(), None);
}
