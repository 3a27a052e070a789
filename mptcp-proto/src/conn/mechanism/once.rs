//! At most once in a round trip.

use std::time::Duration;

use crate::path::SubflowId;
use crate::time::Instant;

/// When something was last done to a subflow.
#[derive(Debug, Default)]
pub(super) struct OncePerRoundTrip {
    last: Vec<(SubflowId, Instant)>,
}

impl OncePerRoundTrip {
    /// Whether it is due, and if so, that it is done now.
    pub(super) fn is_due(&mut self, now: Instant, id: SubflowId, rtt: Duration) -> bool {
        if let Some((_, last)) = self.last.iter_mut().find(|(known, _)| *known == id) {
            let is_due = now.since(*last) >= rtt;
            if is_due {
                *last = now;
            }
            return is_due;
        }
        if self.last.len() >= MAX_REMEMBERED {
            self.last.remove(0);
        }
        self.last.push((id, now));
        true
    }

    pub(super) fn remove(&mut self, id: SubflowId) {
        self.last.retain(|(known, _)| *known != id);
    }
}

/// More subflows than a connection has at a time.
const MAX_REMEMBERED: usize = 128;
