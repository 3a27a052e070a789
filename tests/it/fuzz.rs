//! The whole analyzer on captures whose packets were mutated: no panic, and the books balance.

use std::io::Cursor;

use mptcp_analyze::capture::{Captures, Content};
use mptcp_analyze::model::{Analysis, Connection, Direction};
use mptcp_analyze::rebuild::{RebuildOptions, Rebuilder};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{self, Capture, Flow, Host, JoinPlan, prio, remove_addr, tcp_reset};

/// Mutated inputs when nobody asked for another number.
const DEFAULT_RUNS: u64 = 20_000;
const SEED: u64 = 8684;

#[test]
fn the_books_balance_on_mutated_packets() {
    let corpus: Vec<Vec<u8>> = [Version::V0, Version::V1].map(corpus_of).into();
    for input in &corpus {
        analyzer(input);
    }
    mptcp_fuzz::run_mutated(analyzer, &corpus, runs(), SEED);
}

/// How many mutated inputs to run: `MPTCP_FUZZ_RUNS`, or the default.
fn runs() -> u64 {
    match std::env::var("MPTCP_FUZZ_RUNS") {
        Ok(text) => text.parse().expect("MPTCP_FUZZ_RUNS is a number"),
        Err(_) => DEFAULT_RUNS,
    }
}

/// Packets, each after its length in two bytes: a mutation then hits packets and their order, not
/// the records of a file around them.
fn corpus_of(version: Version) -> Vec<u8> {
    let mut input = Vec::new();
    for packet in everything(version).packets {
        let len = u16::try_from(packet.bytes.len()).unwrap();
        input.extend(len.to_be_bytes());
        input.extend(packet.bytes);
    }
    input
}

/// A capture with every option in it.
fn everything(version: Version) -> Capture {
    let mut capture = Capture::new();
    let mut connection = craft::Connection::new(version).with_checksum();
    connection.mss = 20;
    let flow = Flow::new("10.0.1.1:40001", "10.0.9.1:80").with_isns(0xffff_fff0, 3);
    connection.connect(&mut capture, flow);
    let flow = Flow::new("[2001:db8::2]:40002", "[2001:db8::9]:80");
    connection.join(&mut capture, flow, Host::Client);
    let flow = Flow::new("10.0.9.2:81", "10.0.3.1:40003");
    connection.join_as(&mut capture, flow, &JoinPlan::by(Host::Server));
    let options = [connection.add_addr(Host::Server, 4, "10.0.9.3", Some(9))];
    connection.say(&mut capture, 0, Host::Server, &options);
    connection.send(&mut capture, 0, Host::Client, 50);
    connection.send(&mut capture, 1, Host::Server, 30);
    connection.send(&mut capture, 2, Host::Client, 30);
    connection.send_from(&mut capture, 1, Host::Client, 31, 40);
    connection.say(
        &mut capture,
        1,
        Host::Client,
        &[prio(true), remove_addr(&[4])],
    );
    let options = [connection.fail(Host::Client, 31)];
    connection.say(&mut capture, 0, Host::Server, &options);
    let options = [connection.dss_of(Host::Client, 81, 51, 0, Some(0))];
    connection.say(&mut capture, 0, Host::Client, &options);
    connection.send_bare(&mut capture, 0, Host::Client, 20);
    connection.data_fin(&mut capture, 2, Host::Server);
    let mut options = vec![connection.fast_close(Host::Client)];
    if version == Version::V1 {
        options.push(tcp_reset(1));
    }
    connection.reset(&mut capture, 0, Host::Client, &options);
    capture
}

/// The fuzz body.
fn analyzer(data: &[u8]) {
    let mut capture = Capture::new();
    let mut rest = data;
    while let Some((len, packets)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes(*len)).min(packets.len());
        let (packet, after) = packets.split_at(len);
        capture.push(packet.to_vec());
        rest = after;
    }
    check_balance(&rebuild(&capture));
}

fn rebuild(capture: &Capture) -> Analysis {
    let mut captures = Captures::from_reader("fuzz", Cursor::new(capture.pcap_bytes())).unwrap();
    let mut rebuilder = Rebuilder::new(RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        note_packets: true,
        ..RebuildOptions::default()
    });
    while let Some(packet) = captures.next_packet() {
        if let Content::Tcp(segment) = &packet.content {
            rebuilder.push(segment);
        }
    }
    let mut analysis = rebuilder.finish();
    mptcp_analyze::check::run(&mut analysis);
    analysis
}

/// Each byte is in one class, and what the subflows say adds up to what the connection says.
fn check_balance(analysis: &Analysis) {
    for connection in &analysis.connections {
        for direction in Direction::BOTH {
            check_direction(connection, direction);
        }
    }
}

fn check_direction(connection: &Connection, direction: Direction) {
    let totals = connection.totals.of(direction);
    let (mut unique, mut reinjected, mut again, mut wire) = (0, 0, 0, 0);
    for subflow in &connection.subflows {
        let subflow = subflow.totals.of(direction);
        let classed = subflow.unique_bytes
            + subflow.reinjected_bytes
            + subflow.data_retransmitted_bytes
            + subflow.tcp_retransmitted_bytes
            + subflow.unmapped_bytes;
        assert!(
            classed <= subflow.wire_bytes,
            "{classed} of {}",
            subflow.wire_bytes
        );
        unique += subflow.unique_bytes;
        reinjected += subflow.reinjected_bytes;
        again += subflow.data_retransmitted_bytes;
        wire += subflow.wire_bytes;
    }
    assert_eq!(unique, totals.unique_bytes);
    assert_eq!(reinjected, totals.reinjected_bytes);
    assert_eq!(again, totals.data_retransmitted_bytes);
    assert_eq!(wire, totals.wire_bytes);
    assert!(totals.mappings <= totals.mapping_options);
}
