//! Third-party captures against an independent reading of them. They are not ours to ship, so the
//! test runs where `MPTCP_SHARED_CAPTURES` names the directory that has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mptcp_analyze::capture::{Captures, Content, Input};
use mptcp_analyze::model::{CaptureEnd, CaptureSummary};
use serde_json::Value;

/// Kind of the MPTCP option.
const MPTCP: u8 = 30;

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    packets: u64,
    link_types: Vec<u16>,
    truncated: u64,
    tcp: u64,
    with_option_30: u64,
    streams: usize,
}

#[test]
fn shared_captures_have_the_counts_of_their_truth_files() {
    let Some(root) = std::env::var_os("MPTCP_SHARED_CAPTURES").map(PathBuf::from) else {
        return;
    };
    let truths = truth_files(&root);
    assert!(!truths.is_empty(), "no truth/*.ref.json under {root:?}");
    for truth in truths {
        let text = fs::read_to_string(&truth).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let name = expected["file"].as_str().unwrap();
        let capture = truth.parent().unwrap().with_file_name(name);
        let (counts, summary) = read(&capture);
        assert_eq!(counts, counts_of(&expected), "{name}");
        assert_eq!(summary.end, CaptureEnd::Complete, "{name}");
        assert_eq!(summary.undecoded_packets, 0, "{name}");
        assert_eq!(summary.incomplete_fragments, 0, "{name}");
    }
}

#[test]
fn packets_of_two_interfaces_come_in_time_order_with_the_frame_numbers_of_the_file() {
    let Some(root) = std::env::var_os("MPTCP_SHARED_CAPTURES").map(PathBuf::from) else {
        return;
    };
    let path = root.join("generated-sample/two-subflows-ipv6.pcapng");
    let mut captures = Captures::open(&[Input::File(path)]).unwrap();
    let mut frames = Vec::new();
    let mut last = None;
    while let Some(packet) = captures.next_packet() {
        assert!(last <= Some(packet.at), "frame {}", packet.frame);
        last = Some(packet.at);
        frames.push(packet.frame);
    }
    assert!(!frames.is_sorted(), "the file is in time order already");
    frames.sort_unstable();
    assert_eq!(frames, (1..=579).collect::<Vec<_>>());
}

fn truth_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(truth_files(&path));
        } else if path.to_string_lossy().ends_with(".ref.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> (Counts, CaptureSummary) {
    let mut captures = Captures::open(&[Input::File(path.to_owned())]).unwrap();
    let mut counts = Counts::default();
    let mut streams = BTreeSet::new();
    while let Some(packet) = captures.next_packet() {
        if let Content::Tcp(segment) = packet.content {
            counts.tcp += 1;
            counts.with_option_30 += u64::from(has_option_30(segment.options()));
            let ends = [segment.source, segment.destination];
            streams.insert((ends.iter().min().copied(), ends.iter().max().copied()));
        }
    }
    let summary = captures.finish().pop().unwrap();
    counts.packets = summary.packets;
    counts.link_types.clone_from(&summary.link_types);
    counts.truncated = summary.truncated_packets;
    counts.streams = streams.len();
    (counts, summary)
}

fn has_option_30(mut options: &[u8]) -> bool {
    loop {
        options = match options {
            [MPTCP, ..] => return true,
            [1, rest @ ..] => rest,
            [kind, len, ..] if *kind > 1 => match options.get(usize::from(*len).max(2)..) {
                Some(rest) => rest,
                None => return false,
            },
            _ => return false,
        };
    }
}

fn counts_of(truth: &Value) -> Counts {
    let number = |name: &str| truth[name].as_u64().unwrap();
    let mut link_types: Vec<u16> = truth["link_types"]
        .as_object()
        .unwrap()
        .keys()
        .map(|key| key.parse().unwrap())
        .collect();
    link_types.sort_unstable();
    Counts {
        packets: number("packets"),
        link_types,
        truncated: number("truncated"),
        tcp: number("tcp"),
        with_option_30: number("option_30"),
        streams: usize::try_from(number("tcp_flows")).unwrap(),
    }
}
