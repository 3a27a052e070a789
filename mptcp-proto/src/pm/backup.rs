//! Backups: a subflow from each other local address, ready for when the first one fails; and the first one again
//! when its path is back.

use super::local::Locals;
use super::mesh::{Mesh, Wish, asked};
use super::{Kind, Limits, PathManager, PmAction, PmEvent, PmView, Role};
use crate::key::AddressId;
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// The client opens one backup subflow from each local address but the initial one, to the first
/// of the peer's addresses that it can reach. From the initial address it opens a regular one when
/// there is none: data leave the backups as soon as there is anything better.
#[derive(Debug)]
pub(super) struct Backup {
    locals: Locals,
    mesh: Mesh,
}

impl Backup {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            locals: Locals::default(),
            mesh: Mesh::new(limits),
        }
    }
}

impl PathManager for Backup {
    fn kind(&self) -> Kind {
        Kind::Backup
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.locals.note(view, event, actions);
        self.mesh.note(view, event);
        if view.role == Role::Server {
            return;
        }
        for (local_id, local) in self.locals.all() {
            let is_there = view.subflows.iter().any(|sub| sub.local_id == local_id)
                || asked(actions).any(|join| join.local_id == local_id);
            if is_there {
                continue;
            }
            let priority = if local_id == AddressId(0) {
                Priority::Regular
            } else {
                Priority::Backup
            };
            for remote in self.mesh.remotes(view) {
                let wish = Wish {
                    local,
                    local_id,
                    remote,
                    priority,
                    copies: 1,
                };
                if self.mesh.open(view, &wish, actions) {
                    break;
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
