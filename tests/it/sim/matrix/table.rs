//! The matrix as text.

use std::collections::BTreeSet;
use std::fmt::Write;

use mptcp_analyze::model::Blame;
use mptcp_proto::conn::ConnectionEnd;
use mptcp_proto::conn::config::Offer;
use mptcp_tests::sim::Stop;

use super::super::analysed::Seen;
use super::run::{Data, Outcome, Place};
use super::{LOSSES, Row};

/// A column: which version, how many paths.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) offer: Offer,
    pub(super) paths: usize,
    /// See [`super::run::Setup::signals`].
    pub(super) signals: bool,
}

impl Column {
    pub(super) fn name(self) -> String {
        let signals = if self.signals { "+" } else { "" };
        format!("{:?}/{}{signals}", self.offer, self.paths)
    }
}

const fn column(offer: Offer, paths: usize, signals: bool) -> Column {
    Column {
        offer,
        paths,
        signals,
    }
}

/// All of them.
pub(super) const COLUMNS: [Column; 4] = [
    column(Offer::V1, 1, false),
    column(Offer::V1, 2, false),
    column(Offer::V0, 1, false),
    column(Offer::V0, 2, false),
];

/// Those in which addresses come and go.
pub(super) const SIGNALS: [Column; 2] = [column(Offer::V1, 2, true), column(Offer::V0, 2, true)];

fn names(rows: &[Row]) -> Vec<String> {
    let columns = rows.first().map(|row| &row.mptcp);
    let columns = columns.into_iter().flatten();
    columns.map(|(column, _)| column.name()).collect()
}

/// What became of data and connection. A cell has a word for each loss, or one for all.
pub(super) fn outcomes(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let mptcp = row.mptcp.iter().map(|(column, outcomes)| {
            let outcomes = outcomes.as_ref();
            outcomes.map_or_else(String::new, |outcomes| {
                merged(
                    &outcomes
                        .each_ref()
                        .map(|outcome| word(outcome, column.paths)),
                )
            })
        });
        mptcp
            .chain([merged(&row.tcp.each_ref().map(|outcome| word(outcome, 0)))])
            .collect()
    };
    let names = names(rows);
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["TCP"]).collect();
    print(rows, &names, cells)
}

/// What the analyzer says of the packets at the client.
pub(super) fn findings(rows: &[Row]) -> String {
    seen_in(rows, |outcome| &outcome.seen)
}

/// And at the server.
pub(super) fn findings_at_server(rows: &[Row]) -> String {
    seen_in(rows, |outcome| &outcome.seen_by_server)
}

fn seen_in(rows: &[Row], view: fn(&Outcome) -> &Seen) -> String {
    let cells = |row: &Row| {
        let seen = row.mptcp.iter().map(|(_, outcomes)| {
            let outcomes = outcomes.as_ref();
            outcomes.map_or_else(String::new, |outcomes| {
                merged(&outcomes.each_ref().map(|outcome| seen(view(outcome))))
            })
        });
        seen.collect()
    };
    let names = names(rows);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    print(rows, &names, cells)
}

fn print(rows: &[Row], names: &[&str], cells: impl Fn(&Row) -> Vec<String>) -> String {
    let mut lines: Vec<Vec<String>> = vec![
        ["box", "place"]
            .iter()
            .chain(names)
            .map(|name| (*name).to_owned())
            .collect(),
    ];
    for row in rows {
        let name = match (row.case.spec, row.case.checksum) {
            ("", _) => "none".to_owned(),
            (spec, _) => spec.to_owned(),
        };
        let sum = if row.case.checksum {
            " (checksums)"
        } else {
            ""
        };
        let place = match row.place {
            Place::Initial => "initial",
            Place::Second => "second",
            Place::Both => "both",
        };
        let mut line = vec![format!("{name}{sum}"), place.to_owned()];
        line.extend(cells(row));
        lines.push(line);
    }
    let columns = lines[0].len();
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].len());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let mut out = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(out, "{cell:width$}  ");
        }
        text.push_str(out.trim_end());
        text.push('\n');
    }
    text
}

fn merged(words: &[String; LOSSES.len()]) -> String {
    if words.iter().all(|word| *word == words[0]) {
        words[0].clone()
    } else {
        words.join(" | ")
    }
}

/// An outcome: what the connection was, with what is not as it should be.
fn word(outcome: &Outcome, paths: usize) -> String {
    let [client, server] = outcome.hosts;
    let mut word = match (client.fallback, server.fallback) {
        (None, None) if paths == 0 => "tcp".to_owned(),
        (None, None) => {
            let missing = paths.saturating_sub(client.up.min(server.up));
            let lost = client.lost.max(server.lost);
            match missing.max(lost) {
                0 => "mptcp".to_owned(),
                lost => format!("mptcp-{lost}"),
            }
        }
        _ if paths == 0 => "tcp".to_owned(),
        (client, server) => {
            let code = |reason: Option<_>| {
                reason.map_or("-", |reason: mptcp_proto::conn::FallbackReason| {
                    reason.code()
                })
            };
            format!("tcp({}/{})", code(client), code(server))
        }
    };
    if outcome.received.contains(&Data::Changed) {
        word += " changed";
    }
    if outcome.received.contains(&Data::Short) {
        word += " short";
    }
    match outcome.stop {
        Stop::Done => {}
        Stop::Time => word += " stall",
        other => {
            let _ = write!(word, " {other:?}");
        }
    }
    for (name, host) in ["client", "server"].iter().zip(outcome.hosts) {
        match host.end {
            Some(ConnectionEnd::Closed) => {}
            None => {
                let _ = write!(word, " {name}:open");
            }
            Some(end) => {
                let _ = write!(word, " {name}:{end:?}");
            }
        }
    }
    word
}

/// Who caused the fallback, and what the analyzer warns of.
fn seen(seen: &Seen) -> String {
    let by = seen.by.map(|by| match by {
        Blame::Client => "client",
        Blame::Server => "server",
        Blame::Path => "path",
        Blame::Unknown => "?",
    });
    let ids: BTreeSet<&str> = seen.findings.iter().copied().collect();
    let ids: Vec<&str> = ids
        .into_iter()
        .map(|id| id.strip_prefix("MPT").unwrap_or(id))
        .collect();
    match (by, ids.is_empty()) {
        (None, true) => "-".to_owned(),
        (by, _) => format!(
            "{}{}",
            by.map_or(String::new(), |by| format!("{by}: ")),
            ids.join(" ")
        ),
    }
}
