//! Two of our endpoints, and nothing between them but packets.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::config::{Buffers, Offer, Switch};
use mptcp_proto::conn::{Config, Event};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::pm::Limits;
use mptcp_proto::random::RandomSource;
use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Priority;

/// How a connection is made up.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    /// None is TCP.
    subflows: usize,
    checksum: bool,
    payload: usize,
    /// Whether TCP checksums are looked at when packets come in; they are always made.
    verifies: bool,
}

impl Load {
    pub(crate) fn all(payload: usize) -> Vec<Self> {
        let load = |subflows, checksum, verifies| Self {
            subflows,
            checksum,
            payload,
            verifies,
        };
        vec![
            load(0, false, true),
            load(1, false, false),
            load(1, false, true),
            load(2, false, true),
            load(4, false, true),
            load(1, true, true),
            load(2, true, true),
            load(4, true, true),
        ]
    }

    /// Whether it is one of those that are to carry 10 Gbit of data per CPU second: one subflow or four,
    /// without checksums of its own, all that comes looked at.
    pub(crate) const fn is_judged(&self) -> bool {
        matches!(self.subflows, 1 | 4) && !self.checksum && self.verifies
    }

    pub(crate) fn idle(subflows: usize) -> Self {
        Self {
            subflows,
            checksum: false,
            payload: 1460,
            verifies: true,
        }
    }

    fn config(&self) -> Config {
        let mut config = Config {
            buffers: Buffers {
                receive: BUFFER,
                max_receive: BUFFER,
                send: BUFFER,
                max_send: BUFFER,
            },
            ..Config::default()
        };
        config.mechanisms.autotuning = Switch::Off;
        config.wishes.checksum = self.checksum;
        config.limits = Some(Limits {
            subflows: 8,
            ..Limits::default()
        });
        let mut options = TIMESTAMPS;
        if self.subflows == 0 {
            config.mptcp = Offer::Off;
        } else {
            options += DSS;
        }
        config.tcp.mtu = u32::try_from(self.payload + HEADERS + options).unwrap();
        config
    }

    fn endpoint(&self, seed: u64) -> Endpoint {
        let config = endpoint::Config {
            checksums_known_good: !self.verifies,
            ..endpoint::Config::default()
        };
        Endpoint::new(config, Box::new(Seeded(seed)))
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subflows {
            0 => f.write_str("tcp")?,
            1 => f.write_str("1 subflow")?,
            count => write!(f, "{count} subflows")?,
        }
        if self.checksum {
            f.write_str(", DSS checksums")?;
        }
        if !self.verifies {
            f.write_str(", TCP checksums not verified")?;
        }
        Ok(())
    }
}

/// Splitmix64.
struct Seeded(u64);

impl RandomSource for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = mixed.to_be_bytes()[0];
        }
    }
}

pub(crate) struct Joined {
    client: Endpoint,
    server: Endpoint,
    ids: Vec<[ConnId; 2]>,
    now: Instant,
    packet: Vec<u8>,
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Joined {
    /// A connection with all of its subflows.
    pub(crate) fn new(load: &Load) -> Self {
        Self::with_connections(load, 1)
    }

    /// So many of them, opened one after the other.
    pub(crate) fn with_connections(load: &Load, count: usize) -> Self {
        let mut joined = Self {
            client: load.endpoint(1),
            server: load.endpoint(2),
            ids: Vec::new(),
            now: Instant::from_millis(1),
            packet: Vec::with_capacity(load.payload + 100),
        };
        let config = load.config();
        let server = address("10.9.0.1:80");
        joined.server.listen(server, 16, config.clone()).unwrap();
        for number in 0..count {
            joined.open(load, &config, number, server);
        }
        joined
    }

    fn open(&mut self, load: &Load, config: &Config, number: usize, server: SocketAddr) {
        let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
        let local = |port| SocketAddr::new([10, 1, high, low].into(), port);
        let path = Path {
            local: local(4000),
            remote: server,
        };
        let id = self.client.connect(self.now, path, config.clone()).unwrap();
        self.exchange();
        // The first byte each way is what establishes MPTCP fully.
        self.client.connection_mut(id).unwrap().write(b"x").unwrap();
        self.exchange();
        let theirs = self.accepted();
        self.read(theirs);
        for port in 4001..4000 + u16::try_from(load.subflows.max(1)).unwrap() {
            let connection = self.client.connection_mut(id).unwrap();
            connection
                .open_subflow(local(port), server, Priority::Regular)
                .unwrap();
            self.exchange();
        }
        let up = |connection: Option<&mptcp_proto::conn::Connection>| {
            connection.unwrap().subflows().count()
        };
        assert_eq!(up(self.client.connection(id)), load.subflows.max(1));
        assert_eq!(up(self.server.connection(theirs)), load.subflows.max(1));
        self.ids.push([id, theirs]);
    }

    fn accepted(&mut self) -> ConnId {
        let mut incoming = None;
        while let Some((id, event)) = self.server.poll_event() {
            if matches!(event, Event::Incoming { .. }) {
                incoming = Some(id);
            }
        }
        while self.client.poll_event().is_some() {}
        incoming.unwrap()
    }

    /// Carries packets until nobody has one, or something comes of the time that passes.
    fn exchange(&mut self) {
        for _ in 0..8 {
            self.now += Duration::from_millis(50);
            self.pass_time();
            if self.carry() == 0 {
                return;
            }
        }
    }

    /// Carries what both have to send, once.
    fn carry(&mut self) -> usize {
        let mut count = 0;
        while count < BURST && self.client.poll_transmit(self.now, &mut self.packet) {
            self.server.handle_packet(self.now, &self.packet);
            count += 1;
        }
        while self.server.poll_transmit(self.now, &mut self.packet) {
            self.client.handle_packet(self.now, &self.packet);
            count += 1;
        }
        count
    }

    fn pass_time(&mut self) {
        for host in [&mut self.client, &mut self.server] {
            if host.poll_timeout().is_some_and(|at| at <= self.now) {
                host.handle_timeout(self.now);
            }
        }
    }

    fn read(&mut self, id: ConnId) -> u64 {
        let mut buffer = [0; 16 * 1024];
        let mut got = 0;
        let connection = self.server.connection_mut(id).unwrap();
        while let Read::Data(len @ 1..) = connection.read(&mut buffer) {
            got += len as u64;
        }
        got
    }

    /// Sends `bytes` to the server over the first connection.
    pub(crate) fn transfer(&mut self, bytes: u64) {
        let [ours, theirs] = self.ids[0];
        let block = [7; 16 * 1024];
        let (mut sent, mut got) = (0, 0);
        while got < bytes {
            self.now += Duration::from_micros(10);
            let connection = self.client.connection_mut(ours).unwrap();
            while sent < bytes && connection.writable() >= block.len() {
                let len = usize::try_from((bytes - sent).min(block.len() as u64)).unwrap();
                sent += connection.write(&block[..len]).unwrap() as u64;
            }
            if self.carry() == 0 {
                let deadlines = [self.client.poll_timeout(), self.server.poll_timeout()];
                let next = deadlines.into_iter().flatten().min().unwrap();
                self.now = self.now.max(next);
            }
            self.pass_time();
            got += self.read(theirs);
            while self.client.poll_event().is_some() {}
            while self.server.poll_event().is_some() {}
        }
        let info = self.client.connection(ours).unwrap().subflows();
        let lost: u64 = info.map(|s| s.tcp.counters.retransmissions).sum();
        assert_eq!(lost, 0, "nothing is lost between them");
    }

    /// Closes all connections from both ends, and waits until they are forgotten.
    pub(crate) fn close_all(&mut self) {
        for [ours, theirs] in std::mem::take(&mut self.ids) {
            self.client.connection_mut(ours).unwrap().close();
            self.exchange();
            self.server.connection_mut(theirs).unwrap().close();
            self.exchange();
            while self.client.poll_event().is_some() {}
            while self.server.poll_event().is_some() {}
        }
        self.now += Duration::from_secs(600);
        self.exchange();
        self.pass_time();
        self.exchange();
        while self.client.poll_event().is_some() {}
        while self.server.poll_event().is_some() {}
        assert_eq!(self.client.connection_count(), 0);
        assert_eq!(self.server.connection_count(), 0);
    }
}

/// Send and receive buffer: bytes.
const BUFFER: usize = 256 * 1024;
/// Packets one way before the other way has its turn.
const BURST: usize = 32;
/// IPv4 and TCP.
const HEADERS: usize = 40;
const TIMESTAMPS: usize = 12;
/// DSS with everything, padded.
const DSS: usize = 28;
