//! The model for people (text) and for programs (JSON). Nothing here computes more than a quotient.

mod endpoints;
mod event;
pub mod findings;
pub mod json;
pub mod list;
pub mod packet;
pub mod show;
mod timeline;
pub(crate) mod word;

use anstyle::Style;
use mptcp_cli::style;

use crate::model::{CheckResult, ConnectionState, DirectionTotals, Severity};

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Note => style::FAINT,
        Severity::Warn => style::WARN,
        Severity::Error => style::ERROR,
    }
}

fn state_style(state: ConnectionState) -> Style {
    match state {
        ConnectionState::Closed => style::GOOD,
        ConnectionState::Established => style::PLAIN,
        ConnectionState::FastClosed | ConnectionState::Unfinished => style::WARN,
        ConnectionState::Reset | ConnectionState::FallenBack => style::ERROR,
    }
}

fn check_style(result: CheckResult) -> Style {
    match result {
        CheckResult::Ok => style::GOOD,
        CheckResult::Bad => style::ERROR,
        CheckResult::Unverifiable(_) => style::FAINT,
    }
}

/// Data-level bits per second between the first and the last data byte; `None` when the capture
/// gives no time between them.
fn goodput_bps(totals: &DirectionTotals) -> Option<u64> {
    let (first, last) = totals.data_times?;
    let nanoseconds = u128::try_from(last.since(first))
        .ok()
        .filter(|&span| span > 0)?;
    let bits = u128::from(totals.unique_bytes) * 8;
    u64::try_from(bits * 1_000_000_000 / nanoseconds).ok()
}

#[cfg(test)]
mod tests;
