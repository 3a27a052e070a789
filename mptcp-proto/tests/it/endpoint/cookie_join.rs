//! Joins to a listener that answers SYNs with cookies (RFC 8684 §3.2).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Event};
use mptcp_proto::endpoint::cookie::PendingJoins;
use mptcp_proto::endpoint::{self, ConnId, Endpoint, Handled, SynCookies};
use mptcp_proto::pm;
use mptcp_proto::wire::mptcp::{Priority, Subtype};
use mptcp_proto::wire::segment::Segment;

use super::handshake::version;
use super::join::{SECOND, down, join, up};
use super::meddle::{Seen, drop_if, flip, meddle, strip};
use super::pair::{Hook, Pair, SERVER, Seeded, Way, address, pattern};

/// A connection whose server answers every SYN with a cookie.
#[track_caller]
fn established(offer: Offer) -> (Pair, [ConnId; 2]) {
    let config = endpoint::Config {
        syn_cookies: SynCookies::Always,
        ..endpoint::Config::default()
    };
    let client = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    let server = Endpoint::new(config, Box::new(Seeded(2)));
    let mut pair = Pair::with_hosts(client, server);
    let ours = pair.connect(version(offer), version(offer));
    pair.run_for(Duration::from_millis(200));
    let theirs = pair.accepted();
    pair.transfer([ours, theirs], b"hello", b"you", Duration::from_secs(5));
    pair.run_for(Duration::from_millis(100));
    (pair, [ours, theirs])
}

fn begin(pair: &mut Pair, id: ConnId) {
    let (local, remote) = (address(SECOND), address(SERVER));
    pair.client(id)
        .open_subflow(local, remote, Priority::Backup)
        .unwrap();
}

#[test]
fn a_join_is_rebuilt_from_its_third_ack() {
    for offer in [Offer::V0, Offer::V1] {
        let (mut pair, ids) = established(offer);
        begin(&mut pair, ids[0]);
        pair.run_for(Duration::from_millis(15));
        assert_eq!(pair.server(ids[1]).subflows().count(), 1);
        assert_eq!(pair.server.pending_joins(), 1);
        pair.run_for(Duration::from_millis(200));
        assert_eq!(pair.server.pending_joins(), 0);
        let subflows: Vec<_> = pair.server(ids[1]).subflows().collect();
        assert!(subflows[1].is_up, "{offer:?}");
        // All that the SYN said is known.
        assert_eq!(subflows[1].remote_priority, Priority::Backup);
        assert_eq!(subflows[1].remote_id.0, 1);
        let theirs = pair.client(ids[0]).subflows().nth(1).unwrap();
        assert_eq!(
            subflows[1].tcp.negotiated.window_scale.map(|s| s.peer),
            theirs.tcp.negotiated.window_scale.map(|s| s.own)
        );
        pair.exchange(ids, &pattern(300_000, 1), &pattern(300_000, 2));
    }
}

#[test]
fn segments_of_the_handshake_may_be_lost_or_come_twice() {
    fn is_join(seen: &Seen<'_>) -> bool {
        seen.has(Subtype::JOIN)
    }
    fn once(mut is_due: impl FnMut(&Seen<'_>) -> bool + 'static) -> Hook {
        let mut done = false;
        drop_if(move |seen| {
            let is_first = !done && is_due(seen);
            done |= is_first;
            is_first
        })
    }
    let twice: Hook = Box::new(|_, _, packet| {
        let segment = Segment::parse(&packet, false).unwrap();
        let count = if segment.flags.syn() { 2 } else { 1 };
        vec![packet; count]
    });
    for hook in [
        once(|seen| is_join(seen) && seen.is_syn()),
        once(|seen| is_join(seen) && seen.is_syn_ack()),
        once(|seen| is_join(seen) && !seen.segment.flags.syn()),
        twice,
    ] {
        let (mut pair, ids) = established(Offer::V1);
        pair.hook = Some(hook);
        begin(&mut pair, ids[0]);
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.picked(0, up).len(), 2);
        assert_eq!(pair.picked(1, up).len(), 2);
        assert_eq!(pair.server.pending_joins(), 0);
        pair.exchange(ids, &pattern(30_000, 1), &pattern(30_000, 2));
    }
}

#[test]
fn a_third_ack_without_its_option_or_with_a_wrong_one_begins_nothing() {
    let is_third = |seen: &Seen<'_>| seen.has(Subtype::JOIN) && !seen.segment.flags.syn();
    let stripped = strip(is_third);
    let wrong = meddle(move |seen, options, _| {
        if is_third(seen) {
            flip(options, Subtype::JOIN);
        }
        true
    });
    for hook in [stripped, wrong] {
        let (mut pair, ids) = established(Offer::V1);
        pair.hook = Some(hook);
        begin(&mut pair, ids[0]);
        pair.run_for(Duration::from_secs(5));
        assert_eq!(pair.server.connection_count(), 1);
        assert_eq!(pair.server(ids[1]).subflows().count(), 1);
        assert_eq!(pair.picked(0, down).len(), 1);
        pair.exchange(ids, &pattern(30_000, 1), &pattern(30_000, 2));
    }
}

#[test]
fn a_flood_of_joins_takes_a_fixed_room_and_the_connection_goes_on() {
    let (mut pair, ids) = established(Offer::V1);
    begin(&mut pair, ids[0]);
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    pair.run_for(Duration::from_millis(200));
    let mut out = Vec::new();
    for n in 0..20_000_u32 {
        let [a, b, c, d] = (0x0b00_0000 + n).to_be_bytes();
        let forged = Segment {
            source: ([a, b, c, d], 1000).into(),
            ..syn
        };
        let mut packet = Vec::new();
        forged.emit(&mut packet).unwrap();
        let handled = pair.server.handle_packet(pair.now, &packet);
        assert_eq!(handled, Handled::Cookie);
        assert!(pair.server.pending_joins() <= PendingJoins::MAX_PENDING);
        assert!(pair.server.poll_transmit(pair.now, &mut out));
    }
    assert_eq!(pair.server.pending_joins(), PendingJoins::MAX_PENDING);
    assert_eq!(pair.server.connection_count(), 1);
    assert_eq!(pair.server(ids[1]).subflows().count(), 2);
    // One that comes now makes room for itself.
    let (local, remote) = (address("10.0.2.1:40002"), address(SERVER));
    pair.client(ids[0])
        .open_subflow(local, remote, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.picked(1, up).len(), 3);
    pair.exchange(ids, &pattern(300_000, 1), &pattern(300_000, 2));
}

#[test]
fn a_third_ack_of_a_join_that_is_over_is_reset() {
    let (mut pair, ids) = established(Offer::V1);
    join(&mut pair, ids[0], Priority::Regular);
    let third = pair.log.iter().find(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        sent.way == Way::ToServer && segment.source == address(SECOND) && !segment.flags.syn()
    });
    let third = third.unwrap().packet.clone();
    // The subflow is over, and nothing of its handshake is known any more.
    pair.exchange(ids, b"a", b"b");
    pair.run_for(Duration::from_secs(70));
    let handled = pair.server.handle_packet(pair.now, &third);
    assert_eq!(handled, Handled::Reset);
    assert_eq!(pair.server.connection_count(), 0);
}

/// Connections that the server told its application of.
fn incoming(pair: &Pair) -> usize {
    pair.picked(1, |event| {
        matches!(event, Event::Incoming { .. }).then_some(())
    })
    .len()
}

#[test]
fn third_acks_without_their_option_that_come_again_begin_no_connection() {
    let is_third = |seen: &Seen<'_>| seen.has(Subtype::JOIN) && !seen.segment.flags.syn();
    let (mut pair, ids) = established(Offer::V1);
    let mut strips = strip(is_third);
    let mut drops = drop_if(|seen| seen.way == Way::ToClient && seen.segment.flags.rst());
    pair.hook = Some(Box::new(move |now, way, packet| {
        let passed = drops(now, way, packet);
        let stripped = passed.into_iter().map(|packet| strips(now, way, packet));
        stripped.flatten().collect()
    }));
    begin(&mut pair, ids[0]);
    pair.run_for(Duration::from_secs(20));
    assert_eq!((incoming(&pair), pair.server.connection_count()), (1, 1));
    pair.exchange(ids, &pattern(30_000, 1), &pattern(30_000, 2));
}

#[test]
fn a_join_that_had_to_make_room_begins_no_connection_when_its_option_is_lost_as_well() {
    for is_stripped in [false, true] {
        let (mut pair, ids) = established(Offer::V1);
        if is_stripped {
            pair.hook = Some(strip(|seen| {
                seen.has(Subtype::JOIN) && !seen.segment.flags.syn()
            }));
        }
        begin(&mut pair, ids[0]);
        pair.run_for(Duration::from_millis(5));
        let syn = pair.log.last().unwrap().packet.clone();
        let syn = Segment::parse(&syn, false).unwrap();
        pair.run_for(Duration::from_millis(10));
        assert_eq!(pair.server.pending_joins(), 1);
        for port in 0..1024 {
            let forged = Segment {
                source: ([11, 0, 0, 1], port).into(),
                ..syn
            };
            let mut packet = Vec::new();
            forged.emit(&mut packet).unwrap();
            pair.server.handle_packet(pair.now, &packet);
        }
        pair.run_for(Duration::from_secs(5));
        assert_eq!((incoming(&pair), pair.server.connection_count()), (1, 1));
        assert_eq!(pair.picked(0, down).len(), 1);
        pair.exchange(ids, &pattern(30_000, 1), &pattern(30_000, 2));
    }
}

#[test]
fn a_flood_of_joins_leaves_room_for_true_ones_though_nobody_else_knocks() {
    let limits = pm::Limits {
        subflows: 64,
        add_addr_accepted: 8,
    };
    let config = Config {
        limits: Some(limits),
        ..Config::default()
    };
    let (mut pair, ids) = super::join::established(&config);
    begin(&mut pair, ids[0]);
    pair.run_for(Duration::from_millis(5));
    let syn = pair.log.last().unwrap().packet.clone();
    let syn = Segment::parse(&syn, false).unwrap();
    pair.run_for(Duration::from_millis(200));
    for port in 0..1000 {
        let forged = Segment {
            source: ([11, 0, 0, 1], port).into(),
            ..syn
        };
        let mut packet = Vec::new();
        forged.emit(&mut packet).unwrap();
        pair.server.handle_packet(pair.now, &packet);
    }
    assert_eq!(pair.server(ids[1]).subflows().count(), 2 + 8);
    let (local, remote) = (address("10.0.2.1:40002"), address(SERVER));
    pair.client(ids[0])
        .open_subflow(local, remote, Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.picked(1, up).len(), 3);
    pair.exchange(ids, &pattern(300_000, 1), &pattern(300_000, 2));
}

#[test]
fn a_join_that_nobody_completes_leaves_the_table_of_the_listener() {
    let (mut pair, ids) = established(Offer::V1);
    begin(&mut pair, ids[0]);
    pair.hook = Some(drop_if(|seen| {
        seen.way == Way::ToServer && seen.has(Subtype::JOIN)
    }));
    pair.run_for(Duration::from_millis(5));
    // The SYN was under way when the path broke.
    let syn = pair.log.last().unwrap().packet.clone();
    pair.server.handle_packet(pair.now, &syn);
    assert_eq!(pair.server.table_sizes().pending_joins, 1);
    let at = pair.now;
    let due = pair.server.poll_timeout().unwrap();
    assert!(due <= at + PendingJoins::MAX_WAIT);
    pair.server.handle_timeout(at + PendingJoins::MAX_WAIT / 2);
    assert_eq!(pair.server.table_sizes().pending_joins, 1);
    pair.server.handle_timeout(at + PendingJoins::MAX_WAIT);
    assert_eq!(pair.server.table_sizes().pending_joins, 0);
}
