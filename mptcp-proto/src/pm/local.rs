//! The local addresses that a policy knows of, and their ids.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::{LocalAddress, MAX_ADDRESSES, PmAction, PmEvent, PmView, is_advertisable};
use crate::key::AddressId;

/// Local addresses, in the order of their coming.
#[derive(Debug, Default)]
pub(super) struct Locals {
    known: Vec<Local>,
    /// Addresses that are gone, the oldest first, with the ids that the peer may know them by.
    gone: VecDeque<(AddressId, IpAddr)>,
}

#[derive(Debug, Clone, Copy)]
struct Local {
    id: AddressId,
    address: IpAddr,
    is_announced: bool,
}

impl Locals {
    /// Takes over an address that comes or goes.
    pub(super) fn note(&mut self, view: &PmView<'_>, event: &PmEvent, actions: &mut Vec<PmAction>) {
        match event {
            PmEvent::LocalUp(address) => self.add(view, address.to_canonical()),
            PmEvent::LocalDown(address) => self.remove(address.to_canonical(), actions),
            _ => {}
        }
    }

    fn add(&mut self, view: &PmView<'_>, address: IpAddr) {
        let is_known = self.known.iter().any(|local| local.address == address);
        if is_known || self.known.len() >= MAX_ADDRESSES || !is_advertisable(address) {
            return;
        }
        let id = if address == view.initial_local.ip().to_canonical() {
            Some(AddressId(0))
        } else {
            self.free_id(view, address)
        };
        if let Some(id) = id {
            self.known.push(Local {
                id,
                address,
                is_announced: false,
            });
        }
    }

    /// An address that comes back has the id that it had. Another one has an id that none had before, as long as there
    /// is one: nobody acknowledges REMOVE_ADDR, so that the peer may know the old address still.
    fn free_id(&mut self, view: &PmView<'_>, address: IpAddr) -> Option<AddressId> {
        if let Some(index) = self.gone.iter().position(|(_, gone)| *gone == address) {
            let (id, _) = self.gone.remove(index)?;
            return Some(id);
        }
        let is_taken = |id: &AddressId| {
            self.known.iter().any(|local| local.id == *id)
                || view.subflows.iter().any(|subflow| subflow.local_id == *id)
        };
        let was_taken = |id: &AddressId| self.gone.iter().any(|(gone, _)| gone == id);
        let mut ids = (1..=u8::MAX).map(AddressId);
        ids.find(|id| !is_taken(id) && !was_taken(id))
    }

    fn remove(&mut self, address: IpAddr, actions: &mut Vec<PmAction>) {
        let Some(index) = self.known.iter().position(|local| local.address == address) else {
            return;
        };
        let gone = self.known.remove(index);
        if gone.id != AddressId(0) {
            if self.gone.len() >= MAX_GONE {
                self.gone.pop_front();
            }
            self.gone.push_back((gone.id, gone.address));
        }
        let withdraw = PmAction::Withdraw(gone.id);
        // The manager has done so already if there were subflows.
        if gone.is_announced && !actions.contains(&withdraw) {
            actions.push(withdraw);
        }
    }

    /// All of them, the initial one among them when it is up.
    pub(super) fn all(&self) -> impl Iterator<Item = (AddressId, IpAddr)> {
        self.known.iter().map(|local| (local.id, local.address))
    }

    /// Advertises what the peer does not know.
    pub(super) fn announce(&mut self, view: &PmView<'_>, actions: &mut Vec<PmAction>) {
        if !view.is_joinable {
            return;
        }
        for local in &mut self.known {
            if local.id != AddressId(0) && !local.is_announced {
                local.is_announced = true;
                actions.push(PmAction::Announce(LocalAddress {
                    id: local.id,
                    address: local.address,
                    port: None,
                }));
            }
        }
    }
}

/// Most addresses that are remembered though they are gone. Ids are left for all that are there and for subflows.
const MAX_GONE: usize = 128;
