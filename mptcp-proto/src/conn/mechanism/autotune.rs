//! M3, buffer autotuning: `2 · SUM(x_i) · RTT_max`, so that all subflows can go on at their rates
//! while the slowest repairs a loss.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::path::PathView;
use crate::time::Instant;

/// The shared receive buffer's size. It grows with what arrives in the longest round trip, and never
/// shrinks: the right edge of the window must not (RFC 8684 §3.3.4).
#[derive(Debug)]
pub struct ReceiveBuffer {
    size: u64,
    largest: u64,
    /// When this measurement began; none before the first byte.
    begun: Option<Instant>,
    /// What was delivered since.
    delivered: u64,
}

impl ReceiveBuffer {
    /// From the smaller size, up to the larger one.
    pub fn new(sizes: RangeInclusive<u64>) -> Self {
        Self {
            size: *sizes.start(),
            largest: *sizes.end(),
            begun: None,
            delivered: 0,
        }
    }

    /// Bytes that it may hold.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The application read `bytes`, which is what counts: a reader that is slower than the network
    /// is not helped by more memory. `longest_rtt` is that of the slowest subflow.
    pub fn on_read(&mut self, now: Instant, bytes: u64, longest_rtt: Duration) {
        let begun = *self.begun.get_or_insert(now);
        self.delivered = self.delivered.saturating_add(bytes);
        if longest_rtt.is_zero() || now.since(begun) < longest_rtt {
            return;
        }
        // What came during a longer time than the round trip counts for its part of that.
        let part = longest_rtt.as_nanos();
        let whole = now.since(begun).as_nanos().max(1);
        let in_rtt = u128::from(self.delivered) * part / whole;
        let wanted = u64::try_from(in_rtt.saturating_mul(2)).unwrap_or(u64::MAX);
        self.size = self.size.max(wanted.min(self.largest));
        self.begun = Some(now);
        self.delivered = 0;
    }
}

/// What the send buffer needs at the present rates, in bytes: the same formula, the rates being
/// congestion windows over round-trip times.
pub fn needed_send_buffer(paths: &[PathView]) -> u64 {
    let measured = || {
        let usable = paths.iter().filter(|path| path.is_usable);
        usable.filter(|path| !path.srtt.is_zero())
    };
    let longest = measured().map(|path| path.srtt).max().unwrap_or_default();
    let in_longest = measured().map(|path| {
        u128::from(path.cwnd).saturating_mul(longest.as_nanos()) / path.srtt.as_nanos()
    });
    let sum = in_longest.fold(0, u128::saturating_add);
    u64::try_from(sum.saturating_mul(2)).unwrap_or(u64::MAX)
}
