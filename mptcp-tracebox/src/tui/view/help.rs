//! The help.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::grid::{sign, word};
use super::look::HEADING;
use crate::trace::CellState;
use crate::tui::keys::BINDINGS;

pub(super) fn view(frame: &mut Frame<'_>, area: Rect, scroll: usize) {
    let mut lines = Vec::new();
    for binding in BINDINGS {
        lines.push(Line::from(vec![
            Span::styled(format!("{:<14} ", binding.names), HEADING),
            Span::raw(binding.meaning),
        ]));
    }
    lines.push(Line::default());
    for (state, meaning) in STATES {
        let name = format!("{} {:<12} ", sign(*state), word(*state));
        lines.push(Line::from(vec![
            Span::styled(name, HEADING),
            Span::raw(*meaning),
        ]));
    }
    lines.push(Line::raw("MP SA A R  the target: MPTCP, SYN/ACK, ACK, RST"));
    let most = lines.len().saturating_sub(usize::from(area.height));
    let scroll = u16::try_from(scroll.min(most)).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).scroll((scroll, 0)), area);
}

const STATES: &[(CellState, &str)] = &[
    (CellState::Same, "quoted as it was sent"),
    (CellState::Changed, "something is otherwise"),
    (CellState::NotQuoted, "the quote ends too early"),
    (CellState::Silent, "no answer"),
    (CellState::Reached, "the target answers"),
    (CellState::Refused, "refused by somebody"),
];
