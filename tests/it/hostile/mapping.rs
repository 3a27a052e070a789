//! Mappings and the segments that do not fit them.

use mptcp_analyze::model::{ConnectionState, Direction, EventKind, Severity};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{self, Capture, Connection, Dispatch, Host, option_bytes};

use super::{
    Bytes, check_bytes, check_findings, check_stream, connected, connected_with_checksum, read_one,
    wifi,
};

/// A segment of the client at this SSN, with this option.
fn segment(connection: &Connection, ssn: u32, len: usize, dsn: u64, option: &[u8]) -> Dispatch {
    let isn = connection.subflows[0].flow.client.isn;
    let payload = Connection::stream(Host::Client, dsn, len);
    Dispatch::ack()
        .at(isn.wrapping_add(ssn))
        .options(option)
        .payload(&payload)
}

/// A mapping of the client's stream.
fn mapping(connection: &Connection, dsn: u64, ssn: u32, len: usize) -> Vec<u8> {
    let payload = Connection::stream(Host::Client, dsn, len);
    option_bytes(&connection.dss(Host::Client, dsn, ssn, &payload))
}

#[test]
fn a_segment_may_begin_before_its_mapping() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 100);
    // The second segment carries the last 50 bytes again in front of what it maps.
    let option = mapping(&connection, 101, 101, 200);
    let dispatch = segment(&connection, 51, 250, 51, &option);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 300);
    let expected = Bytes {
        tcp_retransmitted: 50,
        ..Bytes::unique(300)
    };
    check_bytes(&read, Direction::ToServer, &[expected]);
    assert_eq!(read.totals.to_server.checksums.ok, 2);
    check_findings(&read, &[]);
}

#[test]
fn bytes_before_the_only_mapping_of_a_segment_are_unmapped() {
    let (mut capture, mut connection) = connected(Version::V1);
    let option = mapping(&connection, 1, 101, 200);
    let dispatch = segment(&connection, 1, 300, 1, &option);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    let read = read_one(&capture);
    let expected = Bytes {
        unmapped: 100,
        ..Bytes::unique(200)
    };
    check_bytes(&read, Direction::ToServer, &[expected]);
}

#[test]
fn a_segment_may_lie_over_two_mappings() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    let first = mapping(&connection, 1, 1, 100);
    let second = mapping(&connection, 101, 101, 400);
    for dispatch in [
        segment(&connection, 1, 300, 1, &first),
        segment(&connection, 301, 200, 301, &second),
    ] {
        connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    }
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 500);
    check_bytes(&read, Direction::ToServer, &[Bytes::unique(500)]);
    let totals = &read.totals.to_server;
    assert_eq!((totals.mappings, totals.mapping_options), (2, 2));
    assert_eq!(totals.checksums.ok, 2);
    check_findings(&read, &[]);
}

#[test]
fn a_mapping_may_come_after_its_data() {
    let (mut capture, mut connection) = connected(Version::V0);
    connection.mss = 100;
    let first = capture.next_frame();
    connection.send(&mut capture, 0, Host::Client, 300);
    capture.move_frame(first, first + 2);
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 300);
    check_bytes(&read, Direction::ToServer, &[Bytes::unique(300)]);
}

#[test]
fn the_first_of_two_conflicting_mappings_counts_and_the_conflict_is_reported() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 200);
    let option = mapping(&connection, 10_001, 1, 200);
    let dispatch = segment(&connection, 1, 200, 1, &option);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    let frame = capture.last_frame();
    let read = read_one(&capture);
    let expected = Bytes {
        tcp_retransmitted: 200,
        ..Bytes::unique(200)
    };
    check_bytes(&read, Direction::ToServer, &[expected]);
    let expected = EventKind::MappingConflict {
        ssn: 1,
        kept_dsn: 1,
        refused_dsn: 10_001,
    };
    let conflicts: Vec<u64> = read
        .events
        .iter()
        .filter(|event| event.kind == expected)
        .map(|event| event.frame)
        .collect();
    assert_eq!(conflicts, [frame]);
    check_findings(&read, &["MPT043"]);
}

#[test]
fn a_wrong_dss_checksum_is_found_in_its_frame() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 400);
    let mut option = mapping(&connection, 401, 401, 200);
    *option.last_mut().unwrap() ^= 1;
    let dispatch = segment(&connection, 401, 200, 401, &option);
    connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
    let read = read_one(&capture);
    let totals = &read.totals.to_server;
    assert_eq!((totals.checksums.ok, totals.checksums.bad), (1, 1));
    assert_eq!(totals.bad_checksum_frames, [capture.last_frame()]);
    check_findings(&read, &["MPT040"]);
}

#[test]
fn payload_that_was_cut_makes_a_checksum_unverifiable_and_nothing_else() {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 5000);
    capture.cut_to(54 + 40 + 10);
    let read = read_one(&capture);
    let totals = &read.totals.to_server;
    assert_eq!(totals.unique_bytes, 5000);
    assert_eq!(totals.checksums.unverifiable, 1);
    assert_eq!((totals.checksums.ok, totals.checksums.bad), (0, 0));
    check_findings(&read, &[]);
}

/// Three kilobytes across the wrap of the DSN's low half, which lies in the first few hundred.
#[track_caller]
fn check_wrap(mut connection: Connection) {
    let mut capture = Capture::new();
    let wrapped = |dsn: u64| connection.dsn(Host::Client, dsn).low();
    assert!(wrapped(1) > wrapped(3001), "the wrap lies within the data");
    connection.connect(&mut capture, wifi());
    connection.mss = 100;
    for _ in 0..30 {
        connection.send(&mut capture, 0, Host::Client, 100);
        connection.acknowledge(&mut capture, 0, Host::Server);
    }
    connection.close(&mut capture);
    let read = read_one(&capture);
    check_stream(&read.totals, Host::Client, 3000);
    let totals = &read.totals.to_server;
    assert_eq!(totals.range, Some((1, 3001)));
    assert_eq!(totals.data_acked, Some(3002));
    assert_eq!(totals.data_fin_at, Some(3001));
    assert_eq!(totals.mappings, 31);
    check_findings(&read, &[]);
}

#[test]
fn four_byte_dsns_of_version_0_run_across_their_wrap() {
    check_wrap(Connection::new(Version::V0).with_keys(*b"wrap\x00\x0e\xb6\x8b", *b"server-1"));
}

#[test]
fn eight_byte_dsns_with_four_byte_acks_run_across_the_wrap() {
    check_wrap(Connection::new(Version::V1).with_keys(*b"wrap\x00\x40\x31\xd1", *b"server-1"));
}

#[test]
fn eight_byte_acks_with_four_byte_dsns_run_across_the_wrap() {
    let keys = (*b"wrap\x00\x40\x31\xd1", *b"server-1");
    let mut connection = Connection::new(Version::V1).with_keys(keys.0, keys.1);
    connection.wide_dsn = false;
    connection.wide_data_ack = true;
    check_wrap(connection);
}

#[test]
fn a_subflow_may_carry_more_than_four_gibibytes() {
    const SEGMENT: u16 = 65_000;
    const SEGMENTS: u64 = 67_000;
    let total = u64::from(SEGMENT) * SEGMENTS;
    assert!(total > 1 << 32);
    let (mut capture, mut connection) = connected(Version::V1);
    for number in 0..SEGMENTS {
        let dsn = connection.next_data(Host::Client);
        let ssn = connection.subflows[0].flow.next_ssn(craft::End::Client);
        let option = connection.dss_of(Host::Client, dsn, ssn, SEGMENT, None);
        let dispatch = Dispatch::ack()
            .options(&option_bytes(&option))
            .cut_payload(u32::from(SEGMENT));
        connection.dispatch(&mut capture, 0, Host::Client, &dispatch);
        connection.set_next_data(Host::Client, dsn + u64::from(SEGMENT));
        if number % 100 == 99 {
            connection.acknowledge(&mut capture, 0, Host::Server);
        }
    }
    connection.close(&mut capture);
    let read = read_one(&capture);
    check_bytes(&read, Direction::ToServer, &[Bytes::unique(total)]);
    let totals = &read.totals.to_server;
    let end = i64::try_from(total).unwrap() + 1;
    assert_eq!(totals.range, Some((1, end)));
    assert_eq!(totals.wire_bytes, total);
    assert_eq!(totals.mappings, SEGMENTS + 1);
    assert_eq!(totals.missing_bytes, 0);
    assert_eq!(totals.data_acked, Some(end + 1));
    check_findings(&read, &[]);
}

#[test]
fn mappings_behind_the_snaplen_are_no_missing_mappings() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 1000);
    // Ethernet, IPv4, TCP, and ten bytes of the DSS.
    connection.close(&mut capture);
    for packet in &mut capture.packets[3..] {
        packet.bytes.truncate(64);
    }
    let read = read_one(&capture);
    assert_eq!(read.state, ConnectionState::Closed);
    assert_eq!(read.subflows[0].totals.to_server.unmapped_bytes, 1000);
    check_findings(&read, &[]);
}

/// Five ACKs of the server, of which those with these numbers have no option.
fn check_bare_acks(bare: &[u64], expected: &[&str]) {
    let (mut capture, mut connection) = connected(Version::V1);
    for number in 0..5 {
        connection.send(&mut capture, 0, Host::Client, 100);
        connection.acknowledge(&mut capture, 0, Host::Server);
        if bare.contains(&number) {
            let frame = capture.last_frame();
            capture.strip_mptcp(frame);
        }
    }
    let read = read_one(&capture);
    assert_eq!(super::findings(&read, Severity::Note), expected, "{bare:?}");
}

#[test]
fn acks_without_data_ack_between_others_are_told_from_a_host_that_went_on_without() {
    check_bare_acks(&[], &[]);
    check_bare_acks(&[1, 2], &[]);
    check_bare_acks(&[1, 2, 3], &["MPT045"]);
    check_bare_acks(&[0, 1, 3], &[]);
    check_bare_acks(&[2, 3, 4], &[]);
}

#[test]
fn a_mapping_that_comes_again_with_another_length_or_checksum_is_noted() {
    for (version, has_checksum) in [
        (Version::V0, true),
        (Version::V1, false),
        (Version::V1, true),
    ] {
        let connect = if has_checksum {
            connected_with_checksum
        } else {
            connected
        };
        let (mut capture, mut connection) = connect(version);
        let good = mapping(&connection, 1, 1, 300);
        let first = segment(&connection, 1, 100, 1, &good);
        connection.dispatch(&mut capture, 0, Host::Client, &first);
        let mut other = if has_checksum {
            good.clone()
        } else {
            mapping(&connection, 1, 1, 400)
        };
        if has_checksum {
            *other.last_mut().unwrap() ^= 1;
        }
        let second = segment(&connection, 101, 100, 101, &other);
        connection.dispatch(&mut capture, 0, Host::Client, &second);
        let third = segment(&connection, 201, 100, 201, &good);
        connection.dispatch(&mut capture, 0, Host::Client, &third);
        let read = read_one(&capture);
        check_stream(&read.totals, Host::Client, 300);
        assert_eq!(super::findings(&read, Severity::Note), ["MPT049"]);
    }
}

#[test]
fn a_mapping_that_comes_again_with_a_data_fin_is_the_same() {
    let (mut capture, mut connection) = connected(Version::V1);
    connection.send(&mut capture, 0, Host::Client, 100);
    let mut with_fin = connection.dss(Host::Client, 1, 1, &[0; 101]);
    if let mptcp_proto::wire::mptcp::MptcpOption::Dss(dss) = &mut with_fin {
        dss.data_fin = true;
    }
    let again = segment(&connection, 1, 100, 1, &option_bytes(&with_fin));
    connection.dispatch(&mut capture, 0, Host::Client, &again);
    assert_eq!(
        super::findings(&read_one(&capture), Severity::Note),
        [""; 0]
    );
}

#[test]
fn a_segment_that_is_sent_again_and_again_tells_of_a_dead_path() {
    for (times, expected) in [(2, &[][..]), (3, &["MPT066"][..])] {
        let (mut capture, mut connection) = connected(Version::V1);
        connection.send(&mut capture, 0, Host::Client, 100);
        let option = mapping(&connection, 1, 1, 100);
        for _ in 0..times {
            let again = segment(&connection, 1, 100, 1, &option);
            connection.dispatch(&mut capture, 0, Host::Client, &again);
            capture.wait_us(1_000_000);
        }
        let read = read_one(&capture);
        assert_eq!(super::findings(&read, Severity::Note), expected);
    }
}
