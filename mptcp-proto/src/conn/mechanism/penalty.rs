//! M2, penalising slow subflows.

use super::once::OncePerRoundTrip;
use crate::path::{LossState, PathView, SubflowId};
use crate::time::Instant;

/// Subflows that hold up the data-level window get half their congestion window, at most once in
/// one of their round trips.
#[derive(Debug, Default)]
pub struct Penalty {
    last: OncePerRoundTrip,
}

impl Penalty {
    /// Whether `holder` is to be penalised: the data-level window is full, `idle` has room and is
    /// faster, and the first data that lacks its DATA_ACK is outstanding on `holder`.
    ///
    /// One that recovers from losses has a smaller window already.
    pub fn is_due(&mut self, now: Instant, idle: &PathView, holder: &PathView) -> bool {
        holder.id != idle.id
            && holder.srtt > idle.srtt
            && holder.loss_state == LossState::Open
            && self.last.is_due(now, holder.id, holder.srtt)
    }

    /// A subflow is gone.
    pub fn remove(&mut self, id: SubflowId) {
        self.last.remove(id);
    }
}
