//! What the options of a segment show beside data: counts, malformed options, answers without
//! option, MP_PRIO, MP_FAIL, addresses.

use mptcp_proto::wire::mptcp::{MptcpOption, Priority, Subtype};

use super::Rebuilder;
use super::options::SegmentOptions;
use super::stream::Place;
use crate::model::{EventKind, PriorityChange, Segment, Side, SubflowKind};

/// NOPs in a row that an untouched host does not send: kernels pad with at most three, and the
/// shortest MPTCP option that a box overwrites on a SYN is four bytes long beside such padding.
pub(super) const NOP_RUN_OF_A_BOX: u8 = 4;

/// MP_PRIO that are kept of one subflow.
const MAX_PRIORITY_CHANGES: usize = 1_000;

impl Rebuilder {
    /// Counts the options of a segment and notes what is odd about them.
    pub(super) fn observe(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        options: &SegmentOptions,
    ) {
        self.tally(segment, place, options);
        if self.options.verify_tcp_checksums
            && let Some(mptcp) = &mut self.streams[place.stream].mptcp
        {
            mptcp.ends[place.end].tcp_checksums.verify(segment);
        }
        if options.are_plain() && !segment.flags.syn() {
            return;
        }
        self.note_oddities(place, options);
        self.note_missing(segment, place, options);
        self.note_misplaced(segment, place, options);
        for option in options.iter() {
            match option {
                MptcpOption::AddAddr(add) => self.on_add_addr(place, add),
                MptcpOption::RemoveAddr(remove) => self.on_remove_addr(place, remove),
                MptcpOption::Prio(prio) => {
                    self.on_prio(place, prio.priority == Priority::Backup);
                }
                MptcpOption::Fail(fail) => self.on_fail(place, fail.dsn.0),
                _ => {}
            }
        }
    }

    fn tally(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        if options.has_mptcp() {
            mptcp.packets_with_option += 1;
        }
        let tally = &mut mptcp.ends[place.end].options;
        if segment.are_options_cut() {
            tally.count_cut_area();
        }
        for option in options.iter() {
            tally.count(option.subtype().0);
        }
        for (subtype, _) in &options.malformed {
            tally.count_malformed(*subtype);
        }
    }

    fn note_oddities(&mut self, place: Place, options: &SegmentOptions) {
        let sender = self.side(place);
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        for (subtype, error) in &options.malformed {
            let kind = EventKind::MalformedOption {
                subtype: *subtype,
                error: error.clone(),
            };
            builder.note(place, sender, kind);
        }
        if let Some((mptcp, error)) = &options.area_error {
            let kind = EventKind::MalformedOptionArea {
                mptcp: *mptcp,
                error: error.clone(),
            };
            builder.note(place, sender, kind);
        }
        for option in options.iter() {
            let subtype = option.subtype().0;
            if option.reserved_bits() != 0 {
                builder.note(place, sender, EventKind::ReservedBits { subtype });
            }
            if matches!(option, MptcpOption::Unknown(_)) {
                builder.note(place, sender, EventKind::UnknownSubtype { subtype });
            }
        }
    }

    /// Answers and repetitions that lack the option of the handshake.
    fn note_missing(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        if !segment.flags.syn() || options.has_mptcp() || segment.are_options_cut() {
            return;
        }
        let sender = self.side(place);
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        let nops = options.longest_nop_run;
        match (mptcp.kind, segment.flags.ack()) {
            (SubflowKind::Capable, true)
                if builder.capable.syn_ack.is_none() && builder.capable.syns > 0 =>
            {
                builder
                    .rare
                    .made()
                    .bare_syn_ack
                    .get_or_insert((place.frame, nops));
            }
            (SubflowKind::Capable, false)
                if builder.capable.syns > 0 && builder.rare.bare_syn.is_none() =>
            {
                builder.rare.made().bare_syn = Some(place.frame);
                builder.note(place, sender, EventKind::SynWithoutOption);
            }
            (SubflowKind::Join, true) if mptcp.join.syn_ack_frame.is_none() => {
                builder.note(place, sender, EventKind::JoinOptionMissing);
            }
            (SubflowKind::Join, false) => {
                builder.note(place, sender, EventKind::SynWithoutOption);
            }
            _ => {}
        }
        if nops >= NOP_RUN_OF_A_BOX {
            builder.note(place, sender, EventKind::NopRun { nops });
        }
    }

    /// Options in packets that may not carry them.
    fn note_misplaced(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        let sender = self.side(place);
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        let capable = options.has(Subtype::CAPABLE);
        let join = options.has(Subtype::JOIN);
        let mut misplaced = |subtype: Subtype, rule| {
            builder.note(
                place,
                sender,
                EventKind::Misplaced {
                    subtype: subtype.0,
                    rule,
                },
            );
        };
        if capable && join {
            misplaced(Subtype::JOIN, "MP_CAPABLE and MP_JOIN exclude each other");
        }
        if !segment.flags.syn() {
            return;
        }
        for option in options.iter() {
            match option {
                MptcpOption::Capable(_)
                | MptcpOption::Join(_)
                | MptcpOption::Experimental(_)
                | MptcpOption::Unknown(_) => {}
                other => misplaced(
                    other.subtype(),
                    "only MP_CAPABLE or MP_JOIN belongs on a SYN",
                ),
            }
        }
    }

    fn on_prio(&mut self, place: Place, backup: bool) {
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let sender = mptcp.side(place.end);
        if mptcp.rare.priority_changes.len() < MAX_PRIORITY_CHANGES {
            let change = PriorityChange {
                frame: place.frame,
                sender,
                backup,
            };
            mptcp.rare.made().priority_changes.push(change);
        }
        self.connections[mptcp.connection].note(place, sender, EventKind::Prio { backup });
    }

    fn on_fail(&mut self, place: Place, dsn: u64) {
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let sender: Side = mptcp.side(place.end);
        let builder = &mut self.connections[mptcp.connection];
        let data = builder.data.of_mut(sender.other().sends());
        // MP_FAIL names the data that its receiver sent (RFC 8684 §3.7).
        let dsn = data.relative(mptcp_proto::wire::mptcp::WireDsn::Long(dsn));
        builder
            .rare
            .made()
            .fail
            .get_or_insert((place.frame, sender));
        builder.note(place, sender, EventKind::Fail { dsn });
    }
}
