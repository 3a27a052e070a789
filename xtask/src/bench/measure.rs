//! What a command costs: CPU time, wall time, peak memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// The hidden command that runs another one, so that the kernel's account of children holds nothing
/// else.
pub(crate) const MEASURE: &str = "measure";

/// The cost of one run.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Usage {
    /// User and system time.
    pub(super) cpu_us: u64,
    pub(super) wall_us: u64,
    pub(super) peak_kib: u64,
}

/// Runs a command in a process of its own and returns what it cost. Its output is thrown away;
/// `scratch` is the directory in which it may leave files (mptcptrace writes some for each run).
pub(super) fn run(command: &[String], scratch: &Path) -> anyhow::Result<Usage> {
    let own = std::env::current_exe()?;
    let output = Command::new(own)
        .current_dir(scratch)
        .arg(MEASURE)
        .args(command)
        .output()
        .context("starting the measuring process")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", command.join(" "));
    toml::from_str(&String::from_utf8_lossy(&output.stdout)).context("reading the measurement")
}

/// The measuring process: prints a [`Usage`].
pub(crate) fn measured(command: &[&str]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("no command")?;
    let begin = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("starting {program}"))?;
    let wall = begin.elapsed();
    ensure!(status.code() == Some(0), "{program}: {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    crate::say::answer(&toml::to_string(&Usage {
        cpu_us: u64::try_from(cpu)?,
        wall_us: u64::try_from(wall.as_micros())?,
        peak_kib: u64::try_from(usage.max_rss())?,
    })?);
    Ok(())
}
