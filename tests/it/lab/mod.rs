//! The lab's applications and oracles against the kernel.

mod exchange;
mod fast_open;
mod relay;
mod subflow;
mod tracebox;
mod tun;

use mptcp_tests::lab::oracle::counters::{self, Counters};
use mptcp_tests::lab::{self, Lab, Node, Process, Topology};

/// The lab's helper: its applications, and the process that removes its namespaces.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mptcp-lab");

/// The router of the first path.
const R11: Node = Node::router(1, 1);

/// A network; none, and a word about it, where the lab cannot run.
fn network() -> Option<Lab> {
    lab::works().then(|| crate::network::build(&Topology::paths(&[1, 1])))
}

/// Starts an application of the lab and waits for its word `ready`.
fn app(lab: &Lab, node: Node, arguments: &str, ready: &str) -> Process {
    let mut command = lab.command(node, PROGRAM);
    command.arg("app").args(arguments.split_whitespace());
    let mut process = Process::start(arguments, &mut command).expect("the program was built");
    process.wait_for(ready, 1).expect("the application works");
    process
}

/// Runs an application that ends by itself, and returns its last line.
fn run(lab: &Lab, node: Node, arguments: &str) -> String {
    lab.run(node, &format!("{PROGRAM} app {arguments}"))
        .expect("the application works")
}

/// Tells an application to do something and waits until it is done.
fn tell(process: &mut Process, command: &str) {
    let done = format!("ok {command}");
    let before = process.lines.iter().filter(|line| **line == done).count();
    process.tell(command).expect("the application runs");
    process.wait_for(&done, before + 1).expect("it obeys");
}

/// The line that begins with `key`, printed last.
#[track_caller]
fn last_line<'a>(lines: &'a [String], key: &str) -> &'a str {
    let found = lines.iter().rev().find(|line| line.starts_with(key));
    found.unwrap_or_else(|| panic!("no `{key}` in {lines:?}"))
}

/// The value of `key=…` in a line.
#[track_caller]
fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let found = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key} in `{line}`"))
}

/// A hexadecimal value with `0x`.
#[track_caller]
fn sequence(line: &str, key: &str) -> u64 {
    u64::from_str_radix(value(line, key).trim_start_matches("0x"), 16).expect("a number")
}

fn counters(lab: &Lab, node: Node) -> Counters {
    Counters::parse(&lab.run(node, counters::COMMAND).expect("nstat works"))
}
