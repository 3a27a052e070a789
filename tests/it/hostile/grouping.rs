//! Which subflow belongs to which connection.

use mptcp_analyze::model::{CheckResult, Direction, Grouping, Severity, Side, SubflowKind};
use mptcp_proto::hmac::join_hmac;
use mptcp_proto::key::{AddressId, Nonce};
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Join, MptcpOption, Priority};
use mptcp_tests::craft::{Capture, Connection, Flow, Forge, Host, JoinPlan, option_bytes};

use super::{
    Bytes, check_bytes, check_findings, check_stream, connected, findings, lte, read, read_one,
    side, wifi,
};

#[test]
fn one_key_in_two_connections_makes_two_connections() {
    let mut capture = Capture::new();
    let mut first = Connection::new(Version::V1);
    first.connect(&mut capture, wifi());
    first.send(&mut capture, 0, Host::Client, 1000);
    first.close(&mut capture);
    capture.wait_us(10_000_000);
    let mut second = Connection::new(Version::V1);
    let flow = Flow::new("10.0.1.1:50001", "10.0.9.1:80").with_isns(7, 8);
    second.connect(&mut capture, flow);
    second.join(&mut capture, lte(), Host::Client);
    second.send(&mut capture, 1, Host::Client, 300);
    let analysis = read(&capture);
    let subflows: Vec<usize> = analysis
        .connections
        .iter()
        .map(|c| c.subflows.len())
        .collect();
    assert_eq!(subflows, [1, 2]);
    check_stream(&analysis.connections[0].totals, Host::Client, 1000);
    check_stream(&analysis.connections[1].totals, Host::Client, 300);
    let reported = analysis.all_findings().filter(|f| f.id == "MPT023").count();
    assert!(reported > 0, "the shared key is reported");
}

/// A join with one wrong HMAC.
#[track_caller]
fn check_forged(version: Version, forge: Forge, syn_ack: CheckResult, ack: CheckResult) {
    let (mut capture, mut connection) = connected(version);
    let plan = JoinPlan {
        forge,
        ..JoinPlan::by(Host::Client)
    };
    connection.join_as(&mut capture, lte(), &plan);
    let read = read_one(&capture);
    let join = read.subflows[1].join.as_ref().unwrap();
    assert_eq!(join.syn_ack_hmac, syn_ack);
    assert_eq!(join.ack_hmac, ack);
    let bad = [syn_ack, ack].contains(&CheckResult::Bad);
    check_findings(&read, if bad { &["MPT030"] } else { &[] });
}

#[test]
fn right_hmacs_are_confirmed_in_both_versions() {
    for version in [Version::V0, Version::V1] {
        check_forged(version, Forge::Nothing, CheckResult::Ok, CheckResult::Ok);
    }
}

#[test]
fn a_forged_hmac_in_the_syn_ack_is_found() {
    check_forged(
        Version::V1,
        Forge::SynAck,
        CheckResult::Bad,
        CheckResult::Ok,
    );
}

#[test]
fn a_forged_hmac_in_the_third_ack_is_found() {
    for version in [Version::V0, Version::V1] {
        check_forged(version, Forge::Ack, CheckResult::Ok, CheckResult::Bad);
    }
}

/// The listener has no room any more, or lost its address; the opener does not hear the RST, and the next copy of its SYN
/// begins a new handshake, with another random number of the listener.
#[test]
fn a_handshake_that_begins_anew_behind_a_lost_reset_has_its_own_hmacs() {
    for version in [Version::V0, Version::V1] {
        let (mut capture, mut connection) = connected(version);
        let syn = connection.join_syn(Host::Client, 1, false);
        let MptcpOption::Join(Join::Syn { nonce: own, .. }) = syn else {
            panic!("a SYN has this form");
        };
        let nonce = Nonce(0x3333_0000);
        let keys = [Host::Server, Host::Client].map(|host| connection.key(host));
        let earlier = option_bytes(&MptcpOption::Join(Join::SynAck {
            priority: Priority::Regular,
            address_id: AddressId(0),
            hmac: join_hmac(version, keys[0], keys[1], nonce, own).truncated(),
            nonce,
            reserved: 0,
        }));
        let joined = connection.join(&mut capture, lte(), Host::Client);
        // SYN, SYN/ACK and two ACKs are 4 to 7.
        capture.repeat(5);
        capture.rewrite_tcp(8, |area| {
            let at = area.windows(2).position(|bytes| bytes[0] == 30).unwrap();
            area[at..at + earlier.len()].copy_from_slice(&earlier);
        });
        let mut elsewhere = connection.clone();
        elsewhere.reset(&mut capture, joined, Host::Server, &[]);
        capture.repeat(4);
        for (from, to) in [(8, 5), (9, 6), (10, 7)] {
            capture.move_frame(from, to);
        }
        let read = read_one(&capture);
        let join = read.subflows[1].join.as_ref().unwrap();
        assert_eq!(join.syn_ack_hmac, CheckResult::Ok, "{version:?}");
        assert_eq!(join.ack_hmac, CheckResult::Ok, "{version:?}");
    }
}

#[test]
fn a_server_may_open_a_subflow_and_its_data_keep_their_direction() {
    for version in [Version::V0, Version::V1] {
        let (mut capture, mut connection) = connected(version);
        let flow = Flow::new("10.0.9.2:33333", "10.0.2.1:44444");
        let plan = JoinPlan {
            id: 5,
            peer_id: 6,
            ..JoinPlan::by(Host::Server)
        };
        let second = connection.join_as(&mut capture, flow, &plan);
        connection.send(&mut capture, second, Host::Client, 1500);
        connection.send(&mut capture, second, Host::Server, 2500);
        connection.send(&mut capture, 0, Host::Client, 100);
        connection.close(&mut capture);
        let read = read_one(&capture);
        let joined = &read.subflows[1];
        assert_eq!(joined.initiator, Some(side(Host::Server)));
        assert_eq!(joined.client.to_string(), "10.0.2.1:44444");
        assert_eq!(joined.client_address_id.map(|id| id.0), Some(6));
        assert_eq!(joined.server_address_id.map(|id| id.0), Some(5));
        let join = joined.join.as_ref().unwrap();
        assert_eq!(join.syn_ack_hmac, CheckResult::Ok);
        assert_eq!(join.ack_hmac, CheckResult::Ok);
        check_stream(&read.totals, Host::Client, 1600);
        check_stream(&read.totals, Host::Server, 2500);
        assert_eq!(read.totals.to_server.range, Some((1, 1601)));
        assert_eq!(read.totals.to_client.range, Some((1, 2501)));
        let to_server = [Bytes::unique(100), Bytes::unique(1500)];
        check_bytes(&read, Direction::ToServer, &to_server);
        let to_client = [Bytes::default(), Bytes::unique(2500)];
        check_bytes(&read, Direction::ToClient, &to_client);
        check_findings(&read, &[]);
    }
}

#[test]
fn a_subflow_without_syn_in_the_capture_keeps_its_bytes() {
    for version in [Version::V0, Version::V1] {
        let (mut capture, mut connection) = connected(version);
        connection.send(&mut capture, 0, Host::Client, 2500);
        connection.send(&mut capture, 0, Host::Server, 1500);
        capture.packets.drain(..3);
        let read = read_one(&capture);
        assert_eq!(read.subflows[0].kind, SubflowKind::Unseen);
        let totals = &read.totals;
        // Who is client is a guess without a SYN, so the two directions are compared as a pair.
        let mut bytes = [totals.to_server.unique_bytes, totals.to_client.unique_bytes];
        bytes.sort_unstable();
        assert_eq!(bytes, [1500, 2500]);
        assert!(!totals.to_server.base_is_idsn);
        assert_eq!(
            totals.to_server.missing_bytes + totals.to_client.missing_bytes,
            0
        );
        let subflow = &read.subflows[0].totals;
        assert_eq!(
            subflow.to_server.unmapped_bytes + subflow.to_client.unmapped_bytes,
            0
        );
        assert!(matches!(read.echoed_keys, CheckResult::Unverifiable(_)));
        check_findings(&read, &[]);
    }
}

#[test]
fn subflows_without_any_syn_are_joined_by_their_data_sequence_numbers() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.join(&mut capture, lte(), Host::Client);
    for _ in 0..10 {
        connection.send(&mut capture, 0, Host::Client, 1000);
        connection.acknowledge(&mut capture, 0, Host::Server);
        connection.send(&mut capture, 1, Host::Client, 1000);
        connection.acknowledge(&mut capture, 1, Host::Server);
    }
    capture.packets.drain(..7);
    let read = read_one(&capture);
    assert_eq!(read.subflows.len(), 2);
    assert!(read.grouping >= Grouping::Dsn, "{:?}", read.grouping);
    let unique = read.totals.to_server.unique_bytes + read.totals.to_client.unique_bytes;
    assert_eq!(unique, 20_000);
    assert!(findings(&read, Severity::Note).contains(&"MPT072"));
    let text = &read.findings[0].text;
    assert!(text.contains("data sequence numbers that fit"), "{text}");
}

#[test]
fn a_reused_port_begins_a_new_connection() {
    let mut capture = Capture::new();
    let mut first = Connection::new(Version::V1);
    first.connect(&mut capture, wifi());
    first.send(&mut capture, 0, Host::Client, 1000);
    first.close(&mut capture);
    capture.wait_us(60_000_000);
    let mut second = Connection::new(Version::V1).with_keys(*b"client-2", *b"server-2");
    second.connect(&mut capture, wifi().with_isns(0x7777_7777, 0x8888_8888));
    second.send(&mut capture, 0, Host::Client, 2000);
    let analysis = read(&capture);
    assert_eq!(analysis.tcp_streams, 2);
    assert_eq!(analysis.connections.len(), 2);
    check_stream(&analysis.connections[0].totals, Host::Client, 1000);
    check_stream(&analysis.connections[1].totals, Host::Client, 2000);
    for connection in &analysis.connections {
        check_findings(connection, &[]);
    }
}

#[test]
fn a_join_with_an_unknown_token_is_kept_apart() {
    let (mut capture, connection) = connected(Version::V1);
    drop(connection);
    let mut stranger = Connection::new(Version::V1).with_keys(*b"client-x", *b"server-x");
    stranger.join(&mut capture, lte(), Host::Client);
    let analysis = read(&capture);
    assert_eq!(analysis.connections.len(), 2);
    let unknown = &analysis.connections[1];
    assert_eq!(unknown.token_of_unknown, Some(stranger.token(Host::Server)));
    let join = unknown.subflows[0].join.as_ref().unwrap();
    assert!(matches!(join.syn_ack_hmac, CheckResult::Unverifiable(_)));
    assert_eq!(analysis.connections[0].subflows.len(), 1);
    assert_eq!(unknown.subflows[0].initiator, Some(Side::Client));
}

#[test]
fn without_a_syn_the_end_with_the_ephemeral_port_is_taken_for_the_client() {
    let mut capture = Capture::new();
    let mut connection = Connection::new(Version::V1);
    let flow = Flow::new("10.0.1.1:40001", "10.0.9.1:5001");
    connection.connect(&mut capture, flow);
    connection.send(&mut capture, 0, Host::Server, 500);
    connection.send(&mut capture, 0, Host::Client, 100);
    capture.packets.drain(..3);
    let read = read_one(&capture);
    assert_eq!(read.subflows[0].client.port(), 40001);
    assert_eq!(read.totals.to_client.unique_bytes, 500);
}
