//! Who is compared: ours in several ways, and the rivals that are installed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::say::say;

/// A command that reads a capture.
pub(super) struct Contender {
    /// Its name in the table.
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    /// Not ours; it may be unable to read a file.
    pub(super) is_rival: bool,
    /// Takes minutes: one round is enough, since what it is compared with is a hundred times faster.
    pub(super) is_slow: bool,
}

/// Ways to run our analyzer; the first is what the others are divided by.
const OURS: [(&str, &[&str]); 2] = [
    ("mptcp-analyze list --json", &["list", "--json", "-q"]),
    (
        "mptcp-analyze list --json, one thread",
        &["list", "--json", "-q", "--threads", "1"],
    ),
];

/// Commands of others; `FILE` is replaced. The shell runs none of them.
const RIVALS: [(&str, &[&str], bool); 6] = [
    ("cat", &["cat", "FILE"], false),
    (
        "tcpdump -w /dev/null",
        &["tcpdump", "-n", "-r", "FILE", "-w", "/dev/null"],
        false,
    ),
    ("tcptrace -n", &["tcptrace", "-n", "FILE"], false),
    ("mptcptrace -f", &["mptcptrace", "-f", "FILE"], false),
    (
        "tshark -q -z conv,tcp",
        &["tshark", "-n", "-q", "-r", "FILE", "-z", "conv,tcp"],
        true,
    ),
    (
        "tshark -T fields, mappings",
        &[
            "tshark",
            "-n",
            "-r",
            "FILE",
            "-T",
            "fields",
            "-e",
            "mptcp.stream",
            "-o",
            "mptcp.analyze_mappings:TRUE",
            "-o",
            "mptcp.intersubflows_retransmission:TRUE",
        ],
        true,
    ),
];

/// The commands for `file`; rivals that are not installed are named and left out.
pub(super) fn contenders(analyzer: &Path, file: &Path, fast: bool) -> Vec<Contender> {
    let file = file.display().to_string();
    let mut found = Vec::new();
    for (name, arguments) in OURS {
        let mut command = vec![analyzer.display().to_string()];
        command.extend(arguments.iter().map(|word| (*word).to_owned()));
        command.push(file.clone());
        found.push(Contender {
            name,
            command,
            is_rival: false,
            is_slow: false,
        });
    }
    for (name, command, is_slow) in RIVALS {
        if is_slow && fast {
            continue;
        }
        let program = command.first().copied().unwrap_or_default();
        if !is_installed(program) {
            say(&format!("bench: {program} is not installed and left out"));
            continue;
        }
        let word = |word: &&str| word.replace("FILE", &file);
        found.push(Contender {
            name,
            command: command.iter().map(word).collect(),
            is_rival: true,
            is_slow,
        });
    }
    found
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("command -v {program}")]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
