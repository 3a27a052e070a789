//! The terminal sessions in README.md: what they show is what the programs print.
//!
//! A session is a block that begins with ```` ```console ````; a line `$ COMMAND` in it is followed
//! by the command's standard output.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::say::say;

const README: &str = "README.md";
const BEGIN: &str = "```console";
const END: &str = "```";

/// Compares the sessions with what the commands print now, or writes that into the README.
pub(crate) fn run(root: &Path, write: bool) -> anyhow::Result<()> {
    let path = root.join(README);
    let text = std::fs::read_to_string(&path).context("reading README.md")?;
    let programs = crate::build_programs(root, crate::Profile::Debug)?;
    let real = replay(&text, |command| {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", programs.display());
        // A session may show the findings of a check, whose exit code is 1.
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .current_dir(root)
            .env("PATH", path)
            .env("COLUMNS", "80");
        let said = shell
            .output()
            .with_context(|| format!("running {command}"))?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    })?;
    if write {
        return std::fs::write(&path, real).context("writing README.md");
    }
    for (number, (shown, real)) in (1..).zip(text.lines().zip(real.lines())) {
        if shown != real {
            bail!(
                "README.md:{number}: shows `{shown}`, but it is `{real}`; `cargo xtask readme` mends it"
            );
        }
    }
    if text.lines().count() != real.lines().count() {
        bail!("README.md: a session ends too early or too late; `cargo xtask readme` mends it");
    }
    say("readme: the sessions are what the programs print");
    Ok(())
}

/// `text` with the output of each command in its sessions replaced by what `run` returns.
fn replay(text: &str, run: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if inside && line != END {
            let Some(command) = line.strip_prefix("$ ") else {
                continue; // Output of an earlier run.
            };
            lines.push(line.to_owned());
            let printed = run(command)?;
            lines.extend(printed.lines().map(|line| line.trim_end().to_owned()));
        } else {
            inside = line == BEGIN;
            lines.push(line.to_owned());
        }
    }
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_output_gives_way_to_new_output() {
        let text = "a\n```console\n$ one\nold\nold\n$ two\n```\n```sh\nkept\n```\n";
        let real = replay(text, |command| Ok(format!("{command}!\n"))).unwrap();
        assert_eq!(
            real,
            "a\n```console\n$ one\none!\n$ two\ntwo!\n```\n```sh\nkept\n```\n"
        );
    }

    #[test]
    fn a_text_without_sessions_stays_as_it_is() {
        let text = "# Title\n\n```sh\n./demo\n```\n";
        assert_eq!(replay(text, |_| bail!("nothing to run")).unwrap(), text);
    }
}
