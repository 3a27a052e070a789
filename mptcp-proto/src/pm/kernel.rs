//! Endpoints with flags and limits, as Linux' in-kernel path manager has them (`ip-mptcp(8)`).

use std::net::{IpAddr, SocketAddr};

use super::mesh::{Mesh, Wish, initial_remote};
use super::{
    Command, CommandError, Endpoint, EndpointFlags, Kind, Limits, LocalAddress, MAX_ADDRESSES,
    PathManager, PmAction, PmEvent, PmSubflow, PmView, RemoteAddress, is_advertisable,
};
use crate::key::AddressId;
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// - `signal`: the address is advertised.
/// - `subflow`: one subflow goes from it to the initial remote address.
/// - `fullmesh`: one goes from it to each remote address.
/// - Without a fullmesh endpoint, one subflow goes from the initial local address to each address
///   that the peer advertises.
#[derive(Debug)]
pub(super) struct Kernel {
    mesh: Mesh,
    endpoints: Vec<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    endpoint: Endpoint,
    is_announced: bool,
}

impl Known {
    fn has(&self, flags: EndpointFlags) -> bool {
        self.endpoint.flags.has(flags)
    }

    /// Whether it is the initial address. One with another port is not: it is advertised, and taken
    /// back, by its own id.
    fn is_initial(&self, view: &PmView<'_>) -> bool {
        let port = self.endpoint.port;
        is_initial(view, self.endpoint.address)
            && port.is_none_or(|port| port == view.initial_local.port())
    }

    /// Its id for the peer: the initial address has id 0 there, whatever it has here.
    fn wire_id(&self, view: &PmView<'_>) -> AddressId {
        if self.is_initial(view) {
            AddressId(0)
        } else {
            self.endpoint.id
        }
    }

    /// The id in joins from it, where its port plays no part.
    fn join_id(&self, view: &PmView<'_>) -> AddressId {
        if is_initial(view, self.endpoint.address) {
            AddressId(0)
        } else {
            self.endpoint.id
        }
    }
}

fn is_initial(view: &PmView<'_>, address: IpAddr) -> bool {
    address.to_canonical() == view.initial_local.ip().to_canonical()
}

impl Kernel {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            mesh: Mesh::new(limits),
            endpoints: Vec::new(),
        }
    }

    /// Does what the endpoints are for and is not done yet.
    fn reconcile(&mut self, view: &PmView<'_>, actions: &mut Vec<PmAction>) {
        if !view.is_joinable {
            return;
        }
        self.announce(view, actions);
        for known in &self.endpoints {
            if known.has(EndpointFlags::FULLMESH) {
                for remote in self.mesh.remotes(view) {
                    self.open_from(view, known, remote, actions);
                }
            } else if known.has(EndpointFlags::SUBFLOW) {
                self.open_from(view, known, initial_remote(view), actions);
            }
        }
        let has_mesh = self
            .endpoints
            .iter()
            .any(|known| known.has(EndpointFlags::FULLMESH));
        if has_mesh {
            return;
        }
        for remote in self.mesh.remotes(view) {
            if remote.address != view.initial_remote && !is_reached(view, remote) {
                let wish = Wish {
                    local: view.initial_local.ip(),
                    local_id: AddressId(0),
                    remote,
                    priority: Priority::Regular,
                    copies: 1,
                };
                self.mesh.open(view, &wish, actions);
            }
        }
    }

    fn open_from(
        &self,
        view: &PmView<'_>,
        known: &Known,
        remote: RemoteAddress,
        actions: &mut Vec<PmAction>,
    ) {
        let wish = Wish {
            local: known.endpoint.address,
            local_id: known.join_id(view),
            remote,
            priority: known.endpoint.flags.priority(),
            copies: 1,
        };
        self.mesh.open(view, &wish, actions);
    }

    fn announce(&mut self, view: &PmView<'_>, actions: &mut Vec<PmAction>) {
        for known in &mut self.endpoints {
            let is_new = known.has(EndpointFlags::SIGNAL) && !known.is_announced;
            // The peer knows the initial address, unless there is another port to it.
            if is_new && !known.is_initial(view) {
                known.is_announced = true;
                actions.push(PmAction::Announce(LocalAddress {
                    id: known.endpoint.id,
                    address: known.endpoint.address,
                    port: known.endpoint.port,
                }));
            }
        }
    }

    /// The initial subflow becomes a backup when an endpoint says so of its address.
    fn set_initial_priority(&self, view: &PmView<'_>, actions: &mut Vec<PmAction>) {
        let of_initial = |known: &&Known| known.is_initial(view);
        let Some(known) = self.endpoints.iter().find(of_initial) else {
            return;
        };
        set_priority(view, AddressId(0), known.endpoint.flags.priority(), actions);
    }

    /// An address that the peer has found by itself gets an endpoint that does nothing, so that its
    /// id is not given to another.
    fn remember_implicit(&mut self, subflow: &PmSubflow) {
        let address = subflow.local.ip().to_canonical();
        let is_known = self.endpoints.iter().any(|known| {
            known.endpoint.address == address || known.endpoint.id == subflow.local_id
        });
        if is_known || subflow.local_id == AddressId(0) || self.endpoints.len() >= MAX_ADDRESSES {
            return;
        }
        self.endpoints.push(Known {
            endpoint: Endpoint {
                id: subflow.local_id,
                address,
                port: None,
                flags: EndpointFlags::IMPLICIT,
            },
            is_announced: false,
        });
    }

    fn add(&mut self, endpoint: Endpoint) -> Result<(), CommandError> {
        let address = endpoint.address.to_canonical();
        if !is_valid(endpoint) {
            return Err(CommandError::BadFlags);
        }
        // An explicit endpoint takes the place, and the id, of an implicit one.
        let implicit = self.endpoints.iter().position(|known| {
            known.has(EndpointFlags::IMPLICIT) && known.endpoint.address == address
        });
        let id = match implicit.map(|index| self.endpoints.remove(index)) {
            Some(known) if endpoint.id == AddressId(0) => known.endpoint.id,
            _ => endpoint.id,
        };
        let is_same = |known: &Known| {
            known.endpoint.address == address && known.endpoint.port == endpoint.port
        };
        let has_id = |id| self.endpoints.iter().any(|known| known.endpoint.id == id);
        if self.endpoints.iter().any(is_same) || (id != AddressId(0) && has_id(id)) {
            return Err(CommandError::InUse);
        }
        if self.endpoints.len() >= MAX_ADDRESSES {
            return Err(CommandError::LimitReached);
        }
        let free = (1..=u8::MAX).map(AddressId).find(|id| !has_id(*id));
        let id = if id == AddressId(0) {
            free.ok_or(CommandError::LimitReached)?
        } else {
            id
        };
        self.endpoints.push(Known {
            endpoint: Endpoint {
                id,
                address,
                ..endpoint
            },
            is_announced: false,
        });
        Ok(())
    }

    fn remove(
        &mut self,
        view: &PmView<'_>,
        id: AddressId,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        if id == AddressId(0) {
            withdraw(view, id, actions);
            return Ok(());
        }
        let of_id = |known: &Known| known.endpoint.id == id;
        let index = self.endpoints.iter().position(of_id);
        let known = self.endpoints.remove(index.ok_or(CommandError::NotFound)?);
        let wire_id = known.wire_id(view);
        let is_used = view
            .subflows
            .iter()
            .any(|subflow| subflow.local_id == wire_id);
        if known.is_announced || is_used {
            withdraw(view, wire_id, actions);
        }
        Ok(())
    }

    fn set_flags(
        &mut self,
        view: &PmView<'_>,
        id: AddressId,
        flags: EndpointFlags,
        actions: &mut Vec<PmAction>,
    ) -> Result<IpAddr, CommandError> {
        let of_id = |known: &&mut Known| known.endpoint.id == id;
        let known = self
            .endpoints
            .iter_mut()
            .find(of_id)
            .ok_or(CommandError::NotFound)?;
        let changed = Endpoint {
            flags,
            ..known.endpoint
        };
        if !is_valid(changed) {
            return Err(CommandError::BadFlags);
        }
        let was_mesh = known.has(EndpointFlags::FULLMESH);
        known.endpoint = changed;
        let wire_id = known.wire_id(view);
        set_priority(view, wire_id, flags.priority(), actions);
        if was_mesh && !flags.has(EndpointFlags::FULLMESH) {
            let is_extra = |subflow: &&PmSubflow| {
                subflow.local_id == wire_id && subflow.remote != view.initial_remote
            };
            let extra = view.subflows.iter().filter(is_extra);
            actions.extend(extra.map(|subflow| PmAction::Close(subflow.id)));
        }
        Ok(changed.address)
    }
}

/// As the kernel: only an advertised address has a port, one that is advertised is no fullmesh, and
/// implicit endpoints are not made by hand.
fn is_valid(endpoint: Endpoint) -> bool {
    let flags = endpoint.flags;
    let is_signal = flags.has(EndpointFlags::SIGNAL);
    is_advertisable(endpoint.address)
        && !flags.has(EndpointFlags::IMPLICIT)
        && (endpoint.port.is_none() || is_signal)
        && !(is_signal && flags.has(EndpointFlags::FULLMESH))
}

/// Tells the peer that an address is gone, and closes its subflows.
fn withdraw(view: &PmView<'_>, id: AddressId, actions: &mut Vec<PmAction>) {
    let from_it = view
        .subflows
        .iter()
        .filter(|subflow| subflow.local_id == id);
    let closes = from_it.map(|subflow| PmAction::Close(subflow.id));
    // Two endpoints that go at once may be of one address.
    for action in std::iter::once(PmAction::Withdraw(id)).chain(closes) {
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
}

fn set_priority(
    view: &PmView<'_>,
    local_id: AddressId,
    priority: Priority,
    actions: &mut Vec<PmAction>,
) {
    let is_other =
        |subflow: &&PmSubflow| subflow.local_id == local_id && subflow.priority != priority;
    let others = view.subflows.iter().filter(is_other);
    actions.extend(others.map(|subflow| PmAction::SetPriority(subflow.id, priority)));
}

fn is_reached(view: &PmView<'_>, remote: RemoteAddress) -> bool {
    view.subflows
        .iter()
        .any(|subflow| subflow.remote == remote.address)
}

impl PathManager for Kernel {
    fn kind(&self) -> Kind {
        Kind::Kernel
    }

    fn handle_event(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        self.mesh.note(view, event);
        match event {
            PmEvent::Established => self.set_initial_priority(view, actions),
            PmEvent::SubflowUp(id) => {
                if let Some(up) = view.subflows.iter().find(|subflow| subflow.id == *id) {
                    self.remember_implicit(up);
                }
            }
            _ => {}
        }
        self.reconcile(view, actions);
    }

    fn handle_command(
        &mut self,
        view: &PmView<'_>,
        command: &Command,
        actions: &mut Vec<PmAction>,
    ) -> Result<(), CommandError> {
        match *command {
            Command::AddEndpoint(endpoint) => {
                self.add(endpoint)?;
                self.mesh.note(view, &PmEvent::LocalUp(endpoint.address));
            }
            Command::RemoveEndpoint(id) => return self.remove(view, id, actions),
            Command::FlushEndpoints => {
                while let Some(known) = self.endpoints.first() {
                    self.remove(view, known.endpoint.id, actions)?;
                }
                return Ok(());
            }
            Command::SetFlags(id, flags) => {
                let address = self.set_flags(view, id, flags, actions)?;
                self.mesh.note(view, &PmEvent::LocalUp(address));
            }
            _ => return Err(CommandError::NotSupported(self.kind())),
        }
        self.reconcile(view, actions);
        Ok(())
    }

    /// As Linux, which looks for the endpoint with this address, and port if it has one.
    fn priority(&self, _view: &PmView<'_>, local: SocketAddr) -> Priority {
        let address = local.ip().to_canonical();
        let is_it = |known: &&Known| {
            let port = known.endpoint.port;
            known.endpoint.address == address && port.is_none_or(|port| port == local.port())
        };
        let known = self.endpoints.iter().find(is_it);
        known.map_or(Priority::Regular, |known| known.endpoint.flags.priority())
    }

    fn set_limits(&mut self, limits: Limits) {
        self.mesh.limits = limits;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.mesh.poll_timeout()
    }
}
