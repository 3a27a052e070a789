//! Nothing of the lab stays: not after a panic, a signal or `kill -9`.
//!
//! A process of its own waits for the end of its standard input, which comes when the maker of the
//! network drops it or dies, and then removes everything that bears the network's name. What even
//! that could not remove (it was killed too) is found again by [`all`].

use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::process::output;

/// The names of all namespaces and directories of the lab begin with this, and nothing else's do.
const FAMILY: &str = "mptx";

/// Where `ip netns` keeps a name for each namespace.
const NAMESPACES: &str = "/run/netns";

/// Longer than one command of the maker's shell takes.
const LAST_COMMAND: Duration = Duration::from_millis(50);

/// How often in a row nothing of what is there may be removable before it gives up.
const MOST_VAIN_ROUNDS: u32 = 20;

/// `mptx`, the number of the process that makes the network, `n`, the number of the network.
pub(super) fn new_prefix() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{FAMILY}{}n{number}", std::process::id())
}

/// The directory that belongs to a network.
pub(super) fn directory(prefix: &str) -> PathBuf {
    std::env::temp_dir().join(prefix)
}

/// Starts the process that outlives us, whatever ends us, and then removes the network.
pub(super) fn start_reaper(prefix: &str, program: &Path) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new(program)
        .args(["reap", prefix])
        .stdin(Stdio::piped())
        .process_group(0) // Ctrl-C on the terminal reaches the group of the parent only.
        .spawn()
        .context("starting the process that removes the namespaces")
}

/// Waits until standard input ends and then removes the network.
pub(super) fn reap(prefix: &str) -> anyhow::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    remove(prefix)
}

/// Removes the namespaces of a network and then its directory. A shell that was making namespaces
/// when its parent was killed may add some meanwhile, so it looks again.
fn remove(prefix: &str) -> anyhow::Result<()> {
    let (mut quiet_rounds, mut vain_rounds) = (0, 0);
    while quiet_rounds < 2 {
        let found = namespaces(&format!("{prefix}-"))?;
        let outcomes: Vec<_> = found.iter().map(|name| remove_namespace(name)).collect();
        if found.is_empty() {
            quiet_rounds += 1;
        } else if outcomes.iter().any(Result::is_ok) {
            vain_rounds = 0;
            continue;
        } else if vain_rounds < MOST_VAIN_ROUNDS {
            // Another one was faster, and the names are gone when it looks again.
            vain_rounds += 1;
        } else {
            let outcome = outcomes.into_iter().collect::<anyhow::Result<()>>();
            return outcome.with_context(|| format!("removing {prefix}, as root only can"));
        }
        std::thread::sleep(LAST_COMMAND);
    }
    remove_directory(&directory(prefix))
}

/// What of the lab is there, by the names of the networks.
pub fn networks() -> anyhow::Result<Vec<String>> {
    let mut found: Vec<String> = namespaces(FAMILY)?
        .iter()
        .filter_map(|name| Some(name.split_once('-')?.0.to_owned()))
        .collect();
    found.extend(names_in(&std::env::temp_dir())?);
    found.retain(|name| maker(name).is_some());
    found.sort();
    found.dedup();
    Ok(found)
}

/// The networks whose maker is gone. Its cleaner may still be at work.
pub fn orphans() -> anyhow::Result<Vec<String>> {
    let mut found = networks()?;
    found.retain(|network| !maker(network).is_some_and(is_alive));
    Ok(found)
}

/// Removes the networks whose maker is gone, with `even_live` also the others. Returns what it
/// removed and what it left alone.
pub fn all(even_live: bool) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let orphans = orphans()?;
    let is_left = |network: &String| !even_live && !orphans.contains(network);
    let (left, removed): (Vec<_>, Vec<_>) = networks()?.into_iter().partition(is_left);
    for network in &removed {
        remove(network)?;
    }
    Ok((removed, left))
}

/// The number of the process that made the network of this name, if it is a name of the lab.
fn maker(network: &str) -> Option<Pid> {
    let (process, number) = network.strip_prefix(FAMILY)?.split_once('n')?;
    number.parse::<u32>().ok()?;
    Pid::from_raw(process.parse().ok()?)
}

fn is_alive(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

/// The namespaces whose names begin with `prefix`.
fn namespaces(prefix: &str) -> anyhow::Result<Vec<String>> {
    let mut found = names_in(Path::new(NAMESPACES))?;
    found.retain(|name| name.starts_with(prefix));
    found.sort();
    Ok(found)
}

/// The names in a directory; none if it does not exist.
fn names_in(directory: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {}", directory.display()))?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    names.collect()
}

/// Ends the processes in a namespace and removes it.
fn remove_namespace(name: &str) -> anyhow::Result<()> {
    if is_our_own(name) {
        // Somebody cleans up from inside, or gave this name to the namespace of the machine.
        return delete_name(name);
    }
    let pids = output(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        if let Some(pid) = Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    delete_name(name)
}

fn delete_name(name: &str) -> anyhow::Result<()> {
    output(Command::new("ip").args(["netns", "delete", name])).map(drop)
}

/// Whether this is a name of the namespace that we are in.
fn is_our_own(name: &str) -> bool {
    let identity = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    let named = identity(&Path::new(NAMESPACES).join(name));
    named.is_some() && named == identity(Path::new("/proc/self/ns/net"))
}

fn remove_directory(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_lab_are_its_networks() {
        assert_eq!(maker("mptx12n0"), Pid::from_raw(12));
        for other in [
            "mptx", "mptxn1", "mptx12", "mptx12nx", "mptxyn1", "tmpx12n0",
        ] {
            assert_eq!(maker(other), None, "{other}");
        }
    }
}
