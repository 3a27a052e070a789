//! Full mesh: from each local to each remote address.

use super::local::Locals;
use super::mesh::{Mesh, Wish};
use super::{Kind, Limits, PathManager, PmAction, PmEvent, PmView, Role};
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// The client opens the subflows. The server, whose client may be behind a NAT, advertises its
/// addresses instead.
#[derive(Debug)]
pub(super) struct Fullmesh {
    locals: Locals,
    mesh: Mesh,
}

impl Fullmesh {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            locals: Locals::default(),
            mesh: Mesh::new(limits),
        }
    }
}

impl PathManager for Fullmesh {
    fn kind(&self) -> Kind {
        Kind::Fullmesh
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.locals.note(view, event, actions);
        self.mesh.note(view, event);
        if view.role == Role::Server {
            return self.locals.announce(view, actions);
        }
        for (local_id, local) in self.locals.all() {
            for remote in self.mesh.remotes(view) {
                let wish = Wish {
                    local,
                    local_id,
                    remote,
                    priority: Priority::Regular,
                    copies: 1,
                };
                self.mesh.open(view, &wish, actions);
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
