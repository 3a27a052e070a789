//! Capture files to segments.

mod craft;
mod cuts;
mod formats;
mod fragments;
mod hostile;
mod links;
mod oracle;
mod several;
mod shared;
mod written;

use std::io::Cursor;

use mptcp_analyze::capture::{Captures, Content, OpenError};
use mptcp_analyze::model::{CaptureSummary, Timestamp};

/// What a test looks at of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    frame: u64,
    at: Timestamp,
    interface: u32,
    link_type: u16,
    original_len: u32,
    comments: Vec<String>,
    found: Found,
}

/// What a test looks at of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Tcp {
        ends: String,
        options: Vec<u8>,
        options_len: usize,
        payload: Vec<u8>,
        payload_len: u32,
        outbound: Option<bool>,
    },
    Icmp(u8, u8),
    Fragment,
    OtherIp,
    NotIp,
    Undecoded(&'static str),
}

/// Reads a capture out of memory.
fn try_read(bytes: &[u8]) -> Result<(Vec<Seen>, CaptureSummary), OpenError> {
    let mut captures = Captures::from_reader("memory", Cursor::new(bytes.to_vec()))?;
    let seen = drain(&mut captures);
    let summary = captures.finish().pop().expect("one summary per input");
    Ok((seen, summary))
}

#[track_caller]
fn read(bytes: &[u8]) -> (Vec<Seen>, CaptureSummary) {
    try_read(bytes).expect("a capture")
}

fn drain(captures: &mut Captures) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(packet) = captures.next_packet() {
        seen.push(Seen {
            frame: packet.frame,
            at: packet.at,
            interface: packet.interface,
            link_type: packet.link_type,
            original_len: packet.original_len,
            comments: packet.comments.iter().map(Into::into).collect(),
            found: found(&packet.content),
        });
    }
    seen
}

fn found(content: &Content<'_>) -> Found {
    match content {
        Content::Tcp(segment) => Found::Tcp {
            ends: format!("{} > {}", segment.source, segment.destination),
            options: segment.options().to_vec(),
            options_len: segment.options_len(),
            payload: segment.payload().to_vec(),
            payload_len: segment.payload_len,
            outbound: segment.ip.outbound,
        },
        Content::IcmpError(error) => Found::Icmp(error.icmp_type, error.code),
        Content::Fragment => Found::Fragment,
        Content::OtherIp => Found::OtherIp,
        Content::NotIp => Found::NotIp,
        Content::Undecoded(why) => Found::Undecoded(why),
    }
}
