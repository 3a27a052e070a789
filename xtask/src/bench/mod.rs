//! `cargo xtask bench`: the analyzer and its rivals on large captures, in turn, in one run.
//!
//! The captures are made in the lab and stay below `target/bench`. What is printed are ratios, with
//! the figures that they come from: seconds depend on the machine, ratios hardly.

mod captures;
mod commands;
mod measure;
mod synthetic;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::say::{answer, say};
use captures::Sizes;
use commands::Contender;
use measure::Usage;

pub(crate) use measure::{MEASURE, measured};

const HELP: &str = "\
usage: cargo xtask bench [--rounds N] [--packets N] [--connections N] [--mebibytes N] [--fast] [CAPTURE...]

Makes the captures that are missing below target/bench (root; about two minutes and 3 GB), then runs
the analyzer and the rivals that are installed (tshark, tcptrace, mptcptrace, tcpdump, cat) in turn,
and prints CPU time, wall time and peak memory as medians, and their ratios.

  CAPTURE        headers, short, full, headers-ng, short-ng, or v0:N, v1:N (synthetic, N connections
                 open at once), or a file; without any: all, with N = 100, 20000 and 200000
  --rounds N     how often each command runs (3); slow rivals run once
  --packets N    of the header-only and the synthetic captures (3000000)
  --connections N  of the capture of short connections (20000)
  --mebibytes N  of the full-size capture (1024)
  --fast         leaves out the rivals that take minutes
";

/// What the user asked for.
struct Wishes {
    rounds: usize,
    sizes: Sizes,
    fast: bool,
    names: Vec<String>,
}

pub(crate) fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    let wishes = read(words)?;
    let directory = root.join("target/bench");
    let analyzer = build(root)?;
    let mut text = format!("{}\n", machine());
    for name in &wishes.names {
        let file = captures::ensure(&directory, name, &wishes.sizes)?;
        let contenders = commands::contenders(&analyzer, &file, wishes.fast);
        let results = compare(&contenders, wishes.rounds, &directory)?;
        text += &table::capture(name, &file, &contenders, &results)?;
    }
    answer(&text);
    Ok(())
}

fn read(words: &[&str]) -> anyhow::Result<Wishes> {
    let mut wishes = Wishes {
        rounds: 3,
        sizes: Sizes::default(),
        fast: false,
        names: Vec::new(),
    };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut number = || -> anyhow::Result<u64> {
            let value = rest
                .next()
                .with_context(|| format!("{word} needs a number"))?;
            value.parse().with_context(|| format!("{word} {value}"))
        };
        match *word {
            "--rounds" => wishes.rounds = usize::try_from(number()?)?.max(1),
            "--packets" => wishes.sizes.packets = number()?,
            "--connections" => wishes.sizes.connections = number()?,
            "--mebibytes" => wishes.sizes.mebibytes = number()?,
            "--fast" => wishes.fast = true,
            option if option.starts_with('-') => bail!("{HELP}"),
            name => wishes.names.push(name.to_owned()),
        }
    }
    if wishes.names.is_empty() {
        wishes.names = captures::NAMES.map(str::to_owned).to_vec();
    }
    Ok(wishes)
}

/// Builds the analyzer as users do and returns its path.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    say("bench: building mptcp-analyze (release)");
    Ok(crate::build_programs(root, crate::Profile::Release)?.join("mptcp-analyze"))
}

/// Runs the contenders in turn, so that a disturbance of the machine meets all of them.
fn compare(
    contenders: &[Contender],
    rounds: usize,
    directory: &Path,
) -> anyhow::Result<Vec<Vec<Usage>>> {
    let scratch = directory.join("scratch");
    std::fs::create_dir_all(&scratch)?;
    let mut results = vec![Vec::new(); contenders.len()];
    for round in 0..rounds {
        for (contender, results) in contenders.iter().zip(&mut results) {
            if round > 0 && contender.is_slow {
                continue;
            }
            say(&format!("bench: round {}: {}", round + 1, contender.name));
            match measure::run(&contender.command, &scratch) {
                Ok(usage) => results.push(usage),
                // A rival that does not read this kind of file has no row.
                Err(error) if contender.is_rival => say(&format!("bench: left out: {error:#}")),
                Err(error) => return Err(error),
            }
        }
    }
    std::fs::remove_dir_all(&scratch)?;
    Ok(results)
}

/// What the figures were taken on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, Linux {}", kernel.trim())
}
