//! `follow` and `extract`.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use etherparse::PacketBuilder;
use mptcp_analyze::args::Args;
use mptcp_analyze::capture::{Captures, Input};
use mptcp_cli::{Output, UsageError};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{TWO_SUBFLOWS, analyze, argument, capture, stdout};

/// A packet: time, bytes, link type, interface name, comments.
type Record = (i64, Vec<u8>, u16, Option<String>, Vec<String>);

fn records(path: &Path) -> Vec<Record> {
    let mut captures = Captures::open(&[Input::File(path.to_owned())]).expect("a capture");
    let mut records = Vec::new();
    let mut interfaces = Vec::new();
    while let Some(packet) = captures.next_packet() {
        let comments = packet
            .comments
            .iter()
            .map(std::borrow::Cow::into_owned)
            .collect();
        let (at, bytes) = (packet.at.0, packet.bytes.to_vec());
        interfaces.push(packet.interface);
        records.push((at, bytes, packet.link_type, None, comments));
    }
    for (record, interface) in records.iter_mut().zip(interfaces) {
        record.3 = captures
            .interface(interface)
            .and_then(|(_, i)| i.name.clone());
    }
    records
}

fn hash(bytes: &[u8]) -> String {
    let digits: Vec<String> = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    digits.concat()
}

#[test]
fn follow_writes_the_bytes_that_show_hashes() {
    for name in [
        TWO_SUBFLOWS,
        "v1-single.pcap",
        "v1-checksum.pcapng",
        "v1-ipv6.pcapng",
    ] {
        let file = argument(name);
        let shown: Value = serde_json::from_str(&stdout(&["show", &file, "--json"], 0)).unwrap();
        for (to, direction) in [("server", "to_server"), ("client", "to_client")] {
            let arguments = ["follow", &file, "--conn", "0", "--to", to];
            let bytes = analyze()
                .args(arguments)
                .assert()
                .code(0)
                .get_output()
                .stdout
                .clone();
            let totals = &shown["connections"][0][direction];
            assert_eq!(bytes.len() as u64, totals["unique_bytes"]);
            assert_eq!(hash(&bytes), totals["stream_sha256"], "{name} to {to}");
        }
    }
}

#[test]
fn follow_names_the_holes_and_ends_with_one() {
    let whole = fs::read(capture("v1-single.pcap")).unwrap();
    let (up, down) = (
        data_segments(&whole, "server"),
        data_segments(&whole, "client"),
    );
    let segments = [
        (up[0], "server"),
        (up[1], "server"),
        (down[down.len() / 2], "client"),
        (up[up.len() - 1], "server"),
    ];
    for ((frame, dsn, len), to) in segments {
        let hole = format!("hole: {len} bytes missing at relative DSN {dsn}\n");
        let dir = tempfile::tempdir().unwrap();
        let holed = dir.path().join("holed.pcap");
        fs::write(&holed, without_packet(&whole, frame)).unwrap();
        let arguments = ["follow", holed.to_str().unwrap(), "--conn", "0", "--to", to];
        let output = analyze()
            .args(arguments)
            .assert()
            .code(1)
            .get_output()
            .clone();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(&hole), "{error}");
        assert!(error.contains("the stream has 1 hole, "), "{error}");
        let missing: usize = error.split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(output.stdout.len() + missing, 9000);
    }
}

/// The segments with data in one direction: frame, relative DSN, length. Nothing is sent twice.
fn data_segments(pcap: &[u8], to: &str) -> Vec<(usize, usize, usize)> {
    let word =
        |bytes: &[u8], at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let mut rest = &pcap[24..];
    let (mut segments, mut dsn) = (Vec::new(), 1);
    for frame in 1.. {
        if rest.len() < 16 {
            break;
        }
        let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        // Ethernet, and an IPv4 header without options.
        let ip = &rest[16 + 14..16 + len];
        let tcp = &ip[20..];
        let payload = word(ip, 2) - 20 - usize::from(tcp[12] >> 4) * 4;
        if payload > 0 && (word(tcp, 2) == 5001) == (to == "server") {
            segments.push((frame, dsn, payload));
            dsn += payload;
        }
        rest = &rest[16 + len..];
    }
    segments
}

/// A little-endian pcap file without its packet number `frame`.
fn without_packet(pcap: &[u8], frame: usize) -> Vec<u8> {
    let (header, mut rest) = pcap.split_at(24);
    let mut records = Vec::new();
    while rest.len() >= 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        let (record, after) = rest.split_at(16 + len);
        records.push(record);
        rest = after;
    }
    records.remove(frame - 1);
    [header]
        .into_iter()
        .chain(records)
        .collect::<Vec<_>>()
        .concat()
}

#[test]
fn extract_keeps_times_bytes_links_and_names() {
    let dir = tempfile::tempdir().unwrap();
    for name in [TWO_SUBFLOWS, "v1-ipv6.pcapng", "v1-any-sll2.pcap"] {
        let out = dir.path().join(name);
        let arguments = [
            "extract",
            &argument(name),
            "--conn",
            "0",
            "-o",
            out.to_str().unwrap(),
        ];
        analyze().args(arguments).assert().code(0).stdout("");
        let (before, after) = (records(&capture(name)), records(&out));
        let without_comments = |records: Vec<Record>| -> Vec<_> {
            records
                .into_iter()
                .map(|(at, bytes, link, name, _)| (at, bytes, link, name))
                .collect()
        };
        assert_eq!(without_comments(after), without_comments(before), "{name}");
    }
}

#[test]
fn extract_writes_findings_as_comments() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.pcapng");
    let name = "v1-strip-mid-stream-client.pcap";
    let arguments = [
        "extract",
        &argument(name),
        "--conn",
        "0",
        "-o",
        out.to_str().unwrap(),
    ];
    analyze().args(arguments).assert().code(0);
    let checked: Value =
        serde_json::from_str(&stdout(&["check", &argument(name), "--json"], 1)).unwrap();
    let records = records(&out);
    let mut compared = 0;
    for finding in checked["findings"].as_array().unwrap() {
        for frame in finding["frames"].as_array().unwrap() {
            let index = usize::try_from(frame.as_u64().unwrap()).unwrap() - 1;
            let id = finding["id"].as_str().unwrap();
            let comments = &records[index].4;
            assert!(
                comments.iter().any(|c| c.starts_with(id)),
                "frame {frame}: {comments:?}"
            );
            compared += 1;
        }
    }
    assert!(compared > 0);
}

#[test]
fn extract_twice_keeps_the_comments_of_the_first_time() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("1.pcapng"), dir.path().join("2.pcapng"));
    let name = argument("v1-strip-mid-stream-client.pcap");
    for (from, to) in [(name.as_str(), &first), (first.to_str().unwrap(), &second)] {
        let arguments = ["extract", from, "--conn", "0", "-o", to.to_str().unwrap()];
        analyze().args(arguments).assert().code(0);
    }
    let comments = |path: &Path| -> usize { records(path).iter().map(|r| r.4.len()).sum() };
    assert!(comments(&first) > 0);
    assert_eq!(comments(&second), 2 * comments(&first));
}

#[test]
fn extract_to_standard_output_is_a_capture_too() {
    let file = argument("v1-single.pcap");
    let arguments = ["extract", &file, "--conn", "0", "-o", "-"];
    let bytes = analyze()
        .args(arguments)
        .assert()
        .code(0)
        .stderr("")
        .get_output()
        .stdout
        .clone();
    let again = analyze()
        .args(["list", "-", "--json"])
        .write_stdin(bytes)
        .assert()
        .code(0);
    let again: Value = serde_json::from_slice(&again.get_output().stdout).unwrap();
    let before: Value = serde_json::from_str(&stdout(&["list", &file, "--json"], 0)).unwrap();
    assert_eq!(again["connections"], before["connections"]);
}

#[test]
fn follow_in_json_tells_of_the_bytes_and_writes_them_where_asked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("stream");
    let out = out.to_str().unwrap();
    let file = argument(TWO_SUBFLOWS);
    let follow = ["follow", &file, "--conn", "0", "--to", "server"];
    let text = stdout(&[&follow[..], &["--json", "-o", out]].concat(), 0);
    let document: Value = serde_json::from_str(&text).unwrap();
    let bytes = fs::read(out).unwrap();
    assert_eq!(document["schema"], "mptcp-analyze/1");
    assert_eq!(document["connection"], 0);
    assert_eq!(document["to"], "server");
    assert_eq!(document["file"], out);
    assert_eq!(document["bytes"], bytes.len());
    assert_eq!(document["stream_sha256"], hash(&bytes));
    assert_eq!(document["hole_count"], 0);
    let without: Value =
        serde_json::from_str(&stdout(&[&follow[..], &["--json"]].concat(), 0)).unwrap();
    assert!(without["file"].is_null());
    assert_eq!(without["stream_sha256"], document["stream_sha256"]);
    let plain = dir.path().join("plain");
    let to_file = [&follow[..], &["-o", plain.to_str().unwrap()]].concat();
    assert_eq!(stdout(&to_file, 0), "");
    assert_eq!(fs::read(plain).unwrap(), bytes);
}

#[test]
fn follow_in_json_lists_the_holes_and_has_no_hash_then() {
    let dir = tempfile::tempdir().unwrap();
    let holed = dir.path().join("holed.pcap");
    let whole = fs::read(capture("v1-single.pcap")).unwrap();
    let (frame, dsn, len) = data_segments(&whole, "server")[1];
    fs::write(&holed, without_packet(&whole, frame)).unwrap();
    let arguments = ["follow", holed.to_str().unwrap(), "--conn", "0"];
    let output = analyze()
        .args([&arguments[..], &["--to", "server", "--json"]].concat())
        .assert()
        .code(1)
        .stderr("")
        .get_output()
        .clone();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let hole = serde_json::json!([{ "dsn": dsn, "len": len }]);
    assert_eq!(document["holes"], hole);
    assert_eq!(document["hole_count"], 1);
    assert_eq!(document["missing_bytes"], len);
    assert!(document["stream_sha256"].is_null());
}

#[test]
fn extract_in_json_counts_the_packets() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.pcapng");
    let name = out.to_str().unwrap();
    let file = argument(TWO_SUBFLOWS);
    let text = stdout(&["extract", &file, "--conn", "0", "-o", name, "--json"], 0);
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["file"], name);
    assert_eq!(document["connection"], 0);
    assert_eq!(document["packets"], records(&out).len());
}

/// Exit by usage error and its text when standard output is a terminal of 80 columns.
#[track_caller]
fn refused_on_a_terminal(arguments: &[&str]) -> String {
    let program = [&["mptcp-analyze"], arguments].concat();
    let args = Args::try_parse_from(program).expect("arguments in order");
    let mut terminal = Output::to(Box::new(std::io::sink()), true, Some(80));
    let error = mptcp_analyze::run(&args, &mut terminal).expect_err("it must be refused");
    assert!(error.is::<UsageError>(), "{error:#}");
    error.to_string()
}

#[test]
fn bytes_from_the_network_do_not_go_to_a_terminal() {
    let file = argument(TWO_SUBFLOWS);
    let extract = ["extract", &file, "--conn", "0", "-o", "-"];
    let follow = ["follow", &file, "--conn", "0", "--to", "server"];
    for arguments in [&extract[..], &follow[..]] {
        let text = refused_on_a_terminal(arguments);
        assert!(text.contains("-o FILE") && text.contains("| cat"), "{text}");
    }
}

#[test]
fn bytes_and_document_do_not_share_standard_output() {
    let file = argument(TWO_SUBFLOWS);
    for command in [
        vec!["extract", &file, "--conn", "0"],
        vec!["follow", &file, "--conn", "0", "--to", "server"],
    ] {
        let arguments = [&command[..], &["-o", "-", "--json"]].concat();
        analyze().args(arguments).assert().code(2).stdout("");
    }
}

#[test]
fn a_write_that_fails_names_its_place() {
    // Nothing can be written to this device; it exists on Linux only.
    if !Path::new("/dev/full").exists() {
        return;
    }
    let file = argument(TWO_SUBFLOWS);
    for command in [
        vec!["extract", &file, "--conn", "0"],
        vec!["follow", &file, "--conn", "0", "--to", "server"],
    ] {
        let arguments = [&command[..], &["-o", "/dev/full"]].concat();
        let assert = analyze().args(arguments).assert().code(3);
        let error = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(error.contains("writing to /dev/full: No space"), "{error}");
    }
}

/// An Ethernet frame with an ICMP error that quotes the first 28 bytes of an IPv4 packet.
fn icmp_error(quoted: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 9, 9], [10, 0, 0, 1], 60)
        .icmpv4_raw(3, 4, [0; 4])
        .write(&mut frame, &quoted[..28])
        .expect("a vector takes everything");
    frame
}

#[test]
fn extract_keeps_icmp_errors_about_the_connection_and_no_others() {
    let mut capture = Capture::new();
    let mut connection = Connection::new(Version::V1);
    let flow = Flow::new("10.0.0.1:1000", "10.0.1.1:80");
    connection.connect(&mut capture, flow);
    connection.send(&mut capture, 0, Host::Client, 100);
    let ours = capture.packets.last().unwrap().bytes[14..].to_vec();
    let mut other = ours.clone();
    other[21] ^= 1;
    capture.push(icmp_error(&other));
    capture.push(icmp_error(&ours));
    let mut plain = Flow::new("10.0.0.1:1000", "10.0.1.1:80").with_isns(77_000_000, 99_000_000);
    plain.connect_plain(&mut capture);
    capture.push(icmp_error(&ours));
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (
        capture.write_pcap(dir.path(), "in.pcap"),
        dir.path().join("out"),
    );
    let arguments = ["extract", from.to_str().unwrap(), "--conn", "0", "-o"];
    analyze()
        .args([&arguments[..], &[to.to_str().unwrap()]].concat())
        .assert()
        .code(0);
    let expected = &capture.packets[..capture.packets.len() - 4];
    let kept: Vec<Vec<u8>> = records(&to).into_iter().map(|record| record.1).collect();
    let of_ours = |bytes: &&Vec<u8>| **bytes != icmp_error(&other);
    let expected: Vec<&Vec<u8>> = expected.iter().map(|p| &p.bytes).filter(of_ours).collect();
    assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
    assert_eq!(kept.last(), Some(&icmp_error(&ours)));
}
