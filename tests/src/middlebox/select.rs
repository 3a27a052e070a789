//! Which segments a box acts on.

use super::Direction;
use super::flow_table::FlowTable;
use super::option_area::{MP_CAPABLE, MP_JOIN, OptionName, OptionSet};
use super::segment::{RST, SYN, Segment};
use super::spec::{Fields, words};

words! {
    /// Where the segments travel that a box acts on.
    pub enum Toward {
        /// From the client to the server.
        Server = "server",
        /// From the server to the client.
        Client = "client",
        /// Either way.
        Both = "both",
    }
}

impl Toward {
    /// Whether segments of this direction are meant.
    pub fn includes(self, direction: Direction) -> bool {
        match self {
            Self::Server => direction == Direction::ToServer,
            Self::Client => direction == Direction::ToClient,
            Self::Both => true,
        }
    }
}

words! {
    /// In which phase of a flow a box acts.
    pub enum Phase {
        /// Always.
        All = "all",
        /// SYN without ACK.
        Syn = "syn",
        /// SYN with ACK.
        SynAck = "synack",
        /// The ACK that ends the handshake, and its copies.
        ThirdAck = "third_ack",
        /// Segments with payload.
        Data = "data",
        /// Segments that only acknowledge, the third ACK included.
        PureAck = "pure_ack",
        /// Segments without SYN.
        NonSyn = "non_syn",
    }
}

/// What the text form says about which segments are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// Direction.
    pub toward: Toward,
    /// Phase of the flow.
    pub on: Phase,
    /// An option that the segment must have; the empty set asks for none.
    pub with: OptionSet,
    /// The options area must be longer than so many bytes.
    pub options_over: Option<u8>,
    /// From this packet of the flow on, both directions counted from 1.
    pub from: u32,
    /// How often at most in each flow.
    pub count: Option<u32>,
}

impl Default for Selector {
    fn default() -> Self {
        Self {
            toward: Toward::Both,
            on: Phase::All,
            with: OptionSet::default(),
            options_over: None,
            from: 1,
            count: None,
        }
    }
}

impl Selector {
    /// Only in this phase.
    #[must_use]
    pub fn on(mut self, phase: Phase) -> Self {
        self.on = phase;
        self
    }

    /// Only this way.
    #[must_use]
    pub fn toward(mut self, toward: Toward) -> Self {
        self.toward = toward;
        self
    }

    fn has_options(&self, segment: &Segment) -> bool {
        let area = segment.options();
        let with = self.with.0.is_empty() || self.with.is_in(area);
        let over = self.options_over.map(usize::from);
        with && over.is_none_or(|over| area.len() > over)
    }

    /// Its keys in the text form.
    pub fn fields(&mut self, fields: &mut Fields, default: &Self) {
        fields.field("toward", &mut self.toward, &default.toward);
        fields.field("on", &mut self.on, &default.on);
        fields.field("with", &mut self.with, &default.with);
        fields.field(
            "options_over",
            &mut self.options_over,
            &default.options_over,
        );
        fields.field("from", &mut self.from, &default.from);
        fields.field("count", &mut self.count, &default.count);
    }
}

/// A selector with what it must remember.
#[derive(Debug)]
pub struct Selection {
    selector: Selector,
    flows: FlowTable<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    packets: u32,
    picked: u32,
    /// Who opened the flow, and the sequence number after its SYN.
    opener: Option<(Direction, u32)>,
    third_ack: bool,
}

impl Selection {
    /// Nothing seen yet.
    pub fn new(selector: Selector) -> Self {
        Self {
            selector,
            flows: FlowTable::new(),
        }
    }

    /// Whether the box acts on this segment, where it would find something to do if `can_act`.
    /// Every segment of the path must be shown once, since packets are counted.
    pub fn picks(&mut self, direction: Direction, segment: &Segment, can_act: bool) -> bool {
        let seen = self.flows.entry(segment.flow());
        if segment.is_syn() && seen.opener != Some((direction, segment.data_seq())) {
            *seen = Seen {
                opener: Some((direction, segment.data_seq())),
                ..Seen::default()
            };
        }
        seen.packets = seen.packets.saturating_add(1);
        let is_third_ack = seen.is_third_ack(direction, segment);
        let selector = &self.selector;
        let in_phase = match selector.on {
            Phase::All => true,
            Phase::Syn => segment.is_syn(),
            Phase::SynAck => segment.is_syn_ack(),
            Phase::ThirdAck => is_third_ack,
            Phase::Data => !segment.payload().is_empty(),
            Phase::PureAck => segment.is_pure_ack(),
            Phase::NonSyn => !segment.has(SYN),
        };
        let picked = can_act
            && in_phase
            && selector.toward.includes(direction)
            && selector.has_options(segment)
            && seen.packets >= selector.from
            && selector.count.is_none_or(|count| seen.picked < count);
        seen.picked = seen.picked.saturating_add(u32::from(picked));
        picked
    }
}

impl Seen {
    /// The first ACK of the opener; later ones with the same number count when they say again
    /// what only a third ACK says.
    fn is_third_ack(&mut self, direction: Direction, segment: &Segment) -> bool {
        let Some((opener, first)) = self.opener else {
            return false;
        };
        let is_ack = segment.is_pure_ack() && !segment.has(RST) && segment.seq() == first;
        if opener != direction || !is_ack {
            return false;
        }
        let handshake = [MP_CAPABLE, MP_JOIN].map(OptionName::Subtype).to_vec();
        let first_one = !std::mem::replace(&mut self.third_ack, true);
        first_one || OptionSet(handshake).is_in(segment.options())
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Tcp;
    use super::*;

    #[track_caller]
    fn check_picks(selector: Selector, expected: [bool; 6]) {
        let mut selection = Selection::new(selector);
        let path = [
            Tcp::syn(),
            Tcp::syn_ack(),
            Tcp::to_server(),
            Tcp::to_server().payload(b"data"),
            Tcp::to_client().ack(1004),
            Tcp::to_client().payload(b"more"),
        ];
        let picked = path.map(|tcp| selection.picks(tcp.direction(), &tcp.segment(), true));
        assert_eq!(picked, expected);
    }

    #[test]
    fn phases_part_the_life_of_a_flow() {
        let on = |phase| Selector::default().on(phase);
        check_picks(on(Phase::All), [true; 6]);
        check_picks(on(Phase::Syn), [true, false, false, false, false, false]);
        check_picks(on(Phase::SynAck), [false, true, false, false, false, false]);
        check_picks(
            on(Phase::ThirdAck),
            [false, false, true, false, false, false],
        );
        check_picks(on(Phase::Data), [false, false, false, true, false, true]);
        check_picks(on(Phase::PureAck), [false, false, true, false, true, false]);
        check_picks(on(Phase::NonSyn), [false, false, true, true, true, true]);
    }

    #[test]
    fn packets_of_both_directions_count() {
        let mut selector = Selector::default().toward(Toward::Client);
        selector.from = 3;
        check_picks(selector.clone(), [false, false, false, false, true, true]);
        selector.count = Some(1);
        check_picks(selector, [false, false, false, false, true, false]);
    }

    #[test]
    fn only_an_area_beyond_the_length_counts_padding_included() {
        for over in [0, 19, 20, 39, 40] {
            let mut selection = Selection::new(Selector {
                options_over: Some(over),
                ..Selector::default()
            });
            for len in [0, 4, 18, 20, 24, 40] {
                for tcp in [Tcp::syn(), Tcp::syn().v6()] {
                    let tcp = tcp.area(&[1; 40][..len]).payload(&[0; 50]);
                    let picked = selection.picks(tcp.direction(), &tcp.segment(), true);
                    let padded = len.next_multiple_of(4);
                    assert_eq!(picked, padded > usize::from(over), "{len} over {over}");
                }
            }
        }
    }

    #[test]
    fn a_new_syn_on_the_same_ports_is_a_new_flow() {
        let selector = Selector {
            count: Some(1),
            ..Selector::default()
        };
        let mut selection = Selection::new(selector);
        let mut picks = |tcp: &Tcp| selection.picks(tcp.direction(), &tcp.segment(), true);
        assert!(picks(&Tcp::syn()));
        assert!(!picks(&Tcp::syn()));
        assert!(picks(&Tcp::syn().seq(5)));
    }
}
