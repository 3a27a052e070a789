//! Options that are malformed, misplaced or overwritten.

use super::Findings;
use crate::model::{Connection, EventKind};

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    for event in &connection.events {
        let frame = event.frame;
        match &event.kind {
            EventKind::MalformedOption { subtype, error } => {
                let name = subtype_name(*subtype);
                findings.add("MPT001", frame, format!("malformed {name}: {error}"));
            }
            EventKind::MalformedOptionArea { mptcp, error } => {
                let what = if *mptcp {
                    "an MPTCP option"
                } else {
                    "a TCP option"
                };
                findings.add(
                    "MPT002",
                    frame,
                    format!("{what} ends the option area: {error}"),
                );
            }
            EventKind::ReservedBits { subtype } => {
                let name = subtype_name(Some(*subtype));
                findings.add("MPT003", frame, format!("reserved bit set in {name}"));
            }
            EventKind::UnknownSubtype { subtype } => {
                findings.add("MPT004", frame, format!("unknown MPTCP subtype {subtype}"));
            }
            EventKind::Misplaced { subtype, rule } => {
                let name = subtype_name(Some(*subtype));
                findings.add("MPT005", frame, format!("{name} out of place: {rule}"));
            }
            EventKind::NopRun { nops } => findings.add(
                "MPT011",
                frame,
                format!("{nops} NOPs in a row where an MPTCP option was to be expected"),
            ),
            EventKind::Mirrored => findings.add(
                "MPT012",
                frame,
                "the SYN/ACK repeats the option of the SYN instead of answering it",
            ),
            _ => {}
        }
    }
}

/// The RFC's name of a subtype.
pub(super) fn subtype_name(subtype: Option<u8>) -> String {
    match subtype {
        Some(subtype) => mptcp_proto::wire::mptcp::Subtype(subtype).to_string(),
        None => "MPTCP option".to_owned(),
    }
}
