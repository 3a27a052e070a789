//! Handshakes out of order, repeated, or tampered with.

use mptcp_analyze::model::{CheckResult, ConnectionState, FallbackReason, SubflowKind};
use mptcp_proto::key::Key;
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Dispatch, End, Host, option_bytes};

use super::{check_findings, check_stream, connected, lte, read, read_one, wifi};

#[test]
fn a_dss_before_mp_capable_in_the_file_belongs_to_the_same_subflow() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 700);
    connection.send(&mut capture, 0, Host::Client, 300);
    capture.move_frame(4, 1);
    let analysis = read(&capture);
    assert_eq!(analysis.tcp_streams, 1);
    assert_eq!(analysis.connections.len(), 1);
    let read = &analysis.connections[0];
    check_stream(&read.totals, Host::Client, 1000);
    assert_eq!(read.subflows.len(), 1);
    assert_eq!(read.subflows[0].kind, SubflowKind::Capable);
    assert!(read.totals.to_server.base_is_idsn);
    assert_eq!(read.capable.syn.map(|syn| syn.0), Some(2));
    check_findings(read, &[]);
}

#[test]
fn a_join_before_mp_capable_in_the_file_finds_its_connection() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 300);
    connection.send(&mut capture, 1, Host::Client, 300);
    // Frames 4 to 7 are the join's; the file of a capture on two interfaces has them first.
    for place in 1..=4 {
        capture.move_frame(place + 3, place);
    }
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 600);
    let join = read.subflows.iter().find_map(|s| s.join.as_ref()).unwrap();
    assert_eq!(join.syn_frame, Some(1));
    assert_eq!(join.syn_ack_hmac, CheckResult::Ok);
    assert_eq!(join.ack_hmac, CheckResult::Ok);
    assert_eq!(read.token_of_unknown, None);
    check_findings(&read, &[]);
}

#[test]
fn a_retransmitted_syn_opens_nothing_new() {
    let mut capture = Capture::new();
    let mut connection = Connection::new(Version::V1);
    connection.connect(&mut capture, wifi());
    capture.repeat(1);
    capture.move_frame(4, 2);
    connection.send(&mut capture, 0, Host::Client, 100);
    connection.close(&mut capture);
    let read = read_one(&capture);
    assert_eq!(read.subflows.len(), 1);
    assert_eq!(read.capable.syns, 2);
    assert_eq!(read.state, ConnectionState::Closed);
    check_stream(&read.totals, Host::Client, 100);
    check_findings(&read, &[]);
}

#[test]
fn a_third_syn_without_the_option_is_the_clients_fallback() {
    let mut capture = Capture::new();
    let connection = Connection::new(Version::V1);
    let mut flow = wifi();
    let syn = Dispatch::syn().options(&option_bytes(&connection.capable_syn()));
    flow.send(&mut capture, End::Client, &syn);
    capture.wait_us(1_000_000);
    capture.repeat(1);
    capture.wait_us(2_000_000);
    let isn = flow.client.isn;
    flow.send(&mut capture, End::Client, &Dispatch::syn().at(isn));
    let bare = capture.last_frame();
    flow.send(&mut capture, End::Server, &Dispatch::syn_ack());
    flow.send(&mut capture, End::Client, &Dispatch::ack());
    flow.send(
        &mut capture,
        End::Client,
        &Dispatch::ack().payload(b"plain"),
    );
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::SynOptionMissing);
    assert_eq!(fallback.frame, bare);
    assert_eq!(read.capable.syns, 2);
    assert_eq!(read.state, ConnectionState::FallenBack);
    assert_eq!(read.subflows[0].totals.to_server.unmapped_bytes, 5);
}

#[test]
fn a_key_rewritten_in_the_syn_ack_shows_in_the_echo() {
    let mut capture = Capture::new();
    let mut honest = Connection::new(Version::V1);
    let subflow = honest.adopt(wifi(), Host::Client);
    // Captured at the server: its own key went out, the client echoes what it got.
    let mut fooled = honest.clone();
    fooled.server_key = Key(*b"middlbox");
    let options = [
        honest.capable_syn(),
        honest.capable_syn_ack(),
        fooled.capable_ack(),
    ];
    honest.handshake(&mut capture, subflow, &options);
    let read = read_one(&capture);
    assert_eq!(read.echoed_keys, CheckResult::Bad);
    assert_eq!(read.keys.server, Some(Key(*b"server-1")));
    check_findings(&read, &["MPT020"]);
}

#[test]
fn a_key_rewritten_in_the_syn_ack_shows_at_the_client_by_the_data() {
    let mut capture = Capture::new();
    let mut honest = Connection::new(Version::V1);
    let subflow = honest.adopt(wifi(), Host::Client);
    let mut fooled = honest.clone();
    fooled.server_key = Key(*b"middlbox");
    let options = [
        honest.capable_syn(),
        fooled.capable_syn_ack(),
        fooled.capable_ack(),
    ];
    honest.handshake(&mut capture, subflow, &options);
    honest.send(&mut capture, subflow, Host::Server, 100);
    let read = read_one(&capture);
    assert_eq!(read.echoed_keys, CheckResult::Ok);
    assert_eq!(read.idsn_check.to_client, CheckResult::Bad);
    check_findings(&read, &["MPT022"]);
}

#[test]
fn data_on_mp_capable_keep_their_place_when_the_data_after_them_do_not_count_from_the_key() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send_with_capable(&mut capture, 0, 100);
    connection.client_key = Key(*b"client-2");
    connection.send(&mut capture, 0, Host::Client, 50);
    let read = read_one(&capture);
    assert_eq!(read.idsn_check.to_server, CheckResult::Bad);
    let totals = &read.totals.to_server;
    assert_eq!((totals.unique_bytes, totals.range), (150, Some((1, 151))));
    assert_eq!(totals.data_retransmitted_bytes, 0);
    check_findings(&read, &["MPT022"]);
}

#[test]
fn right_keys_and_idsns_are_confirmed() {
    let (mut capture, mut connection) = connected(Version::V0);
    connection.send(&mut capture, 0, Host::Client, 10);
    connection.send(&mut capture, 0, Host::Server, 10);
    let read = read_one(&capture);
    assert_eq!(read.version, Some(0));
    assert_eq!(read.echoed_keys, CheckResult::Ok);
    assert_eq!(read.idsn_check.to_server, CheckResult::Ok);
    assert_eq!(read.idsn_check.to_client, CheckResult::Ok);
    assert_eq!(read.checksum, Some(false));
}

#[test]
fn a_syn_ack_without_the_option_leaves_regular_tcp() {
    let mut capture = Capture::new();
    let connection = Connection::new(Version::V1);
    let mut flow = wifi();
    let syn = Dispatch::syn().options(&option_bytes(&connection.capable_syn()));
    flow.send(&mut capture, End::Client, &syn);
    flow.send(&mut capture, End::Server, &Dispatch::syn_ack());
    flow.send(&mut capture, End::Client, &Dispatch::ack());
    flow.send(
        &mut capture,
        End::Client,
        &Dispatch::ack().payload(b"hello"),
    );
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::PeerIsTcp);
    assert_eq!(fallback.frame, 2);
    assert_eq!(read.subflows[0].packets, 4);
}

#[test]
fn a_syn_ack_with_nops_for_the_option_was_stripped_by_the_path() {
    let (mut capture, connection) = connected(Version::V1);
    drop(connection);
    capture.strip_mptcp(2);
    capture.strip_mptcp(3);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::SynAckOptionMissing);
    assert_eq!(fallback.by, mptcp_analyze::model::Blame::Path);
    assert_eq!(fallback.frame, 2);
}

#[test]
fn a_syn_whose_mp_capable_does_not_parse_is_a_fallback() {
    let mut capture = Capture::new();
    let mut flow = wifi();
    // Version 1's SYN after a box has written version 0 into it.
    let syn = Dispatch::syn().options(&[30, 4, 0x00, 0x01]);
    flow.send(&mut capture, End::Client, &syn);
    flow.send(&mut capture, End::Server, &Dispatch::syn_ack());
    flow.send(&mut capture, End::Client, &Dispatch::ack());
    flow.send(
        &mut capture,
        End::Client,
        &Dispatch::ack().payload(b"plain"),
    );
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::Negotiation);
    assert_eq!(fallback.frame, 1);
    assert_eq!(read.state, ConnectionState::FallenBack);
    assert_eq!(read.subflows[0].kind, SubflowKind::Capable);
    check_findings(&read, &["MPT001", "MPT010"]);
}
