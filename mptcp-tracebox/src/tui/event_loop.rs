//! The terminal: draws, and reads keys.

use std::fmt;
use std::io;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use super::app::{App, Effect, Snapshot};
use super::{keys, view};

/// The screen of a run. The terminal is as it was when it is dropped.
///
/// ```text
/// Tui::open(snapshot, is_colored)
/// show(snapshot)     when more is known
/// poll(timeout)      often, while the run is under way: false when the user has seen enough
/// browse(is_end)     when the run is over, until the user has seen enough
/// ```
pub struct Tui {
    terminal: DefaultTerminal,
    app: App,
}

impl Tui {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When standard output is no terminal, or the operating system refuses.
    pub fn open(snapshot: Snapshot, is_colored: bool) -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        let app = App::new(snapshot, is_colored);
        let mut tui = Self { terminal, app };
        tui.draw()?;
        Ok(tui)
    }

    /// More is known.
    ///
    /// # Errors
    /// Those of the terminal, as all methods have them.
    pub fn show(&mut self, snapshot: Snapshot) -> io::Result<()> {
        self.app.show(snapshot);
        self.draw()
    }

    /// Obeys the keys that come within this time. Says whether to go on.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn poll(&mut self, timeout: Duration) -> io::Result<bool> {
        let mut timeout = timeout;
        while event::poll(timeout)? {
            timeout = Duration::ZERO;
            let effect = match event::read()? {
                Event::Key(key) => keys::message(key).map(|msg| self.app.update(msg)),
                Event::Resize(..) => Some(Effect::Draw),
                _ => None,
            };
            match effect {
                Some(Effect::Quit) => return Ok(false),
                Some(Effect::Draw) => self.draw()?,
                None => {}
            }
        }
        Ok(true)
    }

    /// Obeys the keys until the user has seen enough, or a signal wants the end.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn browse(mut self, is_end_wanted: impl Fn() -> bool) -> io::Result<()> {
        while !is_end_wanted() && self.poll(TURN)? {}
        Ok(())
    }

    fn draw(&mut self) -> io::Result<()> {
        let app = &self.app;
        self.terminal.draw(|frame| view::view(app, frame))?;
        Ok(())
    }
}

impl Drop for Tui {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

impl fmt::Debug for Tui {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tui").finish_non_exhaustive()
    }
}

/// Keys wake it up before; signals do not.
const TURN: Duration = Duration::from_millis(100);
