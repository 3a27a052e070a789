//! Where packets are dropped: which silence cannot be chance.

use super::Facts;
use crate::probe::{Phase, Probe};
use crate::trace::{End, Flow, Hop, Interval, Place};
use std::net::SocketAddr;

impl Facts<'_> {
    /// Where a probe is dropped: behind the last hop that quotes it, and before one that answers others so
    /// reliably that its silence cannot be chance.
    pub(super) fn narrowed(&self, probe: &Probe) -> Interval {
        let mut between = self.behind(probe);
        let column = self.flow.probes.iter().position(|known| known == probe);
        let Some(column) = column.filter(|_| !self.flow.is_balanced) else {
            return between;
        };
        let hops = &self.flow.hops;
        let all = hops.iter().map(|hop| Answers::of(hop, column));
        let all = all.fold(Answers::default(), Answers::and);
        let beyond = hops.iter().filter(|hop| hop.ttl > between.after);
        for hop in beyond {
            let here = Answers::of(hop, column);
            let Some(cell) = hop.cells.get(column).filter(|cell| cell.answered == 0) else {
                continue;
            };
            if here.is_no_chance(cell.sent, &all) {
                between.until = Place::Hop(hop.ttl);
                break;
            }
        }
        between
    }
}

impl Facts<'_> {
    /// Whether some packets of a probe arrive at the target and others do not, though all plain SYNs do: who drops
    /// them may be on one of several ways.
    pub(super) fn is_lost_now_and_then(&self) -> bool {
        let is_reliable = |end: &End| end.answered == end.sent;
        let mut ends = self.flow.ends.iter();
        self.end(&Probe::Syn).is_some_and(is_reliable)
            && ends
                .any(|end| end.probe.phase() == Phase::Syn && end.answered > 0 && !is_reliable(end))
    }

    /// That nothing was seen to change, as far as was looked.
    pub(super) fn unchanged(&self) -> String {
        let last = self.flow.hops.last().map(|hop| hop.ttl);
        match (self.flow.distance, last) {
            (None, Some(last)) => format!(
                "nothing changes what was sent as far as hop {last}; what is behind it was not asked"
            ),
            _ => "nothing on the way changes what was sent".to_owned(),
        }
    }
}

/// Where ACKs for data that nobody has sent are lost, if a hop is silent about them that answers all else.
pub(in crate::verdict) fn unseen_lost(flow: &Flow, target: SocketAddr) -> Option<Interval> {
    let between = Facts { flow, target }.narrowed(&Probe::UnseenAck);
    matches!(between.until, Place::Hop(_)).then_some(between)
}

/// Other probes that a hop answered, or not.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::verdict) struct Answers {
    came: f64,
    lost: f64,
}

impl Answers {
    /// Of all probes but one; those that get no answer at all do not count.
    pub(in crate::verdict) fn of(hop: &Hop, column: usize) -> Self {
        let cells = hop.cells.iter().enumerate();
        let cells = cells.filter(|(at, cell)| *at != column && cell.answered > 0);
        cells.fold(Self::default(), |sum, (_, cell)| {
            sum.and(Self {
                came: f64::from(cell.answered),
                lost: f64::from(cell.sent.saturating_sub(cell.answered)),
            })
        })
    }

    pub(in crate::verdict) fn and(self, other: Self) -> Self {
        Self {
            came: self.came + other.came,
            lost: self.lost + other.lost,
        }
    }

    /// Whether it answers any.
    pub(super) fn is_there(self) -> bool {
        self.came > 0.0
    }

    /// Whether it answers all of them.
    pub(super) fn is_whole(self) -> bool {
        self.is_there() && self.lost < 0.5
    }

    /// Whether so many losses in a row are too many to be chance.
    pub(in crate::verdict) fn is_no_chance(self, tries: u32, all: &Self) -> bool {
        self.came > 0.0 && self.chance_of_silence(tries, all) < CHANCE
    }

    /// How likely so many losses in a row are by chance, after what is known of this hop and, as far as
    /// hops of one path are alike, of the others: a beta prior of the weight of [`ALIKE`] answers.
    pub(super) fn chance_of_silence(self, tries: u32, all: &Self) -> f64 {
        let share = (all.lost + 0.5) / (all.lost + all.came + 1.0);
        let lost = self.lost + share * ALIKE;
        let known = self.lost + self.came + ALIKE;
        (0..tries)
            .map(|at| (lost + f64::from(at)) / (known + f64::from(at)))
            .product()
    }
}

/// A silence that is less likely than this is no chance.
const CHANCE: f64 = 1e-5;
/// So many answers of a hop count as much as all of the others.
const ALIKE: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(came: f64, lost: f64) -> Answers {
        Answers { came, lost }
    }

    #[test]
    fn silence_among_answers_is_no_chance_and_silence_among_losses_is() {
        let clean = answers(30.0, 0.0);
        let lossy = answers(20.0, 12.0);
        assert!(answers(4.0, 0.0).chance_of_silence(5, &clean) < CHANCE);
        assert!(answers(4.0, 0.0).chance_of_silence(5, &lossy) > CHANCE);
        assert!(answers(2.0, 3.0).chance_of_silence(5, &clean) > CHANCE);
        assert!(answers(4.0, 0.0).chance_of_silence(1, &clean) > CHANCE);
    }

    #[test]
    fn one_loss_more_is_less_likely() {
        let all = answers(10.0, 5.0);
        let chances: Vec<f64> = (0..6)
            .map(|tries| answers(3.0, 1.0).chance_of_silence(tries, &all))
            .collect();
        assert!((chances[0] - 1.0).abs() < 1e-9);
        assert!(
            chances.is_sorted_by(|more, less| more > less),
            "{chances:?}"
        );
    }
}
