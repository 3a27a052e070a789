//! Segments of a window that are spread over the round trip.

use std::collections::BTreeMap;
use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Pacing};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Priority;
use mptcp_proto::wire::segment::Segment;

use super::join::{established, join};
use super::meddle::drop_if;
use super::pair::{Pair, Seeded, Way, pattern};

/// The client sends so many bytes over paths of any rate; how long it took.
fn send(pair: &mut Pair, ids: [mptcp_proto::endpoint::ConnId; 2], bytes: usize) -> Duration {
    pair.log.clear();
    let start = pair.now;
    pair.transfer(ids, &pattern(bytes, 2), &[], Duration::from_secs(100));
    pair.now.since(start)
}

/// Bytes of payload that left to the server, by the time in steps of this many microseconds.
fn sent_in(pair: &Pair, step_us: u64) -> BTreeMap<u64, usize> {
    let mut sums = BTreeMap::new();
    for sent in pair.log.iter().filter(|sent| sent.way == Way::ToServer) {
        let len = Segment::parse(&sent.packet, false).unwrap().payload.len();
        let at: Instant = sent.at;
        *sums.entry(at.as_nanos() / 1000 / step_us).or_default() += len;
    }
    sums
}

fn paced(pacing: Pacing) -> Config {
    Config {
        pacing,
        ..Config::default()
    }
}

#[test]
fn a_window_leaves_over_the_round_trip_and_not_at_once() {
    let [(burst, plain), (spread, paced)] = [Pacing::Off, Pacing::Window].map(|pacing| {
        let mut pair = Pair::new(7);
        pair.delay = Duration::from_millis(50);
        let ours = pair.connect(paced(pacing), paced(pacing));
        pair.run_for(Duration::from_secs(1));
        let ids = [ours, pair.accepted()];
        let took = send(&mut pair, ids, 300_000);
        let most = sent_in(&pair, 1).into_values().max().unwrap();
        (most, took)
    });
    // Without it, the windows of slow start leave at one moment each.
    assert!(burst > 30_000, "{burst}");
    assert!(spread < burst / 8, "{spread} of {burst}");
    assert!(paced < plain * 2, "{paced:?} {plain:?}");
}

#[track_caller]
fn check_rate(mut config: Config, subflows: usize, rate: u64) {
    config.pacing = Pacing::Rate(rate);
    let (mut pair, ids) = established(&config);
    if subflows > 1 {
        join(&mut pair, ids[0], Priority::Regular);
    }
    let both = rate * subflows as u64;
    let took = send(&mut pair, ids, usize::try_from(2 * both).unwrap());
    let info: Vec<_> = pair.client(ids[0]).subflows().collect();
    assert!(
        (1.9..2.5).contains(&took.as_secs_f64()),
        "{took:?} {subflows} {info:#?}"
    );
    let most = sent_in(&pair, 20_000).into_values().max().unwrap() as u64;
    // A segment more on each subflow, and a millisecond that is made up for.
    let allowed = both / 50 + both / 1000 + 2 * 1460 * subflows as u64;
    assert!(most <= allowed, "{most} of {allowed}");
    for subflow in pair.client(ids[0]).subflows() {
        assert_eq!(subflow.pacing_rate, Some(rate));
    }
}

#[test]
fn each_subflow_keeps_to_a_rate() {
    check_rate(Config::default(), 1, 500_000);
    check_rate(Config::default(), 2, 300_000);
    let tcp = Config {
        mptcp: Offer::Off,
        ..Config::default()
    };
    check_rate(tcp, 1, 500_000);
}

#[test]
fn paced_data_arrive_over_paths_that_lose() {
    for (seed, pacing) in [(1, Pacing::Window), (2, Pacing::Rate(200_000))] {
        let (mut pair, ids) = established(&paced(pacing));
        join(&mut pair, ids[0], Priority::Regular);
        let mut random = Seeded(seed);
        pair.hook = Some(drop_if(move |_| random.happens(3)));
        pair.exchange(ids, &pattern(300_000, seed), &pattern(300_000, !seed));
    }
}
