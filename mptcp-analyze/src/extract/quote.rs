//! Which ICMP errors are about a connection: those that quote one of its packets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};

use crate::model::{Connection, Segment};

/// The pairs of ends between which the subflows of a connection run.
#[derive(Debug)]
pub(super) struct Paths {
    /// Whether the newest TCP stream between these ends is one of the connection: ports are used
    /// again.
    current: BTreeMap<(SocketAddr, SocketAddr), bool>,
}

impl Paths {
    /// The paths of `connection`, none of them in use yet.
    pub(super) fn of(connection: &Connection) -> Self {
        let subflows = connection.subflows.iter();
        Paths {
            current: subflows
                .map(|subflow| (key(subflow.client, subflow.server), false))
                .collect(),
        }
    }

    /// Takes note of a segment, and whether it is of the connection.
    pub(super) fn note(&mut self, segment: &Segment<'_>, is_ours: bool) {
        if let Some(current) = self
            .current
            .get_mut(&key(segment.source, segment.destination))
        {
            *current = is_ours;
        }
    }

    /// Whether `quoted`, from its IP header on, is the beginning of a packet of the connection.
    pub(super) fn has(&self, quoted: &[u8]) -> bool {
        ends(quoted)
            .and_then(|(source, destination)| self.current.get(&key(source, destination)))
            .is_some_and(|current| *current)
    }
}

/// The same for both directions.
fn key(one: SocketAddr, other: SocketAddr) -> (SocketAddr, SocketAddr) {
    (one.min(other), one.max(other))
}

/// Source and destination of a TCP packet of which not more than the ports need be there
/// (RFC 792: eight bytes of the payload).
fn ends(packet: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, destination, header_len) = match packet.first()? >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
            // Only the first fragment has the ports.
            if header.protocol().0 != TCP || header.fragments_offset().value() != 0 {
                return None;
            }
            let (source, destination) = (header.source_addr(), header.destination_addr());
            let len = header.slice().len();
            (IpAddr::V4(source), IpAddr::V4(destination), len)
        }
        6 => {
            let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
            if header.next_header().0 != TCP {
                return None;
            }
            let (source, destination) = (header.source_addr(), header.destination_addr());
            let len = header.slice().len();
            (IpAddr::V6(source), IpAddr::V6(destination), len)
        }
        _ => return None,
    };
    let (ports, _) = packet.get(header_len..)?.split_first_chunk::<4>()?;
    let [source_high, source_low, destination_high, destination_low] = *ports;
    Some((
        SocketAddr::new(source, u16::from_be_bytes([source_high, source_low])),
        SocketAddr::new(
            destination,
            u16::from_be_bytes([destination_high, destination_low]),
        ),
    ))
}

/// Protocol number of TCP (IANA).
const TCP: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_may_end_behind_the_ports_but_not_before() {
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0, 80]);
        let expected = ("10.0.0.1:5000", "10.0.0.2:80");
        let expected = (expected.0.parse().unwrap(), expected.1.parse().unwrap());
        assert_eq!(ends(&packet), Some(expected));
        for len in 0..packet.len() {
            assert_eq!(ends(&packet[..len]), None);
        }
        packet[7] = 1;
        assert_eq!(ends(&packet), None, "a later fragment");
        packet[7] = 0;
        packet[9] = 17;
        assert_eq!(ends(&packet), None, "UDP");
    }

    #[test]
    fn a_quote_of_ipv6_has_its_ports_behind_forty_bytes() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 20, 6, 64];
        packet.extend([0x20; 16]);
        packet.extend([0x30; 16]);
        packet.extend([0x13, 0x88, 0, 80]);
        let (source, destination) = ends(&packet).expect("ports");
        assert_eq!((source.port(), destination.port()), (5000, 80));
        assert!(source.is_ipv6() && destination.is_ipv6());
        assert_eq!(ends(&packet[..43]), None);
    }
}
