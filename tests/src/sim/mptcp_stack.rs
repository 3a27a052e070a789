//! Our endpoint as the stack of a host.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::{self, Connection, ConnectionEnd, Event};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;

use super::application::{Socket, SocketState};
use super::host::Host;
use super::node::Stack;
use super::seed::Seed;

/// Connections in their handshake that a listener lets wait.
const BACKLOG: usize = 1024;

/// An endpoint of `mptcp-proto`, and what it has said.
#[derive(Debug)]
pub struct MptcpStack {
    /// The endpoint itself.
    pub endpoint: Endpoint,
    config: conn::Config,
    accepted: VecDeque<(u16, ConnId)>,
    ended: BTreeMap<ConnId, ConnectionEnd>,
    log: Vec<(Instant, ConnId, Event)>,
    now: Instant,
}

impl MptcpStack {
    /// A host whose connections all behave like `config`.
    pub fn new(config: conn::Config, seed: Seed) -> Self {
        Self::with_endpoint(endpoint::Config::default(), config, seed)
    }

    /// The same with settings of the host.
    pub fn with_endpoint(host: endpoint::Config, config: conn::Config, seed: Seed) -> Self {
        let random = Box::new(seed.random_source("endpoint"));
        Self {
            endpoint: Endpoint::new(host, random),
            config,
            accepted: VecDeque::new(),
            ended: BTreeMap::new(),
            log: Vec::new(),
            now: Instant::ZERO,
        }
    }

    /// Everything that its connections told, in order.
    pub fn events(&self) -> &[(Instant, ConnId, Event)] {
        &self.log
    }

    /// How its connections ended, those that have.
    pub fn ends(&self) -> &BTreeMap<ConnId, ConnectionEnd> {
        &self.ended
    }

    fn drain_events(&mut self) {
        while let Some((id, event)) = self.endpoint.poll_event() {
            self.log.push((self.now, id, event));
            match event {
                Event::Incoming { .. } => {
                    let connection = self.endpoint.connection(id);
                    let port = connection.map_or(0, |connection| connection.initial().local.port());
                    self.accepted.push_back((port, id));
                }
                Event::Closed { how } => {
                    self.ended.insert(id, how);
                }
                _ => {}
            }
        }
    }
}

impl Host for MptcpStack {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.now = now;
        self.endpoint.handle_packet(now, packet);
        self.drain_events();
    }

    fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> bool {
        self.now = now;
        let has_packet = self.endpoint.poll_transmit(now, packet);
        self.drain_events();
        has_packet
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_timeout(now);
        self.drain_events();
    }
}

impl Stack for MptcpStack {
    type Id = ConnId;

    fn connect(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> ConnId {
        self.now = now;
        let path = Path { local, remote };
        let id = self.endpoint.connect(now, path, self.config.clone());
        id.expect("a test connects to addresses that can be connected")
    }

    fn listen(&mut self, _now: Instant, port: u16) {
        let any = [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ];
        for address in any {
            let local = SocketAddr::new(address, port);
            let listener = self.endpoint.listen(local, BACKLOG, self.config.clone());
            listener.expect("a test listens once on a port");
        }
    }

    fn accept(&mut self) -> Option<(u16, ConnId)> {
        self.accepted.pop_front()
    }

    fn with_socket(&mut self, id: ConnId, use_it: &mut dyn FnMut(&mut dyn Socket)) {
        let end = self.ended.get(&id).copied();
        use_it(&mut MptcpSocket {
            connection: self.endpoint.connection_mut(id),
            end,
        });
        self.drain_events();
    }
}

/// A connection as an application has it.
struct MptcpSocket<'a> {
    /// None when nothing is left of it.
    connection: Option<&'a mut Connection>,
    end: Option<ConnectionEnd>,
}

impl Socket for MptcpSocket<'_> {
    fn state(&self) -> SocketState {
        match (self.end, &self.connection) {
            (Some(ConnectionEnd::Closed), _) | (None, None) => SocketState::Closed,
            (Some(_), _) => SocketState::Failed,
            (None, Some(connection)) if connection.is_connected() => SocketState::Open,
            (None, Some(_)) => SocketState::Connecting,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let connection = self.connection.as_deref_mut();
        connection.map_or(0, |connection| connection.write(bytes).unwrap_or(0))
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let connection = self.connection.as_deref_mut();
        match connection.map(|connection| connection.read(bytes)) {
            Some(Read::Data(len)) => len,
            _ => 0,
        }
    }

    fn is_at_end(&self) -> bool {
        let connection = self.connection.as_deref();
        connection.map_or(
            self.end == Some(ConnectionEnd::Closed),
            Connection::is_at_end,
        )
    }

    fn shutdown_write(&mut self) {
        if let Some(connection) = self.connection.as_deref_mut() {
            connection.shutdown_write();
        }
    }

    fn abort(&mut self) {
        if let Some(connection) = self.connection.as_deref_mut() {
            connection.abort();
        }
    }
}
