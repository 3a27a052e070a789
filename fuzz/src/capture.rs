//! Body for the capture reader of `mptcp-analyze`.

#![expect(clippy::missing_panics_doc, reason = "to panic is how a body speaks")]

use std::io::Cursor;

use mptcp_analyze::capture::{Captures, Content};

/// Link types that the reader knows, and one that it does not.
const LINK_TYPES: [u8; 16] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 228, 229, 1, 1,
];

/// Reads the bytes as a capture file; when they are none, as one packet in a file, of the link type
/// that the first byte chooses. What is delivered must agree with itself and with the summary.
pub fn capture(data: &[u8]) {
    if !check_file(data.to_vec())
        && let [choice, packet @ ..] = data
    {
        let link_type = LINK_TYPES[usize::from(choice % 16)];
        assert!(check_file(file_of(link_type, packet)));
    }
}

/// A pcap file of one packet.
fn file_of(link_type: u8, packet: &[u8]) -> Vec<u8> {
    let len = u32::try_from(packet.len()).unwrap_or(0).to_le_bytes();
    let magic = 0xa1b2_c3d4_u32.to_le_bytes();
    let header = [
        2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, link_type, 0, 0, 0,
    ];
    [&magic[..], &header, &[0; 8], &len, &len, packet].concat()
}

/// `false` when the bytes are no capture.
fn check_file(data: Vec<u8>) -> bool {
    let Ok(mut captures) = Captures::from_reader("fuzz", Cursor::new(data)) else {
        return false;
    };
    let mut frames = Vec::new();
    let mut undecoded = 0;
    while let Some(packet) = captures.next_packet() {
        frames.push(packet.frame);
        packet.comments.iter().for_each(drop);
        match packet.content {
            Content::Tcp(segment) => {
                assert_eq!(segment.frame, packet.frame);
                assert!(segment.header().len() <= 20 + segment.options_len());
                assert!(segment.options().len() <= segment.options_len());
                assert!(segment.payload().len() <= segment.payload_len as usize);
            }
            Content::Undecoded(_) => undecoded += 1,
            _ => {}
        }
    }
    frames.sort_unstable();
    assert!(
        frames.iter().copied().eq(1..=frames.len() as u64),
        "each frame once"
    );
    let summary = captures.finish().pop().expect("one summary per input");
    assert_eq!(summary.packets, frames.len() as u64);
    assert_eq!(summary.undecoded_packets, undecoded);
    assert!(summary.truncated_packets <= summary.packets);
    true
}
