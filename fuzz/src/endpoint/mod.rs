//! Body for the endpoint: two hosts, three paths, and a network that does what the bytes say.
//!
//! The first bytes choose how the hosts are set up, every three bytes after them are a step: time
//! passes, an application does something, a packet is delivered, lost, repeated, overtaken or changed,
//! bytes of a stranger arrive. At the end the network lets everything through and both applications
//! close: then all must end.

mod application;
mod command;
mod memory;
mod network;
mod setup;
mod step;

use std::time::Duration;

use mptcp_proto::conn::{ConnectionEnd, Event};
use mptcp_proto::endpoint::{ConnId, Endpoint};
use mptcp_proto::time::Instant;

use network::{Network, Observer};
use setup::Setup;

/// Runs the session that the bytes describe. It holds that
///
/// - nothing panics, and every call has few consequences: no livelock;
/// - what is read is the beginning of what was written, unless someone forged a segment; where options
///   are lost the data are right or the connection is reset;
/// - a DATA_ACK never moves back, nor does the window's edge where the hosts alone decide;
/// - buffers and lists keep to their limits;
/// - once the network lets everything through and both close, both connections end, and what ended
///   well is complete.
pub fn endpoint_session(data: &[u8]) -> Report {
    let (head, steps) = data.split_at(data.len().min(SETUP_LEN));
    let mut session = Session::new(head);
    for step in steps.chunks_exact(3).take(MAX_STEPS) {
        session.step(step::Step::new(step));
        session.settle();
        session.check();
    }
    session.finish()
}

/// What a session could compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Bytes that were read and compared with what was written.
    pub compared: u64,
    /// Both ended well, and all that was written, which was not nothing, was read and compared.
    pub is_complete: bool,
}

/// One of the two hosts, with its application.
struct Host {
    endpoint: Endpoint,
    /// The connection that is followed: the first one.
    id: Option<ConnId>,
    /// Bytes written and read.
    written: u64,
    read: u64,
    /// Bytes that were read and compared.
    compared: u64,
    end: Option<ConnectionEnd>,
    observer: Observer,
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the session that decides what can be checked"
)]
struct Session {
    hosts: [Host; 2],
    network: Network,
    now: Instant,
    setup: Setup,
    /// Someone has changed or made up what decides about data.
    is_forged: bool,
    /// There is more than the one connection.
    is_repeated: bool,
    /// Options were removed.
    is_stripped: bool,
    /// An application gave up, or stopped reading.
    is_abandoned: bool,
}

impl Session {
    fn new(head: &[u8]) -> Self {
        let setup = Setup::new(head);
        let host = |side| Host {
            endpoint: setup.endpoint(side),
            id: None,
            written: 0,
            read: 0,
            compared: 0,
            end: None,
            observer: Observer::default(),
        };
        let mut session = Self {
            hosts: [host(0), host(1)],
            network: Network::default(),
            now: Instant::from_millis(1),
            setup,
            is_forged: false,
            is_repeated: false,
            is_stripped: false,
            is_abandoned: false,
        };
        session.hosts[1]
            .endpoint
            .listen(
                setup::address(1, 0, setup::PORT),
                4,
                session.setup.config(1),
            )
            .expect("nobody listens yet");
        session.connect();
        if session.setup.is_early() {
            session.write(0, EARLY);
        }
        session.settle();
        session
    }

    fn connect(&mut self) {
        let path = mptcp_proto::tcp::Path {
            local: setup::address(0, 0, 40_000),
            remote: setup::address(1, 0, setup::PORT),
        };
        let config = self.setup.config(0);
        let client = &mut self.hosts[0];
        client.id = client.endpoint.connect(self.now, path, config).ok();
    }

    /// Lets the hosts act on the time and say what they have to say.
    fn settle(&mut self) {
        for side in 0..2 {
            self.drain(side);
            let mut rounds = 0;
            while self.is_due(side) {
                rounds += 1;
                assert!(
                    rounds < MAX_ROUNDS,
                    "a deadline of host {side} does not go away"
                );
                self.hosts[side].endpoint.handle_timeout(self.now);
                self.drain(side);
            }
        }
    }

    fn is_due(&self, side: usize) -> bool {
        let deadline = self.hosts[side].endpoint.poll_timeout();
        deadline.is_some_and(|at| at <= self.now)
    }

    fn drain(&mut self, side: usize) {
        let mut packet = Vec::new();
        let mut count = 0;
        while self.hosts[side]
            .endpoint
            .poll_transmit(self.now, &mut packet)
        {
            count += 1;
            assert!(count < MAX_PACKETS, "host {side} sends without end");
            let is_fair = !self.is_forged && !self.is_stripped && self.setup.has_plain_windows();
            let is_unclear = self.is_forged || self.is_repeated;
            self.hosts[side].observer.see(&packet, is_unclear, is_fair);
            self.network.send(side, &packet);
        }
        self.drain_events(side);
    }

    fn drain_events(&mut self, side: usize) {
        let host = &mut self.hosts[side];
        while let Some((id, event)) = host.endpoint.poll_event() {
            match event {
                Event::Incoming { .. } if host.id.is_none() => host.id = Some(id),
                // A SYN that came again, or an ACK with its cookie: the same keys and numbers, once more.
                Event::Incoming { .. } => self.is_repeated = true,
                Event::Closed { how } if host.id == Some(id) => host.end = Some(how),
                _ => {}
            }
        }
    }

    /// The network lets everything through, and both applications close.
    fn finish(&mut self) -> Report {
        self.network.open();
        let until = self.now + LONGEST;
        let mut events = 0;
        while self.has_connections() {
            events += 1;
            if self.is_forged && events == MAX_EVENTS / 2 {
                // Whoever forges a DATA_ACK can make data vanish, which then are waited for.
                self.abort_all();
            }
            assert!(events < MAX_EVENTS, "no end: {}", self.describe());
            for side in 0..2 {
                self.close_all(side);
            }
            self.settle();
            if self.deliver_all() {
                // A path takes some time, lest everything happen at once for ever.
                self.now += Duration::from_millis(5);
                continue;
            }
            if !self.has_connections() {
                break;
            }
            let deadlines = self
                .hosts
                .iter()
                .filter_map(|host| host.endpoint.poll_timeout());
            let Some(next) = deadlines.min() else {
                // A host that never hears of its peer's end waits for ever, as in TCP (RFC 9293 §3.5.1).
                assert!(
                    self.may_wait_for_ever(),
                    "nothing happens any more: {}",
                    self.describe()
                );
                self.abort_all();
                continue;
            };
            let is_late = next > until;
            // What an old cookie has made of a connection lacks what its peer has got acknowledged, and says so
            // to each repetition.
            let is_endless = self.is_forged || self.is_repeated;
            assert!(!is_late || is_endless, "no end: {}", self.describe());
            if is_late {
                self.abort_all();
            }
            self.now = self.now.max(next);
            self.settle();
        }
        self.settle();
        self.check_empty();
        Report {
            compared: self.hosts.iter().map(|host| host.compared).sum(),
            is_complete: self.check_complete(),
        }
    }

    fn may_wait_for_ever(&self) -> bool {
        let has_died = |host: &Host| host.end.is_some_and(|end| end != ConnectionEnd::Closed);
        // A connection that an old cookie has made has a peer that answers from TIME-WAIT at most.
        let is_orphan = self.is_abandoned || self.is_repeated;
        self.is_forged || is_orphan || self.hosts.iter().any(has_died)
    }

    fn has_connections(&self) -> bool {
        let mut hosts = self.hosts.iter();
        hosts.any(|host| host.endpoint.connection_count() > 0)
    }

    fn deliver_all(&mut self) -> bool {
        let mut has_any = false;
        for side in 0..2 {
            while let Some(packet) = self.network.take(side, 0) {
                has_any = true;
                self.arrive(1 - side, &packet);
            }
        }
        has_any
    }

    fn arrive(&mut self, side: usize, packet: &[u8]) {
        self.hosts[side].endpoint.handle_packet(self.now, packet);
        self.drain_events(side);
    }

    /// What both call closed is all there. Whether it could be checked.
    fn check_complete(&self) -> bool {
        let [client, server] = &self.hosts;
        let is_well = [client.end, server.end] == [Some(ConnectionEnd::Closed); 2];
        let is_known = self.is_content_sure() && !self.is_abandoned && !self.is_repeated;
        if is_well && is_known {
            assert_eq!(
                [client.written, server.written],
                [server.read, client.read],
                "both ends closed well: {}",
                self.describe()
            );
        }
        is_well && is_known && client.compared + server.compared > 0
    }

    /// Whether only the hosts decide about the data; who takes options away does not.
    const fn is_content_sure(&self) -> bool {
        !self.is_forged
    }

    fn describe(&self) -> String {
        let hosts = self.hosts.iter().map(|host| {
            let connections = host.endpoint.connections();
            let infos = connections.map(|c| format!("{c:?}"));
            (host.end, infos.collect::<Vec<_>>())
        });
        let flags = [
            self.is_forged,
            self.is_repeated,
            self.is_stripped,
            self.is_abandoned,
        ];
        format!("{flags:?} {:?}", hosts.collect::<Vec<_>>())
    }
}

/// Bytes of an input with so many steps.
pub const fn session_len(steps: usize) -> usize {
    SETUP_LEN.saturating_add(steps.saturating_mul(3))
}

/// Bytes that choose the setup.
const SETUP_LEN: usize = 12;
/// Bytes that are written before the SYN leaves: more than it holds.
const EARLY: usize = 700;
/// Steps of one session.
const MAX_STEPS: usize = 4096;
/// Packets that a host may send without time passing or anything arriving.
const MAX_PACKETS: u32 = 2000;
/// Calls of `handle_timeout` at one time.
const MAX_ROUNDS: u32 = 50;
/// Rounds until all has ended.
const MAX_EVENTS: u32 = 20_000;
/// Virtual time until all has ended: fifteen timeouts of up to two minutes come first.
const LONGEST: Duration = Duration::from_secs(6 * 3600);
