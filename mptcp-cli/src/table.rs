//! Aligned columns, the same on a terminal and in a pipe: no borders, no wrapping, no trailing
//! space. Cells may have a style.

use std::io::{self, Write};

use anstyle::Style;

use crate::style;

/// A table under construction.
#[derive(Debug, Clone)]
pub struct Table {
    indent: usize,
    columns: Vec<Column>,
    /// Characters of the widest cell of each column.
    widths: Vec<usize>,
    rows: Vec<Row>,
}

#[derive(Debug, Clone)]
enum Row {
    Cells(Vec<Cell>),
    Line(String),
}

/// A column: title and alignment.
#[derive(Debug, Clone)]
pub struct Column {
    title: String,
    right: bool,
}

/// A cell: text without escape sequences, and its style.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
}

impl Column {
    /// A column of text.
    pub fn left(title: &str) -> Self {
        Column {
            title: title.to_owned(),
            right: false,
        }
    }

    /// A column of numbers.
    pub fn right(title: &str) -> Self {
        Column {
            title: title.to_owned(),
            right: true,
        }
    }
}

impl Cell {
    /// A cell in `style`.
    pub fn new(text: impl Into<String>, style: Style) -> Self {
        Cell {
            text: text.into(),
            style,
        }
    }
}

impl Cell {
    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::new(text, style::PLAIN)
    }
}

impl Table {
    /// An empty table whose lines begin with `indent` spaces.
    pub fn new(indent: usize, columns: Vec<Column>) -> Self {
        Table {
            indent,
            widths: columns.iter().map(|c| c.title.chars().count()).collect(),
            columns,
            rows: Vec::new(),
        }
    }

    /// Adds a row. Cells that are missing at its end are empty; cells without a column are left
    /// out.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.measure(&cells);
        self.rows.push(Row::Cells(cells));
    }

    /// Makes room for the cells of a row that is not kept, but written with [`Self::write_cells`]
    /// when all have been measured.
    pub fn measure(&mut self, cells: &[Cell]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.width());
        }
    }

    /// Adds a line that keeps to no column, for what is too wide for its own.
    pub fn line(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Line(text.into()));
    }

    /// Where the last column begins, with the rows so far.
    pub fn last_column_at(&self) -> usize {
        let narrow = self.widths.len().saturating_sub(1);
        self.indent + self.widths.iter().take(narrow).sum::<usize>() + narrow * GAP
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes the titles and the rows.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_titles(out)?;
        for row in &self.rows {
            match row {
                Row::Cells(cells) => self.write_cells(cells, out)?,
                Row::Line(text) => writeln!(out, "{text}")?,
            }
        }
        Ok(())
    }

    /// Writes the titles.
    pub fn write_titles(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .map(|c| Cell::new(c.title.clone(), style::HEADING))
            .collect();
        self.write_cells(&titles, out)
    }

    /// Writes a row that was measured.
    pub fn write_cells(&self, cells: &[Cell], out: &mut dyn Write) -> io::Result<()> {
        // Spaces are owed until the next text, so that no line ends in one.
        let mut owed = self.indent;
        for ((cell, column), &width) in cells.iter().zip(&self.columns).zip(&self.widths) {
            let fill = width.saturating_sub(cell.width());
            if column.right {
                owed += fill;
            }
            if !cell.text.is_empty() {
                write!(out, "{:owed$}{}", "", style::paint(cell.style, &cell.text))?;
                owed = 0;
            }
            owed += GAP;
            if !column.right {
                owed += fill;
            }
        }
        writeln!(out)
    }
}

const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(table: &Table) -> String {
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn columns_line_up_and_no_line_ends_in_a_space() {
        let columns = vec![
            Column::left("name"),
            Column::right("size"),
            Column::left("note"),
        ];
        let mut table = Table::new(1, columns);
        table.row(vec!["a".into(), "1".into(), "x".into()]);
        table.row(vec!["longer".into(), "12345".into(), "".into()]);
        table.row(vec!["".into(), "".into(), "y".into()]);
        let expected = concat!(
            " name     size  note\n",
            " a           1  x\n",
            " longer  12345\n",
            "                y\n",
        );
        assert_eq!(rendered(&table), expected);
    }

    #[test]
    fn rows_that_are_not_kept_look_the_same() {
        let columns = vec![Column::left("a"), Column::right("b")];
        let rows: [Vec<Cell>; 2] = [vec!["x".into(), "12".into()], vec!["longer".into()]];
        let (mut kept, mut measured) = (Table::new(2, columns), String::new());
        let mut table = kept.clone();
        for row in &rows {
            kept.row(row.clone());
            table.measure(row);
        }
        let mut out = Vec::new();
        table.write_titles(&mut out).unwrap();
        for row in &rows {
            table.write_cells(row, &mut out).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        measured.push_str(&anstream::adapter::strip_str(&text).to_string());
        assert_eq!(measured, rendered(&kept));
    }

    #[test]
    fn a_line_of_its_own_moves_no_column() {
        let mut table = Table::new(1, vec![Column::left("a"), Column::left("b")]);
        table.row(vec!["12".into(), "3".into()]);
        assert_eq!(table.last_column_at(), 5);
        table.line("    wider than both");
        assert_eq!(table.last_column_at(), 5);
        assert_eq!(rendered(&table), " a   b\n 12  3\n    wider than both\n");
    }

    #[test]
    fn a_style_does_not_move_a_column() {
        let columns = vec![Column::left("a"), Column::left("b")];
        let mut table = Table::new(0, columns);
        table.row(vec![Cell::new("bad", style::ERROR), "1".into()]);
        table.row(vec!["ok".into(), "2".into()]);
        assert_eq!(rendered(&table), "a    b\nbad  1\nok   2\n");
    }
}
