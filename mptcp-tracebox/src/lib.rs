//! At which hop of a path a TCP or Multipath TCP option, or any other header field, is removed or
//! rewritten.

pub mod packet;
pub mod quote;

pub mod args;
mod command;
pub mod diff;
pub mod engine;
pub mod evidence;
mod leftover;
mod names;
mod net;
mod out_file;
pub mod plan;
pub mod probe;
pub mod record;
pub mod report;
pub mod run;
mod session;
pub mod target;
pub mod trace;
pub mod tracer;
pub mod tui;
mod unprivileged;
pub mod verdict;
mod watch;

use clap::CommandFactory as _;
use mptcp_cli::generate::generate;
use mptcp_cli::{Output, Verdict};

use self::args::{Args, Command};

/// Does what `args` ask for and writes the answer to `out`.
pub fn run(args: &Args, out: &mut Output) -> anyhow::Result<Verdict> {
    let common = &args.output;
    if let Some(what) = common.generate {
        generate(Args::command(), what, out.bytes())?;
        out.bytes().flush()?;
        return Ok(Verdict::Clean);
    }
    let verdict = match &args.command {
        Some(Command::Reanalyze(args)) => command::reanalyze(args, common, out),
        None => command::trace(&args.trace, common, out),
    };
    // What was found before an error is worth printing too.
    out.bytes().flush()?;
    verdict
}
