//! Captures that kill or fool other tools, each with the numbers that are right.

mod address;
mod classes;
mod close;
mod cut;
mod fallback;
mod grouping;
mod handshake;
mod mapping;
mod option;
mod stream;

use mptcp_analyze::model::{
    Analysis, Connection, Direction, DirectionTotals, PerDirection, Severity, Side, SubflowTotals,
};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{self, Capture, Flow, Host};

/// Reads a crafted capture.
fn read(capture: &Capture) -> Analysis {
    let directory = tempfile::tempdir().unwrap();
    let path = capture.write_pcap(directory.path(), "crafted.pcap");
    let analysis = crate::analyze(&[path]);
    assert_eq!(analysis.captures[0].packets, capture.packets.len() as u64);
    analysis
}

/// Reads a crafted capture that must hold one connection.
#[track_caller]
fn read_one(capture: &Capture) -> Connection {
    let mut analysis = read(capture);
    assert_eq!(analysis.connections.len(), 1, "one connection");
    assert_eq!(analysis.plain_tcp_streams, 0, "no plain stream");
    analysis.connections.remove(0)
}

/// Path of the initial subflow.
fn wifi() -> Flow {
    Flow::new("10.0.1.1:40001", "10.0.9.1:80")
}

/// Path of a subflow that the client opens.
fn lte() -> Flow {
    Flow::new("10.0.2.1:40002", "10.0.9.1:80").with_isns(0xffff_ff00, 5)
}

/// A connection with its initial subflow open.
fn connected(version: Version) -> (Capture, craft::Connection) {
    let mut capture = Capture::new();
    let mut connection = craft::Connection::new(version);
    connection.connect(&mut capture, wifi());
    (capture, connection)
}

/// A connection with DSS checksums and its initial subflow open.
fn connected_with_checksum(version: Version) -> (Capture, craft::Connection) {
    let mut capture = Capture::new();
    let mut connection = craft::Connection::new(version).with_checksum();
    connection.connect(&mut capture, wifi());
    (capture, connection)
}

/// Identifiers of the findings of this severity or worse, each once, ascending.
fn findings(connection: &Connection, severity: Severity) -> Vec<&'static str> {
    let mut ids: Vec<_> = connection
        .findings
        .iter()
        .filter(|finding| finding.severity >= severity)
        .map(|finding| finding.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Findings of warn or worse must be these.
#[track_caller]
fn check_findings(connection: &Connection, expected: &[&str]) {
    let found = findings(connection, Severity::Warn);
    assert_eq!(found, expected, "{:#?}", connection.findings);
}

/// What one direction of a connection must have counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Bytes {
    unique: u64,
    tcp_retransmitted: u64,
    data_retransmitted: u64,
    reinjected: u64,
    spurious: u64,
    unmapped: u64,
}

impl Bytes {
    fn unique(unique: u64) -> Self {
        Self {
            unique,
            ..Self::default()
        }
    }

    fn of_subflow(totals: &SubflowTotals) -> Self {
        Self {
            unique: totals.unique_bytes,
            tcp_retransmitted: totals.tcp_retransmitted_bytes,
            data_retransmitted: totals.data_retransmitted_bytes,
            reinjected: totals.reinjected_bytes,
            spurious: totals.spurious_bytes,
            unmapped: totals.unmapped_bytes,
        }
    }
}

/// Byte classes of each subflow in one direction; their sums must be the connection's.
#[track_caller]
fn check_bytes(connection: &Connection, direction: Direction, expected: &[Bytes]) {
    let found: Vec<Bytes> = connection
        .subflows
        .iter()
        .map(|subflow| Bytes::of_subflow(subflow.totals.of(direction)))
        .collect();
    assert_eq!(found, expected);
    let sum = |field: fn(&Bytes) -> u64| expected.iter().map(field).sum::<u64>();
    let totals = connection.totals.of(direction);
    assert_eq!(totals.unique_bytes, sum(|b| b.unique));
    assert_eq!(
        totals.data_retransmitted_bytes,
        sum(|b| b.data_retransmitted)
    );
    assert_eq!(totals.reinjected_bytes, sum(|b| b.reinjected));
}

/// The data stream of one direction must be the crafted one, whole and from its first byte.
#[track_caller]
fn check_stream(totals: &PerDirection<DirectionTotals>, host: Host, len: usize) {
    use sha2::Digest;
    let direction = match host {
        Host::Client => Direction::ToServer,
        Host::Server => Direction::ToClient,
    };
    let expected = sha2::Sha256::digest(craft::Connection::stream(host, 1, len));
    let totals = totals.of(direction);
    assert_eq!(totals.missing_bytes, 0);
    assert_eq!(totals.unique_bytes, len as u64);
    assert_eq!(totals.stream_sha256.as_ref(), Some(expected.as_ref()));
}

fn side(host: Host) -> Side {
    match host {
        Host::Client => Side::Client,
        Host::Server => Side::Server,
    }
}
