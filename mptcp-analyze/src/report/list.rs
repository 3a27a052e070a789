//! `list` in text: a row for each connection, what is wrong below it, the files at the end.

use std::borrow::Borrow;
use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::{self, counted};
use mptcp_cli::style::{self, paint};
use mptcp_cli::table::{Cell, Column, Table};

use super::endpoints::{self, Ends, Line};
use super::{severity_style, state_style, word};
use crate::model::{
    CaptureSummary, Connection, ConnectionState, Direction, Fallback, Finding, Overview, Severity,
};

/// Writes the connections, then a summary of the files. `width` is that of the terminal.
pub fn write<C: Borrow<Connection>>(
    out: &mut dyn Write,
    overview: &Overview,
    connections: impl IntoIterator<Item = C>,
    width: Option<usize>,
) -> io::Result<()> {
    let mut rows = Rows::default();
    for connection in connections {
        rows.add(connection.borrow(), width);
    }
    rows.write(out, overview, width)
}

/// What the list needs of connections, until all widths are known.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: Vec<Row>,
    /// A line for each connection that fell back or has findings.
    troubles: String,
}

#[derive(Debug)]
struct Row {
    id: u32,
    version: Option<u8>,
    subflows: usize,
    to_server: u64,
    to_client: u64,
    nanoseconds: i64,
    state: ConnectionState,
    ends: Option<Ends>,
}

impl Rows {
    /// Adds a connection.
    pub(crate) fn add(&mut self, connection: &Connection, width: Option<usize>) {
        self.rows.push(Row {
            id: connection.id,
            version: connection.version,
            subflows: connection.subflows.len(),
            to_server: transferred(connection, Direction::ToServer),
            to_client: transferred(connection, Direction::ToClient),
            nanoseconds: connection.last_at.since(connection.first_at),
            state: connection.state,
            ends: connection.subflows.first().map(Ends::of),
        });
        if let Some(text) = trouble(connection) {
            let id = connection.id.to_string();
            let text = wrap(&text, width, id.len() + 2);
            let line = format!("{}: {text}\n", paint(style::NAME, id));
            self.troubles.push_str(&line);
        }
    }

    /// Adds the connections that come next.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.rows.append(&mut later.rows);
        self.troubles.push_str(&later.troubles);
    }

    /// Writes them, then a summary of the files.
    pub(crate) fn write(
        &self,
        out: &mut dyn Write,
        overview: &Overview,
        width: Option<usize>,
    ) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.write_table(out, width)?;
            writeln!(out)?;
        }
        if !self.troubles.is_empty() {
            writeln!(out, "{}", self.troubles)?;
        }
        write_files(out, overview, self.rows.len(), width)
    }

    fn write_table(&self, out: &mut dyn Write, width: Option<usize>) -> io::Result<()> {
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
        for row in &self.rows {
            table.measure(&row.cells());
        }
        table.write_titles(out)?;
        for row in &self.rows {
            for line in endpoints::lines(&table, row.cells(), row.ends, width) {
                match line {
                    Line::Cells(cells) => table.write_cells(&cells, out)?,
                    Line::Text(text) => writeln!(out, "{text}")?,
                }
            }
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> Vec<Cell> {
        let version = self
            .version
            .map_or_else(|| "?".to_owned(), |version| version.to_string());
        vec![
            Cell::new(self.id.to_string(), style::NAME),
            version.into(),
            self.subflows.to_string().into(),
            short(&quantity::bytes(self.to_server)).into(),
            short(&quantity::bytes(self.to_client)).into(),
            short(&quantity::duration(self.nanoseconds)).into(),
            Cell::new(word::state(self.state), state_style(self.state)),
        ]
    }
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

/// That the connection fell back or has findings, if so.
fn trouble(connection: &Connection) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(fallback) = &connection.fallback {
        parts.push(fallback_summary(fallback));
    }
    if !connection.findings.is_empty() {
        parts.push(findings_summary(&connection.findings));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
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
    overview: &Overview,
    shown: usize,
    width: Option<usize>,
) -> io::Result<()> {
    for capture in &overview.captures {
        writeln!(out, "{}", wrap(&describe(capture), width, 2))?;
    }
    let connections = overview.connections;
    let all = counted(
        u64::from(connections),
        "MPTCP connection",
        "MPTCP connections",
    );
    let shown = if u32::try_from(shown) == Ok(connections) {
        String::new()
    } else {
        format!(" ({shown} shown)")
    };
    let plain = counted(
        overview.plain_tcp_streams,
        "plain TCP stream",
        "plain TCP streams",
    );
    writeln!(out, "{all}{shown}, {plain}")?;
    for finding in &overview.findings {
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
