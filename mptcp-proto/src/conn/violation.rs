//! Rules that a peer, or a box on the path, can break, and the only table of what is done then.

use crate::conn::fallback::FallbackReason;
use crate::wire::mptcp::ResetReason;

/// A broken rule. Who broke it, the peer or the path, one end cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// The token of an MP_JOIN belongs to no connection (RFC 8684 §3.2).
    #[error("MP_JOIN names a token that is not known")]
    UnknownToken,
    /// A join to where joins are not welcome: to the address that the C flag excludes, after both
    /// DATA_FINs, or by policy (RFC 8684 §3.1, §3.2).
    #[error("MP_JOIN where none is allowed")]
    JoinProhibited,
    /// A join above the limit (RFC 8684 §3.2).
    #[error("MP_JOIN above the limit of subflows")]
    TooManySubflows,
    /// A join for which this host has no room left, whatever its limit is (RFC 8684 §3.6).
    #[error("MP_JOIN for which there is no room")]
    OutOfResources,
    /// The HMAC of the SYN/ACK of a join is wrong (RFC 8684 §3.2).
    #[error("the HMAC of the MP_JOIN in the SYN/ACK is wrong")]
    JoinSynAckHmac,
    /// The HMAC of the third ACK of a join is wrong (RFC 8684 §3.2).
    #[error("the HMAC of the MP_JOIN in the third ACK is wrong")]
    JoinAckHmac,
    /// The SYN/ACK of a join has no MP_JOIN (RFC 8684 §3.2).
    #[error("the SYN/ACK of a join has no MP_JOIN")]
    JoinSynAckMissing,
    /// The third ACK of a join has no MP_JOIN, or data came before it (RFC 8684 §3.2).
    #[error("the third ACK of a join has no MP_JOIN")]
    JoinAckMissing,
    /// Two mappings say different things of one byte (RFC 8684 §3.3.1).
    #[error("a mapping contradicts an earlier one")]
    MappingConflict,
    /// More bytes without a mapping than a receive window holds (RFC 8684 §3.3.1).
    #[error("a whole receive window came without a mapping")]
    Unmapped,
    /// The first data of a subflow came without any option (RFC 8684 §3.7).
    #[error("the first data came without options")]
    FirstDataOptionMissing,
    /// Data came without any option, and no mapping followed (RFC 8684 §3.7).
    #[error("data came without options")]
    OptionsMissing,
    /// A subflow's data are acknowledged without DATA_ACK from the beginning (RFC 8684 §3.7).
    #[error("data are acknowledged without a DATA_ACK")]
    DataAckMissing,
    /// Checksums were agreed on, and a mapping has none (RFC 8684 §3.3).
    #[error("a mapping lacks the checksum that was agreed on")]
    ChecksumMissing,
    /// A mapping has a checksum though none was agreed on, beside another subflow (RFC 8684 §3.3). On the
    /// only one it is passed over: a RST would end what TCP carries.
    #[error("a mapping has a checksum that was not agreed on")]
    ChecksumUnexpected,
    /// The checksum of a mapping does not hold (RFC 8684 §3.7).
    #[error("the checksum of a mapping does not hold")]
    Checksum,
    /// An infinite mapping while there are other subflows (RFC 8684 §3.7).
    #[error("an infinite mapping on one of several subflows")]
    InfiniteMapping,
    /// The HMAC of an ADD_ADDR is wrong (RFC 8684 §3.4.1).
    #[error("the HMAC of an ADD_ADDR is wrong")]
    AddAddrHmac,
    /// An ADD_ADDR with an address that nobody can connect to (RFC 8684 §3.4.1).
    #[error("ADD_ADDR advertises an address that cannot be used")]
    AddAddrUnusable,
    /// MP_FASTCLOSE with another key than ours (RFC 8684 §3.5).
    #[error("MP_FASTCLOSE has the wrong key")]
    FastCloseKey,
    /// A DATA_ACK for what was never sent (RFC 8684 §3.3.2).
    #[error("a DATA_ACK for data never sent")]
    DataAckBeyondSent,
    /// A second DATA_FIN with another number (RFC 8684 §3.3.3).
    #[error("a second DATA_FIN with another number")]
    SecondDataFin,
    /// An MPTCP option that does not parse (RFC 8684 §3).
    #[error("an MPTCP option that does not parse")]
    Malformed,
    /// An option where it has no meaning (RFC 8684 §3).
    #[error("an MPTCP option where it has no meaning")]
    Misplaced,
}

/// What is done about a [`Violation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// As if it had not come.
    Ignore,
    /// The subflow is reset, with this reason; its data go over another.
    Reset(ResetReason),
    /// The connection goes on as TCP for this reason where RFC 8684 §3.7 allows it: on its only
    /// subflow, with no gap in the data. Otherwise the subflow is reset.
    FallBackOrReset(FallbackReason, ResetReason),
    /// MP_FAIL; the subflow is reset where there is another, else the connection goes on as TCP.
    Fail,
}

impl Violation {
    /// What is done about it: the only such table.
    pub const fn reaction(self) -> Reaction {
        match self {
            Self::UnknownToken
            | Self::JoinSynAckHmac
            | Self::JoinAckHmac
            | Self::JoinSynAckMissing
            | Self::JoinAckMissing
            | Self::ChecksumUnexpected
            | Self::InfiniteMapping => Reaction::Reset(ResetReason::MPTCP_SPECIFIC),
            Self::JoinProhibited | Self::TooManySubflows => {
                Reaction::Reset(ResetReason::ADMINISTRATIVELY_PROHIBITED)
            }
            Self::OutOfResources => Reaction::Reset(ResetReason::LACK_OF_RESOURCES),
            Self::MappingConflict => Reaction::FallBackOrReset(
                FallbackReason::MappingConflict,
                ResetReason::MPTCP_SPECIFIC,
            ),
            Self::Unmapped => Reaction::FallBackOrReset(
                FallbackReason::Unmapped,
                ResetReason::MIDDLEBOX_INTERFERENCE,
            ),
            Self::FirstDataOptionMissing => Reaction::FallBackOrReset(
                FallbackReason::FirstDataOptionMissing,
                ResetReason::MIDDLEBOX_INTERFERENCE,
            ),
            Self::OptionsMissing => Reaction::FallBackOrReset(
                FallbackReason::OptionsMissing,
                ResetReason::MIDDLEBOX_INTERFERENCE,
            ),
            Self::DataAckMissing => Reaction::FallBackOrReset(
                FallbackReason::DataAckMissing,
                ResetReason::MIDDLEBOX_INTERFERENCE,
            ),
            Self::ChecksumMissing => Reaction::FallBackOrReset(
                FallbackReason::ChecksumMissing,
                ResetReason::MPTCP_SPECIFIC,
            ),
            Self::Checksum => Reaction::Fail,
            Self::AddAddrHmac
            | Self::AddAddrUnusable
            | Self::FastCloseKey
            | Self::DataAckBeyondSent
            | Self::SecondDataFin
            | Self::Malformed
            | Self::Misplaced => Reaction::Ignore,
        }
    }
}
