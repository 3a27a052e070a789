//! Draws the state of the screen.

mod detail;
mod grid;
mod help;
mod look;

use std::fmt::Write as _;

use mptcp_cli::escape::escape;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use self::look::{FAINT, HEADING, Look};
use super::app::{App, Screen};
use crate::trace::Code;

/// Draws all of it.
pub(super) fn view(app: &App, frame: &mut Frame<'_>) {
    let look = Look {
        is_colored: app.is_colored,
    };
    let area = frame.area();
    let is_help = matches!(app.screen, Screen::Help { .. });
    let verdict_height = match (is_help, area.height) {
        (true, _) => 0,
        (false, height) if height < SMALL => 1,
        (false, _) => 3,
    };
    let [title, middle, verdict, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(verdict_height),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(self::title(app, look), title);
    if is_help {
        help::view(frame, middle, app.scroll);
    } else {
        let (grid, detail) = panes(app, middle);
        grid::view(app, frame, grid, look);
        detail::view(app, frame, detail, look);
    }
    frame.render_widget(self::verdict(app, look), verdict);
    let keys = "? help  q end  n next change  Tab pane  f flow  arrows move";
    frame.render_widget(Line::styled(keys, FAINT), footer);
}

/// Side by side where there is room, one above the other else.
fn panes(app: &App, area: Rect) -> (Rect, Rect) {
    if area.width >= WIDE {
        let [grid, detail] =
            Layout::horizontal([Constraint::Percentage(56), Constraint::Percentage(44)])
                .areas(area);
        return (grid, detail);
    }
    let hops = app.shown_flow().map_or(0, |flow| flow.hops.len());
    // The head of the table, the hops and the target; half of the screen at most.
    let wanted = u16::try_from(hops + 2).unwrap_or(u16::MAX);
    let height = wanted.min((area.height / 2).max(4));
    let [grid, detail] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(area);
    (grid, detail)
}

fn title(app: &App, look: Look) -> Line<'static> {
    let run = &app.snapshot.run;
    let flows = app.snapshot.trace.flows.len();
    let mut text = if run.host.is_empty() {
        run.target.to_string()
    } else {
        format!("{} ({})", escape(&run.host), run.target)
    };
    if flows > 1 {
        // Writing to a string cannot fail.
        let _ = write!(text, ", flow {} of {flows}", app.flow + 1);
    }
    let state = if app.snapshot.is_over {
        ""
    } else {
        "  running"
    };
    Line::from(vec![
        Span::styled(text, HEADING),
        Span::styled(state, look.warn()),
    ])
}

fn verdict(app: &App, look: Look) -> Paragraph<'static> {
    let verdict = &app.snapshot.trace.verdict;
    if !app.snapshot.is_over {
        let found = app.shown_flow().map_or(0, |flow| flow.changes.len());
        let text = match found {
            0 => "no change so far".to_owned(),
            1 => "1 change so far".to_owned(),
            count => format!("{count} changes so far"),
        };
        return Paragraph::new(Line::styled(text, FAINT));
    }
    let style = match verdict.code {
        Code::MptcpOk | Code::PathClean => look.good(),
        Code::Undecided | Code::Unreachable | Code::PathChanges | Code::HopsMissing => look.warn(),
        _ => look.error(),
    };
    let sentence = escape(&verdict.sentence).into_owned();
    Paragraph::new(Line::styled(sentence, style)).wrap(Wrap { trim: true })
}

/// Columns from which on the panes are side by side.
const WIDE: u16 = 120;
/// Rows below which the verdict has one line.
const SMALL: u16 = 16;
