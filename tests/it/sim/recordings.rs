//! Recordings are read by programs that we did not write, and by ours.

use std::process::Command;

use mptcp_analyze::model::FileFormat;
use mptcp_tests::sim::{CLIENT, Kept, Link, Net, SERVER, Seed, Way};

use super::Trial;
use crate::analyze;

/// What `tshark` says about each packet of a file: interface, time, direction, length.
fn tshark(path: &std::path::Path) -> Vec<String> {
    let fields = [
        "frame.interface_name",
        "frame.time_epoch",
        "frame.packet_flags_direction",
        "ip.len",
    ];
    let mut command = Command::new("tshark");
    command
        .arg("-n")
        .arg("-r")
        .arg(path)
        .args(["-T", "fields", "-E", "separator=/s"]);
    command.args(fields.iter().flat_map(|field| ["-e", field]));
    let output = command.output().expect("tshark is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn tshark_and_the_analyzer_read_what_was_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let mut trial = Trial::new(7, "10mbit 20ms loss=2%");
    trial.record();
    trial.exchange(100_000, 50_000);
    for host in [CLIENT, SERVER] {
        let path = directory.path().join("host.pcapng");
        std::fs::write(&path, trial.net.pcapng(host, None).unwrap()).unwrap();
        let recording = trial.net.recording(host).unwrap();
        let expected: Vec<String> = recording
            .packets()
            .map(|(at, way, packet)| {
                let way = if way == Way::In { 1 } else { 2 };
                let nanos = at.as_nanos();
                let time = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
                format!("path0 {time} {way} {}", packet.len())
            })
            .collect();
        let seen: Vec<String> = tshark(&path)
            .iter()
            .map(|line| line.replace("0x00000001", "1").replace("0x00000002", "2"))
            .collect();
        assert_eq!(seen, expected);
        let analysis = analyze(&[path]);
        let capture = &analysis.captures[0];
        assert_eq!(capture.format, FileFormat::PcapNg);
        assert_eq!(capture.packets, expected.len() as u64);
        assert_eq!(capture.undecoded_packets, 0);
        assert_eq!(capture.interfaces[0].name.as_deref(), Some("path0"));
        assert_eq!(analysis.plain_tcp_streams, 1);
        assert_eq!(recording.missed(), 0);
    }
}

#[test]
fn what_is_lost_on_the_way_is_recorded_at_the_sender_only() {
    let mut trial = Trial::new(7, "10mbit 20ms loss=5%");
    trial.record();
    trial.exchange(50_000, 1000);
    let count = |host, wanted| {
        let recording = trial.net.recording(host).unwrap();
        recording
            .packets()
            .filter(|(_, way, _)| *way == wanted)
            .count() as u64
    };
    let report = trial.net.report(trial.path);
    for (sender, receiver, way) in [
        (CLIENT, SERVER, &report.to_server),
        (SERVER, CLIENT, &report.to_client),
    ] {
        // The last ones are still under way.
        let arrived = count(receiver, Way::In);
        assert_eq!(count(sender, Way::Out), way.sent.packets);
        assert_eq!(arrived, way.delivered.packets);
        assert!(way.sent.packets - way.drops.lost - arrived <= 2);
    }
    assert!(report.to_server.drops.lost > 0);
}

#[test]
fn one_interface_can_be_written_alone() {
    let mut trial = Trial::new(7, "10mbit 5ms");
    let second = trial.net.path(Link::of("1ms"));
    trial.record();
    trial.exchange(1000, 1000);
    let whole = trial.net.pcapng(CLIENT, None).unwrap();
    let first = trial.net.pcapng(CLIENT, Some(trial.path)).unwrap();
    let nothing = trial.net.pcapng(CLIENT, Some(second)).unwrap();
    assert!(nothing.len() < 100 && first.len() < whole.len() && first.len() > 1000);
    assert!(Net::new(Seed(1)).pcapng(CLIENT, None).is_none());
}

#[test]
fn a_recording_stops_at_its_limit_and_says_so() {
    let mut trial = Trial::new(7, "10mbit 5ms");
    let kept = Kept {
        bytes: 10_000,
        ..Kept::default()
    };
    trial.net.record_only(CLIENT, kept);
    trial.exchange(50_000, 1000);
    let recording = trial.net.recording(CLIENT).unwrap();
    let bytes: usize = recording.packets().map(|(_, _, packet)| packet.len()).sum();
    assert!((8500..=10_000).contains(&bytes), "{bytes}");
    let report = trial.net.report(trial.path);
    let all = report.to_server.sent.packets + report.to_client.delivered.packets;
    assert_eq!(recording.packets().count() as u64 + recording.missed(), all);
}
