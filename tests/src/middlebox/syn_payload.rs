//! SYNs lose their data, as at a path that does not know TCP Fast Open.

use std::time::Duration;

use super::segment::{SYN, Segment};
use super::select::{Selection, Selector};
use super::spec::Fields;
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// Which SYNs lose their data: those with and without ACK unless `on` says more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The segments.
    pub select: Selector,
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        self.select.fields(fields, &Selector::default());
    }

    /// The box.
    pub fn build(&self) -> SynPayload {
        SynPayload {
            selection: Selection::new(self.select.clone()),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct SynPayload {
    selection: Selection,
}

impl TcpBox for SynPayload {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let has_data = segment.has(SYN) && !segment.payload().is_empty();
        if self.selection.picks(direction, &segment, has_data) {
            segment.set_payload(Vec::new());
        }
        forward(now, direction, segment, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass, pass_one};
    use super::super::spec::Spec;
    use super::*;

    /// Fast Open with a cookie, and MP_CAPABLE.
    const AREA: &[u8] = &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 30, 4, 1, 0x81];

    #[test]
    fn the_data_go_and_the_options_stay() {
        let mut middlebox = Plan::default().build();
        for tcp in [Tcp::syn(), Tcp::syn_ack()] {
            for tcp in [tcp.clone(), tcp.v6()] {
                let tcp = tcp.area(AREA);
                let without = pass(&mut middlebox, &tcp.clone().payload(b"early"));
                assert_eq!(without[0].packet, tcp.packet());
            }
        }
    }

    #[test]
    fn what_has_no_syn_or_no_data_stays() {
        let mut middlebox = Plan::default().build();
        for tcp in [
            Tcp::syn().area(AREA),
            Tcp::to_server().payload(b"data"),
            Tcp::to_client().flags(0x11).payload(b"last"),
        ] {
            check_untouched(&mut middlebox, &tcp);
            check_untouched(&mut middlebox, &tcp.v6());
        }
    }

    #[test]
    fn the_count_counts_only_syns_with_data() {
        let mut middlebox = "syn-payload:count=1".parse::<Spec>().unwrap().build();
        check_untouched(middlebox.as_mut(), &Tcp::syn());
        let early = Tcp::syn().payload(b"early");
        assert_eq!(pass_one(middlebox.as_mut(), &early).payload(), b"");
        check_untouched(middlebox.as_mut(), &early);
    }
}
