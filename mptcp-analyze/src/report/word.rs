//! The words for the model's values, the same in JSON and in text.

use crate::model::{
    Blame, ByteClass, CheckResult, CloseKind, CloseSide, Compression, Confidence, ConnectionState,
    Direction, FallbackReason, FileFormat, Grouping, Severity, Side, SubflowKind,
};

/// State of a connection.
pub(crate) fn state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Closed => "closed",
        ConnectionState::FastClosed => "fast_closed",
        ConnectionState::Reset => "reset",
        ConnectionState::FallenBack => "fallen_back",
        ConnectionState::Established => "established",
        ConnectionState::Unfinished => "unfinished",
    }
}

/// Evidence for the grouping.
pub(crate) fn grouping(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::Token => "token",
        Grouping::Hmac => "hmac",
        Grouping::AddressId => "address_id",
        Grouping::Dsn => "dsn",
        Grouping::Guess => "guess",
    }
}

/// Reason of a fallback.
pub(crate) fn fallback_reason(reason: FallbackReason) -> &'static str {
    match reason {
        FallbackReason::SynOptionMissing => "syn_option_missing",
        FallbackReason::SynAckOptionMissing => "synack_option_missing",
        FallbackReason::PeerIsTcp => "peer_is_tcp",
        FallbackReason::ThirdAckOptionMissing => "third_ack_option_missing",
        FallbackReason::DataOptionMissing => "data_option_missing",
        FallbackReason::StrippedMidStream => "stripped_mid_stream",
        FallbackReason::InfiniteMapping => "infinite_mapping",
        FallbackReason::MpFail => "mp_fail",
        FallbackReason::Checksum => "checksum",
        FallbackReason::Negotiation => "negotiation",
    }
}

/// Who caused something.
pub(crate) fn blame(blame: Blame) -> &'static str {
    match blame {
        Blame::Client => "client",
        Blame::Server => "server",
        Blame::Path => "path",
        Blame::Unknown => "unknown",
    }
}

/// How sure a statement is.
pub(crate) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Proven => "proven",
        Confidence::Likely => "likely",
        Confidence::Unknown => "unknown",
    }
}

/// A host.
pub(crate) fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

/// A direction.
pub(crate) fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::ToServer => "to_server",
        Direction::ToClient => "to_client",
    }
}

/// How a subflow came into its connection.
pub(crate) fn subflow_kind(kind: SubflowKind) -> &'static str {
    match kind {
        SubflowKind::Capable => "capable",
        SubflowKind::Join => "join",
        SubflowKind::Unseen => "unseen",
    }
}

/// How a subflow ended.
pub(crate) fn close_kind(kind: CloseKind) -> &'static str {
    match kind {
        CloseKind::Fin => "fin",
        CloseKind::Reset => "reset",
        CloseKind::FastClose => "fast_close",
        CloseKind::None => "none",
    }
}

/// Who began to close.
pub(crate) fn close_side(side: CloseSide) -> &'static str {
    match side {
        CloseSide::Client => "client",
        CloseSide::Server => "server",
        CloseSide::Path => "path",
        CloseSide::Unknown => "unknown",
    }
}

/// Outcome of a check.
pub(crate) fn check(result: CheckResult) -> &'static str {
    match result {
        CheckResult::Ok => "ok",
        CheckResult::Bad => "bad",
        CheckResult::Unverifiable(_) => "unverifiable",
    }
}

/// Why a check could not be made.
pub(crate) fn why(result: CheckResult) -> Option<&'static str> {
    match result {
        CheckResult::Unverifiable(why) => Some(why),
        CheckResult::Ok | CheckResult::Bad => None,
    }
}

/// Severity of a finding.
pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Warn => "warn",
        Severity::Error => "error",
    }
}

/// Class of payload bytes.
pub(crate) fn byte_class(class: ByteClass) -> &'static str {
    match class {
        ByteClass::New => "new",
        ByteClass::TcpRetransmission => "tcp_retransmission",
        ByteClass::DataRetransmission => "data_retransmission",
        ByteClass::Reinjection { .. } => "reinjection",
        ByteClass::Unmapped => "unmapped",
    }
}

/// Name of an input file.
pub(crate) fn file(name: &str) -> &str {
    match name {
        "-" => "standard input",
        name => name,
    }
}

/// Container format.
pub(crate) fn file_format(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Pcap => "pcap",
        FileFormat::PcapNg => "pcapng",
    }
}

/// Compression.
pub(crate) fn compression(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}
