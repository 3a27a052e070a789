//! Exit codes, and what is said on standard error.

use std::fs;
use std::io::Read as _;
use std::process::{Command as Process, Stdio};

use crate::{TWO_SUBFLOWS, analyze, argument, capture};

#[track_caller]
fn check_error(arguments: &[&str], code: i32, expected: &str) {
    let output = analyze()
        .args(arguments)
        .assert()
        .code(code)
        .get_output()
        .clone();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains(expected), "{error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn a_clean_capture_ends_with_zero() {
    for command in ["list", "show", "packets", "check"] {
        analyze()
            .args([command, &argument("v1-single.pcap")])
            .assert()
            .code(0)
            .stderr("");
    }
}

#[test]
fn check_ends_with_one_when_something_is_wrong() {
    let fallen_back = argument("v1-strip-mid-stream-client.pcap");
    analyze().args(["check", &fallen_back]).assert().code(1);
    analyze().args(["list", &fallen_back]).assert().code(0);
}

#[test]
fn what_is_left_out_for_a_limit_is_reported() {
    let files = [argument("v1-single.pcap"), argument(TWO_SUBFLOWS)];
    for (flag, limit) in [
        ("--max-connections", "MPTCP connections (1)"),
        ("--max-subflows", "MPTCP subflows (1)"),
        ("--max-streams", "TCP streams (1)"),
    ] {
        let output = analyze()
            .args(["check", &files[0], &files[1], flag, "1"])
            .assert()
            .code(1)
            .get_output()
            .clone();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("limit reached: {limit}")), "{text}");
    }
}

#[test]
fn a_command_line_that_means_nothing_is_a_usage_error() {
    let file = argument(TWO_SUBFLOWS);
    check_error(&[], 2, "no command");
    check_error(&["list"], 2, "FILE");
    check_error(&["list", &file, "--filter", "prot=1"], 2, "term `prot=1`");
    check_error(
        &["show", &file, "--conn", "1"],
        2,
        "no connection 1; the capture has connection 0 only",
    );
    check_error(&["explain", "MPT999"], 2, "no finding MPT999");
    check_error(&["list", "-", "-"], 2, "only once");
    check_error(&["follow", &file, "--conn", "0"], 2, "--to");
    check_error(
        &["extract", &file, "--conn", "0", "-o", &file],
        2,
        "is an input",
    );
}

#[test]
fn commands_of_later_issues_do_not_exist() {
    for command in [
        "match",
        "plot",
        "report",
        "export",
        "anonymize",
        "browse",
        "stats",
    ] {
        check_error(&[command, "x"], 2, "unrecognized subcommand");
    }
}

#[test]
fn a_file_that_is_no_capture_is_named_and_described() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    check_error(&["list", manifest], 3, "Cargo.toml is not a capture");
    check_error(&["list", "no/such/file"], 3, "no/such/file");
}

#[test]
fn a_cut_capture_is_analysed_to_its_end_and_reported() {
    let whole = fs::read(capture("v1-single.pcap")).unwrap();
    let cut = &whole[..whole.len() - 5];
    let assert = analyze()
        .args(["list", "-", "--json"])
        .write_stdin(cut)
        .assert()
        .code(0);
    let output = assert.get_output();
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input: cut at byte "));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let summary = &document["captures"][0];
    assert_eq!(summary["complete"], false);
    assert!(summary["cut_at_byte"].as_u64().unwrap() < cut.len() as u64);
    assert!(summary["cut_reason"].is_string());
    assert_eq!(document["connections"][0]["state"], "closed");
}

#[test]
fn a_cut_capture_is_told_of_once_in_the_answer_and_once_beside_it() {
    let whole = fs::read(capture("v1-single.pcap")).unwrap();
    let assert = analyze()
        .args(["list", "-"])
        .write_stdin(&whole[..whole.len() - 5])
        .assert()
        .code(0);
    for text in [&assert.get_output().stdout, &assert.get_output().stderr] {
        let text = String::from_utf8_lossy(text).into_owned();
        assert_eq!(text.matches("cut at byte").count(), 1, "{text}");
        assert_eq!(
            text.matches("standard input").count(),
            1 + usize::from(text.contains("MPT070"))
        );
    }
}

#[test]
fn packets_explains_its_columns_to_people_only() {
    let file = argument(TWO_SUBFLOWS);
    let text = crate::stdout(&["packets", &file], 0);
    assert!(
        text.starts_with(" frame      seconds c.sf  > flags len "),
        "{text}"
    );
    let document = crate::stdout(&["packets", &file, "--json"], 0);
    assert!(!document.contains("c.sf"));
    let none = ["packets", &file, "--filter", "port=1"];
    assert_eq!(crate::stdout(&none, 0), "");
}

#[test]
fn quiet_says_nothing_about_a_cut_capture() {
    let whole = fs::read(capture("v1-single.pcap")).unwrap();
    let cut = &whole[..whole.len() - 5];
    analyze()
        .args(["list", "-", "-q"])
        .write_stdin(cut)
        .assert()
        .code(0)
        .stderr("");
}

#[test]
fn standard_input_can_be_read_twice() {
    let bytes = fs::read(capture(TWO_SUBFLOWS)).unwrap();
    for command in ["show", "packets"] {
        let by_name = analyze()
            .args([command, &argument(TWO_SUBFLOWS)])
            .assert()
            .code(0);
        let by_pipe = analyze()
            .args([command, "-"])
            .write_stdin(bytes.clone())
            .assert()
            .code(0);
        assert_eq!(by_name.get_output().stdout, by_pipe.get_output().stdout);
    }
    let more = argument("v1-single.pcap");
    let both = ["packets", "-", &more];
    analyze().args(both).write_stdin(bytes).assert().code(2);
}

#[test]
fn a_reader_who_has_seen_enough_is_a_success() {
    // Many packets, so that the pipe is full before the end.
    let files: Vec<String> = [TWO_SUBFLOWS; 30].map(argument).to_vec();
    for flags in [vec![], vec!["--json"]] {
        let mut child = Process::new(env!("CARGO_BIN_EXE_mptcp-analyze"))
            .arg("packets")
            .args(&flags)
            .args(&files)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut begin = [0; 10];
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_exact(&mut begin).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{flags:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    // Nothing can be written to this device; it exists on Linux only.
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else {
        return;
    };
    let output = Process::new(env!("CARGO_BIN_EXE_mptcp-analyze"))
        .args(["list", &argument(TWO_SUBFLOWS)])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let error = String::from_utf8_lossy(&output.stderr);
    let expected = "error: writing to standard output: No space left on device";
    assert!(error.starts_with(expected), "{error}");
}
