//! `client > server`, the widest column of a table, and what to do where it is too wide.

use crate::model::{Side, Subflow};

/// The ends of `subflow` in one line, or in two when one would be longer than `room` columns, as
/// IPv6 addresses often are. The arrow points away from the host that opened the subflow.
pub(super) fn lines(subflow: &Subflow, room: Option<usize>) -> (String, Option<String>) {
    let arrow = if subflow.initiator == Some(Side::Server) {
        '<'
    } else {
        '>'
    };
    let line = format!("{} {arrow} {}", subflow.client, subflow.server);
    match room {
        Some(room) if line.len() > room => (
            format!("{} {arrow}", subflow.client),
            Some(format!("  {}", subflow.server)),
        ),
        _ => (line, None),
    }
}
