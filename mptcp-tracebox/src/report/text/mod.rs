//! Human output: a line for each hop as it gets known, then what is worth a look, last the verdict.

mod end;
mod hop;
mod live;
mod verdict;

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::style::{self, paint};

pub use self::live::Live;
use crate::run::{Names, Run};
use crate::trace::{Flow, Hop, Trace};

/// How text is to look.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Names of the routers, as far as they are known.
    pub names: &'a Names,
    /// Columns of the terminal; none when long lines stay whole.
    pub width: Option<usize>,
}

/// Writes all of a run that is over.
///
/// # Errors
/// Those of `out`, as all functions have them.
pub fn write(out: &mut dyn Write, run: &Run, trace: &Trace, look: Look<'_>) -> io::Result<()> {
    head(out, run)?;
    for (number, flow) in trace.flows.iter().enumerate() {
        self::flow(out, trace, number, look)?;
        for hop in &flow.hops {
            hop::write(out, flow, hop, look)?;
        }
        after_hops(out, trace, flow, look)?;
    }
    if let Some(kernel) = run.kernel_mptcp {
        writeln!(out, "\nkernel's MPTCP: {}", kernel.meaning())?;
    }
    verdict::write(out, &trace.verdict, look)
}

/// What is asked, of whom and how.
fn head(out: &mut dyn Write, run: &Run) -> io::Result<()> {
    let target = run.target;
    let host = if run.host.is_empty() || run.host == target.ip().to_string() {
        target.to_string()
    } else {
        format!("{} ({target})", escape(&run.host))
    };
    let how = paint(style::FAINT, format!(", {}", run.tier.meaning()));
    writeln!(out, "{}{how}", paint(style::HEADING, host))
}

/// Which flow follows, if there are several.
fn flow(out: &mut dyn Write, trace: &Trace, number: usize, _look: Look<'_>) -> io::Result<()> {
    let Some(flow) = trace.flows.get(number).filter(|_| number > 0) else {
        return Ok(());
    };
    let title = format!("flow {}, from port {}", number + 1, flow.source.port());
    writeln!(out, "\n{}", paint(style::HEADING, title))
}

/// What follows the hops of a flow: the target, and the changes.
fn after_hops(out: &mut dyn Write, trace: &Trace, flow: &Flow, look: Look<'_>) -> io::Result<()> {
    end::write(out, trace, flow, look)?;
    hop::write_changes(out, flow, look)?;
    if flow.is_balanced {
        let text = if flow.hops.iter().any(Hop::is_balanced) {
            "More than one router answers at a hop: packets of this flow take several ways."
        } else {
            "Packets of this flow take several ways: one came where another was stopped."
        };
        writeln!(out, "{}", paint(style::WARN, text))?;
    }
    Ok(())
}
