//! Data after a hole in the sequence is dropped, as boxes do that want to read a stream in order.

use std::time::Duration;

use super::flow_table::{FlowTable, PerDirection};
use super::segment::{FIN, RST, SYN, Segment, is_after, later};
use super::select::Toward;
use super::spec::Fields;
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// Whose data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The direction that is watched.
    pub toward: Toward,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            toward: Toward::Both,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        fields.field("toward", &mut self.toward, &Self::default().toward);
    }

    /// The box.
    pub fn build(&self) -> Hole {
        Hole {
            plan: self.clone(),
            expected: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Hole {
    plan: Plan,
    /// The sequence number after everything that has passed without a hole.
    expected: FlowTable<PerDirection<Option<u32>>>,
}

impl TcpBox for Hole {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let has_data = !segment.payload().is_empty() || segment.has(FIN);
        if self.plan.toward.includes(direction) && !segment.has(RST) {
            let expected = self.expected.entry(segment.flow()).of_mut(direction);
            if segment.has(SYN) {
                *expected = Some(segment.end());
            } else if has_data {
                let next = *expected.get_or_insert(segment.seq());
                if is_after(segment.seq(), next) {
                    return;
                }
                *expected = Some(later(segment.end(), next));
            }
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass};
    use super::*;

    #[test]
    fn data_passes_only_when_all_before_it_has_passed() {
        let mut hole = Plan::default().build();
        check_untouched(&mut hole, &Tcp::syn());
        let [first, second] = [1000, 1003].map(|seq| Tcp::to_server().seq(seq).payload(b"abc"));
        assert_eq!(pass(&mut hole, &second), []);
        assert_eq!(pass(&mut hole, &Tcp::to_server().seq(1003).flags(0x11)), []);
        check_untouched(&mut hole, &first);
        check_untouched(&mut hole, &second);
        check_untouched(&mut hole, &first);
        check_untouched(&mut hole, &Tcp::to_server().seq(1006).flags(0x11));
    }

    #[test]
    fn acknowledgments_and_the_other_direction_pass() {
        let mut hole = Plan {
            toward: Toward::Server,
        }
        .build();
        check_untouched(&mut hole, &Tcp::syn_ack());
        check_untouched(&mut hole, &Tcp::to_client().seq(9000).payload(b"abc"));
        check_untouched(&mut hole, &Tcp::syn());
        check_untouched(&mut hole, &Tcp::to_server().seq(9000));
    }
}
