//! What two endpoints joined in memory cost, beside smoltcp's loopback benchmark in the same run.
//!
//! `cargo bench -p mptcp-proto --bench endpoint -- [--mib N] [--rounds N] [--least GBIT] [FILTER]`.
//! Everything is CPU time of the only thread, both ends together; the best of the rounds counts. With
//! `--least` the exit code is 1 when a transfer of MPTCP at smoltcp's segment size, on one subflow or on
//! four, carries less per CPU second.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot run shall stop, and its result is what it prints"
)]

mod joined;
mod smol;

use std::process::ExitCode;
use std::time::Duration;

use joined::{Joined, Load};

struct Arguments {
    filter: String,
    mib: u64,
    rounds: u32,
    least: Option<f64>,
}

impl Arguments {
    fn parse() -> Self {
        let mut arguments = Self {
            filter: String::new(),
            mib: 256,
            rounds: 3,
            least: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--mib" => arguments.mib = words.next().unwrap().parse().unwrap(),
                "--rounds" => arguments.rounds = words.next().unwrap().parse().unwrap(),
                "--least" => arguments.least = Some(words.next().unwrap().parse().unwrap()),
                _ => arguments.filter = word,
            }
        }
        arguments
    }

    fn wants(&self, name: &str) -> bool {
        name.contains(&self.filter)
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// Least CPU time of some rounds.
fn best(rounds: u32, mut run: impl FnMut()) -> Duration {
    let times = (0..rounds.max(1)).map(|_| {
        let before = cpu_time();
        run();
        cpu_time().saturating_sub(before)
    });
    times.min().unwrap()
}

/// Prints the table, and gives the transfers that are to reach `--least` and do not, with what they reach;
/// and how many were asked to.
fn transfers(arguments: &Arguments) -> (Vec<(String, f64)>, usize) {
    let (mut slow, mut judged) = (Vec::new(), 0);
    println!("| transfer | payload | Gbit per CPU s | ns a segment |\n|---|---|---|---|");
    let bytes = arguments.mib << 20;
    for (name, checksums) in [("smoltcp", false), ("smoltcp, checksums", true)] {
        if arguments.wants(name) {
            let time = best(arguments.rounds, || smol::transfer(bytes, checksums));
            print_transfer(name, smol::PAYLOAD, bytes, time);
        }
    }
    for payload in [smol::PAYLOAD, 1460] {
        for load in Load::all(payload) {
            let name = load.to_string();
            if arguments.wants(&name) {
                let time = best(arguments.rounds, || Joined::new(&load).transfer(bytes));
                let gbits = print_transfer(&name, payload, bytes, time);
                if payload == smol::PAYLOAD && load.is_judged() {
                    judged += 1;
                    if arguments.least.is_some_and(|least| gbits < least) {
                        slow.push((name, gbits));
                    }
                }
            }
        }
    }
    (slow, judged)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
fn print_transfer(name: &str, payload: usize, bytes: u64, time: Duration) -> f64 {
    let gbits = bytes as f64 * 8e-9 / time.as_secs_f64();
    let segments = bytes as f64 / payload as f64;
    let nanos = time.as_secs_f64() * 1e9 / segments;
    println!("| {name} | {payload} | {gbits:.1} | {nanos:.0} |");
    gbits
}

/// Each kind in a process of its own, whose memory nothing else has used.
fn connections(arguments: &Arguments) {
    println!("\n| connections | CPU µs each | KiB each, both ends |\n|---|---|---|");
    for (name, subflows) in [
        ("open TCP", 0),
        ("open 1 subflow", 1),
        ("open 2 subflows", 2),
    ] {
        if arguments.filter == name {
            open_and_close(name, subflows);
        } else if arguments.filter.is_empty() {
            let mut other = std::process::Command::new(std::env::current_exe().unwrap());
            let output = other.arg(name).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let rows = text
                .lines()
                .filter(|line| line.contains("open ") || line.contains("close"));
            rows.for_each(|row| println!("{row}"));
        }
    }
}

fn open_and_close(name: &str, subflows: usize) {
    let load = Load::idle(subflows);
    let before = resident();
    let start = cpu_time();
    let mut joined = Joined::with_connections(&load, CONNECTIONS);
    let opened = cpu_time().saturating_sub(start);
    let memory = resident().saturating_sub(before);
    print_connection(name, opened, Some(memory));
    let start = cpu_time();
    joined.close_all();
    let closed = cpu_time().saturating_sub(start);
    print_connection(&name.replace("open", "close"), closed, None);
}

#[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
fn print_connection(name: &str, time: Duration, memory: Option<u64>) {
    let count = CONNECTIONS as f64;
    let micros = time.as_secs_f64() * 1e6 / count;
    let memory = memory.map_or(String::new(), |bytes| {
        format!("{:.1}", bytes as f64 / 1024.0 / count)
    });
    println!("| {name} | {micros:.2} | {memory} |");
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (slow, judged) = transfers(&arguments);
    connections(&arguments);
    let Some(least) = arguments.least else {
        return ExitCode::SUCCESS;
    };
    for (name, gbits) in &slow {
        println!("{name}: {gbits:.1} Gbit per CPU s, less than {least:.1}");
    }
    // A filter that leaves nothing to judge proves nothing.
    ExitCode::from(u8::from(judged == 0 || !slow.is_empty()))
}

const CONNECTIONS: usize = 5000;
