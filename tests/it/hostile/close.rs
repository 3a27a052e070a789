//! Fast close, resets, and closing in good order.

use mptcp_analyze::model::{CheckResult, CloseKind, CloseSide, ConnectionState, Severity};
use mptcp_proto::key::Key;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{FastClose, MptcpOption};
use mptcp_tests::craft::{Capture, Connection, Dispatch, End, Host, option_bytes, tcp_reset};

use super::{check_findings, connected, findings, lte, read_one, wifi};

#[test]
fn a_fast_close_with_the_right_key_ends_the_connection() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 100);
    let option = connection.fast_close(Host::Client);
    connection.say(&mut capture, 0, Host::Client, &[option]);
    let frame = capture.last_frame();
    connection.reset(&mut capture, 0, Host::Server, &[]);
    let read = read_one(&capture);
    assert_eq!(read.fast_close_key, Some(CheckResult::Ok));
    assert_eq!(read.state, ConnectionState::FastClosed);
    let close = read.subflows[0].close;
    assert_eq!(
        (close.kind, close.by),
        (CloseKind::FastClose, CloseSide::Client)
    );
    assert_eq!(close.frame, Some(frame));
    check_findings(&read, &[]);
}

#[test]
fn a_fast_close_with_a_wrong_key_ends_nothing() {
    let (mut capture, mut connection) = connected(Version::V1);
    let forged = MptcpOption::FastClose(FastClose {
        receiver_key: Key(*b"guessed!"),
        reserved: 0,
    });
    connection.say(&mut capture, 0, Host::Client, &[forged]);
    connection.send(&mut capture, 0, Host::Client, 100);
    connection.acknowledge(&mut capture, 0, Host::Server);
    let read = read_one(&capture);
    assert_eq!(read.fast_close_key, Some(CheckResult::Bad));
    // RFC 8684 §3.5: only the right key closes.
    assert_eq!(read.state, ConnectionState::Established);
    assert_eq!(read.totals.to_server.unique_bytes, 100);
    check_findings(&read, &["MPT062"]);
}

#[test]
fn a_reset_of_one_subflow_names_its_reason_and_leaves_the_other() {
    let (mut capture, mut connection) = connected(Version::V1);
    let second = connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, second, Host::Client, 100);
    connection.reset(&mut capture, second, Host::Server, &[tcp_reset(6)]);
    let frame = capture.last_frame();
    connection.send(&mut capture, 0, Host::Client, 100);
    let read = read_one(&capture);
    let close = read.subflows[1].close;
    assert_eq!(
        (close.kind, close.by),
        (CloseKind::Reset, CloseSide::Server)
    );
    assert_eq!((close.reset_reason, close.frame), (Some(6), Some(frame)));
    assert_eq!(read.subflows[0].close.kind, CloseKind::None);
    assert_eq!(read.state, ConnectionState::Established);
    check_findings(&read, &["MPT060"]);
}

#[test]
fn an_ack_for_an_earlier_subflow_of_the_same_ends_establishes_no_join() {
    let (mut capture, mut connection) = connected(Version::V1);
    let second = connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, second, Host::Client, 100);
    connection.fin(&mut capture, second, Host::Client);
    // The ports come again while the server still waits: its ACK is for the subflow that is over.
    let third = connection.adopt(lte().with_isns(0x2000_0000, 0), Host::Client);
    let syn = option_bytes(&connection.join_syn(Host::Client, 1, false));
    connection.dispatch(
        &mut capture,
        third,
        Host::Client,
        &Dispatch::syn().options(&syn),
    );
    connection.acknowledge(&mut capture, second, Host::Server);
    let seq = connection.subflows[second].flow.client.next;
    let reset = Dispatch::new("R").at(seq);
    connection.dispatch(&mut capture, third, Host::Client, &reset);
    let read = read_one(&capture);
    let established: Vec<bool> = read.subflows.iter().map(|one| one.established).collect();
    assert_eq!(established, [true, true, false]);
    check_findings(&read, &[]);
}

#[test]
fn an_orderly_close_shows_both_data_fins_and_who_began() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 100);
    connection.close(&mut capture);
    let read = read_one(&capture);
    assert_eq!(read.state, ConnectionState::Closed);
    assert_eq!(read.totals.to_server.data_fin_at, Some(101));
    assert_eq!(read.totals.to_client.data_fin_at, Some(1));
    assert_eq!(read.totals.to_server.unique_bytes, 100);
    let close = read.subflows[0].close;
    assert_eq!((close.kind, close.by), (CloseKind::Fin, CloseSide::Client));
    check_findings(&read, &[]);
}

#[test]
fn both_hosts_may_repeat_the_data_fin_on_every_subflow() {
    let (mut capture, mut connection) = connected(Version::V1);
    let second = connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 100);
    let option = connection.dss_fin(Host::Client);
    connection.say(&mut capture, second, Host::Client, &[option]);
    connection.close(&mut capture);
    let read = read_one(&capture);
    assert_eq!(read.totals.to_server.unique_bytes, 100);
    assert_eq!(read.totals.to_server.data_fin_at, Some(101));
    assert_eq!(read.state, ConnectionState::Closed);
    check_findings(&read, &[]);
}

#[test]
fn a_forged_reset_that_both_hosts_ignore_ends_nothing() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Server, 100);
    // Its sequence number is in the window but not the next one: RFC 5961 asks for a challenge ACK.
    let seq = connection.subflows[0].flow.server.next.wrapping_add(1);
    let flow = &mut connection.subflows[0].flow;
    flow.server.ttl = 200;
    flow.send(&mut capture, End::Server, &Dispatch::new("R").at(seq));
    flow.server.ttl = 64;
    let forged = capture.last_frame();
    connection.send(&mut capture, 0, Host::Client, 100);
    connection.close(&mut capture);
    let read = read_one(&capture);
    let close = read.subflows[0].close;
    assert_eq!((close.kind, close.by), (CloseKind::Fin, CloseSide::Client));
    assert_eq!(read.state, ConnectionState::Closed);
    check_findings(&read, &["MPT061"]);
    assert_eq!(read.findings[0].frames, [forged]);
}

#[test]
fn a_connection_whose_data_fin_nobody_acknowledges_is_not_closed() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Server, 100);
    connection.data_fin(&mut capture, 0, Host::Client);
    let unacknowledged = connection.dss_fin(Host::Server);
    connection.say(&mut capture, 0, Host::Server, &[unacknowledged]);
    // The client's key was changed on the path, say, and all that the server sends is discarded.
    capture.wait_us(200_000);
    connection.send_from(&mut capture, 0, Host::Server, 1, 100);
    let read = read_one(&capture);
    assert_eq!(read.state, ConnectionState::Established);
}

#[test]
fn a_connection_to_a_closed_port_is_a_note() {
    let mut capture = Capture::new();
    let mut flow = wifi();
    let syn = option_bytes(&Connection::new(Version::V1).capable_syn());
    flow.send(&mut capture, End::Client, &Dispatch::syn().options(&syn));
    flow.send(&mut capture, End::Server, &Dispatch::new("RA"));
    let read = read_one(&capture);
    assert_eq!(read.state, ConnectionState::Reset);
    check_findings(&read, &[]);
    assert_eq!(findings(&read, Severity::Note), ["MPT064"]);
}

#[test]
fn an_mptcp_reset_shows_that_the_syn_has_lost_its_option() {
    let mut capture = Capture::new();
    let mut flow = lte();
    flow.send(&mut capture, End::Client, &Dispatch::syn());
    flow.send(&mut capture, End::Server, &Dispatch::syn_ack());
    let reason = option_bytes(&tcp_reset(1));
    flow.send(
        &mut capture,
        End::Client,
        &Dispatch::new("R").options(&reason),
    );
    let read = read_one(&capture);
    check_findings(&read, &["MPT036"]);
}

/// A join whose opener resets it with these options instead of sending the third ACK.
fn given_up(closing: bool, reset: &[MptcpOption]) -> mptcp_analyze::model::Connection {
    let (mut capture, mut connection) = connected(Version::V1);
    let join = connection.adopt(lte(), Host::Client);
    let syn = option_bytes(&connection.join_syn(Host::Client, 1, false));
    let answer = option_bytes(&connection.join_syn_ack(Host::Client, 0, false));
    let (syn, answer) = (
        Dispatch::syn().options(&syn),
        Dispatch::syn_ack().options(&answer),
    );
    connection.dispatch(&mut capture, join, Host::Client, &syn);
    connection.dispatch(&mut capture, join, Host::Server, &answer);
    if closing {
        connection.data_fin(&mut capture, 0, Host::Client);
    }
    connection.reset(&mut capture, join, Host::Client, reset);
    read_one(&capture)
}

#[test]
fn a_join_that_its_opener_gives_up_is_not_called_refused() {
    let read = given_up(false, &[tcp_reset(1)]);
    check_findings(&read, &["MPT032"]);
    let text = &read.findings[0].text;
    assert!(text.contains("given up by the client"), "{text}");
}

#[test]
fn a_join_overtaken_by_the_end_of_its_connection_is_a_note() {
    for read in [given_up(true, &[tcp_reset(3)]), given_up(false, &[])] {
        check_findings(&read, &[]);
        assert!(findings(&read, Severity::Note).contains(&"MPT032"));
    }
}

#[test]
fn a_reset_subflow_is_told_of_though_the_end_stands_before_it_in_the_file() {
    let (mut capture, mut connection) = connected(Version::V1);
    let begin = capture.packets.len();
    let join = connection.join(&mut capture, lte(), Host::Client);
    connection.reset(&mut capture, join, Host::Server, &[tcp_reset(6)]);
    let end = capture.packets.len();
    connection.data_fin(&mut capture, 0, Host::Client);
    connection.data_fin(&mut capture, 0, Host::Server);
    // As a program writes it that captures on two interfaces and empties one of them first.
    let ends = capture.packets.split_off(end);
    capture.packets.splice(begin..begin, ends);
    check_findings(&read_one(&capture), &["MPT060"]);
}

#[test]
fn an_end_that_comes_later_but_stands_before_the_join_excuses_nothing() {
    let (mut capture, mut connection) = connected(Version::V1);
    let begin = capture.packets.len();
    let join = connection.adopt(lte(), Host::Client);
    let syn = option_bytes(&connection.join_syn(Host::Client, 1, false));
    let syn = Dispatch::syn().options(&syn);
    connection.dispatch(&mut capture, join, Host::Client, &syn);
    connection.reset(&mut capture, join, Host::Server, &[tcp_reset(3)]);
    connection.data_fin(&mut capture, 0, Host::Client);
    // As a program writes it that captures on two interfaces and empties one of them first.
    let end = capture.packets.pop().unwrap();
    capture.packets.insert(begin, end);
    check_findings(&read_one(&capture), &["MPT032"]);
}
