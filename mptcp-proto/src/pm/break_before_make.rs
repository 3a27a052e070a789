//! Break before make (RFC 8684 §3.9.1): one subflow at a time, a new one when the last is gone.
//! A radio that is not used may sleep.

use super::local::Locals;
use super::mesh::{Mesh, Wish, asked};
use super::{Kind, Limits, PathManager, PmAction, PmEvent, PmView, Role};
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// The client opens one subflow when there is none, from the first local address whose last attempt
/// has not just failed.
#[derive(Debug)]
pub(super) struct BreakBeforeMake {
    locals: Locals,
    mesh: Mesh,
}

impl BreakBeforeMake {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            locals: Locals::default(),
            mesh: Mesh::new(limits),
        }
    }
}

impl PathManager for BreakBeforeMake {
    fn kind(&self) -> Kind {
        Kind::BreakBeforeMake
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.locals.note(view, event, actions);
        self.mesh.note(view, event);
        let has_any = !view.subflows.is_empty() || asked(actions).next().is_some();
        if view.role == Role::Server || has_any {
            return;
        }
        let remotes = self.mesh.remotes(view);
        for (local_id, local) in self.locals.all() {
            for remote in &remotes {
                let wish = Wish {
                    local,
                    local_id,
                    remote: *remote,
                    priority: Priority::Regular,
                    copies: 1,
                };
                if self.mesh.open(view, &wish, actions) {
                    return;
                }
            }
        }
    }

    fn set_limits(&mut self, limits: Limits) {
        self.mesh.limits = limits;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.mesh.poll_timeout()
    }
}
