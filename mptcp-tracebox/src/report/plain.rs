//! The least that can be printed.

use std::io::{self, Write};

use crate::trace::{CellState, Flow, Hop, Trace};

/// A line for each hop and each change, last the verdict.
pub(crate) fn write(out: &mut dyn Write, trace: &Trace) -> io::Result<()> {
    for flow in &trace.flows {
        writeln!(out, "{} -> {}", flow.source, trace.target)?;
        for hop in &flow.hops {
            write_hop(out, flow, hop)?;
        }
        for end in &flow.ends {
            writeln!(out, "target  {}: {:?}", end.probe, end.answer)?;
        }
        for located in &flow.changes {
            writeln!(
                out,
                "change  {} {}, {}",
                located.change.field, located.change.how, located.between
            )?;
        }
    }
    let verdict = &trace.verdict;
    writeln!(out, "{}: {}", verdict.code.name(), verdict.sentence)
}

fn write_hop(out: &mut dyn Write, flow: &Flow, hop: &Hop) -> io::Result<()> {
    write!(out, "{:>2}", hop.ttl)?;
    for router in &hop.routers {
        let rtt = router.rtt.as_secs_f64() * 1000.0;
        write!(
            out,
            "  {} {rtt:.1} ms, {} bytes",
            router.address, router.quoted
        )?;
    }
    if hop.routers.is_empty() {
        write!(out, "  *")?;
    }
    for (probe, cell) in flow.probes.iter().zip(&hop.cells) {
        let state = match cell.state {
            CellState::NotAsked => "not asked",
            CellState::Silent => "silent",
            CellState::NotQuoted => "not quoted",
            CellState::Same => "same",
            CellState::Changed => "changed",
            CellState::Reached => "reached",
            CellState::Refused => "refused",
        };
        write!(out, "  {probe}: {state}")?;
    }
    writeln!(out)
}
