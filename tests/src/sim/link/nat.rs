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
    plan: NatPlan,
    /// The flows by their inner end, with their port and when they were last seen.
    flows: BTreeMap<SocketAddr, (u16, Duration)>,
    owners: BTreeMap<u16, SocketAddr>,
    next: u16,
}

/// What a NAT does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatPlan {
    /// Its address on the server's side.
    pub address: IpAddr,
    /// A flow that is silent for longer loses its port, and gets another one if it goes on.
    pub timeout: Option<Duration>,
}

impl Nat {
    /// One without flows.
    pub fn new(plan: NatPlan) -> Self {
        Self {
            plan,
            flows: BTreeMap::new(),
            owners: BTreeMap::new(),
            next: FIRST_PORT,
        }
    }

    fn is_over(&self, now: Duration, last: Duration) -> bool {
        let silent = now.saturating_sub(last);
        self.plan.timeout.is_some_and(|timeout| silent > timeout)
    }

    /// The port of a flow that sends, an old or a new one.
    fn port(&mut self, now: Duration, inside: SocketAddr) -> Option<u16> {
        if let Some((port, last)) = self.flows.get(&inside).copied() {
            if !self.is_over(now, last) {
                self.flows.insert(inside, (port, now));
                return Some(port);
            }
            self.owners.remove(&port);
        } else if self.flows.len() >= MAX_NAT_FLOWS {
            return None;
        }
        let port = self.next;
        self.next = port.checked_add(1).unwrap_or(FIRST_PORT);
        if let Some(older) = self.owners.insert(port, inside) {
            self.flows.remove(&older);
        }
        self.flows.insert(inside, (port, now));
        Some(port)
    }

    /// Whose port it is.
    fn owner(&mut self, now: Duration, port: u16) -> Option<SocketAddr> {
        let inside = *self.owners.get(&port)?;
        let (port, last) = *self.flows.get(&inside)?;
        if self.is_over(now, last) {
            return None;
        }
        self.flows.insert(inside, (port, now));
        Some(inside)
    }

    fn translate(&mut self, now: Duration, direction: Direction, packet: &[u8]) -> Option<Vec<u8>> {
        let segment = Segment::parse(packet)?;
        let own = self.plan.address;
        if segment.source().is_ipv4() != own.is_ipv4() {
            return None;
        }
        let (source, destination) = match direction {
            Direction::ToServer => {
                let port = self.port(now, segment.source())?;
                (SocketAddr::new(own, port), segment.destination())
            }
            Direction::ToClient if segment.destination().ip() == own => {
                let inside = self.owner(now, segment.destination().port())?;
                (segment.source(), inside)
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
        out.extend(
            self.translate(now, direction, &packet)
                .map(|packet| Departure {
                    at: now,
                    direction,
                    packet,
                }),
        );
    }
}

const FIRST_PORT: u16 = 20_000;
const CHECKSUM: usize = 16;
