//! Probes that are to reach the target, one at a time: the target must not see two connections begin
//! between the same ports at once.

use mptcp_proto::time::Instant;

use super::compose::FULL_TTL;
use super::{Ask, Outcome, Want};
use crate::evidence::Role;
use crate::plan::ATTEMPTS;

/// The probes that are left.
#[derive(Debug)]
pub(super) struct Ends {
    /// Probes that wait, the next one last, with how often they were tried.
    left: Vec<(usize, u8)>,
    in_flight: bool,
    /// The probe that got no answer: it is tried again once the control has one.
    doubtful: Option<(usize, u8)>,
    is_reached: bool,
}

impl Ends {
    /// The control alone.
    pub(super) fn control() -> Self {
        Self::of(vec![(CONTROL, 0)])
    }

    /// All but the control.
    pub(super) fn special(probes: usize) -> Self {
        Self::of((1..probes).rev().map(|probe| (probe, 0)).collect())
    }

    fn of(left: Vec<(usize, u8)>) -> Self {
        Self {
            left,
            in_flight: false,
            doubtful: None,
            is_reached: false,
        }
    }

    /// Whether the control was answered.
    pub(super) const fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Until `quiet`, the target may still have the connection before. A probe that was not answered is not
    /// sent again before, or it might be taken for a segment of that one.
    pub(super) fn want(&self, now: Instant, quiet: Instant) -> Want {
        if self.in_flight {
            return Want::Answer;
        }
        match self.left.last() {
            Some(&(_, attempt)) if attempt > 0 && now < quiet => Want::Wait(quiet),
            Some(&(probe, attempt)) => Want::Send(Ask {
                probe,
                role: Role::End,
                ttl: FULL_TTL,
                attempt,
            }),
            None => Want::Over,
        }
    }

    pub(super) fn note_sent(&mut self, _ask: Ask) {
        self.left.pop();
        self.in_flight = true;
    }

    pub(super) fn settle(&mut self, ask: Ask, outcome: Outcome) {
        if ask.role != Role::End {
            return;
        }
        self.in_flight = false;
        let next = ask.attempt.saturating_add(1);
        match (ask.probe, outcome) {
            (CONTROL, Outcome::Silent) if next < ATTEMPTS => self.left.push((CONTROL, next)),
            (CONTROL, Outcome::Silent) => self.doubtful = None,
            (CONTROL, _) => {
                self.is_reached = true;
                self.left.extend(self.doubtful.take());
            }
            (probe, Outcome::Silent) => {
                // After its last try too: silence is told from loss by what surrounds it.
                self.left.push((CONTROL, 0));
                self.doubtful = (next < ATTEMPTS).then_some((probe, next));
            }
            _ => {}
        }
    }
}

/// Number of the control.
pub(super) const CONTROL: usize = 0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Probes in the order in which they are sent, with the answers to them.
    fn played(mut ends: Ends, answer: impl Fn(usize, u8) -> Outcome) -> Vec<(usize, u8)> {
        let mut sent = Vec::new();
        while let Want::Send(ask) = ends.want(Instant::ZERO, Instant::ZERO) {
            assert!(sent.len() < 100, "it does not end: {sent:?}");
            ends.note_sent(ask);
            assert!(matches!(
                ends.want(Instant::ZERO, Instant::ZERO),
                Want::Answer
            ));
            sent.push((ask.probe, ask.attempt));
            ends.settle(ask, answer(ask.probe, ask.attempt));
        }
        assert!(matches!(
            ends.want(Instant::ZERO, Instant::ZERO),
            Want::Over
        ));
        sent
    }

    #[test]
    fn answered_probes_are_sent_once_and_in_order() {
        let sent = played(Ends::special(4), |_, _| Outcome::Reached);
        assert_eq!(sent, [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(played(Ends::control(), |_, _| Outcome::Reached), [(0, 0)]);
    }

    #[test]
    fn a_control_follows_each_try_in_vain() {
        let sent = played(Ends::special(3), |probe, _| match probe {
            1 => Outcome::Silent,
            _ => Outcome::Reached,
        });
        let expected = [(1, 0), (0, 0), (1, 1), (0, 0), (1, 2), (0, 0), (2, 0)];
        assert_eq!(sent, expected);
    }

    #[test]
    fn where_the_control_is_silent_too_nothing_more_is_asked_of_the_probe() {
        let sent = played(Ends::special(2), |_, _| Outcome::Silent);
        assert_eq!(sent, [(1, 0), (0, 0), (0, 1), (0, 2)]);
        let sent = played(Ends::control(), |_, _| Outcome::Silent);
        assert_eq!(sent, [(0, 0), (0, 1), (0, 2)]);
    }

    #[test]
    fn a_new_try_waits_until_the_target_is_quiet() {
        let mut ends = Ends::control();
        let quiet = Instant::from_millis(40);
        let Want::Send(ask) = ends.want(Instant::ZERO, quiet) else {
            panic!("a first try does not wait");
        };
        ends.note_sent(ask);
        ends.settle(ask, Outcome::Silent);
        assert!(matches!(ends.want(Instant::ZERO, quiet), Want::Wait(at) if at == quiet));
        assert!(matches!(ends.want(quiet, quiet), Want::Send(_)));
    }
}
