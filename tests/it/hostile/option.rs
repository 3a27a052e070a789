//! Option areas that do not add up.

use mptcp_analyze::model::{ConnectionState, EventKind};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Dispatch, Host};

use super::{check_findings, check_stream, connected, read_one};

/// Puts a broken option area in the middle of a transfer, which must not suffer from it.
#[track_caller]
fn check_broken_area(area: &[u8], finding: &str) {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1500);
    connection.dispatch(&mut capture, 0, Host::Server, &Dispatch::ack().area(area));
    let frame = capture.last_frame();
    connection.send(&mut capture, 0, Host::Client, 1500);
    connection.close(&mut capture);
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 3000);
    assert_eq!(read.state, ConnectionState::Closed);
    check_findings(&read, &[finding]);
    let shown = read.findings.iter().find(|f| f.id == finding).unwrap();
    assert_eq!(shown.frames, [frame]);
}

#[test]
fn a_length_of_zero_is_reported_and_ends_the_area() {
    check_broken_area(&[1, 1, 30, 0], "MPT002");
}

#[test]
fn a_length_of_one_is_reported_and_ends_the_area() {
    check_broken_area(&[30, 1, 0x20, 1], "MPT002");
}

#[test]
fn a_length_past_the_header_is_reported() {
    check_broken_area(&[30, 40, 0x20, 1, 0, 0, 0, 0], "MPT002");
}

#[test]
fn a_kind_without_length_at_the_end_is_reported() {
    check_broken_area(&[1, 1, 1, 30], "MPT002");
}

#[test]
fn a_dss_shorter_than_its_flags_promise_is_reported() {
    check_broken_area(&[30, 4, 0x20, 0x0f], "MPT001");
}

#[test]
fn an_mptcp_option_of_two_bytes_is_reported() {
    check_broken_area(&[1, 1, 30, 2], "MPT001");
}

#[test]
fn good_options_before_a_broken_one_count() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 500);
    let mut area = mptcp_tests::craft::option_bytes(&connection.dss_ack(Host::Server));
    area.extend([30, 0, 0, 0]);
    connection.dispatch(&mut capture, 0, Host::Server, &Dispatch::ack().area(&area));
    let read = read_one(&capture);
    assert_eq!(read.totals.to_server.data_acked, Some(501));
    let events = read.events.iter().map(|event| &event.kind);
    let broken =
        events.filter(|kind| matches!(kind, EventKind::MalformedOptionArea { mptcp: true, .. }));
    assert_eq!(broken.count(), 1);
}
