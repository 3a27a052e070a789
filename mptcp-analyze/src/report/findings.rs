//! Findings and explanations in text.

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::counted;
use mptcp_cli::style::{self, paint};

use super::{severity_style, word};
use crate::check::Explanation;
use crate::model::{Analysis, Connection, Finding, Severity};

/// `check`: the findings of the file and of `connections`, then how many there are.
pub fn write_check(
    out: &mut dyn Write,
    analysis: &Analysis,
    connections: &[&Connection],
    width: Option<usize>,
) -> io::Result<()> {
    let mut all: Vec<&Finding> = analysis.findings.iter().collect();
    write_findings(out, 0, Some("file"), &analysis.findings, width)?;
    for connection in connections {
        let place = format!("conn {}", connection.id);
        write_findings(out, 0, Some(&place), &connection.findings, width)?;
        all.extend(&connection.findings);
    }
    let of = |severity| all.iter().filter(|f| f.severity == severity).count() as u64;
    writeln!(
        out,
        "{}, {}, {} in {}",
        counted(of(Severity::Error), "error", "errors"),
        counted(of(Severity::Warn), "warning", "warnings"),
        counted(of(Severity::Note), "note", "notes"),
        counted(connections.len() as u64, "connection", "connections"),
    )?;
    write_hint(out, 0, &all)
}

/// One paragraph for each finding, indented; `place` says where it belongs.
pub(super) fn write_findings(
    out: &mut dyn Write,
    indent: usize,
    place: Option<&str>,
    findings: &[Finding],
    width: Option<usize>,
) -> io::Result<()> {
    let place = place.map_or_else(String::new, |place| format!("{place}: "));
    for finding in findings {
        let severity = word::severity(finding.severity);
        let text = format!("{place}{}{}", escape(&finding.text), frames(finding));
        writeln!(
            out,
            "{:indent$}{}{severity_pad} {} {}",
            "",
            paint(severity_style(finding.severity), severity),
            paint(style::NAME, finding.id),
            wrap(&text, width, indent + HEAD),
            severity_pad = &"     "[severity.len().min(5)..],
        )?;
    }
    Ok(())
}

/// Where to read more about the gravest finding, if there is one.
pub(super) fn write_hint(
    out: &mut dyn Write,
    indent: usize,
    findings: &[&Finding],
) -> io::Result<()> {
    match findings
        .iter()
        .min_by_key(|finding| std::cmp::Reverse(finding.severity))
    {
        Some(finding) => {
            let hint = format!("what a finding means: mptcp-analyze explain {}", finding.id);
            writeln!(out, "{:indent$}{}", "", paint(style::FAINT, hint))
        }
        None => Ok(()),
    }
}

fn frames(finding: &Finding) -> String {
    let shown: Vec<String> = finding
        .frames
        .iter()
        .take(FRAMES_SHOWN)
        .map(ToString::to_string)
        .collect();
    let rest = finding.count.saturating_sub(shown.len() as u64);
    match (shown.len(), rest) {
        (0, _) => String::new(),
        (1, 0) => format!(" (frame {})", shown.join("")),
        (_, 0) => format!(" (frames {})", shown.join(", ")),
        (_, rest) => format!(" (frames {} and {rest} more)", shown.join(", ")),
    }
}

/// `explain`: each finding with its text, or all of them in a list when `all`.
pub fn write_explanations(
    out: &mut dyn Write,
    explanations: &[&Explanation],
    all: bool,
    width: Option<usize>,
) -> io::Result<()> {
    for (position, explanation) in explanations.iter().enumerate() {
        let Explanation {
            id,
            title,
            severity,
            rfc,
            text,
        } = explanation;
        let severity_word = word::severity(*severity);
        if all {
            writeln!(
                out,
                "{}  {severity_word:<5}  {title}",
                paint(style::NAME, id)
            )?;
            continue;
        }
        if position > 0 {
            writeln!(out)?;
        }
        let title = paint(style::HEADING, title);
        let severity_word = paint(severity_style(*severity), severity_word);
        writeln!(
            out,
            "{}: {title} ({severity_word}, {rfc})",
            paint(style::NAME, id)
        )?;
        let width = width.unwrap_or(PROSE_WIDTH).min(PROSE_WIDTH);
        writeln!(out, "  {}", wrap(text, Some(width), 2))?;
    }
    Ok(())
}

/// Columns taken by severity and id; further lines of a finding stand under its text.
const HEAD: usize = 13;
/// Frames that a line of text names; JSON names all that the finding has.
const FRAMES_SHOWN: usize = 5;
/// Prose is read best in lines of this length, however wide the terminal.
const PROSE_WIDTH: usize = 80;
