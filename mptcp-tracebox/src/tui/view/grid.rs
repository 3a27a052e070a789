//! Hops as rows, probes as columns.

use std::fmt::Write as _;

use mptcp_cli::escape::escape;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::look::{CURSOR, FAINT, HEADING, Look};
use crate::report::word as words;
use crate::trace::{CellState, End, EndAnswer, EndOption, Hop};
use crate::tui::app::{App, Screen};

/// Draws the table, so far down that the cursor is in it.
pub(super) fn view(app: &App, frame: &mut Frame<'_>, area: Rect, look: Look) {
    let Some(flow) = app.shown_flow() else {
        frame.render_widget(Line::styled("nothing was sent yet", FAINT), area);
        return;
    };
    let columns = Columns::new(app, area.width);
    let mut rows = vec![columns.head()];
    for (row, hop) in flow.hops.iter().enumerate() {
        rows.push(columns.hop(app, hop, row, look));
    }
    rows.push(columns.target(app, flow.hops.len(), look));
    let height = usize::from(area.height);
    // The head stays.
    let body = height.saturating_sub(1).max(1);
    let first = (app.row + 1).saturating_sub(body);
    let shown = rows.into_iter().enumerate().filter_map(|(at, line)| {
        let is_shown = at == 0 || at > first;
        is_shown.then_some(line)
    });
    let lines: Vec<Line<'_>> = shown.take(height).collect();
    frame.render_widget(ratatui::widgets::Paragraph::new(lines), area);
}

/// How wide the columns are.
struct Columns {
    probes: Vec<String>,
    /// Address and name.
    address: usize,
    /// Each probe.
    cell: usize,
    /// The probes that are shown begin with this one.
    first: usize,
    is_short: bool,
    has_rtt: bool,
}

impl Columns {
    fn new(app: &App, width: u16) -> Self {
        let width = usize::from(width);
        let probes: Vec<String> = app.probes().iter().map(ToString::to_string).collect();
        let is_v6 = app.snapshot.run.target.is_ipv6();
        let wanted = if is_v6 { 24 } else { 15 };
        let has_rtt = width >= 60;
        let fixed = 4 + if has_rtt { 9 } else { 0 };
        let room = width.saturating_sub(fixed + wanted + 1);
        let is_short = room < probes.len() * (WORD + 1);
        let longest = probes.iter().map(String::len).max().unwrap_or(0);
        let cell = if is_short {
            longest.clamp(2, SHORT)
        } else {
            longest.clamp(WORD, 14)
        };
        let fitting = (room / (cell + 1)).max(1);
        let first = (app.column + 1).saturating_sub(fitting);
        let used = probes.len().min(fitting) * (cell + 1);
        Self {
            address: wanted + room.saturating_sub(used).min(30),
            probes,
            cell,
            first,
            is_short,
            has_rtt,
        }
    }

    fn head(&self) -> Line<'static> {
        let rtt = if self.has_rtt { "      rtt" } else { "" };
        let mut text = format!("{:>3} {:<w$}{rtt}", "hop", "router", w = self.address);
        for probe in self.probes.iter().skip(self.first) {
            let name: String = probe.chars().take(self.cell).collect();
            // Writing to a string cannot fail.
            let _ = write!(text, " {name:<w$}", w = self.cell);
        }
        Line::styled(text, HEADING)
    }

    fn hop(&self, app: &App, hop: &Hop, row: usize, look: Look) -> Line<'static> {
        let router = hop.routers.first();
        let address = router.map_or("*".to_owned(), |router| {
            let more = match hop.routers.len() {
                1 => String::new(),
                len => format!(" +{}", len - 1),
            };
            let name = app.snapshot.names.get(&router.address);
            let name = name.map_or(String::new(), |name| format!(" {}", escape(name)));
            format!("{}{more}{name}", router.address)
        });
        let rtt = router.map_or(String::new(), |router| words::duration(router.rtt));
        let states = hop.cells.iter().map(|cell| cell.state);
        let mut states: Vec<CellState> = states.collect();
        states.resize(self.probes.len(), CellState::NotAsked);
        let cells = states.iter().map(|&state| {
            let text = if self.is_short {
                sign(state).to_string()
            } else {
                word(state).to_owned()
            };
            (text, style(state, look))
        });
        self.line(app, row, (&hop.ttl.to_string(), &address, &rtt), cells)
    }

    fn target(&self, app: &App, row: usize, look: Look) -> Line<'static> {
        let flow = app.shown_flow();
        let ends = flow.map(|flow| flow.ends.as_slice()).unwrap_or_default();
        let distance = flow.and_then(|flow| flow.distance);
        let distance = distance.map_or("-".to_owned(), |ttl| ttl.to_string());
        let rtt = ends.iter().filter_map(|end| end.rtt).min();
        let rtt = rtt.map_or(String::new(), words::duration);
        let address = app.snapshot.run.target.ip().to_string();
        let probes = app.probes();
        let cells = probes.iter().map(|probe| {
            let end = ends.iter().find(|end| end.probe == *probe);
            let (word, short, style) = end_word(end, look);
            let text = if self.is_short { short } else { word };
            (text.to_owned(), style)
        });
        self.line(app, row, (&distance, &address, &rtt), cells)
    }

    fn line(
        &self,
        app: &App,
        row: usize,
        (ttl, address, rtt): (&str, &str, &str),
        cells: impl Iterator<Item = (String, Style)>,
    ) -> Line<'static> {
        let address: String = address.chars().take(self.address).collect();
        let rtt = if self.has_rtt {
            format!(" {rtt:>8}")
        } else {
            String::new()
        };
        let head = format!("{ttl:>3} {address:<w$}{rtt}", w = self.address);
        let is_here = app.row == row;
        let head_style = if is_here { HEADING } else { Style::new() };
        let mut spans = vec![Span::styled(head, head_style)];
        for (column, (text, style)) in cells.enumerate().skip(self.first) {
            let is_cursor = is_here && app.column == column;
            let style = if is_cursor {
                style.patch(CURSOR)
            } else {
                style
            };
            // Reversed video may be missing; and the pane that the keys act on is to be seen.
            let mark = match (is_cursor, app.screen) {
                (true, Screen::Grid) => ">",
                (true, _) => "-",
                _ => " ",
            };
            spans.push(Span::raw(mark));
            spans.push(Span::styled(format!("{text:<w$}", w = self.cell), style));
        }
        Line::from(spans)
    }
}

/// A cell in a word.
pub(super) const fn word(state: CellState) -> &'static str {
    match state {
        CellState::NotAsked => "",
        CellState::Silent => "silent",
        CellState::NotQuoted => "unquoted",
        CellState::Same => "same",
        CellState::Changed => "CHANGED",
        CellState::Reached => "reached",
        CellState::Refused => "REFUSED",
    }
}

/// A cell in a character.
pub(super) const fn sign(state: CellState) -> char {
    match state {
        CellState::NotAsked => ' ',
        CellState::Silent => '.',
        CellState::NotQuoted => '?',
        CellState::Same => '=',
        CellState::Changed => '!',
        CellState::Reached => '*',
        CellState::Refused => 'x',
    }
}

fn style(state: CellState, look: Look) -> Style {
    match state {
        CellState::Changed | CellState::Refused => look.error(),
        CellState::Same | CellState::Reached => look.good(),
        CellState::NotAsked | CellState::Silent | CellState::NotQuoted => FAINT,
    }
}

/// What the target says, in a word and in one or two letters.
fn end_word(end: Option<&End>, look: Look) -> (&'static str, &'static str, Style) {
    let Some(end) = end else {
        return ("", "", FAINT);
    };
    match &end.answer {
        EndAnswer::Silent => ("silent", ".", FAINT),
        EndAnswer::SynAck { option, .. } => match option {
            EndOption::Capable(_) | EndOption::Join => ("MPTCP", "MP", look.good()),
            EndOption::Mirrored => ("mirror", "!", look.error()),
            EndOption::Erased(_) => ("erased", "!", look.error()),
            EndOption::Absent => ("SYN/ACK", "SA", Style::new()),
        },
        EndAnswer::Reset { .. } => ("RST", "R", Style::new()),
        EndAnswer::Ack => ("ACK", "A", Style::new()),
        EndAnswer::Error { .. } => ("ICMP", "x", look.warn()),
    }
}

/// Longest word of a cell.
const WORD: usize = 8;
/// Letters of a probe's name that are shown where there is no room.
const SHORT: usize = 4;
