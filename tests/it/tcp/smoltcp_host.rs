//! A host with one connection of smoltcp's.

use std::collections::VecDeque;

use mptcp_proto::tcp::Path;
use mptcp_proto::time::Instant;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant as SmolInstant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::wire::Host;

/// The host, with an application that writes, reads and closes.
pub(crate) struct SmoltcpHost {
    device: Queues,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    unsent: VecDeque<u8>,
    closes: bool,
    pub(crate) received: Vec<u8>,
}

/// A network device in memory.
struct Queues {
    mtu: usize,
    incoming: VecDeque<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl SmoltcpHost {
    pub(crate) fn connect(path: Path, mtu: usize, buffer: usize, seed: u64) -> Self {
        let mut host = Self::new(path, mtu, buffer, seed);
        let socket = host.sockets.get_mut::<Socket<'_>>(host.handle);
        let context = host.interface.context();
        socket
            .connect(context, path.remote, path.local.port())
            .unwrap();
        host
    }

    pub(crate) fn listen(path: Path, mtu: usize, buffer: usize, seed: u64) -> Self {
        let mut host = Self::new(path, mtu, buffer, seed);
        host.socket().listen(path.local.port()).unwrap();
        host
    }

    fn new(path: Path, mtu: usize, buffer: usize, seed: u64) -> Self {
        let mut device = Queues {
            mtu,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
        };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut device, SmolInstant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let local = IpCidr::new(IpAddress::from(path.local.ip()), 8);
            addresses.push(local).unwrap();
        });
        let buffers = [0, 1].map(|_| SocketBuffer::new(vec![0; buffer]));
        let [incoming, outgoing] = buffers;
        let mut socket = Socket::new(incoming, outgoing);
        socket.set_congestion_control(CongestionControl::Reno);
        socket.set_ack_delay(Some(Duration::from_millis(10)));
        let mut sockets = SocketSet::new(Vec::new());
        let handle = sockets.add(socket);
        Self {
            device,
            interface,
            sockets,
            handle,
            unsent: VecDeque::new(),
            closes: false,
            received: Vec::new(),
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(crate) fn state(&self) -> State {
        self.sockets.get::<Socket<'_>>(self.handle).state()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.unsent.extend(bytes);
    }

    pub(crate) const fn close(&mut self) {
        self.closes = true;
    }

    fn work(&mut self, now: Instant) {
        let at = smol(now);
        self.interface.poll(at, &mut self.device, &mut self.sockets);
        let closes = self.closes;
        let mut unsent = std::mem::take(&mut self.unsent);
        let mut received = std::mem::take(&mut self.received);
        let socket = self.socket();
        while socket.can_recv() {
            socket
                .recv(|bytes| {
                    received.extend_from_slice(bytes);
                    (bytes.len(), ())
                })
                .unwrap();
        }
        while socket.can_send() && !unsent.is_empty() {
            let sent = socket.send_slice(unsent.as_slices().0).unwrap();
            unsent.drain(..sent);
        }
        let is_open = !matches!(
            socket.state(),
            State::Listen | State::SynSent | State::SynReceived
        );
        if closes && unsent.is_empty() && is_open {
            socket.close();
        }
        self.unsent = unsent;
        self.received = received;
        self.interface.poll(at, &mut self.device, &mut self.sockets);
    }
}

impl Host for SmoltcpHost {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.device.incoming.push_back(packet.to_vec());
        self.work(now);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.device.outgoing.is_empty() {
            self.work(now);
        }
        let Some(packet) = self.device.outgoing.pop_front() else {
            return false;
        };
        out.extend_from_slice(&packet);
        true
    }

    fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(smol(now), &self.sockets)?;
        let at = Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0));
        // It counts in microseconds, and may have meant a moment later.
        Some(at.max(now + std::time::Duration::from_micros(1)))
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.work(now);
    }
}

fn smol(now: Instant) -> SmolInstant {
    let micros = now.as_nanos().div_ceil(1000);
    SmolInstant::from_micros(i64::try_from(micros).unwrap())
}

impl Device for Queues {
    type RxToken<'a> = Arrived;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _now: SmolInstant) -> Option<(Arrived, Slot<'_>)> {
        let packet = self.incoming.pop_front()?;
        Some((Arrived(packet), Slot(&mut self.outgoing)))
    }

    fn transmit(&mut self, _now: SmolInstant) -> Option<Slot<'_>> {
        Some(Slot(&mut self.outgoing))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// A packet that has arrived.
pub(crate) struct Arrived(Vec<u8>);

impl RxToken for Arrived {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for a packet to be sent.
pub(crate) struct Slot<'a>(&'a mut VecDeque<Vec<u8>>);

impl TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}
