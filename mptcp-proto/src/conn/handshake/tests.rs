use super::*;
use crate::wire::mptcp::{DataAck, DssMapping, WireDsn};

const CLIENT: Key = Key([1, 2, 3, 4, 5, 6, 7, 8]);
const SERVER: Key = Key([0x95, 0xf1, 0xc0, 0xad, 0xfd, 0x12, 0xd8, 0x6d]);
const PLAIN: Wishes = Wishes {
    checksum: false,
    no_join_to_initial: false,
};

fn handshake(version: Version, client: Wishes, server: Wishes) -> (Session, Session) {
    let syn = SynSent::new(version, CLIENT, client);
    let offer = Offer::from_syn(Some(&syn.option()), &Version::ALL).unwrap();
    let received = offer.accept(SERVER, server);
    let ours = syn.handle_syn_ack(Some(&received.option())).unwrap();
    let theirs = received
        .handle_third_ack(Some(&ours.third_ack(None)))
        .unwrap();
    (ours, theirs)
}

#[test]
fn both_hosts_derive_what_linux_derives_from_these_keys() {
    let (client, server) = handshake(Version::V1, PLAIN, PLAIN);
    assert_eq!(client.local_token, Token(0x6684_0dda));
    assert_eq!(client.local_idsn, Dsn(0xf5a1_01d3_d29d_6f72));
    assert_eq!(client.remote_token, Token(0x2fa3_4649));
    assert_eq!(server.local_idsn, Dsn(0x36b3_e08d_bf58_f47a));
    assert_eq!(server.remote_token, client.local_token);
    let (client, _) = handshake(Version::V0, PLAIN, PLAIN);
    assert_eq!(client.local_token, Token(0xdd57_83bc));
}

#[test]
fn checksums_are_used_when_either_host_wants_them() {
    let wish = Wishes {
        checksum: true,
        ..PLAIN
    };
    for (client, server, expected) in [
        (PLAIN, PLAIN, false),
        (wish, PLAIN, true),
        (PLAIN, wish, true),
    ] {
        let (client, server) = handshake(Version::V1, client, server);
        assert_eq!((client.checksum, server.checksum), (expected, expected));
    }
}

#[test]
fn the_c_flag_keeps_joins_from_the_initial_address() {
    let wish = Wishes {
        no_join_to_initial: true,
        ..PLAIN
    };
    let (client, server) = handshake(Version::V1, PLAIN, wish);
    assert!(!client.may_join_initial);
    assert!(server.may_join_initial);
}

#[track_caller]
fn check_syn(change: impl Fn(&mut Capable), expected: Result<Version, FallbackReason>) {
    let mut capable = SynSent::new(Version::V1, CLIENT, PLAIN).option();
    change(&mut capable);
    let offer = Offer::from_syn(Some(&capable), &Version::ALL);
    assert_eq!(offer.map(|offer| offer.version()), expected);
}

#[test]
fn a_syn_is_judged_as_linux_judges_it() {
    check_syn(|_| {}, Ok(Version::V1));
    check_syn(|capable| capable.version = 2, Ok(Version::V1));
    check_syn(
        |capable| capable.flags = CapableFlags(0),
        Err(FallbackReason::Flags),
    );
    check_syn(
        |capable| capable.flags = CapableFlags(0x41),
        Err(FallbackReason::Flags),
    );
    check_syn(
        |capable| capable.sender_key = Some(CLIENT),
        Err(FallbackReason::Form),
    );
    check_syn(|capable| capable.version = 0, Err(FallbackReason::Form));
}

#[test]
fn a_copy_of_the_own_option_is_no_answer() {
    for version in Version::ALL {
        let syn = SynSent::new(version, CLIENT, PLAIN);
        let answer = syn.handle_syn_ack(Some(&syn.option()));
        assert_eq!(answer, Err(FallbackReason::Form));
    }
}

#[test]
fn a_third_ack_with_another_key_falls_back() {
    let syn = SynSent::new(Version::V1, CLIENT, PLAIN);
    let offer = Offer::from_syn(Some(&syn.option()), &Version::ALL).unwrap();
    let received = offer.accept(SERVER, PLAIN);
    let mut capable = syn
        .handle_syn_ack(Some(&received.option()))
        .unwrap()
        .third_ack(None);
    capable.receiver_key = Some(CLIENT);
    let answer = received.handle_third_ack(Some(&capable));
    assert_eq!(answer, Err(FallbackReason::KeyMismatch));
}

/// What a server makes of a DSS in place of the third ACK.
fn answer_to_dss(version: Version, dsn: Dsn, data_ack: Dsn) -> Result<Session, FallbackReason> {
    let syn = SynSent::new(version, CLIENT, PLAIN);
    let offer = Offer::from_syn(Some(&syn.option()), &Version::ALL).unwrap();
    let mapping = DssMapping {
        dsn: WireDsn::Long(dsn.0),
        ssn: Ssn(1),
        len: 100,
        checksum: None,
    };
    let dss = Dss {
        data_ack: Some(DataAck::Short(data_ack.low())),
        mapping: Some(mapping),
        ..Dss::default()
    };
    offer.accept(SERVER, PLAIN).handle_dss(&dss)
}

#[test]
fn only_version_0_can_do_without_the_third_ack() {
    for (version, expected) in [(Version::V0, true), (Version::V1, false)] {
        let first = |key: Key| key.idsn(version).add(1);
        let answer = answer_to_dss(version, first(CLIENT), first(SERVER));
        assert_eq!(answer.is_ok(), expected);
    }
}

#[test]
fn numbers_of_other_keys_in_place_of_the_third_ack_fall_back() {
    let first = |key: Key| key.idsn(Version::V0).add(1);
    let ours = answer_to_dss(Version::V0, first(CLIENT), first(CLIENT));
    let theirs = answer_to_dss(Version::V0, first(SERVER), first(SERVER));
    assert_eq!([ours, theirs], [Err(FallbackReason::KeyMismatch); 2]);
}
