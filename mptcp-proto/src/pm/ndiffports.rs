//! Several subflows between the same two addresses, told apart by the client's ports: different
//! paths where routers balance by 4-tuple.

use super::mesh::{Mesh, Wish, initial_remote};
use super::{Kind, Limits, PathManager, PmAction, PmEvent, PmView, Role};
use crate::key::AddressId;
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// So many subflows in total, opened by the client.
#[derive(Debug)]
pub(super) struct Ndiffports {
    subflows: u8,
    mesh: Mesh,
}

impl Ndiffports {
    pub(super) fn new(subflows: u8, limits: Limits) -> Self {
        Self {
            subflows,
            mesh: Mesh::new(limits),
        }
    }
}

impl PathManager for Ndiffports {
    fn kind(&self) -> Kind {
        Kind::Ndiffports(self.subflows)
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.mesh.note(view, event);
        if view.role == Role::Server {
            return;
        }
        let wish = Wish {
            local: view.initial_local.ip(),
            local_id: AddressId(0),
            remote: initial_remote(view),
            priority: Priority::Regular,
            copies: usize::from(self.subflows),
        };
        self.mesh.open(view, &wish, actions);
    }

    fn set_limits(&mut self, limits: Limits) {
        self.mesh.limits = limits;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.mesh.poll_timeout()
    }
}
