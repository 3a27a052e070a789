//! Findings and their explanations in JSON.

use serde::Serialize;

use super::FileView;
use crate::check::Explanation;
use crate::model::{Analysis, Connection, Finding};
use crate::report::word;

#[derive(Serialize)]
pub(super) struct FindingView<'a> {
    id: &'static str,
    severity: &'static str,
    frames: &'a [u64],
    count: u64,
    text: &'a str,
}

impl<'a> FindingView<'a> {
    pub(super) fn new(finding: &'a Finding) -> Self {
        FindingView {
            id: finding.id,
            severity: word::severity(finding.severity),
            frames: &finding.frames,
            count: finding.count,
            text: &finding.text,
        }
    }
}

#[derive(Serialize)]
pub(super) struct CheckDocument<'a> {
    #[serde(flatten)]
    file: FileView<'a>,
    findings: Vec<LocatedFinding<'a>>,
}

impl<'a> CheckDocument<'a> {
    pub(super) fn new(analysis: &'a Analysis, connections: &[&'a Connection]) -> Self {
        let of_file = analysis
            .findings
            .iter()
            .map(|f| LocatedFinding::new(None, f));
        let of_connections = connections.iter().flat_map(|c| {
            c.findings
                .iter()
                .map(|f| LocatedFinding::new(Some(c.id), f))
        });
        CheckDocument {
            file: FileView::new(analysis),
            findings: of_file.chain(of_connections).collect(),
        }
    }
}

#[derive(Serialize)]
struct LocatedFinding<'a> {
    connection: Option<u32>,
    #[serde(flatten)]
    finding: FindingView<'a>,
}

impl<'a> LocatedFinding<'a> {
    fn new(connection: Option<u32>, finding: &'a Finding) -> Self {
        LocatedFinding {
            connection,
            finding: FindingView::new(finding),
        }
    }
}

#[derive(Serialize)]
pub(super) struct ExplanationView {
    id: &'static str,
    title: &'static str,
    severity: &'static str,
    rfc: &'static str,
    text: &'static str,
}

impl ExplanationView {
    pub(super) fn new(explanation: &Explanation) -> Self {
        ExplanationView {
            id: explanation.id,
            title: explanation.title,
            severity: word::severity(explanation.severity),
            rfc: explanation.rfc,
            text: explanation.text,
        }
    }
}
