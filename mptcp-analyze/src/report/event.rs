//! Events in words: a stable name for scripts, a sentence for people.

use mptcp_proto::wire::mptcp::{ResetReason, Subtype};

use super::word;
use crate::model::EventKind;

/// Stable name of a kind of event.
pub(crate) fn kind_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::MalformedOption { .. } => "malformed_option",
        EventKind::MalformedOptionArea { .. } => "malformed_option_area",
        EventKind::ReservedBits { .. } => "reserved_bits",
        EventKind::UnknownSubtype { .. } => "unknown_subtype",
        EventKind::Misplaced { .. } => "misplaced_option",
        EventKind::NopRun { .. } => "nop_run",
        EventKind::Mirrored => "mirrored",
        EventKind::VersionChanged { .. } => "version_changed",
        EventKind::KeyChanged { .. } => "key_changed",
        EventKind::SynWithoutOption => "syn_without_option",
        EventKind::Joined => "joined",
        EventKind::JoinHmacBad { .. } => "join_hmac_bad",
        EventKind::JoinOptionMissing => "join_option_missing",
        EventKind::AddAddr { .. } => "add_addr",
        EventKind::RemoveAddr { .. } => "remove_addr",
        EventKind::Prio { .. } => "prio",
        EventKind::Fail { .. } => "fail",
        EventKind::FastClose { .. } => "fast_close",
        EventKind::Reset { .. } => "reset",
        EventKind::Fin => "fin",
        EventKind::DataFin { .. } => "data_fin",
        EventKind::DataFinMoved { .. } => "data_fin_moved",
        EventKind::InfiniteMapping { .. } => "infinite_mapping",
        EventKind::MappingConflict { .. } => "mapping_conflict",
        EventKind::MappingResized { .. } => "mapping_resized",
        EventKind::ChecksumChanged { .. } => "checksum_changed",
        EventKind::FarMapping { .. } => "far_mapping",
        EventKind::ChecksumPresence { .. } => "checksum_presence",
    }
}

/// The event for a person, without full stop. `version` is that of the connection.
pub(crate) fn sentence(kind: &EventKind, version: Option<u8>) -> String {
    match kind {
        EventKind::MalformedOption { .. }
        | EventKind::MalformedOptionArea { .. }
        | EventKind::ReservedBits { .. }
        | EventKind::UnknownSubtype { .. }
        | EventKind::Misplaced { .. }
        | EventKind::NopRun { .. } => option_sentence(kind),
        EventKind::Mirrored => "the answer mirrors the option of the SYN".to_owned(),
        EventKind::VersionChanged { from, to } => {
            format!("SYN asks for version {from}, SYN/ACK answers version {to}")
        }
        EventKind::KeyChanged { owner } => format!("another key of the {}", word::side(*owner)),
        EventKind::SynWithoutOption => "SYN repeated without its MPTCP option".to_owned(),
        EventKind::Joined => "subflow joined".to_owned(),
        EventKind::JoinHmacBad { syn_ack } => {
            let of = if *syn_ack { "SYN/ACK" } else { "third ACK" };
            format!("wrong HMAC in the MP_JOIN of the {of}")
        }
        EventKind::JoinOptionMissing => "SYN/ACK of the join without MP_JOIN".to_owned(),
        EventKind::AddAddr { id, echo: true, .. } => format!("echo of ADD_ADDR id {id}"),
        // ADD_ADDR of version 0 has no HMAC, which is nothing to wonder about.
        EventKind::AddAddr { id, .. } if version == Some(0) => format!("ADD_ADDR id {id}"),
        EventKind::AddAddr { id, hmac, .. } => {
            format!("ADD_ADDR id {id}, HMAC {}", word::check(*hmac))
        }
        EventKind::RemoveAddr { id } => format!("REMOVE_ADDR id {id}"),
        EventKind::Prio { backup: true } => "MP_PRIO: becomes a backup".to_owned(),
        EventKind::Prio { backup: false } => "MP_PRIO: is no backup any more".to_owned(),
        EventKind::Fail { dsn } => format!("MP_FAIL from relative DSN {dsn}"),
        EventKind::FastClose { key } => format!("MP_FASTCLOSE, key {}", word::check(*key)),
        EventKind::Reset { reason, ttl_fits } => reset_sentence(*reason, *ttl_fits),
        EventKind::Fin => "FIN".to_owned(),
        EventKind::DataFin { dsn } => format!("DATA_FIN at relative DSN {dsn}"),
        EventKind::DataFinMoved { first, now } => {
            format!("DATA_FIN at relative DSN {now}, it was at {first}")
        }
        EventKind::InfiniteMapping { dsn } => format!("infinite mapping from relative DSN {dsn}"),
        EventKind::MappingConflict {
            ssn,
            kept_dsn,
            refused_dsn,
        } => {
            format!("mapping of SSN {ssn} to relative DSN {refused_dsn} contradicts {kept_dsn}")
        }
        EventKind::MappingResized { dsn, before, now } => {
            format!("mapping of relative DSN {dsn} has length {now}, it was {before}")
        }
        EventKind::ChecksumChanged { dsn } => {
            format!("mapping of relative DSN {dsn} has another checksum than before")
        }
        EventKind::FarMapping { dsn } => {
            format!("mapping to relative DSN {dsn}, far from all others")
        }
        EventKind::ChecksumPresence { present: true } => {
            "mapping with a checksum, though none was negotiated".to_owned()
        }
        EventKind::ChecksumPresence { present: false } => {
            "mapping without the negotiated checksum".to_owned()
        }
    }
}

fn option_sentence(kind: &EventKind) -> String {
    match kind {
        EventKind::MalformedOption {
            subtype: Some(subtype),
            error,
        } => {
            format!("malformed {}: {error}", Subtype(*subtype))
        }
        EventKind::MalformedOption {
            subtype: None,
            error,
        } => {
            format!("malformed MPTCP option: {error}")
        }
        EventKind::MalformedOptionArea { error, .. } => format!("malformed TCP options: {error}"),
        EventKind::ReservedBits { subtype } => format!("reserved bit set in {}", Subtype(*subtype)),
        EventKind::UnknownSubtype { subtype } => format!("unknown subtype {subtype:#x}"),
        EventKind::Misplaced { subtype, rule } => format!("{}: {rule}", Subtype(*subtype)),
        EventKind::NopRun { nops } => format!("{nops} NOPs where an MPTCP option belongs"),
        _ => String::new(),
    }
}

fn reset_sentence(reason: Option<u8>, ttl_fits: bool) -> String {
    let reason = reason.map_or_else(String::new, |reason| {
        format!(", reason {reason} ({})", ResetReason(reason))
    });
    let ttl = if ttl_fits {
        ""
    } else {
        ", with a TTL that does not fit its sender"
    };
    format!("RST{reason}{ttl}")
}
