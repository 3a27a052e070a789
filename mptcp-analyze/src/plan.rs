//! From what the user typed to what the program needs: inputs, and which connections.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use mptcp_cli::UsageError;
use mptcp_proto::version::Version;

use crate::args::SelectArgs;
use crate::capture::Input;
use crate::model::{CaptureEnd, Connection, Overview};
use crate::pass::Reading;
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

/// The numbers of the connections that `select` may mean; [`passes`] tells which of them it does.
pub(crate) fn candidates(
    overview: &Overview,
    select: &SelectArgs,
) -> Result<Range<u32>, UsageError> {
    match select.conn {
        Some(id) => {
            check_exists(overview, id)?;
            Ok(id..id.saturating_add(1))
        }
        None => Ok(0..overview.connections),
    }
}

/// Whether `select` means this one of the candidates.
pub(crate) fn passes(select: &SelectArgs, connection: &Connection) -> bool {
    let filter = select.filter.as_ref();
    filter.is_none_or(|filter| filter.matches(connection))
}

/// The connection with number `id`.
pub(crate) fn connection(reading: &Reading, id: u32) -> Result<Connection, UsageError> {
    check_exists(&reading.overview, id)?;
    Ok(reading
        .connection(id)
        .expect("a number below the count is that of a connection"))
}

fn check_exists(overview: &Overview, id: u32) -> Result<(), UsageError> {
    let there = match overview.connections {
        count if id < count => return Ok(()),
        0 => "the capture has no MPTCP connection".to_owned(),
        1 => "the capture has connection 0 only".to_owned(),
        count => format!("the capture has connections 0 to {}", count - 1),
    };
    Err(UsageError(format!("there is no connection {id}; {there}")))
}

/// The TCP streams of `connections`, and to what subflow each belongs.
pub(crate) fn owners<C: Borrow<Connection>>(
    connections: impl IntoIterator<Item = C>,
) -> BTreeMap<u64, Owner> {
    let mut owners = BTreeMap::new();
    for connection in connections {
        let connection = connection.borrow();
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
pub(crate) fn cuts(overview: &Overview) -> impl Iterator<Item = String> {
    overview
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
