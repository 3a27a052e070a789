//! The ladder by which a subflow finds its connection when the capture does not hold all of its
//! handshake: token, HMAC, announced address, data sequence numbers, and at last a guess.

use std::collections::VecDeque;
use std::net::IpAddr;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use mptcp_proto::key::Token;
use mptcp_proto::seq::Dsn;
use mptcp_proto::wire::mptcp::{DataAck, Dss, MptcpOption, WireDsn};
use tracing::debug;

use super::Rebuilder;
use super::connection::ConnectionBuilder;
use super::flow::{End, FlowEnds, StreamId};
use super::join::Candidate;
use super::options::SegmentOptions;
use super::stream::Place;
use crate::model::{Direction, Grouping, PerDirection, Segment, Side, SubflowKind};

/// Connections that share a token; more are a forged capture.
const MAX_PER_TOKEN: usize = 64;

/// Connections per host that a stream without handshake is compared with, the latest first.
const MAX_PER_HOST: usize = 256;

/// Connections whose keys are tried on a join that names no known token, the latest first. A search
/// through all of them would let a capture of forged joins take quadratic time.
const MAX_KEYED: usize = 64;

/// Packets with DSS by which grouping is tried before a stream stays on its own.
pub(super) const MAX_GROUPING_TRIES: u32 = 16;

/// How far two parts of one stream may be from each other: no capture holds 64 TiB of one.
const MAX_STREAM_SPAN: u64 = 1 << 46;

/// How near 8-byte numbers must be: two random ones are with a chance of 2^-33.
const NEAR_LONG: u64 = 1 << 30;

/// How near 4-byte numbers must be: larger than the flight of most connections, and two random
/// ones are with a chance of 2^-11.
const NEAR_SHORT: u64 = 1 << 20;

/// Finds connections by token and by host.
#[derive(Debug, Default)]
pub(super) struct GroupingIndex {
    /// The first connection of each token; few have another.
    tokens: HashMap<Token, (u32, Side)>,
    /// Further connections of a token.
    shared_tokens: HashMap<Token, Vec<Candidate>>,
    orphans: HashMap<Token, usize>,
    hosts: HashMap<IpAddr, HostConnections>,
    announced: HashMap<IpAddr, Vec<(usize, Side)>>,
    keyed: VecDeque<usize>,
}

/// The connections of a host.
#[derive(Debug, Default)]
struct HostConnections {
    latest: VecDeque<usize>,
    /// No connection from here on is among them.
    unknown_from: usize,
}

impl HostConnections {
    /// Adds a connection unless it is there. The list of a server is long, and a connection mostly is
    /// a new one or among the last.
    fn note(&mut self, connection: usize) {
        let is_new = connection >= self.unknown_from;
        if !is_new && self.latest.iter().rev().any(|&known| known == connection) {
            return;
        }
        self.unknown_from = self.unknown_from.max(connection.saturating_add(1));
        if self.latest.len() >= MAX_PER_HOST {
            self.latest.pop_front();
        }
        self.latest.push_back(connection);
    }
}

impl GroupingIndex {
    /// Notes whose token it is. `false` when that was known.
    pub(super) fn add_token(&mut self, token: Token, connection: usize, owner: Side) -> bool {
        let candidate = Candidate {
            connection,
            receiver: owner,
        };
        let first = match self.tokens.entry(token) {
            Entry::Vacant(vacant) => {
                // There are no more connections than the limit, which is far below.
                let small = u32::try_from(connection).unwrap_or(u32::MAX);
                vacant.insert((small, owner));
                return true;
            }
            Entry::Occupied(known) => Candidate::from(*known.get()),
        };
        if first == candidate {
            return false;
        }
        let list = self.shared_tokens.entry(token).or_default();
        if list.contains(&candidate) || list.len() + 1 >= MAX_PER_TOKEN {
            return false;
        }
        list.push(candidate);
        true
    }

    /// The connections that a join with this token may mean.
    pub(super) fn by_token(&self, token: Token) -> impl Iterator<Item = Candidate> {
        let first = self.tokens.get(&token).into_iter();
        let others = self.shared_tokens.get(&token).into_iter().flatten();
        let first = first.map(|&first| Candidate::from(first));
        first.chain(others.copied())
    }

    /// The connection made for joins with an unknown token.
    pub(super) fn orphan(&self, token: Token) -> Option<usize> {
        self.orphans.get(&token).copied()
    }

    /// Remembers the connection made for joins with an unknown token.
    pub(super) fn set_orphan(&mut self, token: Token, connection: usize) {
        self.orphans.insert(token, connection);
    }

    fn take_orphan(&mut self, token: Token) -> Option<usize> {
        self.orphans.remove(&token)
    }

    /// Notes that both keys of `connection` are known.
    pub(super) fn note_keyed(&mut self, connection: usize) {
        if self.keyed.contains(&connection) {
            return;
        }
        if self.keyed.len() >= MAX_KEYED {
            self.keyed.pop_front();
        }
        self.keyed.push_back(connection);
    }

    /// The connections whose keys became known last, the latest first.
    pub(super) fn latest_keyed(&self) -> impl Iterator<Item = usize> {
        self.keyed.iter().rev().copied()
    }

    /// Notes the hosts of a stream of `connection`.
    pub(super) fn note_hosts(&mut self, ends: &FlowEnds, connection: usize) {
        let [one, other] = ends.addresses().map(|address| address.ip());
        let both = [Some(one), (other != one).then_some(other)];
        for address in both.into_iter().flatten() {
            self.hosts.entry(address).or_default().note(connection);
        }
    }

    /// Notes an address that `owner` announced.
    pub(super) fn note_announced(&mut self, address: IpAddr, connection: usize, owner: Side) {
        let list = self.announced.entry(address).or_default();
        if !list.contains(&(connection, owner)) && list.len() < MAX_PER_HOST {
            list.push((connection, owner));
        }
    }

    /// How many addresses were announced.
    #[cfg(test)]
    pub(super) fn announced_addresses(&self) -> usize {
        self.announced.len()
    }

    /// Connections that share a host with `ends`, the latest first.
    fn near_hosts(&self, ends: &FlowEnds) -> Vec<usize> {
        let addresses = ends.addresses();
        let lists = addresses
            .iter()
            .filter_map(|address| self.hosts.get(&address.ip()));
        let mut found: Vec<usize> = lists
            .flat_map(|list| list.latest.iter().rev())
            .copied()
            .collect();
        // The lists are in order but for merged connections: a stable sort only merges them.
        found.sort_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }
}

/// A connection that a stream without handshake fits into.
#[derive(Debug, Clone, Copy)]
struct Fit {
    connection: usize,
    client_end: End,
    evidence: Grouping,
}

/// How the numbers of a DSS compare with those of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Fit,
    Contradict,
    Silent,
}

impl Rebuilder {
    /// Takes up a stream whose first MPTCP option is no handshake.
    pub(super) fn on_unseen_stream(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        options: &SegmentOptions,
    ) {
        let dss = first_dss(options);
        self.wake_near(place.stream);
        if let Some(fit) = self.find_fit(place, dss, None) {
            self.enter(
                place.stream,
                fit.connection,
                fit.client_end,
                SubflowKind::Unseen,
                fit.evidence,
            );
        } else {
            let opener = self.flows.ends(place.stream).likely_opener();
            self.take_up_unseen(segment, place, opener);
        }
        if let Some(mptcp) = &self.streams[place.stream].mptcp {
            self.index
                .note_hosts(self.flows.ends(place.stream), mptcp.connection);
        }
    }

    /// Gives a stream without known connection a connection of its own.
    pub(super) fn take_up_unseen(&mut self, _: &Segment<'_>, place: Place, client_end: End) {
        let Some(connection) = self.new_connection(place.stream) else {
            return;
        };
        self.enter(
            place.stream,
            connection,
            client_end,
            SubflowKind::Unseen,
            Grouping::Guess,
        );
    }

    /// Tries again to find the connection of a stream that was taken up on its own, now that it
    /// has shown another DSS.
    pub(super) fn retry_grouping(&mut self, place: Place, dss: &Dss) {
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let alone = mptcp.connection;
        if !mptcp.may_be_regrouped(&self.connections[alone], place.stream) {
            return;
        }
        mptcp.grouping_tries += 1;
        self.wake_near(place.stream);
        if let Some(fit) = self.find_fit(place, Some(dss), Some(alone)) {
            self.wake(fit.connection);
            let Some(mptcp) = &self.streams[place.stream].mptcp else {
                return;
            };
            let turned = mptcp.client_end != fit.client_end;
            if !self.data_fit(alone, fit.connection, turned) {
                return;
            }
            self.merge(alone, fit.connection, turned);
            if let Some(mptcp) = &mut self.streams[place.stream].mptcp {
                mptcp.grouping = fit.evidence;
            }
        }
    }

    /// Wakes what has noted segments that a stream without handshake is to be compared with.
    fn wake_near(&mut self, stream: StreamId) {
        if !self.connections.has_journals() {
            return;
        }
        for connection in self.index.near_hosts(self.flows.ends(stream)) {
            if self.connections.journal(connection).is_some() {
                self.wake(connection);
            }
        }
        // A connection in which the address was announced need not be among the latest of a host.
        if let Some(fit) = self.fit_by_address(self.flows.ends(stream))
            && self.connections.journal(fit.connection).is_some()
        {
            self.wake(fit.connection);
        }
    }

    /// Whether the data of two connections may be parts of one stream: one number that fits by chance
    /// does not make up for others that do not.
    fn data_fit(&self, from: usize, into: usize, turned: bool) -> bool {
        Direction::BOTH.iter().all(|&direction| {
            let theirs = if turned {
                direction.reverse()
            } else {
                direction
            };
            let own = self.connections[into].data.of(direction);
            let distance = own.distance_to(self.connections[from].data.of(theirs));
            distance.unsigned_abs() <= MAX_STREAM_SPAN
        })
    }

    /// The connection that a stream without handshake fits into best, if one does.
    fn find_fit(&self, place: Place, dss: Option<&Dss>, except: Option<usize>) -> Option<Fit> {
        let ends = self.flows.ends(place.stream);
        let near: Vec<usize> = self
            .index
            .near_hosts(ends)
            .into_iter()
            .filter(|&c| Some(c) != except && !self.connections.is_merged(c))
            .collect();
        let sender = |client_end: End| {
            if place.end == client_end {
                Side::Client
            } else {
                Side::Server
            }
        };
        for &connection in &near {
            let known = self.connections.near(connection);
            for client_end in [0, 1] {
                if compare_numbers(&known, sender(client_end), dss) == Numbers::Fit {
                    return Some(Fit {
                        connection,
                        client_end,
                        evidence: Grouping::Dsn,
                    });
                }
            }
        }
        let possible = |fit: &Fit| {
            let known = self.connections.near(fit.connection);
            compare_numbers(&known, sender(fit.client_end), dss) != Numbers::Contradict
                && !self.connections.is_over(fit.connection)
        };
        self.fit_by_address(ends).filter(possible).or_else(|| {
            let mut pairs = near
                .iter()
                .filter_map(|&c| self.same_hosts(ends, c))
                .filter(possible);
            let only = pairs.next()?;
            // Two connections between the same hosts leave nothing but chance.
            pairs.next().is_none().then_some(only)
        })
    }

    /// The one connection in which the address of one end was announced, if there is just one.
    fn fit_by_address(&self, ends: &FlowEnds) -> Option<Fit> {
        let mut found = None;
        for end in [0, 1] {
            let address = ends.addresses()[end].ip();
            let Some(list) = self.index.announced.get(&address) else {
                continue;
            };
            let peer_known = |connection: usize| {
                self.connections.known_streams(connection).any(|stream| {
                    let known = self.flows.ends(stream).addresses();
                    known
                        .iter()
                        .any(|a| a.ip() == ends.addresses()[1 - end].ip())
                })
            };
            for &(connection, owner) in list {
                if !peer_known(connection) {
                    continue;
                }
                if found.is_some() {
                    return None;
                }
                let client_end = if owner == Side::Client { end } else { 1 - end };
                found = Some(Fit {
                    connection,
                    client_end,
                    evidence: Grouping::AddressId,
                });
            }
        }
        found
    }

    /// Whether a connection with a handshake has a subflow between the hosts of `ends`, at the same
    /// server port.
    fn same_hosts(&self, ends: &FlowEnds, connection: usize) -> Option<Fit> {
        let fit = |(stream, client_end): (StreamId, End)| {
            let known = self.flows.ends(stream).addresses();
            let (client, server) = (known[client_end], known[1 - client_end]);
            [0, 1].into_iter().find_map(|client_end| {
                let (c, s) = (
                    ends.addresses()[client_end],
                    ends.addresses()[1 - client_end],
                );
                (c.ip() == client.ip() && s == server).then_some(Fit {
                    connection,
                    client_end,
                    evidence: Grouping::Guess,
                })
            })
        };
        if let Some(asleep) = self.connections.asleep(connection) {
            let head = asleep.head();
            // One that is over takes no further stream by chance.
            return (!head.is_over).then(|| head.client_ends().find_map(fit))?;
        }
        let builder = self.connections.awake(connection)?;
        if builder.has_no_handshake() && builder.token_of_unknown.is_none() {
            return None;
        }
        let client_end = |stream: StreamId| {
            let mptcp = self.streams[stream].mptcp.as_ref()?;
            Some((stream, mptcp.client_end))
        };
        builder.known_streams().filter_map(client_end).find_map(fit)
    }

    /// Merges the connection made for joins with an unknown token into the one whose key explains
    /// the token. `owner` is the host that the token belongs to, and received the joins' SYNs.
    pub(super) fn adopt_orphan(&mut self, token: Token, connection: usize, owner: Side) {
        let Some(orphan) = self.index.take_orphan(token) else {
            return;
        };
        if orphan != connection && !self.connections.is_merged(orphan) {
            self.merge(orphan, connection, owner == Side::Client);
        }
    }

    /// Makes `from` a part of `into`. `turned`: the client of one is the server of the other.
    pub(super) fn merge(&mut self, from: usize, into: usize, turned: bool) {
        debug!(from, into, "two parts of one connection");
        self.wake(from);
        self.wake(into);
        let fresh = ConnectionBuilder::new(super::DataOptions::default());
        let mut source = std::mem::replace(&mut self.connections[from], fresh);
        self.connections[from].is_merged = true;
        for stream in source.streams.iter() {
            if let Some(mptcp) = &mut self.streams[stream].mptcp {
                mptcp.connection = into;
                mptcp.forget_verdicts();
                if turned {
                    mptcp.client_end = 1 - mptcp.client_end;
                }
            }
            self.index.note_hosts(self.flows.ends(stream), into);
        }
        if turned {
            source.turn_around();
        }
        self.merge_data(&mut source, into);
        self.connections[into].absorb(source);
    }

    /// Puts the data of both parts on one scale, and tells all subflows.
    fn merge_data(&mut self, source: &mut ConnectionBuilder, into: usize) {
        let target = &mut self.connections[into];
        for direction in Direction::BOTH {
            let data = std::mem::take(source.data.of_mut(direction));
            let merged = target.data.of_mut(direction).merge(data, |id| id);
            for stream in source.streams.iter() {
                if let Some(mptcp) = &mut self.streams[stream].mptcp {
                    let end = mptcp.end_of(direction.sender());
                    mptcp.ends[end].data.follow_merge(&merged);
                }
            }
            for lost in &merged.lost {
                let stream = self.streams.get_mut(lost.subflow as StreamId);
                if let Some(mptcp) = stream.and_then(|stream| stream.mptcp.as_mut()) {
                    let end = mptcp.end_of(direction.sender());
                    mptcp.ends[end].data.lose(lost);
                }
            }
        }
    }

    /// Turns a connection around whose client was taken for its server.
    pub(super) fn turn_around(&mut self, connection: usize) {
        self.connections[connection].turn_around();
        for stream in self.connections[connection].streams.iter() {
            if let Some(mptcp) = &mut self.streams[stream].mptcp {
                mptcp.client_end = 1 - mptcp.client_end;
            }
        }
    }
}

/// Compares the DSN and DATA_ACK of a DSS that `sender` would have sent with what is known of a
/// connection: the highest DSN of each direction.
fn compare_numbers(known: &PerDirection<Option<Dsn>>, sender: Side, dss: Option<&Dss>) -> Numbers {
    let Some(dss) = dss else {
        return Numbers::Silent;
    };
    let own = *known.of(sender.sends());
    let peer = *known.of(sender.other().sends());
    let dsn = dss.mapping.and_then(|mapping| match mapping.dsn {
        WireDsn::Long(long) => is_near_long(own, long),
        WireDsn::Short(short) => is_near_short(own, short),
    });
    let ack = dss.data_ack.and_then(|ack| match ack {
        DataAck::Long(long) => is_near_long(peer, long),
        DataAck::Short(short) => is_near_short(peer, short),
    });
    match (dsn, ack) {
        (Some(false), _) | (_, Some(false)) => Numbers::Contradict,
        (None, None) => Numbers::Silent,
        _ => Numbers::Fit,
    }
}

fn first_dss(options: &SegmentOptions) -> Option<&Dss> {
    options.iter().find_map(|option| match option {
        MptcpOption::Dss(dss) => Some(dss),
        _ => None,
    })
}

fn is_near_long(near: Option<Dsn>, number: u64) -> Option<bool> {
    near.map(|near| Dsn(number).offset_from(near).unsigned_abs() <= NEAR_LONG)
}

fn is_near_short(near: Option<Dsn>, number: u32) -> Option<bool> {
    near.map(|near| Dsn::expand(number, near).offset_from(near).unsigned_abs() <= NEAR_SHORT)
}
