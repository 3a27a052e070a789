//! Styles by meaning; no colour stands alone.

use ratatui::style::{Color, Modifier, Style};

/// How things are to look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) is_colored: bool,
}

impl Look {
    pub(super) const fn good(self) -> Style {
        self.color(Color::Green)
    }

    pub(super) const fn warn(self) -> Style {
        self.color(Color::Yellow)
    }

    pub(super) const fn error(self) -> Style {
        self.color(Color::Red).add_modifier(Modifier::BOLD)
    }

    const fn color(self, color: Color) -> Style {
        if self.is_colored {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}

/// Titles, and the row of the cursor.
pub(super) const HEADING: Style = Style::new().add_modifier(Modifier::BOLD);
/// What matters less.
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
/// The cell of the cursor, and bytes that differ.
pub(super) const CURSOR: Style = Style::new().add_modifier(Modifier::REVERSED);
