//! What the target says.

use std::io::{self, Write};

use mptcp_cli::escape::escape;
use mptcp_cli::paragraph::wrap;
use mptcp_cli::quantity::counted;
use mptcp_cli::style::{self, paint};

use super::Look;
use crate::report::word;
use crate::trace::{End, EndAnswer, Flow, Trace};

/// Writes the line of the target, and one for each kind of answer.
pub(super) fn write(
    out: &mut dyn Write,
    trace: &Trace,
    flow: &Flow,
    look: Look<'_>,
) -> io::Result<()> {
    if flow.ends.is_empty() {
        return Ok(());
    }
    let distance = flow.distance.map_or("-".to_owned(), |ttl| ttl.to_string());
    let rtt = flow.ends.iter().filter_map(|end| end.rtt).min();
    let rtt = rtt.map_or(String::new(), word::duration);
    let width = if flow.source.is_ipv4() { 15 } else { 24 };
    let address = trace.target.ip().to_string();
    let line = format!("{distance:>3}  {address:<width$}  {rtt:>7}");
    let name = look.names.get(&trace.target.ip());
    let name = name.map_or(String::new(), |name| format!("{}, ", escape(name)));
    let note = paint(style::FAINT, format!("{name}the target"));
    writeln!(out, "{line}  {note}")?;
    for (text, probes) in alike(&flow.ends) {
        // An option without a value ends in a colon itself.
        let text = format!("{}: {text}", probes.trim_end_matches(':'));
        writeln!(out, "     {}", wrap(&text, look.width, 7))?;
    }
    Ok(())
}

/// Answers, each with the probes that got it.
fn alike(ends: &[End]) -> Vec<(String, String)> {
    let mut answers: Vec<(String, String)> = Vec::new();
    for end in ends {
        let text = text(end);
        let probe = end.probe.to_string();
        match answers.iter_mut().find(|(known, _)| *known == text) {
            Some((_, probes)) => {
                probes.push_str(", ");
                probes.push_str(&probe);
            }
            None => answers.push((text, probe)),
        }
    }
    answers
}

fn text(end: &End) -> String {
    let answer = word::answer(&end.answer);
    match (&end.answer, end.sent, end.answered) {
        (EndAnswer::Silent, sent, _) => {
            let packets = counted(sent.into(), "packet", "packets");
            format!("no answer to {packets}")
        }
        (_, sent, answered) if answered < sent => {
            format!("{answer} ({answered} of {sent} answered)")
        }
        _ => answer,
    }
}
