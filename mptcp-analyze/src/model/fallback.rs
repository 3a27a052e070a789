//! Why a connection fell back to regular TCP.

/// How and why a connection became regular TCP (RFC 8684 §3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fallback {
    /// What happened.
    pub reason: FallbackReason,
    /// Frame that shows it.
    pub frame: u64,
    /// Who caused it.
    pub by: Blame,
    /// How sure that is: one capture point infers, two prove.
    pub confidence: Confidence,
    /// The evidence in one sentence without full stop.
    pub text: String,
}

/// What made a connection fall back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// The client stopped asking for MPTCP: a later SYN had no MP_CAPABLE.
    SynOptionMissing,
    /// The SYN/ACK bears traces of an MP_CAPABLE that was removed on the way, or two capture points
    /// show it.
    SynAckOptionMissing,
    /// The SYN/ACK came without MP_CAPABLE and nothing shows that the path removed one.
    PeerIsTcp,
    /// The third ACK (and all that followed it) came without MPTCP options.
    ThirdAckOptionMissing,
    /// The handshake was complete, but the first data came without a mapping.
    DataOptionMissing,
    /// Mappings were exchanged, then data came without.
    StrippedMidStream,
    /// An infinite mapping (data-level length 0) was sent.
    InfiniteMapping,
    /// MP_FAIL on the only subflow.
    MpFail,
    /// A DSS checksum is wrong, or missing although it was negotiated.
    Checksum,
    /// The peers do not agree on a version or on flags.
    Negotiation,
}

/// Who caused something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The host that opened the connection.
    Client,
    /// The host that accepted it.
    Server,
    /// Something between them.
    Path,
    /// Cannot be told from this capture.
    Unknown,
}

/// How sure a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confidence {
    /// The capture shows it.
    Proven,
    /// The best explanation of what the capture shows.
    Likely,
    /// Other explanations are as good.
    Unknown,
}
