//! Probes to another port of the target, one at a time: what stands before the target answers for one port
//! or for all of them, and what keeps state does not let an ACK pass that belongs to nothing.

use mptcp_proto::time::Instant;

use super::compose::FULL_TTL;
use super::pace::Bucket;
use super::{Ask, Outcome, Want};
use crate::evidence::Role;
use crate::plan::ATTEMPTS;
use crate::probe::Probe;

/// What is left to ask.
#[derive(Debug)]
pub(super) struct Compare {
    /// In the order of the plan.
    probes: Vec<Probe>,
    /// Lowest TTL with which somebody answered for the port that is asked about.
    distance: Option<u8>,
    max_ttl: u8,
    /// Hops that answer.
    ttls: Vec<u8>,
    step: Step,
    in_flight: bool,
    tries: u8,
    /// Hops in a row that did not answer.
    silent: u8,
    is_stray_lost: bool,
    is_other_answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// An ACK without a connection, to the target.
    Stray,
    /// A SYN, to the target.
    Other,
    /// SYNs with as small a TTL as what was answered for the first port, and larger ones.
    Deeper(u8),
    /// A SYN with the TTL before, to see whether it takes the same way.
    Way(u8),
    /// The ACK once more, now that the SYN was answered.
    Again,
    /// The ACK at the hop with this number.
    Walk(usize),
    Over,
}

impl Compare {
    pub(super) fn new(
        probes: Vec<Probe>,
        distance: Option<u8>,
        ttls: Vec<u8>,
        max_ttl: u8,
    ) -> Self {
        let mut compare = Self {
            probes,
            distance,
            max_ttl,
            ttls,
            step: Step::Stray,
            in_flight: false,
            tries: 0,
            silent: 0,
            is_stray_lost: false,
            is_other_answered: false,
        };
        if compare.ask().is_none() {
            compare.go(Step::Other);
        }
        compare
    }

    pub(super) fn want(&self, now: Instant, routers: &[Bucket]) -> Want {
        if self.in_flight {
            return Want::Answer;
        }
        let Some(ask) = self.ask() else {
            return Want::Over;
        };
        let router = usize::from(ask.ttl).checked_sub(1);
        let router = router.and_then(|at| routers.get(at));
        let ready = router.map(|router| router.ready_at(1, now));
        match ready.filter(|_| ask.role == Role::Ladder) {
            Some(at) if at > now => Want::Wait(at),
            _ => Want::Send(ask),
        }
    }

    fn ask(&self) -> Option<Ask> {
        let (probe, role, ttl) = match self.step {
            Step::Stray | Step::Again => (Probe::StrayAck, Role::End, FULL_TTL),
            Step::Other => (Probe::OtherPort, Role::End, FULL_TTL),
            Step::Deeper(ttl) | Step::Way(ttl) => (Probe::OtherPort, Role::Ladder, ttl),
            Step::Walk(at) => (Probe::StrayAck, Role::Ladder, *self.ttls.get(at)?),
            Step::Over => return None,
        };
        Some(Ask {
            probe: self.probes.iter().position(|known| *known == probe)?,
            role,
            ttl,
            attempt: self.tries,
        })
    }

    pub(super) fn note_sent(&mut self, _ask: Ask) {
        self.in_flight = true;
        self.tries += 1;
    }

    pub(super) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        // What comes late belongs to a step before.
        let is_meant = self
            .ask()
            .is_some_and(|now| (now.probe, now.role, now.ttl) == (ask.probe, ask.role, ask.ttl));
        if !is_meant || !self.in_flight {
            return;
        }
        self.in_flight = false;
        if outcome != Outcome::Silent || self.tries >= self.most_tries() {
            let next = self.next(outcome);
            self.go(next);
        }
    }

    const fn most_tries(&self) -> u8 {
        match self.step {
            // Where it is lost hangs on the first hop that is silent about it.
            Step::Walk(_) if self.silent == 0 => ATTEMPTS + 2,
            Step::Stray | Step::Other | Step::Walk(_) => ATTEMPTS,
            Step::Deeper(_) | Step::Way(_) if self.is_other_answered => ATTEMPTS,
            _ => 1,
        }
    }

    fn go(&mut self, step: Step) {
        self.tries = 0;
        self.step = step;
    }

    fn next(&mut self, outcome: Outcome) -> Step {
        let is_silent = outcome == Outcome::Silent;
        match self.step {
            Step::Stray => {
                self.is_stray_lost = is_silent;
                Step::Other
            }
            Step::Other => {
                self.is_other_answered = !is_silent;
                self.distance.map_or_else(|| self.again(), Step::Deeper)
            }
            Step::Deeper(ttl) => self.deeper(ttl, outcome),
            Step::Way(_) => self.again(),
            Step::Again if is_silent => {
                self.silent = 0;
                Step::Walk(0)
            }
            Step::Walk(at) => {
                self.silent = if is_silent {
                    self.silent.saturating_add(1)
                } else {
                    0
                };
                Step::Walk(at + 1)
            }
            Step::Again | Step::Over => Step::Over,
        }
    }

    fn deeper(&mut self, ttl: u8, outcome: Outcome) -> Step {
        self.silent = match outcome {
            Outcome::Silent => self.silent + 1,
            _ => 0,
        };
        let before = self.distance.unwrap_or(1).saturating_sub(1);
        match outcome {
            Outcome::Expired if before > 0 => Step::Way(before),
            Outcome::Silent if self.silent < GIVE_UP && ttl < self.max_ttl => Step::Deeper(ttl + 1),
            _ => self.again(),
        }
    }

    /// Where the ACK was lost and the SYN was not, it is worth to look where.
    const fn again(&self) -> Step {
        if self.is_stray_lost && self.is_other_answered {
            Step::Again
        } else {
            Step::Over
        }
    }
}

/// Hops in a row that do not answer before no more are asked.
const GIVE_UP: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Probe; 2] = [Probe::OtherPort, Probe::StrayAck];

    /// What is asked, in order.
    fn played(distance: u8, answer: impl Fn(&Probe, u8) -> Outcome) -> Vec<(Probe, u8)> {
        let mut compare = Compare::new(BOTH.to_vec(), Some(distance), vec![1, 2], 30);
        let mut asked = Vec::new();
        while let Want::Send(ask) = compare.want(Instant::ZERO, &[]) {
            assert!(asked.len() < 100, "it does not end: {asked:?}");
            compare.note_sent(ask);
            let probe = BOTH[ask.probe].clone();
            let outcome = answer(&probe, ask.ttl);
            asked.push((probe, ask.ttl));
            compare.settle(ask, outcome);
        }
        asked
    }

    #[test]
    fn where_nothing_is_special_three_packets_show_it() {
        let asked = played(3, |_, _| Outcome::Reached);
        let expected = [
            (Probe::StrayAck, FULL_TTL),
            (Probe::OtherPort, FULL_TTL),
            (Probe::OtherPort, 3),
        ];
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_path_that_goes_on_is_looked_at_before_that_point_too() {
        let asked = played(2, |_, ttl| match ttl {
            FULL_TTL => Outcome::Reached,
            _ => Outcome::Expired,
        });
        assert_eq!(asked[2..], [(Probe::OtherPort, 2), (Probe::OtherPort, 1)]);
    }

    #[test]
    fn an_ack_that_is_lost_where_a_syn_is_not_is_asked_at_each_hop() {
        let asked = played(3, |probe, _| match probe {
            Probe::StrayAck => Outcome::Silent,
            _ => Outcome::Reached,
        });
        let strays = asked.iter().filter(|(probe, _)| *probe == Probe::StrayAck);
        let ttls: Vec<u8> = strays.map(|(_, ttl)| *ttl).collect();
        assert_eq!(ttls, [64, 64, 64, 64, 1, 1, 1, 1, 1, 2, 2, 2]);
    }

    #[test]
    fn a_port_behind_a_silent_filter_does_not_keep_the_run_for_long() {
        assert_eq!(played(3, |_, _| Outcome::Silent).len(), 3 + 3 + 3);
    }
}
