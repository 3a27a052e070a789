//! The SYN/ACK brings the options of the SYN back, as a load balancer makes it that turns the SYN
//! itself into the answer.

use std::time::Duration;

use super::flow_table::FlowTable;
use super::segment::Segment;
use super::spec::Fields;
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// Nothing to choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan;

impl Plan {
    /// Its keys in the text form: none.
    pub fn fields(&mut self, _fields: &mut Fields) {}

    /// The box.
    pub fn build(&self) -> Mirror {
        Mirror {
            syn_options: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Mirror {
    /// Of the last SYN; none before the first.
    syn_options: FlowTable<Option<Vec<u8>>>,
}

impl TcpBox for Mirror {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        if segment.is_syn() {
            *self.syn_options.entry(segment.flow()) = Some(segment.options().to_vec());
        } else if segment.is_syn_ack()
            && let Some(options) = self.syn_options.entry(segment.flow())
        {
            segment.set_options(options.clone());
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass_one};
    use super::*;

    #[test]
    fn the_syn_ack_has_the_options_of_the_syn() {
        for v6 in [false, true] {
            let family = |tcp: Tcp| if v6 { tcp.v6() } else { tcp };
            let mut mirror = Plan.build();
            let syn = family(Tcp::syn().area(&[30, 4, 1, 0x81, 253, 4, 1, 2]));
            check_untouched(&mut mirror, &syn);
            let answer = pass_one(&mut mirror, &family(Tcp::syn_ack().area(&[2, 4, 5, 180])));
            assert_eq!(answer.options(), syn.segment().options());
            assert_eq!(answer.ack(), 1000);
        }
    }

    #[test]
    fn a_syn_ack_without_a_syn_passes() {
        check_untouched(&mut Plan.build(), &Tcp::syn_ack().area(&[2, 4, 5, 180]));
    }
}
