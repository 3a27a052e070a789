//! Data that are acknowledged on one level only, lost, late or doubled (RFC 8684 §3.3.6).

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::{Config, ConnectionEnd, Event};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Priority;
use mptcp_proto::wire::segment::Segment;

use super::puppet::{Puppet, Reply};
use crate::endpoint::handshake::fallback;
use crate::endpoint::join::{SECOND, established, join, violation};
use crate::endpoint::meddle::{Seen, meddle};
use crate::endpoint::pair::{Seeded, Way, address, pattern, read_all};

/// Where the segments with data went, and with which DSN.
fn data(puppet: &Puppet, replies: &[Reply]) -> Vec<(SocketAddr, u64)> {
    let with_data = replies
        .iter()
        .filter(|reply| !reply.segment().payload.is_empty());
    with_data
        .filter_map(|reply| {
            let dsn = reply.mapping()?.dsn.expand(puppet.host_dsn(0));
            let place = dsn.distance_from(puppet.host_dsn(0))?;
            Some((reply.segment().destination, place))
        })
        .collect()
}

/// Case 59
#[test]
fn data_that_arrived_elsewhere_are_still_repaired_where_tcp_lacks_them() {
    let mut puppet = Puppet::established(Config::default());
    puppet.join("10.0.1.1:40001", 1);
    let replies = puppet.write(&pattern(20_000, 1));
    let second = puppet.lines[1].near;
    let lost: Vec<u32> = replies
        .iter()
        .filter(|reply| reply.segment().destination == second)
        .map(|reply| reply.segment().seq.0)
        .collect();
    assert!(!lost.is_empty() && lost.len() < replies.len());
    // All data arrived over whatever path; the second subflow lost its segments.
    puppet.lines[1].expected = lost[0];
    puppet.got = 20_000;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let replies = puppet.wait(Duration::from_secs(3));
    let repaired = replies
        .iter()
        .filter(|reply| !reply.segment().payload.is_empty());
    let repaired: Vec<_> = repaired.collect();
    assert!(!repaired.is_empty());
    assert!(
        repaired
            .iter()
            .all(|reply| reply.segment().destination == second)
    );
    assert_eq!(repaired[0].segment().seq.0, lost[0]);
    assert_eq!(puppet.conn().info().retransmits, 0);
}

/// Case 60
#[test]
fn data_that_tcp_has_and_the_peer_lacks_are_sent_again_less_and_less() {
    let mut puppet = Puppet::established(Config::default());
    let mut replies = puppet.write(&pattern(1000, 1));
    let until = puppet.now + Duration::from_secs(60);
    while puppet.now < until {
        let option = puppet.data_ack();
        replies.extend(puppet.ack(0, &[option]));
        replies.extend(puppet.wait(Duration::from_millis(50)));
    }
    let copies: Vec<_> = replies
        .iter()
        .filter(|reply| !reply.segment().payload.is_empty())
        .collect();
    assert!((3..20).contains(&copies.len()), "{} copies", copies.len());
    let mut seen: Vec<u32> = copies.iter().map(|reply| reply.segment().seq.0).collect();
    seen.dedup();
    assert_eq!(
        seen.len(),
        copies.len(),
        "new places on the subflow each time"
    );
    assert!(data(&puppet, &replies).iter().all(|(_, place)| *place == 0));
    let waits: Vec<_> = copies
        .windows(2)
        .map(|two| two[1].at.since(two[0].at))
        .collect();
    // To the 50 ms in which the puppet speaks.
    let slack = Duration::from_millis(60);
    assert!(
        waits.windows(2).all(|two| two[1] + slack >= two[0]),
        "{waits:?}"
    );
    puppet.got = 1000;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert_eq!(puppet.conn().info().bytes_acked, 1000);
}

/// Case 60
#[test]
fn a_duplicate_of_data_on_new_places_of_the_subflow_is_dropped() {
    let mut puppet = Puppet::established(Config::default());
    let bytes = pattern(1000, 1);
    for _ in 0..4 {
        puppet.data(0, 0, &bytes);
    }
    puppet.data(0, 1000, b"new");
    assert_eq!(puppet.read(), [bytes, b"new".to_vec()].concat());
    assert!(puppet.violations().is_empty());
}

/// Case 66
#[test]
fn what_a_proxy_acknowledged_and_lost_goes_over_another_subflow() {
    let mut puppet = Puppet::established(Config::default());
    puppet.join("10.0.1.1:40001", 1);
    let replies = puppet.write(&pattern(1000, 1));
    let [(first, 0)] = data(&puppet, &replies)[..] else {
        panic!("one segment");
    };
    let line = puppet
        .lines
        .iter()
        .position(|line| line.near == first)
        .unwrap();
    let option = puppet.data_ack();
    puppet.ack(line, &[option]);
    let replies = puppet.wait(Duration::from_secs(5));
    let again = data(&puppet, &replies);
    assert!(
        again.iter().any(|(to, place)| *to != first && *place == 0),
        "{again:?}"
    );
    assert!(puppet.conn().info().retransmits > 0);
}

/// Case 61
#[test]
fn an_original_that_comes_after_its_copy_does_no_harm_and_starts_no_storm() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let bytes = pattern(2_000_000, 1);
    let (mut done, mut got) = (0, Vec::new());
    let mut flips = 0;
    pair.run_until(Duration::from_secs(120), |pair| {
        done += pair.client(ids[0]).write(&bytes[done..]).unwrap();
        read_all(pair.server(ids[1]), &mut got);
        // The second path is slow and fast in turn: its data are late, not lost. The moment is that of an
        // acknowledgement, so that what leaves next is late, and not what acknowledges it.
        if pair.client(ids[0]).info().bytes_acked / 200_000 > flips {
            flips += 1;
            let delay = if flips % 2 == 1 { 700 } else { 10 };
            pair.delays
                .insert(address(SECOND), Duration::from_millis(delay));
        }
        got.len() == bytes.len()
    });
    assert!(got == bytes);
    let info = pair.client(ids[0]).info();
    assert!(info.bytes_retrans > 0, "nothing was copied");
    let total = bytes.len() as u64;
    assert!(info.bytes_retrans < total / 2, "{info:?}");
    // The originals of the copies came too.
    pair.run_for(Duration::from_secs(2));
    let info = pair.server(ids[1]).info();
    assert!(
        info.bytes_received == total + 5 && info.bytes_duplicate > 0,
        "{info:?}"
    );
    assert!(pair.picked(1, violation).is_empty());
}

/// Case 64
#[test]
fn a_box_that_splits_segments_and_swaps_the_halves_loses_nothing() {
    for keeps_options in [true, false] {
        let (mut pair, ids) = established(&Config::default());
        let mut random = Seeded(4);
        pair.hook = Some(Box::new(move |_, _, packet| {
            let segment = Segment::parse(&packet, false).unwrap();
            let len = segment.payload.len();
            if len < 2 || !random.happens(20) {
                return vec![packet];
            }
            let middle = len / 2;
            let mut second_options = segment.options.to_vec();
            if !keeps_options {
                crate::endpoint::meddle::blank(&mut second_options, |_| true);
            }
            let halves = [
                Segment {
                    seq: segment.seq.add(u32::try_from(middle).unwrap()),
                    payload: &segment.payload[middle..],
                    options: &second_options,
                    ..segment
                },
                Segment {
                    payload: &segment.payload[..middle],
                    ..segment
                },
            ];
            halves
                .iter()
                .map(|half| {
                    let mut out = Vec::new();
                    half.emit(&mut out).unwrap();
                    out
                })
                .collect()
        }));
        pair.exchange(ids, &pattern(300_000, 1), &pattern(300_000, 2));
        assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
    }
}

/// Case 73
#[test]
fn a_mapping_whose_only_copy_fell_to_an_old_timestamp_comes_again() {
    let (mut pair, ids) = established(&Config::default());
    let mut count = 0;
    pair.hook = Some(meddle(move |seen: &Seen<'_>, options, _| {
        if seen.way == Way::ToServer && seen.has_data() {
            count += 1;
            if count % 40 == 20
                && let Some(at) = options.windows(2).position(|two| two == [8, 10])
            {
                // Much older than what the server has seen.
                options[at + 2] = options[at + 2].wrapping_sub(0x40);
            }
        }
        true
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(600_000, 1), &pattern(1000, 2), limit);
    let server = pair.server(ids[1]).subflows().next().unwrap();
    assert!(server.tcp.counters.paws_dropped > 0);
    pair.exchange(ids, b"", b"");
    assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
}

/// Case 73
#[test]
fn timestamps_may_be_missing_on_one_of_two_subflows() {
    let (mut pair, ids) = established(&Config::default());
    let second = address(SECOND);
    pair.hook = Some(meddle(move |seen, options, _| {
        if seen.segment.flags.syn()
            && [seen.segment.source, seen.segment.destination].contains(&second)
            && let Some(at) = options.windows(2).position(|two| two == [8, 10])
        {
            options[at..at + 10].fill(1);
        }
        true
    }));
    join(&mut pair, ids[0], Priority::Regular);
    let limit = Duration::from_secs(30);
    pair.transfer(ids, &pattern(1_000_000, 1), &pattern(1_000_000, 2), limit);
    for subflow in pair.client(ids[0]).subflows() {
        assert!(subflow.tcp.counters.segments_out > 50, "{subflow:?}");
    }
    pair.exchange(ids, &pattern(1000, 1), &pattern(1000, 2));
}

/// Case 60
#[test]
fn data_that_the_peer_never_takes_end_the_connection_and_a_closed_window_does_not() {
    let quarter = Duration::from_secs(15 * 60);
    // A window with room, and one that is closed.
    for (window, is_over) in [(u16::MAX, true), (0, false)] {
        let mut puppet = Puppet::established(Config::default());
        puppet.write(&pattern(1000, 1));
        puppet.got = if window == 0 { 1000 } else { 0 };
        puppet.window = window;
        let option = puppet.data_ack();
        puppet.ack(0, &[option]);
        puppet.write(&pattern(1000, 2));
        let until = puppet.now + 4 * quarter;
        let mut over = None;
        while puppet.now < until && over.is_none() {
            let option = puppet.data_ack();
            puppet.ack(0, &[option]);
            puppet.wait(Duration::from_millis(500));
            let ends = puppet.picked(|event| match event {
                Event::Closed { how } => Some(*how),
                _ => None,
            });
            over = ends.first().map(|how| (*how, puppet.now));
        }
        let Some((how, at)) = over else {
            assert!(!is_over, "nothing ends it");
            continue;
        };
        assert!(is_over, "{how:?} at {at:?}");
        assert_eq!(how, ConnectionEnd::TimedOut);
        // RFC 9293 §3.8.3: R2 is 100 s at least.
        assert!(
            at > Instant::from_millis(100_000) && at + quarter < until,
            "{at:?}"
        );
    }
}
