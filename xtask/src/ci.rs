//! Everything that continuous integration checks, in the order of speed.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

use crate::say::say;
use crate::{lab, session, tidy};

/// The cargo commands, quick ones first.
const COMMANDS: &[&str] = &[
    "fmt --all --check",
    "clippy --workspace --all-targets --locked -- -D warnings",
    "doc --workspace --no-deps --locked",
    "test --workspace --locked",
];

/// Runs all checks in `root` and stops at the first one that fails.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    tidy::run(root)?;
    for arguments in COMMANDS {
        say(&format!("ci: cargo {arguments}"));
        let begin = Instant::now();
        let status = Command::new(env!("CARGO"))
            .args(arguments.split_whitespace())
            .current_dir(root)
            .env("RUSTDOCFLAGS", "-D warnings")
            // A snapshot that differs is a failure; it never becomes a new file.
            .env("INSTA_UPDATE", "no")
            .status()
            .with_context(|| format!("starting cargo {arguments}"))?;
        if !status.success() {
            bail!("cargo {arguments}: {status}");
        }
        say(&format!(
            "ci: cargo {arguments}: {} s",
            begin.elapsed().as_secs()
        ));
    }
    lab::check_nothing_left()?;
    session::run(root, false)
}
