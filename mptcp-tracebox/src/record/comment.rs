//! Runs and purposes as text, and back.

use std::str::FromStr;

use crate::evidence::{AnswerKind, Evidence, Purpose, Role, SentId};
use crate::packet::MAX_OPTIONS;
use crate::plan::MAX_FLOWS;
use crate::probe::{Probe, ProbeError};
use crate::report::word;
use crate::run::{End, Extent, Run, Tier};

/// A comment that is not what a recorder writes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommentError {
    /// It does not begin as it should.
    #[error("the comment of the section does not begin with {MAGIC}")]
    Magic,
    /// Something is not said.
    #[error("`{0}=` is missing")]
    Missing(&'static str),
    /// Something is said that is none.
    #[error("`{name}={value}` is not understood")]
    Value {
        /// Of what.
        name: &'static str,
        /// What is said.
        value: String,
    },
    /// The probe is none.
    #[error("the probe is not understood")]
    Probe(#[from] ProbeError),
}

pub(super) fn of_run(run: &Run) -> String {
    let Run {
        host,
        target,
        tier,
        epoch_ns,
        // Only of a run without raw sockets, and that has no file.
        kernel_mptcp: _,
    } = run;
    // The host is last: it may have blanks.
    format!("{MAGIC} target={target} epoch={epoch_ns} tier={tier} host={host}")
}

pub(super) fn parse_run(comment: &str) -> Result<Run, CommentError> {
    let rest = comment.strip_prefix(MAGIC).ok_or(CommentError::Magic)?;
    // Version 10 is another one.
    if !rest.starts_with(' ') {
        return Err(CommentError::Magic);
    }
    let (rest, host) = rest.split_once(" host=").unwrap_or((rest, ""));
    let name = value(rest, "tier")?;
    let tier = Tier::ALL.into_iter().find(|tier| tier.name() == name);
    Ok(Run {
        host: host.to_owned(),
        target: parsed(rest, "target")?,
        tier: tier.ok_or_else(|| wrong("tier", name))?,
        epoch_ns: parsed(rest, "epoch")?,
        kernel_mptcp: None,
    })
}

pub(super) fn of_extent(extent: Extent) -> String {
    let Extent {
        end,
        foreign_resets,
    } = extent;
    format!("ended={} foreign_resets={foreign_resets}", end.name())
}

pub(super) fn parse_extent(comment: &str) -> Result<Extent, CommentError> {
    let name = value(comment, "ended")?;
    let ends = [End::Complete, End::Interrupted, End::Broken];
    let end = ends.into_iter().find(|end| end.name() == name);
    Ok(Extent {
        end: end.ok_or_else(|| wrong("ended", name))?,
        foreign_resets: parsed(comment, "foreign_resets")?,
    })
}

pub(super) fn of_purpose(purpose: &Purpose) -> String {
    let Purpose {
        flow,
        probe,
        role,
        ttl,
        attempt,
    } = purpose;
    let role = word::role(*role);
    format!("flow={flow} probe={probe} role={role} ttl={ttl} attempt={attempt}")
}

pub(super) fn parse_purpose(comment: &str) -> Result<Purpose, CommentError> {
    let flow: usize = parsed(comment, "flow")?;
    if flow >= MAX_FLOWS {
        return Err(wrong("flow", &flow.to_string()));
    }
    let name = value(comment, "role")?;
    let roles = [Role::Ladder, Role::End, Role::Connection, Role::Reset];
    let role = roles.into_iter().find(|role| word::role(*role) == name);
    Ok(Purpose {
        flow,
        probe: probe(value(comment, "probe")?)?,
        role: role.ok_or_else(|| wrong("role", name))?,
        ttl: parsed(comment, "ttl")?,
        attempt: parsed(comment, "attempt")?,
    })
}

/// Options may be several, with a comma between them.
fn probe(text: &str) -> Result<Probe, ProbeError> {
    if !text.contains(',') {
        return text.parse();
    }
    let mut bytes = Vec::new();
    for part in text.split(',') {
        match part.parse()? {
            Probe::Options(option) => bytes.extend(option),
            _ => return Err(ProbeError::Unknown(shown(text))),
        }
    }
    if bytes.len() > MAX_OPTIONS {
        return Err(ProbeError::TooLong(bytes.len()));
    }
    Ok(Probe::Options(bytes))
}

/// For which packet an answer is, and what was found in it.
pub(super) fn of_answer(evidence: &Evidence, id: SentId) -> Vec<String> {
    let mut comments = vec![format!("for #{}", id.0)];
    let answer = evidence.sent(id).and_then(|sent| sent.answers.last());
    match answer.map(|answer| (&answer.kind, answer.from)) {
        Some((
            AnswerKind::Error {
                kind, comparison, ..
            },
            from,
        )) => {
            comments.push(word::error(*kind, from));
            let changes = comparison.changes.iter().map(word::change);
            comments.extend(changes);
        }
        Some((AnswerKind::Segment(segment), _)) => comments.push(word::flags(segment.flags)),
        None => {}
    }
    comments
}

fn value<'a>(text: &'a str, name: &'static str) -> Result<&'a str, CommentError> {
    let mut words = text.split_whitespace();
    words
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .ok_or(CommentError::Missing(name))
}

fn parsed<T: FromStr>(text: &str, name: &'static str) -> Result<T, CommentError> {
    let value = value(text, name)?;
    value.parse().map_err(|_| wrong(name, value))
}

fn wrong(name: &'static str, value: &str) -> CommentError {
    CommentError::Value {
        name,
        value: shown(value),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

const MAGIC: &str = "mptcp-tracebox/1";
/// Characters of what is not understood that are shown.
const MAX_SHOWN: usize = 80;
