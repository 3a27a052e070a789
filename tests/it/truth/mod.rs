//! The analyzer against the reference readings of every capture in `MPTCP_SHARED_CAPTURES`.
//!
//! Nothing is listed by hand: whatever capture lies anywhere below that directory and has a
//! reference reading in a `truth` directory beside it is read and compared.

mod compare;
mod partition;
mod reference;
mod tshark;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// What differs, a sentence each; the test wants them all at once, not the first one.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    file: String,
    found: Vec<String>,
}

impl Differences {
    fn new(capture: &Path) -> Self {
        Self {
            file: capture.display().to_string(),
            found: Vec::new(),
        }
    }

    /// Notes a difference between our value and the reference's.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers build both values on the spot"
    )]
    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, ours: T, theirs: T) {
        if ours != theirs {
            self.note(format!("{what}: ours {ours:?}, reference {theirs:?}"));
        }
    }

    /// Notes a value outside of what the reference allows.
    pub(crate) fn within(&mut self, what: &str, ours: u64, least: u64, most: u64) {
        if ours < least || ours > most {
            self.note(format!("{what}: ours {ours}, reference {least} to {most}"));
        }
    }

    /// Notes anything else.
    pub(crate) fn note(&mut self, what: String) {
        self.found.push(what);
    }
}

#[test]
fn every_shared_capture_reads_as_its_reference() {
    check_all("ref.json", |capture, reference, differences| {
        let analysis = crate::analyze(&[capture.to_owned()]);
        compare::compare(&analysis, &reference, differences);
    });
}

#[test]
fn every_shared_capture_reads_as_tshark_does_where_tshark_is_right() {
    check_all("tshark.json", |capture, reference, differences| {
        let analysis = crate::analyze(&[capture.to_owned()]);
        tshark::compare(&analysis, &reference, differences);
    });
}

/// Runs a comparison on every capture that has a truth file of this kind.
#[track_caller]
fn check_all<T: DeserializeOwned>(kind: &str, check: impl Fn(&Path, T, &mut Differences)) {
    let Some(root) = crate::shared_captures() else {
        return;
    };
    let mut captures = Vec::new();
    find_captures(&root, kind, &mut captures);
    assert!(!captures.is_empty(), "no capture below {}", root.display());
    let mut report = Vec::new();
    for (capture, truth) in captures {
        let text = std::fs::read_to_string(&truth).unwrap();
        let reference = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", truth.display()));
        let mut differences = Differences::new(&capture);
        check(&capture, reference, &mut differences);
        let file = &differences.file;
        report.extend(
            differences
                .found
                .iter()
                .map(|found| format!("{file}: {found}")),
        );
    }
    assert!(report.is_empty(), "\n{}", report.join("\n"));
}

/// Pairs of capture and truth file, in the order of their names.
fn find_captures(directory: &Path, kind: &str, into: &mut Vec<(PathBuf, PathBuf)>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find_captures(&path, kind, into);
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let truth = directory.join("truth").join(format!("{name}.{kind}"));
        if truth.exists() {
            into.push((path, truth));
        }
    }
}
