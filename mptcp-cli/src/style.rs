//! The styles, by meaning. Nothing else in the toolkit writes colours, and no colour stands alone:
//! the text says the same.

use std::fmt;

use anstyle::{AnsiColor, Style};

/// Headings and column titles.
pub const HEADING: Style = Style::new().bold();
/// Labels, and what matters less than the rest of the line.
pub const FAINT: Style = Style::new().dimmed();
/// Something that holds.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something to look at.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Something broken.
pub const ERROR: Style = AnsiColor::Red.on_default().bold();
/// Names to type or to look for: connections, finding ids.
pub const NAME: Style = AnsiColor::Cyan.on_default();
/// No style.
pub const PLAIN: Style = Style::new();

/// `text` in `style`.
pub fn paint<T: fmt::Display>(style: Style, text: T) -> Painted<T> {
    Painted { style, text }
}

/// Text in a style; see [`paint`].
#[derive(Debug, Clone, Copy)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.text.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_the_text_only() {
        assert_eq!(
            paint(PLAIN, format_args!("{:<4}|", "ab")).to_string(),
            "ab  |"
        );
        assert_eq!(paint(HEADING, "x").to_string(), "\u{1b}[1mx\u{1b}[0m");
    }
}
