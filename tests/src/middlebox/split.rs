//! A segment is split into several.

use std::time::Duration;

use super::option_area::NOP;
use super::segment::{CWR, FIN, PSH, RST, SYN, Segment};
use super::select::{Selection, Selector};
use super::spec::{Fields, Value, words};
use super::tcp_box::{TcpBox, forward};
use super::{Departure, Direction};

/// One packet does not become more than this; the parts get longer instead.
pub const MAX_PARTS: usize = 64;

words! {
    /// Which parts have the options.
    pub enum Options {
        /// Every part has them all.
        Both = "both",
        /// The first part has them.
        First = "first",
    }
}

words! {
    /// What the other parts have in place of options.
    pub enum Rest {
        /// NOPs.
        Nop = "nop",
        /// A shorter header.
        Remove = "remove",
    }
}

/// How long a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Half of the payload.
    Half,
    /// So many bytes, one at least.
    Bytes(u16),
}

impl Value for Cut {
    fn read(text: &str) -> Option<Self> {
        match text {
            "half" => Some(Self::Half),
            _ => u16::read(text).filter(|bytes| *bytes > 0).map(Self::Bytes),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Half => "half".to_owned(),
            Self::Bytes(bytes) => bytes.write(),
        }
    }

    fn allowed() -> String {
        format!("half, or a number of bytes from 1 to {}", u16::MAX)
    }
}

/// Which segments are split, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How long a part is.
    pub at: Cut,
    /// Which parts have the options.
    pub options: Options,
    /// What the others have.
    pub rest: Rest,
    /// The segments.
    pub select: Selector,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            at: Cut::Half,
            options: Options::Both,
            rest: Rest::Nop,
            select: Selector::default(),
        }
    }
}

impl Plan {
    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields) {
        let default = Self::default();
        fields.field("at", &mut self.at, &default.at);
        fields.field("options", &mut self.options, &default.options);
        fields.field("rest", &mut self.rest, &default.rest);
        self.select.fields(fields, &default.select);
    }

    /// The box.
    pub fn build(&self) -> Split {
        Split {
            plan: self.clone(),
            selection: Selection::new(self.select.clone()),
        }
    }
}

/// The box.
#[derive(Debug)]
pub struct Split {
    plan: Plan,
    selection: Selection,
}

impl TcpBox for Split {
    fn handle_segment(
        &mut self,
        now: Duration,
        direction: Direction,
        segment: Segment,
        out: &mut Vec<Departure>,
    ) {
        let len = segment.payload().len();
        let size = match self.plan.at {
            Cut::Half => len.div_ceil(2),
            Cut::Bytes(bytes) => usize::from(bytes),
        };
        let can_split = len > size && !segment.has(RST);
        if !self.selection.picks(direction, &segment, can_split) {
            return forward(now, direction, segment, out);
        }
        for (index, mut part) in parts(&segment, size).into_iter().enumerate() {
            if index > 0 && self.plan.options == Options::First {
                match self.plan.rest {
                    Rest::Nop => part.options_mut().fill(NOP),
                    Rest::Remove => part.set_options(Vec::new()),
                }
            }
            forward(now, direction, part, out);
        }
    }
}

/// Parts of a segment with `size` bytes each, or more if there were too many. SYN and CWR stay
/// with the first part, FIN and PSH with the last one.
pub fn parts(segment: &Segment, size: usize) -> Vec<Segment> {
    let payload = segment.payload();
    let size = size.max(payload.len().div_ceil(MAX_PARTS)).max(1);
    if payload.len() <= size {
        return vec![segment.clone()];
    }
    let chunks = payload.chunks(size);
    let last = chunks.len() - 1;
    let mut parts = Vec::with_capacity(chunks.len());
    let mut seq = segment.seq();
    for (index, chunk) in (0..).zip(chunks) {
        let mut part = segment.clone();
        let mut flags = segment.flags();
        if index > 0 {
            flags &= !(SYN | CWR);
        }
        if usize::from(index) < last {
            flags &= !(FIN | PSH);
        }
        part.set_flags(flags);
        part.set_seq(seq);
        part.add_to_ip_id(index);
        part.set_payload(chunk.to_vec());
        seq = part.data_end();
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bench::{Tcp, check_untouched, pass};
    use super::super::spec::Spec;
    use super::*;

    const DSS: [u8; 8] = [30, 8, 0x20, 1, 0, 0, 0, 1];

    fn split(text: &str, tcp: &Tcp) -> Vec<Segment> {
        let mut split = text.parse::<Spec>().unwrap().build();
        let out = pass(split.as_mut(), tcp);
        out.iter()
            .map(|d| Segment::parse(&d.packet).unwrap())
            .collect()
    }

    #[test]
    fn halves_have_the_flags_where_they_belong() {
        let parts = split(
            "split",
            &Tcp::to_server().flags(0x99).area(&DSS).payload(b"abcde"),
        );
        let seen: Vec<_> = parts
            .iter()
            .map(|p| (p.seq(), p.flags(), p.payload()))
            .collect();
        assert_eq!(seen, [(1000, 0x90, &b"abc"[..]), (1003, 0x19, &b"de"[..])]);
        assert!(parts.iter().all(|part| part.options() == DSS));
    }

    #[test]
    fn only_the_first_part_may_have_the_options() {
        let tcp = Tcp::to_server().v6().area(&DSS).payload(&[7; 1500]);
        let areas = |text| {
            let parts = split(text, &tcp);
            parts
                .iter()
                .map(|part| part.options().to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(areas("split:at=700,options=first"), [DSS, [1; 8], [1; 8]]);
        let removed = areas("split:at=700,options=first,rest=remove");
        assert_eq!(removed, [&DSS[..], &[], &[]]);
    }

    #[test]
    fn a_syn_with_data_counts_once() {
        let parts = split("split", &Tcp::syn().payload(b"abcd"));
        let seen: Vec<_> = parts.iter().map(|p| (p.seq(), p.flags())).collect();
        assert_eq!(seen, [(999, SYN), (1002, 0)]);
    }

    #[test]
    fn a_short_segment_passes_and_a_long_one_has_a_limit() {
        let mut middlebox = "split:at=3".parse::<Spec>().unwrap().build();
        check_untouched(middlebox.as_mut(), &Tcp::to_server().payload(b"abc"));
        let parts = split("split:at=1", &Tcp::to_server().payload(&vec![7; 60_000]));
        assert_eq!(parts.len(), MAX_PARTS);
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_segment(
            seq: u32, flags: u8, size in 1_usize..50,
            payload in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let segment = Tcp::to_server().seq(seq).flags(flags & !RST).payload(&payload).segment();
            let parts = parts(&segment, size);
            let mut next = segment.seq();
            let mut bytes = Vec::<u8>::new();
            for part in &parts {
                prop_assert_eq!(part.seq(), next);
                next = part.end();
                bytes.extend(part.payload());
            }
            prop_assert_eq!(bytes, payload);
            prop_assert_eq!(next, segment.end());
            let union = parts.iter().fold(0, |union, part| union | part.flags());
            prop_assert_eq!(union, segment.flags());
        }
    }
}
