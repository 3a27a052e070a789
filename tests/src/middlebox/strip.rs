//! Options disappear.

use std::time::Duration;

use super::option_area::{EOL, MPTCP, NOP, OptionName, OptionSet, Place};
use super::segment::Segment;
use super::select::{Selection, Selector};
use super::spec::{Fields, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

words! {
    /// How an option disappears.
    pub enum How {
        /// NOPs take its place.
        Nop = "nop",
        /// The header shrinks; NOPs fill the last word.
        Remove = "remove",
        /// The area ends there: zeros from the option on, whatever followed.
        Eol = "eol",
    }
}

/// Which options disappear, how, and from which segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The options.
    pub option: OptionSet,
    /// What takes their place.
    pub how: How,
    /// The segments.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            option: OptionSet::one(OptionName::Kind(MPTCP)),
            how: How::Nop,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("option", &mut self.option, &default.option);
        fields.field("how", &mut self.how, &default.how);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> Strip {
        Strip {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Strip {
    plan: Plan,
    selection: Selection,
}

impl TcpBox for Strip {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        mut segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let has_option = self.plan.option.is_in(segment.options());
        if self.selection.picks(direction, &segment, has_option) {
            strip(&mut segment, &self.plan.option, self.plan.how);
        }
        forward(now, direction, segment, out);
    }
}

/// Takes options out of a segment.
pub fn strip(segment: &mut Segment, options: &OptionSet, how: How) {
    let (doomed, kept): (Vec<Place>, Vec<Place>) = segment
        .places()
        .into_iter()
        .partition(|place| options.fits(*place, segment.options()));
    let Some(first) = doomed.first() else {
        return;
    };
    match how {
        How::Nop => {
            for place in doomed {
                fill(segment, place.at..place.at + place.len, NOP);
            }
        }
        How::Eol => {
            let end = segment.options().len();
            fill(segment, first.at..end, EOL);
        }
        How::Remove => {
            let area = segment.options();
            let left = kept.iter().flat_map(|place| place.of(area)).copied();
            let left = left.collect();
            segment.set_options(left);
        }
    }
}

fn fill(segment: &mut Segment, range: std::ops::Range<usize>, byte: u8) {
    if let Some(bytes) = segment.options_mut().get_mut(range) {
        bytes.fill(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::{Tcp, check_untouched, pass_one};
    use super::*;

    #[track_caller]
    fn check_area(text: &str, area: &[u8], expected: &[u8]) {
        let mut strip = text.parse::<super::super::spec::Spec>().unwrap().build();
        for tcp in [Tcp::syn(), Tcp::syn().v6()] {
            let tcp = tcp.area(area).payload(b"early");
            let segment = pass_one(strip.as_mut(), &tcp);
            assert_eq!(segment.options(), expected);
            assert_eq!(segment.payload(), b"early");
        }
    }

    const AREA: &[u8] = &[2, 4, 5, 180, 30, 4, 1, 0x81, 3, 3, 7, 1];

    #[test]
    fn nops_take_the_place_of_the_option() {
        check_area("strip", AREA, &[2, 4, 5, 180, 1, 1, 1, 1, 3, 3, 7, 1]);
    }

    #[test]
    fn the_header_shrinks_to_what_is_left() {
        check_area("strip:how=remove", AREA, &[2, 4, 5, 180, 3, 3, 7, 1]);
        check_area(
            "strip:how=remove,option=mss/wscale",
            AREA,
            &[30, 4, 1, 0x81],
        );
    }

    #[test]
    fn the_options_after_an_early_end_are_lost_too() {
        check_area(
            "strip:how=eol",
            AREA,
            &[2, 4, 5, 180, 0, 0, 0, 0, 0, 0, 0, 0],
        );
    }

    #[test]
    fn a_subtype_leaves_the_other_subtypes_alone() {
        let area = [30, 8, 0x20, 1, 0, 0, 0, 1, 30, 8, 0x31, 5, 10, 0, 0, 1];
        let without_echo = [&area[..8], &[1; 8]].concat();
        check_area("strip:option=add_addr_echo", &area, &without_echo);
        check_area("strip:option=add_addr_announce", &area, &area);
    }

    #[test]
    fn the_count_counts_only_segments_with_the_option() {
        let mut strip = Plan {
            select: Selector {
                count: Some(1),
                ..Selector::default()
            },
            ..Plan::default()
        }
        .build();
        check_untouched(&mut strip, &Tcp::to_server());
        let tcp = Tcp::to_server().area(AREA);
        assert_ne!(pass_one(&mut strip, &tcp).options(), AREA);
        check_untouched(&mut strip, &tcp);
    }
}
