//! Segments that a box does not let through: dropped, or answered with RST or an ICMP error.

use std::net::IpAddr;
use std::time::Duration;

use super::header;
use super::segment::{ACK, RST, Segment};
use super::select::{Selection, Selector};
use super::spec::{Fields, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

words! {
    /// What the sender hears.
    pub enum How {
        /// Nothing.
        Drop = "drop",
        /// A RST as if from the other end.
        Rst = "rst",
        /// Communication administratively prohibited, 3/13 or 1/1.
        Icmp = "icmp",
    }
}

/// Which segments do not pass, and what the sender hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the sender hears.
    pub how: How,
    /// Where ICMP errors come from; from the segment's destination if it is of the other family
    /// or none is given.
    pub source: Option<IpAddr>,
    /// The segments.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            how: How::Drop,
            source: None,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("how", &mut self.how, &default.how);
        fields.field("source", &mut self.source, &default.source);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> Refuse {
        Refuse {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Refuse {
    plan: Plan,
    selection: Selection,
}

impl TcpBox for Refuse {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        if !self.selection.picks(direction, &segment, true) {
            return forward(now, direction, segment, out);
        }
        // RFC 9293 §3.5.2: a RST is never answered.
        let answer = match self.plan.how {
            How::Rst if !segment.has(RST) => reset(&segment).emit(),
            How::Icmp if !segment.has(RST) => self.prohibited(segment),
            _ => return,
        };
        out.push(Departure {
            at: now,
            direction: direction.reverse(),
            packet: answer,
        });
    }
}

/// RFC 9293 §3.5.2: a RST takes its number from the ACK field; where there is none it has number
/// zero and acknowledges what came.
fn reset(segment: &Segment) -> Segment {
    if segment.has(ACK) {
        segment.answer(RST, segment.ack(), 0, 0)
    } else {
        segment.answer(RST | ACK, 0, segment.end(), 0)
    }
}

impl Refuse {
    fn prohibited(&self, segment: Segment) -> Vec<u8> {
        let (sender, target) = (segment.source().ip(), segment.destination().ip());
        let source = self
            .plan
            .source
            .filter(|own| own.is_ipv4() == target.is_ipv4())
            .unwrap_or(target);
        let (kind, code, room) = if sender.is_ipv4() {
            (3, 13, V4_QUOTE)
        } else {
            (1, 1, V6_QUOTE)
        };
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        let quote = segment.into_packet();
        message.extend(quote.get(..room).unwrap_or(&quote));
        header::icmp(source, sender, message)
    }
}

/// RFC 1812 §4.3.2.3: an error does not exceed 576 bytes.
const V4_QUOTE: usize = 576 - 28;

/// RFC 4443 §2.4 (c): an error does not exceed the minimum MTU of IPv6.
const V6_QUOTE: usize = 1280 - 48;

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass};
    use super::super::spec::Spec;
    use super::*;

    fn answer(text: &str, tcp: &Tcp) -> Vec<u8> {
        let mut refuse = text.parse::<Spec>().unwrap().build();
        let mut out = pass(refuse.as_mut(), tcp);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].direction, tcp.direction().reverse());
        out.remove(0).packet
    }

    #[test]
    fn a_syn_is_reset_with_its_own_number_acknowledged() {
        let reset = Segment::parse(&answer("refuse:how=rst", &Tcp::syn().v6())).unwrap();
        assert_eq!(
            (reset.flags(), reset.seq(), reset.ack()),
            (RST | ACK, 0, 1000)
        );
        assert_eq!(reset.destination(), Tcp::syn().v6().segment().source());
    }

    #[test]
    fn an_established_flow_is_reset_with_the_number_that_is_expected() {
        let reset = Segment::parse(&answer("refuse:how=rst", &Tcp::to_server())).unwrap();
        assert_eq!((reset.flags(), reset.seq()), (RST, 2000));
    }

    #[test]
    fn icmp_quotes_the_segment_and_names_the_policy() {
        let tcp = Tcp::syn().payload(&[7; 1400]);
        let packet = answer("refuse:how=icmp,source=10.9.9.9", &tcp);
        assert_eq!(packet.len(), 576);
        assert_eq!(
            (&packet[12..16], &packet[20..22]),
            (&[10, 9, 9, 9][..], &[3, 13][..])
        );
        assert_eq!(packet[28..], tcp.packet()[..548]);
        let packet = answer("refuse:how=icmp,source=10.9.9.9", &tcp.v6());
        assert_eq!((packet.len(), &packet[40..42]), (1280, &[1, 1][..]));
        assert_eq!(
            packet[23], 2,
            "the destination answers where the family differs"
        );
    }

    #[test]
    fn only_the_first_echoes_are_dropped() {
        let text = "refuse:with=add_addr_echo,count=3";
        let mut refuse = text.parse::<Spec>().unwrap().build();
        let echo = Tcp::to_server().area(&[30, 8, 0x31, 5, 10, 0, 0, 1]);
        for _ in 0..3 {
            check_untouched(refuse.as_mut(), &Tcp::to_server());
            assert_eq!(pass(refuse.as_mut(), &echo), []);
        }
        check_untouched(refuse.as_mut(), &echo);
    }

    #[test]
    fn a_reset_is_dropped_without_an_answer() {
        let mut refuse = "refuse:how=rst".parse::<Spec>().unwrap().build();
        assert_eq!(pass(refuse.as_mut(), &Tcp::to_server().flags(0x14)), []);
    }
}
