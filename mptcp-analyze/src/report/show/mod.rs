//! `show` in text: all about one connection.

mod head;
mod numbers;
mod subflows;

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::duration;
use mptcp_cli::style::{self, paint};

use super::timeline::{self, Moment};
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
    findings::write_findings(out, 2, None, &connection.findings, width)?;
    findings::write_gravest_hint(out, 2, &connection.findings)
}

fn write_events(
    out: &mut dyn Write,
    connection: &Connection,
    width: Option<usize>,
) -> io::Result<()> {
    let moments = timeline::of(connection);
    if moments.is_empty() {
        return Ok(());
    }
    heading(out, "Events")?;
    for moment in moments.iter().take(EVENTS_SHOWN) {
        let line = line_of(moment, connection.first_at);
        writeln!(out, "  {}", wrap(&line, width, 4))?;
    }
    match moments.len().saturating_sub(EVENTS_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more; --json has all"),
    }
}

fn line_of(moment: &Moment, first: Timestamp) -> String {
    let mut place = vec![format!("frame {}", moment.frame)];
    place.extend(moment.at.map(|at| after(at, first)));
    place.extend(moment.subflow.map(|subflow| format!("sf {subflow}")));
    place.extend(moment.sender.map(|sender| word::side(sender).to_owned()));
    format!("{}: {}", place.join(" "), escape(&moment.text))
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
