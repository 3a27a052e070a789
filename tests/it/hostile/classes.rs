//! Every repeated byte has one class.

use mptcp_analyze::model::Direction;
use mptcp_proto::version::Version;
use mptcp_tests::craft::Host;

use super::{Bytes, check_bytes, check_findings, check_stream, connected, lte, read_one};

#[test]
fn a_repeated_segment_is_a_tcp_retransmission() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    let lost = capture.last_frame();
    connection.send(&mut capture, 0, Host::Client, 1000);
    // Time passes, and another packet comes between: no copy made by the capturing program.
    capture.wait_us(200_000);
    capture.repeat(lost);
    let read = read_one(&capture);
    let expected = Bytes {
        tcp_retransmitted: 1000,
        ..Bytes::unique(2000)
    };
    check_bytes(&read, Direction::ToServer, &[expected]);
    let totals = &read.totals.to_server;
    assert_eq!((totals.mappings, totals.mapping_options), (2, 3));
    assert_eq!(totals.wire_bytes, 3000);
}

#[test]
fn an_old_dsn_under_a_new_ssn_is_a_data_retransmission() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    connection.send_from(&mut capture, 0, Host::Client, 501, 500);
    let read = read_one(&capture);
    let expected = Bytes {
        data_retransmitted: 500,
        ..Bytes::unique(1000)
    };
    check_bytes(&read, Direction::ToServer, &[expected]);
    check_stream(&read.totals, Host::Client, 1000);
    check_findings(&read, &[]);
}

#[test]
fn an_old_dsn_on_another_subflow_is_a_reinjection() {
    let (mut capture, mut connection) = connected(Version::V1);
    let second = connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 3000);
    connection.send_from(&mut capture, second, Host::Client, 2001, 1000);
    connection.send(&mut capture, second, Host::Client, 700);
    let read = read_one(&capture);
    let on_second = Bytes {
        reinjected: 1000,
        ..Bytes::unique(700)
    };
    check_bytes(
        &read,
        Direction::ToServer,
        &[Bytes::unique(3000), on_second],
    );
    check_stream(&read.totals, Host::Client, 3700);
    check_findings(&read, &[]);
}

#[test]
fn bytes_that_repeat_what_was_acknowledged_are_spurious() {
    let (mut capture, mut connection) = connected(Version::V1);
    let second = connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 1000);
    connection.acknowledge(&mut capture, 0, Host::Server);
    connection.send(&mut capture, 0, Host::Client, 500);
    connection.send_from(&mut capture, second, Host::Client, 501, 1000);
    let read = read_one(&capture);
    let on_second = Bytes {
        reinjected: 1000,
        spurious: 500,
        ..Bytes::default()
    };
    check_bytes(
        &read,
        Direction::ToServer,
        &[Bytes::unique(1500), on_second],
    );
}

#[test]
fn a_mapping_repeated_in_each_segment_is_neither() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 20_000);
    connection.close(&mut capture);
    let read = read_one(&capture);
    check_bytes(&read, Direction::ToServer, &[Bytes::unique(20_000)]);
    let totals = &read.totals.to_server;
    assert_eq!((totals.mappings, totals.mapping_options), (2, 21));
    check_findings(&read, &[]);
}

#[test]
fn the_mapping_of_mp_capable_with_data_is_one_however_often_it_is_repeated() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send_with_capable(&mut capture, 0, 2500);
    connection.send(&mut capture, 0, Host::Client, 500);
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 3000);
    let totals = &read.totals.to_server;
    assert_eq!((totals.mappings, totals.mapping_options), (2, 4));
    check_findings(&read, &[]);
}

#[test]
fn equal_packets_of_a_host_that_numbers_none_are_no_copies() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 100);
    connection.acknowledge(&mut capture, 0, Host::Server);
    let ack = capture.last_frame();
    for _ in 0..3 {
        capture.repeat(ack);
    }
    // Identification 1 in every packet, as a hand-made stack writes it.
    for packet in &mut capture.packets {
        packet.bytes[18..20].copy_from_slice(&[0, 1]);
    }
    let read = read_one(&capture);
    let subflow = &read.subflows[0];
    assert_eq!((subflow.packets, subflow.duplicate_packets), (8, 0));
    assert_eq!(subflow.totals.to_client.options.data_ack4, 4);
}

#[test]
fn copies_of_a_second_capture_point_are_counted_once() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 3000);
    let routed: Vec<_> = capture.packets.clone();
    capture.packets.clear();
    for packet in routed {
        let mut behind = packet.clone();
        // One hop further: TTL less by one.
        behind.bytes[22] -= 1;
        behind.at_us += 50;
        capture.packets.extend([packet, behind]);
    }
    let read = read_one(&capture);
    let subflow = &read.subflows[0];
    assert_eq!((subflow.packets, subflow.duplicate_packets), (12, 6));
    check_bytes(&read, Direction::ToServer, &[Bytes::unique(3000)]);
    assert_eq!(read.totals.to_server.wire_bytes, 3000);
}

#[test]
fn a_copy_may_be_a_whole_device_queue_behind() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    let before = capture.packets.len();
    for _ in 0..5 {
        connection.send(&mut capture, 0, Host::Client, 60_000);
    }
    let mut queued = capture.packets.split_off(before);
    let behind = |packet: &mptcp_tests::craft::Packet| {
        let mut behind = packet.clone();
        behind.bytes[22] -= 1;
        behind.at_us += 400_000;
        behind
    };
    let first: Vec<_> = capture.packets.iter().map(behind).collect();
    let copies: Vec<_> = queued.iter().map(behind).collect();
    capture.packets.extend(first);
    capture.packets.append(&mut queued);
    capture.packets.extend(copies);
    let read = read_one(&capture);
    assert_eq!(read.subflows[0].duplicate_packets, 304);
    assert_eq!(read.totals.to_server.wire_bytes, 301_000);
}
