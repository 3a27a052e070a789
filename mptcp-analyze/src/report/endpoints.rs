//! `client > server`, the last and widest column of a table, and what to do where it is too wide.

use std::net::SocketAddr;

use mptcp_cli::table::{Cell, Table};

use crate::model::{Side, Subflow};

/// The ends of a subflow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    client: SocketAddr,
    server: SocketAddr,
    /// The arrow points away from the host that opened the subflow.
    arrow: char,
}

impl Ends {
    pub(super) fn of(subflow: &Subflow) -> Self {
        let arrow = if subflow.initiator == Some(Side::Server) {
            '<'
        } else {
            '>'
        };
        Ends {
            client: subflow.client,
            server: subflow.server,
            arrow,
        }
    }
}

/// What a row of a table becomes with its last column.
pub(super) enum Line {
    /// In the columns.
    Cells(Vec<Cell>),
    /// Across them.
    Text(String),
}

/// Adds `rows` to `table`, whose last column gets the ends of the subflow behind each row.
pub(super) fn fill(table: &mut Table, rows: Vec<(Vec<Cell>, Option<Ends>)>, width: Option<usize>) {
    let mut narrow = table.clone();
    for (cells, _) in &rows {
        narrow.measure(cells);
    }
    for (cells, ends) in rows {
        for line in lines(&narrow, cells, ends, width) {
            match line {
                Line::Cells(cells) => table.row(cells),
                Line::Text(text) => table.line(text),
            }
        }
    }
}

/// The lines for a row of `table`, all other columns of which were measured.
///
/// Ends that are too wide, as IPv6 addresses often are, take a line each; where even that is too
/// wide, they stand below their row.
pub(super) fn lines(
    table: &Table,
    mut cells: Vec<Cell>,
    ends: Option<Ends>,
    width: Option<usize>,
) -> Vec<Line> {
    let Some(ends) = ends else {
        cells.push("?".into());
        return vec![Line::Cells(cells)];
    };
    let column = table.last_column_at();
    let width = width.unwrap_or(PIPE_WIDTH);
    let first = format!("{} {}", ends.client, ends.arrow);
    let second = ends.server.to_string();
    let fits = |len: usize| column + len <= width;
    if fits(first.len() + 1 + second.len()) {
        cells.push(format!("{first} {second}").into());
        vec![Line::Cells(cells)]
    } else if fits(first.len()) && fits(2 + second.len()) {
        let mut below = vec![Cell::from(""); cells.len()];
        cells.push(first.into());
        below.push(format!("  {second}").into());
        vec![Line::Cells(cells), Line::Cells(below)]
    } else {
        let indented = |text: String| Line::Text(format!("{:BELOW$}{text}", ""));
        vec![
            Line::Cells(cells),
            indented(first),
            indented(format!("  {second}")),
        ]
    }
}

/// What a pipe goes to is most often looked at in a terminal of this width in the end.
pub(super) const PIPE_WIDTH: usize = 80;
/// Indent of ends below their row.
const BELOW: usize = 6;
