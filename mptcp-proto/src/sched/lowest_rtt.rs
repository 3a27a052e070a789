//! Lowest round-trip time first: the default of the mptcp.org kernel.

use super::{Choice, Chunk, Kind, Scheduler, room};
use crate::path::PathView;
use crate::time::Instant;

/// Fills the fastest subflow, then the next.
#[derive(Debug, Default)]
pub struct LowestRtt;

impl Scheduler for LowestRtt {
    fn kind(&self) -> Kind {
        Kind::LowestRtt
    }

    fn choose(&mut self, _now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice {
        room::choose(room::fastest_with_room(candidates, what))
    }

    fn on_blocked(&mut self, _now: Instant) {}
}
