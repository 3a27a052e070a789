//! The command.

use assert_cmd::Command;

fn tracebox(arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mptcp-tracebox"));
    command.env_remove("MPTCP_LOG").args(arguments).assert()
}

/// What standard error says when the command ends with this code.
#[track_caller]
fn complaint(arguments: &[&str], code: i32) -> String {
    let output = tracebox(arguments).code(code).get_output().clone();
    assert!(
        output.stdout.is_empty(),
        "the answer is not on standard output"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    assert!(complaint(&[], 2).contains("no host"));
    assert!(complaint(&["host:0"], 2).contains("is no port"));
    assert!(complaint(&["host", "--probe", "mpc9"], 2).contains("is no probe"));
    assert!(complaint(&["host", "--phase", "syn", "--probe", "dss"], 2).contains("--phase"));
    assert!(complaint(&["192.0.2.1", "-4", "--source", "::1"], 2).contains("families differ"));
}

#[test]
fn what_cannot_be_reached_is_a_failure_with_a_remedy() {
    assert!(complaint(&["127.0.0.1:80"], 3).contains("run it from another host"));
    assert!(complaint(&["::1"], 3).contains("run it from another host"));
    assert!(complaint(&["192.0.2.1", "--interface", "no-such-if"], 3).contains("`ip link`"));
    assert!(complaint(&["192.0.2.1", "-6"], 3).contains("-4, -6"));
    // RFC 6761 §6.4: no resolver has an address for it.
    assert!(complaint(&["nowhere.invalid"], 3).contains("check the spelling"));
}

#[test]
fn the_man_page_has_all_flags() {
    let output = tracebox(&["--generate", "man"])
        .success()
        .get_output()
        .clone();
    let page = String::from_utf8(output.stdout).unwrap();
    for flag in [
        "probe",
        "flows",
        "max\\-ttl",
        "interface",
        "pcap",
        "REANALYZE",
    ] {
        assert!(page.contains(flag), "{flag}");
    }
}
