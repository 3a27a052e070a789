//! Round robin: a segment on each subflow in turn.

use super::{Choice, Chunk, Kind, Scheduler, room};
use crate::path::{PathView, SubflowId};
use crate::time::Instant;

/// A segment on each subflow that has room, in the order of their ids.
#[derive(Debug, Default)]
pub struct RoundRobin {
    last: Option<SubflowId>,
}

impl Scheduler for RoundRobin {
    fn kind(&self) -> Kind {
        Kind::RoundRobin
    }

    fn choose(&mut self, _now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice {
        let with_room = candidates
            .iter()
            .filter_map(|path| Some((path, room::takes(path, what)?)));
        // Ids up to the last one come again only after all later ones.
        let next = with_room.min_by_key(|(path, _)| (Some(path.id) <= self.last, path.id));
        if let Some((path, _)) = next {
            self.last = Some(path.id);
        }
        room::choose(next.map(|(path, max)| (path, max.min(u64::from(path.mss).max(1)))))
    }

    fn on_blocked(&mut self, _now: Instant) {}
}
