//! Fallback to regular TCP: why, where, and who.

use mptcp_analyze::model::{Blame, Confidence, ConnectionState, FallbackReason};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Connection, Dispatch, End, Host, option_bytes, tcp_reset};

use super::{check_findings, connected, connected_with_checksum, lte, read_one};

#[test]
fn options_stripped_in_mid_stream_are_blamed_on_the_path() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 3000);
    connection.acknowledge(&mut capture, 0, Host::Server);
    let first = capture.next_frame();
    connection.send(&mut capture, 0, Host::Client, 2000);
    connection.acknowledge(&mut capture, 0, Host::Server);
    for frame in first..=capture.last_frame() {
        capture.strip_mptcp(frame);
    }
    // Both ends have fallen back by then.
    connection.send_bare(&mut capture, 0, Host::Client, 1000);
    connection.send_bare(&mut capture, 0, Host::Server, 500);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::StrippedMidStream);
    assert_eq!(fallback.frame, first);
    assert_eq!(fallback.by, Blame::Path);
    assert_eq!(fallback.confidence, Confidence::Likely);
    assert_eq!(read.state, ConnectionState::FallenBack);
    let totals = &read.subflows[0].totals;
    assert_eq!(totals.to_server.unique_bytes, 3000);
    assert_eq!(totals.to_server.unmapped_bytes, 3000);
    assert_eq!(totals.to_client.unmapped_bytes, 500);
    assert_eq!(read.subflows[0].packets, capture.packets.len() as u64);
}

#[test]
fn a_third_ack_without_the_option_is_a_fallback() {
    let (mut capture, mut connection) = connected(Version::V1);
    capture.strip_mptcp(3);
    connection.send_bare(&mut capture, 0, Host::Client, 1000);
    connection.send_bare(&mut capture, 0, Host::Server, 1000);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::ThirdAckOptionMissing);
    assert_eq!(fallback.frame, 3);
    assert_eq!(read.subflows[0].totals.to_server.unmapped_bytes, 1000);
}

#[test]
fn answers_with_the_option_that_are_lost_are_told_from_one_that_lost_it() {
    let (mut capture, mut connection) = connected(Version::V1);
    // The client hears nothing, and at last asks without the option (RFC 8684 §3.9.3).
    for frame in [1, 2, 1, 2, 3] {
        capture.repeat(frame);
    }
    for frame in 6..=8 {
        // An option that has nothing to do with MPTCP.
        capture.rewrite_tcp(frame, |area| {
            let kind = area.windows(2).position(|bytes| bytes[0] == 30);
            area[kind.unwrap()] = 76;
        });
    }
    capture.drop_frame(3);
    connection.send_bare(&mut capture, 0, Host::Client, 1000);
    connection.send_bare(&mut capture, 0, Host::Server, 1000);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::ThirdAckOptionMissing);
    assert_eq!(fallback.by, Blame::Path);
    let text = "the SYN/ACK with MP_CAPABLE stayed without answer";
    assert!(fallback.text.starts_with(text), "{}", fallback.text);
}

#[test]
fn first_data_without_a_mapping_are_a_fallback() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send_bare(&mut capture, 0, Host::Client, 1000);
    let first = capture.last_frame();
    connection.send_bare(&mut capture, 0, Host::Server, 1000);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::DataOptionMissing);
    assert_eq!(fallback.frame, first);
}

#[test]
fn the_infinite_mapping_alone_says_no_cause() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Server, 1000);
    let ssn = connection.subflows[0].flow.next_ssn(End::Server);
    let option = connection.dss_of(Host::Server, 1001, ssn, 0, None);
    let payload = Connection::stream(Host::Server, 1001, 500);
    let dispatch = Dispatch::ack()
        .options(&option_bytes(&option))
        .payload(&payload);
    connection.dispatch(&mut capture, 0, Host::Server, &dispatch);
    let frame = capture.last_frame();
    connection.set_next_data(Host::Server, 1501);
    connection.send_bare(&mut capture, 0, Host::Server, 700);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::InfiniteMapping);
    assert_eq!(fallback.frame, frame);
    assert_eq!(fallback.by, Blame::Unknown);
    assert_eq!(fallback.confidence, Confidence::Proven);
    assert!(
        fallback
            .text
            .contains("the server sent the infinite mapping")
    );
    assert_eq!(read.state, ConnectionState::FallenBack);
    // The infinite mapping maps all that comes (RFC 8684 §3.7).
    let totals = &read.subflows[0].totals.to_client;
    assert_eq!((totals.unique_bytes, totals.unmapped_bytes), (2200, 0));
    super::check_stream(&read.totals, Host::Server, 2200);
}

#[test]
fn an_infinite_mapping_that_answers_bare_data_is_not_the_cause() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    connection.send(&mut capture, 0, Host::Server, 1000);
    // The client is TCP from here on, whatever made it so.
    connection.send_bare(&mut capture, 0, Host::Client, 500);
    let first = capture.last_frame();
    let ssn = connection.subflows[0].flow.next_ssn(End::Server);
    let option = connection.dss_of(Host::Server, 1001, ssn, 0, None);
    let payload = Connection::stream(Host::Server, 1001, 500);
    let dispatch = Dispatch::ack()
        .options(&option_bytes(&option))
        .payload(&payload);
    connection.dispatch(&mut capture, 0, Host::Server, &dispatch);
    connection.set_next_data(Host::Server, 1501);
    connection.send_bare(&mut capture, 0, Host::Client, 500);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::StrippedMidStream);
    assert_eq!(fallback.frame, first);
    assert_ne!(fallback.by, Blame::Server);
}

#[test]
fn mp_fail_with_the_wrong_checksum_in_sight_is_proven() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 500);
    let payload = Connection::stream(Host::Client, 501, 300);
    let mut option = option_bytes(&connection.dss(Host::Client, 501, 501, &payload));
    *option.last_mut().unwrap() ^= 0x10;
    let dispatch = Dispatch::ack().options(&option).payload(&payload);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    connection.set_next_data(Host::Client, 801);
    let fail = connection.fail(Host::Client, 501);
    connection.say(&mut capture, 0, Host::Server, &[fail]);
    let frame = capture.last_frame();
    let ssn = connection.subflows[0].flow.next_ssn(End::Client);
    let infinite = connection.dss_of(Host::Client, 801, ssn, 0, Some(0));
    let dispatch = Dispatch::ack()
        .options(&option_bytes(&infinite))
        .payload(&Connection::stream(Host::Client, 801, 100));
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    connection.send_bare(&mut capture, 0, Host::Client, 200);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::MpFail);
    assert_eq!(fallback.frame, frame);
    assert_eq!(fallback.by, Blame::Path);
    assert_eq!(fallback.confidence, Confidence::Proven);
    assert_eq!(read.totals.to_server.checksums.bad, 1);
    let ids = super::findings(&read, mptcp_analyze::model::Severity::Warn);
    assert_eq!(ids, ["MPT010", "MPT040", "MPT041"]);
}

#[test]
fn a_clean_connection_has_not_fallen_back() {
    for version in [Version::V0, Version::V1] {
        let (mut capture, mut connection) = connected_with_checksum(version);
        connection.send(&mut capture, 0, Host::Client, 2500);
        connection.acknowledge(&mut capture, 0, Host::Server);
        connection.send(&mut capture, 0, Host::Server, 2500);
        connection.acknowledge(&mut capture, 0, Host::Client);
        connection.close(&mut capture);
        let read = read_one(&capture);
        assert_eq!(read.fallback, None);
        assert_eq!(read.state, ConnectionState::Closed);
        assert_eq!(read.checksum, Some(true));
        assert_eq!(read.totals.to_server.checksums.ok, 2);
        assert_eq!(read.totals.to_client.checksums.ok, 2);
        check_findings(&read, &[]);
    }
}

#[test]
fn a_bare_third_ack_counts_even_if_mp_capable_comes_with_the_first_data() {
    let (mut capture, mut connection) = connected(Version::V1);
    capture.strip_mptcp(3);
    connection.send_with_capable(&mut capture, 0, 500);
    // The server has fallen back on the third ACK (Linux: MPCapableFallbackACK).
    connection.send_bare(&mut capture, 0, Host::Server, 400);
    connection.send_bare(&mut capture, 0, Host::Client, 300);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.reason, FallbackReason::ThirdAckOptionMissing);
    assert_eq!((fallback.frame, fallback.by), (3, Blame::Path));
}

#[test]
fn bytes_put_into_mapped_data_are_blamed_on_the_path_and_not_on_who_falls_back() {
    let (mut capture, mut connection) = connected(Version::V1);
    // Captured at the server.
    connection.subflows[0].flow.client.ttl = 63;
    connection.send(&mut capture, 0, Host::Client, 500);
    connection.acknowledge(&mut capture, 0, Host::Server);
    let payload = Connection::stream(Host::Client, 501, 300);
    let option = option_bytes(&connection.dss(Host::Client, 501, 501, &payload));
    let longer = [&payload[..], b"XXX"].concat();
    let dispatch = Dispatch::ack().options(&option).payload(&longer);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    connection.send_bare(&mut capture, 0, Host::Server, 400);
    connection.send_bare(&mut capture, 0, Host::Client, 300);
    let read = read_one(&capture);
    let fallback = read.fallback.as_ref().unwrap();
    assert_eq!(fallback.by, Blame::Path, "{}", fallback.text);
    assert_eq!(read.totals.to_server.unique_bytes, 800);
}

#[test]
fn a_joined_subflow_without_options_is_reset_and_the_connection_goes_on() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    let join = connection.join(&mut capture, lte(), Host::Client);
    let next = connection.next_data(Host::Client);
    connection.send_bare(&mut capture, join, Host::Client, 1000);
    connection.reset(&mut capture, join, Host::Server, &[tcp_reset(6)]);
    // RFC 8684 §3.7: sent again on the other subflow, which then ends as usual.
    connection.set_next_data(Host::Client, next);
    connection.send(&mut capture, 0, Host::Client, 1000);
    connection.data_fin(&mut capture, 0, Host::Client);
    connection.data_fin(&mut capture, 0, Host::Server);
    connection.fin(&mut capture, 0, Host::Client);
    let read = read_one(&capture);
    assert_eq!(read.fallback, None);
    assert_eq!(read.state, ConnectionState::Closed);
    check_findings(&read, &["MPT060"]);
}
