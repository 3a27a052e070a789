//! What the lab needs of the machine.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Programs, a harmless way to start each, and the Debian package that has it.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("ip", "-V", "iproute2"),
    ("ss", "-V", "iproute2"),
    ("nstat", "-V", "iproute2"),
    ("tc", "-V", "iproute2"),
    ("ethtool", "--version", "ethtool"),
    ("iptables", "--version", "iptables"),
    ("ip6tables", "--version", "iptables"),
    ("tcpdump", "--version", "tcpdump"),
    ("dumpcap", "--version", "wireshark-common"),
    ("editcap", "--version", "wireshark-common"),
    ("tshark", "--version", "tshark"),
];

/// What is missing, by name; a missing program with its package.
pub fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push("root".to_owned());
    }
    if !Path::new("/proc/sys/net/mptcp/enabled").exists() {
        missing.push("a kernel with MPTCP".to_owned());
    }
    for (program, flag, package) in PROGRAMS {
        let mut command = Command::new(program);
        command
            .arg(flag)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if !command.status().is_ok_and(|status| status.success()) {
            missing.push(format!("{program} (package {package})"));
        }
    }
    missing
}

/// Whether a test can use the lab. Says what is missing, past the harness that hides the output of
/// tests that pass.
///
/// # Panics
///
/// If something is missing and `MPTCP_LAB=require` forbids to skip.
pub fn works() -> bool {
    let missing = missing();
    let required = std::env::var("MPTCP_LAB").is_ok_and(|value| value == "require");
    assert!(
        missing.is_empty() || !required,
        "the lab lacks: {}",
        missing.join(", ")
    );
    if !missing.is_empty() {
        let text = missing.join(", ");
        let _ = writeln!(std::io::stderr(), "skipped, the lab lacks: {text}");
    }
    missing.is_empty()
}
