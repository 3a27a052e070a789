//! Initial sequence numbers are replaced, as firewalls do that do not trust a host's randomness.

use std::time::Duration;

use super::sack::{self, Sack};
use super::segment::{ACK, Segment};
use super::select::Toward;
use super::spec::Fields;
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// How far, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is added to sequence numbers.
    pub delta: u32,
    /// The direction whose sequence numbers are shifted.
    pub toward: Toward,
    /// Whether SACK blocks are shifted back.
    pub sack: Sack,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            delta: 0x1020_3040,
            toward: Toward::Server,
            sack: Sack::Fix,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("delta", &mut self.delta, &default.delta);
        fields.field("toward", &mut self.toward, &default.toward);
        fields.field("sack", &mut self.sack, &default.sack);
    }

    /// The box.
    pub fn build(&self) -> Isn {
        Isn { plan: self.clone() }
    }
}

/// The box. It needs no memory, since the shift is the same for every flow.
#[derive(Debug)]
pub struct Isn {
    plan: Plan,
}

impl TcpBox for Isn {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let delta = self.plan.delta;
        if self.plan.toward.includes(direction) {
            segment.set_seq(segment.seq().wrapping_add(delta));
        }
        if self.plan.toward.includes(direction.reverse()) && segment.has(ACK) {
            segment.set_ack(segment.ack().wrapping_sub(delta));
            if self.plan.sack == Sack::Fix {
                sack::map_blocks(&mut segment, |edge| edge.wrapping_sub(delta));
            }
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass_one};
    use super::super::spec::Spec;

    const SACK: [u8; 12] = [1, 1, 5, 10, 0x10, 0x20, 0x35, 0, 0x10, 0x20, 0x36, 0];

    fn isn(text: &str) -> Box<dyn super::super::Middlebox> {
        text.parse::<Spec>().unwrap().build()
    }

    #[test]
    fn acknowledgments_come_back_in_the_numbers_of_the_sender() {
        let mut isn = isn("isn");
        let there = pass_one(isn.as_mut(), &Tcp::to_server().payload(b"abc"));
        assert_eq!((there.seq(), there.ack()), (0x1020_3040 + 1000, 2000));
        let back = pass_one(isn.as_mut(), &Tcp::to_client().v6().ack(there.data_end()));
        assert_eq!((back.seq(), back.ack()), (2000, 1003));
    }

    #[test]
    fn sack_blocks_are_shifted_or_left() {
        let tcp = Tcp::to_client().area(&SACK);
        let fixed = pass_one(isn("isn").as_mut(), &tcp);
        assert_eq!(fixed.options()[4..], [0, 0, 4, 192, 0, 0, 5, 192]);
        let left = pass_one(isn("isn:sack=leave").as_mut(), &tcp);
        assert_eq!(left.options(), SACK);
    }

    #[test]
    fn either_direction_can_be_the_one() {
        let mut isn = isn("isn:delta=5,toward=client");
        let there = pass_one(isn.as_mut(), &Tcp::to_server());
        assert_eq!((there.seq(), there.ack()), (1000, 1995));
        check_untouched(isn.as_mut(), &Tcp::syn());
        let back = pass_one(isn.as_mut(), &Tcp::syn_ack());
        assert_eq!((back.seq(), back.ack()), (2004, 1000));
    }

    #[test]
    fn numbers_wrap() {
        let mut isn = isn("isn:delta=0xffffffff,toward=both");
        let there = pass_one(isn.as_mut(), &Tcp::to_server().seq(0).ack(u32::MAX));
        assert_eq!((there.seq(), there.ack()), (u32::MAX, 0));
    }
}
