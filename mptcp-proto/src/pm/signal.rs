//! The server's part: advertise the local addresses, open nothing.

use super::local::Locals;
use super::{Kind, Limits, PathManager, PmAction, PmEvent, PmView};

/// Advertises, and withdraws what is gone.
#[derive(Debug, Default)]
pub(super) struct Signal {
    locals: Locals,
}

impl PathManager for Signal {
    fn kind(&self) -> Kind {
        Kind::Signal
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.locals.note(view, event, actions);
        self.locals.announce(view, actions);
    }

    fn set_limits(&mut self, _limits: Limits) {}
}
