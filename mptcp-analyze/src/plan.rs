//! From what the user typed to what the program needs: inputs, and which connections.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mptcp_cli::UsageError;
use mptcp_proto::version::Version;

use crate::args::SelectArgs;
use crate::capture::Input;
use crate::model::{Analysis, CaptureEnd, Connection};
use crate::report::word;

/// Subflow of a TCP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Number of the connection.
    pub connection: u32,
    /// Number of the subflow in it.
    pub subflow: u32,
    /// Version of the connection, if an RFC defines it.
    pub version: Option<Version>,
}

/// The inputs that `files` name.
pub(crate) fn inputs(files: &[PathBuf]) -> Result<Vec<Input>, UsageError> {
    let inputs: Vec<Input> = files
        .iter()
        .map(|file| Input::from_argument(file.clone()))
        .collect();
    if inputs
        .iter()
        .filter(|input| **input == Input::Stdin)
        .count()
        > 1
    {
        return Err(UsageError(
            "standard input (`-`) can be given only once".to_owned(),
        ));
    }
    Ok(inputs)
}

/// The connections that `select` means.
pub(crate) fn selected<'a>(
    analysis: &'a Analysis,
    select: &SelectArgs,
) -> Result<Vec<&'a Connection>, UsageError> {
    let candidates = match select.conn {
        Some(id) => vec![connection(analysis, id)?],
        None => analysis.connections.iter().collect(),
    };
    let passes = |c: &&Connection| {
        select
            .filter
            .as_ref()
            .is_none_or(|filter| filter.matches(c))
    };
    Ok(candidates.into_iter().filter(passes).collect())
}

/// The connection with number `id`.
pub(crate) fn connection(analysis: &Analysis, id: u32) -> Result<&Connection, UsageError> {
    let connections = &analysis.connections;
    connections
        .iter()
        .find(|connection| connection.id == id)
        .ok_or_else(|| {
            let there = match connections.last() {
                Some(last) if last.id == 0 => "the capture has connection 0 only".to_owned(),
                Some(last) => format!("the capture has connections 0 to {}", last.id),
                None => "the capture has no MPTCP connection".to_owned(),
            };
            UsageError(format!("there is no connection {id}; {there}"))
        })
}

/// The TCP streams of `connections`, and to what subflow each belongs.
pub(crate) fn owners(connections: &[&Connection]) -> BTreeMap<u64, Owner> {
    let mut owners = BTreeMap::new();
    for connection in connections {
        for subflow in &connection.subflows {
            let owner = Owner {
                connection: connection.id,
                subflow: subflow.id,
                version: connection.version.and_then(Version::from_number),
            };
            owners.insert(subflow.tcp_stream, owner);
        }
    }
    owners
}

/// What the user should know about files that ended too early, a line each.
pub(crate) fn cuts(analysis: &Analysis) -> impl Iterator<Item = String> {
    analysis
        .captures
        .iter()
        .filter_map(|capture| match &capture.end {
            CaptureEnd::Complete => None,
            CaptureEnd::Cut { at_byte, reason } => Some(format!(
                "{}: cut at byte {at_byte}: {reason}; everything before it was analysed",
                word::file(&capture.file)
            )),
        })
}
