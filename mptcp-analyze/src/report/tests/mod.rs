//! Snapshots of every report over one model made by hand.

mod sample;

use std::io;

use serde_json::Value;

use super::json::Detail;
use super::{findings, json, list, show};
use crate::model::{
    AddressEvent, Blame, CheckResult, Confidence, Connection, Fallback, FallbackReason, Severity,
    Side,
};

/// What `write` writes, without colour.
fn text(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    anstream::adapter::strip_str(&colored(write)).to_string()
}

fn colored(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn document(detail: Detail) -> Value {
    let analysis = sample::analysis();
    let mut out = Vec::new();
    json::write_connections(
        &mut out,
        &analysis.overview(),
        &analysis.connections,
        detail,
    )
    .unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[track_caller]
fn check_widths(text: &str, width: usize) {
    for line in text.lines() {
        assert!(line.chars().count() <= width, "wider than {width}: {line}");
    }
}

#[test]
fn list_fits_eighty_columns() {
    let analysis = sample::analysis();
    let text = text(|out| list::write(out, &analysis.overview(), &analysis.connections, Some(80)));
    check_widths(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn show_fits_eighty_columns() {
    let analysis = sample::analysis();
    let text = text(|out| {
        for connection in &analysis.connections {
            show::write(out, connection, true, Some(80))?;
        }
        Ok(())
    });
    check_widths(&text, 80);
    insta::assert_snapshot!(text);
}

#[test]
fn check_keeps_a_finding_on_one_line_in_a_pipe() {
    let analysis = sample::analysis();
    let text =
        text(|out| findings::write_check(out, &analysis.overview(), &analysis.connections, None));
    insta::assert_snapshot!(text);
}

#[test]
fn keys_stay_secret_unless_asked_for() {
    let secret = text(|out| show::write(out, &sample::analysis().connections[0], false, None));
    assert!(!secret.contains("0101010101010101"), "{secret}");
    assert!(
        document(Detail::default())["connections"][0]
            .get("keys")
            .is_none()
    );
    let shown = document(Detail {
        keys: true,
        show: false,
    });
    assert_eq!(
        shown["connections"][0]["keys"]["client"],
        "0x0101010101010101"
    );
}

#[test]
fn text_of_the_capture_cannot_command_the_terminal() {
    let analysis = sample::analysis();
    let text = colored(|out| list::write(out, &analysis.overview(), &analysis.connections, None));
    assert!(text.contains("evil\\x1b[2J\\nname.pcapng"), "{text}");
    let text = colored(|out| {
        findings::write_check(out, &analysis.overview(), &analysis.connections, None)
    });
    assert!(text.contains("the path \\x07 changed"), "{text}");
}

#[test]
fn the_document_of_list_has_the_names_of_the_schema() {
    let document = document(Detail::default());
    assert_eq!(document["schema"], "mptcp-analyze/1");
    insta::assert_snapshot!(serde_json::to_string_pretty(&document).unwrap());
}

#[test]
fn only_show_has_events_and_hashes() {
    let (list, show) = (
        document(Detail::default()),
        document(Detail {
            keys: false,
            show: true,
        }),
    );
    let connection = &list["connections"][0];
    assert!(connection.get("events").is_none());
    assert!(connection["to_server"].get("stream_sha256").is_none());
    let connection = &show["connections"][0];
    assert_eq!(connection["events"][0]["kind"], "add_addr");
    assert_eq!(connection["to_server"]["stream_sha256"], "ab".repeat(32));
    assert!(connection["to_client"]["stream_sha256"].is_null());
}

#[test]
fn a_rate_needs_a_span_of_time() {
    let mut totals = sample::analysis().connections[0].totals.to_server.clone();
    assert_eq!(super::goodput_bps(&totals), Some(1_000_000));
    totals.data_times = totals.data_times.map(|(first, _)| (first, first));
    assert_eq!(super::goodput_bps(&totals), None);
    totals.data_times = None;
    assert_eq!(super::goodput_bps(&totals), None);
}

fn shown(connection: &Connection) -> String {
    text(|out| show::write(out, connection, false, None))
}

#[test]
fn the_events_name_addresses_and_the_fallback_at_their_frames() {
    let mut analysis = sample::analysis();
    let connection = &mut analysis.connections[0];
    let (owner, id) = (Side::Server, connection.addresses[0].id);
    let removed = |frame| AddressEvent::UnknownRemoved { frame, owner, id };
    connection.address_events = vec![removed(20), removed(19)];
    connection.fallback = Some(Fallback {
        reason: FallbackReason::MpFail,
        frame: 798,
        by: Blame::Client,
        confidence: Confidence::Proven,
        text: "it said so".to_owned(),
    });
    let text = shown(connection);
    let expected = "
Events
  frame 19 server: REMOVE_ADDR of the unknown address id 1
  frame 20 +1.50 s sf 0 server: ADD_ADDR id 1, HMAC ok
  frame 20 +1.50 s sf 0 server: REMOVE_ADDR of the unknown address id 1
  frame 798 +12.0 s client: fell back to TCP, mp_fail: it said so
";
    assert!(text.contains(expected), "{text}");
    let mut out = Vec::new();
    let detail = Detail {
        keys: false,
        show: true,
    };
    json::write_connections(
        &mut out,
        &analysis.overview(),
        &analysis.connections[..1],
        detail,
    )
    .unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();
    let events = document["connections"][0]["events"].as_array().unwrap();
    let kinds: Vec<_> = events.iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["unknown_removed", "add_addr", "unknown_removed", "fallback"]
    );
    assert!(events[0]["at"].is_null());
    assert_eq!(events[2]["at"], events[1]["at"]);
    assert_eq!(events[3]["sender"], "client");
}

#[test]
fn an_announcement_of_version_0_has_no_hmac_to_doubt() {
    let mut connection = sample::analysis().connections.swap_remove(0);
    connection.addresses[0].hmac = CheckResult::Unverifiable("it carries no HMAC");
    let row = |connection: &Connection| {
        let text = shown(connection);
        let row = text.lines().find(|line| line.contains("10.2.2.1:5002"));
        row.expect("a row for the address").to_owned()
    };
    assert!(
        row(&connection).ends_with("?     1"),
        "{}",
        row(&connection)
    );
    connection.version = Some(0);
    assert!(
        row(&connection).ends_with("-     1"),
        "{}",
        row(&connection)
    );
    assert!(shown(&connection).contains("server: ADD_ADDR id 1\n"));
}

#[test]
fn a_connection_without_joins_is_not_grouped_by_joins() {
    let mut connection = sample::analysis().connections.swap_remove(0);
    assert!(shown(&connection).contains("token: joins name this connection"));
    connection.subflows.truncate(1);
    assert!(shown(&connection).contains("token: its handshake is in the capture"));
}

#[test]
fn one_mapping_is_singular() {
    let mut connection = sample::analysis().connections.swap_remove(0);
    connection.totals.to_server.mappings = 1;
    connection.totals.to_server.mapping_options = 1;
    assert!(shown(&connection).contains("    1 mapping in 1 option, "));
}

#[test]
fn long_addresses_fit_eighty_columns_below_their_row() {
    let mut analysis = sample::analysis();
    let subflow = &mut analysis.connections[1].subflows[0];
    subflow.client = "[2001:db8:1111:2222:3333:4444:5555:6666]:41980"
        .parse()
        .unwrap();
    subflow.server = "[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:50001"
        .parse()
        .unwrap();
    let connections: Vec<&Connection> = analysis.connections.iter().collect();
    for width in [None, Some(80)] {
        let shown = text(|out| show::write(out, connections[1], true, width));
        let (head, _) = shown.split_once("fallback").expect("a fallback");
        check_widths(head, 80);
        let text =
            text(|out| list::write(out, &analysis.overview(), &analysis.connections[1..], width));
        check_widths(text.split_once("\n\n").expect("a table").0, 80);
        let expected = "
      [2001:db8:1111:2222:3333:4444:5555:6666]:41980 >
        [2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:50001
";
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_line_below_the_list_names_errors_before_warnings() {
    let mut analysis = sample::analysis();
    let findings = &mut analysis.connections[0].findings;
    let mut warning = findings[0].clone();
    (warning.id, warning.severity) = ("MPT010", Severity::Warn);
    findings.insert(0, warning);
    let text = text(|out| list::write(out, &analysis.overview(), &analysis.connections, None));
    let expected = "0: findings: 1 error, 1 warn (MPT012 MPT010)\n";
    assert!(text.contains(expected), "{text}");
}
