//! Whether the analyzer names a box that acted.

use std::collections::BTreeSet;

use mptcp_proto::conn::ConnectionEnd;

use super::boxes::Case;
use super::run::{Data, Outcome};
use super::{LOSSES, Row};

/// Why no finding can be expected, computed from the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// There is no box, or it forwarded every packet as it was.
    NothingTouched,
    /// MPTCP has met nothing that it could notice: all subflows lived to the end, and all data are whole.
    NoEffect,
    /// Data were changed, and without checksums nobody can know (RFC 8684 §3.3.1).
    NoChecksums,
    /// The box loses packets, as the link does: nobody can tell one loss from another.
    IndistinctLoss,
}

impl Outcome {
    fn silence(&self, case: Case, paths: usize, loss_percent: u32) -> Option<Silence> {
        let is_intact = self.hosts.iter().all(|host| {
            let is_up = host.up == paths && host.lost == 0;
            is_up && host.fallback.is_none() && host.end == Some(ConnectionEnd::Closed)
        });
        if self.touched == 0 {
            Some(Silence::NothingTouched)
        } else if is_intact && self.received == [Data::Whole; 2] {
            Some(Silence::NoEffect)
        } else if is_intact && !case.checksum {
            Some(Silence::NoChecksums)
        } else if loss_percent > 0
            && case.spec.starts_with("refuse:from=")
            && !case.spec.contains("how=")
        {
            Some(Silence::IndistinctLoss)
        } else {
            None
        }
    }
}

impl Row {
    /// Runs in which the box had an effect on MPTCP, and no finding at either end fits it.
    pub(super) fn unnamed(&self) -> Vec<String> {
        let mut unnamed = Vec::new();
        let fitting = fitting(self.case.spec);
        for (column, outcomes) in &self.mptcp {
            for (outcome, loss) in outcomes.iter().flatten().zip(LOSSES) {
                let is_silent = outcome.silence(self.case, column.paths, loss).is_some();
                if is_silent {
                    continue;
                }
                let ends = [&outcome.seen.all, &outcome.seen_by_server.all];
                let found: BTreeSet<&str> = ends.into_iter().flatten().copied().collect();
                let is_named = fitting.iter().any(|id| found.contains(id));
                if !is_named {
                    unnamed.push(format!(
                        "{} found, {:?} {} # {}",
                        Vec::from_iter(found).join(" "),
                        self.place,
                        column.name(),
                        outcome.scenario
                    ));
                }
            }
        }
        unnamed
    }
}

/// Findings that fit what a box does. MPT010 is the fallback, with its cause in the text; MPT032 and MPT033
/// are joins that are refused or not answered, MPT060 is a subflow that its host reset for interference, MPT064
/// a SYN that was answered with RST, and MPT046 a path that was dead for a while.
fn fitting(spec: &str) -> &'static [&'static str] {
    let name = spec.split(':').next().unwrap_or(spec);
    match name {
        "strip" => &[
            "MPT010", "MPT011", "MPT031", "MPT032", "MPT036", "MPT041", "MPT045", "MPT060",
        ],
        "rewrite" => &[
            "MPT010", "MPT013", "MPT020", "MPT030", "MPT031", "MPT032", "MPT040", "MPT041",
            "MPT042", "MPT043", "MPT060",
        ],
        "mirror" => &["MPT012", "MPT031", "MPT032"],
        "flip" | "payload" => &["MPT010", "MPT040", "MPT041"],
        "split" | "coalesce" => &["MPT040", "MPT043", "MPT044"],
        "proactive" => &["MPT010", "MPT045", "MPT060", "MPT061"],
        "refuse" => &[
            "MPT010", "MPT032", "MPT033", "MPT046", "MPT060", "MPT061", "MPT064",
        ],
        "impair" => &["MPT033", "MPT046", "MPT060"],
        _ => &[],
    }
}
