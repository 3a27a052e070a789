//! An MPTCP connection.

use mptcp_proto::key::{Key, Token};
use mptcp_proto::seq::Dsn;

use super::{
    Address, AddressEvent, CheckResult, CheckTally, Event, Fallback, Finding, Subflow, Timestamp,
};

/// One MPTCP connection, or what a capture without its handshake shows of one.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Number, from 0, in order of first frame.
    pub id: u32,
    /// Protocol version: 0 (RFC 6824), 1 (RFC 8684), another that was asked for, or unknown.
    pub version: Option<u8>,
    /// The weakest evidence by which a subflow was put into this connection.
    pub grouping: Grouping,
    /// Whether DSS checksums were negotiated; `None` when the handshake is not in the capture.
    pub checksum: Option<bool>,
    /// Keys, as far as they were seen.
    pub keys: PerSide<Option<Key>>,
    /// Tokens of the keys, or as a join named them.
    pub tokens: PerSide<Option<Token>>,
    /// Initial data sequence numbers of the keys.
    pub idsns: PerSide<Option<Dsn>>,
    /// The three MP_CAPABLE of the handshake.
    pub capable: CapableSeen,
    /// Keys echoed in the third ACK against those of the SYN and SYN/ACK.
    pub echoed_keys: CheckResult,
    /// Token of the joins, when no key with that token is in the capture.
    pub token_of_unknown: Option<Token>,
    /// First DSN of each direction against the IDSN of its sender.
    pub idsn_check: PerDirection<CheckResult>,
    /// Key in MP_FASTCLOSE against the receiver's key.
    pub fast_close_key: Option<CheckResult>,
    /// DSN in MP_FAIL against the mappings whose checksum is wrong (RFC 8684 §3.7); `None` without
    /// MP_FAIL.
    pub fail_dsn: Option<CheckResult>,
    /// Where the connection stood when the capture ended.
    pub state: ConnectionState,
    /// Whether and why it fell back to regular TCP.
    pub fallback: Option<Fallback>,
    /// Its subflows, in order of first frame.
    pub subflows: Vec<Subflow>,
    /// Addresses announced.
    pub addresses: Vec<Address>,
    /// What happened beside the transfer of bytes, in packet order.
    pub events: Vec<Event>,
    /// Oddities of address management.
    pub address_events: Vec<AddressEvent>,
    /// Data-level counts of both directions.
    pub totals: PerDirection<DirectionTotals>,
    /// First frame.
    pub first_frame: u64,
    /// Last frame.
    pub last_frame: u64,
    /// Time of the first frame.
    pub first_at: Timestamp,
    /// Time of the last frame.
    pub last_at: Timestamp,
    /// What `check` has to say.
    pub findings: Vec<Finding>,
}

/// A value for each host of a connection. `client` sent the first SYN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerSide<T> {
    /// Of the host that sent the first SYN.
    pub client: T,
    /// Of the other host.
    pub server: T,
}

impl<T> PerSide<T> {
    /// The value of `side`.
    pub fn of(&self, side: Side) -> &T {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    /// The value of `side`, to change it.
    pub fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }
}

/// A value for each direction of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerDirection<T> {
    /// From client to server.
    pub to_server: T,
    /// From server to client.
    pub to_client: T,
}

impl<T> PerDirection<T> {
    /// The value of `direction`.
    pub fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    /// The value of `direction`, to change it.
    pub fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }
}

/// A host of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The host that sent the first SYN.
    Client,
    /// The other host.
    Server,
}

impl Side {
    /// The other host.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// The direction of what this host sends.
    pub fn sends(self) -> Direction {
        match self {
            Side::Client => Direction::ToServer,
            Side::Server => Direction::ToClient,
        }
    }
}

/// A direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From client to server.
    ToServer,
    /// From server to client.
    ToClient,
}

impl Direction {
    /// Both directions.
    pub const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

    /// The opposite direction.
    #[must_use]
    pub fn reverse(self) -> Direction {
        match self {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        }
    }

    /// The host that sends in this direction.
    pub fn sender(self) -> Side {
        match self {
            Direction::ToServer => Side::Client,
            Direction::ToClient => Side::Server,
        }
    }
}

/// A token that a host of a connection has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenOwner {
    /// The token.
    pub token: Token,
    /// Number of the connection.
    pub connection: u32,
    /// The host.
    pub side: Side,
    /// Its key, if it was seen.
    pub key: Option<Key>,
}

impl Connection {
    /// The tokens of its hosts.
    pub fn token_owners(&self) -> impl Iterator<Item = TokenOwner> {
        let sides = [Side::Client, Side::Server].into_iter();
        sides.filter_map(|side| {
            Some(TokenOwner {
                token: (*self.tokens.of(side))?,
                connection: self.id,
                side,
                key: *self.keys.of(side),
            })
        })
    }
}

/// Evidence by which subflows were put into one connection, from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grouping {
    /// Token of the MP_JOIN, or there is only the initial subflow.
    Token,
    /// HMAC of the MP_JOIN, checked against all known keys.
    Hmac,
    /// An announced address that only this connection knows.
    AddressId,
    /// Data sequence numbers and DATA_ACKs that fit.
    Dsn,
    /// The same hosts at the same time.
    Guess,
}

/// Where a connection stood when the capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// DATA_FIN in both directions.
    Closed,
    /// MP_FASTCLOSE.
    FastClosed,
    /// All subflows were reset.
    Reset,
    /// Fell back to regular TCP; see `fallback`.
    FallenBack,
    /// Handshake complete, no end seen.
    Established,
    /// Handshake not complete.
    Unfinished,
}

/// Frames of the MP_CAPABLE handshake, and what they carried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapableSeen {
    /// First SYN with MP_CAPABLE: frame, version, flags byte.
    pub syn: Option<(u64, u8, u8)>,
    /// First SYN/ACK with MP_CAPABLE.
    pub syn_ack: Option<(u64, u8, u8)>,
    /// First ACK with MP_CAPABLE.
    pub ack: Option<(u64, u8, u8)>,
    /// SYNs with MP_CAPABLE, repetitions included.
    pub syns: u64,
}

/// Data-level counts of one direction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectionTotals {
    /// Distinct DSN bytes seen, DATA_FIN not counted.
    pub unique_bytes: u64,
    /// TCP payload bytes on all subflows, repetitions included.
    pub wire_bytes: u64,
    /// DSN bytes sent again on another subflow.
    pub reinjected_bytes: u64,
    /// DSN bytes sent again on the same subflow under a new SSN.
    pub data_retransmitted_bytes: u64,
    /// Of all repeated bytes, those already DATA_ACKed when they were sent.
    pub spurious_bytes: u64,
    /// Distinct mappings.
    pub mappings: u64,
    /// Options that carried a mapping (DSS or MP_CAPABLE with data), repetitions included.
    pub mapping_options: u64,
    /// DSS checksums.
    pub checksums: CheckTally,
    /// Frames (of the mapping option) whose DSS checksum is wrong, at most
    /// [`DirectionTotals::MAX_BAD_MAPPINGS`].
    pub bad_checksum_frames: Vec<u64>,
    /// Relative DSN at which each of those mappings begins.
    pub bad_checksum_dsns: Vec<i64>,
    /// Whether a DATA_FIN was seen.
    pub data_fin: bool,
    /// Relative DSN of the DATA_FIN.
    pub data_fin_at: Option<i64>,
    /// Relative DSN of the first and one past the last data byte seen; the first byte after the
    /// IDSN is 1.
    pub range: Option<(i64, i64)>,
    /// DSN that relative numbers count from: the IDSN, or one before the first DSN seen.
    pub base: Option<Dsn>,
    /// Whether `base` is the IDSN of the key.
    pub base_is_idsn: bool,
    /// Highest relative DATA_ACK for this direction's data.
    pub data_acked: Option<i64>,
    /// Bytes missing between the first and the last byte seen.
    pub missing_bytes: u64,
    /// Where they are missing, in relative DSNs, at most [`DirectionTotals::MAX_HOLES`] ranges.
    pub holes: Vec<(i64, i64)>,
    /// Time of the first and last data byte.
    pub data_times: Option<(Timestamp, Timestamp)>,
    /// SHA-256 of the data stream, when it was asked for and is whole.
    pub stream_sha256: Option<[u8; 32]>,
}

impl DirectionTotals {
    /// Most mappings with a wrong checksum that are listed; `checksums.bad` counts all.
    pub const MAX_BAD_MAPPINGS: usize = 1000;

    /// Most holes that are listed; `missing_bytes` counts all.
    pub const MAX_HOLES: usize = 20;
}
