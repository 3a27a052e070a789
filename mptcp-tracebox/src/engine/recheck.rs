//! Probes that are sent again to both ends of an interval that hangs on few quotes: where packets are spread over
//! several ways one by one, and no router shows it, a clean quote may be of another way than a changed one.

use mptcp_proto::time::Instant;

use super::pace::Bucket;
use super::{Ask, Outcome, Want};
use crate::evidence::Role;
use crate::plan::ATTEMPTS;
use crate::probe::Probe;
use crate::trace::{CellState, Flow, Located, Place};

/// What is left to ask again.
#[derive(Debug)]
pub(super) struct Recheck {
    left: Vec<Ask>,
    in_flight: usize,
    /// Probes may reach the target.
    is_target_there: bool,
}

impl Recheck {
    /// What is in doubt of a flow, as far as it is known; `probes` are those of the phase.
    pub(super) fn new(flow: Option<&Flow>, probes: &[Probe], is_target_there: bool) -> Self {
        let flow = flow.filter(|flow| !flow.is_balanced);
        let doubtful = flow.into_iter().flat_map(|flow| {
            let changes = flow.changes.iter();
            changes.filter(|located| likelihood(flow, located) > DOUBTFUL)
        });
        let mut left = Vec::new();
        for located in doubtful.take(MOST_DOUBTS) {
            let probe = located.probes.first();
            let probe = probe.and_then(|probe| probes.iter().position(|known| known == probe));
            let (Some(probe), Place::Hop(until)) = (probe, located.between.until) else {
                continue;
            };
            for ttl in [located.between.after, until] {
                let asks = (0..TRIES).map(|number| Ask {
                    probe,
                    role: Role::Ladder,
                    ttl,
                    attempt: ATTEMPTS + number,
                });
                left.extend(asks);
            }
        }
        left.reverse();
        Self {
            left,
            in_flight: 0,
            is_target_there,
        }
    }

    /// Whether probes may reach the target.
    pub(super) const fn is_target_there(&self) -> bool {
        self.is_target_there
    }

    pub(super) fn want(&self, now: Instant, routers: &[Bucket]) -> Want {
        let Some(&ask) = self.left.last() else {
            return if self.in_flight > 0 {
                Want::Answer
            } else {
                Want::Over
            };
        };
        let router = usize::from(ask.ttl).checked_sub(1);
        let router = router.and_then(|at| routers.get(at));
        match router.map(|router| router.ready_at(1, now)) {
            Some(at) if at > now => Want::Wait(at),
            _ => Want::Send(ask),
        }
    }

    pub(super) fn note_sent(&mut self, _ask: Ask) {
        self.left.pop();
        self.in_flight += 1;
    }

    pub(super) fn settle(&mut self, ask: Ask, _outcome: Outcome) {
        if ask.role == Role::Ladder {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }
}

/// How likely the quotes are, at most, if each packet took one of several ways by chance, of which one has the box.
fn likelihood(flow: &Flow, located: &Located) -> f64 {
    let seen = flow.hops.iter().flat_map(|hop| {
        let cells = flow.probes.iter().zip(&hop.cells);
        cells.map(move |(probe, cell)| (hop.ttl, probe, cell))
    });
    let clean = seen.filter(|(ttl, probe, cell)| {
        let is_before = *ttl <= located.between.after && located.probes.contains(probe);
        is_before && matches!(cell.state, CellState::Same | CellState::Changed)
    });
    let clean = u32::try_from(clean.count()).unwrap_or(u32::MAX);
    let [clean, changed] = [clean, located.witnesses].map(f64::from);
    let all = clean + changed;
    if clean < 0.5 {
        // Nothing says that it has not happened yet.
        return 0.0;
    }
    (clean / all).powf(clean) * (changed / all).powf(changed)
}

/// One quote on one side, and up to three on the other.
const DOUBTFUL: f64 = 0.1;
/// Packets for each end.
const TRIES: u8 = 3;
/// Changes that are looked at again.
const MOST_DOUBTS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ask_is_sent_once_and_all_are_waited_for() {
        let ask = Ask {
            probe: 1,
            role: Role::Ladder,
            ttl: 2,
            attempt: ATTEMPTS,
        };
        let mut recheck = Recheck {
            left: vec![ask; 2],
            in_flight: 0,
            is_target_there: true,
        };
        for _ in 0..2 {
            assert!(matches!(recheck.want(Instant::ZERO, &[]), Want::Send(found) if found == ask));
            recheck.note_sent(ask);
        }
        recheck.settle(ask, Outcome::Expired);
        assert!(matches!(recheck.want(Instant::ZERO, &[]), Want::Answer));
        recheck.settle(ask, Outcome::Silent);
        assert!(matches!(recheck.want(Instant::ZERO, &[]), Want::Over));
    }
}
