//! A hop: who it is, how far, and what is changed when a packet arrives there.

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::counted;
use mptcp_cli::style::{self, paint};

use super::Look;
use crate::quote::ErrorKind;
use crate::report::word;
use crate::trace::{CellState, Flow, Hop, Place, Router};

/// Writes the lines of a hop.
pub(super) fn write(out: &mut dyn Write, flow: &Flow, hop: &Hop, look: Look<'_>) -> io::Result<()> {
    let is_v4 = flow.source.is_ipv4();
    if hop.routers.is_empty() {
        let asked: u32 = hop.cells.iter().map(|cell| cell.sent).sum();
        let asked = counted(asked.into(), "packet", "packets");
        let text = format!("{:>3}  *  no answer to {asked}", hop.ttl);
        writeln!(out, "{}", paint(style::FAINT, text))?;
    }
    for (number, router) in hop.routers.iter().enumerate() {
        let ttl = if number == 0 {
            hop.ttl.to_string()
        } else {
            "|".to_owned()
        };
        write!(out, "{ttl:>3}  ")?;
        self::router(out, router, is_v4, look)?;
    }
    if !hop.routers.is_empty() {
        losses(out, flow, hop)?;
    }
    let here = flow
        .changes
        .iter()
        .filter(|located| located.between.until == Place::Hop(hop.ttl));
    for located in here {
        let change = &located.change;
        let probes = word::probes(&located.probes, &flow.probes);
        let text = format!("! {} {}{probes}", change.field, change.how);
        writeln!(out, "     {}", paint(style::ERROR, escape(&text)))?;
    }
    Ok(())
}

fn router(out: &mut dyn Write, router: &Router, is_v4: bool, look: Look<'_>) -> io::Result<()> {
    let width = if is_v4 { V4_WIDTH } else { V6_WIDTH };
    let address = router.address.to_string();
    let rtt = word::duration(router.rtt);
    write!(out, "{address:<width$}  {rtt:>7}")?;
    let mut notes = Vec::new();
    if let Some(name) = look.names.get(&router.address) {
        notes.push(escape(name).into_owned());
    }
    // More than a header is what many routers quote of long packets.
    if !router.quotes_all && router.quoted < MAX_HEADER {
        notes.push(format!("quotes {} bytes of TCP", router.quoted));
    }
    if !router.labels.is_empty() {
        let labels = router.labels.iter().map(|label| label.label.to_string());
        notes.push(format!("MPLS {}", labels.collect::<Vec<_>>().join("/")));
    }
    if router.said != ErrorKind::TimeExceeded {
        notes.push(word::error(router.said, router.address));
    }
    if !notes.is_empty() {
        write!(out, "  {}", paint(style::FAINT, notes.join(", ")))?;
    }
    writeln!(out)
}

/// Probes that a router that answers did not answer.
fn losses(out: &mut dyn Write, flow: &Flow, hop: &Hop) -> io::Result<()> {
    let cells = flow.probes.iter().zip(&hop.cells);
    let silent: Vec<String> = cells
        .filter(|(_, cell)| cell.state == CellState::Silent)
        .map(|(probe, cell)| format!("{probe} ({} sent)", cell.sent))
        .collect();
    if silent.is_empty() {
        return Ok(());
    }
    let text = format!("no answer to {}", silent.join(", "));
    writeln!(out, "     {}", paint(style::FAINT, text))
}

/// Writes the changes: what exactly, and where.
pub(super) fn write_changes(out: &mut dyn Write, flow: &Flow, look: Look<'_>) -> io::Result<()> {
    if flow.changes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(style::HEADING, "changed on the way"))?;
    for located in &flow.changes {
        let probes = word::probes(&located.probes, &flow.probes);
        let quotes = match located.witnesses {
            1 => "1 quote shows it".to_owned(),
            count => format!("{count} quotes show it"),
        };
        let text = format!(
            "{}: {}; {quotes}{probes}",
            located.between,
            word::change(&located.change),
        );
        writeln!(out, "  {}", wrap(&escape(&text), look.width, 4))?;
    }
    Ok(())
}

/// The longest header of TCP.
const MAX_HEADER: usize = 60;
const V4_WIDTH: usize = 15;
const V6_WIDTH: usize = 24;
