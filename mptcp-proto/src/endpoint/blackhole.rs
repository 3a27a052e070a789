//! What is remembered of destinations after a connection: black holes and versions (RFC 8684 §3.1,
//! §3.8).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::time::Instant;
use crate::version::Version;

/// For each destination, whether SYNs with MP_CAPABLE vanish on the way there, and which version it
/// speaks.
///
/// Linux remembers black holes for all destinations together, so that a server that was restarted
/// turns MPTCP off for an hour. Here each destination pays for itself.
#[derive(Debug, Clone)]
pub struct Destinations {
    first_period: Duration,
    known: BTreeMap<IpAddr, Destination>,
    /// Counts what was asked or told, to know what was used last.
    clock: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Destination {
    version: Option<Version>,
    /// Black holes found in a row.
    blackholes: u32,
    without_mptcp_until: Option<Instant>,
    /// Refusals that no connection with MPTCP followed, and when the last one came.
    refusals: u32,
    refused: Option<Instant>,
    used: u64,
}

impl Destinations {
    /// Destinations that are remembered; the one not used for longest makes room.
    pub const MAX_DESTINATIONS: usize = 1024;
    /// Times that the period doubles, as in Linux.
    pub const MAX_DOUBLINGS: u32 = 6;
    /// Refusals of the option that make a black hole. Silence is one when several SYNs in a row are lost; one
    /// reset may come of a server that had just begun to listen, or of anybody who saw the SYN.
    pub const REFUSALS: u32 = 2;
    /// How long MPTCP is not tried after the first black hole, as in Linux.
    pub const FIRST_PERIOD: Duration = Duration::from_secs(3600);

    /// Nothing is known. MPTCP is not tried for `first_period` after a black hole, and for twice as
    /// long after each further one in a row; with a period of zero black holes are not remembered.
    pub fn new(first_period: Duration) -> Self {
        Self {
            first_period,
            known: BTreeMap::new(),
            clock: 0,
        }
    }

    /// A SYN without MP_CAPABLE was answered after several with it were not. Gives the time until
    /// which MPTCP is not tried.
    pub fn on_blackhole(&mut self, now: Instant, destination: IpAddr) -> Instant {
        let first_period = self.first_period;
        let known = self.entry(destination);
        known.refusals = 0;
        let doublings = known.blackholes.min(Self::MAX_DOUBLINGS);
        known.blackholes = known.blackholes.saturating_add(1);
        let until = now + first_period.saturating_mul(1 << doublings);
        known.without_mptcp_until = Some(until);
        until
    }

    /// A SYN without MP_CAPABLE was answered after one with it was reset, or forbidden by ICMP. Gives the
    /// time until which MPTCP is not tried, once so many connections in a row met with it, each within the
    /// first period of the one before.
    pub fn on_refusal(&mut self, now: Instant, destination: IpAddr) -> Option<Instant> {
        let period = self.first_period;
        let known = self.entry(destination);
        let last = known.refused.replace(now);
        if last.is_some_and(|at| now.since(at) > period) {
            known.refusals = 0;
        }
        known.refusals = known.refusals.saturating_add(1);
        let is_enough = known.refusals >= Self::REFUSALS || known.blackholes > 0;
        is_enough.then(|| self.on_blackhole(now, destination))
    }

    /// A connection speaks this version of MPTCP: whatever was on the way is gone.
    pub fn on_mptcp(&mut self, destination: IpAddr, version: Version) {
        let known = self.entry(destination);
        known.version = Some(version);
        known.blackholes = 0;
        known.refusals = 0;
        known.without_mptcp_until = None;
    }

    /// The destination does not speak the version that was offered, but this one (RFC 8684 §3.1).
    pub fn on_version(&mut self, destination: IpAddr, version: Version) {
        self.entry(destination).version = Some(version);
    }

    /// Whether a connection is to begin without MPTCP.
    pub fn is_blackhole(&self, now: Instant, destination: IpAddr) -> bool {
        let known = self.known.get(&destination.to_canonical());
        let until = known.and_then(|known| known.without_mptcp_until);
        until.is_some_and(|until| now < until)
    }

    /// The version that the destination spoke last.
    pub fn version(&self, destination: IpAddr) -> Option<Version> {
        self.known.get(&destination.to_canonical())?.version
    }

    /// Forgets everything, as when the network has changed.
    pub fn clear(&mut self) {
        self.known.clear();
    }

    /// Destinations that are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn entry(&mut self, destination: IpAddr) -> &mut Destination {
        let destination = destination.to_canonical();
        self.clock = self.clock.saturating_add(1);
        if self.known.len() >= Self::MAX_DESTINATIONS && !self.known.contains_key(&destination) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                self.known.remove(&oldest);
            }
        }
        let known = self.known.entry(destination).or_default();
        known.used = self.clock;
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn each_black_hole_in_a_row_lasts_twice_as_long_up_to_a_limit() {
        let mut known = Destinations::new(HOUR);
        let now = Instant::from_millis(5);
        let hours: Vec<u64> = (0..9)
            .map(|_| known.on_blackhole(now, address(1)).since(now).as_secs() / 3600)
            .collect();
        assert_eq!(hours, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    }

    #[test]
    fn a_black_hole_ends_by_time_or_by_success() {
        let mut known = Destinations::new(HOUR);
        let start = Instant::ZERO;
        known.on_blackhole(start, address(1));
        assert!(known.is_blackhole(start, address(1)));
        assert!(!known.is_blackhole(start, address(2)));
        assert!(!known.is_blackhole(start + HOUR, address(1)));
        let again = known.on_blackhole(start + HOUR, address(1));
        assert_eq!(again, start + HOUR * 3);
        known.on_mptcp(address(1), Version::V1);
        assert!(!known.is_blackhole(start + HOUR, address(1)));
        assert_eq!(known.on_blackhole(start, address(1)), start + HOUR);
    }

    #[test]
    fn a_second_refusal_within_the_period_makes_a_black_hole_and_the_first_does_not() {
        let mut known = Destinations::new(HOUR);
        let start = Instant::from_millis(5);
        assert_eq!(known.on_refusal(start, address(1)), None);
        assert!(!known.is_blackhole(start, address(1)));
        // Long ago, or before MPTCP worked: it is the first again.
        let later = start + HOUR * 2;
        assert_eq!(known.on_refusal(later, address(1)), None);
        known.on_mptcp(address(1), Version::V1);
        assert_eq!(known.on_refusal(later, address(1)), None);
        assert_eq!(known.on_refusal(later, address(2)), None);
        assert_eq!(known.on_refusal(later, address(1)), Some(later + HOUR));
        // Where it was a black hole already, one will do.
        let end = later + HOUR;
        assert_eq!(known.on_refusal(end, address(1)), Some(end + HOUR * 2));
    }

    #[test]
    fn an_ipv4_address_in_ipv6_clothes_is_the_same_destination() {
        let mut known = Destinations::new(HOUR);
        known.on_version("::ffff:10.0.0.1".parse().unwrap(), Version::V0);
        assert_eq!(
            known.version("10.0.0.1".parse().unwrap()),
            Some(Version::V0)
        );
    }

    #[test]
    fn the_destination_not_used_for_longest_makes_room() {
        let mut known = Destinations::new(HOUR);
        let count = u32::try_from(Destinations::MAX_DESTINATIONS).unwrap();
        for n in 0..count {
            known.on_version(address(n), Version::V1);
        }
        known.on_version(address(0), Version::V1);
        known.on_version(address(count), Version::V1);
        assert_eq!(known.len(), Destinations::MAX_DESTINATIONS);
        assert_eq!(known.version(address(1)), None);
        assert_eq!(known.version(address(0)), Some(Version::V1));
    }
}
