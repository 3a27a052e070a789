//! Files cut at every byte.

use std::path::Path;

use mptcp_analyze::model::{Analysis, CaptureEnd};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Host};

use super::{connected_with_checksum, lte};

/// A short capture with a bit of everything.
fn short() -> Capture {
    let (mut capture, mut connection) = connected_with_checksum(Version::V1);
    connection.join(&mut capture, lte(), Host::Client);
    connection.send(&mut capture, 0, Host::Client, 20);
    connection.send_from(&mut capture, 1, Host::Client, 1, 20);
    connection.send(&mut capture, 1, Host::Server, 10);
    connection.close(&mut capture);
    capture
}

/// Reads the file cut at every byte from the end of its header on. `ends` are the positions after
/// each packet; what a cut file says must be what a file of the packets before the cut says.
#[track_caller]
fn check_every_cut(file: &[u8], header: usize, ends: &[usize]) {
    let directory = tempfile::tempdir().unwrap();
    let mut whole = Vec::new();
    for end in std::iter::once(&header).chain(ends) {
        whole.push(connections(&read(directory.path(), &file[..*end])));
    }
    for cut in header..file.len() {
        let before = ends.iter().filter(|&&end| end <= cut).count();
        let analysis = read(directory.path(), &file[..cut]);
        let capture = &analysis.captures[0];
        assert_eq!(capture.packets, before as u64, "cut at {cut}");
        assert_eq!(connections(&analysis), whole[before], "cut at {cut}");
        let at_boundary = cut == header || ends.contains(&cut);
        match &capture.end {
            CaptureEnd::Complete => assert!(at_boundary, "cut at {cut} went unnoticed"),
            CaptureEnd::Cut { at_byte, .. } => {
                assert!(!at_boundary, "{cut} is no cut");
                let begin = if before == 0 {
                    header
                } else {
                    ends[before - 1]
                };
                assert_eq!(*at_byte, begin as u64, "cut at {cut}");
            }
        }
    }
}

fn read(directory: &Path, bytes: &[u8]) -> Analysis {
    let path = directory.join("cut");
    std::fs::write(&path, bytes).unwrap();
    crate::analyze(&[path])
}

/// Everything about the connections but what `check` says about the file.
fn connections(analysis: &Analysis) -> String {
    format!("{:?}", analysis.connections)
}

#[test]
fn a_pcap_cut_anywhere_is_read_to_its_last_whole_packet() {
    let capture = short();
    let file = capture.pcap_bytes();
    let mut at = 24;
    let mut ends = Vec::new();
    for packet in &capture.packets {
        at += 16 + packet.bytes.len();
        ends.push(at);
    }
    assert_eq!(at, file.len());
    check_every_cut(&file, 24, &ends);
}

#[test]
fn a_pcapng_cut_anywhere_is_read_to_its_last_whole_packet() {
    let capture = short();
    let file = capture.pcapng_bytes();
    let header = 28 + 20;
    let mut at = header;
    let mut ends = Vec::new();
    for packet in &capture.packets {
        at += 32 + packet.bytes.len().next_multiple_of(4);
        ends.push(at);
    }
    assert_eq!(at, file.len());
    check_every_cut(&file, header, &ends);
}

#[test]
fn packets_cut_by_the_snaplen_at_every_length_never_stop_the_reading() {
    let whole = short();
    let longest = whole.packets.iter().map(|p| p.bytes.len()).max().unwrap();
    for snaplen in 0..=longest {
        let mut capture = whole.clone();
        capture.cut_to(snaplen);
        let analysis = super::read(&capture);
        let cut = whole
            .packets
            .iter()
            .filter(|p| p.bytes.len() > snaplen)
            .count();
        assert_eq!(analysis.captures[0].truncated_packets, cut as u64);
    }
}
