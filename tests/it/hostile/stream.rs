//! Which copy of a byte belongs into the data stream: the one that its receiver took.

use mptcp_analyze::model::Direction;
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Host, tcp_reset};
use sha2::{Digest, Sha256};

use super::{connected_with_checksum, lte, read_one};

/// The data stream must be what the client's application wrote.
#[track_caller]
fn check_stream(capture: &Capture, len: usize) {
    let read = read_one(capture);
    let totals = read.totals.of(Direction::ToServer);
    assert_eq!(totals.unique_bytes, len as u64);
    let written: [u8; 32] = Sha256::digest(Connection::stream(Host::Client, 1, len)).into();
    assert_eq!(totals.stream_sha256, Some(written));
}

/// Changes a payload byte of a packet as a box does that corrects the TCP checksum.
fn change_payload(capture: &mut Capture, frame: u64) {
    capture.rewrite_payload(frame, |payload| *payload.last_mut().unwrap() ^= 0x55);
}

#[test]
fn bytes_under_a_wrong_checksum_give_way_to_their_reinjection() {
    for version in Version::ALL {
        let (mut capture, mut connection) = connected_with_checksum(version);
        connection.join(&mut capture, lte(), Host::Client);
        connection.send(&mut capture, 0, Host::Client, 500);
        connection.send(&mut capture, 1, Host::Client, 300);
        let changed = capture.last_frame();
        change_payload(&mut capture, changed);
        let reset = [tcp_reset(6)];
        connection.reset(
            &mut capture,
            1,
            Host::Server,
            &reset[..usize::from(version == Version::V1)],
        );
        connection.send_from(&mut capture, 0, Host::Client, 501, 300);
        connection.send(&mut capture, 0, Host::Client, 200);
        check_stream(&capture, 1000);
    }
}

#[test]
fn bytes_sent_to_a_reset_subflow_give_way_to_their_reinjection() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 500);
    connection.reset(&mut capture, 1, Host::Server, &[tcp_reset(6)]);
    // Still under way when the reset was sent; nobody verifies it any more.
    connection.send(&mut capture, 1, Host::Client, 300);
    let changed = capture.last_frame();
    change_payload(&mut capture, changed);
    connection.send_from(&mut capture, 0, Host::Client, 501, 300);
    connection.send(&mut capture, 0, Host::Client, 200);
    check_stream(&capture, 1000);
}

#[test]
fn bytes_under_a_wrong_checksum_stay_where_no_other_copy_comes() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 500);
    connection.send(&mut capture, 0, Host::Client, 300);
    let changed = capture.last_frame();
    change_payload(&mut capture, changed);
    connection.say(
        &mut capture,
        0,
        Host::Server,
        &[connection.fail(Host::Server, 501)],
    );
    connection.send_bare(&mut capture, 0, Host::Client, 200);
    let read = read_one(&capture);
    let mut taken = Connection::stream(Host::Client, 1, 1000);
    taken[799] ^= 0x55;
    let taken: [u8; 32] = Sha256::digest(&taken).into();
    assert_eq!(read.totals.to_server.stream_sha256, Some(taken));
}
