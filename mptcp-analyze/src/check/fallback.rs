//! The fallback, as a finding.

use super::Findings;
use crate::model::Connection;

pub(super) fn check(connection: &Connection, findings: &mut Findings) {
    if let Some(fallback) = &connection.fallback {
        findings.add(
            "MPT010",
            fallback.frame,
            format!("fell back to TCP: {}", fallback.text),
        );
    }
}
