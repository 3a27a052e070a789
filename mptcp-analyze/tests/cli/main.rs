//! The real binary, from the outside: exit codes, standard output, standard error.

mod document;
mod exit;
mod help;
mod stream;
mod terminal;

use std::path::PathBuf;

use assert_cmd::Command;

/// The binary, with an environment that changes nothing.
fn analyze() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mptcp-analyze"));
    for variable in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "MPTCP_LOG",
        "COLUMNS",
    ] {
        command.env_remove(variable);
    }
    command
}

/// A capture of `testdata`.
fn capture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/captures")
        .join(name)
}

/// Standard output of the binary with these arguments, which must end with `code`.
#[track_caller]
fn stdout(arguments: &[&str], code: i32) -> String {
    let output = analyze()
        .args(arguments)
        .assert()
        .code(code)
        .get_output()
        .clone();
    String::from_utf8(output.stdout).expect("text")
}

/// A capture of `testdata` as an argument.
fn argument(name: &str) -> String {
    capture(name)
        .into_os_string()
        .into_string()
        .expect("a path in UTF-8")
}

const TWO_SUBFLOWS: &str = "v1-two-subflows.pcapng";
