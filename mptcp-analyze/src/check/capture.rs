//! What is wrong with the capture itself.

use super::Findings;
use crate::model::{CaptureEnd, CaptureSummary, Overview};

pub(super) fn check(overview: &Overview, findings: &mut Findings) {
    for capture in &overview.captures {
        if let CaptureEnd::Cut { at_byte, reason } = &capture.end {
            let text = format!("{} is cut at byte {at_byte}: {reason}", name(capture));
            findings.add("MPT070", 0, text);
        }
        let drops: u64 = capture
            .interfaces
            .iter()
            .filter_map(|interface| interface.drops)
            .sum();
        if drops > 0 {
            let text = format!(
                "{} packets were lost while capturing {}",
                drops,
                name(capture)
            );
            findings.add("MPT071", 0, text);
        }
    }
    for hit in &overview.limits {
        let text = format!(
            "limit reached: {} ({}), {} left out",
            hit.limit, hit.value, hit.dropped
        );
        findings.add("MPT073", 0, text);
    }
    let copies = overview.duplicate_packets;
    if copies > 0 {
        findings.add(
            "MPT075",
            0,
            format!("{copies} packets were captured more than once"),
        );
    }
}

fn name(capture: &CaptureSummary) -> &str {
    match capture.file.as_str() {
        "-" => "standard input",
        name => name,
    }
}
