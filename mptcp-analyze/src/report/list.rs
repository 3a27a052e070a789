//! `list` in text: a row for each connection, what is wrong below it, the files at the end.

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::{self, counted};
use mptcp_cli::style::{self, paint};
use mptcp_cli::table::{Cell, Column, Table};

use super::{endpoints, severity_style, state_style, word};
use crate::model::{Analysis, CaptureSummary, Connection, Direction, Fallback, Finding, Severity};

/// Writes the connections, then a summary of the files. `width` is that of the terminal.
pub fn write(
    out: &mut dyn Write,
    analysis: &Analysis,
    connections: &[&Connection],
    width: Option<usize>,
) -> io::Result<()> {
    if !connections.is_empty() {
        table(connections, width).write(out)?;
        writeln!(out)?;
    }
    write_troubles(out, connections, width)?;
    write_files(out, analysis, connections.len(), width)
}

fn table(connections: &[&Connection], width: Option<usize>) -> Table {
    let mut table = Table::new(
        0,
        vec![
            Column::right("id"),
            Column::left("v"),
            Column::right("sf"),
            Column::right("up"),
            Column::right("down"),
            Column::right("time"),
            Column::left("state"),
            Column::left("client > server"),
        ],
    );
    let mut rows = Vec::new();
    for connection in connections {
        let cells = vec![
            Cell::new(connection.id.to_string(), style::NAME),
            connection
                .version
                .map_or_else(|| "?".to_owned(), |v| v.to_string())
                .into(),
            connection.subflows.len().to_string().into(),
            short(&quantity::bytes(transferred(
                connection,
                Direction::ToServer,
            )))
            .into(),
            short(&quantity::bytes(transferred(
                connection,
                Direction::ToClient,
            )))
            .into(),
            short(&quantity::duration(
                connection.last_at.since(connection.first_at),
            ))
            .into(),
            Cell::new(word::state(connection.state), state_style(connection.state)),
        ];
        rows.push((cells, connection.subflows.first()));
    }
    endpoints::fill(&mut table, rows, width);
    table
}

/// Distinct bytes of the stream: those with a DSN, and after a fallback those that are plain TCP.
fn transferred(connection: &Connection, direction: Direction) -> u64 {
    let mapped = connection.totals.of(direction).unique_bytes;
    let plain: u64 = match connection.fallback {
        Some(_) => connection
            .subflows
            .iter()
            .map(|subflow| subflow.totals.of(direction).unmapped_bytes)
            .sum(),
        None => 0,
    };
    mapped + plain
}

/// Without the space before the unit, for narrow columns.
fn short(quantity: &str) -> String {
    quantity.replace(' ', "")
}

/// One line for each connection that fell back or has findings.
fn write_troubles(
    out: &mut dyn Write,
    connections: &[&Connection],
    width: Option<usize>,
) -> io::Result<()> {
    let mut any = false;
    for connection in connections {
        let mut parts = Vec::new();
        if let Some(fallback) = &connection.fallback {
            parts.push(fallback_summary(fallback));
        }
        if !connection.findings.is_empty() {
            parts.push(findings_summary(&connection.findings));
        }
        if !parts.is_empty() {
            any = true;
            let id = connection.id.to_string();
            let text = wrap(&parts.join("; "), width, id.len() + 2);
            writeln!(out, "{}: {text}", paint(style::NAME, id))?;
        }
    }
    if any { writeln!(out) } else { Ok(()) }
}

fn fallback_summary(fallback: &Fallback) -> String {
    format!(
        "fell back in frame {}: {} (by {}, confidence {})",
        fallback.frame,
        word::fallback_reason(fallback.reason),
        word::blame(fallback.by),
        word::confidence(fallback.confidence),
    )
}

/// Number of findings by severity, and the ids of those that are no notes, the gravest first.
fn findings_summary(findings: &[Finding]) -> String {
    let of = |severity| findings.iter().filter(move |f| f.severity == severity);
    let counts: Vec<String> = [Severity::Error, Severity::Warn, Severity::Note]
        .into_iter()
        .filter(|&severity| of(severity).next().is_some())
        .map(|severity| format!("{} {}", of(severity).count(), word::severity(severity)))
        .collect();
    let mut ids: Vec<&str> = [Severity::Error, Severity::Warn]
        .into_iter()
        .flat_map(of)
        .map(|f| f.id)
        .collect();
    ids.dedup();
    let ids = if ids.is_empty() {
        String::new()
    } else {
        format!(" ({})", ids.join(" "))
    };
    format!("findings: {}{ids}", counts.join(", "))
}

/// Writes a line for each file, the totals, and the findings of the files: among them that one is
/// cut or that a limit was reached.
pub(super) fn write_files(
    out: &mut dyn Write,
    analysis: &Analysis,
    shown: usize,
    width: Option<usize>,
) -> io::Result<()> {
    for capture in &analysis.captures {
        writeln!(out, "{}", wrap(&describe(capture), width, 2))?;
    }
    let connections = analysis.connections.len();
    let all = counted(connections as u64, "MPTCP connection", "MPTCP connections");
    let shown = if shown == connections {
        String::new()
    } else {
        format!(" ({shown} shown)")
    };
    let plain = counted(
        analysis.plain_tcp_streams,
        "plain TCP stream",
        "plain TCP streams",
    );
    writeln!(out, "{all}{shown}, {plain}")?;
    for finding in &analysis.findings {
        let severity = word::severity(finding.severity);
        let line = format!("{} {}", finding.id, escape(&finding.text));
        writeln!(
            out,
            "{}: {}",
            paint(severity_style(finding.severity), severity),
            wrap(&line, width, 2)
        )?;
    }
    Ok(())
}

fn describe(capture: &CaptureSummary) -> String {
    let packets = counted(capture.packets, "packet", "packets");
    let mut parts = vec![format!("{}: {packets}", escape(word::file(&capture.file)))];
    if let (Some(first), Some(last)) = (capture.first_at, capture.last_at) {
        parts.push(format!("{} long", quantity::duration(last.since(first))));
    }
    for (count, what) in [
        (capture.truncated_packets, "cut by the snapshot length"),
        (capture.undecoded_packets, "not decoded"),
        (
            capture.incomplete_fragments,
            match capture.incomplete_fragments {
                1 => "incomplete fragment",
                _ => "incomplete fragments",
            },
        ),
        (lost(capture), "lost by the capturing program"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

/// Packets that the interface statistics of the file say are missing.
fn lost(capture: &CaptureSummary) -> u64 {
    let drops = capture
        .interfaces
        .iter()
        .filter_map(|interface| interface.drops);
    drops.fold(0, u64::saturating_add)
}
