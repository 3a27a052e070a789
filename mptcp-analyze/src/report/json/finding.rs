//! Findings and their explanations in JSON.

use serde::Serialize;

use crate::check::Explanation;
use crate::model::Finding;
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
pub(super) struct LocatedFinding<'a> {
    connection: Option<u32>,
    #[serde(flatten)]
    finding: FindingView<'a>,
}

impl<'a> LocatedFinding<'a> {
    pub(super) fn new(connection: Option<u32>, finding: &'a Finding) -> Self {
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
