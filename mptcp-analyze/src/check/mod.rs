//! From the model to findings: what a person should know about a connection.

mod address;
mod capture;
mod catalogue;
mod close;
mod data;
mod fallback;
mod handshake;
mod join;
mod option;

use std::collections::BTreeMap;

pub use catalogue::{EXPLANATIONS, Explanation, explain};
pub use handshake::TokenReuse;

use crate::model::{Analysis, Connection, Event, Finding, Overview, Severity};

/// Something that looks at one connection and says what is wrong with it.
type Check = fn(&Connection, &mut Findings);

/// All checks of single connections, in the order in which findings are listed.
const CHECKS: &[Check] = &[
    option::check,
    handshake::check,
    join::check,
    fallback::check,
    data::check,
    address::check,
    close::check,
];

/// Runs all checks and stores what they found in `analysis`.
pub fn run(analysis: &mut Analysis) {
    let owners = analysis.connections.iter();
    let reuse = TokenReuse::of(owners.flat_map(Connection::token_owners).collect());
    for connection in &mut analysis.connections {
        check_connection(connection, &reuse);
    }
    let mut overview = analysis.overview();
    check_overview(&mut overview);
    analysis.findings = overview.findings;
}

/// Stores what the checks find in `connection`, one of those that `reuse` was made of.
pub fn check_connection(connection: &mut Connection, reuse: &TokenReuse) {
    let mut findings = Findings::default();
    for check in CHECKS {
        check(connection, &mut findings);
    }
    connection.findings = findings.sorted();
    handshake::check_reuse(connection, reuse);
}

/// Stores what is wrong with the files as a whole.
pub fn check_overview(overview: &mut Overview) {
    let mut findings = Findings::default();
    capture::check(overview, &mut findings);
    overview.findings = findings.sorted();
}

/// The events up to the time of the one in `frame`. The order of frames does not tell: a program that
/// captures on several interfaces writes the packets of one after those of the other.
fn events_until(connection: &Connection, frame: u64) -> impl Iterator<Item = &Event> {
    let last = connection.events.iter().find(|event| event.frame == frame);
    let until = last.map_or(connection.last_at, |event| event.at);
    connection
        .events
        .iter()
        .filter(move |event| event.at <= until)
}

/// Collects findings; the same thing seen twice is one finding with two frames.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<(&'static str, String), Finding>,
}

impl Findings {
    /// Adds something with the severity of the catalogue. `frame` 0 stands for no frame.
    fn add(&mut self, id: &'static str, frame: u64, text: impl Into<String>) {
        let severity = explain(id).map_or(Severity::Note, |explanation| explanation.severity);
        self.add_as(id, severity, frame, text);
    }

    /// Adds something with a severity that depends on the case.
    fn add_as(
        &mut self,
        id: &'static str,
        severity: Severity,
        frame: u64,
        text: impl Into<String>,
    ) {
        let text = text.into();
        let finding = self
            .found
            .entry((id, text.clone()))
            .or_insert_with(|| Finding {
                id,
                severity,
                frames: Vec::new(),
                count: 0,
                text,
            });
        finding.count += 1;
        if frame != 0 && finding.frames.len() < Finding::MAX_FRAMES {
            finding.frames.push(frame);
        }
    }

    /// The findings, the gravest first, then by first frame.
    fn sorted(self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.found.into_values().collect();
        for finding in &mut findings {
            finding.frames.sort_unstable();
            finding.frames.dedup();
        }
        findings.sort_by(|a, b| {
            let key = |f: &Finding| (std::cmp::Reverse(f.severity), f.frames.first().copied());
            key(a)
                .cmp(&key(b))
                .then_with(|| a.id.cmp(b.id))
                .then_with(|| a.text.cmp(&b.text))
        });
        findings
    }
}
