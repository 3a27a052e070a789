//! Captures while they are made: tcpdump writes pcap, dumpcap takes several interfaces into one pcapng.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use super::{Lab, Node, Process};

/// What the kernel may keep for tcpdump.
const BUFFER_KIB: &str = "32768";

/// The same for each interface of dumpcap.
const BUFFER_MIB: &str = "32";

/// What dumpcap itself may keep for its writer, in bytes. Where it has several interfaces its own
/// limit is 1,000 packets, which a busy machine exceeds.
const QUEUE_BYTES: &str = "268435456";

/// Where and how to capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap<'a> {
    /// On which node.
    pub node: Node,
    /// Its interfaces; more than one needs a pcapng file, `any` alone is captured in Linux cooked
    /// mode, version 2.
    pub interfaces: &'a [&'a str],
    /// Which packets, in the language of libpcap.
    pub filter: &'a str,
    /// How many bytes of each packet; 0 takes all.
    pub snaplen: u32,
    /// Memory in KiB for packets that are not written yet; 0 is what the program thinks right.
    pub buffer_kib: u32,
}

impl<'a> Tap<'a> {
    /// Whole TCP packets. A namespace is quiet but for IPv6 neighbour discovery.
    pub const fn tcp(node: Node, interfaces: &'a [&'a str]) -> Self {
        Self {
            node,
            interfaces,
            filter: "tcp",
            snaplen: 0,
            buffer_kib: 0,
        }
    }

    /// The command line that captures into `file`; its ending decides the format.
    pub fn command(&self, file: &str) -> Vec<String> {
        let mut words = Vec::new();
        let pcapng = file.ends_with(".pcapng");
        if pcapng {
            // dumpcap applies a filter to all interfaces only when it comes before them.
            let dumpcap = ["dumpcap", "-q", "-B", BUFFER_MIB, "-C", QUEUE_BYTES];
            words.extend(dumpcap.map(str::to_owned));
            words.extend(["-f", self.filter].map(str::to_owned));
        } else {
            // A packet on `any` may be as long as the snapshot: the usual buffer has room for eight.
            let tcpdump = ["tcpdump", "-n", "-U", "--immediate-mode", "-B", BUFFER_KIB];
            words.extend(tcpdump.map(str::to_owned));
            words.extend(["-Z", "root"].map(str::to_owned));
        }
        let mut add = |text: &str| words.extend(text.split_whitespace().map(str::to_owned));
        if self.snaplen > 0 {
            add(&format!("-s {}", self.snaplen));
        }
        if self.buffer_kib > 0 && !pcapng {
            add(&format!("-B {}", self.buffer_kib));
        }
        for interface in self.interfaces {
            add(&format!("-i {interface}"));
        }
        if self.interfaces == ["any"] {
            add("-y LINUX_SLL2");
        }
        words.extend(["-w".to_owned(), file.to_owned()]);
        if !pcapng {
            words.push(self.filter.to_owned());
        }
        words
    }
}

/// A capture that goes on until it is finished or dropped.
pub struct Recording {
    process: Process,
    path: PathBuf,
}

impl Recording {
    /// Starts to capture into `path` and waits until packets are seen.
    pub fn start(lab: &Lab, tap: &Tap<'_>, path: &Path) -> anyhow::Result<Self> {
        let line = tap.command(&path.to_string_lossy());
        let (program, arguments) = line.split_first().context("an empty command")?;
        let mut command = lab.command(tap.node, program);
        let mut process = Process::start(program, command.args(arguments))?;
        let ready = if program == "dumpcap" {
            "File: "
        } else {
            "listening on"
        };
        process.wait_for(ready, 1)?;
        Ok(Self {
            process,
            path: path.to_owned(),
        })
    }

    /// Ends the capture and returns how many packets its program counted. A capture that lost packets
    /// is no evidence and an error.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        if !self.path.to_string_lossy().ends_with(".pcapng") {
            self.catch_up()?;
        }
        let lines = self.process.interrupt()?;
        let shown = self.path.display();
        let dropped: u64 = lines.iter().filter_map(|line| dropped(line)).sum();
        ensure!(dropped == 0, "{shown}: {dropped} packets were dropped");
        let packets = lines.iter().find_map(|line| packets(line));
        packets.with_context(|| format!("{shown}: no packet count in {lines:?}"))
    }

    /// Waits until tcpdump has written all that the kernel has for it: when it is interrupted it
    /// forgets the rest.
    fn catch_up(&mut self) -> anyhow::Result<()> {
        for asked in 1..=MOST_QUESTIONS {
            self.process.signal(Signal::USR1)?;
            self.process.wait_for(PROGRESS, asked)?;
            let lines = self.process.lines.iter().rev();
            let line = lines.into_iter().find(|line| line.contains(PROGRESS));
            if line.and_then(|line| behind(line)) == Some(0) {
                return Ok(());
            }
        }
        bail!("{}: tcpdump does not keep up", self.path.display())
    }
}

/// How often tcpdump is asked how far it is. Each question takes it some time, in which it writes.
const MOST_QUESTIONS: usize = 1000;

/// What is in the line with which tcpdump answers SIGUSR1, and in no other.
const PROGRESS: &str = "captured, ";

/// How many packets tcpdump has not written yet:
/// `tcpdump: N packets captured, M packets received by filter, 0 packets dropped by kernel`.
fn behind(line: &str) -> Option<u64> {
    let mut numbers = line
        .split([' ', ','])
        .filter_map(|word| word.parse::<u64>().ok());
    let (captured, received) = (numbers.next()?, numbers.next()?);
    Some(received.saturating_sub(captured))
}

/// `N packets captured` of tcpdump, `Packets captured: N` of dumpcap, which overwrites its progress
/// line with a carriage return.
fn packets(line: &str) -> Option<u64> {
    let line = line.trim();
    let number = line
        .strip_suffix(" packets captured")
        .or_else(|| line.strip_suffix(" packet captured"))
        .or_else(|| line.strip_prefix("Packets captured: "))?;
    number.trim().parse().ok()
}

/// `N packets dropped by kernel` of tcpdump, `Packets received/dropped on interface 'I': R/N (…` of
/// dumpcap.
fn dropped(line: &str) -> Option<u64> {
    let line = line.trim();
    if let Some(number) = line.strip_suffix(" packets dropped by kernel") {
        return number.parse().ok();
    }
    let (_, counts) = line
        .strip_prefix("Packets received/dropped on interface")?
        .rsplit_once("': ")?;
    let (_, number) = counts.split_once('/')?;
    number.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_tell_what_they_captured_and_lost() {
        assert_eq!(packets("31 packets captured"), Some(31));
        assert_eq!(packets("1 packet captured"), Some(1));
        assert_eq!(packets("\rPackets captured: 7"), Some(7));
        assert_eq!(dropped("3 packets dropped by kernel"), Some(3));
        let line = "Packets received/dropped on interface 'c1': 9/2 (pcap:2/dumpcap:0/flushed:0/ps_ifdrop:0) (81.8%)";
        assert_eq!(dropped(line), Some(2));
    }

    #[test]
    fn tcpdump_tells_how_far_it_is_behind() {
        let line = "tcpdump: 1 packet captured, 17 packets received by filter, 0 packets dropped by kernel";
        assert_eq!(behind(line), Some(16));
        assert_eq!(behind("tcpdump: listening on near"), None);
    }
}
