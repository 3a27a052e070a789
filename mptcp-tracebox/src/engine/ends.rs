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
