//! Which of several routers a packet meets.

use std::hash::{DefaultHasher, Hash, Hasher};

use etherparse::{IpNumber, IpSlice};

use super::plan::Spread;
use crate::sim::Seed;

/// Spreads packets.
pub(super) struct Balance {
    spread: Spread,
    seed: Seed,
    random: fastrand::Rng,
}

impl Balance {
    pub(super) fn new(spread: Spread, seed: Seed) -> Self {
        Self {
            spread,
            seed: seed.derive("balance"),
            random: seed.generator("balance"),
        }
    }

    /// One of so many ways at a hop.
    pub(super) fn way(&mut self, hop: usize, ways: usize, packet: &[u8]) -> usize {
        if ways < 2 {
            return 0;
        }
        match self.spread {
            Spread::Packet => self.random.usize(..ways),
            Spread::Flow => {
                let mut hasher = DefaultHasher::new();
                (self.seed.0, hop, flow(packet)).hash(&mut hasher);
                let ways = u64::try_from(ways).unwrap_or(u64::MAX);
                usize::try_from(hasher.finish() % ways).unwrap_or(0)
            }
        }
    }
}

/// Addresses, ports of TCP, flow label. Routers read the ports also where the packet is ICMP: there are
/// none.
fn flow(packet: &[u8]) -> Option<(Vec<u8>, u32, Vec<u8>)> {
    let slice = IpSlice::from_slice(packet).ok()?;
    let mut ends = Vec::new();
    let mut label = 0;
    match &slice {
        IpSlice::Ipv4(v4) => {
            ends.extend(v4.header().source());
            ends.extend(v4.header().destination());
        }
        IpSlice::Ipv6(v6) => {
            ends.extend(v6.header().source());
            ends.extend(v6.header().destination());
            label = v6.header().flow_label().value();
        }
    }
    let is_tcp = slice.payload_ip_number() == IpNumber::TCP;
    let ports = slice.payload().payload.get(..4).filter(|_| is_tcp);
    Some((ends, label, ports.unwrap_or_default().to_vec()))
}
