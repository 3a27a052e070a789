//! Redundant: the same data on every subflow, for the lowest delay that any of them has.

use super::{Choice, Chunk, Kind, Scheduler, room};
use crate::path::PathView;
use crate::time::Instant;

/// A copy on each subflow that has room. One without room does not hold up the others: it is given
/// what is new by the time it has room again.
#[derive(Debug, Default)]
pub struct Redundant;

impl Scheduler for Redundant {
    fn kind(&self) -> Kind {
        Kind::Redundant
    }

    fn choose(&mut self, _now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice {
        match what {
            // A copy of a copy helps nobody.
            Chunk::Reinjection { .. } => room::choose(room::fastest_with_room(candidates, what)),
            Chunk::New { .. } | Chunk::DataFin => Choice::Each,
        }
    }

    fn on_blocked(&mut self, _now: Instant) {}
}
