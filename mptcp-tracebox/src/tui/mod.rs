//! The screen of `--tui`: hops as rows, probes as columns, and below what exactly was quoted.
//!
//! ```text
//! keys ─► Msg ─► App::update ─► view(&App, &mut Frame)
//! ```
//!
//! Only `event_loop` and `keys` know of a terminal; all else is plain data.

mod app;
mod event_loop;
mod keys;
mod view;

pub use self::app::Snapshot;
pub use self::event_loop::Tui;

#[cfg(test)]
mod tests;
