//! An ACK for data that the box has not seen, as it looks when data travels on another path.

use std::time::Duration;

use super::flow_table::{FlowTable, PerDirection};
use super::segment::{ACK, RST, SYN, Segment, is_after, later};
use super::select::Toward;
use super::spec::{Fields, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

words! {
    /// What happens to such an ACK.
    pub enum How {
        /// It is dropped.
        Drop = "drop",
        /// Its number is lowered to what the box has seen.
        Correct = "correct",
    }
}

/// What happens to which ACKs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What happens to them.
    pub how: How,
    /// The direction in which the ACKs travel.
    pub toward: Toward,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            how: How::Drop,
            toward: Toward::Both,
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("how", &mut self.how, &default.how);
        fields.field("toward", &mut self.toward, &default.toward);
    }

    /// The box.
    pub fn build(&self) -> Ack {
        Ack {
            plan: self.clone(),
            seen: FlowTable::new(),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Ack {
    plan: Plan,
    /// The sequence number after the last byte that was seen in each direction.
    seen: FlowTable<PerDirection<Option<u32>>>,
}

impl TcpBox for Ack {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let seen = self.seen.entry(segment.flow());
        let own = seen.of_mut(direction);
        if segment.has(SYN) {
            *own = Some(segment.end());
        } else if !segment.has(RST) {
            *own = Some(own.map_or(segment.end(), |known| later(segment.end(), known)));
        }
        if let Some(limit) = *seen.of(direction.reverse())
            && self.plan.toward.includes(direction)
            && segment.has(ACK)
            && is_after(segment.ack(), limit)
        {
            match self.plan.how {
                How::Drop => return,
                How::Correct => segment.set_ack(limit),
            }
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass, pass_one};
    use super::*;

    fn ack(how: How) -> Ack {
        let plan = Plan {
            how,
            ..Plan::default()
        };
        let mut ack = plan.build();
        check_untouched(&mut ack, &Tcp::syn());
        check_untouched(&mut ack, &Tcp::syn_ack());
        check_untouched(&mut ack, &Tcp::to_server().payload(b"abc"));
        check_untouched(&mut ack, &Tcp::to_client().ack(1003));
        ack
    }

    #[test]
    fn an_ack_for_unseen_data_is_dropped() {
        let mut ack = ack(How::Drop);
        assert_eq!(pass(&mut ack, &Tcp::to_client().ack(1004)), []);
        check_untouched(&mut ack, &Tcp::to_server().seq(1003).flags(0x11));
        check_untouched(&mut ack, &Tcp::to_client().ack(1004));
    }

    #[test]
    fn an_ack_for_unseen_data_is_lowered() {
        let mut ack = ack(How::Correct);
        let lowered = pass_one(&mut ack, &Tcp::to_client().ack(9000).payload(b"x"));
        assert_eq!(lowered.ack(), 1003);
        let lowered = pass_one(&mut ack, &Tcp::to_server().ack(9000));
        assert_eq!(lowered.ack(), 2001);
    }
}
