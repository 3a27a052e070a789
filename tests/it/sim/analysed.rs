//! What the analyzer makes of a run: each is recorded at both hosts.

use std::collections::BTreeSet;
use std::io::Cursor;

use mptcp_analyze::capture::Captures;
use mptcp_analyze::model::{Analysis, Blame, Severity};
use mptcp_analyze::rebuild::RebuildOptions;
use mptcp_tests::sim::{CLIENT, HostId, Kept, Net, SERVER};

use super::bulk::Bulk;

/// What the analyzer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who caused the fallback.
    pub(super) by: Option<Blame>,
    /// Findings that are warnings or worse.
    pub(super) findings: Vec<&'static str>,
    /// Their texts.
    pub(super) texts: Vec<String>,
    /// All findings, notes among them.
    pub(super) all: BTreeSet<String>,
    /// Connections of MPTCP and of TCP.
    pub(super) streams: u64,
}

impl Seen {
    /// What was recorded at a host.
    pub(super) fn at(net: &Net, host: HostId) -> Self {
        Self::of(&analysis(net, host))
    }

    pub(super) fn of(analysis: &Analysis) -> Self {
        let connections = analysis.connections.iter();
        let mut by = None;
        let mut found = Vec::new();
        for connection in connections {
            by = by.or(connection.fallback.as_ref().map(|fallback| fallback.by));
            found.extend(&connection.findings);
        }
        found.extend(&analysis.findings);
        let all = found
            .iter()
            .map(|finding| format!("{} {}", finding.id, finding.text))
            .collect();
        found.retain(|finding| finding.severity >= Severity::Warn);
        let mut findings: Vec<&'static str> = found.iter().map(|finding| finding.id).collect();
        findings.sort_unstable();
        findings.dedup();
        let texts = found
            .iter()
            .map(|finding| format!("{} {}", finding.id, finding.text))
            .collect();
        Self {
            by,
            findings,
            texts,
            all,
            streams: analysis.connections.len() as u64 + analysis.plain_tcp_streams,
        }
    }
}

/// What the analyzer makes of what was recorded at a host.
pub(super) fn analysis(net: &Net, host: HostId) -> Analysis {
    let pcapng = net.pcapng(host, None).expect("it was recorded");
    let options = RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        ..RebuildOptions::default()
    };
    let captures = Captures::from_reader("client.pcapng", Cursor::new(pcapng));
    mptcp_analyze::analyze(captures.expect("the recording is a capture"), options)
}

/// Records the headers of both hosts' packets: enough for all but the checksums.
pub(super) fn record_headers(net: &mut Net) {
    for host in [CLIENT, SERVER] {
        let kept = Kept {
            packets: MOST_PACKETS,
            of_each: HEADERS,
            ..Kept::default()
        };
        net.record_only(host, kept);
    }
}

/// What the analyzer finds at an end of a run without a box: a warning that is not `known`, a host that it blames, or no
/// connection at all.
pub(super) fn complaint(net: &Net, known: &[&str]) -> Option<String> {
    let mut ends = [CLIENT, SERVER].into_iter();
    ends.find_map(|host| {
        let Seen {
            by, texts, streams, ..
        } = Seen::at(net, host);
        let is_known = texts.iter().all(|text| known.contains(&text.as_str()));
        let is_clean = is_known && by.is_none() && streams > 0;
        (!is_clean).then(|| format!("{host:?}: {by:?} {texts:?} {streams} # {}", net.scenario()))
    })
}

/// Of IPv4 without options, and of TCP with all that it may have.
const HEADERS: usize = 20 + 60;

/// More than any run has.
const MOST_PACKETS: usize = 200_000;

#[test]
fn headers_alone_show_what_a_box_did_to_a_bulk_transfer() {
    let links = ["10mbit 5ms | strip:option=mp_capable,on=synack | 5ms"];
    let (_, complaint) = Bulk::over(&links).lasting(6).run_and_look();
    let text = complaint.unwrap();
    assert!(text.contains("MPT010"), "{text}");
}
