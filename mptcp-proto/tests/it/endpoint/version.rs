//! Versions, and paths on which MPTCP fails (RFC 8684 §3.1, §3.9.3).

use std::time::Duration;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Config, Event, FallbackReason};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::Subtype;
use mptcp_proto::wire::segment::Segment;

use super::handshake::{fallback, version};
use super::meddle::{drop_if, meddle, subtypes};
use super::pair::{Pair, Way, path, pattern};

/// The versions of a handshake that is complete: none for TCP.
fn connected(event: &Event) -> Option<Vec<Version>> {
    match event {
        Event::Connected { version } => Some(version.iter().copied().collect()),
        _ => None,
    }
}

#[test]
fn hosts_agree_on_a_version_or_on_tcp() {
    for (client, server, expected) in [
        (Offer::V1, Offer::Both, Some(Version::V1)),
        (Offer::V0, Offer::Both, Some(Version::V0)),
        (Offer::V0, Offer::V1, None),
        (Offer::V1, Offer::V0, None),
        (Offer::Both, Offer::V0, None),
        (Offer::Both, Offer::Off, None),
    ] {
        let (mut pair, ours, theirs) = Pair::established(version(client), version(server));
        for side in 0..2 {
            let expected: Vec<Version> = expected.into_iter().collect();
            let versions = pair.picked(side, connected);
            assert_eq!(versions, [expected], "{client:?} {server:?}");
        }
        pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
    }
}

/// What becomes of SYNs of version 0 with flag B: how many the server passes over in silence, and how the
/// client's connection fell back.
fn with_flag_b(server: Offer) -> (u64, Vec<FallbackReason>) {
    let mut pair = Pair::new(3);
    pair.hook = Some(meddle(|seen, options, _| {
        if seen.segment.flags.syn()
            && seen.way == Way::ToServer
            && let Some(at) = options.windows(2).position(|pair| pair == [30, 12])
        {
            options[at + 3] |= 0x40;
        }
        true
    }));
    let ours = pair.connect(version(Offer::V0), version(server));
    pair.run_for(Duration::from_secs(20));
    let theirs = pair.accepted();
    pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
    let answers = pair.log.iter().filter(|sent| sent.way == Way::ToClient);
    let syn_acks = answers.filter(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        segment.flags.syn() || segment.flags.rst()
    });
    assert_eq!(syn_acks.count(), 1, "{server:?}");
    (pair.server.dropped().extended, pair.picked(0, fallback))
}

#[test]
fn a_syn_with_flag_b_is_met_with_silence_by_version_0_alone() {
    // RFC 6824 §3.1: the client tries again in another form, which is TCP.
    assert_eq!(with_flag_b(Offer::V0), (3, vec![FallbackReason::Blackhole]));
    // RFC 8684 §3.1: the option is ignored.
    let reason = FallbackReason::SynAckOptionMissing;
    assert_eq!(with_flag_b(Offer::Both), (0, vec![reason]));
    assert_eq!(with_flag_b(Offer::V1), (0, vec![reason]));
}

#[test]
fn a_host_that_prefers_version_0_is_offered_it_next_time() {
    let mut pair = Pair::new(3);
    pair.hook = Some(meddle(|seen, options, _| {
        if seen.is_syn_ack()
            && seen.number == 0
            && let Some(at) = options.windows(2).position(|pair| pair == [30, 12])
        {
            options[at + 2] = 0;
        }
        true
    }));
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(200));
    assert_eq!(pair.client(ours).fallback(), Some(FallbackReason::Version));
    let second = path("10.0.0.1:40009", super::pair::SERVER);
    let second = pair
        .client
        .connect(pair.now, second, Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    let session = pair.client(second).session().copied().unwrap();
    assert_eq!(session.version, Version::V0);
}

#[test]
fn syns_that_vanish_with_the_option_are_followed_by_one_without() {
    let mut pair = Pair::new(3);
    pair.hook = Some(drop_if(|seen| seen.is_syn() && seen.has(Subtype::CAPABLE)));
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_secs(10));
    let theirs = pair.accepted();
    assert_eq!(pair.picked(0, fallback), [FallbackReason::Blackhole]);
    pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
    let syns = pair.log.iter().filter(|sent| {
        let segment = Segment::parse(&sent.packet, false).unwrap();
        sent.way == Way::ToServer && segment.flags.syn()
    });
    let options: Vec<bool> = syns
        .map(|sent| !subtypes(&Segment::parse(&sent.packet, false).unwrap()).is_empty())
        .collect();
    assert_eq!(options, [true, true, true, false]);
    // The next connection does not even try.
    let second = path("10.0.0.1:40009", super::pair::SERVER);
    let second = pair
        .client
        .connect(pair.now, second, Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(
        pair.client(second).fallback(),
        Some(FallbackReason::Blackhole)
    );
}

#[test]
fn hosts_that_connect_to_each_other_at_once_speak_tcp() {
    let mut pair = Pair::new(3);
    let (near, far) = (super::pair::CLIENT, super::pair::SERVER);
    let ours = pair
        .client
        .connect(pair.now, path(near, far), Config::default())
        .unwrap();
    let theirs = pair
        .server
        .connect(pair.now, path(far, near), Config::default())
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    for side in 0..2 {
        assert_eq!(
            pair.picked(side, fallback),
            [FallbackReason::SimultaneousOpen]
        );
    }
    pair.exchange([ours, theirs], &pattern(10_000, 1), &pattern(10_000, 2));
}
