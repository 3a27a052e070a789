//! How subflows and the connection ended.

use mptcp_proto::wire::mptcp::ResetReason;

use super::handshake::name;
use super::{Findings, events_until};
use crate::model::{
    CheckResult, CloseKind, CloseSide, Connection, ConnectionState, Direction, EventKind, Severity,
    Side, Subflow, SubflowKind,
};

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    for event in &connection.events {
        match event.kind {
            EventKind::FastClose {
                key: CheckResult::Bad,
            } => findings.add(
                "MPT062",
                event.frame,
                format!("MP_FASTCLOSE of {} with a wrong key", name(event.sender)),
            ),
            EventKind::Reset {
                ttl_fits: false, ..
            } => findings.add(
                "MPT061",
                event.frame,
                format!(
                    "RST in the name of {} on subflow {} with a TTL unlike its other packets",
                    name(event.sender),
                    event.subflow
                ),
            ),
            _ => {}
        }
    }
    let aborted = connection.events.iter().find_map(|event| match event.kind {
        EventKind::FastClose { .. } => Some((event.frame, event.sender)),
        _ => None,
    });
    if let Some((frame, sender)) = aborted {
        findings.add(
            "MPT063",
            frame,
            format!("{} aborted the connection", name(sender)),
        );
    }
    if connection.state == ConnectionState::Reset {
        check_all_reset(connection, findings);
    }
    for subflow in &connection.subflows {
        check_reset(connection, subflow, findings);
        check_backup(connection, subflow, findings);
    }
}

/// A connection that ended by RST without MP_FASTCLOSE, or never came about.
fn check_all_reset(connection: &Connection, findings: &mut Findings) {
    let frames = connection.subflows.iter().filter_map(|s| s.close.frame);
    let frame = frames.max().unwrap_or(0);
    if connection.subflows.iter().any(|s| s.established) {
        let text = "the last subflow was reset without MP_FASTCLOSE";
        findings.add("MPT064", frame, text);
        return;
    }
    for subflow in &connection.subflows {
        let frame = subflow.close.frame.unwrap_or(0);
        // With the SYN in the capture, `Unseen` means that it had no MPTCP option.
        let plain_syn = subflow.kind == SubflowKind::Unseen && subflow.initiator.is_some();
        match subflow.close.reset_reason {
            Some(reason) if plain_syn => {
                let text = format!(
                    "RST with MP_TCPRST (reason {reason}: {}), though the SYN had no MPTCP option",
                    ResetReason(reason)
                );
                findings.add("MPT036", frame, text);
            }
            _ if subflow.kind == SubflowKind::Capable => {
                let text = "the connection was refused: RST before the handshake was complete";
                findings.add_as("MPT064", Severity::Note, frame, text);
            }
            _ => {}
        }
    }
}

/// A reset of an established subflow of a connection that goes on.
fn check_reset(connection: &Connection, subflow: &Subflow, findings: &mut Findings) {
    let frame = subflow.close.frame.unwrap_or(0);
    let ending = connection.fast_close_key.is_some() || closed_before(connection, frame);
    if subflow.close.kind != CloseKind::Reset || !subflow.established || ending {
        return;
    }
    let by = match subflow.close.by {
        CloseSide::Client => "the client",
        CloseSide::Server => "the server",
        CloseSide::Path => "something on the path",
        CloseSide::Unknown => "somebody",
    };
    let why = match subflow.close.reset_reason {
        Some(reason) => format!("reason {reason}: {}", ResetReason(reason)),
        None => "no reason given".to_owned(),
    };
    findings.add(
        "MPT060",
        frame,
        format!("subflow {} reset by {by} ({why})", subflow.id),
    );
}

/// Whether both hosts had sent DATA_FIN by the time of the event in `frame`.
fn closed_before(connection: &Connection, frame: u64) -> bool {
    let sent = |side: Side| {
        events_until(connection, frame)
            .any(|event| event.sender == side && matches!(event.kind, EventKind::DataFin { .. }))
    };
    sent(Side::Client) && sent(Side::Server)
}

fn check_backup(connection: &Connection, subflow: &Subflow, findings: &mut Findings) {
    if !subflow.backup || !subflow.priority_changes.is_empty() {
        return;
    }
    let regular_alive = |other: &&Subflow| {
        other.id != subflow.id
            && other.established
            && !other.backup
            && other.priority_changes.is_empty()
            && other.last_frame >= subflow.last_frame
            && other.close.kind != CloseKind::Reset
    };
    let Some(regular) = connection.subflows.iter().find(regular_alive) else {
        return;
    };
    for direction in Direction::BOTH {
        let bytes = subflow.totals.of(direction).unique_bytes;
        if bytes > 0 {
            let text = format!(
                "{} sent {bytes} new bytes on backup subflow {} while subflow {} was there",
                name(direction.sender()),
                subflow.id,
                regular.id
            );
            findings.add("MPT065", subflow.first_frame, text);
        }
    }
}
