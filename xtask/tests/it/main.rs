//! The lab against the real kernel: it makes captures and leaves nothing behind.

#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test, helper functions too"
)]

mod lab;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use mptcp_tests::lab::works;

fn testdata(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["testdata", "--into"])
        .arg(directory)
        .arg("v1-single");
    command
}

/// The namespaces of the lab that process `id` made.
fn namespaces(id: u32) -> Vec<String> {
    let listed = Command::new("ip")
        .args(["netns", "list"])
        .output()
        .expect("ip was there before");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed
        .lines()
        .filter(|line| line.starts_with(&format!("mptx{id}n")))
        .map(str::to_owned)
        .collect()
}

/// Waits for what another process brings about.
#[track_caller]
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not in 30 s: {what}");
        // Its progress cannot wake us; asking all the time would only slow it down.
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn a_scenario_gives_a_capture_its_manifest_and_no_leftovers() {
    if !works() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut made = testdata(directory.path()).spawn().unwrap();
    assert!(made.wait().unwrap().success());
    let capture = std::fs::read(directory.path().join("captures/v1-single.pcap")).unwrap();
    // A SYN alone would already be longer than this.
    assert!(
        capture.len() > 18_000,
        "{} bytes for 18,000 bytes of data",
        capture.len()
    );
    let manifest = std::fs::read_to_string(directory.path().join("MANIFEST.toml")).unwrap();
    assert!(manifest.contains("received_bytes = 9000"), "{manifest}");
    assert_eq!(namespaces(made.id()), Vec::<String>::new());
}

#[test]
fn a_killed_run_leaves_no_namespace_and_no_part_of_a_capture() {
    if !works() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut run = testdata(directory.path()).spawn().unwrap();
    let id = run.id();
    let own = std::env::temp_dir().join(format!("mptx{id}n0"));
    let capture = own.join("v1-single.pcap");
    eventually("the capture begins", || capture.exists());
    assert_eq!(namespaces(id).len(), 4);
    run.kill().unwrap();
    run.wait().unwrap();
    eventually("the namespaces are gone", || namespaces(id).is_empty());
    eventually("its directory is gone", || !own.exists());
    let left = std::fs::read_dir(directory.path().join("captures")).unwrap();
    assert_eq!(left.count(), 0, "files of a scenario that is not complete");
}
