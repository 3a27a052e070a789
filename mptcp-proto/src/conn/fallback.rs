//! Going on as plain TCP (RFC 8684 §3.7).

use std::fmt;

/// Why a connection goes on as TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FallbackReason {
    /// This host does not want MPTCP for the connection.
    Disabled,
    /// This path loses SYNs with the option, or refuses them (RFC 8684 §3.9.3).
    Blackhole,
    /// No token was free for a new key (RFC 8684 §3.1).
    NoToken,
    /// The SYN has no MP_CAPABLE (RFC 8684 §3.1).
    SynOptionMissing,
    /// The SYN/ACK has no MP_CAPABLE (RFC 8684 §3.1).
    SynAckOptionMissing,
    /// The third ACK, or what came in its place, has no MP_CAPABLE (RFC 8684 §3.1).
    ThirdAckOptionMissing,
    /// The first data have no DSS (RFC 8684 §3.7).
    FirstDataOptionMissing,
    /// The first data are acknowledged without DATA_ACK (RFC 8684 §3.7).
    DataAckMissing,
    /// Later data came without options (RFC 8684 §3.7).
    OptionsMissing,
    /// Options came, but no mapping for a whole window (RFC 8684 §3.3.1).
    Unmapped,
    /// The checksum of the very first mapping does not hold.
    FirstChecksum,
    /// A later checksum does not hold, and MP_FAIL was sent (RFC 8684 §3.7).
    Checksum,
    /// A mapping lacks the checksum that was agreed on (RFC 8684 §3.3).
    ChecksumMissing,
    /// The peer sent MP_FAIL (RFC 8684 §3.7).
    FailReceived,
    /// The peer sent an infinite mapping (RFC 8684 §3.7).
    InfiniteMapping,
    /// Mappings contradict each other (RFC 8684 §3.3.1).
    MappingConflict,
    /// Both hosts sent a SYN (RFC 9293 §3.5); MPTCP has no rule for who is who then.
    SimultaneousOpen,
    /// The peer prefers a version that cannot be used (RFC 8684 §3.1).
    Version,
    /// B is set in MP_CAPABLE, or no known algorithm is offered (RFC 8684 §3.1).
    Flags,
    /// MP_CAPABLE in a form that does not belong in this packet, or together with MP_JOIN or a signature.
    Form,
    /// The third ACK has other keys than were exchanged (RFC 8684 §3.1).
    KeyMismatch,
}

impl FallbackReason {
    /// A word for machines.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Blackhole => "blackhole",
            Self::NoToken => "no_token",
            Self::SynOptionMissing => "syn_option_missing",
            Self::SynAckOptionMissing => "synack_option_missing",
            Self::ThirdAckOptionMissing => "third_ack_option_missing",
            Self::FirstDataOptionMissing => "data_option_missing",
            Self::DataAckMissing => "data_ack_missing",
            Self::OptionsMissing => "stripped_mid_stream",
            Self::Unmapped => "unmapped",
            Self::FirstChecksum => "first_checksum",
            Self::Checksum => "checksum",
            Self::ChecksumMissing => "checksum_missing",
            Self::FailReceived => "mp_fail",
            Self::InfiniteMapping => "infinite_mapping",
            Self::MappingConflict => "mapping_conflict",
            Self::SimultaneousOpen => "simultaneous_open",
            Self::Version => "version",
            Self::Flags => "flags",
            Self::Form => "form",
            Self::KeyMismatch => "key_mismatch",
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
