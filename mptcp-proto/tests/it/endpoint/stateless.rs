//! SYN cookies, backlogs, and addresses used again (RFC 4987 §3.6, RFC 9293 §3.6.1).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Event};
use mptcp_proto::endpoint::cookie::{CookieJar, Ends, SynKind};
use mptcp_proto::endpoint::{self, Endpoint, SynCookies};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};

use super::handshake::{fallback, version};
use super::meddle::drop_if;
use super::pair::{Pair, SERVER, Seeded, Way, address, path, pattern, read_all};

fn with_cookies() -> Pair {
    let config = endpoint::Config {
        syn_cookies: SynCookies::Always,
        ..endpoint::Config::default()
    };
    let client = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    Pair::with_hosts(client, Endpoint::new(config, Box::new(Seeded(2))))
}

#[test]
fn a_server_with_syn_cookies_remembers_nothing_until_the_third_ack() {
    for offer in [Offer::Off, Offer::V0, Offer::V1] {
        let mut pair = with_cookies();
        let ours = pair.connect(version(offer), Config::default());
        pair.run_for(Duration::from_millis(15));
        assert_eq!(pair.server.connection_count(), 0);
        pair.run_for(Duration::from_millis(100));
        let theirs = pair.accepted();
        let is_mptcp = offer != Offer::Off;
        assert_eq!(
            pair.server(theirs).session().is_some(),
            is_mptcp,
            "{offer:?}"
        );
        assert_eq!(pair.client(ours).session().is_some(), is_mptcp, "{offer:?}");
        pair.exchange([ours, theirs], &pattern(300_000, 1), &pattern(300_000, 2));
        assert_eq!(pair.server.dropped().cookies, 1);
    }
}

#[test]
fn first_data_bring_a_cookie_back_when_the_third_ack_is_lost() {
    let mut pair = with_cookies();
    pair.hook = Some(drop_if(|seen| {
        seen.way == Way::ToServer && seen.number == 1
    }));
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(50));
    pair.client(ours).write(b"hello").unwrap();
    pair.run_for(Duration::from_millis(50));
    let theirs = pair.accepted();
    let mut got = Vec::new();
    read_all(pair.server(theirs), &mut got);
    assert_eq!(got, b"hello");
    assert!(pair.server(theirs).session().is_some());
    pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
    assert!(pair.picked(0, fallback).is_empty());
}

#[test]
fn an_acknowledgement_that_is_no_cookie_is_reset() {
    let mut pair = with_cookies();
    pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_secs(30));
    // The same third ACK again, much later, from nobody.
    let third = pair.log[2].packet.clone();
    let config = endpoint::Config {
        syn_cookies: SynCookies::Always,
        ..endpoint::Config::default()
    };
    // A server with another secret.
    let other = Endpoint::new(config, Box::new(Seeded(77)));
    let mut other = Pair::with_hosts(
        Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1))),
        other,
    );
    other
        .server
        .listen(address(SERVER), 1, Config::default())
        .unwrap();
    let handled = other.server.handle_packet(other.now, &third);
    assert_eq!(handled, endpoint::Handled::Reset);
}

#[test]
fn a_cookie_is_good_for_nothing_where_none_was_given() {
    let is_good = |is_given: bool| {
        let mut pair = with_cookies();
        pair.server
            .listen(address(SERVER), 16, Config::default())
            .unwrap();
        // As lucky as a guess can be: the jar of the server is made from the first random numbers.
        let jar = CookieJar::new(&mut Seeded(2));
        let ends = Ends {
            local: address(SERVER),
            remote: address(super::pair::CLIENT),
        };
        let iss = jar.bake(pair.now, ends, TcpSeq(7), SynKind::Connection, 1460);
        let third = Segment {
            source: ends.remote,
            destination: ends.local,
            seq: TcpSeq(8),
            ack: iss.add(1),
            flags: Flags::ACK,
            window: 1000,
            urgent: 0,
            ecn: Ecn::NotCapable,
            options: &[],
            payload: &[],
            payload_sum: None,
        };
        if is_given {
            let other = path("10.0.0.1:40003", SERVER);
            pair.client
                .connect(pair.now, other, Config::default())
                .unwrap();
            pair.run_for(Duration::from_millis(15));
        }
        let mut packet = Vec::new();
        third.emit(&mut packet).unwrap();
        let handled = pair.server.handle_packet(pair.now, &packet);
        matches!(handled, endpoint::Handled::Began(_))
    };
    assert!(is_good(true));
    assert!(!is_good(false));
}

#[test]
fn a_full_backlog_is_answered_with_cookies() {
    let mut pair = Pair::new(1);
    pair.server
        .listen(address(SERVER), 2, Config::default())
        .unwrap();
    // Nobody answers the first ones, whose places stay taken.
    pair.hook = Some(drop_if(|seen| {
        seen.way == Way::ToClient && (40_000..40_005).contains(&seen.segment.destination.port())
    }));
    for port in 40_000..40_010 {
        let path = path(&format!("10.0.0.1:{port}"), SERVER);
        pair.client
            .connect(pair.now, path, Config::default())
            .unwrap();
    }
    pair.run_for(Duration::from_millis(200));
    assert!(pair.server.connection_count() <= 2 + 5);
    let incoming = pair.picked(1, |event| {
        matches!(event, Event::Incoming { .. }).then_some(())
    });
    assert_eq!(incoming.len(), 5);
}

#[test]
fn the_same_ends_may_be_used_again_after_time_wait_began() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    // Who closes first has the TIME-WAIT.
    pair.server(theirs).close();
    pair.run_for(Duration::from_millis(200));
    pair.client(ours).close();
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.client.table_sizes().paths, 0);
    assert_eq!(pair.server.table_sizes().paths, 1);
    let before = pair.log.len();
    let again = path(super::pair::CLIENT, SERVER);
    let ours = pair
        .client
        .connect(pair.now, again, Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    assert!(pair.client(ours).session().is_some());
    // The first SYN did it (RFC 6191).
    let answer = Segment::parse(&pair.log[before + 1].packet, false).unwrap();
    assert!(answer.flags.syn() && answer.flags.ack());
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    let mut pair = Pair::new(1);
    pair.server
        .listen(address(SERVER), 20_000, Config::default())
        .unwrap();
    for n in 0..10_000_u32 {
        let near = format!(
            "10.{}.{}.{}:{}",
            n >> 16 & 255,
            n >> 8 & 255,
            n & 255,
            1024 + n
        );
        pair.client
            .connect(pair.now, path(&near, SERVER), Config::default())
            .unwrap();
    }
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.server.connection_count(), 10_000);
    let ids: Vec<_> = pair.picked_ids(1, |event| matches!(event, Event::Incoming { .. }));
    assert_eq!(ids.len(), 10_000);
    for id in ids {
        pair.server(id).abort();
    }
    pair.run_for(Duration::from_secs(200));
    assert_eq!(
        pair.client.connection_count() + pair.server.connection_count(),
        0
    );
    assert_eq!(pair.client.poll_timeout(), None);
}

#[test]
fn a_cookie_is_good_though_the_secret_changed_before_its_third_ack() {
    let mut pair = with_cookies();
    // The first stranger begins the hour of the first secret.
    pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(100));
    let first = pair.accepted();
    pair.run_for(Duration::from_secs(3600) - Duration::from_millis(105));
    let second = path("10.0.0.1:40007", SERVER);
    pair.hook = None;
    let ours = pair.client.connect(pair.now, second, Config::default());
    // The SYN arrives within the hour, the third ACK after it.
    pair.run_for(Duration::from_millis(300));
    let theirs = pair.server.connection_ids().find(|id| *id != first);
    let theirs = theirs.unwrap();
    assert!(pair.server(theirs).session().is_some());
    pair.exchange(
        [ours.unwrap(), theirs],
        &pattern(10_000, 1),
        &pattern(10_000, 2),
    );
}

#[test]
fn a_first_segment_that_comes_again_begins_no_connection_that_was_there_already() {
    let mut pair = with_cookies();
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(100));
    pair.client(ours).write(b"hello").unwrap();
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    let first = pair.log.iter().filter(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        sent.way == Way::ToServer && !segment.flags.syn()
    });
    let first: Vec<_> = first.take(2).map(|sent| sent.packet.clone()).collect();
    pair.server(theirs).abort();
    pair.run_for(Duration::from_secs(1));
    assert_eq!(pair.server.connection_count(), 0);
    // The third ACK and the first data, while the cookie is good by its age.
    for packet in first {
        let handled = pair.server.handle_packet(pair.now, &packet);
        assert_eq!(handled, endpoint::Handled::Reset);
    }
    assert_eq!(pair.server.connection_count(), 0);
    assert_eq!(pair.server.table_sizes().spent_cookies, 1);
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.server.table_sizes().spent_cookies, 0);
    assert_eq!(pair.server.poll_timeout(), None);
}
