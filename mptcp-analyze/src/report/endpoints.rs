//! `client > server`, the last and widest column of a table, and what to do where it is too wide.

use mptcp_cli::table::{Cell, Table};

use crate::model::{Side, Subflow};

/// Adds `rows` to `table`, whose last column gets the ends of the subflow behind each row. The
/// arrow points away from the host that opened the subflow.
///
/// Ends that are too wide, as IPv6 addresses often are, take a line each; where even that is too
/// wide, they stand below their row.
pub(super) fn fill(
    table: &mut Table,
    rows: Vec<(Vec<Cell>, Option<&Subflow>)>,
    width: Option<usize>,
) {
    let mut narrow = table.clone();
    for (cells, _) in &rows {
        narrow.row(cells.clone());
    }
    let column = narrow.last_column_at();
    let width = width.unwrap_or(PIPE_WIDTH);
    for (mut cells, subflow) in rows {
        let Some(subflow) = subflow else {
            cells.push("?".into());
            table.row(cells);
            continue;
        };
        let arrow = if subflow.initiator == Some(Side::Server) {
            '<'
        } else {
            '>'
        };
        let first = format!("{} {arrow}", subflow.client);
        let second = subflow.server.to_string();
        let fits = |len: usize| column + len <= width;
        if fits(first.len() + 1 + second.len()) {
            cells.push(format!("{first} {second}").into());
            table.row(cells);
        } else if fits(first.len()) && fits(2 + second.len()) {
            let mut below = vec![Cell::from(""); cells.len()];
            cells.push(first.into());
            below.push(format!("  {second}").into());
            table.row(cells);
            table.row(below);
        } else {
            table.row(cells);
            table.line(format!("{:BELOW$}{first}", ""));
            table.line(format!("{:BELOW$}  {second}", ""));
        }
    }
}

/// What a pipe goes to is most often looked at in a terminal of this width in the end.
pub(super) const PIPE_WIDTH: usize = 80;
/// Indent of ends below their row.
const BELOW: usize = 6;
