//! Which key means what: one table, which the help prints too.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::Msg;

/// A line of the table.
pub(super) struct Binding {
    /// The keys, as the help names them.
    pub(super) names: &'static str,
    /// What they do.
    pub(super) meaning: &'static str,
    keys: &'static [(KeyCode, Msg)],
}

/// What a key means, if anything.
pub(super) fn message(event: KeyEvent) -> Option<Msg> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        // A terminal in raw mode sends no signal.
        return (event.code == KeyCode::Char('c')).then_some(Msg::Quit);
    }
    let mut keys = BINDINGS.iter().flat_map(|binding| binding.keys);
    keys.find(|(code, _)| *code == event.code)
        .map(|(_, msg)| *msg)
}

pub(super) const BINDINGS: &[Binding] = &[
    Binding {
        names: "arrows, h j k l",
        meaning: "move, or scroll the pane",
        keys: &[
            (KeyCode::Up, Msg::Up),
            (KeyCode::Char('k'), Msg::Up),
            (KeyCode::Down, Msg::Down),
            (KeyCode::Char('j'), Msg::Down),
            (KeyCode::Left, Msg::Left),
            (KeyCode::Char('h'), Msg::Left),
            (KeyCode::Right, Msg::Right),
            (KeyCode::Char('l'), Msg::Right),
        ],
    },
    Binding {
        names: "PgUp, PgDn",
        meaning: "ten lines at once",
        keys: &[
            (KeyCode::PageUp, Msg::PageUp),
            (KeyCode::PageDown, Msg::PageDown),
        ],
    },
    Binding {
        names: "g, G",
        meaning: "first hop, target",
        keys: &[
            (KeyCode::Char('g'), Msg::First),
            (KeyCode::Home, Msg::First),
            (KeyCode::Char('G'), Msg::Last),
            (KeyCode::End, Msg::Last),
        ],
    },
    Binding {
        names: "n",
        meaning: "next changed cell",
        keys: &[(KeyCode::Char('n'), Msg::NextChange)],
    },
    Binding {
        names: "Tab",
        meaning: "the other pane",
        keys: &[
            (KeyCode::Tab, Msg::NextPane),
            (KeyCode::Enter, Msg::NextPane),
        ],
    },
    Binding {
        names: "f",
        meaning: "the next flow",
        keys: &[(KeyCode::Char('f'), Msg::NextFlow)],
    },
    Binding {
        names: "?",
        meaning: "this help",
        keys: &[(KeyCode::Char('?'), Msg::Help)],
    },
    Binding {
        names: "Esc",
        meaning: "back",
        keys: &[(KeyCode::Esc, Msg::Back)],
    },
    Binding {
        names: "q, Ctrl-C",
        meaning: "end",
        keys: &[(KeyCode::Char('q'), Msg::Quit)],
    },
];
