//! The command `mptcp-analyze`.

use std::process::ExitCode;

use clap::Parser as _;
use mptcp_analyze::args::Args;
use mptcp_cli::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    args.output.apply();
    mptcp_cli::exit(mptcp_analyze::run(&args, &mut Output::stdout()))
}
