//! Rebuilds Multipath TCP connections from packet captures and explains what happened to them.
//!
//! Data flows one way: `capture` (files to segments) → `rebuild` (segments to the `model`) →
//! `check` (model to findings) → `report` (model and findings to text or JSON).

pub mod capture;
pub mod check;
pub mod model;
pub mod rebuild;
pub mod report;

use std::path::PathBuf;

use capture::{Captures, Content, Input, OpenError};
use model::Analysis;
use rebuild::{RebuildOptions, Rebuilder};

/// Reads captures from the first to the last packet, rebuilds their connections and checks them.
///
/// # Errors
///
/// When a file cannot be opened or is no capture. What is wrong further inside is in the result.
pub fn analyze_files(paths: &[PathBuf], options: RebuildOptions) -> Result<Analysis, OpenError> {
    let inputs: Vec<Input> = paths.iter().cloned().map(Input::File).collect();
    let captures = Captures::open(&inputs)?;
    Ok(analyze(captures, options))
}

/// Reads captures that are open already.
pub fn analyze(mut captures: Captures, options: RebuildOptions) -> Analysis {
    let mut rebuilder = Rebuilder::new(options);
    while let Some(packet) = captures.next_packet() {
        if let Content::Tcp(segment) = &packet.content {
            rebuilder.push(segment);
        }
    }
    let mut analysis = rebuilder.finish();
    analysis.captures = captures.finish();
    check::run(&mut analysis);
    analysis
}
