//! Probes that are to run out of TTL.

use mptcp_proto::time::Instant;

use super::ends::CONTROL;
use super::pace::Bucket;
use super::{Ask, Outcome, Want};
use crate::evidence::Role;
use crate::plan::ATTEMPTS;

/// Looks for the distance of the target with controls.
#[derive(Debug)]
pub(super) struct Discovery {
    /// Outcome of each TTL, from 1.
    rungs: Vec<Rung>,
    /// Up to here, the target is not expected.
    hint: u8,
    max_ttl: u8,
    /// The target answers at all.
    is_there: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rung {
    InFlight,
    Settled(Outcome),
}

impl Discovery {
    /// `hint` is where the target seems to be; `is_there` says that it answers.
    pub(super) fn new(hint: Option<u8>, is_there: bool, max_ttl: u8) -> Self {
        Self {
            rungs: Vec::new(),
            hint: hint.unwrap_or(WINDOW).min(max_ttl),
            max_ttl,
            is_there,
        }
    }

    pub(super) fn want(&self, now: Instant, routers: &[Bucket]) -> Want {
        if self.end().is_some() {
            let in_flight = self.rungs.contains(&Rung::InFlight);
            return if in_flight { Want::Answer } else { Want::Over };
        }
        let next = u8::try_from(self.rungs.len() + 1).unwrap_or(u8::MAX);
        // What may reach the target goes alone: it would see two connections begin at once.
        let must_wait = next >= self.hint && self.rungs.contains(&Rung::InFlight);
        let router = routers.get(self.rungs.len());
        match router.map(|router| router.ready_at(1, now)) {
            _ if must_wait => Want::Answer,
            None => Want::Over,
            Some(at) if at > now => Want::Wait(at),
            Some(_) => Want::Send(Ask {
                probe: CONTROL,
                role: Role::Ladder,
                ttl: next,
                attempt: 0,
            }),
        }
    }

    /// Where the ladder ends: the first TTL that is not worth a probe any more, if that is known.
    fn end(&self) -> Option<u8> {
        if let Some(distance) = self.distance() {
            return Some(distance);
        }
        let len = u8::try_from(self.rungs.len()).unwrap_or(u8::MAX);
        let silent = self.rungs.iter().rev();
        let silent = silent.take_while(|rung| **rung == Rung::Settled(Outcome::Silent));
        let is_lost = !self.is_there && silent.count() >= GIVE_UP;
        (len >= self.max_ttl || is_lost).then_some(len.saturating_add(1))
    }

    /// The lowest TTL with which the target, or somebody in its place, answered.
    fn distance(&self) -> Option<u8> {
        let reached =
            |rung: &Rung| matches!(rung, Rung::Settled(Outcome::Reached | Outcome::Refused));
        let at = self.rungs.iter().position(reached)?;
        u8::try_from(at + 1).ok()
    }

    pub(super) fn note_sent(&mut self, _ask: Ask) {
        self.rungs.push(Rung::InFlight);
    }

    pub(super) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        if ask.role != Role::Ladder {
            return;
        }
        let rung = usize::from(ask.ttl)
            .checked_sub(1)
            .and_then(|at| self.rungs.get_mut(at));
        if let Some(rung) = rung {
            *rung = Rung::Settled(outcome);
        }
    }
}

/// All probes at each TTL below the distance.
#[derive(Debug)]
pub(super) struct Ladder {
    steps: Vec<Step>,
    probes: usize,
    queries: u8,
    is_there: bool,
}

/// One probe at one TTL.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    sent: u8,
    in_flight: u8,
    answered: u8,
    /// Controls that accompany another try of another probe.
    extra: u8,
}

impl Ladder {
    pub(super) fn new(discovery: &Discovery, probes: usize, queries: u8) -> Self {
        let top = discovery.end().unwrap_or(1).saturating_sub(1);
        // Without an end, the silence behind the last router that answered is not asked again.
        let mut known = discovery.rungs.iter().take(usize::from(top));
        let heard = known.rposition(|rung| *rung != Rung::Settled(Outcome::Silent));
        let has_end = discovery.distance().is_some();
        let top = if has_end {
            usize::from(top)
        } else {
            heard.map_or(0, |at| at + 2).min(usize::from(top))
        };
        let mut steps = vec![Step::default(); top * probes];
        for (rung, step) in discovery.rungs.iter().zip(steps.chunks_mut(probes.max(1))) {
            if let Some(control) = step.first_mut() {
                control.sent = 1;
                control.answered = u8::from(*rung != Rung::Settled(Outcome::Silent));
            }
        }
        Self {
            steps,
            probes,
            queries,
            is_there: discovery.is_there || has_end,
        }
    }

    /// Whether probes may reach the target.
    pub(super) const fn is_target_there(&self) -> bool {
        self.is_there
    }

    pub(super) fn want(&mut self, now: Instant, routers: &[Bucket]) -> Want {
        let mut wait: Option<Instant> = None;
        for at in 0..self.steps.len() {
            let (ttl, probe) = (at / self.probes, at % self.probes);
            if !self.is_wanted(at) {
                continue;
            }
            let is_again = probe != CONTROL && self.steps[at].sent > 0;
            let tokens = if is_again { 2 } else { 1 };
            let ready = routers
                .get(ttl)
                .map_or(now, |router| router.ready_at(tokens, now));
            if ready > now {
                wait = Some(wait.map_or(ready, |earlier| earlier.min(ready)));
                continue;
            }
            return Want::Send(Ask {
                probe,
                role: Role::Ladder,
                ttl: u8::try_from(ttl + 1).unwrap_or(u8::MAX),
                attempt: self.steps[at].sent,
            });
        }
        let in_flight = self.steps.iter().any(|step| step.in_flight > 0);
        match wait {
            Some(until) => Want::Wait(until),
            None if in_flight => Want::Answer,
            None => Want::Over,
        }
    }

    /// Whether a probe is to be sent again, or for the first time.
    fn is_wanted(&self, at: usize) -> bool {
        let step = self.steps[at];
        let is_control = at % self.probes == CONTROL;
        let control = self.steps[at - at % self.probes];
        if is_control && step.extra > 0 {
            return true;
        }
        let missing = self
            .queries
            .saturating_sub(step.answered)
            .saturating_sub(step.in_flight);
        let more = if self.is_first_silent(at) { MORE } else { 0 };
        let tries = self.queries.saturating_add(ATTEMPTS - 1 + more);
        // A router that does not answer the control will not answer the others: one try is enough.
        let is_hopeless = !is_control && step.sent >= self.queries && control.answered == 0;
        let waits = step.in_flight > 0 && step.sent >= self.queries;
        missing > 0 && step.sent < tries && !is_hopeless && !waits
    }

    /// Whether this is the first hop that is silent about a probe, though it answers others, and all behind it are
    /// silent about it too: where it is dropped hangs on this silence.
    fn is_first_silent(&self, at: usize) -> bool {
        let (hop, probe) = (at / self.probes, at % self.probes);
        let tries = self.queries.saturating_add(ATTEMPTS - 1);
        let is_silent = self.steps[at].sent >= tries && self.steps[at].answered == 0;
        if probe == CONTROL || !is_silent || self.steps[at - probe].answered == 0 {
            return false;
        }
        let mut column = self.steps.chunks(self.probes);
        let mut before = column.by_ref().take(hop);
        let is_heard = before.all(|hop| hop[probe].answered > 0 || hop[CONTROL].answered == 0);
        is_heard
            && column.all(|hop| {
                let step = hop[probe];
                let is_hopeless = hop[CONTROL].answered == 0 && step.sent >= self.queries;
                let is_over = step.in_flight == 0 && (step.sent >= tries || is_hopeless);
                step.answered == 0 && is_over
            })
    }

    pub(super) fn note_sent(&mut self, ask: Ask) {
        let at = self.place(ask);
        let is_again = at
            .and_then(|at| self.steps.get(at))
            .is_some_and(|step| step.sent >= self.queries);
        let control = at.map(|at| at - at % self.probes);
        if let Some(step) = at.and_then(|at| self.steps.get_mut(at)) {
            step.sent = step.sent.saturating_add(1);
            step.in_flight = step.in_flight.saturating_add(1);
            step.extra = step.extra.saturating_sub(1);
        }
        if ask.probe != CONTROL
            && is_again
            && let Some(control) = control.and_then(|at| self.steps.get_mut(at))
        {
            control.extra = control.extra.saturating_add(1);
        }
    }

    pub(super) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        if ask.role != Role::Ladder {
            return;
        }
        if let Some(step) = self.place(ask).and_then(|at| self.steps.get_mut(at)) {
            step.in_flight = step.in_flight.saturating_sub(1);
            step.answered = step
                .answered
                .saturating_add(u8::from(outcome != Outcome::Silent));
        }
    }

    fn place(&self, ask: Ask) -> Option<usize> {
        Some(usize::from(ask.ttl).checked_sub(1)? * self.probes + ask.probe)
    }
}

/// Tries that are added where a probe is dropped.
const MORE: u8 = 2;
/// Without a hint, TTLs that are tried at once.
const WINDOW: u8 = 4;
/// Routers in a row that do not answer before the way is given up, if the target does not answer either.
const GIVE_UP: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn routers() -> Vec<Bucket> {
        vec![Bucket::new(1000, 1000, NOW); 30]
    }

    /// TTLs that are asked, one after the other, of a target at this distance.
    fn discovered(hint: Option<u8>, is_there: bool, distance: u8) -> (Discovery, Vec<u8>) {
        let mut discovery = Discovery::new(hint, is_there, 30);
        let mut asked = Vec::new();
        let mut in_flight: Vec<Ask> = Vec::new();
        loop {
            match discovery.want(NOW, &routers()) {
                Want::Send(ask) => {
                    discovery.note_sent(ask);
                    asked.push(ask.ttl);
                    in_flight.push(ask);
                }
                Want::Answer => {
                    for ask in in_flight.drain(..) {
                        let outcome = match ask.ttl {
                            ttl if ttl < distance => Outcome::Expired,
                            _ if is_there => Outcome::Reached,
                            _ => Outcome::Silent,
                        };
                        discovery.settle(ask, outcome);
                    }
                }
                _ => return (discovery, asked),
            }
        }
    }

    #[test]
    fn discovery_ends_at_the_target_whatever_the_hint_says() {
        for hint in [None, Some(1), Some(4), Some(9)] {
            let (discovery, asked) = discovered(hint, true, 6);
            assert_eq!(discovery.distance(), Some(6), "{hint:?}");
            // Only a hint that is too large sends more than is needed, all before the first answer.
            let expected = hint.filter(|hint| *hint > 6).map_or(6, |hint| hint - 1);
            assert_eq!(asked.last(), Some(&expected), "{hint:?}");
        }
    }

    #[test]
    fn discovery_gives_up_behind_the_last_router_of_a_silent_target() {
        let (discovery, asked) = discovered(None, false, 4);
        assert_eq!(discovery.distance(), None);
        assert_eq!(asked.last(), Some(&8));
        let ladder = Ladder::new(&discovery, 2, 1);
        assert_eq!(ladder.steps.len(), 4 * 2);
        assert!(!ladder.is_target_there());
    }

    /// Packets for each probe at the one hop of a path, the control first.
    fn climbed(answer: impl Fn(usize, u8) -> Outcome, queries: u8) -> [u8; 3] {
        let (discovery, _) = discovered(None, true, 2);
        let mut ladder = Ladder::new(&discovery, 3, queries);
        loop {
            match ladder.want(NOW, &routers()) {
                Want::Send(ask) => {
                    ladder.note_sent(ask);
                    ladder.settle(ask, answer(ask.probe, ask.attempt));
                }
                Want::Over => return [0, 1, 2].map(|probe| ladder.steps[probe].sent),
                _ => panic!("nothing is in flight"),
            }
        }
    }

    #[test]
    fn each_probe_is_asked_once_where_all_is_answered() {
        assert_eq!(climbed(|_, _| Outcome::Expired, 1), [1, 1, 1]);
        assert_eq!(climbed(|_, _| Outcome::Expired, 3), [3, 3, 3]);
    }

    #[test]
    fn a_probe_gets_five_tries_where_it_is_dropped_and_each_further_one_a_control() {
        let silent = |probe, _| match probe {
            1 => Outcome::Silent,
            _ => Outcome::Expired,
        };
        assert_eq!(climbed(silent, 1), [5, 5, 1]);
        let late = |probe, attempt| match (probe, attempt) {
            (1, 0) => Outcome::Silent,
            _ => Outcome::Expired,
        };
        assert_eq!(climbed(late, 1), [2, 2, 1]);
    }

    #[test]
    fn nothing_is_sent_before_the_router_has_tokens_for_probe_and_control() {
        let (discovery, _) = discovered(None, true, 2);
        let mut ladder = Ladder::new(&discovery, 2, 1);
        let mut empty = vec![Bucket::new(1, 1, NOW)];
        let Want::Send(ask) = ladder.want(NOW, &empty) else {
            panic!("one token is there");
        };
        ladder.note_sent(ask);
        empty[0].take(NOW);
        ladder.settle(ask, Outcome::Silent);
        let Want::Wait(until) = ladder.want(NOW, &empty) else {
            panic!("a further try needs two tokens");
        };
        assert!(until > NOW);
    }
}
