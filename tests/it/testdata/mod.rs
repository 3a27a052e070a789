//! The project's own captures against what the kernel and the applications said.

mod counters;
mod manifest;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use mptcp_analyze::model::{
    CaptureEnd, CloseKind, Connection, ConnectionState, Direction, Fallback, FallbackReason,
    Severity, Side, Subflow as Ours,
};

use manifest::{Manifest, Place, Sides};

/// Runs a check on the connection that each capture of the manifest is about. It is the longest one: a
/// join that lost its token on the way is a connection of its own.
#[track_caller]
fn check_all(check: impl Fn(&Place<'_>, &Connection) -> Vec<String>) {
    let packets = |connection: &&Connection| -> u64 {
        let packets = connection.subflows.iter().map(|subflow| subflow.packets);
        packets.sum()
    };
    check_captures(|place, connections| {
        let longest = connections.iter().max_by_key(packets);
        longest.map_or_else(Vec::new, |connection| check(place, connection))
    });
}

/// Runs a check on every capture of the manifest, all of them before it fails.
#[track_caller]
fn check_captures(check: impl Fn(&Place<'_>, &[Connection]) -> Vec<String>) {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata"));
    let text = std::fs::read_to_string(root.join("MANIFEST.toml")).unwrap();
    let manifest: Manifest = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for scenario in &manifest.scenario {
        for file in &scenario.capture {
            let analysis = crate::analyze(&[root.join(&file.path)]);
            let name = format!("{} ({})", file.path.display(), scenario.name);
            let capture = &analysis.captures[0];
            if capture.packets != file.packets || capture.end != CaptureEnd::Complete {
                wrong.push(format!(
                    "{name}: {} packets, {:?}",
                    capture.packets, capture.end
                ));
            }
            let connections = &analysis.connections;
            if connections.len() != file.connections.unwrap_or(1) {
                wrong.push(format!("{name}: {} connections", connections.len()));
            }
            let place = Place::new(&scenario.expected, file);
            let found = check(&place, connections);
            wrong.extend(found.into_iter().map(|found| format!("{name}: {found}")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn differ<T: PartialEq + std::fmt::Debug>(
    wrong: &mut Vec<String>,
    what: &str,
    ours: &T,
    kernel: &T,
) {
    if ours != kernel {
        wrong.push(format!("{what}: ours {ours:?}, kernel {kernel:?}"));
    }
}

#[test]
fn tokens_idsns_and_the_checksum_flag_are_the_kernels() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        if place.file.late {
            return wrong;
        }
        // Where the hosts do not agree there is no version.
        if place.file.fallback.as_deref() != Some("negotiation") {
            differ(&mut wrong, "version", &connection.version, &Some(1));
        }
        let tokens = [connection.tokens.client, connection.tokens.server];
        for (ours, kernel) in tokens.into_iter().zip(place.tokens()) {
            if kernel.is_some() {
                let ours = ours.map(|token| format!("{:#010x}", token.0));
                differ(&mut wrong, "token", &ours.as_ref(), &kernel);
            }
        }
        let Sides { client, server } = place.idsns();
        let idsns = [connection.idsns.client, connection.idsns.server];
        let sides = [Side::Client, Side::Server];
        for ((ours, kernel), side) in idsns.into_iter().zip([client, server]).zip(sides) {
            if kernel.is_some() && place.has_key(side) {
                let ours = ours.map(|idsn| format!("{:#018x}", idsn.0));
                differ(&mut wrong, "IDSN", &ours, kernel);
            }
        }
        // Without an answer from a host with MPTCP nothing was negotiated.
        if connection.capable.syn_ack.is_some() {
            let asked = Some(place.expected.checksum);
            differ(&mut wrong, "checksum", &connection.checksum, &asked);
        }
        wrong
    });
}

#[test]
fn subflows_are_the_kernels() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        for kernel in place.subflows() {
            let ours = connection.subflows.iter().find(|subflow| {
                subflow.client.to_string() == kernel.client
                    && subflow.server.to_string() == kernel.server
            });
            let Some(ours) = ours else {
                wrong.push(format!(
                    "{} to {}: not among ours",
                    kernel.client, kernel.server
                ));
                continue;
            };
            if place.file.late {
                continue;
            }
            let ids = (ours.client_address_id, ours.server_address_id);
            let ids = (ids.0.map(|id| id.0), ids.1.map(|id| id.0));
            let kernel_ids = (
                Some(kernel.client_address_id),
                Some(kernel.server_address_id),
            );
            differ(&mut wrong, "address ids", &ids, &kernel_ids);
            // The kernel tells the present priority, the capture also the one asked for in the SYN.
            let changed = !ours.priority_changes.is_empty();
            if !changed {
                differ(&mut wrong, "backup", &ours.backup, &kernel.backup);
            }
        }
        // The client's kernel takes a join for established that the server then refuses.
        let is_up = |s: &Ours| s.established || s.close.kind == CloseKind::Reset;
        let up = connection.subflows.iter().filter(|s| is_up(s)).count();
        if up < place.subflows().len() {
            wrong.push(format!("{up} subflows established"));
        }
        wrong
    });
}

#[test]
fn every_byte_that_the_applications_sent_is_there_once() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        for direction in Direction::BOTH {
            let (bytes, sha256) = place.stream(direction);
            let totals = connection.totals.of(direction);
            // Without a mapping they count after a fallback only (RFC 8684 §3.7).
            let unmapped: u64 = connection
                .subflows
                .iter()
                .filter(|_| connection.fallback.is_some())
                .map(|subflow| subflow.totals.of(direction).unmapped_bytes)
                .sum();
            let seen = totals.unique_bytes + unmapped + place.syn_bytes(direction);
            if place.file.late {
                // The beginning is not there.
                if seen >= bytes {
                    wrong.push(format!("{direction:?}: {seen} of {bytes} bytes"));
                }
                continue;
            }
            differ(&mut wrong, &format!("{direction:?} bytes"), &seen, &bytes);
            if let Some(sha256) = sha256
                && bytes > 0
                && connection.fallback.is_none()
            {
                differ(&mut wrong, "missing bytes", &totals.missing_bytes, &0);
                let hash = totals.stream_sha256.map(|hash| hex(&hash));
                let what = format!("{direction:?} SHA-256");
                differ(&mut wrong, &what, &hash.as_deref(), &Some(sha256));
            }
        }
        wrong
    });
}

#[test]
fn findings_of_warn_or_worse_are_those_that_the_place_deserves() {
    check_captures(|place, connections| {
        let mut alarms: BTreeMap<&str, String> = BTreeMap::new();
        let mut notes: BTreeMap<&str, String> = BTreeMap::new();
        for finding in connections.iter().flat_map(|c| &c.findings) {
            let text = format!("{:?} {}", finding.frames, finding.text);
            let found = if finding.severity >= Severity::Warn {
                &mut alarms
            } else {
                &mut notes
            };
            found.insert(finding.id, text);
        }
        let mut wrong = Vec::new();
        let expected = &place.file.findings;
        let ours: Vec<&str> = alarms.keys().copied().collect();
        if ours != *expected {
            wrong.push(format!("{expected:?} expected, found {alarms:#?}"));
        }
        for id in &place.file.notes {
            if !notes.contains_key(id.as_str()) {
                wrong.push(format!("{id} expected, noted {notes:#?}"));
            }
        }
        wrong
    });
}

#[test]
fn a_fallback_is_explained_by_what_is_missing_at_its_place() {
    check_all(|place, connection| {
        let mut wrong = Vec::new();
        let expected = place.file.fallback.as_deref();
        let reason = connection.fallback.as_ref().map(reason);
        differ(&mut wrong, "fallback", &reason, &expected);
        let fallen = connection.state == ConnectionState::FallenBack;
        differ(&mut wrong, "state", &fallen, &expected.is_some());
        wrong
    });
}

/// The reason by its name in the JSON.
fn reason(fallback: &Fallback) -> &'static str {
    match fallback.reason {
        FallbackReason::SynOptionMissing => "syn_option_missing",
        FallbackReason::SynAckOptionMissing => "synack_option_missing",
        FallbackReason::PeerIsTcp => "peer_is_tcp",
        FallbackReason::ThirdAckOptionMissing => "third_ack_option_missing",
        FallbackReason::DataOptionMissing => "data_option_missing",
        FallbackReason::StrippedMidStream => "stripped_mid_stream",
        FallbackReason::InfiniteMapping => "infinite_mapping",
        FallbackReason::MpFail => "mp_fail",
        FallbackReason::Checksum => "checksum",
        FallbackReason::Negotiation => "negotiation",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
