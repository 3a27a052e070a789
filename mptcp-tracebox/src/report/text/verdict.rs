//! The verdict: one sentence, and what it means.

use std::io::{self, Write};

use anstyle::Style;
use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::style::{self, paint};

use super::Look;
use crate::report::word;
use crate::trace::{Blame, Code, Verdict};

/// Writes it.
pub(super) fn write(out: &mut dyn Write, verdict: &Verdict, look: Look<'_>) -> io::Result<()> {
    let sentence = wrap(&escape(&verdict.sentence), look.width, 0);
    writeln!(out, "\n{}", paint(style_of(verdict.code), sentence))?;
    if !verdict.kernel_effect.is_empty() {
        writeln!(out, "{}", wrap(&verdict.kernel_effect, look.width, 0))?;
    }
    let blame = match verdict.blame {
        Blame::Nobody => String::new(),
        blame => format!(", blame: {}", word::blame(blame)),
    };
    let confidence = word::confidence(verdict.confidence);
    let small = format!("{}{blame}, confidence: {confidence}", verdict.code.name());
    writeln!(out, "{}", paint(style::FAINT, small))
}

/// What is wrong with MPTCP is red, what is to be looked at is yellow.
fn style_of(code: Code) -> Style {
    match code {
        Code::MptcpOk | Code::PathClean => style::GOOD,
        Code::PathChanges
        | Code::MptcpV0Only
        | Code::ServerNoMptcp
        | Code::HopsMissing
        | Code::PortClosed
        | Code::Unreachable
        | Code::Undecided => style::WARN,
        _ => style::ERROR,
    }
}
