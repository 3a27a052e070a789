//! Captures by the kit, where the kernel cannot make them: version 0, which no kernel speaks any more,
//! and a given number of connections that are all open at the same time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host};

/// Bytes that are kept of each packet.
const SNAPLEN: usize = 128;

/// Packets that are put into the file together.
const BATCH: usize = 20_000;

/// Bytes of the header of a pcap file.
const FILE_HEADER_BYTES: usize = 24;

/// Payload of a segment.
const SEGMENT_BYTES: usize = 1400;

/// Packets of a connection beside its data: two handshakes and two ends.
const OVERHEAD: u64 = 16;

/// What a synthetic capture is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) version: Version,
    pub(super) connections: u64,
    /// Packets in total, about.
    pub(super) packets: u64,
}

impl Plan {
    /// Reads `v0:CONNECTIONS` or `v1:CONNECTIONS`.
    pub(super) fn named(name: &str, packets: u64) -> Option<Self> {
        let (version, connections) = name.split_once(':')?;
        let version = match version {
            "v0" => Version::V0,
            "v1" => Version::V1,
            _ => return None,
        };
        let connections = connections.parse().ok().filter(|count| *count > 0)?;
        Some(Self {
            version,
            connections,
            packets,
        })
    }
}

/// Writes a capture in which all connections are open while data flow in turn on both subflows of each.
pub(super) fn write(file: &Path, plan: &Plan) -> anyhow::Result<()> {
    let mut out = Out {
        file: BufWriter::new(File::create(file)?),
        capture: Capture::new(),
        has_header: false,
    };
    out.capture.step_us = 7;
    let mut connections = Vec::new();
    for number in 0..plan.connections {
        connections.push(open(plan.version, number, &mut out.capture));
        out.write_if_full()?;
    }
    let each = (plan.packets / plan.connections).saturating_sub(OVERHEAD);
    for round in 0..each / 2 {
        for (connection, subflows) in &mut connections {
            let subflow = subflows[usize::from(round % 3 == 0)];
            let (sender, receiver) = if round % 5 == 0 {
                (Host::Server, Host::Client)
            } else {
                (Host::Client, Host::Server)
            };
            connection.send(&mut out.capture, subflow, sender, SEGMENT_BYTES);
            connection.acknowledge(&mut out.capture, subflow, receiver);
            out.write_if_full()?;
        }
    }
    for (connection, _) in &mut connections {
        connection.close(&mut out.capture);
        out.write_if_full()?;
    }
    out.write()?;
    Ok(out.file.flush()?)
}

/// A connection with its second subflow.
fn open(version: Version, number: u64, capture: &mut Capture) -> (Connection, [usize; 2]) {
    let key = |salt: u8| {
        let mut key = number.to_be_bytes();
        key[0] = salt;
        key
    };
    let mut connection = Connection::new(version).with_keys(key(1), key(2));
    let [.., a, b, c, d] = number.to_be_bytes();
    let port = 20_000 + u16::from(d);
    let client = |net: u8| format!("10.{}.{b}.{c}:{port}", net + a);
    let first = connection.connect(capture, Flow::new(&client(16), "10.0.9.1:80"));
    match version {
        Version::V0 => connection.send(capture, first, Host::Client, 100),
        Version::V1 => connection.send_with_capable(capture, first, 100),
    }
    connection.acknowledge(capture, first, Host::Server);
    let second = connection.join(capture, Flow::new(&client(96), "10.0.9.1:80"), Host::Client);
    (connection, [first, second])
}

struct Out {
    file: BufWriter<File>,
    capture: Capture,
    has_header: bool,
}

impl Out {
    fn write_if_full(&mut self) -> anyhow::Result<()> {
        if self.capture.packets.len() >= BATCH {
            self.write()?;
        }
        Ok(())
    }

    fn write(&mut self) -> anyhow::Result<()> {
        self.capture.cut_to(SNAPLEN);
        let bytes = self.capture.pcap_bytes();
        let skip = if self.has_header {
            FILE_HEADER_BYTES
        } else {
            0
        };
        self.file.write_all(bytes.get(skip..).unwrap_or_default())?;
        self.has_header = true;
        self.capture.packets.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_version_and_connections() {
        let plan = Plan::named("v0:100", 5000).unwrap();
        assert_eq!((plan.version, plan.connections), (Version::V0, 100));
        for wrong in ["v2:5", "v0", "v0:", "v0:0", "headers"] {
            assert_eq!(Plan::named(wrong, 1), None, "{wrong}");
        }
    }
}
