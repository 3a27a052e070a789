//! Rebuilds Multipath TCP connections from packet captures and explains what happened to them.
//!
//! Data flows one way: `capture` (files to segments) → `rebuild` (segments to the `model`) →
//! `check` (model to findings) → `report` (model and findings to text or JSON).

pub mod args;
pub mod capture;
pub mod check;
mod command;
mod destination;
mod extract;
pub mod filter;
mod follow;
pub mod model;
mod pass;
mod plan;
mod progress;
pub mod rebuild;
pub mod report;
mod threads;

use std::path::PathBuf;

use clap::CommandFactory as _;
use mptcp_cli::generate::generate;
use mptcp_cli::{Output, UsageError, Verdict};

use self::args::{Args, Command};
use self::capture::{Captures, Input, OpenError};
use self::model::Analysis;
use self::progress::Progress;
use self::rebuild::RebuildOptions;

/// Does what `args` ask for and writes the answer to `out`.
pub fn run(args: &Args, out: &mut Output) -> anyhow::Result<Verdict> {
    let common = &args.output;
    if let Some(what) = common.generate {
        generate(Args::command(), what, out.bytes())?;
        out.bytes().flush()?;
        return Ok(Verdict::Clean);
    }
    let verdict = match &args.command {
        Some(Command::List(args)) => command::list(args, common, out),
        Some(Command::Show(args)) => command::show(args, common, out),
        Some(Command::Packets(args)) => command::packets(args, common, out),
        Some(Command::Check(args)) => command::check(args, common, out),
        Some(Command::Explain(args)) => command::explain(args, common, out),
        Some(Command::Follow(args)) => follow::follow(args, common, out),
        Some(Command::Extract(args)) => extract::extract(args, common, out),
        None => Err(UsageError("no command; `mptcp-analyze --help` lists them".to_owned()).into()),
    }?;
    out.bytes().flush()?;
    Ok(verdict)
}

/// Reads captures from the first to the last packet, rebuilds their connections and checks them.
///
/// # Errors
///
/// When a file cannot be opened or is no capture. What is wrong further inside is in the result.
pub fn analyze_files(paths: &[PathBuf], options: RebuildOptions) -> Result<Analysis, OpenError> {
    let inputs: Vec<Input> = paths.iter().cloned().map(Input::File).collect();
    let captures = Captures::open(&inputs)?;
    Ok(analyze(captures, options))
}

/// Reads captures that are open already.
pub fn analyze(captures: Captures, options: RebuildOptions) -> Analysis {
    pass::read(captures, options, Progress::silent(), 1).into_analysis()
}
