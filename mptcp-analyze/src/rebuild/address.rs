//! ADD_ADDR and REMOVE_ADDR: what each host announced, and what became of it (RFC 8684 §3.4).

use std::net::IpAddr;

use hashbrown::HashMap;
use mptcp_proto::hmac::{AddAddrHmac, add_addr_hmac};
use mptcp_proto::key::AddressId;
use mptcp_proto::wire::mptcp::{AddAddr, RemoveAddr};

use super::Rebuilder;
use super::connection::ConnectionBuilder;
use super::finish::Whole;
use super::flow::StreamId;
use super::stream::Place;
use crate::model::{Address, AddressEvent, CheckResult, EventKind, PerSide, Side};

/// Addresses kept of one connection: all 256 ids of both hosts, twice over for ids used again.
pub(super) const MAX_ADDRESSES: usize = 1024;

/// Subflows named as users of one address: every address of a connection can be announced with the
/// address that a flood of joins goes to.
const MAX_USERS: usize = 256;

/// Oddities kept of one connection.
const MAX_ADDRESS_EVENTS: usize = 1024;

/// The addresses that the hosts of one connection announced.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    pub(super) entries: Vec<AddressEntry>,
    pub(super) events: Vec<AddressEvent>,
    /// Ids that joins named, a bit each.
    pub(super) joined: PerSide<[u64; 4]>,
    /// Addresses and oddities left out for a limit.
    pub(super) dropped: u64,
}

/// An announced address; its HMAC is judged when the keys are known.
#[derive(Debug, Clone)]
pub(super) struct AddressEntry {
    pub(super) address: Address,
    pub(super) hmac: Option<AddAddrHmac>,
}

impl AddressEntry {
    fn user_key(&self) -> UserKey {
        (self.address.owner, self.address.address)
    }
}

impl AddressBook {
    /// Notes an announcement; `false` when there is no room for it.
    fn add(&mut self, owner: Side, add: &AddAddr, frame: u64) -> bool {
        let same_id = |entry: &&mut AddressEntry| {
            entry.address.owner == owner
                && entry.address.id == add.address_id
                && entry.address.removed_frame.is_none()
        };
        if let Some(entry) = self.entries.iter_mut().rev().find(same_id) {
            if entry.address.address == add.address && entry.address.port == add.port {
                entry.address.advertised_count += 1;
                return true;
            }
            let before = entry.address.address;
            self.note(AddressEvent::IdReused {
                frame,
                owner,
                id: add.address_id,
                before,
                after: add.address,
            });
        }
        let has_room = self.entries.len() < MAX_ADDRESSES;
        if has_room {
            self.entries.push(AddressEntry {
                address: Address {
                    owner,
                    id: add.address_id,
                    address: add.address,
                    port: add.port,
                    hmac: CheckResult::Unverifiable("the keys are not in the capture"),
                    advertised_frame: frame,
                    advertised_count: 1,
                    echo_frame: None,
                    removed_frame: None,
                    used_by: Vec::new(),
                },
                hmac: add.hmac,
            });
        } else {
            self.dropped += 1;
        }
        has_room
    }

    /// An echo repeats id, address and port of what the other host announced.
    fn echo(&mut self, sender: Side, add: &AddAddr, frame: u64) {
        let found = self.entries.iter_mut().rev().find(|entry| {
            let known = &entry.address;
            known.owner == sender.other()
                && known.id == add.address_id
                && known.address == add.address
                && known.port == add.port
        });
        match found {
            Some(entry) => {
                entry.address.echo_frame.get_or_insert(frame);
            }
            None => self.note(AddressEvent::UnmatchedEcho {
                frame,
                sender,
                id: add.address_id,
                address: add.address,
            }),
        }
    }

    fn remove(&mut self, owner: Side, id: AddressId, frame: u64, known: bool) {
        let found = self.entries.iter_mut().rev().find(|entry| {
            entry.address.owner == owner
                && entry.address.id == id
                && entry.address.removed_frame.is_none()
        });
        match found {
            Some(entry) => entry.address.removed_frame = Some(frame),
            None if known => {}
            None => self.note(AddressEvent::UnknownRemoved { frame, owner, id }),
        }
    }

    fn note(&mut self, event: AddressEvent) {
        if self.events.len() < MAX_ADDRESS_EVENTS {
            self.events.push(event);
        } else {
            self.dropped += 1;
        }
    }

    /// Notes that a join named an id of `owner`.
    pub(super) fn note_joined(&mut self, owner: Side, id: AddressId) {
        let (word, bit) = place_of(id);
        self.joined.of_mut(owner)[word] |= bit;
    }

    fn is_joined(&self, owner: Side, id: AddressId) -> bool {
        let (word, bit) = place_of(id);
        self.joined.of(owner)[word] & bit != 0
    }

    /// Swaps the hosts.
    pub(super) fn turn_around(&mut self) {
        std::mem::swap(&mut self.joined.client, &mut self.joined.server);
        for entry in &mut self.entries {
            entry.address.owner = entry.address.owner.other();
        }
        for event in &mut self.events {
            match event {
                AddressEvent::IdReused { owner: side, .. }
                | AddressEvent::UnmatchedEcho { sender: side, .. }
                | AddressEvent::UnknownRemoved { owner: side, .. } => *side = side.other(),
            }
        }
    }

    /// Takes over the entries of another book of the same connection.
    pub(super) fn absorb(&mut self, other: AddressBook) {
        for side in [Side::Client, Side::Server] {
            let theirs = other.joined.of(side);
            for (own, theirs) in self.joined.of_mut(side).iter_mut().zip(theirs) {
                *own |= theirs;
            }
        }
        self.entries.extend(other.entries);
        self.events.extend(other.events);
        let surplus = self.entries.len().saturating_sub(MAX_ADDRESSES)
            + self.events.len().saturating_sub(MAX_ADDRESS_EVENTS);
        self.dropped += other.dropped + surplus as u64;
        self.entries.truncate(MAX_ADDRESSES);
        self.events.truncate(MAX_ADDRESS_EVENTS);
    }
}

/// The word and the bit that stand for an id.
fn place_of(id: AddressId) -> (usize, u64) {
    (usize::from(id.0 >> 6), 1 << (id.0 & 63))
}

/// The HMAC of an announced address against the keys of its connection.
pub(super) fn check_add_addr(builder: &ConnectionBuilder, entry: &AddressEntry) -> CheckResult {
    let Some(hmac) = entry.hmac else {
        return CheckResult::Unverifiable("it carries no HMAC");
    };
    let Some((client, server)) = builder.both_keys() else {
        return CheckResult::Unverifiable("the keys are not in the capture");
    };
    let address = &entry.address;
    let (sender, receiver) = match address.owner {
        Side::Client => (client, server),
        Side::Server => (server, client),
    };
    let expected = add_addr_hmac(sender, receiver, address.id, address.address, address.port);
    if expected == hmac {
        CheckResult::Ok
    } else {
        CheckResult::Bad
    }
}

impl Rebuilder {
    /// Takes an ADD_ADDR or an echo of one.
    pub(super) fn on_add_addr(&mut self, place: Place, add: &AddAddr) {
        let sender = self.side(place);
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let connection = mptcp.connection;
        let builder = &mut self.connections[connection];
        if add.echo {
            builder.addresses.echo(sender, add, place.frame);
        } else {
            let kept = builder.addresses.add(sender, add, place.frame);
            if kept {
                self.index.note_announced(add.address, connection, sender);
            }
        }
        let builder = &mut self.connections[connection];
        let hmac = match builder.addresses.entries.last() {
            Some(entry) if !add.echo && entry.hmac == add.hmac => check_add_addr(builder, entry),
            _ => CheckResult::Unverifiable("it carries no HMAC"),
        };
        let kind = EventKind::AddAddr {
            id: add.address_id,
            echo: add.echo,
            hmac,
        };
        builder.note(place, sender, kind);
    }

    /// Takes a REMOVE_ADDR. An id may also be one that only a join named.
    pub(super) fn on_remove_addr(&mut self, place: Place, remove: &RemoveAddr) {
        let sender = self.side(place);
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        for id in remove.ids.iter() {
            let known = id == AddressId(0) || builder.addresses.is_joined(sender, id);
            builder.addresses.remove(sender, id, place.frame, known);
            builder.note(place, sender, EventKind::RemoveAddr { id });
        }
    }
}

impl Whole<'_> {
    /// The addresses of a connection, judged, each with the subflows that used it; `order` holds the
    /// streams of the connection in the order of their subflow numbers.
    pub(super) fn addresses(&self, order: &[StreamId]) -> Vec<Address> {
        let builder = self.builder;
        let users = self.users(order);
        let entries = builder.addresses.entries.iter();
        let judged = |entry: &AddressEntry| Address {
            hmac: check_add_addr(builder, entry),
            used_by: users
                .get(&entry.user_key())
                .map_or_else(Vec::new, |users| users.subflows.clone()),
            ..entry.address.clone()
        };
        entries.map(judged).collect()
    }

    /// How many users of addresses [`Self::addresses`] leaves out for a limit.
    pub(super) fn users_dropped(&self) -> u64 {
        let builder = self.builder;
        if self.streams.len() <= MAX_USERS {
            return 0;
        }
        let order: Vec<StreamId> = self.streams.iter().map(|(id, _)| *id).collect();
        let users = self.users(&order);
        let dropped = |entry: &AddressEntry| users.get(&entry.user_key()).map(|u| u.dropped);
        builder.addresses.entries.iter().filter_map(dropped).sum()
    }

    fn users(&self, order: &[StreamId]) -> HashMap<UserKey, Users> {
        let entries = self.builder.addresses.entries.iter();
        let mut users: HashMap<UserKey, Users> = entries
            .map(|entry| (entry.user_key(), Users::default()))
            .collect();
        if users.is_empty() {
            return users;
        }
        for (id, &stream) in (0..).zip(order) {
            let Some(mptcp) = self.stream(stream).and_then(|s| s.mptcp.as_ref()) else {
                continue;
            };
            for side in [Side::Client, Side::Server] {
                let address = self.flows.ends(stream).addresses[mptcp.end_of(side)].ip();
                if let Some(users) = users.get_mut(&(side, address)) {
                    users.add(id);
                }
            }
        }
        users
    }
}

/// An address and the host that announced it.
type UserKey = (Side, IpAddr);

/// The subflows that used an address.
#[derive(Debug, Default)]
struct Users {
    subflows: Vec<u32>,
    dropped: u64,
}

impl Users {
    fn add(&mut self, subflow: u32) {
        if self.subflows.len() < MAX_USERS {
            self.subflows.push(subflow);
        } else {
            self.dropped += 1;
        }
    }
}
