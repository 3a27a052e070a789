//! Data of a segment: DATA_ACK, mapping, DATA_FIN, payload (RFC 8684 §3.3).

use mptcp_proto::seq::{Dsn, Ssn, TcpSeq};
use mptcp_proto::wire::mptcp::{
    Capable, CapableData, DataAck, Dss, DssMapping, MptcpOption, WireDsn,
};

use super::Rebuilder;
use super::data::{MappingInput, PayloadInput};
use super::options::SegmentOptions;
use super::stream::{Bare, Place};
use crate::model::{CheckResult, DataAckSeen, EventKind, MappingSeen, PacketNote, Segment, Side};

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
            own.on_syn_payload(data, segment.payload, segment.payload_len);
        }
        if segment.flags.ack()
            && let Some(isn) = self.flows.ends(place.stream).isns[1 - place.end]
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
        let sender = mptcp.side(place.end);
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
        let data = builder.data.of_mut(direction);
        let dsn_rel = data.relative(mapping.dsn);
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
        self.map(
            place,
            &dss_input(segment, place, dss, mapping, dsn_rel),
            note,
        );
    }

    /// Enters a mapping that an option carries.
    fn map(&mut self, place: Place, input: &MappingInput, note: Option<&mut PacketNote>) {
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let direction = mptcp.direction(place.end);
        let sender = mptcp.side(place.end);
        let builder = &mut self.connections[mptcp.connection];
        let end = &mut mptcp.ends[place.end];
        let data = builder.data.of_mut(direction);
        if self.options.follow.rejects(place.frame) {
            data.reject(place.stream_number(), input.dsn, input.len);
        }
        let outcome = end.data.on_mapping(data, place.stream_number(), input);
        if input.data_fin {
            builder.on_data_fin(place, sender, input);
        }
        if input.len == 0 && builder.infinite_mapping.is_none() {
            builder.infinite_mapping = Some((place.frame, sender));
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
        let expected = builder.checksum;
        if input.len != 0
            && expected.is_some_and(|asked| asked != input.checksum.is_some())
            && builder.checksum_missing.is_none()
        {
            builder.checksum_missing = Some((place.frame, sender));
            let kind = EventKind::ChecksumPresence {
                present: input.checksum.is_some(),
            };
            builder.note(place, sender, kind);
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

    fn take_payload(&mut self, segment: &Segment<'_>, place: Place, note: Option<&mut PacketNote>) {
        self.go_plain(place);
        let is_reset = self.streams[place.stream].is_reset_by(1 - place.end);
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let direction = mptcp.direction(place.end);
        let builder = &mut self.connections[mptcp.connection];
        let end = &mut mptcp.ends[place.end];
        self.pieces.clear();
        let seq = payload_seq(segment);
        if segment.payload_len > 0 && !segment.flags.syn() {
            let input = PayloadInput {
                seq,
                bytes: segment.payload,
                len: segment.payload_len,
                frame: place.frame,
                at: place.at,
            };
            let data = builder.data.of_mut(direction);
            data.set_discarding(is_reset);
            end.data
                .on_payload(data, place.stream_number(), &input, &mut self.pieces);
            end.excess = false;
            if self.pieces.iter().any(|piece| piece.dsn.is_none()) {
                end.mark_unmapped(place.frame, seq, &self.pieces);
                end.excess = self.pieces.iter().any(|piece| piece.dsn.is_some());
            }
        }
        if let Some(note) = note {
            note.ssn = end.data.ssn_of(seq);
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
        if segment.flags.syn() || segment.flags.rst() || segment.options.len() < segment.options_len
        {
            return;
        }
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let join = &mut mptcp.join;
        join.confirmed |= join.ack_frame.is_some() && place.end != join.opener;
        let after_excess = mptcp.ends[1 - place.end].excess;
        let end = &mut mptcp.ends[place.end];
        if options.has_mptcp() {
            end.bare_since = None;
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
            end.bare_first.get_or_insert(bare);
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

fn dss_input(
    segment: &Segment<'_>,
    place: Place,
    dss: &Dss,
    mapping: DssMapping,
    dsn: i64,
) -> MappingInput {
    let Ssn(ssn) = mapping.ssn;
    MappingInput {
        dsn,
        ssn,
        len: mapping.len,
        data_fin: dss.data_fin,
        checksum: mapping.checksum,
        frame: place.frame,
        at: place.at,
        segment_seq: payload_seq(segment),
        segment_len: segment.payload_len,
    }
}

impl super::connection::ConnectionBuilder {
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
    fn check_idsn(&mut self, direction: crate::model::Direction, dsn: i64) -> bool {
        if !self.data.of(direction).base_is_idsn() {
            return true;
        }
        let verdict = self.idsn_check.of_mut(direction);
        if verdict.is_some() {
            return true;
        }
        let holds = (0..=MAX_FIRST_DSN).contains(&dsn);
        *verdict = Some(if holds {
            CheckResult::Ok
        } else {
            CheckResult::Bad
        });
        holds
    }
}
