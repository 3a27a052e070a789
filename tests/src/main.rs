//! What the lab starts inside its namespaces: applications, middleboxes, and the process that
//! removes the namespaces. Tests pass the path of this program to `Lab`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    mptcp_tests::lab::helper(&args).unwrap_or(ExitCode::from(2))
}
