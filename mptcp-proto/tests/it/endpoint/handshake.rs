//! The handshake of a connection (RFC 8684 §3.1).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, Event, FallbackReason};
use mptcp_proto::version::Version;

use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::wire::segment::Segment;

use super::pair::{Pair, Sent, Way, pattern, read_all};

pub(crate) fn version(offer: Offer) -> Config {
    Config {
        mptcp: offer,
        ..Config::default()
    }
}

#[test]
fn both_hosts_speak_version_1_and_derive_the_same() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    let client = *pair.client(ours).session().unwrap();
    let server = *pair.server(theirs).session().unwrap();
    assert_eq!(client.version, Version::V1);
    assert_eq!(client.local_token, server.remote_token);
    assert_eq!(client.remote_idsn, server.local_idsn);
    for side in 0..2 {
        let connected = pair.picked(side, |event| match event {
            Event::Connected { version } => Some(*version),
            _ => None,
        });
        assert_eq!(connected, [Some(Version::V1)]);
    }
}

#[test]
fn an_exchange_closes_both_sides_in_both_versions_with_and_without_checksums() {
    for offer in [Offer::V0, Offer::V1] {
        for checksum in [false, true] {
            let config = Config {
                wishes: Wishes {
                    checksum,
                    ..Wishes::default()
                },
                ..version(offer)
            };
            let (mut pair, ours, theirs) = Pair::established(config.clone(), config);
            assert_eq!(pair.client(ours).info().has_checksums, checksum);
            let (up, down) = (pattern(300_000, 1), pattern(200_000, 2));
            pair.exchange([ours, theirs], &up, &down);
            let fallbacks = pair.picked(0, fallback).len() + pair.picked(1, fallback).len();
            assert_eq!(fallbacks, 0, "{offer:?} checksum={checksum}");
        }
    }
}

pub(crate) fn fallback(event: &Event) -> Option<FallbackReason> {
    match event {
        Event::FellBack { reason } => Some(*reason),
        _ => None,
    }
}

#[test]
fn plain_tcp_carries_data_and_closes() {
    let (mut pair, ours, theirs) = Pair::established(version(Offer::Off), Config::default());
    assert_eq!(
        pair.server(theirs).fallback(),
        Some(FallbackReason::SynOptionMissing)
    );
    pair.exchange([ours, theirs], &pattern(300_000, 1), &pattern(200_000, 2));
    pair.run_for(Duration::from_secs(130));
    assert_eq!(pair.client.connection_count(), 0);
    assert_eq!(pair.server.connection_count(), 0);
    let has_mptcp = |sent: &Sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        !ReceivedOptions::parse(None, segment.options).is_empty()
    };
    assert!(!pair.log.iter().any(has_mptcp));
}

#[test]
fn a_server_may_send_first() {
    let (mut pair, ours, theirs) = Pair::established(Config::default(), Config::default());
    pair.transfer(
        [ours, theirs],
        &[],
        &pattern(100_000, 3),
        Duration::from_secs(10),
    );
    pair.exchange([ours, theirs], &pattern(10, 1), &[]);
    assert!(pair.picked(0, fallback).is_empty() && pair.picked(1, fallback).is_empty());
}

#[test]
fn a_lost_third_ack_is_made_up_for_by_the_first_data() {
    let mut pair = Pair::new(3);
    let mut acks = 0;
    pair.hook = Some(Box::new(move |_, way, packet| {
        let is_third = way == Way::ToServer && packet.len() > 20 && packet[33] == 0x10 && acks == 0;
        acks += usize::from(is_third);
        if is_third { Vec::new() } else { vec![packet] }
    }));
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(100));
    pair.client(ours).write(b"hello").unwrap();
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    assert!(pair.server(theirs).session().is_some());
    let mut hello = Vec::new();
    read_all(pair.server(theirs), &mut hello);
    assert_eq!(hello, b"hello");
    pair.exchange([ours, theirs], &pattern(1000, 1), &pattern(1000, 2));
}
