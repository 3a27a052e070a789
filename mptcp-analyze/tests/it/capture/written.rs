//! What the shared writer of pcapng writes is read again.

use std::io::Cursor;

use mptcp_analyze::capture::Captures;
use mptcp_analyze::model::Timestamp;
use mptcp_proto::pcapng::{EnhancedPacket, InterfaceDescription, PcapNgWriter, SectionHeader};

fn file(packets: &[EnhancedPacket<'_>]) -> Vec<u8> {
    let mut file = Vec::new();
    let section = SectionHeader {
        application: Some("test"),
        comment: Some("a remark"),
    };
    let mut writer = PcapNgWriter::begin(&mut file, &section).unwrap();
    let interface = InterfaceDescription {
        link_type: 101,
        name: Some("wlan0"),
        description: Some("a"),
    };
    assert_eq!(writer.interface(&interface).unwrap(), 0);
    for packet in packets {
        writer.packet(packet).unwrap();
    }
    file
}

fn packet<'a>(at_ns: u64, bytes: &'a [u8], comments: &'a [String]) -> EnhancedPacket<'a> {
    EnhancedPacket {
        interface: 0,
        at_ns,
        original_len: 1500,
        bytes,
        outbound: None,
        comments,
    }
}

#[track_caller]
fn check_round_trip(at: u64, bytes: &[u8], comments: &[String]) {
    let file = file(&[packet(at, bytes, comments)]);
    assert_eq!(file.len() % 4, 0);
    let mut captures = Captures::from_reader("-", Cursor::new(file)).unwrap();
    let read = captures.next_packet().expect("a packet");
    assert_eq!(
        (read.at, read.bytes),
        (Timestamp(i64::try_from(at).unwrap()), bytes)
    );
    assert_eq!((read.link_type, read.original_len), (101, 1500));
    assert_eq!(read.comments.iter().collect::<Vec<_>>(), comments);
    assert!(captures.next_packet().is_none());
    assert_eq!(
        captures.finish()[0].interfaces[0].name.as_deref(),
        Some("wlan0")
    );
}

#[test]
fn packets_of_every_padding_come_back() {
    for len in 0..9 {
        let comments = vec!["x".repeat(len), "second".to_owned()];
        let bytes = vec![0x45; len];
        check_round_trip(1_795_180_615_798_454_321, &bytes, &comments);
    }
}

#[test]
fn a_comment_that_is_too_long_is_cut_between_characters() {
    let comments = vec!["é".repeat(40_000)];
    let file = file(&[packet(1, &[0x45], &comments)]);
    let mut captures = Captures::from_reader("-", Cursor::new(file)).unwrap();
    let read = captures.next_packet().expect("a packet");
    let comment: Vec<_> = read.comments.iter().collect();
    assert_eq!(comment, ["é".repeat(32_767)]);
}
