//! A subflow: one TCP 4-tuple from its first to its last packet.

use std::net::SocketAddr;

use mptcp_proto::key::{AddressId, Token};

use super::{Grouping, PerDirection, Side, Timestamp};

/// One generation of a TCP 4-tuple: from a SYN (or the first packet seen) to the last packet before
/// the next generation. It keeps all its packets, also those without an MPTCP option.
#[derive(Debug, Clone)]
pub struct Subflow {
    /// Number within the connection, from 0, in order of first frame.
    pub id: u32,
    /// Number among all TCP streams of the capture, as Wireshark's `tcp.stream`.
    pub tcp_stream: u64,
    /// How it came into the connection.
    pub kind: SubflowKind,
    /// Evidence by which it was put into its connection.
    pub grouping: Grouping,
    /// Which host of the connection opened it; `None` when no handshake was seen.
    pub initiator: Option<Side>,
    /// Its end at the connection's client.
    pub client: SocketAddr,
    /// Its end at the connection's server.
    pub server: SocketAddr,
    /// Address id of the client's end: 0 on the initial subflow, else from MP_JOIN.
    pub client_address_id: Option<AddressId>,
    /// Address id of the server's end.
    pub server_address_id: Option<AddressId>,
    /// Whether the B flag was set in the MP_JOIN of the SYN (or the SYN/ACK).
    pub backup: bool,
    /// MP_PRIO seen on or about this subflow, in packet order.
    pub priority_changes: Vec<PriorityChange>,
    /// Whether its handshake was seen to complete, or data flowed with MPTCP options.
    pub established: bool,
    /// The MP_JOIN handshake, for joined subflows.
    pub join: Option<JoinSeen>,
    /// Interface of the first packet.
    pub interface: u32,
    /// Packets, both directions, copies included: as many as Wireshark shows.
    pub packets: u64,
    /// Packets that are copies of one captured before (on `any`, or by a mirror port); they count
    /// nowhere else.
    pub duplicate_packets: u64,
    /// Packets with at least one MPTCP option.
    pub packets_with_option: u64,
    /// First frame.
    pub first_frame: u64,
    /// Last frame.
    pub last_frame: u64,
    /// Time of the first frame.
    pub first_at: Timestamp,
    /// Time of the last frame.
    pub last_at: Timestamp,
    /// Time from the SYN to the SYN/ACK as seen at the capture point, in nanoseconds.
    pub syn_rtt_ns: Option<i64>,
    /// How it ended.
    pub close: Close,
    /// Byte and option counts of both directions.
    pub totals: PerDirection<SubflowTotals>,
}

/// How a subflow came into its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubflowKind {
    /// The initial subflow, opened with MP_CAPABLE.
    Capable,
    /// Joined with MP_JOIN.
    Join,
    /// No handshake in the capture.
    Unseen,
}

/// Result of a check against keys or bytes that may not be in the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckResult {
    /// It holds.
    Ok,
    /// It does not hold.
    Bad,
    /// It cannot be checked; the text says why.
    Unverifiable(&'static str),
}

/// The MP_JOIN handshake of a subflow (RFC 8684 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinSeen {
    /// Token in the SYN.
    pub token: Option<Token>,
    /// The token against the key of the host that received the SYN.
    pub token_check: CheckResult,
    /// Frame of the first SYN with MP_JOIN.
    pub syn_frame: Option<u64>,
    /// Frame of the first SYN/ACK with MP_JOIN.
    pub syn_ack_frame: Option<u64>,
    /// Frame of the first third ACK with MP_JOIN.
    pub ack_frame: Option<u64>,
    /// How many SYNs with MP_JOIN were sent.
    pub syns: u64,
    /// The truncated HMAC of the SYN/ACK.
    pub syn_ack_hmac: CheckResult,
    /// The full HMAC of the third ACK.
    pub ack_hmac: CheckResult,
}

/// An MP_PRIO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityChange {
    /// Frame.
    pub frame: u64,
    /// Who sent it.
    pub sender: Side,
    /// Whether the subflow became a backup.
    pub backup: bool,
}

/// How a subflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The manner.
    pub kind: CloseKind,
    /// Who began it.
    pub by: CloseSide,
    /// Reason code of an MP_TCPRST (RFC 8684 §3.6).
    pub reset_reason: Option<u8>,
    /// Frame of the first FIN, RST or MP_FASTCLOSE.
    pub frame: Option<u64>,
}

/// Manner in which a subflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseKind {
    /// FIN of at least one end.
    Fin,
    /// RST.
    Reset,
    /// MP_FASTCLOSE.
    FastClose,
    /// No end in the capture.
    None,
}

/// Who began to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseSide {
    /// The connection's client.
    Client,
    /// The connection's server.
    Server,
    /// A RST whose TTL fits neither end: something between them.
    Path,
    /// Nobody, or it cannot be told.
    Unknown,
}

/// Byte and option counts of one direction of a subflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubflowTotals {
    /// Packets, copies left out.
    pub packets: u64,
    /// TCP payload bytes sent, repetitions included.
    pub wire_bytes: u64,
    /// DSN bytes that this subflow was the first to send.
    pub unique_bytes: u64,
    /// Bytes sent again with the same subflow sequence number.
    pub tcp_retransmitted_bytes: u64,
    /// Old DSN bytes sent again on this subflow under a new subflow sequence number.
    pub data_retransmitted_bytes: u64,
    /// DSN bytes that another subflow had sent before.
    pub reinjected_bytes: u64,
    /// Of all repeated bytes, those already DATA_ACKed when they were sent.
    pub spurious_bytes: u64,
    /// Payload bytes that no mapping covers.
    pub unmapped_bytes: u64,
    /// First frame with such bytes.
    pub first_unmapped_frame: Option<u64>,
    /// ACKs without payload and without MPTCP option after which one with DATA_ACK came.
    pub bare_acks: u64,
    /// Such ACKs after the last packet with an MPTCP option; none of TIME-WAIT.
    pub bare_acks_at_end: u64,
    /// First frame of both.
    pub first_bare_ack_frame: Option<u64>,
    /// How often a segment was sent again, of the one that was so most often.
    pub most_repeats: u64,
    /// Frame with which that was reached.
    pub most_repeated_frame: Option<u64>,
    /// MPTCP options seen, by subtype.
    pub options: OptionTally,
    /// TCP checksums, when they were asked for.
    pub tcp_checksums: TcpChecksums,
}

/// Results of TCP checksum verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpChecksums {
    /// It holds.
    pub ok: u64,
    /// It does not hold.
    pub bad: u64,
    /// Only the pseudo-header is summed: the sender's network card fills in the rest later.
    pub offloaded: u64,
    /// The packet was cut.
    pub unverifiable: u64,
    /// It was not looked at: only a sample was asked for.
    pub unchecked: u64,
    /// Frames in which it is bad, at most `Finding::MAX_FRAMES`.
    pub bad_frames: Vec<u64>,
}

/// How many options of each subtype were seen, malformed ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionTally {
    /// Count per 4-bit subtype.
    pub by_subtype: [u64; 16],
    /// Options that do not parse.
    pub malformed: u64,
    /// Packets whose option area the snaplen cut.
    pub cut_areas: u64,
    /// DATA_ACKs of 4 bytes.
    pub data_ack4: u64,
    /// DATA_ACKs of 8 bytes.
    pub data_ack8: u64,
}

/// Results of many checks of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckTally {
    /// It held.
    pub ok: u64,
    /// It did not hold.
    pub bad: u64,
    /// It could not be checked.
    pub unverifiable: u64,
}
