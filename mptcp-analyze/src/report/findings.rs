//! Findings and explanations in text.

use std::borrow::Borrow;
use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::counted;
use mptcp_cli::style::{self, paint};

use super::{severity_style, word};
use crate::check::Explanation;
use crate::model::{Connection, Finding, Overview, Severity};

/// `check`: the findings of the file and of `connections`, then how many there are.
pub fn write_check<C: Borrow<Connection>>(
    out: &mut dyn Write,
    overview: &Overview,
    connections: impl IntoIterator<Item = C>,
    width: Option<usize>,
) -> io::Result<()> {
    let mut counts = FindingCounts::default();
    write_of_file(out, overview, &mut counts, width)?;
    for connection in connections {
        write_of_connection(out, connection.borrow(), &mut counts, width)?;
    }
    counts.write(out)
}

/// The findings of the file, which come first.
pub(crate) fn write_of_file(
    out: &mut dyn Write,
    overview: &Overview,
    counts: &mut FindingCounts,
    width: Option<usize>,
) -> io::Result<()> {
    counts.add(&overview.findings);
    write_findings(out, 0, Some("file"), &overview.findings, width)
}

/// The findings of a connection.
pub(crate) fn write_of_connection(
    out: &mut dyn Write,
    connection: &Connection,
    counts: &mut FindingCounts,
    width: Option<usize>,
) -> io::Result<()> {
    counts.connections += 1;
    counts.add(&connection.findings);
    let place = format!("conn {}", connection.id);
    write_findings(out, 0, Some(&place), &connection.findings, width)
}

/// How many findings there are, and how grave they are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FindingCounts {
    connections: u64,
    errors: u64,
    warnings: u64,
    notes: u64,
    /// Severity and id of the first of the gravest.
    gravest: Option<(Severity, &'static str)>,
}

impl FindingCounts {
    /// Counts findings.
    pub(crate) fn add(&mut self, findings: &[Finding]) {
        for finding in findings {
            *match finding.severity {
                Severity::Error => &mut self.errors,
                Severity::Warn => &mut self.warnings,
                Severity::Note => &mut self.notes,
            } += 1;
            self.see(finding.severity, finding.id);
        }
    }

    /// Counts what came after, and was counted apart.
    pub(crate) fn merge(&mut self, later: &Self) {
        self.connections += later.connections;
        self.errors += later.errors;
        self.warnings += later.warnings;
        self.notes += later.notes;
        if let Some((severity, id)) = later.gravest {
            self.see(severity, id);
        }
    }

    fn see(&mut self, severity: Severity, id: &'static str) {
        if self.gravest.is_none_or(|(gravest, _)| severity > gravest) {
            self.gravest = Some((severity, id));
        }
    }

    /// Whether something did not work as it should.
    pub(crate) fn any_grave(&self) -> bool {
        self.errors + self.warnings > 0
    }

    /// Ends the text of `check`.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}, {}, {} in {}",
            counted(self.errors, "error", "errors"),
            counted(self.warnings, "warning", "warnings"),
            counted(self.notes, "note", "notes"),
            counted(self.connections, "connection", "connections"),
        )?;
        match self.gravest {
            Some((_, id)) => write_hint(out, 0, id),
            None => Ok(()),
        }
    }
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
pub(super) fn write_gravest_hint(
    out: &mut dyn Write,
    indent: usize,
    findings: &[Finding],
) -> io::Result<()> {
    let gravest = findings
        .iter()
        .min_by_key(|finding| std::cmp::Reverse(finding.severity));
    gravest.map_or(Ok(()), |finding| write_hint(out, indent, finding.id))
}

fn write_hint(out: &mut dyn Write, indent: usize, id: &str) -> io::Result<()> {
    let hint = format!("what a finding means: mptcp-analyze explain {id}");
    writeln!(out, "{:indent$}{}", "", paint(style::FAINT, hint))
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
