//! What links do to packets: delay, jitter, loss, reordering, duplicates, outages.

use std::time::Duration;

use super::flow_table::PerDirection;
use super::select::Toward;
use super::spec::{Fields, Millis, Probability, Spans, words};
use super::{Departure, Direction, Middlebox};

words! {
    /// What jitter does to the order of packets.
    pub enum Order {
        /// None leaves before the one that came before it, unless `reorder` picked that one.
        Keep = "keep",
        /// Each leaves when its own delay is over.
        Free = "free",
    }
}

/// How bad the link is. Every kind of packet suffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The direction that suffers.
    pub toward: Toward,
    /// Delay of every packet.
    pub delay: Millis,
    /// Further delay, uniform between nothing and this.
    pub jitter: Millis,
    /// What jitter does to the order.
    pub order: Order,
    /// Loss in the good state, which is the only one while `burst_start` is never.
    pub loss: Probability,
    /// The bad state begins, asked at every packet (Gilbert's model).
    pub burst_start: Probability,
    /// The bad state ends, asked at every packet.
    pub burst_end: Probability,
    /// Loss in the bad state.
    pub burst_loss: Probability,
    /// A packet waits for `reorder_by` so that later ones pass it.
    pub reorder: Probability,
    /// How long it waits.
    pub reorder_by: Millis,
    /// A packet leaves twice.
    pub duplicate: Probability,
    /// When nothing passes.
    pub down: Spans,
    /// Where the random numbers begin.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            toward: Toward::Both,
            delay: Millis(0),
            jitter: Millis(0),
            order: Order::Keep,
            loss: Probability::NEVER,
            burst_start: Probability::NEVER,
            burst_end: Probability::from_millionths(250_000),
            burst_loss: Probability::ALWAYS,
            reorder: Probability::NEVER,
            reorder_by: Millis(10),
            duplicate: Probability::NEVER,
            down: Spans::default(),
            seed: 1,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("toward", &mut self.toward, &default.toward);
        fields.field("delay_ms", &mut self.delay, &default.delay);
        fields.field("jitter_ms", &mut self.jitter, &default.jitter);
        fields.field("order", &mut self.order, &default.order);
        fields.field("loss", &mut self.loss, &default.loss);
        fields.field("burst_start", &mut self.burst_start, &default.burst_start);
        fields.field("burst_end", &mut self.burst_end, &default.burst_end);
        fields.field("burst_loss", &mut self.burst_loss, &default.burst_loss);
        fields.field("reorder", &mut self.reorder, &default.reorder);
        fields.field("reorder_ms", &mut self.reorder_by, &default.reorder_by);
        fields.field("duplicate", &mut self.duplicate, &default.duplicate);
        fields.field("down_ms", &mut self.down, &default.down);
        fields.field("seed", &mut self.seed, &default.seed);
    }

    /// The box.
    pub fn build(&self) -> Impair {
        // Each direction has its own numbers, so that traffic of one does not change the other.
        let way = |number: u64| Way {
            random: fastrand::Rng::with_seed(self.seed.wrapping_mul(2).wrapping_add(number)),
            is_bad: false,
            last: Duration::ZERO,
        };
        Impair {
            plan: self.clone(),
            ways: PerDirection {
                to_server: way(0),
                to_client: way(1),
            },
        }
    }
}

/// The box. It holds nothing back: packets leave with the time at which they are through.
#[derive(Debug)]
pub struct Impair {
    plan: Plan,
    ways: PerDirection<Way>,
}

#[derive(Debug)]
struct Way {
    random: fastrand::Rng,
    is_bad: bool,
    /// When the last packet leaves that keeps its place.
    last: Duration,
}

impl Way {
    fn happens(&mut self, probability: Probability) -> bool {
        self.random.u32(..Probability::ONE) < probability.millionths()
    }

    fn is_lost(&mut self, plan: &Plan) -> bool {
        let changes = if self.is_bad {
            plan.burst_end
        } else {
            plan.burst_start
        };
        self.is_bad ^= self.happens(changes);
        let loss = if self.is_bad {
            plan.burst_loss
        } else {
            plan.loss
        };
        self.happens(loss)
    }

    fn leaves_at(&mut self, plan: &Plan, now: Duration) -> Duration {
        let jitter = plan.jitter.duration().as_micros();
        let jitter = u64::try_from(jitter).unwrap_or(u64::MAX);
        let jitter = Duration::from_micros(self.random.u64(..=jitter));
        let at = now.saturating_add(plan.delay.duration() + jitter);
        if self.happens(plan.reorder) {
            return at.saturating_add(plan.reorder_by.duration());
        }
        if plan.order == Order::Free {
            return at;
        }
        self.last = self.last.max(at);
        self.last
    }
}

impl Middlebox for Impair {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let mut departure = Departure {
            at: now,
            direction,
            packet,
        };
        if !self.plan.toward.includes(direction) {
            out.push(departure);
            return;
        }
        let way = self.ways.of_mut(direction);
        // An outage takes no random number, or the rest of a run would depend on its length.
        if self.plan.down.contain(now) || way.is_lost(&self.plan) {
            return;
        }
        departure.at = way.leaves_at(&self.plan, now);
        let again = way.happens(self.plan.duplicate);
        out.extend(again.then(|| departure.clone()));
        out.push(departure);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, pass_at};
    use super::super::spec::Spec;
    use super::*;

    /// Times at which packets leave that come once in a millisecond, `None` for lost ones.
    fn run(text: &str, packets: u64) -> Vec<Vec<u128>> {
        let mut impair = text.parse::<Spec>().unwrap().build();
        (0..packets)
            .map(|ms| {
                let out = pass_at(impair.as_mut(), Duration::from_millis(ms), &Tcp::syn());
                out.iter()
                    .map(|departure| departure.at.as_millis())
                    .collect()
            })
            .collect()
    }

    #[test]
    fn equal_seeds_give_equal_runs() {
        let text = |seed: u32| {
            format!("impair:loss=0.2,jitter_ms=9,order=free,duplicate=0.1,reorder=0.1,seed={seed}")
        };
        assert_eq!(run(&text(3), 500), run(&text(3), 500));
        assert_ne!(run(&text(3), 500), run(&text(4), 500));
    }

    #[test]
    fn loss_comes_as_often_as_asked() {
        let lost = |text| {
            run(text, 10_000)
                .iter()
                .filter(|out| out.is_empty())
                .count()
        };
        assert_eq!(lost("impair"), 0);
        assert_eq!(lost("impair:loss=1"), 10_000);
        assert!((400..600).contains(&lost("impair:loss=0.05")));
        // One packet in 101 begins a burst of four.
        let bursts = "impair:burst_start=0.01,burst_end=0.25";
        assert!((300..480).contains(&lost(bursts)));
    }

    #[test]
    fn bursts_lose_packets_in_a_row() {
        let out = run("impair:burst_start=0.01,burst_end=0.25", 10_000);
        let lost: Vec<bool> = out.iter().map(Vec::is_empty).collect();
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
        assert!(pairs * 2 > lost.iter().filter(|lost| **lost).count());
    }

    #[test]
    fn jitter_keeps_the_order_unless_it_may_not() {
        let ordered = run("impair:delay_ms=5,jitter_ms=20", 300).concat();
        assert!(ordered.is_sorted());
        assert!(*ordered.first().unwrap() >= 5);
        let free = run("impair:delay_ms=5,jitter_ms=20,order=free", 300).concat();
        assert!(!free.is_sorted());
    }

    #[test]
    fn a_reordered_packet_lets_later_ones_pass() {
        let out = run("impair:reorder=0.1,reorder_ms=3", 200);
        let late = (0..).zip(&out).filter(|(ms, out)| out[0] == ms + 3).count();
        assert!((5..50).contains(&late));
        assert_eq!(
            (0..).zip(&out).filter(|(ms, out)| out[0] == *ms).count(),
            200 - late
        );
    }

    #[test]
    fn nothing_passes_while_the_link_is_down() {
        let out = run("impair:down_ms=10..20/30..31,duplicate=1", 40);
        let lost: Vec<usize> = (0..40).filter(|ms| out[*ms].is_empty()).collect();
        assert_eq!(lost, (10..20).chain(30..31).collect::<Vec<_>>());
        assert_eq!(out[0], [0, 0]);
    }
}
