//! `show` in text: all about one connection.

mod head;
mod numbers;
mod subflows;

use std::io::{self, Write};

use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::duration;
use mptcp_cli::style::{self, paint};

use super::event::sentence;
use super::{findings, word};
use crate::model::{Connection, Timestamp};

/// Writes all about `connection`. `width` is that of the terminal, `keys` whether to print keys.
pub fn write(
    out: &mut dyn Write,
    connection: &Connection,
    keys: bool,
    width: Option<usize>,
) -> io::Result<()> {
    head::write(out, connection, keys, width)?;
    subflows::write(out, connection, width)?;
    numbers::write(out, connection)?;
    subflows::write_addresses(out, connection)?;
    numbers::write_checks(out, connection, width)?;
    write_events(out, connection, width)?;
    heading(out, "Findings")?;
    if connection.findings.is_empty() {
        return writeln!(out, "  none");
    }
    findings::write_findings(
        out,
        &format!("conn {}", connection.id),
        &connection.findings,
        width,
    )?;
    findings::write_hint(out, &connection.findings.iter().collect::<Vec<_>>())
}

fn write_events(
    out: &mut dyn Write,
    connection: &Connection,
    width: Option<usize>,
) -> io::Result<()> {
    if connection.events.is_empty() {
        return Ok(());
    }
    heading(out, "Events")?;
    for event in connection.events.iter().take(EVENTS_SHOWN) {
        let line = format!(
            "frame {} {} sf {} {}: {}",
            event.frame,
            after(event.at, connection.first_at),
            event.subflow,
            word::side(event.sender),
            mptcp_cli::escape::escape(&sentence(&event.kind)),
        );
        writeln!(out, "  {}", wrap(&line, width, 4))?;
    }
    match connection.events.len().saturating_sub(EVENTS_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more; --json has all"),
    }
}

/// Time since the beginning of the connection.
fn after(at: Timestamp, first: Timestamp) -> String {
    let span = at.since(first);
    if span < 0 {
        duration(span)
    } else {
        format!("+{}", duration(span))
    }
}

fn heading(out: &mut dyn Write, title: &str) -> io::Result<()> {
    writeln!(out, "\n{}", paint(style::HEADING, title))
}

/// Events that the text lists; a connection may have one for every packet.
const EVENTS_SHOWN: usize = 40;
