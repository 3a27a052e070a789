//! A connection of several subflows (RFC 8684), or of one after fallback.
//!
//! Segments come in with `handle_segment`, and leave with `poll_transmit`; the application writes,
//! reads and closes; [`Event`]s say what happened. [`Endpoint`](crate::endpoint::Endpoint) drives it.
//!
//! What it never does: read a clock or a random source, answer from within `handle_segment`, or let
//! anything that the network can make grow pass a named limit.

pub(crate) mod accept_join;
mod action;
mod address;
pub mod address_book;
mod buffer;
mod close;
pub mod command;
pub mod config;
pub mod counters;
mod doubt;
mod early;
pub mod event;
mod fail;
pub mod fallback;
mod fast_close;
pub mod handshake;
mod hook;
pub mod info;
pub mod join;
mod keep_alive;
pub mod mechanism;
pub(crate) mod open;
pub mod options;
mod pacing;
pub mod queues;
mod receive;
pub mod received;
mod refused;
mod schedule;
mod signals;
pub mod state;
mod subflow;
mod subflows;
pub mod timer;
mod timers;
mod transmit;
mod urgent;
pub mod violation;

use std::collections::VecDeque;

pub use config::Config;
pub use counters::{Counter, Counters};
pub use event::{ConnectionEnd, Event, ListenerId, SubflowEnd};
pub use fallback::FallbackReason;
pub use info::{MptcpInfo, SubflowInfo};
pub use pacing::Pacing;
pub use pm::Role;
pub use queues::{Queue, Queued};
pub use state::State;
pub use violation::{Reaction, Violation};

use crate::cc::CongestionControl;
use crate::conn::handshake::{Session, SynReceived, SynSent};
use crate::conn::subflow::Subflow;
use crate::conn::timer::TimerTable;
use crate::data::{Payload, ReceiveBuffer, SendBuffer};
use crate::key::Token;
use crate::path::{PathView, SubflowId};
use crate::pm;
use crate::random::RandomSource;
use crate::sched::Picker;
use crate::seq::Dsn;
use crate::tcp::Path;
use crate::time::Instant;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    config: Config,
    phase: Phase,
    state: State,
    /// Ends of the initial subflow, even when that is gone.
    initial: Path,
    subflows: Vec<Subflow>,
    next_subflow: u32,
    send: SendBuffer,
    receive: ReceiveBuffer,
    congestion: Box<dyn CongestionControl>,
    picker: Picker,
    paths: address::Paths,
    tuning: buffer::Tuning,
    timers: TimerTable,
    /// Tries of the data-level timers since the last progress.
    tries: timers::Tries,
    events: VecDeque<Event>,
    changes: VecDeque<Change>,
    counters: Counters,
    progress: Progress,
    /// The subflow that sent last: the next one has its turn.
    turn: usize,
    views: Vec<PathView>,
    /// What goes with the SYN, or went.
    early: Payload,
}

/// What the connection speaks.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The SYN with MP_CAPABLE is out.
    SynSent(SynSent),
    /// The SYN/ACK with MP_CAPABLE is out.
    SynReceived(SynReceived),
    /// MPTCP.
    Mptcp(Session),
    /// TCP, on the initial subflow or on the last one left.
    Tcp(Plain),
}

/// TCP after fallback: stream positions of the only subflow are data sequence numbers, less a constant.
#[derive(Debug, Clone, Copy)]
struct Plain {
    reason: FallbackReason,
    /// DSN that position 0 of our stream would have.
    send_base: Dsn,
    /// What the peer is still told of the end of MPTCP.
    farewell: Farewell,
}

/// Last options of a connection that falls back after both hosts had spoken MPTCP (RFC 8684 §3.7).
#[derive(Debug, Clone, Copy, Default)]
struct Farewell {
    /// MP_FAIL, repeated until the peer reacts.
    fail: Option<Dsn>,
    /// MP_FAIL so many times: once in answer to the peer's; more often where no option came, and the peer
    /// may not know that its own do not arrive.
    notice: Option<(Dsn, u8)>,
    /// The infinite mapping, on all segments until one with it is acknowledged: the position where it
    /// begins.
    infinite: Option<u64>,
    session: Option<Session>,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
struct Progress {
    /// The application knows that the connection is up.
    is_connected: bool,
    /// RFC 8684 §3.1: the peer has shown that options pass in both directions.
    is_fully_established: bool,
    /// DSN after our last urgent byte.
    urgent: Option<Dsn>,
    /// A DSS came, or the data with MP_CAPABLE that are like one.
    has_dss: bool,
    /// The path manager knows that joins are possible.
    may_join: bool,
    /// The application was told that it can read, and did not do so yet.
    is_readable_told: bool,
    /// A write found no room.
    is_write_blocked: bool,
    /// The peer's end of data was told.
    is_peer_closed_told: bool,
    /// The application reads no more.
    is_read_closed: bool,
    /// The end was told.
    is_closed_told: bool,
    /// Another subflow than the initial one carries data, or did, for all that the peer knows.
    has_joined: bool,
    /// A subflow that was up ended otherwise than with FINs.
    pub(super) has_lost_subflow: bool,
    /// A DATA_FIN is to be given to a subflow.
    is_fin_wanted: bool,
    /// The last acknowledgement was a third ACK.
    has_repeated_third_ack: bool,
    /// New data may be given to subflows.
    may_schedule: bool,
    /// DATA_ACK of four octets will do: the peer's last DSN had four (RFC 8684 §3.3.2).
    is_peer_short: bool,
    /// When the last data came and went, and when the peer was heard of.
    /// The time of the last call.
    now: Instant,
    last_sent: Instant,
    last_received: Instant,
    last_data_received: Instant,
    last_acked: Instant,
}

/// What the endpoint is to know of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// A subflow has this 4-tuple now.
    PathOpened(Path, SubflowId),
    /// It has it no longer.
    PathClosed(Path),
    /// No join may name this token any more.
    TokenReleased(Token),
    /// MPTCP failed or worked on the way to the peer, for the memory of blackholes.
    Outcome(Outcome),
}

/// How the first handshake went, seen from the initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The peer speaks MPTCP.
    Mptcp,
    /// Several SYNs with the option were lost, and one without came through.
    Blackhole,
    /// A SYN with the option was refused, and one without came through.
    Refused,
    /// The peer answered without the option.
    Tcp,
    /// The peer prefers this version.
    OtherVersion(u8),
}

impl Connection {
    /// Which end this host is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// State of the data level.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Ends of the initial subflow, even when that is gone.
    pub const fn initial(&self) -> Path {
        self.initial
    }

    /// Whether the peer has sent all and all of it was read.
    pub fn is_at_end(&self) -> bool {
        self.receive.readable() == 0 && self.receive.is_fin_reached()
    }

    /// Why the connection is TCP, if it is.
    pub const fn fallback(&self) -> Option<FallbackReason> {
        match self.phase {
            Phase::Tcp(plain) => Some(plain.reason),
            _ => None,
        }
    }

    /// What both hosts know, while the connection is MPTCP.
    pub const fn session(&self) -> Option<&Session> {
        match &self.phase {
            Phase::Mptcp(session) => Some(session),
            _ => None,
        }
    }

    /// Counters with the names that Linux has.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Next event for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether an event waits.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the handshake of the initial subflow is complete, or was.
    pub const fn is_connected(&self) -> bool {
        self.progress.is_connected
    }

    pub(crate) fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When `handle_timeout` is to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let subflows = self.subflows.iter();
        let subflows = subflows.filter_map(|subflow| {
            let join = subflow.join_ack.map(|(at, _)| at);
            let alive = subflow.keep_alive.map(|asked| asked.due);
            let tcp = subflow.tcp.poll_timeout();
            [tcp, join, alive, subflow.signal_timeout()]
                .into_iter()
                .flatten()
                .min()
        });
        let announce = self.paths.poll_timeout().filter(|_| self.may_announce());
        let announce = announce.max(self.signals_open_at().filter(|_| announce.is_some()));
        // Without any subflow the path manager may still want one.
        let manager = self.paths.manager.poll_timeout();
        let manager = manager.filter(|_| self.is_joinable());
        let paths = announce.into_iter().chain(manager);
        subflows.chain(self.timers.next()).chain(paths).min()
    }

    /// Whether nothing is left of it, not even a subflow in TIME-WAIT, nor data that came whole and that
    /// the application may still read.
    pub(crate) fn is_gone(&self) -> bool {
        let is_unread = self.receive.readable() > 0 && self.receive.is_fin_reached();
        let is_over = self.state == State::Closed && self.timers.next().is_none();
        is_over && self.subflows.is_empty() && (!is_unread || self.progress.is_read_closed)
    }

    /// Shared by those who have to know which subflow an id names.
    fn index_of(&self, id: SubflowId) -> Option<usize> {
        self.subflows.iter().position(|subflow| subflow.id == id)
    }

    fn count(&mut self, counter: Counter) {
        self.counters.add(counter, 1);
    }

    fn tell(&mut self, event: Event) {
        // What the network can repeat at will must not fill the memory of an application that does not
        // listen: the oldest events go first, those that end a connection come last.
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Smallest and largest of something over the subflows that are up.
    fn up(&self) -> impl Iterator<Item = &Subflow> {
        self.subflows.iter().filter(|subflow| subflow.is_up())
    }
}

/// Randomness and what else a connection borrows from its host for one call.
pub(crate) struct Context<'a> {
    pub(crate) random: &'a mut dyn RandomSource,
    /// Whether no connection of the host has these ends.
    pub(crate) is_free: &'a dyn Fn(&Path) -> bool,
}

/// Events that wait for the application.
const MAX_EVENTS: usize = 1024;
/// Subflows at a time, those whose handshake is under way and those that are being closed included.
pub const MAX_SUBFLOWS: usize = 64;
