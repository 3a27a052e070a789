use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{App, Effect, Msg, Screen, Snapshot};
use super::{keys, view};
use crate::report::tests::sample::{self, Sample};

fn snapshot(sample: &Sample, is_over: bool) -> Snapshot {
    Snapshot {
        run: sample.run.clone(),
        trace: sample.trace(),
        evidence: sample.evidence.clone(),
        names: sample::names(),
        is_over,
    }
}

fn app(sample: &Sample) -> App {
    App::new(snapshot(sample, true), false)
}

/// What is on a screen of this size.
fn drawn(app: &App, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::view(app, frame)).unwrap();
    terminal.backend().to_string()
}

/// The state after these keys.
fn after(sample: &Sample, keys: &str) -> App {
    let mut app = app(sample);
    for key in keys.chars() {
        let code = match key {
            '\t' => KeyCode::Tab,
            key => KeyCode::Char(key),
        };
        let msg = keys::message(KeyEvent::new(code, KeyModifiers::NONE)).unwrap();
        app.update(msg);
    }
    app
}

const SIZES: [(u16, u16); 3] = [(40, 12), (80, 24), (140, 45)];

#[test]
fn a_changed_cell_shows_both_packets_with_the_difference() {
    let app = after(&sample::stripped(), "nn");
    for size in SIZES {
        insta::assert_snapshot!(format!("changed_{}", size.0), drawn(&app, size));
    }
}

#[test]
fn the_detail_pane_can_be_scrolled() {
    let app = after(&sample::stripped(), "nn\tjjjjjjjjjjjj");
    for size in SIZES {
        insta::assert_snapshot!(format!("detail_{}", size.0), drawn(&app, size));
    }
}

#[test]
fn a_clean_path_is_quiet() {
    let app = after(&sample::clean(), "G");
    for size in SIZES {
        insta::assert_snapshot!(format!("clean_{}", size.0), drawn(&app, size));
    }
}

#[test]
fn the_help_names_all_keys() {
    let app = after(&sample::clean(), "?");
    for size in SIZES {
        insta::assert_snapshot!(format!("help_{}", size.0), drawn(&app, size));
    }
}

#[test]
fn a_run_that_has_only_begun_can_be_looked_at() {
    let sample = Sample::new("10.0.0.2:40000", "192.0.2.7:443");
    let mut app = App::new(snapshot(&sample, false), true);
    for size in SIZES {
        insta::assert_snapshot!(format!("begun_{}", size.0), drawn(&app, size));
    }
    for msg in ALL {
        app.update(msg);
        drawn(&app, (80, 24));
    }
    app.show(snapshot(&sample::stripped(), true));
    assert!(drawn(&app, (80, 24)).contains("CHANGED"));
}

const ALL: [Msg; 13] = [
    Msg::Up,
    Msg::Down,
    Msg::Left,
    Msg::Right,
    Msg::PageUp,
    Msg::PageDown,
    Msg::First,
    Msg::Last,
    Msg::NextPane,
    Msg::NextFlow,
    Msg::NextChange,
    Msg::Help,
    Msg::Back,
];

#[test]
fn no_order_of_keys_and_no_size_is_too_much() {
    for sample in [sample::clean(), sample::stripped(), sample::silent()] {
        let mut app = app(&sample);
        let mut state: usize = 7;
        for _ in 0..400 {
            state = state * 75 % 65_537;
            app.update(ALL[state % ALL.len()]);
            let size = [(1, 1), (7, 3), (23, 9), (61, 17), (131, 30)][state / 13 % 5];
            drawn(&app, size);
        }
    }
}

#[test]
fn the_network_cannot_command_the_screen() {
    let app = after(&sample::stripped(), "nn");
    let text = drawn(&app, (140, 45));
    assert!(text.contains("evil\\x1b[2J"), "{text}");
}

#[test]
fn keys_mean_what_the_help_says() {
    let press = |code, modifiers| keys::message(KeyEvent::new(code, modifiers));
    let none = KeyModifiers::NONE;
    assert_eq!(press(KeyCode::Char('q'), none), Some(Msg::Quit));
    let control = KeyModifiers::CONTROL;
    assert_eq!(press(KeyCode::Char('c'), control), Some(Msg::Quit));
    assert_eq!(press(KeyCode::Char('l'), control), None);
    assert_eq!(press(KeyCode::F(1), none), None);
    let mut app = app(&sample::clean());
    assert_eq!(app.update(Msg::NextPane), Effect::Draw);
    assert_eq!(app.screen, Screen::Detail);
    app.update(Msg::Help);
    app.update(Msg::Down);
    assert_eq!(app.screen, Screen::Help { to_detail: true });
    app.update(Msg::Back);
    assert_eq!(app.screen, Screen::Detail);
    app.update(Msg::Back);
    assert_eq!(app.update(Msg::Back), Effect::Quit);
}
