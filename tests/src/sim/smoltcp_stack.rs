//! `smoltcp` as the stack of a host: a TCP that is not ours.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use mptcp_proto::time::Instant;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::application::{Socket, SocketState};
use super::host::Host;
use super::node::Stack;
use super::seed::Seed;

/// What kind of host it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmoltcpConfig {
    /// Its addresses, eight at most.
    pub addresses: Vec<IpAddr>,
    /// Bytes of a connection's receive buffer.
    pub receive_buffer: usize,
    /// Bytes of a connection's send buffer.
    pub send_buffer: usize,
    /// How it avoids congestion.
    pub congestion: Congestion,
    /// Largest packet, IP header included.
    pub mtu: usize,
    /// Where its sequence numbers come from.
    pub seed: Seed,
}

/// What `smoltcp` has against congestion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Congestion {
    /// Nothing: it sends what the receiver's window allows.
    None,
    /// Reno.
    Reno,
    /// CUBIC.
    Cubic,
}

impl SmoltcpConfig {
    /// A host with these addresses, buffers of 256 KiB and Reno.
    pub fn new(addresses: &[IpAddr], seed: Seed) -> Self {
        Self {
            addresses: addresses.to_vec(),
            receive_buffer: 256 * 1024,
            send_buffer: 256 * 1024,
            congestion: Congestion::Reno,
            mtu: 1500,
            seed,
        }
    }
}

/// The stack.
pub struct SmoltcpStack {
    config: SmoltcpConfig,
    interface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    /// Sockets that wait for a connection, by port.
    listening: BTreeMap<u16, Vec<SocketHandle>>,
    deadline: Option<Instant>,
}

impl SmoltcpStack {
    /// A stack without connections.
    pub fn new(config: SmoltcpConfig) -> Self {
        let mut wire = Wire {
            received: VecDeque::new(),
            to_send: VecDeque::new(),
            mtu: config.mtu,
        };
        let mut settings = Config::new(HardwareAddress::Ip);
        settings.random_seed = config.seed.derive("smoltcp").0;
        let mut interface = Interface::new(settings, &mut wire, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for address in &config.addresses {
                let prefix = if address.is_ipv4() { 24 } else { 64 };
                let cidr = IpCidr::new(IpAddress::from(*address), prefix);
                addresses.push(cidr).expect("eight addresses at most");
            }
        });
        // Any route will do: there is no neighbour to look for on a link without frames.
        let routes = interface.routes_mut();
        let v4 = routes.add_default_ipv4_route([10, 255, 255, 254].into());
        let v6 = routes
            .add_default_ipv6_route([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].into());
        v4.and(v6).expect("two routes are possible");
        Self {
            config,
            interface,
            wire,
            sockets: SocketSet::new(Vec::new()),
            listening: BTreeMap::new(),
            deadline: None,
        }
    }

    fn new_socket(&mut self) -> SocketHandle {
        let buffer = |len: usize| tcp::SocketBuffer::new(vec![0; len]);
        let (receive, send) = (self.config.receive_buffer, self.config.send_buffer);
        let mut socket = tcp::Socket::new(buffer(receive), buffer(send));
        socket.set_congestion_control(match self.config.congestion {
            Congestion::None => tcp::CongestionControl::None,
            Congestion::Reno => tcp::CongestionControl::Reno,
            Congestion::Cubic => tcp::CongestionControl::Cubic,
        });
        self.sockets.add(socket)
    }

    fn listening_socket(&mut self, port: u16) -> SocketHandle {
        let handle = self.new_socket();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket
            .listen(port)
            .expect("the socket is new, the port not zero");
        handle
    }

    fn look_ahead(&mut self, now: Instant) {
        let at = self.interface.poll_at(smol(now), &self.sockets);
        let micros = at.map(|at| u64::try_from(at.total_micros()).unwrap_or(0));
        self.deadline = micros.map(Instant::from_micros);
    }
}

impl Host for SmoltcpStack {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.wire.received.push_back(packet.to_vec());
        while !self.wire.received.is_empty() {
            self.interface
                .poll_ingress_single(smol(now), &mut self.wire, &mut self.sockets);
        }
    }

    fn poll_transmit(&mut self, now: Instant, packet: &mut Vec<u8>) -> bool {
        if self.wire.to_send.is_empty() {
            self.interface
                .poll_egress(smol(now), &mut self.wire, &mut self.sockets);
        }
        let Some(next) = self.wire.to_send.pop_front() else {
            self.look_ahead(now);
            return false;
        };
        *packet = next;
        true
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Its timers are looked at whenever it may send.
    fn handle_timeout(&mut self, _now: Instant) {}
}

impl Stack for SmoltcpStack {
    type Id = SocketHandle;

    fn connect(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> SocketHandle {
        let handle = self.new_socket();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        let opened = socket.connect(self.interface.context(), remote, local);
        opened.expect("the socket is new, and its ends are of one family and not zero");
        self.look_ahead(now);
        handle
    }

    fn listen(&mut self, _now: Instant, port: u16) {
        let handles = (0..BACKLOG).map(|_| self.listening_socket(port)).collect();
        self.listening.insert(port, handles);
    }

    fn accept(&mut self) -> Option<(u16, SocketHandle)> {
        let sockets = &self.sockets;
        let is_open = |handle: &SocketHandle| {
            let state = sockets.get::<tcp::Socket<'_>>(*handle).state();
            !matches!(state, tcp::State::Listen | tcp::State::SynReceived)
        };
        let find = |(port, handles): (&u16, &Vec<SocketHandle>)| {
            let index = handles.iter().position(is_open)?;
            Some((*port, index))
        };
        let (port, index) = self.listening.iter().find_map(find)?;
        let next = self.listening_socket(port);
        let slot = self.listening.get_mut(&port)?.get_mut(index)?;
        Some((port, std::mem::replace(slot, next)))
    }

    fn with_socket(&mut self, id: SocketHandle, use_it: &mut dyn FnMut(&mut dyn Socket)) {
        let mut socket = SmoltcpSocket {
            socket: self.sockets.get_mut(id),
            is_at_end: false,
        };
        socket.look();
        use_it(&mut socket);
    }
}

struct SmoltcpSocket<'a> {
    socket: &'a mut tcp::Socket<'static>,
    /// Whether the other host's FIN came and all before it was read.
    is_at_end: bool,
}

impl SmoltcpSocket<'_> {
    fn look(&mut self) {
        self.is_at_end = self.socket.peek(1) == Err(tcp::RecvError::Finished);
    }
}

impl Socket for SmoltcpSocket<'_> {
    fn state(&self) -> SocketState {
        match self.socket.state() {
            tcp::State::Listen | tcp::State::SynSent | tcp::State::SynReceived => {
                SocketState::Connecting
            }
            tcp::State::TimeWait => SocketState::Closed,
            tcp::State::Closed if self.is_at_end => SocketState::Closed,
            tcp::State::Closed => SocketState::Failed,
            _ => SocketState::Open,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.socket.send_slice(bytes).unwrap_or(0)
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let len = self.socket.recv_slice(bytes).unwrap_or(0);
        self.look();
        len
    }

    fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    fn shutdown_write(&mut self) {
        self.socket.close();
    }

    fn abort(&mut self) {
        self.socket.abort();
    }
}

/// What lies between the stack and the network.
struct Wire {
    received: VecDeque<Vec<u8>>,
    to_send: VecDeque<Vec<u8>>,
    mtu: usize,
}

struct Received(Vec<u8>);

struct ToSend<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(Received, ToSend<'_>)> {
        let packet = self.received.pop_front()?;
        Some((Received(packet), ToSend(&mut self.to_send)))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<ToSend<'_>> {
        Some(ToSend(&mut self.to_send))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}

fn smol(now: Instant) -> SmolInstant {
    let micros = now.as_nanos() / 1000;
    SmolInstant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// How many connections may be in their handshake at once.
const BACKLOG: usize = 16;
