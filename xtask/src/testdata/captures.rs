//! The capture files of a run: begun in time, ended, and reduced to the connection that counts.

use std::fmt::Write;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use mptcp_tests::lab::process::output;
use mptcp_tests::lab::{Lab, Recording};
use mptcp_tests::payload::sha256;

use super::manifest;
use super::scenario::{Capture, Scenario};

/// The captures of one scenario, in the lab's own directory until the scenario is complete: what a
/// killed run leaves goes with the lab.
pub(crate) struct Captures<'a> {
    scenario: &'a Scenario,
    directory: PathBuf,
    running: Vec<(&'a Capture, Recording)>,
}

impl<'a> Captures<'a> {
    /// Begins those that begin before the connection.
    pub(crate) fn start(scenario: &'a Scenario, lab: &Lab) -> anyhow::Result<Self> {
        let mut captures = Self {
            scenario,
            directory: lab.directory().to_owned(),
            running: Vec::new(),
        };
        captures.begin(lab, false)?;
        Ok(captures)
    }

    /// Begins those that begin late, or the others.
    pub(crate) fn begin(&mut self, lab: &Lab, late: bool) -> anyhow::Result<()> {
        let now = self.scenario.captures.iter().filter(|c| c.late == late);
        for capture in now {
            let path = self.directory.join(capture.file(self.scenario));
            let recording = Recording::start(lab, &capture.tap(), &path)?;
            self.running.push((capture, recording));
        }
        Ok(())
    }

    /// Ends all. `port` is the client's, when only that connection shall stay.
    pub(crate) fn finish(self, port: Option<u16>) -> anyhow::Result<Vec<manifest::Capture>> {
        let count = self.scenario.captures.len();
        ensure!(self.running.len() == count, "a late capture did not begin");
        let (scenario, directory) = (self.scenario, self.directory);
        let mut entries = Vec::new();
        for (capture, recording) in self.running {
            let mut packets = recording.finish()?;
            let name = capture.file(scenario);
            let file = format!("captures/{name}");
            let path = directory.join(&name);
            let mut command = capture.tap().command(&name).join(" ");
            if let Some(port) = port {
                packets = reduce(&path, port)?;
                let _ = write!(
                    command,
                    "; reduced to the last connection from TCP port {port}"
                );
            }
            let bytes = std::fs::read(&path).with_context(|| format!("reading {file}"))?;
            // dumpcap makes files that only root may read.
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
            entries.push(manifest::Capture {
                packets,
                command,
                sha256: sha256(&bytes),
                bytes: bytes.len() as u64,
                side: capture.node.to_string(),
                file,
                late: capture.late,
                connections: capture.connections,
                fallback: capture.fallback.map(str::to_owned),
                findings: ids(capture.findings),
                notes: ids(capture.notes),
                large_because: capture.large_because.map(str::to_owned),
            });
        }
        Ok(entries)
    }
}

/// Moves the files of a complete scenario from the lab's directory to their place below `directory`.
pub(crate) fn publish(scenario: &Scenario, lab: &Lab, directory: &Path) -> anyhow::Result<()> {
    for capture in scenario.captures {
        let name = capture.file(scenario);
        let from = lab.directory().join(&name);
        let to = directory.join("captures").join(&name);
        move_file(&from, &to).with_context(|| format!("moving {name} to its place"))?;
    }
    Ok(())
}

/// The file is whole as soon as it has the name `to`, also when the two are on different file systems.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let partial = to.with_extension("partial");
            std::fs::copy(from, &partial)?;
            std::fs::rename(&partial, to)
        }
        done => done,
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Keeps only the last connection from one port in a pcap file, and returns how many packets it has.
/// The port may have been used before: a search makes more connections than there are ports.
fn reduce(path: &Path, port: u16) -> anyhow::Result<u64> {
    let (whole, port_only) = (path.with_extension("whole"), path.with_extension("port"));
    std::fs::rename(path, &whole)?;
    let mut filter = Command::new("tcpdump");
    filter.arg("-r").arg(&whole).arg("-w").arg(&port_only);
    output(filter.args(["-Z", "root", "tcp", "port", &port.to_string()]))?;
    let mut list = Command::new("tcpdump");
    let listed = output(list.args(["-n", "-r"]).arg(&port_only))?;
    let is_syn = |line: &str| line.contains("Flags [S],");
    let before = listed.lines().collect::<Vec<_>>();
    let before = before.iter().rposition(|line| is_syn(line));
    let before = before.context("no SYN from the port of the connection")?;
    let count = listed.lines().count();
    let mut cut = Command::new("editcap");
    cut.args(["-F", "pcap", "-r"]).arg(&port_only).arg(path);
    output(cut.arg(format!("{}-{count}", before + 1)))?;
    std::fs::remove_file(&whole)?;
    std::fs::remove_file(&port_only)?;
    Ok((count - before) as u64)
}
