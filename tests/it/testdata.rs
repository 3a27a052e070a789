//! The project's own captures against what the kernel and the applications said.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use mptcp_analyze::model::{
    CaptureEnd, CloseKind, Connection, ConnectionState, Direction, EventKind, Fallback,
    FallbackReason, Severity, Subflow as Ours,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Manifest {
    scenario: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
struct Scenario {
    name: String,
    expected: Expected,
    capture: Vec<File>,
}

#[derive(Debug, Deserialize)]
struct File {
    #[serde(rename = "file")]
    path: PathBuf,
    packets: u64,
    /// What is missing at the place of this capture.
    fallback: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Expected {
    /// Nothing to complain about.
    clean: bool,
    checksum: bool,
    #[serde(default)]
    tokens: Sides,
    #[serde(default)]
    idsns: Sides,
    subflows: Vec<Subflow>,
    to_server: Stream,
    to_client: Stream,
    #[serde(default)]
    counters_client: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Sides {
    client: Option<String>,
    server: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Subflow {
    client: String,
    server: String,
    client_address_id: u8,
    server_address_id: u8,
    backup: bool,
}

#[derive(Debug, Deserialize)]
struct Stream {
    sent_bytes: u64,
    sent_sha256: String,
}

/// Runs a check on every capture of the manifest, all of them before it fails.
#[track_caller]
fn check_all(check: impl Fn(&Expected, &File, &Connection) -> Vec<String>) {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata"));
    let text = std::fs::read_to_string(root.join("MANIFEST.toml")).unwrap();
    let manifest: Manifest = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for scenario in &manifest.scenario {
        for file in &scenario.capture {
            let analysis = crate::analyze(&[root.join(&file.path)]);
            let name = format!("{} ({})", file.path.display(), scenario.name);
            let [connection] = analysis.connections.as_slice() else {
                wrong.push(format!(
                    "{name}: {} connections",
                    analysis.connections.len()
                ));
                continue;
            };
            let capture = &analysis.captures[0];
            if capture.packets != file.packets || capture.end != CaptureEnd::Complete {
                wrong.push(format!(
                    "{name}: {} packets, {:?}",
                    capture.packets, capture.end
                ));
            }
            let found = check(&scenario.expected, file, connection);
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
    check_all(|expected, _, connection| {
        let mut wrong = Vec::new();
        differ(&mut wrong, "version", &connection.version, &Some(1));
        let sides = [
            (
                connection.tokens.client,
                connection.idsns.client,
                &expected.tokens.client,
                &expected.idsns.client,
            ),
            (
                connection.tokens.server,
                connection.idsns.server,
                &expected.tokens.server,
                &expected.idsns.server,
            ),
        ];
        for (token, idsn, kernel_token, kernel_idsn) in sides {
            if kernel_token.is_some() {
                let token = token.map(|token| format!("{:#010x}", token.0));
                differ(&mut wrong, "token", &token, kernel_token);
            }
            if kernel_idsn.is_some() && idsn.is_some() {
                let idsn = idsn.map(|idsn| format!("{:#018x}", idsn.0));
                differ(&mut wrong, "IDSN", &idsn, kernel_idsn);
            }
        }
        if expected.tokens.client.is_some() {
            differ(
                &mut wrong,
                "checksum",
                &connection.checksum,
                &Some(expected.checksum),
            );
        }
        wrong
    });
}

#[test]
fn subflows_are_the_kernels() {
    check_all(|expected, _, connection| {
        let mut wrong = Vec::new();
        for kernel in &expected.subflows {
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
        if !expected.subflows.is_empty() && up < expected.subflows.len() {
            wrong.push(format!("{up} subflows established"));
        }
        wrong
    });
}

#[test]
fn every_byte_that_the_applications_sent_is_there_once() {
    check_all(|expected, _, connection| {
        let mut wrong = Vec::new();
        let streams = [
            (Direction::ToServer, &expected.to_server),
            (Direction::ToClient, &expected.to_client),
        ];
        for (direction, kernel) in streams {
            let totals = connection.totals.of(direction);
            let unmapped: u64 = connection
                .subflows
                .iter()
                .map(|subflow| subflow.totals.of(direction).unmapped_bytes)
                .sum();
            let what = format!("{direction:?} bytes");
            let bytes = totals.unique_bytes + unmapped;
            differ(&mut wrong, &what, &bytes, &kernel.sent_bytes);
            if connection.fallback.is_none() {
                differ(&mut wrong, "missing bytes", &totals.missing_bytes, &0);
                let hash = totals.stream_sha256.map(|hash| hex(&hash));
                let what = format!("{direction:?} SHA-256");
                differ(
                    &mut wrong,
                    &what,
                    &hash.as_deref(),
                    &Some(kernel.sent_sha256.as_str()),
                );
            }
        }
        wrong
    });
}

#[test]
fn clean_captures_have_no_finding_of_warn_or_worse() {
    check_all(|expected, _, connection| {
        let warnings = || {
            connection
                .findings
                .iter()
                .filter(|f| f.severity >= Severity::Warn)
        };
        if expected.clean {
            warnings()
                .map(|f| format!("{} {:?} {}", f.id, f.frames, f.text))
                .collect()
        } else {
            Vec::new()
        }
    });
}

#[test]
fn a_fallback_is_explained_by_what_is_missing_at_its_place() {
    check_all(|_, file, connection| {
        let mut wrong = Vec::new();
        let reason = connection.fallback.as_ref().map(reason);
        differ(&mut wrong, "fallback", &reason, &file.fallback.as_deref());
        let fallen = connection.state == ConnectionState::FallenBack;
        differ(&mut wrong, "state", &fallen, &file.fallback.is_some());
        wrong
    });
}

#[test]
fn events_are_as_many_as_the_kernel_counted() {
    check_all(|expected, _, connection| {
        let mut wrong = Vec::new();
        let count = |is: fn(&EventKind) -> bool| {
            connection
                .events
                .iter()
                .filter(|event| is(&event.kind))
                .count() as u64
        };
        let counters = [
            (
                "MPTcpExtMPPrioTx",
                count(|kind| matches!(kind, EventKind::Prio { .. })),
            ),
            (
                "MPTcpExtMPFastcloseTx",
                count(|kind| matches!(kind, EventKind::FastClose { .. })),
            ),
            (
                "MPTcpExtRmAddr",
                count(|kind| matches!(kind, EventKind::RemoveAddr { .. })),
            ),
            (
                "MPTcpExtAddAddr",
                count(|kind| matches!(kind, EventKind::AddAddr { echo: false, .. })),
            ),
            (
                "MPTcpExtEchoAddTx",
                count(|kind| matches!(kind, EventKind::AddAddr { echo: true, .. })),
            ),
        ];
        for (name, ours) in counters {
            let kernel = expected.counters_client.get(name).copied().unwrap_or(0);
            differ(&mut wrong, name, &ours, &kernel);
        }
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
