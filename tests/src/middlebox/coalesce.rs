//! A segment waits for the next one, and both leave as one.

use std::time::Duration;

use super::flow_table::{FlowTable, PerDirection};
use super::segment::{FIN, PSH, RST, SYN, Segment};
use super::select::{Selection, Selector};
use super::spec::{Fields, Millis};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// Which segments wait, how long, and for how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The longest payload that is made of two; it should fit the path.
    pub max: u16,
    /// A segment with less payload does not wait.
    pub min: u16,
    /// How long a segment waits.
    pub hold: Millis,
    /// The segments that wait.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            max: 1400,
            min: 1,
            hold: HOLD,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("max", &mut self.max, &default.max);
        fields.field("min", &mut self.min, &default.min);
        fields.field("hold_ms", &mut self.hold, &default.hold);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> Coalesce {
        Coalesce {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
            waiting: FlowTable::new(),
        }
    }
}

/// The box. One segment waits in each direction of a flow; it is lost when so many flows come
/// that this one is forgotten.
#[derive(Debug)]
pub struct Coalesce {
    plan: Plan,
    selection: Selection,
    waiting: FlowTable<PerDirection<Option<Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    until: Duration,
    segment: Segment,
}

impl TcpBox for Coalesce {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let len = segment.payload().len();
        let may_wait = len >= usize::from(self.plan.min.max(1))
            && len < usize::from(self.plan.max)
            && !segment.has(SYN | FIN | RST);
        let picked = self.selection.picks(direction, &segment, may_wait);
        let slot = self.waiting.entry(segment.flow()).of_mut(direction);
        if let Some(first) = slot.take() {
            match merge(&first.segment, &segment, usize::from(self.plan.max)) {
                Some(both) => return forward(now, direction, both, out),
                None => forward(now, direction, first.segment, out),
            }
        }
        if picked {
            *slot = Some(Waiting {
                until: now.saturating_add(self.plan.hold.duration()),
                segment,
            });
        } else {
            forward(now, direction, segment, out);
        }
    }

    fn poll_deadline(&self) -> Option<Duration> {
        let slots = self.waiting.values();
        slots
            .flat_map(|ways| [&ways.to_server, &ways.to_client])
            .flatten()
            .map(|waiting| waiting.until)
            .min()
    }

    fn handle_deadline(&mut self, now: Duration, out: &mut Vec<Departure>) {
        for ways in self.waiting.values_mut() {
            for direction in [Direction::ToServer, Direction::ToClient] {
                let slot = ways.of_mut(direction);
                if let Some(waiting) = slot.take_if(|waiting| waiting.until <= now) {
                    forward(now, direction, waiting.segment, out);
                }
            }
        }
    }
}

/// The two as one, with the options of the first and the acknowledgment of the second.
fn merge(first: &Segment, second: &Segment, max: usize) -> Option<Segment> {
    let len = first.payload().len() + second.payload().len();
    if second.payload().is_empty()
        || second.seq() != first.data_end()
        || second.has(SYN | RST)
        || len > max
    {
        return None;
    }
    let mut both = first.clone();
    both.set_payload([first.payload(), second.payload()].concat());
    both.set_flags(first.flags() | second.flags() & (FIN | PSH));
    both.set_ack(second.ack());
    both.set_window(second.window());
    Some(both)
}

/// Longer than the gap between two segments of a burst, shorter than the shortest timeout of TCP.
const HOLD: Millis = Millis(20);

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_checksums, check_untouched, pass, pass_at, pass_one};
    use super::*;

    fn data(seq: u32, option: u8) -> Tcp {
        let area = [30, 8, 0x20, 1, 0, 0, 0, option];
        Tcp::to_server().seq(seq).area(&area).payload(b"abc")
    }

    #[test]
    fn two_in_a_row_leave_as_one_with_the_options_of_the_first() {
        let mut coalesce = Plan::default().build();
        assert_eq!(pass(&mut coalesce, &data(1000, 1)), []);
        let both = pass_one(&mut coalesce, &data(1003, 2).ack(2009).flags(0x19));
        assert_eq!(both.payload(), b"abcabc");
        assert_eq!((both.seq(), both.ack(), both.flags()), (1000, 2009, 0x19));
        assert_eq!(both.options()[7], 1);
        assert_eq!(coalesce.poll_deadline(), None);
    }

    #[test]
    fn a_segment_that_waits_alone_leaves_when_its_time_is_over() {
        let mut coalesce = Plan::default().build();
        let start = Duration::from_millis(100);
        assert_eq!(pass_at(&mut coalesce, start, &data(1000, 1)), []);
        let end = Duration::from_millis(120);
        assert_eq!(coalesce.poll_deadline(), Some(end));
        let mut out = Vec::new();
        coalesce.handle_deadline(end, &mut out);
        assert_eq!((out.len(), &out[0].packet), (1, &data(1000, 1).packet()));
        check_checksums(&out[0].packet);
        assert_eq!(coalesce.poll_deadline(), None);
    }

    #[test]
    fn what_does_not_follow_makes_the_first_leave_before_it() {
        let mut coalesce = Plan::default().build();
        for second in [data(1000, 2), Tcp::to_server().seq(1003).flags(0x14)] {
            assert_eq!(pass(&mut coalesce, &data(1000, 1)), []);
            let out = pass(&mut coalesce, &second);
            assert_eq!(out[0].packet, data(1000, 1).packet());
            let mut rest = Vec::new();
            coalesce.handle_deadline(Duration::MAX, &mut rest);
            assert_eq!(out.len() + rest.len(), 2);
        }
    }

    #[test]
    fn two_that_are_too_long_together_stay_two() {
        let mut coalesce = Plan {
            max: 5,
            min: 2,
            ..Plan::default()
        }
        .build();
        check_untouched(&mut coalesce, &data(1000, 1).payload(b"abcde"));
        check_untouched(&mut coalesce, &data(1000, 1).payload(b"a"));
        assert_eq!(pass(&mut coalesce, &data(1000, 1)), []);
        let out = pass(&mut coalesce, &data(1003, 1));
        assert_eq!(out[0].packet, data(1000, 1).packet());
        assert!(coalesce.poll_deadline().is_some(), "the second waits now");
    }
}
