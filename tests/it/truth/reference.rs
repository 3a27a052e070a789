//! The reference readings beside the shared captures, as they stand in their JSON files.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

/// `truth/<file>.ref.json`: an independent reading straight from the RFCs.
#[derive(Debug, Deserialize)]
pub(crate) struct Reference {
    pub(crate) packets: u64,
    pub(crate) link_types: BTreeMap<String, u64>,
    pub(crate) truncated: u64,
    pub(crate) tcp_flows: u64,
    pub(crate) plain_flows: u64,
    pub(crate) malformed_options: u64,
    pub(crate) connections: Vec<RefConnection>,
    pub(crate) events: Vec<RefEvent>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefConnection {
    pub(crate) version: Option<u8>,
    /// The first 100 flows at most.
    pub(crate) flows: Vec<u64>,
    /// How many flows there are when `flows` was cut.
    pub(crate) flows_count: Option<u64>,
    /// Token named by joins, when no key with that token was seen.
    pub(crate) token_of_unknown: Option<String>,
    #[serde(default)]
    pub(crate) keys: [Option<String>; 2],
    #[serde(default)]
    pub(crate) tokens: [Option<String>; 2],
    #[serde(default)]
    pub(crate) idsn: [Option<String>; 2],
    #[serde(default)]
    pub(crate) capable: Option<RefCapable>,
    pub(crate) checksum: Option<bool>,
    pub(crate) dirs: [RefDirection; 2],
    pub(crate) flow_details: Vec<RefFlow>,
}

impl RefConnection {
    /// Whether anything names the connection: without a handshake and without a token, to put its
    /// flows into another connection is a matter of judgement.
    pub(crate) fn is_named(&self) -> bool {
        self.tokens.iter().any(Option::is_some)
            || self.token_of_unknown.is_some()
            || self.capable.as_ref().is_some_and(|c| c.syn.is_some())
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RefCapable {
    pub(crate) syn: Option<RefFrame>,
    pub(crate) synack: Option<RefFrame>,
    pub(crate) ack: Option<RefFrame>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefFrame {
    pub(crate) frame: u64,
    /// Only in joins.
    pub(crate) hmac_ok: Option<bool>,
    /// Only in the SYN and SYN/ACK of joins.
    pub(crate) id: Option<u8>,
    pub(crate) backup: Option<bool>,
}

/// One direction of a connection. Unlike ours, its byte counts are of mapped *ranges*: what a
/// mapping claims counts even if the capture lacks the payload.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RefDirection {
    pub(crate) mapping_options: u64,
    pub(crate) distinct_mappings: u64,
    pub(crate) checksum_good: u64,
    pub(crate) bad_checksums: Vec<serde_json::Value>,
    /// Bytes of ranges that were mapped on the same flow before, be it to the same SSN (a longer
    /// mapping in place of a shorter one) or to another.
    pub(crate) same_flow_remapped_bytes: u64,
    pub(crate) unique_mapped_bytes: u64,
    pub(crate) end_rel_dsn: Option<i64>,
    pub(crate) bytes_by_flow_first_sender: BTreeMap<u64, u64>,
    pub(crate) reinjected_bytes: u64,
    pub(crate) stream_sha256: Option<String>,
    pub(crate) data_fin: bool,
    pub(crate) data_fin_rel: Option<i64>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefFlow {
    pub(crate) flow: u64,
    pub(crate) client: RefAddress,
    pub(crate) server: RefAddress,
    pub(crate) packets: u64,
    pub(crate) packets_with_option_30: u64,
    /// SYNs.
    pub(crate) syn: u64,
    pub(crate) joined: bool,
    pub(crate) opened_by_connection_server: Option<bool>,
    pub(crate) subtypes: [BTreeMap<String, u64>; 2],
    /// Bytes in the SYN and SYN/ACK, which no mapping covers and `unmapped_bytes` leaves out.
    #[serde(default)]
    pub(crate) syn_data: [u64; 2],
    pub(crate) payload_bytes_unique: [u64; 2],
    pub(crate) unmapped_bytes: [Option<RefUnmapped>; 2],
    pub(crate) join: Option<RefJoin>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefUnmapped {
    pub(crate) bytes: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefJoin {
    pub(crate) syn: Option<RefFrame>,
    pub(crate) synack: Option<RefFrame>,
    pub(crate) ack: Option<RefFrame>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefEvent {
    pub(crate) frame: u64,
    pub(crate) what: String,
    pub(crate) id: Option<u8>,
    pub(crate) ids: Option<Vec<u8>>,
    pub(crate) echo: Option<bool>,
    pub(crate) addr: Option<IpAddr>,
    pub(crate) port: Option<u16>,
}

/// An address and a port, as a pair.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct RefAddress(IpAddr, u16);

impl From<RefAddress> for SocketAddr {
    fn from(address: RefAddress) -> Self {
        (address.0, address.1).into()
    }
}

/// `truth/<file>.tshark.json`: what `TShark` 4.0.17 says.
#[derive(Debug, Deserialize)]
pub(crate) struct TShark {
    pub(crate) packets: u64,
    pub(crate) truncated_packets: u64,
    pub(crate) tcp_streams: Vec<TSharkStream>,
    /// Set when `tcp_streams` holds the first 100 only.
    #[serde(default)]
    pub(crate) tcp_streams_cut: serde_json::Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TSharkStream {
    pub(crate) client: RefAddress,
    pub(crate) server: RefAddress,
    pub(crate) packets: u64,
    pub(crate) packets_with_option_30: u64,
    /// Whether it is the initial subflow; none when `TShark` makes no connection of it.
    pub(crate) master: Option<bool>,
    pub(crate) expected_token: [Option<String>; 2],
    pub(crate) expected_idsn: [Option<String>; 2],
    pub(crate) subtypes: [BTreeMap<String, u64>; 2],
}
