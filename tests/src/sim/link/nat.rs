//! Network address translation: the client's addresses become one, its ports others.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::middlebox::header;
use crate::middlebox::segment::Segment;
use crate::middlebox::{Departure, Direction, Middlebox};
use etherparse::IpNumber;

/// A NAT knows no more flows; a new one then gets no mapping and is dropped.
pub const MAX_NAT_FLOWS: usize = 4096;

/// The box. TCP only: what else the client's side sends is dropped, as is all that comes from the
/// server's side without a mapping.
#[derive(Debug)]
pub struct Nat {
    address: IpAddr,
    ports: BTreeMap<SocketAddr, u16>,
    owners: BTreeMap<u16, SocketAddr>,
}

impl Nat {
    /// One that has this address on the server's side.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            ports: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Forgets all flows, as after a restart.
    pub fn forget(&mut self) {
        self.ports.clear();
        self.owners.clear();
    }

    fn port(&mut self, inside: SocketAddr) -> Option<u16> {
        if let Some(port) = self.ports.get(&inside) {
            return Some(*port);
        }
        if self.ports.len() >= MAX_NAT_FLOWS {
            return None;
        }
        let port = FIRST_PORT + u16::try_from(self.ports.len()).ok()?;
        self.ports.insert(inside, port);
        self.owners.insert(port, inside);
        Some(port)
    }

    fn translate(&mut self, direction: Direction, packet: &[u8]) -> Option<Vec<u8>> {
        let segment = Segment::parse(packet)?;
        if segment.source().is_ipv4() != self.address.is_ipv4() {
            return None;
        }
        let (source, destination) = match direction {
            Direction::ToServer => {
                let port = self.port(segment.source())?;
                (SocketAddr::new(self.address, port), segment.destination())
            }
            Direction::ToClient if segment.destination().ip() == self.address => {
                let inside = self.owners.get(&segment.destination().port())?;
                (segment.source(), *inside)
            }
            Direction::ToClient => return None,
        };
        Some(with_ends(packet, &segment, source, destination))
    }
}

/// The same packet between other ends, its checksums mended.
fn with_ends(packet: &[u8], segment: &Segment, source: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let ip_len = segment.checksum_range().start - CHECKSUM;
    let mut changed = packet
        .get(..segment.packet_len())
        .unwrap_or(packet)
        .to_vec();
    let mut at = if source.is_ipv4() { 12 } else { 8 };
    for address in [source.ip(), to.ip()] {
        let octets = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        changed[at..at + octets.len()].copy_from_slice(&octets);
        at += octets.len();
    }
    let tcp = &mut changed[ip_len..];
    tcp[..2].copy_from_slice(&source.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&to.port().to_be_bytes());
    tcp[CHECKSUM..CHECKSUM + 2].fill(0);
    let sum = header::transport_checksum(source.ip(), to.ip(), IpNumber::TCP.0, tcp);
    tcp[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum);
    header::fix_ip(&mut changed);
    changed
}

impl Middlebox for Nat {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        out.extend(self.translate(direction, &packet).map(|packet| Departure {
            at: now,
            direction,
            packet,
        }));
    }
}

const FIRST_PORT: u16 = 20_000;
const CHECKSUM: usize = 16;
