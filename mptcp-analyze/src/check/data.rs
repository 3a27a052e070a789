//! Mappings, checksums and repeated bytes.

use super::Findings;
use super::handshake::name;
use crate::model::{
    Connection, ConnectionState, Direction, EventKind, Severity, Subflow, SubflowKind,
};

/// Share of repeated bytes, in percent of the unique ones, that is worth a note.
const MANY_REPEATED: u64 = 10;

/// Fewer ACKs without DATA_ACK than this may come from packets that overtake each other.
const FEW_BARE_ACKS: u64 = 3;

/// A segment that was sent again so often tells of more than a loss.
const MANY_REPEATS: u64 = 3;

/// Fewer repeated bytes than this are never worth a note.
const FEW_BYTES: u64 = 10_000;

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    check_events(connection, findings);
    for direction in Direction::BOTH {
        check_direction(connection, direction, findings);
    }
    for subflow in &connection.subflows {
        check_unmapped(connection, subflow, findings);
        check_bare_acks(connection, subflow, findings);
        check_repeats(subflow, findings);
        check_tcp_checksums(subflow, findings);
    }
}

fn check_events(connection: &Connection, findings: &mut Findings) {
    for event in &connection.events {
        let who = name(event.sender);
        match event.kind {
            EventKind::Fail { dsn } => {
                let text = format!("MP_FAIL by {who} for data from relative DSN {dsn} on");
                findings.add("MPT041", event.frame, text);
            }
            EventKind::ChecksumPresence { present } => {
                let text = if present {
                    format!("{who} sends DSS checksums, which were not negotiated")
                } else {
                    format!("{who} sends mappings without the DSS checksum that was negotiated")
                };
                findings.add("MPT042", event.frame, text);
            }
            EventKind::DataFinMoved { first, .. } => {
                let text =
                    format!("{who} repeats its DATA_FIN of relative DSN {first} at other places");
                findings.add("MPT048", event.frame, text);
            }
            EventKind::ChecksumChanged { .. } => {
                let text = format!("{who} gives one mapping two checksums, of which one is wrong");
                findings.add_as("MPT049", Severity::Warn, event.frame, text);
            }
            EventKind::MappingResized { .. } => {
                let text = format!("{who} gives mappings other lengths than before");
                findings.add("MPT049", event.frame, text);
            }
            EventKind::MappingConflict { .. } => {
                let text = format!("{who} maps bytes of a subflow to other DSNs than before");
                findings.add("MPT043", event.frame, text);
            }
            _ => {}
        }
    }
}

fn check_direction(connection: &Connection, direction: Direction, findings: &mut Findings) {
    let totals = connection.totals.of(direction);
    let who = name(direction.sender());
    if totals.checksums.bad > 0 {
        let text = format!("wrong DSS checksum over data of {who}");
        for &frame in &totals.bad_checksum_frames {
            findings.add("MPT040", frame, text.clone());
        }
    }
    let repeated = totals.reinjected_bytes + totals.data_retransmitted_bytes;
    if repeated >= FEW_BYTES && repeated * 100 / totals.unique_bytes.max(1) >= MANY_REPEATED {
        let text = format!(
            "{who} sent {repeated} of {} data bytes again ({} on another subflow, {} on the same)",
            totals.unique_bytes, totals.reinjected_bytes, totals.data_retransmitted_bytes
        );
        findings.add("MPT046", 0, text);
    }
    if totals.missing_bytes > 0 && connection.state != ConnectionState::FallenBack {
        let text = format!(
            "{} data bytes of {who} are not in the capture",
            totals.missing_bytes
        );
        findings.add("MPT047", 0, text);
    }
}

fn check_unmapped(connection: &Connection, subflow: &Subflow, findings: &mut Findings) {
    if connection.fallback.is_some() {
        return;
    }
    for direction in Direction::BOTH {
        let totals = subflow.totals.of(direction);
        let unmapped = totals.unmapped_bytes;
        if unmapped > 0 {
            let who = name(direction.sender());
            let text = format!(
                "{unmapped} bytes of {who} on subflow {} have no mapping",
                subflow.id
            );
            // After an abort the hosts no longer care what they send, without the start of the stream
            // the mapping may have been declared before the capture, and a cut option area may have
            // had it.
            let harmless = totals.options.cut_areas > 0
                || connection.state == ConnectionState::FastClosed
                || connection.keys.client.is_none()
                || subflow.close.kind == crate::model::CloseKind::Reset;
            let severity = if harmless {
                Severity::Note
            } else {
                Severity::Warn
            };
            let frame = totals.first_unmapped_frame.unwrap_or(subflow.first_frame);
            findings.add_as("MPT044", severity, frame, text);
        }
    }
}

fn check_bare_acks(connection: &Connection, subflow: &Subflow, findings: &mut Findings) {
    for direction in Direction::BOTH {
        let totals = subflow.totals.of(direction);
        // A joined subflow has nothing to fall back to.
        let is_joined = subflow.kind == SubflowKind::Join && connection.fallback.is_none();
        let at_end = if is_joined {
            totals.bare_acks_at_end
        } else {
            0
        };
        let acks = totals.bare_acks.saturating_add(at_end);
        if acks < FEW_BARE_ACKS {
            continue;
        }
        let text = format!(
            "{acks} ACKs in the name of {} on subflow {} have no DATA_ACK",
            name(direction.sender()),
            subflow.id
        );
        let frame = totals.first_bare_ack_frame.unwrap_or(subflow.first_frame);
        findings.add("MPT045", frame, text);
    }
}

fn check_repeats(subflow: &Subflow, findings: &mut Findings) {
    for direction in Direction::BOTH {
        let totals = subflow.totals.of(direction);
        if totals.most_repeats < MANY_REPEATS {
            continue;
        }
        let text = format!(
            "{} sent the same segment on subflow {} again {} times: nothing came through for a while",
            name(direction.sender()),
            subflow.id,
            totals.most_repeats
        );
        let frame = totals.most_repeated_frame.unwrap_or(subflow.first_frame);
        findings.add("MPT066", frame, text);
    }
}

fn check_tcp_checksums(subflow: &Subflow, findings: &mut Findings) {
    for direction in Direction::BOTH {
        let checksums = &subflow.totals.of(direction).tcp_checksums;
        let who = name(direction.sender());
        for &frame in &checksums.bad_frames {
            let text = format!(
                "wrong TCP checksum in segments of {who}, subflow {}",
                subflow.id
            );
            findings.add("MPT074", frame, text);
        }
    }
}
