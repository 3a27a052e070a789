//! All connections of a host: packets in, packets out.
//!
//! ```text
//! handle_packet(now, packet)      a packet for one of the host's addresses came
//! poll_transmit(now, &mut out)    until false: the next packet to send
//! poll_timeout()                  then wait until here, or for a packet
//! handle_timeout(now)             the time has come
//! poll_event()                    what the application should know
//! ```
//!
//! Nothing is sent from within `handle_packet`: the answers come from `poll_transmit`.

pub mod blackhole;
pub mod cookie;
mod demux;
mod listener;
mod open;
mod ready;
mod stateless;
mod stateless_join;
pub mod tokens;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

pub use crate::conn::ListenerId;
pub use listener::ListenError;
pub use open::ConnectError;

use crate::conn::{Connection, Counters, Event};
use crate::endpoint::blackhole::Destinations;
use crate::endpoint::cookie::{CookieJar, PendingJoins, SpentCookies};
use crate::endpoint::listener::Listeners;
use crate::endpoint::tokens::TokenTable;
use crate::path::SubflowId;
use crate::random::RandomSource;
use crate::tcp::Path;
use crate::time::Instant;
use crate::wire::segment::SegmentError;

/// Name of a connection, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    slot: u32,
    generation: u32,
}

/// How a host is to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether TCP checksums of packets that come in are known to be good.
    pub checksums_known_good: bool,
    /// Whether segments that belong to nothing are answered with RST (RFC 9293 §3.10.7.1).
    pub resets_strays: bool,
    /// For how long MPTCP is not tried with a destination after a black hole; zero for never
    /// (RFC 8684 §3.9.3).
    pub blackhole_period: Duration,
    /// When SYNs are answered without remembering them (RFC 4987 §3.6).
    pub syn_cookies: SynCookies,
    /// Connections at most, those in their handshake included.
    pub max_connections: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            checksums_known_good: false,
            resets_strays: true,
            syn_cookies: SynCookies::default(),
            blackhole_period: Destinations::FIRST_PERIOD,
            max_connections: MAX_CONNECTIONS,
        }
    }
}

/// When SYNs are answered without remembering them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SynCookies {
    /// Never: SYNs above the backlog are dropped.
    Never,
    /// When the backlog of the listener is full; joins also when many of their connection are half open.
    #[default]
    WhenFull,
    /// Always.
    Always,
}

/// A host with its connections.
pub struct Endpoint {
    config: Config,
    random: Box<dyn RandomSource + Send>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Which subflow a packet belongs to.
    paths: HashMap<Path, (ConnId, SubflowId)>,
    tokens: TokenTable<ConnId>,
    listeners: Listeners,
    /// Connections that may have something to send.
    ready: VecDeque<ConnId>,
    /// Connections that may have events.
    talkative: VecDeque<ConnId>,
    /// For each connection a time not later than its next deadline.
    deadlines: BTreeSet<(Instant, ConnId)>,
    /// Packets that belong to no connection.
    replies: VecDeque<Vec<u8>>,
    /// Counts of what belongs to no connection, or to one that is gone.
    counters: Counters,
    dropped: Dropped,
    /// What is known of the hosts that connections go to.
    destinations: Destinations,
    jar: CookieJar,
    /// Joins whose SYN was answered with a cookie.
    joins: PendingJoins,
    /// Cookies that have begun a connection.
    spent: SpentCookies,
    /// Offset of the timestamp clock under SYN cookies.
    cookie_clock: u32,
    /// When a SYN was last answered with a cookie.
    last_cookie: Option<Instant>,
    /// Time of the last call.
    now: Instant,
    /// Addresses of the host that are up.
    addresses: Vec<IpAddr>,
}

/// A place for a connection.
#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Box<Entry>>,
}

#[derive(Debug)]
struct Entry {
    connection: Connection,
    /// Where it came in, until the application is told.
    incoming: Option<ListenerId>,
    /// Where it counts as half open.
    is_half_open: Option<ListenerId>,
    is_ready: bool,
    is_talkative: bool,
    deadline: Option<Instant>,
    /// Ends of the initial subflow.
    initial: Path,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// This connection took it.
    Connection(ConnId),
    /// It began a connection.
    Began(ConnId),
    /// It was answered with a SYN cookie.
    Cookie,
    /// It was answered with RST.
    Reset,
    /// It was dropped: nobody waits for it, or a queue is full.
    Dropped,
    /// It is no TCP segment that holds together.
    Undecoded(SegmentError),
}

/// Packets that no connection took, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// No whole TCP segment, or a wrong checksum.
    pub undecoded: u64,
    /// No connection and no listener.
    pub stray: u64,
    /// The backlog of the listener, or the host, was full.
    pub backlog: u64,
    /// SYNs with flag B of MP_CAPABLE, to a listener that speaks version 0 alone (RFC 6824 §3.1).
    pub extended: u64,
    /// SYNs that were answered with a cookie.
    pub cookies: u64,
    /// There were too many answers to send.
    pub replies: u64,
}

/// Entries of the tables of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableSizes {
    /// Connections, as [`Endpoint::connection_count`] has them.
    pub connections: usize,
    /// Subflows that packets are sorted to by their 4-tuple.
    pub paths: usize,
    /// Tokens that are taken.
    pub tokens: usize,
    /// Connections that wait for a time.
    pub deadlines: usize,
    /// Answers that belong to no connection and are not sent yet.
    pub replies: usize,
    /// Joins that wait for their third ACK outside of their connection, as [`Endpoint::pending_joins`] has
    /// them.
    pub pending_joins: usize,
    /// Cookies that have begun a connection and are good still: at most [`SpentCookies::MAX_SPENT`].
    pub spent_cookies: usize,
}

impl Endpoint {
    /// A host without connections. The random source decides about keys, nonces and sequence numbers.
    pub fn new(config: Config, mut random: Box<dyn RandomSource + Send>) -> Self {
        let jar = CookieJar::new(&mut *random);
        let cookie_clock = random.next_u32();
        let max = config.max_connections;
        let destinations = Destinations::new(config.blackhole_period);
        Self {
            config,
            random,
            slots: Vec::new(),
            free: Vec::new(),
            paths: HashMap::new(),
            tokens: TokenTable::new(max),
            listeners: Listeners::default(),
            ready: VecDeque::new(),
            talkative: VecDeque::new(),
            deadlines: BTreeSet::new(),
            replies: VecDeque::new(),
            counters: Counters::new(),
            dropped: Dropped::default(),
            destinations,
            jar,
            joins: PendingJoins::default(),
            spent: SpentCookies::default(),
            cookie_clock,
            last_cookie: None,
            now: Instant::ZERO,
            addresses: Vec::new(),
        }
    }

    /// A connection.
    pub fn connection(&self, id: ConnId) -> Option<&Connection> {
        self.entry(id).map(|entry| &entry.connection)
    }

    /// A connection, to be written, read, closed. Then call [`Endpoint::poll_transmit`].
    pub fn connection_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.touch(id);
        self.entry_mut(id).map(|entry| &mut entry.connection)
    }

    /// Next event, with the connection it is about.
    pub fn poll_event(&mut self) -> Option<(ConnId, Event)> {
        while let Some(&id) = self.talkative.front() {
            if let Some(entry) = self.entry_mut(id) {
                if let Some(event) = entry.next_event() {
                    return Some((id, event));
                }
                entry.is_talkative = false;
                let is_gone = entry.connection.is_gone();
                self.talkative.pop_front();
                if is_gone {
                    self.remove_if_gone(id);
                }
            } else {
                self.talkative.pop_front();
            }
        }
        None
    }

    /// An address of the host is usable: path managers may use it.
    pub fn address_up(&mut self, address: IpAddr) {
        if !self.addresses.contains(&address) && self.addresses.len() < MAX_ADDRESSES {
            self.addresses.push(address);
            self.for_each(|connection| connection.local_up(address));
        }
    }

    /// An address of the host is gone.
    pub fn address_down(&mut self, address: IpAddr) {
        self.addresses.retain(|known| *known != address);
        self.for_each(|connection| connection.local_down(address));
    }

    fn for_each(&mut self, mut act: impl FnMut(&mut Connection)) {
        for slot in 0..self.slots.len() {
            let Some(generation) = self.slots.get(slot).map(|slot| slot.generation) else {
                return;
            };
            let id = ConnId {
                slot: u32::try_from(slot).unwrap_or(u32::MAX),
                generation,
            };
            if let Some(entry) = self.entry_mut(id) {
                act(&mut entry.connection);
                self.touch(id);
            }
        }
    }

    /// Names of all connections.
    pub fn connection_ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        let slots = (0..).zip(&self.slots);
        let taken = slots.filter(|(_, slot)| slot.entry.is_some());
        taken.map(|(number, slot)| ConnId {
            slot: number,
            generation: slot.generation,
        })
    }

    /// All connections.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        let entries = self.slots.iter().filter_map(|slot| slot.entry.as_deref());
        entries.map(|entry| &entry.connection)
    }

    /// Connections, those that are being closed among them.
    pub fn connection_count(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Joins whose SYN was answered with a cookie and whose third ACK is awaited: at most
    /// [`PendingJoins::MAX_PENDING`], for [`PendingJoins::MAX_WAIT`] at most.
    pub fn pending_joins(&self) -> usize {
        self.joins.len()
    }

    /// Entries of the tables that connections fill. All are zero once the last connection is gone,
    /// TIME-WAIT included, nobody begins a join any more, and no SYN cookie is good any more.
    pub fn table_sizes(&self) -> TableSizes {
        TableSizes {
            connections: self.connection_count(),
            paths: self.paths.len(),
            tokens: self.tokens.len(),
            deadlines: self.deadlines.len(),
            replies: self.replies.len(),
            pending_joins: self.joins.len(),
            spent_cookies: self.spent.len(),
        }
    }

    /// Counters with the names that Linux has, over all connections.
    pub fn counters(&self) -> Counters {
        let mut all = self.counters.clone();
        for entry in self.slots.iter().filter_map(|slot| slot.entry.as_ref()) {
            all.merge(entry.connection.counters());
        }
        all
    }

    /// Packets that no connection took.
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn entry(&self, id: ConnId) -> Option<&Entry> {
        let slot = self.slots.get(id.slot as usize)?;
        let is_same = slot.generation == id.generation;
        slot.entry.as_deref().filter(|_| is_same)
    }

    fn entry_mut(&mut self, id: ConnId) -> Option<&mut Entry> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        let is_same = slot.generation == id.generation;
        slot.entry.as_deref_mut().filter(|_| is_same)
    }
}

impl Entry {
    /// Next event. An application hears of a connection that came in when it is established, or its SYN had data.
    fn next_event(&mut self) -> Option<Event> {
        if self.incoming.is_none() {
            return self.connection.poll_event();
        }
        if !self.connection.is_connected() && self.connection.readable() == 0 {
            return None;
        }
        let listener = self.incoming.take()?;
        Some(Event::Incoming { listener })
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("connections", &self.connection_count())
            .field("paths", &self.paths.len())
            .finish_non_exhaustive()
    }
}

/// Connections of a host at most.
pub const MAX_CONNECTIONS: usize = 131_072;
/// Addresses of a host.
const MAX_ADDRESSES: usize = 255;
/// Answers that wait to be sent.
const MAX_REPLIES: usize = 1024;
