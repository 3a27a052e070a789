//! The user's path manager: it does what commands say and nothing else, as the kernel's userspace
//! path manager. The application hears of what happens through the connection's events.

use std::net::SocketAddr;

use super::mesh::Mesh;
use super::{
    Command, CommandError, Join, Kind, Limits, LocalAddress, MAX_ADDRESSES, PathManager, PmAction,
    PmEvent, PmSubflow, PmView, is_advertisable,
};
use crate::key::AddressId;

/// Commands become actions once they are found to make sense.
#[derive(Debug)]
pub(super) struct User {
    mesh: Mesh,
    announced: Vec<LocalAddress>,
}

impl User {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            mesh: Mesh::new(limits),
            announced: Vec::new(),
        }
    }

    fn announce(
        &mut self,
        view: &PmView<'_>,
        address: LocalAddress,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        if address.id == AddressId(0) {
            return Err(CommandError::ReservedId);
        }
        if !view.is_joinable || !is_advertisable(address.address) {
            return Err(CommandError::NotJoinable);
        }
        // The same address and id again is a wish to say it again.
        let conflicts = self.announced.iter().any(|known| {
            let is_same_end = known.address == address.address && known.port == address.port;
            (known.id == address.id) != is_same_end
        });
        let is_used_otherwise = view
            .subflows
            .iter()
            .any(|subflow| subflow.local_id == address.id && subflow.local.ip() != address.address);
        if conflicts || is_used_otherwise {
            return Err(CommandError::InUse);
        }
        if !self.announced.contains(&address) {
            if self.announced.len() >= MAX_ADDRESSES {
                return Err(CommandError::LimitReached);
            }
            self.announced.push(address);
        }
        actions.push(PmAction::Announce(address));
        Ok(())
    }

    fn withdraw(
        &mut self,
        view: &PmView<'_>,
        id: AddressId,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        let mut subflows = view
            .subflows
            .iter()
            .filter(|sub| sub.local_id == id)
            .peekable();
        let was_announced = self.announced.iter().any(|known| known.id == id);
        if subflows.peek().is_none() && !was_announced {
            return Err(CommandError::NotFound);
        }
        self.announced.retain(|known| known.id != id);
        actions.push(PmAction::Withdraw(id));
        actions.extend(subflows.map(|subflow| PmAction::Close(subflow.id)));
        Ok(())
    }

    fn create(
        &self,
        view: &PmView<'_>,
        join: Join,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        let is_denied = join.remote == view.initial_remote && view.is_join_to_initial_denied;
        let is_mixed = join.local.is_ipv4() != join.remote.is_ipv4();
        if !view.is_joinable || is_denied || is_mixed {
            return Err(CommandError::NotJoinable);
        }
        let is_initial = join.local.ip() == view.initial_local.ip();
        if join.local_id == AddressId(0) && !is_initial {
            return Err(CommandError::ReservedId);
        }
        if join.local.port() != 0 && find(view, join.local, join.remote).is_some() {
            return Err(CommandError::InUse);
        }
        if !self.mesh.has_room(view, actions) {
            return Err(CommandError::LimitReached);
        }
        actions.push(PmAction::Open(join));
        Ok(())
    }
}

fn find<'a>(view: &PmView<'a>, local: SocketAddr, remote: SocketAddr) -> Option<&'a PmSubflow> {
    let between = |subflow: &&PmSubflow| subflow.local == local && subflow.remote == remote;
    view.subflows.iter().find(between)
}

impl PathManager for User {
    fn kind(&self) -> Kind {
        Kind::User
    }

    fn handle_event(&mut self, _view: &PmView<'_>, _event: &PmEvent, _: &mut Vec<PmAction>) {}

    fn handle_command(
        &mut self,
        view: &PmView<'_>,
        command: &Command,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        match *command {
            Command::Announce(address) => self.announce(view, address, actions)?,
            Command::Withdraw(id) => self.withdraw(view, id, actions)?,
            Command::Create(join) => self.create(view, join, actions)?,
            Command::Destroy { local, remote } => {
                let subflow = find(view, local, remote).ok_or(CommandError::NotFound)?;
                actions.push(PmAction::Close(subflow.id));
            }
            Command::SetPriority {
                local,
                remote,
                priority,
            } => {
                let subflow = find(view, local, remote).ok_or(CommandError::NotFound)?;
                actions.push(PmAction::SetPriority(subflow.id, priority));
            }
            Command::AddEndpoint(_)
            | Command::RemoveEndpoint(_)
            | Command::FlushEndpoints
            | Command::SetFlags(..)
            | Command::SetLimits(_) => return Err(CommandError::NotSupported(self.kind())),
        }
        Ok(())
    }

    fn set_limits(&mut self, limits: Limits) {
        self.mesh.limits = limits;
    }
}
