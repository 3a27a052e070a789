//! What holds for every scheduler: which subflows may carry a chunk at all.

use super::{Choice, Chunk, Kind, Pick, Scheduler, room};
use crate::path::{LossState, PathView, SubflowId};
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// A scheduler with the rules before it.
///
/// 1. Only usable subflows carry anything.
/// 2. A stale subflow is used only when all are stale.
/// 3. A backup is used only when no regular subflow is left after that (RFC 8684 §3.3.8).
/// 4. After a retransmission timeout a subflow gets new data only if all that are left are so, and
///    for reinjections it counts as stale: then a backup may help.
/// 5. A reinjection never goes where the data is outstanding already: there it is TCP's business.
#[derive(Debug)]
pub struct Picker {
    scheduler: Box<dyn Scheduler>,
    candidates: Vec<PathView>,
    each: Vec<SubflowId>,
}

impl Picker {
    /// With this scheduler.
    pub fn new(kind: Kind) -> Self {
        Self {
            scheduler: kind.build(),
            candidates: Vec::new(),
            each: Vec::new(),
        }
    }

    /// Which scheduler it has.
    pub fn kind(&self) -> Kind {
        self.scheduler.kind()
    }

    /// Where the next chunk goes. `paths` are all subflows of the connection.
    pub fn pick(&mut self, now: Instant, paths: &[PathView], what: Chunk<'_>) -> Pick<'_> {
        self.select(paths, what);
        if self.candidates.is_empty() {
            return Pick::Wait;
        }
        match self.scheduler.choose(now, &self.candidates, what) {
            Choice::One(on, max) => Pick::One { on, max },
            Choice::Each => self.each(what),
            Choice::Wait => Pick::Wait,
        }
    }

    /// Tells the scheduler that the data-level window was full while a subflow had room.
    pub fn on_blocked(&mut self, now: Instant) {
        self.scheduler.on_blocked(now);
    }

    fn select(&mut self, paths: &[PathView], what: Chunk<'_>) {
        let (is_new, already_on): (bool, &[SubflowId]) = match what {
            Chunk::Reinjection { already_on, .. } => (false, already_on),
            Chunk::New { .. } | Chunk::DataFin => (true, &[]),
        };
        let rank = |path: &PathView| {
            let timed_out = path.loss_state == LossState::Loss;
            (
                path.is_stale || (timed_out && !is_new),
                path.priority == Priority::Backup,
                timed_out,
            )
        };
        let usable = || paths.iter().filter(|path| path.is_usable);
        // Over all of them: a subflow that has the data already still keeps the backups out.
        let best = usable().map(rank).min();
        self.candidates.clear();
        let chosen = usable().filter(|path| Some(rank(path)) == best);
        self.candidates
            .extend(chosen.filter(|path| !already_on.contains(&path.id)));
    }

    fn each(&mut self, what: Chunk<'_>) -> Pick<'_> {
        self.each.clear();
        let mut least = u64::MAX;
        for path in &self.candidates {
            if let Some(max) = room::takes(path, what) {
                self.each.push(path.id);
                least = least.min(max);
            }
        }
        if self.each.is_empty() {
            return Pick::Wait;
        }
        Pick::Each {
            on: &self.each,
            max: least,
        }
    }
}
