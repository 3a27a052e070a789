//! ECF: earliest completion first (Lim, Nahum, Towsley, Gibbens, 2017).

use super::{Choice, Chunk, Kind, Scheduler, room};
use crate::path::PathView;
use crate::time::Instant;

/// Waits for the fastest subflow when the backlog is through sooner without the slower one.
#[derive(Debug, Default)]
pub struct Ecf {
    /// Whether it waited the last time: it goes on waiting a little longer than it would begin to.
    waiting: bool,
}

impl Ecf {
    /// The paper's two inequalities, for a backlog of `len` bytes. `k`, `n`, `δ` and `β` are its
    /// names; `β` is a quarter.
    fn waits(&mut self, fast: &PathView, slow: &PathView, len: u64) -> bool {
        let (rtt_f, rtt_s) = (fast.srtt.as_nanos(), slow.srtt.as_nanos());
        let delta = fast.rttvar.max(slow.rttvar).as_nanos();
        let (cwnd_f, cwnd_s, k) = (
            u128::from(fast.cwnd),
            u128::from(slow.cwnd),
            u128::from(len),
        );

        // n · RTT_f < (1 + waiting · β) · (RTT_s + δ), where n = 1 + k / CWND_f.
        let margin = 4 + u128::from(self.waiting);
        let by_fast = (cwnd_f + k).saturating_mul(rtt_f).saturating_mul(4);
        let by_slow = (rtt_s + delta)
            .saturating_mul(cwnd_f)
            .saturating_mul(margin);
        if by_fast >= by_slow {
            self.waiting = false;
            return false;
        }
        // k / CWND_s · RTT_s ≥ 2 · RTT_f + δ
        let is_too_slow = k.saturating_mul(rtt_s) >= (2 * rtt_f + delta).saturating_mul(cwnd_s);
        self.waiting |= is_too_slow;
        is_too_slow
    }
}

impl Scheduler for Ecf {
    fn kind(&self) -> Kind {
        Kind::Ecf
    }

    fn choose(&mut self, _now: Instant, candidates: &[PathView], what: Chunk<'_>) -> Choice {
        let found = room::fastest_with_room(candidates, what);
        let Some((path, _)) = found else {
            return Choice::Wait;
        };
        let fast = room::fastest(candidates).unwrap_or(path);
        match what {
            Chunk::New { len, .. } if path.id != fast.id && self.waits(fast, path, len) => {
                Choice::Wait
            }
            _ => room::choose(found),
        }
    }

    fn on_blocked(&mut self, _now: Instant) {}
}
