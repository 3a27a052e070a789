//! Whole packets out and in.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use mptcp_proto::wire::segment::Flags;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Protocol, Socket, Type};

use super::{NetError, Route, filter};
use crate::packet::fields::Fields;

/// A raw socket that sends, and one that sees all packets of the host.
#[derive(Debug)]
pub(crate) struct Wire {
    sender: Socket,
    tap: Socket,
    target: SocketAddr,
    sources: Vec<SocketAddr>,
    buffer: Vec<u8>,
    /// Resets that were sent and did not pass the tap yet.
    resets: VecDeque<Vec<u8>>,
    foreign_resets: u64,
}

/// What a packet that was seen is to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// For the engine.
    Packet(Vec<u8>),
    /// Nothing that matters.
    Other,
    /// No more packets for now.
    Nothing,
}

impl Wire {
    /// Opens the sockets. This needs `CAP_NET_RAW`; using them does not.
    pub(crate) fn open(route: &Route, sources: &[SocketAddr]) -> Result<Self, NetError> {
        let domain = Domain::for_address(route.target);
        // With this protocol the IP header is ours, in both families.
        let raw = Protocol::from(libc::IPPROTO_RAW);
        let sender = Socket::new(domain, Type::RAW, Some(raw))
            .map_err(NetError::while_doing("opening a raw socket"))?;
        route.tie(&sender)?;
        let all = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let tap = Socket::new(Domain::PACKET, Type::DGRAM, Some(all))
            .map_err(NetError::while_doing("opening a packet socket"))?;
        // Without it, more packets come in vain, and are dropped here.
        let _ = tap.attach_filter(&filter::of_target(route.target.ip()));
        let _ = tap.set_recv_buffer_size(BUFFER_BYTES);
        tap.set_nonblocking(true)
            .map_err(NetError::while_doing("opening a packet socket"))?;
        Ok(Self {
            sender,
            tap,
            target: route.target,
            sources: sources.to_vec(),
            buffer: vec![0; MAX_PACKET],
            resets: VecDeque::new(),
            foreign_resets: 0,
        })
    }

    /// Sends a packet, from its IP header on.
    pub(crate) fn send(&mut self, packet: &[u8]) -> Result<(), NetError> {
        if is_reset(packet) {
            self.resets.truncate(MAX_RESETS - 1);
            self.resets.push_front(packet.to_vec());
        }
        let mut to = self.target;
        // Raw sockets have no ports: IPv6 wants none here.
        to.set_port(0);
        loop {
            match self.sender.send_to(packet, &to.into()) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The queue of the interface is full: as good as lost on the way.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Err(error) => {
                    return Err(NetError::of_route(
                        error,
                        self.target.ip(),
                        "sending a packet",
                    ));
                }
            }
        }
    }

    /// Waits for a packet, at most so long. A signal ends it too.
    pub(crate) fn wait(&self, at_most: Duration) -> Result<(), NetError> {
        let timeout = Timespec::try_from(at_most).ok();
        let mut polled = [PollFd::new(&self.tap, PollFlags::IN)];
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(NetError::Socket {
                doing: "waiting for packets",
                source: error.into(),
            }),
        }
    }

    /// The next packet that was seen.
    pub(crate) fn receive(&mut self) -> Result<Heard, NetError> {
        let len = match self.tap.read(&mut self.buffer) {
            Ok(len) => len,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
                    // One interface of many went down.
                    io::ErrorKind::Interrupted | io::ErrorKind::NetworkDown => Ok(Heard::Other),
                    _ => Err(NetError::while_doing("receiving packets")(error)),
                };
            }
        };
        let packet = self.buffer.get(..len).unwrap_or_default();
        Ok(match self.whose(packet) {
            Whose::ForUs => Heard::Packet(packet.to_vec()),
            Whose::Nobodys => Heard::Other,
            Whose::Reset => {
                self.note_reset(len);
                Heard::Other
            }
        })
    }

    fn whose(&self, packet: &[u8]) -> Whose {
        let Some(fields) = Fields::parse(packet) else {
            return Whose::Nobodys;
        };
        let ip = &fields.ip;
        let is_own = |address: IpAddr| self.sources.iter().any(|source| source.ip() == address);
        if matches!(ip.protocol, ICMP | ICMPV6) {
            return if is_own(ip.destination) {
                Whose::ForUs
            } else {
                Whose::Nobodys
            };
        }
        let Some((from, to)) = fields.ends().filter(|_| ip.protocol == TCP) else {
            return Whose::Nobodys;
        };
        let is_target = |end: SocketAddr| end.ip() == self.target.ip();
        let is_ours = |end: SocketAddr| {
            let mut sources = self.sources.iter();
            sources.any(|source| source.ip() == end.ip() && source.port() == end.port())
        };
        if is_target(from) && is_ours(to) {
            Whose::ForUs
        } else if is_ours(from) && is_target(to) && is_reset(packet) {
            Whose::Reset
        } else {
            Whose::Nobodys
        }
    }

    /// A reset that left this host: ours, or one of the kernel.
    fn note_reset(&mut self, len: usize) {
        let seen = self.buffer.get(..len).unwrap_or_default();
        let is_known = self.resets.iter().any(|sent| is_same(sent, seen));
        if !is_known {
            self.foreign_resets += 1;
        }
    }

    /// The socket that takes so long to close.
    pub(crate) fn into_tap(self) -> OwnedFd {
        self.tap.into()
    }

    /// Resets for our connections that this host sent and we did not: they ended what was asked about.
    pub(crate) const fn foreign_resets(&self) -> u64 {
        self.foreign_resets
    }
}

enum Whose {
    ForUs,
    Reset,
    Nobodys,
}

fn is_reset(packet: &[u8]) -> bool {
    let flags = Fields::parse(packet).and_then(|fields| fields.tcp.flags());
    flags.is_some_and(Flags::rst)
}

/// The number says for which SYN/ACK a reset is, IP id or flow label who made it. Other fields may be
/// rewritten before a packet leaves.
fn is_same(sent: &[u8], seen: &[u8]) -> bool {
    let mark = |packet| {
        let fields = Fields::parse(packet)?;
        Some((fields.tcp.seq()?, fields.ip.id(), fields.ip.flow_label()))
    };
    mark(sent).is_some_and(|sent| mark(seen) == Some(sent))
}

/// All protocols (`linux/if_ether.h`).
const ETH_P_ALL: u16 = 3;
/// A packet of any length.
const MAX_PACKET: usize = 65_536;
/// Room for packets that wait; the kernel may give less.
const BUFFER_BYTES: usize = 4 << 20;
/// Our own resets that are remembered.
const MAX_RESETS: usize = 256;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

#[cfg(test)]
mod tests {
    use mptcp_proto::seq::TcpSeq;

    use super::*;
    use crate::packet::Packet;

    fn reset(source: &str, destination: &str, seq: u32, ip_id: u16, label: u32) -> Vec<u8> {
        let packet = Packet {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            ttl: 64,
            tos: 0,
            ip_id,
            flow_label: label,
            seq: TcpSeq(seq),
            ack: TcpSeq(0),
            flags: Flags::RST,
            window: 0,
            options: Vec::new(),
            payload: Vec::new(),
        };
        packet.emit().unwrap()
    }

    #[test]
    fn a_reset_of_the_kernel_is_told_from_ours() {
        let v4 = |seq, id| reset("10.0.0.1:9", "10.0.0.2:80", seq, id, 0);
        assert!(is_reset(&v4(7, 1)));
        assert!(is_same(&v4(7, 1), &v4(7, 1)));
        assert!(!is_same(&v4(7, 1), &v4(7, 0)), "the kernel's id is zero");
        assert!(!is_same(&v4(7, 1), &v4(8, 1)));
        let v6 = |seq, label| reset("[fd00::1]:9", "[fd00::2]:80", seq, 0, label);
        assert!(is_same(&v6(7, 5), &v6(7, 5)));
        assert!(!is_same(&v6(7, 5), &v6(7, 6)));
    }
}
