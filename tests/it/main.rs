//! Tests that cross crates: the analyzer on crafted and on recorded captures.
#![expect(
    clippy::unwrap_used,
    reason = "everything here is a test, helper functions too"
)]

mod boxes;
mod craft;
mod fuzz;
mod hostile;
mod lab;
mod network;
mod seen;
mod sim;
mod tcp;
mod testdata;
mod tracebox;
mod truth;

use std::path::PathBuf;

use mptcp_analyze::analyze_files;
use mptcp_analyze::model::Analysis;
use mptcp_analyze::rebuild::{FollowPlan, RebuildOptions};

/// Reads captures with everything switched on: a second pass puts the data streams together.
#[track_caller]
pub(crate) fn analyze(paths: &[PathBuf]) -> Analysis {
    let options = RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        ..RebuildOptions::default()
    };
    let first = analyze_files(paths, options.clone()).expect("the file is a capture");
    let mut follow = FollowPlan::default();
    for connection in &first.connections {
        follow.add(connection);
    }
    analyze_files(paths, RebuildOptions { follow, ..options }).expect("it was a moment ago")
}

/// Where the shared captures of others lie; says so and gives none when nobody told.
#[expect(
    clippy::print_stderr,
    reason = "a test that could not look must not pass in silence"
)]
pub(crate) fn shared_captures() -> Option<PathBuf> {
    let Some(root) = std::env::var_os("MPTCP_SHARED_CAPTURES") else {
        eprintln!("MPTCP_SHARED_CAPTURES is not set: the shared captures were not compared");
        return None;
    };
    Some(root.into())
}
