//! What a run measures, as plain data.

use std::time::Duration;

use mptcp_proto::time::Instant;

use super::link::{Backlog, Drops};

/// How far apart the points of a series are.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// A series has no more points; what comes later is in the totals only.
pub const MAX_POINTS: usize = 1_000_000;

/// An amount for each [`INTERVAL`] since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// The amounts; what comes after the last one is zero.
    pub amounts: Vec<u64>,
}

impl Series {
    pub(super) fn add(&mut self, at: Instant, amount: u64) {
        let index = usize::try_from(at.since_start().as_nanos() / INTERVAL.as_nanos());
        let Some(index) = index.ok().filter(|index| *index < MAX_POINTS) else {
            return;
        };
        if self.amounts.len() <= index {
            self.amounts.resize(index + 1, 0);
        }
        self.amounts[index] += amount;
    }

    /// Sum of the intervals that begin in this span.
    pub fn sum(&self, from: Duration, to: Duration) -> u64 {
        let index = |time: Duration| {
            let index = time.as_nanos().div_ceil(INTERVAL.as_nanos());
            usize::try_from(index)
                .unwrap_or(usize::MAX)
                .min(self.amounts.len())
        };
        let (from, to) = (index(from), index(to));
        self.amounts.get(from..to).unwrap_or_default().iter().sum()
    }

    /// Bits per second in this span, when the amounts are bytes. Best at whole intervals.
    pub fn bits_per_second(&self, from: Duration, to: Duration) -> u64 {
        let span = to.saturating_sub(from).as_nanos().max(1);
        let bits = u128::from(self.sum(from, to)) * 8_000_000_000 / span;
        u64::try_from(bits).unwrap_or(u64::MAX)
    }
}

/// Packets and their bytes, IP headers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += packet.len() as u64;
    }
}

/// One direction of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WayReport {
    /// What hosts sent into the path.
    pub sent: Traffic,
    /// What arrived at hosts.
    pub delivered: Traffic,
    /// Bytes that arrived.
    pub throughput: Series,
    /// What waited in all queues of the path at the end of each [`INTERVAL`].
    pub backlog: Vec<Backlog>,
    /// What the links dropped.
    pub drops: Drops,
    /// What entered and what left each element.
    pub elements: Vec<ElementReport>,
}

/// One direction of an element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElementReport {
    /// The element, as its path's text has it.
    pub name: String,
    /// Packets that entered.
    pub entered: u64,
    /// Packets that left in the same direction.
    pub left: u64,
}

/// A path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathReport {
    /// From the near end to the far end.
    pub to_server: WayReport,
    /// From the far end to the near end.
    pub to_client: WayReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_summed_in_the_interval_of_their_time() {
        let mut series = Series::default();
        for (at, amount) in [(0, 1), (99, 2), (100, 4), (350, 8)] {
            series.add(Instant::from_millis(at), amount);
        }
        assert_eq!(series.amounts, [3, 4, 0, 8]);
        let ms = Duration::from_millis;
        assert_eq!(series.sum(ms(100), ms(400)), 12);
        assert_eq!(series.bits_per_second(ms(0), ms(200)), 280);
        assert_eq!(series.sum(ms(5000), ms(9000)), 0);
    }

    #[test]
    fn a_series_stops_at_its_limit() {
        let mut series = Series::default();
        let end = INTERVAL * u32::try_from(MAX_POINTS).unwrap();
        series.add(Instant::ZERO + end, 1);
        assert_eq!(series.amounts, []);
        series.add(
            Instant::from_nanos(u64::try_from(end.as_nanos()).unwrap() - 1),
            1,
        );
        assert_eq!(series.amounts.len(), MAX_POINTS);
    }
}
