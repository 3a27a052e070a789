//! Snapshots of every report over one model made by hand.

mod sample;

use std::io;

use serde_json::Value;

use super::json::Detail;
use super::{findings, json, list, show};
use crate::model::Connection;

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
    let connections: Vec<&Connection> = analysis.connections.iter().collect();
    let mut out = Vec::new();
    json::write_connections(&mut out, &analysis, &connections, detail).unwrap();
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
    let connections: Vec<&Connection> = analysis.connections.iter().collect();
    let text = text(|out| list::write(out, &analysis, &connections, Some(80)));
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
    let connections: Vec<&Connection> = analysis.connections.iter().collect();
    let text = text(|out| findings::write_check(out, &analysis, &connections, None));
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
    let connections: Vec<&Connection> = analysis.connections.iter().collect();
    let text = colored(|out| list::write(out, &analysis, &connections, None));
    assert!(text.contains("evil\\x1b[2J\\nname.pcapng"), "{text}");
    let text = colored(|out| findings::write_check(out, &analysis, &connections, None));
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
