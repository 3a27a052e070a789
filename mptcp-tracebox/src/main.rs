//! The command `mptcp-tracebox`.

use std::process::ExitCode;

use clap::Parser as _;
use mptcp_cli::Output;
use mptcp_tracebox::args::Args;

fn main() -> ExitCode {
    let args = Args::parse();
    args.output.apply();
    mptcp_cli::exit(mptcp_tracebox::run(&args, &mut Output::stdout()))
}
