//! Which path a packet takes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use etherparse::IpSlice;

use super::host::HostId;
use super::net::PathId;
use super::seed::mix;
use crate::middlebox::Direction;

/// A way out of a host.
pub(super) type Exit = (PathId, Direction);

/// The routes of all hosts. The most exact one holds: both addresses, then the source, then the
/// destination.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes {
    exits: BTreeMap<(HostId, Option<IpAddr>, Option<IpAddr>), Vec<Exit>>,
}

impl Routes {
    pub(super) fn add(
        &mut self,
        host: HostId,
        source: Option<IpAddr>,
        destination: Option<IpAddr>,
        exit: Exit,
    ) {
        self.exits
            .entry((host, source, destination))
            .or_default()
            .push(exit);
    }

    /// Flows of `path` are from now on spread over `other` too.
    pub(super) fn spread(&mut self, path: PathId, other: PathId) {
        for exits in self.exits.values_mut() {
            let same = exits.iter().find(|(known, _)| *known == path);
            let exit = same.map(|(_, direction)| (other, *direction));
            exits.extend(exit);
        }
    }

    /// Where this packet leaves the host.
    pub(super) fn exit(&self, host: HostId, packet: &[u8]) -> Option<Exit> {
        let (source, destination) = addresses(packet)?;
        let keys = [
            (host, Some(source), Some(destination)),
            (host, Some(source), None),
            (host, None, Some(destination)),
        ];
        let exits = keys.iter().find_map(|key| self.exits.get(key))?;
        match exits.as_slice() {
            [only] => Some(*only),
            several => {
                let count = u64::try_from(several.len()).ok()?;
                let index = usize::try_from(flow_hash(packet) % count).ok()?;
                several.get(index).copied()
            }
        }
    }
}

/// Source and destination of an IP packet, read where its version says.
pub(super) fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    fn at<const N: usize>(packet: &[u8], from: usize) -> Option<IpAddr>
    where
        IpAddr: From<[u8; N]>,
    {
        packet
            .get(from..)?
            .first_chunk::<N>()
            .map(|octets| IpAddr::from(*octets))
    }
    match packet.first()? >> 4 {
        4 => Some((at::<4>(packet, 12)?, at::<4>(packet, 16)?)),
        6 => Some((at::<16>(packet, 8)?, at::<16>(packet, 24)?)),
        _ => None,
    }
}

/// The same number for both directions of a flow, so that each path sees whole flows.
fn flow_hash(packet: &[u8]) -> u64 {
    let Some((source, destination)) = addresses(packet) else {
        return 0;
    };
    let body = IpSlice::from_slice(packet).ok();
    let ports = body.and_then(|slice| slice.payload().payload.first_chunk::<4>().copied());
    let [s0, s1, d0, d1] = ports.unwrap_or_default();
    let end = |address: IpAddr, port: [u8; 2]| {
        let octets = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let bytes = octets.into_iter().chain(port);
        mix(bytes.fold(0, |hash: u64, byte| {
            hash.rotate_left(5).wrapping_mul(31) ^ u64::from(byte)
        }))
    };
    mix(end(source, [s0, s1]).wrapping_add(end(destination, [d0, d1])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::middlebox::bench::Tcp;

    #[test]
    fn the_most_exact_route_holds() {
        let packet = Tcp::to_server().packet();
        let (source, destination) = addresses(&packet).unwrap();
        let host = HostId(0);
        let exit = |number| (PathId(number), Direction::ToServer);
        let mut routes = Routes::default();
        assert_eq!(routes.exit(host, &packet), None);
        routes.add(host, None, Some(destination), exit(1));
        assert_eq!(routes.exit(host, &packet), Some(exit(1)));
        routes.add(host, Some(source), None, exit(2));
        assert_eq!(routes.exit(host, &packet), Some(exit(2)));
        routes.add(host, Some(source), Some(destination), exit(3));
        assert_eq!(routes.exit(host, &packet), Some(exit(3)));
        assert_eq!(routes.exit(HostId(1), &packet), None);
        assert_eq!(routes.exit(host, &[]), None);
    }

    #[test]
    fn both_directions_of_a_flow_have_one_hash() {
        for port in 1..50 {
            let there = Tcp::to_server().port(port);
            let hash = flow_hash(&there.packet());
            let back = there.segment().answer(0x10, 1, 1, 1).emit();
            assert_eq!(flow_hash(&back), hash);
            assert_ne!(flow_hash(&there.port(port + 1).packet()), hash);
        }
    }
}
