//! The manifest, and what it says about the place of each capture.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mptcp_analyze::model::{Direction, Side};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Manifest {
    pub(super) scenario: Vec<Scenario>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) expected: Expected,
    pub(super) capture: Vec<File>,
}

#[derive(Debug, Deserialize)]
pub(super) struct File {
    #[serde(rename = "file")]
    pub(super) path: PathBuf,
    pub(super) packets: u64,
    pub(super) side: String,
    /// It begins in the middle.
    #[serde(default)]
    pub(super) late: bool,
    /// Connections with MPTCP that can be told apart there.
    pub(super) connections: Option<usize>,
    /// What is missing at the place of this capture.
    pub(super) fallback: Option<String>,
    /// Of warn or worse.
    pub(super) findings: Vec<String>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Expected {
    /// In the SYN; RFC 8684 appendix B gives them no data sequence numbers.
    #[serde(default)]
    pub(super) syn_bytes: u64,
    pub(super) checksum: bool,
    #[serde(default)]
    pub(super) tokens: Sides,
    #[serde(default)]
    pub(super) idsns: Sides,
    pub(super) idsns_at_server: Option<Sides>,
    pub(super) subflows: Vec<Subflow>,
    pub(super) subflows_at_server: Option<Vec<Subflow>>,
    pub(super) to_server: Stream,
    pub(super) to_client: Stream,
    #[serde(default)]
    pub(super) counters_client: BTreeMap<String, u64>,
    #[serde(default)]
    pub(super) counters_server: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Sides {
    pub(super) client: Option<String>,
    pub(super) server: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Subflow {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) client_address_id: u8,
    pub(super) server_address_id: u8,
    pub(super) backup: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    pub(super) sent_bytes: u64,
    sent_sha256: String,
    pub(super) received_bytes: u64,
    received_sha256: String,
}

/// A capture, and what the host beside it knew.
pub(super) struct Place<'a> {
    pub(super) expected: &'a Expected,
    pub(super) file: &'a File,
    pub(super) side: Side,
}

impl<'a> Place<'a> {
    pub(super) fn new(expected: &'a Expected, file: &'a File) -> Self {
        let side = match file.side.as_str() {
            "client" => Side::Client,
            "server" => Side::Server,
            other => panic!("{other}: no oracle is there"),
        };
        Self {
            expected,
            file,
            side,
        }
    }

    pub(super) fn subflows(&self) -> &'a [Subflow] {
        match (self.side, &self.expected.subflows_at_server) {
            (Side::Server, Some(subflows)) => subflows,
            _ => &self.expected.subflows,
        }
    }

    pub(super) fn idsns(&self) -> &'a Sides {
        match (self.side, &self.expected.idsns_at_server) {
            (Side::Server, Some(idsns)) => idsns,
            _ => &self.expected.idsns,
        }
    }

    /// Whether the key of `side` passed here. The client's is in the third ACK (RFC 8684 §3.1).
    pub(super) fn has_key(&self, side: Side) -> bool {
        let third_ack_is_bare = self.file.fallback.as_deref() == Some("third_ack_option_missing");
        side == Side::Server || !third_ack_is_bare
    }

    /// The tokens that follow from the keys at this place: a host that got another key than its peer
    /// sent derives another token, which no oracle tells.
    pub(super) fn tokens(&self) -> [Option<&'a String>; 2] {
        let Sides { client, server } = &self.expected.tokens;
        let same_keys = self.expected.idsns_at_server.is_none();
        let known = |side| (same_keys && self.has_key(side)) || self.side == side;
        [
            client.as_ref().filter(|_| known(Side::Client)),
            server.as_ref().filter(|_| known(Side::Server)),
        ]
    }

    /// How many bytes passed here, and their hash: what the host beside sent, or what it received. If
    /// it accepted less than the peer sent, all of it passed nevertheless, but no oracle tells how.
    pub(super) fn stream(&self, direction: Direction) -> (u64, Option<&'a str>) {
        let stream = match direction {
            Direction::ToServer => &self.expected.to_server,
            Direction::ToClient => &self.expected.to_client,
        };
        if direction.sender() == self.side {
            (stream.sent_bytes, Some(&stream.sent_sha256))
        } else if stream.received_bytes < stream.sent_bytes {
            (stream.sent_bytes, None)
        } else {
            (stream.received_bytes, Some(&stream.received_sha256))
        }
    }

    /// Bytes of the application that have no data sequence number.
    pub(super) fn syn_bytes(&self, direction: Direction) -> u64 {
        match direction {
            Direction::ToServer => self.expected.syn_bytes,
            Direction::ToClient => 0,
        }
    }

    /// A counter of the kernel of the host beside.
    pub(super) fn counter(&self, name: &str) -> u64 {
        let counters = match self.side {
            Side::Client => &self.expected.counters_client,
            Side::Server => &self.expected.counters_server,
        };
        counters.get(name).copied().unwrap_or(0)
    }
}
