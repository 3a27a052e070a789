//! What happened in a connection beside the transfer of bytes.

use mptcp_proto::key::AddressId;

use super::{CheckResult, Side, Timestamp};

/// One thing that happened, in packet order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Frame that shows it.
    pub frame: u64,
    /// Time of that frame.
    pub at: Timestamp,
    /// Subflow of that frame.
    pub subflow: u32,
    /// Host that sent the frame.
    pub sender: Side,
    /// What it is.
    pub kind: EventKind,
}

/// Kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// An MPTCP option that does not parse; a receiver ignores it (RFC 8684 §3).
    MalformedOption {
        /// Its 4-bit subtype, if that much is there.
        subtype: Option<u8>,
        /// What is wrong with it.
        error: String,
    },
    /// The TCP option area does not add up: length 0, 1, or past its end.
    MalformedOptionArea {
        /// Whether the option at fault is an MPTCP option.
        mptcp: bool,
        /// What is wrong with it.
        error: String,
    },
    /// A reserved bit of an MPTCP option is set.
    ReservedBits {
        /// Subtype of the option.
        subtype: u8,
    },
    /// An option subtype that no version defines.
    UnknownSubtype {
        /// The subtype.
        subtype: u8,
    },
    /// An option in a packet where the RFC does not allow it.
    Misplaced {
        /// Subtype of the option.
        subtype: u8,
        /// The rule broken, as a sentence without full stop.
        rule: &'static str,
    },
    /// A long run of NOPs where an MPTCP option was to be expected: a middlebox overwrote it.
    NopRun {
        /// Length of the run in bytes.
        nops: u8,
    },
    /// The answer repeats our own option byte for byte: a mirror, no MPTCP host.
    Mirrored,
    /// The SYN/ACK names another version than the SYN.
    VersionChanged {
        /// Version of the SYN.
        from: u8,
        /// Version of the SYN/ACK.
        to: u8,
    },
    /// A key other than the one already known for its host.
    KeyChanged {
        /// Whose key it is.
        owner: Side,
    },
    /// A SYN of the same subflow came without the MPTCP option that an earlier one had.
    SynWithoutOption,
    /// The third ACK of a join.
    Joined,
    /// A join whose HMAC is wrong.
    JoinHmacBad {
        /// `true` for the SYN/ACK, `false` for the third ACK.
        syn_ack: bool,
    },
    /// The SYN/ACK of a join came without MP_JOIN.
    JoinOptionMissing,
    /// ADD_ADDR (or its echo).
    AddAddr {
        /// Address id.
        id: AddressId,
        /// Whether the echo bit is set.
        echo: bool,
        /// HMAC of a v1 ADD_ADDR.
        hmac: CheckResult,
    },
    /// REMOVE_ADDR.
    RemoveAddr {
        /// Address id.
        id: AddressId,
    },
    /// MP_PRIO.
    Prio {
        /// Whether the subflow becomes a backup.
        backup: bool,
    },
    /// MP_FAIL.
    Fail {
        /// Relative DSN in it.
        dsn: i64,
    },
    /// MP_FASTCLOSE.
    FastClose {
        /// Its key against the receiver's.
        key: CheckResult,
    },
    /// RST.
    Reset {
        /// Reason of its MP_TCPRST, if it carries one.
        reason: Option<u8>,
        /// Whether its TTL fits the host it claims to come from.
        ttl_fits: bool,
    },
    /// FIN of the subflow.
    Fin,
    /// DATA_FIN.
    DataFin {
        /// Relative DSN of the DATA_FIN.
        dsn: i64,
    },
    /// A DATA_FIN at another place than the first one.
    DataFinMoved {
        /// Relative DSN of the first DATA_FIN.
        first: i64,
        /// Relative DSN of this one.
        now: i64,
    },
    /// The infinite mapping.
    InfiniteMapping {
        /// Relative DSN from which on it maps.
        dsn: i64,
    },
    /// A mapping that contradicts an earlier one.
    MappingConflict {
        /// Subflow sequence number of the first byte on which the two differ.
        ssn: i64,
        /// Its relative DSN by the mapping that came first, which stays.
        kept_dsn: i64,
        /// Its relative DSN by the later mapping.
        refused_dsn: i64,
    },
    /// A mapping that was declared before with another length.
    MappingResized {
        /// Relative DSN of its first byte.
        dsn: i64,
        /// Its length before.
        before: u16,
        /// Its length now.
        now: u16,
    },
    /// A mapping that was declared before with another checksum.
    ChecksumChanged {
        /// Relative DSN of its first byte.
        dsn: i64,
    },
    /// A mapping whose DSN is more than half the 32-bit space away from all others.
    FarMapping {
        /// Relative DSN that it claims.
        dsn: i64,
    },
    /// A DSS checksum is negotiated, but this mapping has none (or the other way round).
    ChecksumPresence {
        /// Whether the mapping carries a checksum.
        present: bool,
    },
}
