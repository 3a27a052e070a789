//! `cargo xtask lab` as a person runs it, and what is left when it dies.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mptcp_tests::lab;
use rustix::process::{Pid, Signal, kill_process};

use crate::{eventually, namespaces};

fn xtask(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(words);
    command
}

/// The standard output of a command that must succeed.
#[track_caller]
fn said(words: &[&str]) -> String {
    let output = xtask(words).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A shell in a network that stays until its standard input ends.
fn waiting_shell() -> Child {
    let script = "echo here; cat";
    let words = ["lab", "shell", "chain:1", "--", "sh", "-c", script];
    let mut shell = xtask(&words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(shell.stdout.as_mut().unwrap());
    // The programs may have to be built before, which takes its time.
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    assert_eq!(namespaces(shell.id()).len(), 3);
    shell
}

/// Kills the process that would clean up for `maker`.
fn kill_cleaner(maker: u32) {
    let wanted = format!("reap\0mptx{maker}n0");
    let is_cleaner = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&wanted)
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    let found: Vec<i32> = pids.filter(is_cleaner).collect();
    assert_eq!(found.len(), 1, "one process cleans up after {maker}");
    kill_process(Pid::from_raw(found[0]).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn a_command_runs_on_the_client_and_reaches_every_node_by_its_name() {
    if !lab::works() {
        return;
    }
    let script = "ip -br -4 addr show dev c1; server ip -br -4 addr show dev s1; r12 iptables -t mangle -S FORWARD; \
                  which mptcp-analyze mptcp-lab";
    let text = said(&[
        "lab",
        "shell",
        "chain:2",
        "--box",
        "tcpmss:mss=1200@2",
        "--",
        "sh",
        "-ec",
        script,
    ]);
    for wanted in [
        "10.1.1.1/24",
        "10.2.1.1/24",
        "--set-mss 1200",
        "/mptcp-analyze",
        "/mptcp-lab",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

/// A shell without a terminal gives `/dev/null` to what runs in its background.
#[test]
fn a_server_in_the_background_of_a_command_stays() {
    if !lab::works() {
        return;
    }
    let script = "dir=$(mktemp -d); mkfifo $dir/said; \
                  server mptcp-lab app serve echo tcp 0.0.0.0:5001 >$dir/said & \
                  read line <$dir/said; echo \"$line\"; rm -r $dir; \
                  timeout 1 tail --pid=$! -f /dev/null; echo ended with $?";
    let text = said(&["lab", "shell", "chain:1", "--", "sh", "-c", script]);
    assert!(text.contains("listening"), "{text}");
    // That of `timeout`, which waited in vain for its end.
    assert!(text.contains("ended with 124"), "{text}");
}

#[test]
fn the_exit_code_of_a_command_is_handed_on() {
    if !lab::works() {
        return;
    }
    for (script, code) in [("exit 7", 7), ("kill -TERM $$", 143)] {
        let words = ["lab", "shell", "chain:1", "--", "sh", "-c", script];
        let output = xtask(&words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{script}: {said}");
        assert!(said.contains("building the programs"), "{said}");
    }
}

#[test]
fn mistakes_are_told_before_anything_is_built() {
    for (words, wanted) in [
        (vec!["lab", "shell", "ring:3"], "chain:ROUTERS"),
        (
            vec!["lab", "shell", "chain:2", "--box", "strip"],
            "BOX@ROUTER",
        ),
        (
            vec!["lab", "shell", "chain:2", "--box", "strip@3"],
            "r11, r12",
        ),
        (vec!["lab", "shell", "chain:2", "--box", "strap@1"], "strip"),
        (
            vec!["lab", "shell", "chain:2", "--box", "strip:how=gently@1"],
            "nop",
        ),
        (vec!["lab", "shell", "chain:2", "--rate"], "needs a value"),
        (
            vec!["lab", "shell", "chain:2", "--rate", "0"],
            "from 1 to 100000",
        ),
        (
            vec!["lab", "shell", "chain:2", "--rat", "1"],
            "no such option",
        ),
        (vec!["lab", "dance"], "usage"),
    ] {
        let output = xtask(&words).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(wanted), "{words:?}: {said}");
    }
}

#[test]
fn the_list_names_every_topology_and_box() {
    let text = said(&["lab", "list"]);
    for wanted in [
        "chain:",
        "paths:",
        "ecmp:",
        "nat",
        "tcpoptstrip:kinds=30",
        "strip:option=mptcp",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
}

/// A namespace that is not the lab's. It goes when this is dropped, and when we are killed.
struct Foreign {
    name: String,
    keeper: Child,
}

impl Foreign {
    fn new() -> Self {
        let name = format!("mpty{}-host", std::process::id());
        let keeper = Command::new("sh")
            .args(["-c", "ip netns add $0; read _; ip netns delete $0", &name])
            .stdin(Stdio::piped())
            .process_group(0) // Ctrl-C does not reach it.
            .spawn()
            .unwrap();
        let made = Self { name, keeper };
        eventually("the namespace exists", || made.exists());
        made
    }

    fn exists(&self) -> bool {
        Path::new("/run/netns").join(&self.name).exists()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

#[test]
fn clean_removes_what_a_killed_run_left_and_nothing_else() {
    if !lab::works() {
        return;
    }
    let foreign = Foreign::new();
    let alive = waiting_shell();
    let mut dead = waiting_shell();
    let (alive_id, dead_id) = (alive.id(), dead.id());
    kill_cleaner(dead_id);
    dead.kill().unwrap();
    dead.wait().unwrap();
    assert_eq!(namespaces(dead_id).len(), 3, "nobody cleaned up");

    let text = said(&["lab", "clean"]);
    assert!(text.contains(&format!("removed mptx{dead_id}n0")), "{text}");
    assert!(
        text.contains(&format!("left alone mptx{alive_id}n0")),
        "{text}"
    );
    assert_eq!(namespaces(dead_id), Vec::<String>::new());
    assert!(!Path::new(&format!("/tmp/mptx{dead_id}n0")).exists());
    assert_eq!(namespaces(alive_id).len(), 3);
    assert!(foreign.exists(), "it was not ours");

    let again = said(&["lab", "clean"]);
    assert!(!again.contains(&format!("mptx{dead_id}")), "{again}");
    // The end of its input ends the command, the shell and the network.
    let output = alive.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(namespaces(alive_id), Vec::<String>::new());
    assert!(!Path::new(&format!("/tmp/mptx{alive_id}n0")).exists());
}
