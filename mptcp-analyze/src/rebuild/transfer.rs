//! Data of a segment: DATA_ACK, mapping, DATA_FIN, payload (RFC 8684 §3.3).

use mptcp_proto::seq::{Dsn, Ssn, TcpSeq};
use mptcp_proto::wire::mptcp::{
    Capable, CapableData, DataAck, Dss, DssMapping, MptcpOption, WireDsn,
};

use super::Rebuilder;
use super::connection::ConnectionBuilder;
use super::data::{DataDirection, MappingInput, PayloadInput};
use super::follow::FollowPlan;
use super::options::SegmentOptions;
use super::stream::{Bare, MptcpStream, Place};
use crate::model::{
    ByteClass, DataAckSeen, Direction, EventKind, MappingSeen, PacketNote, Piece, Segment, Side,
};

/// Highest relative DSN that the first mapping of a direction may have to count as counted from the
/// IDSN: a capture that misses the first quarter of a gibibyte is one without handshake.
const MAX_FIRST_DSN: i64 = 1 << 28;

impl Rebuilder {
    /// Takes the numbers and the payload of a segment.
    pub(super) fn transfer(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        options: &SegmentOptions,
        mut note: Option<&mut PacketNote>,
    ) {
        self.take_syn(segment, place);
        for option in options.iter() {
            match option {
                MptcpOption::Capable(Capable {
                    data: Some(data), ..
                }) => {
                    self.on_capable_data(segment, place, *data, note.as_deref_mut());
                }
                MptcpOption::Dss(dss) => self.on_dss(segment, place, dss, note.as_deref_mut()),
                _ => {}
            }
        }
        self.take_payload(segment, place, note);
        self.watch_bare(segment, place, options);
    }

    fn take_syn(&mut self, segment: &Segment<'_>, place: Place) {
        if !segment.flags.syn() {
            return;
        }
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let direction = mptcp.direction(place.end);
        let builder = &mut self.connections[mptcp.connection];
        let own = &mut mptcp.ends[place.end].data;
        own.on_syn(segment.seq);
        if segment.payload_len > 0 {
            let data = builder.data.of_mut(direction);
            own.on_syn_payload(data, segment.payload(), segment.payload_len);
        }
        if segment.flags.ack()
            && let Some(isn) = self.flows.ends(place.stream).isn(1 - place.end)
        {
            // TCP Fast Open: SYN data that the peer took shift the first mapped byte behind them
            // (RFC 8684 Appendix B).
            let taken = segment.ack.distance_from(isn.add(1)).unwrap_or(0);
            let data = builder.data.of_mut(direction.reverse());
            mptcp.ends[1 - place.end].data.on_syn_acked(data, taken);
        }
    }

    /// Data on MP_CAPABLE: they begin at IDSN + 1 and SSN 1 (RFC 8684 §3.1).
    fn on_capable_data(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        data: CapableData,
        note: Option<&mut PacketNote>,
    ) {
        let input = MappingInput {
            dsn: 1,
            ssn: 1,
            len: data.len,
            data_fin: false,
            checksum: data.checksum,
            frame: place.frame,
            at: place.at,
            segment_seq: payload_seq(segment),
            segment_len: segment.payload_len,
        };
        self.map(place, &input, note);
    }

    fn on_dss(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        dss: &Dss,
        note: Option<&mut PacketNote>,
    ) {
        self.retry_grouping(place, dss);
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let direction = mptcp.direction(place.end);
        let end = &mut mptcp.ends[place.end];
        end.sent_dss = true;
        let builder = &mut self.connections[mptcp.connection];
        let mut note = note;
        if let Some(ack) = dss.data_ack {
            let long = matches!(ack, DataAck::Long(_));
            end.options.count_data_ack(long);
            let dsn = builder.data.of_mut(direction.reverse()).on_data_ack(ack);
            if let Some(note) = note.as_deref_mut() {
                note.data_ack = Some(DataAckSeen { dsn, long });
            }
        }
        let Some(mapping) = dss.mapping else { return };
        let follow = &self.options.follow;
        take_mapping(
            follow,
            (mptcp, builder),
            (payload_seq(segment), segment.payload_len),
            place,
            (dss, mapping),
            note,
        );
    }

    /// Enters a mapping that an option carries.
    fn map(&mut self, place: Place, input: &MappingInput, note: Option<&mut PacketNote>) {
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        let follow = &self.options.follow;
        enter_mapping(follow, (mptcp, builder), place, input, note);
    }

    fn take_payload(&mut self, segment: &Segment<'_>, place: Place, note: Option<&mut PacketNote>) {
        self.go_plain(place);
        let is_reset = self.streams[place.stream].is_reset_by(1 - place.end);
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        self.pieces.clear();
        if segment.payload_len > 0 && !segment.flags.syn() {
            let data = builder.data.of_mut(mptcp.direction(place.end));
            data.set_discarding(is_reset);
            let input = PayloadInput::of(segment);
            enter_payload(mptcp, data, &input, place, &mut self.pieces);
        }
        if let Some(note) = note {
            note.ssn = mptcp.ends[place.end].data.ssn_of(payload_seq(segment));
            note.pieces.clone_from(&self.pieces);
        }
    }

    /// From the fallback on, the bytes of a followed stream continue the data stream unmapped.
    fn go_plain(&mut self, place: Place) {
        if !self.options.follow.goes_plain(place.stream, place.frame) {
            return;
        }
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        if std::mem::replace(&mut mptcp.is_plain, true) {
            return;
        }
        for end in [0, 1] {
            let direction = mptcp.direction(end);
            let data = self.connections[mptcp.connection].data.of_mut(direction);
            let subflow = place.stream_number();
            mptcp.ends[end].data.set_implicit_mapping(data, subflow);
        }
    }

    /// Keeps the first of the packets that an end sends without MPTCP option.
    fn watch_bare(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        if segment.flags.syn() || segment.flags.rst() || segment.are_options_cut() {
            return;
        }
        let stream = &mut self.streams[place.stream];
        // In TIME-WAIT hosts send bare ACKs.
        let has_finished = stream.ends[place.end].fin_frame.is_some() || segment.flags.fin();
        let Some(mptcp) = &mut stream.mptcp else {
            return;
        };
        mptcp.note_answer(place.end);
        let after_excess = mptcp.ends[1 - place.end].excess;
        let end = &mut mptcp.ends[place.end];
        if options.has_mptcp() {
            end.end_bare_run(options.has_data_ack_alone());
            end.had_option = true;
            return;
        }
        let bare = Bare {
            frame: place.frame,
            nops: options.longest_nop_run,
            after_excess,
        };
        end.bare_since.get_or_insert(bare);
        if !end.had_option {
            end.rare.made().bare_first.get_or_insert(bare);
        }
        let is_due = end.sent_dss || mptcp.join.ack_frame.is_some();
        if is_due && !has_finished && segment.payload().is_empty() {
            let rare = end.rare.made();
            rare.open_bare_acks = rare.open_bare_acks.saturating_add(1);
            rare.first_bare_ack.set_first(place.frame);
        }
    }
}

/// Sequence number of the first payload byte: a SYN takes one itself.
fn payload_seq(segment: &Segment<'_>) -> TcpSeq {
    if segment.flags.syn() {
        segment.seq.add(1)
    } else {
        segment.seq
    }
}

/// Enters the mapping of a DSS. `payload` is the number of the segment's first byte, and how many it has.
pub(super) fn take_mapping(
    follow: &FollowPlan,
    (mptcp, builder): (&mut MptcpStream, &mut ConnectionBuilder),
    payload: (TcpSeq, u32),
    place: Place,
    (dss, mapping): (&Dss, DssMapping),
    note: Option<&mut PacketNote>,
) {
    let direction = mptcp.direction(place.end);
    let sender = mptcp.side(place.end);
    let dsn_rel = builder.data.of_mut(direction).relative(mapping.dsn);
    let holds = builder.check_idsn(direction, dsn_rel);
    let dsn_rel = match mapping.dsn {
        WireDsn::Long(dsn) if !holds => {
            builder.note(place, sender, EventKind::FarMapping { dsn: dsn_rel });
            let data = builder.data.of_mut(direction);
            data.forget_idsn(Dsn(dsn));
            data.relative(mapping.dsn)
        }
        // Four bytes are always expanded to the nearest value, so no other base would be better.
        _ => dsn_rel,
    };
    let Ssn(ssn) = mapping.ssn;
    let input = MappingInput {
        dsn: dsn_rel,
        ssn,
        len: mapping.len,
        data_fin: dss.data_fin,
        checksum: mapping.checksum,
        frame: place.frame,
        at: place.at,
        segment_seq: payload.0,
        segment_len: payload.1,
    };
    enter_mapping(follow, (mptcp, builder), place, &input, note);
}

fn enter_mapping(
    follow: &FollowPlan,
    (mptcp, builder): (&mut MptcpStream, &mut ConnectionBuilder),
    place: Place,
    input: &MappingInput,
    note: Option<&mut PacketNote>,
) {
    let direction = mptcp.direction(place.end);
    let sender = mptcp.side(place.end);
    let data = builder.data.of_mut(direction);
    if follow.rejects(place.frame) {
        data.reject(place.stream_number(), input.dsn, input.len);
    }
    let end = &mut mptcp.ends[place.end];
    let outcome = end.data.on_mapping(data, place.stream_number(), input);
    if input.data_fin {
        builder.on_data_fin(place, sender, input);
    }
    if input.len == 0 && builder.rare.infinite_mapping.is_none() {
        builder.rare.made().infinite_mapping = Some((place.frame, sender));
        builder.note(place, sender, EventKind::InfiniteMapping { dsn: input.dsn });
    }
    if let Some(conflict) = outcome.conflict {
        let kind = EventKind::MappingConflict {
            ssn: conflict.ssn,
            kept_dsn: conflict.kept_dsn,
            refused_dsn: conflict.refused_dsn,
        };
        builder.note(place, sender, kind);
    }
    if outcome.other_checksum {
        builder.note(place, sender, EventKind::ChecksumChanged { dsn: input.dsn });
    }
    if let Some((before, now)) = outcome.resized {
        let dsn = input.dsn;
        builder.note(
            place,
            sender,
            EventKind::MappingResized { dsn, before, now },
        );
    }
    let present = input.checksum.is_some();
    if input.len != 0 && builder.lacks_checksum(present) {
        builder.rare.made().checksum_missing = Some((place.frame, sender));
        builder.note(place, sender, EventKind::ChecksumPresence { present });
    }
    if let Some(note) = note {
        note.mapping = Some(MappingSeen {
            dsn: input.dsn,
            ssn: input.ssn,
            len: input.len,
            checksum: input.checksum,
            repeated: outcome.repeated,
            data_fin: input.data_fin,
        });
    }
}

/// Enters the payload of a segment that is no SYN, and appends the pieces it consists of to `pieces`.
pub(super) fn enter_payload(
    mptcp: &mut MptcpStream,
    data: &mut DataDirection,
    input: &PayloadInput<'_>,
    place: Place,
    pieces: &mut Vec<Piece>,
) {
    let end = &mut mptcp.ends[place.end];
    end.data
        .on_payload(data, place.stream_number(), input, pieces);
    end.excess = false;
    if pieces
        .first()
        .is_some_and(|piece| piece.class == ByteClass::TcpRetransmission)
    {
        end.rare.made().repeats.note(input.seq, place.frame);
    }
    if pieces.iter().any(|piece| piece.dsn.is_none()) {
        end.mark_unmapped(place.frame, input.seq, pieces);
        end.excess = pieces.iter().any(|piece| piece.dsn.is_some());
    }
}

impl ConnectionBuilder {
    /// Whether a mapping is the first that has a checksum although none was asked for, or has none
    /// although one was.
    #[inline]
    pub(super) fn lacks_checksum(&self, present: bool) -> bool {
        self.checksum.is_some_and(|asked| asked != present) && self.rare.checksum_missing.is_none()
    }

    /// Whether [`Self::check_idsn`] has nothing more to find out.
    #[inline]
    pub(super) fn idsn_is_checked(&self, direction: Direction) -> bool {
        !self.data.of(direction).base_is_idsn() || self.idsn_check.of(direction).is_some()
    }

    /// Takes the DATA_FIN of a mapping: it has the last DSN of it (RFC 8684 §3.3.3).
    fn on_data_fin(&mut self, place: Place, sender: Side, input: &MappingInput) {
        let dsn = input
            .dsn
            .saturating_add(i64::from(input.len))
            .saturating_sub(1);
        let data = self.data.of_mut(sender.sends());
        let first = data.data_fin();
        data.on_data_fin(dsn, place.frame);
        match first {
            None => self.note(place, sender, EventKind::DataFin { dsn }),
            Some(first) if first != dsn => {
                let kind = EventKind::DataFinMoved { first, now: dsn };
                self.note(place, sender, kind);
            }
            Some(_) => {}
        }
    }

    /// Compares the first mapping of a direction with the IDSN of its sender. `false` when the DSN
    /// cannot have been counted from it, so that relative numbers need another base.
    fn check_idsn(&mut self, direction: Direction, dsn: i64) -> bool {
        if !self.data.of(direction).base_is_idsn() {
            return true;
        }
        let verdict = self.idsn_check.of_mut(direction);
        if verdict.is_some() {
            return true;
        }
        let holds = (0..=MAX_FIRST_DSN).contains(&dsn);
        *verdict = Some(holds);
        holds
    }
}
