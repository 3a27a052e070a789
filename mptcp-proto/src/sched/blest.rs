//! BLEST: blocking estimation (Ferlin, Alay, Mehani, Boreli, IFIP Networking 2016).
//!
//! Data on a slow subflow occupies the data-level window for a slow round trip. If the fast subflow
//! could fill what then remains of the window in the meantime, it is better to wait for it.

use super::{Choice, Chunk, Kind, Scheduler, room};
use crate::path::PathView;
use crate::time::Instant;

/// Waits for the fastest subflow when a slower one would block it.
#[derive(Debug)]
pub struct Blest {
    /// λ, in thousandths: by how much the estimate for the fast subflow is stretched.
    lambda: u64,
    changed: Instant,
    was_blocked: bool,
}

impl Default for Blest {
    fn default() -> Self {
        Self {
            lambda: LAMBDA_START,
            changed: Instant::ZERO,
            was_blocked: false,
        }
    }
}

impl Blest {
    /// Bytes that `fast` sends during a round trip of `slow`, when its window grows by a segment in
    /// each of its own: `MSS_f · (CWND_f + (rtts − 1) / 2) · rtts`, in the paper's words.
    fn sent_meanwhile(fast: &PathView, slow: &PathView) -> u64 {
        let rounds = slow.srtt.as_nanos().div_ceil(fast.srtt.as_nanos().max(1));
        let rounds = u64::try_from(rounds).unwrap_or(MAX_ROUNDS).min(MAX_ROUNDS);
        let growth = u64::from(fast.mss).saturating_mul(rounds.saturating_sub(1)) / 2;
        fast.cwnd.saturating_add(growth).saturating_mul(rounds)
    }

    fn would_block(&self, fast: &PathView, slow: &PathView, window: u64) -> bool {
        let occupied = slow.in_flight.saturating_add(slow.queued);
        let left = window.saturating_sub(occupied.saturating_add(u64::from(slow.mss)));
        let wanted = Self::sent_meanwhile(fast, slow);
        u128::from(wanted) * u128::from(self.lambda) > u128::from(left) * u128::from(LAMBDA_ONE)
    }

    /// Once per slow round trip: λ grows if there was blocking, and shrinks if there was none.
    fn adapt(&mut self, now: Instant, slow: &PathView) {
        if now.since(self.changed) < slow.srtt {
            return;
        }
        let lambda = if self.was_blocked {
            self.lambda + LAMBDA_UP
        } else {
            self.lambda - LAMBDA_DOWN
        };
        self.lambda = lambda.clamp(LAMBDA_ONE, LAMBDA_MOST);
        self.changed = now;
        self.was_blocked = false;
    }
}

impl Scheduler for Blest {
    fn kind(&self) -> Kind {
        Kind::Blest
    }

    fn choose(&mut self, now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice {
        let found = room::fastest_with_room(candidates, what);
        let Some((path, _)) = found else {
            return Choice::Wait;
        };
        let fast = room::fastest(candidates).unwrap_or(path);
        if let Chunk::New { window, .. } = what
            && path.id != fast.id
        {
            self.adapt(now, path);
            if self.would_block(fast, path, window) {
                return Choice::Wait;
            }
        }
        room::choose(found)
    }

    fn on_blocked(&mut self, _now: Instant) {
        self.was_blocked = true;
    }
}

/// The numbers of the implementation for Linux: 1.2 to begin with, between 1 and 1.3.
const LAMBDA_START: u64 = 1_200;
const LAMBDA_ONE: u64 = 1_000;
const LAMBDA_MOST: u64 = 1_300;
const LAMBDA_UP: u64 = 40;
const LAMBDA_DOWN: u64 = 10;

/// Beyond this the estimate exceeds any window.
const MAX_ROUNDS: u64 = 1 << 20;
