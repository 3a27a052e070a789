//! `cargo xtask`: the automation of the project. `cargo xtask help` lists what there is.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::main(&std::env::args().skip(1).collect::<Vec<_>>())
}
