//! smoltcp's `loopback_benchmark`: a host that talks to itself.

use std::collections::VecDeque;
use std::time;

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// Payload of a full segment: 1,536 bytes of Ethernet, as its fault injector lets pass.
pub(crate) const PAYLOAD: usize = 1482;

/// smoltcp's `Loopback` with another MTU.
struct Loopback {
    queue: VecDeque<Vec<u8>>,
    checksums: bool,
}

struct Received(Vec<u8>);

struct Free<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for Free<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut buffer = vec![0; len];
        let result = fill(&mut buffer);
        self.0.push_back(buffer);
        result
    }
}

impl Device for Loopback {
    type RxToken<'a> = Received;
    type TxToken<'a> = Free<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.max_transmission_unit = PAYLOAD + 40;
        capabilities.medium = Medium::Ip;
        if !self.checksums {
            capabilities.checksum = ChecksumCapabilities::ignored();
        }
        capabilities
    }

    fn receive(&mut self, _timestamp: Instant) -> Option<(Received, Free<'_>)> {
        let buffer = self.queue.pop_front()?;
        Some((Received(buffer), Free(&mut self.queue)))
    }

    fn transmit(&mut self, _timestamp: Instant) -> Option<Free<'_>> {
        Some(Free(&mut self.queue))
    }
}

fn socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 65_536]);
    tcp::Socket::new(buffer(), buffer())
}

#[expect(
    clippy::disallowed_methods,
    reason = "its own benchmark lets real time pass too"
)]
pub(crate) fn transfer(bytes: u64, checksums: bool) {
    let start = time::Instant::now();
    let now = || Instant::from_micros(i64::try_from(start.elapsed().as_micros()).unwrap());
    let mut device = Loopback {
        queue: VecDeque::new(),
        checksums,
    };
    let mut host = Interface::new(Config::new(HardwareAddress::Ip), &mut device, now());
    let address = IpAddress::v4(127, 0, 0, 1);
    host.update_ip_addrs(|list| list.push(IpCidr::new(address, 8)).unwrap());
    let mut sockets = SocketSet::new(Vec::new());
    let (server, client) = (sockets.add(socket()), sockets.add(socket()));
    sockets
        .get_mut::<tcp::Socket<'_>>(server)
        .listen(1234)
        .unwrap();
    sockets
        .get_mut::<tcp::Socket<'_>>(client)
        .connect(host.context(), (address, 1234), 65_000)
        .unwrap();
    let mut got = 0;
    while got < bytes {
        host.poll(now(), &mut device, &mut sockets);
        let socket = sockets.get_mut::<tcp::Socket<'_>>(server);
        while socket.can_recv() {
            got += socket.recv(|buffer| (buffer.len(), buffer.len())).unwrap() as u64;
        }
        let socket = sockets.get_mut::<tcp::Socket<'_>>(client);
        while socket.can_send() {
            socket.send(|buffer| (buffer.len(), ())).unwrap();
        }
    }
}
