//! Automation of the project, in Rust so that it needs nothing but cargo: the rules of the house
//! (`tidy`), what continuous integration runs (`ci`) and the captures of `testdata/` (`testdata`).

mod bench;
mod ci;
mod lab;
mod say;
mod session;
mod testdata;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use mptcp_tests::lab::process::output;

use crate::say::say;

const HELP: &str = "\
usage: cargo xtask COMMAND

  ci                   everything that continuous integration checks
  readme               write what the programs print into the sessions of README.md
  tidy [DIRECTORY]     the rules of the house, without a build
  testdata [NAME...]   make the captures of testdata/ again (root; iproute2, tcpdump, dumpcap, editcap,
                       ethtool, iptables; a kernel with MPTCP), all or the named scenarios
  testdata --into DIRECTORY [NAME...]   the same, elsewhere
  testdata --list      the scenarios and what each one shows
  bench [--help]       the analyzer and its rivals on large captures that the lab makes
  lab shell|list|clean a shell in a network of namespaces with middleboxes; `lab` alone says more
";

/// Runs the command that `args` name and returns the exit code: 0 done, 1 failed, 2 usage, or that of a
/// command that ran in the lab.
pub fn main(args: &[String]) -> ExitCode {
    if let Some(code) = mptcp_tests::lab::helper(args) {
        return code;
    }
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["ci"] => ci::run(&root()),
        ["readme"] => session::run(&root(), true),
        ["tidy"] => tidy::run(&root()),
        ["tidy", directory] => tidy::run(Path::new(directory)),
        ["testdata", "--list"] => {
            testdata::list();
            Ok(())
        }
        ["testdata", "--into", directory, names @ ..] => {
            testdata::make(Path::new(directory), names)
        }
        ["testdata", names @ ..] => testdata::make(&root().join("testdata"), names),
        ["bench", rest @ ..] => bench::run(&root(), rest),
        [bench::MEASURE, command @ ..] => bench::measured(command),
        ["lab", rest @ ..] => return lab::run(&root(), rest),
        ["help" | "--help" | "-h"] => {
            say(HELP);
            Ok(())
        }
        _ => {
            say(HELP);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The directory of the workspace.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// How the programs are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Debug,
    Release,
}

/// Builds the programs of the project and returns the directory where they are.
fn build_programs(root: &Path, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root);
    cargo.args(["build", "--locked", "--package", "mptcp-analyze"]);
    cargo.args(["--package", "mptcp-tracebox"]);
    let target = std::env::var_os("CARGO_TARGET_DIR");
    let target = target.map_or_else(|| root.join("target"), PathBuf::from);
    if profile == Profile::Release {
        cargo.arg("--release");
        output(&mut cargo)?;
        return Ok(target.join("release"));
    }
    output(&mut cargo)?;
    Ok(target.join("debug"))
}
