//! M4, capping the congestion window of a subflow whose path only queues.

use super::once::OncePerRoundTrip;
use crate::path::{PathView, SubflowId};
use crate::time::Instant;

/// Where the round-trip time has doubled, half of the window stands in a queue: it costs memory at
/// both ends and brings no rate.
#[derive(Debug, Default)]
pub struct CwndCap {
    last: OncePerRoundTrip,
}

impl CwndCap {
    /// To how many bytes the window is to be lowered, if it is: to what two base round trips hold at
    /// the present rate. At most once in a round trip, since the queue takes as long to shrink.
    pub fn poll(&mut self, now: Instant, path: &PathView) -> Option<u64> {
        if path.min_rtt.is_zero() || path.srtt <= path.min_rtt.saturating_mul(2) {
            return None;
        }
        if !self.last.is_due(now, path.id, path.srtt) {
            return None;
        }
        let window = u128::from(path.cwnd).saturating_mul(2 * path.min_rtt.as_nanos());
        u64::try_from(window / path.srtt.as_nanos()).ok()
    }

    /// A subflow is gone.
    pub fn remove(&mut self, id: SubflowId) {
        self.last.remove(id);
    }
}
