//! The addresses of one connection, ours and the peer's (RFC 8684 §3.4).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::hmac::add_addr_hmac;
use crate::key::{AddressId, Key};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{AddAddr, AddressIds};

/// Which address has which id, what is still to be advertised, echoed and withdrawn.
///
/// The addresses of the initial subflow have the id 0 on both sides. An id is the same in MP_JOIN and
/// ADD_ADDR. IPv4 addresses in IPv6 clothes are IPv4 addresses.
#[derive(Debug, Clone)]
pub struct AddressBook {
    version: Version,
    own_key: Key,
    peer_key: Key,
    config: AddressConfig,
    initial_remote: SocketAddr,
    local: Vec<LocalAddress>,
    remote: Vec<RemoteAddress>,
    announcements: VecDeque<Announcement>,
    echoes: VecDeque<AddAddr>,
    removals: Vec<AddressId>,
    /// Ids that were advertised and not withdrawn.
    signalled: Vec<AddressId>,
}

/// Entries of the lists of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) local: usize,
    pub(crate) remote: usize,
    pub(crate) announcements: usize,
    pub(crate) echoes: usize,
    pub(crate) removals: usize,
}

/// How addresses are advertised and accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressConfig {
    /// How long to wait for the echo of an ADD_ADDR before it is sent again; then twice as long.
    pub echo_timeout: Duration,
    /// Addresses of the peer that are accepted, the initial one not counted.
    pub max_remote: usize,
}

/// An address of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalAddress {
    /// Its id.
    pub id: AddressId,
    /// The address.
    pub address: IpAddr,
    /// The port that was advertised with it.
    pub port: Option<u16>,
}

/// An address of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress {
    /// Its id.
    pub id: AddressId,
    /// Where to join: the port that was advertised, or else that of the initial subflow.
    pub address: SocketAddr,
    /// How we know of it.
    pub origin: Origin,
    /// Subflows that end there.
    pub subflows: u32,
}

/// How we know of an address of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The initial subflow ends there.
    Initial,
    /// An MP_JOIN came from there. A NAT may have changed it, and nobody may listen.
    Joined,
    /// An ADD_ADDR named it.
    Advertised,
    /// A REMOVE_ADDR named it while subflows ended there, which may go on (RFC 8684 §3.4.2). No more are
    /// opened.
    Withdrawn,
}

/// What an ADD_ADDR was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advertised {
    /// An address to join to.
    New(RemoteAddress),
    /// Known already.
    Repeated,
    /// The echo of one of ours.
    Echo(AddressId),
}

/// Why an ADD_ADDR is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddAddrRefusal {
    /// The HMAC is missing or wrong: who sent it does not know the keys.
    #[error("wrong HMAC")]
    Hmac,
    /// No host can have the address, or it reaches only ourselves.
    #[error("no address to connect to")]
    Unusable,
    /// It is one of our own addresses.
    #[error("our own address")]
    Own,
    /// A subflow ends at another address with this id.
    #[error("the id is in use for another address")]
    IdInUse,
    /// As many addresses as are accepted are known.
    #[error("too many addresses")]
    Limit,
    /// An echo of what was not advertised, or not like this.
    #[error("an echo of nothing")]
    StrayEcho,
}

/// Why an address is not advertised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnnounceError {
    /// The id belongs to another address.
    #[error("the address id belongs to another address")]
    IdTaken,
    /// All ids are in use.
    #[error("no address id left")]
    NoId,
    /// Too many wait for their echo.
    #[error("too many addresses are being advertised")]
    TooMany,
}

#[derive(Debug, Clone, Copy)]
struct Announcement {
    address: LocalAddress,
    /// Times that it was sent.
    sent: u32,
    due: Instant,
}

impl AddressBook {
    /// ADD_ADDRs that wait for their echo.
    pub const MAX_ANNOUNCEMENTS: usize = 64;
    /// Times that an ADD_ADDR is sent: once, and three times more as in Linux.
    pub const MAX_SENT: u32 = 4;
    /// Echoes that wait to be sent. The peer sends again what is not echoed.
    pub const MAX_ECHOES: usize = 16;
    /// Ids in one REMOVE_ADDR, as in Linux: so many fit beside everything else.
    pub const MAX_REMOVALS: usize = 8;
    /// Addresses of the peer that can be known, whatever the configuration says: one for each id.
    pub const MAX_REMOTE: usize = 256;

    /// The addresses of the initial subflow.
    pub fn new(
        version: Version,
        own_key: Key,
        peer_key: Key,
        local: SocketAddr,
        remote: SocketAddr,
        config: AddressConfig,
    ) -> Self {
        let id = AddressId(0);
        let local = LocalAddress {
            id,
            address: local.ip().to_canonical(),
            port: None,
        };
        let initial_remote = canonical(remote);
        let remote = RemoteAddress {
            id,
            address: initial_remote,
            origin: Origin::Initial,
            subflows: 1,
        };
        Self {
            version,
            own_key,
            peer_key,
            config,
            initial_remote,
            local: vec![local],
            remote: vec![remote],
            announcements: VecDeque::new(),
            echoes: VecDeque::new(),
            removals: Vec::new(),
            signalled: Vec::new(),
        }
    }

    /// The id of one of our addresses, which gets one if it has none; none when all are in use.
    pub fn local_id(&mut self, address: IpAddr) -> Option<AddressId> {
        let address = address.to_canonical();
        if let Some(known) = self.local.iter().find(|known| known.address == address) {
            return Some(known.id);
        }
        let is_free = |id: &AddressId| self.local.iter().all(|known| known.id != *id);
        let id = (1..=u8::MAX).map(AddressId).find(is_free)?;
        let port = None;
        self.local.push(LocalAddress { id, address, port });
        Some(id)
    }

    /// Gives one of our addresses an id that was chosen elsewhere.
    ///
    /// # Errors
    /// When another address has it.
    pub fn set_local(&mut self, address: LocalAddress) -> Result<(), AnnounceError> {
        let address = LocalAddress {
            address: address.address.to_canonical(),
            ..address
        };
        match self.local.iter_mut().find(|known| known.id == address.id) {
            Some(known) if known.address == address.address => {
                known.port = address.port.or(known.port);
            }
            Some(_) => return Err(AnnounceError::IdTaken),
            None => self.local.push(address),
        }
        Ok(())
    }

    /// Our addresses.
    pub fn locals(&self) -> &[LocalAddress] {
        &self.local
    }

    /// How much is in each list.
    pub(crate) fn sizes(&self) -> Sizes {
        Sizes {
            local: self.local.len(),
            remote: self.remote.len(),
            announcements: self.announcements.len(),
            echoes: self.echoes.len(),
            removals: self.removals.len(),
        }
    }

    /// How many of them were advertised and not withdrawn.
    pub const fn signalled(&self) -> usize {
        self.signalled.len()
    }

    /// Our address with this id.
    pub fn local(&self, id: AddressId) -> Option<&LocalAddress> {
        self.local.iter().find(|known| known.id == id)
    }

    /// The peer's addresses.
    pub fn remotes(&self) -> &[RemoteAddress] {
        &self.remote
    }

    /// The peer's address with this id.
    pub fn remote(&self, id: AddressId) -> Option<&RemoteAddress> {
        self.remote.iter().find(|known| known.id == id)
    }

    /// Advertises an address from `now` on: ADD_ADDR is sent until it is echoed (RFC 8684 §3.4.1).
    ///
    /// # Errors
    /// When its id belongs to another address, or too many wait.
    pub fn announce(&mut self, now: Instant, address: LocalAddress) -> Result<(), AnnounceError> {
        if self.announcements.len() >= Self::MAX_ANNOUNCEMENTS {
            return Err(AnnounceError::TooMany);
        }
        self.set_local(address)?;
        self.announcements
            .retain(|known| known.address.id != address.id);
        self.removals.retain(|id| *id != address.id);
        if !self.signalled.contains(&address.id) {
            self.signalled.push(address.id);
        }
        self.announcements.push_back(Announcement {
            address,
            sent: 0,
            due: now,
        });
        Ok(())
    }

    /// Withdraws our addresses with these ids: REMOVE_ADDR is sent, and ADD_ADDRs that wait are
    /// forgotten (RFC 8684 §3.4.2).
    pub fn withdraw(&mut self, ids: &[AddressId]) {
        for id in ids {
            self.announcements.retain(|known| known.address.id != *id);
            self.signalled.retain(|known| known != id);
            let before = self.local.len();
            self.local.retain(|known| known.id != *id);
            if self.local.len() < before && !self.removals.contains(id) {
                self.removals.push(*id);
            }
        }
    }

    /// The ADD_ADDR to send now: an echo, or else an address that is due.
    pub fn next_add_addr(&self, now: Instant) -> Option<AddAddr> {
        if let Some(echo) = self.echoes.front() {
            return Some(*echo);
        }
        let due = self.announcements.iter().find(|known| known.due <= now)?;
        let LocalAddress { id, address, port } = due.address;
        let has_hmac = !self.version.rules().add_addr_has_ip_version;
        Some(AddAddr {
            version: self.version,
            echo: false,
            address_id: id,
            address,
            port,
            hmac: has_hmac.then(|| add_addr_hmac(self.own_key, self.peer_key, id, address, port)),
            reserved: 0,
        })
    }

    /// Takes note that what [`Self::next_add_addr`] gave was sent.
    pub fn on_add_addr_sent(&mut self, now: Instant, sent: &AddAddr) {
        if sent.echo {
            if self.echoes.front() == Some(sent) {
                self.echoes.pop_front();
            }
            return;
        }
        let timeout = self.config.echo_timeout;
        // Version 0 has no echo, so there is nothing to wait for.
        let has_echo = !self.version.rules().add_addr_has_ip_version;
        self.announcements.retain_mut(|known| {
            if known.address.id != sent.address_id {
                return true;
            }
            let doublings = known.sent.min(Self::MAX_SENT);
            known.sent = known.sent.saturating_add(1);
            known.due = now + timeout.saturating_mul(1 << doublings);
            has_echo && known.sent < Self::MAX_SENT
        });
    }

    /// The REMOVE_ADDR to send.
    pub fn next_removal(&self) -> Option<AddressIds> {
        let count = self.removals.len().min(Self::MAX_REMOVALS);
        AddressIds::new(self.removals.get(..count)?)
    }

    /// Takes note that what [`Self::next_removal`] gave was sent.
    pub fn on_removal_sent(&mut self, sent: &AddressIds) {
        self.removals
            .retain(|id| sent.iter().all(|sent| sent != *id));
    }

    /// When the next ADD_ADDR is due; at once for an echo or a REMOVE_ADDR.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.echoes.is_empty() || !self.removals.is_empty() {
            return Some(Instant::ZERO);
        }
        self.announcements.iter().map(|known| known.due).min()
    }

    /// Takes an ADD_ADDR or an echo.
    ///
    /// # Errors
    /// When it is to be ignored. One that is good and yet too many is echoed all the same, so that the
    /// peer stops sending it.
    pub fn handle_add_addr(&mut self, option: &AddAddr) -> Result<Advertised, AddAddrRefusal> {
        if option.echo {
            return self.handle_echo(option);
        }
        let AddAddr {
            address_id: id,
            address,
            ..
        } = *option;
        if !self.is_authentic(option) {
            return Err(AddAddrRefusal::Hmac);
        }
        // RFC 8684 §3.4.1: without a port, it is that of the initial subflow.
        let named = option.port.filter(|port| *port != 0);
        let port = named.unwrap_or(self.initial_remote.port());
        let target = SocketAddr::new(address.to_canonical(), port);
        if !self.is_usable(target) {
            return Err(AddAddrRefusal::Unusable);
        }
        let is_own = self.local.iter().any(|known| known.address == target.ip());
        if is_own && !self.is_local_connection() {
            return Err(AddAddrRefusal::Own);
        }
        if let Some(known) = self.remote.iter().find(|known| known.id == id) {
            if known.address == target && known.origin != Origin::Withdrawn {
                self.echo(option);
                return Ok(Advertised::Repeated);
            }
            let is_known_by_join = known.address.ip() == target.ip();
            let is_withdrawn = known.origin == Origin::Withdrawn;
            if known.subflows > 0 && !is_known_by_join && !is_withdrawn {
                return Err(AddAddrRefusal::IdInUse);
            }
        }
        self.echo(option);
        self.learn(id, target, Origin::Advertised)
            .map(Advertised::New)
            .ok_or(AddAddrRefusal::Limit)
    }

    /// Takes a REMOVE_ADDR: gives the addresses that are no longer to be used, and how many of the ids
    /// are unknown. What to do with subflows that end there is up to others: while there are any, the id
    /// keeps its meaning, and only no more are opened (RFC 8684 §3.4.2).
    pub fn handle_remove_addr(&mut self, ids: &AddressIds) -> (Vec<RemoteAddress>, usize) {
        let mut removed = Vec::new();
        let mut unknown = 0;
        for id in ids.iter() {
            match self.remote.iter_mut().find(|known| known.id == id) {
                Some(known) => {
                    removed.push(*known);
                    known.origin = Origin::Withdrawn;
                }
                None => unknown += 1,
            }
            self.remote.retain(RemoteAddress::is_of_use);
        }
        (removed, unknown)
    }

    /// A subflow with the peer's address `id` at `address` was joined.
    pub fn on_subflow(&mut self, id: AddressId, address: SocketAddr) {
        if let Some(known) = self.remote.iter_mut().find(|known| known.id == id) {
            known.subflows = known.subflows.saturating_add(1);
        } else if let Some(known) = self.learn(id, canonical(address), Origin::Joined) {
            let entry = self.remote.iter_mut().find(|entry| entry.id == known.id);
            if let Some(entry) = entry {
                entry.subflows = 1;
            }
        }
    }

    /// A subflow with the peer's address `id` is gone.
    pub fn on_subflow_closed(&mut self, id: AddressId) {
        if let Some(known) = self.remote.iter_mut().find(|known| known.id == id) {
            known.subflows = known.subflows.saturating_sub(1);
            self.remote.retain(RemoteAddress::is_of_use);
        }
    }

    fn handle_echo(&mut self, echo: &AddAddr) -> Result<Advertised, AddAddrRefusal> {
        let is_answered = |known: &Announcement| {
            known.address.id == echo.address_id
                && known.address.address == echo.address.to_canonical()
                && known.address.port.unwrap_or(0) == echo.port.unwrap_or(0)
                && known.sent > 0
        };
        let index = self.announcements.iter().position(is_answered);
        match index.and_then(|index| self.announcements.remove(index)) {
            Some(known) => Ok(Advertised::Echo(known.address.id)),
            None => Err(AddAddrRefusal::StrayEcho),
        }
    }

    /// RFC 8684 §3.4.1: an ADD_ADDR without a valid HMAC must be ignored. RFC 6824 has none.
    fn is_authentic(&self, option: &AddAddr) -> bool {
        let rules = self.version.rules();
        if rules.add_addr_has_ip_version {
            return option.version == self.version;
        }
        let (id, address) = (option.address_id, option.address);
        let expected = add_addr_hmac(self.peer_key, self.own_key, id, address, option.port);
        option.version == self.version && option.hmac == Some(expected)
    }

    /// RFC 7430 §2.2: an address that is none makes us send SYNs to nowhere, or to ourselves.
    fn is_usable(&self, target: SocketAddr) -> bool {
        let ip = target.ip();
        let is_broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
        let is_foreign_loopback = ip.is_loopback() && !self.is_local_connection();
        let is_none = ip.is_unspecified() || ip.is_multicast() || is_broadcast;
        !is_none && !is_foreign_loopback && target.port() != 0
    }

    /// Connections of a host with itself exist, and may use what others must not.
    fn is_local_connection(&self) -> bool {
        self.initial_remote.ip().is_loopback()
    }

    fn echo(&mut self, option: &AddAddr) {
        if self.version.rules().add_addr_has_ip_version {
            return;
        }
        let echo = AddAddr {
            echo: true,
            hmac: None,
            reserved: 0,
            ..*option
        };
        if self.echoes.len() < Self::MAX_ECHOES && !self.echoes.contains(&echo) {
            self.echoes.push_back(echo);
        }
    }

    fn learn(
        &mut self,
        id: AddressId,
        address: SocketAddr,
        origin: Origin,
    ) -> Option<RemoteAddress> {
        let subflows = self
            .remote
            .iter()
            .find(|known| known.id == id)
            .map_or(0, |k| k.subflows);
        let learnt = RemoteAddress {
            id,
            address,
            origin,
            subflows,
        };
        if let Some(known) = self.remote.iter_mut().find(|known| known.id == id) {
            *known = learnt;
            return Some(learnt);
        }
        let advertised = self
            .remote
            .iter()
            .filter(|known| known.origin == Origin::Advertised);
        let is_full = match origin {
            Origin::Advertised => advertised.count() >= self.config.max_remote,
            Origin::Initial | Origin::Joined | Origin::Withdrawn => false,
        };
        if is_full || self.remote.len() >= Self::MAX_REMOTE {
            return None;
        }
        self.remote.push(learnt);
        Some(learnt)
    }
}

impl RemoteAddress {
    /// Whether it is to be remembered. The source of a join is nowhere to connect to.
    const fn is_of_use(&self) -> bool {
        self.subflows > 0 || matches!(self.origin, Origin::Initial | Origin::Advertised)
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests;
