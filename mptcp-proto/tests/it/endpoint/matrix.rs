//! Boxes at every place, with losses: the data arrive whole wherever TCP would bring them.

use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::wire::mptcp::Priority;

use super::join::SECOND;
use super::meddle::{blank, meddle};
use super::pair::{Pair, SERVER, Seeded, Way, address, pattern};

/// What the box does.
#[derive(Debug, Clone, Copy)]
struct Case {
    offer: Offer,
    checksum: bool,
    way: Option<Way>,
    from: usize,
    loss: u64,
    is_joined: bool,
    seed: u64,
}

#[track_caller]
fn check(case: Case) {
    let config = Config {
        mptcp: case.offer,
        wishes: Wishes {
            checksum: case.checksum,
            ..Wishes::default()
        },
        ..Config::default()
    };
    let mut pair = Pair::new(case.seed);
    let mut random = Seeded(case.seed);
    pair.hook = Some(meddle(move |seen, options, _| {
        if random.happens(case.loss) {
            return false;
        }
        if case.way.is_none_or(|way| way == seen.way) && seen.number >= case.from {
            blank(options, |_| true);
        }
        true
    }));
    let ours = pair.connect(config.clone(), config);
    let limit = Duration::from_secs(400);
    pair.run_until(limit, |pair| !pair.picked_ids(1, |_| true).is_empty());
    let theirs = pair.accepted();
    if case.is_joined {
        pair.run_for(Duration::from_millis(30));
        let (local, remote) = (address(SECOND), address(SERVER));
        // Where there is no MPTCP there is no join.
        let _ = pair
            .client(ours)
            .open_subflow(local, remote, Priority::Regular);
    }
    let (up, down) = (pattern(60_000, 1), pattern(40_000, 2));
    pair.transfer([ours, theirs], &up, &down, limit);
    pair.client(ours).shutdown_write();
    pair.server(theirs).shutdown_write();
    pair.run_for(limit);
    assert_eq!(
        pair.client.connection_count() + pair.server.connection_count(),
        0,
        "{case:?}"
    );
}

#[test]
fn options_that_vanish_at_any_segment_never_garble_the_data() {
    let mut seed = 0;
    for offer in [Offer::V0, Offer::V1] {
        for checksum in [false, true] {
            for way in [None, Some(Way::ToServer), Some(Way::ToClient)] {
                for from in [0, 1, 2, 3, 4, 5, 7, 10, 15, 25, 40] {
                    for loss in [0, 1, 5] {
                        seed += 1;
                        let is_joined = false;
                        check(Case {
                            offer,
                            checksum,
                            way,
                            from,
                            loss,
                            is_joined,
                            seed,
                        });
                    }
                }
            }
        }
    }
}

#[test]
fn losses_alone_never_garble_the_data_of_two_subflows() {
    for seed in 0..40 {
        check(Case {
            offer: if seed % 4 == 0 { Offer::V0 } else { Offer::V1 },
            checksum: seed % 2 == 0,
            way: None,
            from: usize::MAX,
            loss: [0, 1, 5, 10][usize::try_from(seed / 10).unwrap()],
            is_joined: true,
            seed,
        });
    }
}

/// A run that its seed decides: versions, losses, reordering, a second subflow, and a box on it or, where
/// there is only one, anywhere.
#[track_caller]
fn check_random(seed: u64) {
    let mut random = Seeded(seed);
    let mut pick = |n: u64| random.next() % n;
    let config = Config {
        mptcp: if pick(4) == 0 { Offer::V0 } else { Offer::V1 },
        wishes: Wishes {
            checksum: pick(2) == 0,
            ..Wishes::default()
        },
        ..Config::default()
    };
    let (is_joined, loss, strips) = (
        pick(2) == 0,
        [0, 1, 5, 10][usize::try_from(pick(4)).unwrap()],
        pick(3) == 0,
    );
    let (from, way) = (usize::try_from(pick(60)).unwrap(), pick(3));
    let (doubles, swaps) = (pick(2) * 3, pick(2) * 5);
    let sizes = [pick(150_000), pick(150_000)].map(|size| usize::try_from(size).unwrap());
    let mut pair = Pair::new(seed);
    pair.delays
        .insert(address(SECOND), Duration::from_millis(1 + pick(100)));
    let mut dice = Seeded(!seed);
    let mut strip = meddle(move |seen, options, _| {
        let ends = [seen.segment.source, seen.segment.destination];
        let is_way = way == 2 || way == seen.way as u64;
        let is_meant = !is_joined || ends.contains(&address(SECOND));
        if strips && is_meant && is_way && seen.number >= from {
            blank(options, |_| true);
        }
        true
    });
    let mut held: Option<Vec<u8>> = None;
    pair.hook = Some(Box::new(move |now, way, packet| {
        let mut out = Vec::new();
        if dice.happens(loss) {
            return out;
        }
        for packet in strip(now, way, packet) {
            if dice.happens(swaps) && held.is_none() {
                held = Some(packet);
                continue;
            }
            if dice.happens(doubles) {
                out.push(packet.clone());
            }
            out.push(packet);
            if dice.happens(30)
                && let Some(late) = held.take()
            {
                // A packet held back goes the way that it came only if that is this way.
                let segment = mptcp_proto::wire::segment::Segment::parse(&late, true).unwrap();
                let is_to_server = segment.destination == address(SERVER);
                if is_to_server == (way == Way::ToServer) {
                    out.push(late);
                }
            }
        }
        out
    }));
    let ours = pair.connect(config.clone(), config);
    let limit = Duration::from_secs(600);
    pair.run_until(limit, |pair| !pair.picked_ids(1, |_| true).is_empty());
    let theirs = pair.accepted();
    if is_joined {
        pair.transfer([ours, theirs], b"hello", b"you", limit);
        pair.run_for(Duration::from_millis(300));
        let (local, remote) = (address(SECOND), address(SERVER));
        let _ = pair
            .client(ours)
            .open_subflow(local, remote, Priority::Regular);
    }
    pair.transfer(
        [ours, theirs],
        &pattern(sizes[0], 1),
        &pattern(sizes[1], 2),
        limit,
    );
    pair.client(ours).shutdown_write();
    pair.server(theirs).shutdown_write();
    pair.run_for(limit);
    let left = pair.client.connection_count() + pair.server.connection_count();
    let infos = [&pair.client, &pair.server].map(|host| {
        let connections = host.connections();
        connections
            .map(|c| (c.info(), c.subflows().collect::<Vec<_>>()))
            .collect::<Vec<_>>()
    });
    assert_eq!(left, 0, "seed {seed}: {:?} {infos:#?}", pair.events);
}

#[test]
fn runs_that_their_seed_decides_bring_all_data() {
    let count = std::env::var("PAIR_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok());
    let first = std::env::var("PAIR_FIRST")
        .ok()
        .and_then(|first| first.parse().ok())
        .unwrap_or(0);
    for seed in first..count.unwrap_or(300_u64) {
        let run = std::panic::catch_unwind(|| check_random(seed));
        assert!(run.is_ok(), "seed {seed}");
    }
}
