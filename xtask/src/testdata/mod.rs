//! Makes the captures of `testdata/captures` with the kernel's own MPTCP, and the manifest that
//! says what each of them must show.

mod captures;
pub(crate) mod manifest;
mod outcome;
mod run;
mod scenario;
mod scenarios;
mod script;

use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::say::say;
use scenario::Scenario;
use scenarios::all;

/// How often a scenario is tried when the kernel's timing spoils it (no reinjection happened, a
/// segment of the close came late).
const ATTEMPTS: u32 = 4;

/// Prints every scenario with what it shows.
pub(crate) fn list() {
    for scenario in all() {
        say(&format!("{:24} {}", scenario.name, scenario.shows));
    }
}

/// Makes the scenarios called `names`, or all of them, below `directory`.
pub(crate) fn make(directory: &Path, names: &[&str]) -> anyhow::Result<()> {
    if let Some(unknown) = names.iter().find(|name| all().all(|s| s.name != **name)) {
        bail!("{unknown}: no such scenario; `cargo xtask testdata --list` names them");
    }
    std::fs::create_dir_all(directory.join("captures")).context("making testdata/captures")?;
    let path = directory.join("MANIFEST.toml");
    let mut manifest = manifest::read(&path)?;
    let wanted = |scenario: &&Scenario| names.is_empty() || names.contains(&scenario.name);
    let mut failed = Vec::new();
    for scenario in all().filter(wanted) {
        let entry = match attempt(scenario, directory) {
            Ok(entry) => entry,
            // The others are not to blame, and a run takes minutes.
            Err(error) => {
                failed.push(format!("{error:#}"));
                continue;
            }
        };
        manifest.scenario.retain(|other| other.name != entry.name);
        manifest.scenario.push(entry);
        // In the order of the table, so that a new scenario is a small difference.
        let order = |name: &str| all().position(|s| s.name == name);
        manifest.scenario.sort_by_key(|entry| order(&entry.name));
        manifest::write(&path, &manifest)?;
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

fn attempt(scenario: &Scenario, directory: &Path) -> anyhow::Result<manifest::Entry> {
    let mut number = 1;
    loop {
        match run::run(scenario, directory) {
            Ok(entry) => {
                say(&format!("{}: done", scenario.name));
                return Ok(entry);
            }
            Err(error) if number < ATTEMPTS => {
                say(&format!("{}: attempt {number}: {error:#}", scenario.name));
                number += 1;
            }
            Err(error) => return Err(error.context(format!("scenario {}", scenario.name))),
        }
    }
}
