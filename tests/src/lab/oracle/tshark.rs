//! What `TShark` sees in a capture, packet by packet. It reads the file once and in order: with a
//! second pass it attributes data to connections that it learns of later.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::lab::process::output;

/// The fields in the order of [`row`].
const FIELDS: [&str; 7] = [
    "frame.number",
    "tcp.stream",
    "tcp.flags",
    "tcp.len",
    "tcp.options",
    "mptcp.stream",
    "tcp.options.mptcp.subtype",
];

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number of the packet in the file, from 1.
    pub frame: u64,
    /// `TShark`'s number of the TCP connection; none if there is no TCP header.
    pub tcp_stream: Option<u64>,
    /// The 12 bits of the TCP flags.
    pub tcp_flags: u16,
    /// Bytes of TCP payload.
    pub payload_bytes: u64,
    /// All TCP options as they were sent.
    pub options: Vec<u8>,
    /// `TShark`'s number of the MPTCP connection.
    pub mptcp_stream: Option<u64>,
    /// Subtypes of the MPTCP options in their order.
    pub subtypes: Vec<u8>,
}

/// Reads the packets of `capture` that pass the display filter `filter` (empty for all).
pub fn read(capture: &Path, filter: &str) -> anyhow::Result<Vec<Row>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(capture);
    command.args(["-T", "fields", "-E", "separator=/t"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    if !filter.is_empty() {
        command.args(["-Y", filter]);
    }
    let text = output(&mut command)?;
    text.lines()
        .map(|line| row(line).with_context(|| format!("tshark said `{line}`")))
        .collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [
        frame,
        tcp_stream,
        flags,
        len,
        options,
        mptcp_stream,
        subtypes,
    ] = fields[..]
    else {
        bail!("{} fields, {} wanted", fields.len(), FIELDS.len());
    };
    let flags = first(flags).map(|flags| u16::from_str_radix(flags.trim_start_matches("0x"), 16));
    let subtypes = subtypes.split(',').filter(|subtype| !subtype.is_empty());
    Ok(Row {
        frame: frame.parse()?,
        tcp_stream: first(tcp_stream).map(str::parse).transpose()?,
        tcp_flags: flags.transpose()?.unwrap_or(0),
        payload_bytes: first(len).map(str::parse).transpose()?.unwrap_or(0),
        options: bytes(first(options).unwrap_or_default())?,
        mptcp_stream: first(mptcp_stream).map(str::parse).transpose()?,
        subtypes: subtypes.map(str::parse).collect::<Result<_, _>>()?,
    })
}

/// The outermost occurrence of a field: an ICMP error quotes a header too.
fn first(field: &str) -> Option<&str> {
    field.split(',').next().filter(|value| !value.is_empty())
}

fn bytes(hexadecimal: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = hexadecimal.chars().filter(|c| *c != ':').collect();
    let byte = |pair: &[char]| {
        let text: String = pair.iter().collect();
        u8::from_str_radix(&text, 16).with_context(|| format!("{text}: not a byte"))
    };
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_has_its_options() {
        let line = "12\t0\t0x0018\t4\t0101080ad4650bf39eaaf4471e1005\t0\t3,2";
        let expected = Row {
            frame: 12,
            tcp_stream: Some(0),
            tcp_flags: 0x18,
            payload_bytes: 4,
            options: vec![
                1, 1, 8, 10, 0xd4, 0x65, 0x0b, 0xf3, 0x9e, 0xaa, 0xf4, 0x47, 0x1e, 0x10, 5,
            ],
            mptcp_stream: Some(0),
            subtypes: vec![3, 2],
        };
        assert_eq!(row(line).unwrap(), expected);
    }

    #[test]
    fn a_packet_without_tcp_has_none() {
        let found = row("7\t\t\t\t\t\t").unwrap();
        assert_eq!((found.frame, found.tcp_stream), (7, None));
        assert!(found.options.is_empty() && found.subtypes.is_empty());
        assert!(row("7\t\t").is_err());
    }
}
