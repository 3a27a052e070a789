//! Data is acknowledged by the box before the receiver has it, as performance-enhancing proxies
//! do (RFC 3135). The ACK has no options, so no DATA_ACK either.

use std::time::Duration;

use super::flow_table::{FlowTable, PerDirection};
use super::segment::{ACK, RST, SYN, Segment, is_after, later};
use super::select::Toward;
use super::spec::{Fields, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

words! {
    /// What happens to data that has passed before.
    pub enum Duplicates {
        /// It passes again.
        Pass = "pass",
        /// It is acknowledged and dropped.
        Drop = "drop",
    }
}

/// Whose data is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The direction of the data.
    pub toward: Toward,
    /// What happens to data that has passed before.
    pub duplicates: Duplicates,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            toward: Toward::Both,
            duplicates: Duplicates::Pass,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("toward", &mut self.toward, &default.toward);
        fields.field("duplicates", &mut self.duplicates, &default.duplicates);
    }

    /// The box.
    pub fn build(&self) -> Proactive {
        Proactive {
            plan: self.clone(),
            flows: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Proactive {
    plan: Plan,
    flows: FlowTable<PerDirection<Sender>>,
}

#[derive(Debug, Default)]
struct Sender {
    /// The sequence number after everything that came without a hole.
    next: Option<u32>,
    /// The window it has announced last.
    window: u16,
}

impl TcpBox for Proactive {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let flow = self.flows.entry(segment.flow());
        let window = flow.of(direction.reverse()).window;
        let sender = flow.of_mut(direction);
        sender.window = segment.window();
        let is_data = !segment.payload().is_empty() && !segment.has(SYN | RST) && segment.has(ACK);
        if segment.has(SYN) {
            // The numbers of an earlier flow on the same ports say nothing about this one.
            sender.next = Some(segment.end());
        }
        if !is_data || !self.plan.toward.includes(direction) {
            return forward(now, direction, segment, out);
        }
        let before = *sender.next.get_or_insert(segment.seq());
        let is_old = !is_after(segment.data_end(), before);
        let next = if is_after(segment.seq(), before) {
            before
        } else {
            later(segment.data_end(), before)
        };
        sender.next = Some(next);
        let answer = segment.answer(ACK, segment.ack(), next, window);
        if !(is_old && self.plan.duplicates == Duplicates::Drop) {
            forward(now, direction, segment, out);
        }
        out.push(Departure {
            at: now,
            direction: direction.reverse(),
            packet: answer.emit(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass};
    use super::*;

    #[track_caller]
    fn check_acked(proactive: &mut Proactive, tcp: &Tcp, ack: u32, passes: bool) {
        let out = pass(proactive, tcp);
        assert_eq!(out.len(), 1 + usize::from(passes));
        if passes {
            assert_eq!(out[0].packet, tcp.packet());
        }
        let answer = out.last().unwrap();
        assert_eq!(answer.direction, tcp.direction().reverse());
        let answer = Segment::parse(&answer.packet).unwrap();
        assert_eq!((answer.seq(), answer.ack()), (2000, ack));
        assert_eq!(answer.source(), tcp.segment().destination());
        assert_eq!(answer.destination(), tcp.segment().source());
        assert_eq!((answer.flags(), answer.options()), (ACK, &[][..]));
    }

    #[test]
    fn data_is_acknowledged_at_once_up_to_the_first_hole() {
        for v6 in [false, true] {
            let family = |tcp: Tcp| if v6 { tcp.v6() } else { tcp };
            let data = |seq| family(Tcp::to_server().seq(seq).payload(b"abc"));
            let mut proactive = Plan::default().build();
            check_untouched(&mut proactive, &family(Tcp::syn()));
            check_untouched(&mut proactive, &family(Tcp::syn_ack()));
            check_acked(&mut proactive, &data(1000), 1003, true);
            check_acked(&mut proactive, &data(1006), 1003, true);
            check_acked(&mut proactive, &data(1003), 1006, true);
            check_acked(&mut proactive, &data(1000), 1006, true);
        }
    }

    #[test]
    fn duplicates_need_not_pass() {
        let mut proactive = Plan {
            duplicates: Duplicates::Drop,
            ..Plan::default()
        }
        .build();
        let data = Tcp::to_server().payload(b"abc");
        check_acked(&mut proactive, &data, 1003, true);
        check_acked(&mut proactive, &data, 1003, false);
    }
}
