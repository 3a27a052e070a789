//! What is kept of one TCP stream while the capture is read.

use mptcp_proto::hmac::{JoinHmac, TruncatedHmac};
use mptcp_proto::key::{AddressId, Nonce, Token};

use mptcp_proto::seq::TcpSeq;

use super::checksums::ChecksumCounts;
use super::connection::ConnectionBuilder;
use super::copies::CopyWatch;
use super::data::SubflowDirection;
use super::flow::{End, StreamId};
use super::glance::Glance;
use super::grouping::MAX_GROUPING_TRIES;
use super::pack::pack_fields;
use super::rare::{Absent, FrameMark, Rare, TimeMark};
use crate::model::{
    ByteClass, Direction, Grouping, OptionTally, Piece, PriorityChange, Segment, Side, SubflowKind,
    Timestamp,
};

/// Unmapped segments per direction that are remembered, to name the first one in a verdict.
pub(super) const MAX_UNMAPPED_MARKS: usize = 16;

/// One TCP stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) first_frame: u64,
    pub(super) last_frame: u64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) interface: u32,
    pub(super) packets: u64,
    pub(super) duplicates: u64,
    pub(super) ends: [StreamEnd; 2],
    /// Present from the first MPTCP option on.
    pub(super) mptcp: Option<Box<MptcpStream>>,
}

/// One end of a TCP stream, as its packets show it.
#[derive(Debug, Default)]
pub(super) struct StreamEnd {
    /// Stays at 4 billion.
    pub(super) packets: u32,
    pub(super) wire_bytes: u64,
    /// TTL of its latest packet that was no RST.
    pub(super) ttl: Option<u8>,
    pub(super) syn_at: TimeMark,
    pub(super) fin_frame: FrameMark,
    pub(super) rst_frame: FrameMark,
    pub(super) copies: CopyWatch,
}

impl StreamEnd {
    /// Counts a packet that is no copy.
    #[inline]
    pub(super) fn count(&mut self, payload_len: u32) {
        self.packets = self.packets.saturating_add(1);
        self.wire_bytes += u64::from(payload_len);
    }
}

/// The MPTCP part of a stream.
#[derive(Debug)]
pub(super) struct MptcpStream {
    /// Index of the connection.
    pub(super) connection: usize,
    /// Which end is the connection's client.
    pub(super) client_end: End,
    pub(super) kind: SubflowKind,
    /// Why it is in its connection.
    pub(super) grouping: Grouping,
    pub(super) packets_with_option: u64,
    pub(super) ends: [MptcpEnd; 2],
    pub(super) join: Rare<JoinState>,
    pub(super) rare: Rare<RareStream>,
    /// Whether its bytes continue the data stream without mapping.
    pub(super) is_plain: bool,
    /// DSS packets by which grouping was tried, while the stream has no handshake.
    pub(super) grouping_tries: u32,
}

/// What happens on few subflows.
#[derive(Debug, Default)]
pub(super) struct RareStream {
    /// Reason of the first MP_TCPRST.
    pub(super) reset_reason: Option<u8>,
    /// First MP_FASTCLOSE: frame and sender.
    pub(super) fast_close: Option<(u64, End)>,
    /// First RST whose TTL fits neither end.
    pub(super) foreign_reset: Option<u64>,
    pub(super) priority_changes: Vec<PriorityChange>,
}

impl Absent for RareStream {
    const ABSENT: &'static Self = &RareStream {
        reset_reason: None,
        fast_close: None,
        foreign_reset: None,
        priority_changes: Vec::new(),
    };
}

/// The MPTCP part of one end.
#[derive(Debug, Default)]
pub(super) struct MptcpEnd {
    pub(super) data: SubflowDirection,
    pub(super) options: OptionCounts,
    pub(super) tcp_checksums: ChecksumCounts,
    /// First frame of the packets without MPTCP option that the end sends now; `None` while its
    /// latest packet (SYN and RST aside) has one.
    pub(super) bare_since: Option<Bare>,
    /// Whether it has sent a packet with MPTCP option that was neither SYN nor RST.
    pub(super) had_option: bool,
    /// Whether a part of its latest payload was mapped and a part not.
    pub(super) excess: bool,
    /// Whether it has sent a DSS.
    pub(super) sent_dss: bool,
    pub(super) rare: Rare<RareEnd>,
}

/// What few ends show.
#[derive(Debug, Default)]
pub(super) struct RareEnd {
    /// First packet without MPTCP option that came (SYN and RST aside) before any with one.
    pub(super) bare_first: Option<Bare>,
    /// Segments whose bytes no mapping covered when they came: frame and place of the first one.
    pub(super) unmapped_marks: Vec<(u64, i64)>,
    /// ACKs without payload and without MPTCP option, in the run of such packets that goes on.
    pub(super) open_bare_acks: u32,
    /// Those of runs after which a packet with DATA_ACK came.
    pub(super) bare_acks: u32,
    /// The first of them all.
    pub(super) first_bare_ack: FrameMark,
    pub(super) repeats: Repeats,
}

/// Segments that were sent again and again.
#[derive(Debug, Clone, Default)]
pub(super) struct Repeats {
    /// Sequence number of the latest retransmission.
    pub(super) seq: u32,
    /// How often it was sent again.
    pub(super) count: u32,
    /// The highest such count.
    pub(super) most: u32,
    /// The retransmission with which it was reached.
    pub(super) most_frame: FrameMark,
}

impl Repeats {
    const NONE: Self = Repeats {
        seq: 0,
        count: 0,
        most: 0,
        most_frame: FrameMark::MISSING,
    };

    /// A retransmission of the segment with this sequence number.
    pub(super) fn note(&mut self, seq: TcpSeq, frame: u64) {
        if self.seq != seq.0 {
            self.seq = seq.0;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        if self.count > self.most {
            self.most = self.count;
            self.most_frame = Some(frame).into();
        }
    }
}

impl MptcpEnd {
    /// Ends a run of packets without MPTCP option: a packet with one has come, perhaps with a DATA_ACK.
    #[inline]
    pub(super) fn end_bare_run(&mut self, has_data_ack: bool) {
        if self.bare_since.take().is_some()
            && let Some(rare) = self.rare.get_mut()
        {
            let acks = std::mem::take(&mut rare.open_bare_acks);
            if has_data_ack {
                rare.bare_acks = rare.bare_acks.saturating_add(acks);
            } else if rare.bare_acks == 0 {
                rare.first_bare_ack = FrameMark::MISSING;
            }
        }
    }
}

impl Absent for RareEnd {
    const ABSENT: &'static Self = &RareEnd {
        bare_first: None,
        unmapped_marks: Vec::new(),
        open_bare_acks: 0,
        bare_acks: 0,
        first_bare_ack: FrameMark::MISSING,
        repeats: Repeats::NONE,
    };
}

/// [`OptionTally`] in half the room. The counts stay at 4 billion, the options of 5 TB of segments.
///
/// Every subflow has MP_CAPABLE or MP_JOIN, and DSS.
#[derive(Debug, Default)]
pub(super) struct OptionCounts {
    usual: [u32; 3],
    data_ack4: u32,
    data_ack8: u32,
    rare: Rare<RareCounts>,
}

/// Counts of options that few subflows have.
#[derive(Debug, Default)]
pub(super) struct RareCounts {
    by_subtype: [u32; 16],
    malformed: u32,
    cut_areas: u32,
}

impl Absent for RareCounts {
    const ABSENT: &'static Self = &RareCounts {
        by_subtype: [0; 16],
        malformed: 0,
        cut_areas: 0,
    };
}

pack_fields!(OptionCounts {
    usual,
    data_ack4,
    data_ack8,
    rare,
});

pack_fields!(RareCounts {
    by_subtype,
    malformed,
    cut_areas,
});

impl OptionCounts {
    /// Counts an option of this subtype.
    #[inline]
    pub(super) fn count(&mut self, subtype: u8) {
        let subtype = usize::from(subtype & 15);
        let count = match self.usual.get_mut(subtype) {
            Some(count) => count,
            None => &mut self.rare.made().by_subtype[subtype],
        };
        *count = count.saturating_add(1);
    }

    /// Counts an option that does not parse.
    pub(super) fn count_malformed(&mut self, subtype: Option<u8>) {
        let rare = self.rare.made();
        rare.malformed = rare.malformed.saturating_add(1);
        if let Some(subtype) = subtype {
            self.count(subtype);
        }
    }

    /// Counts a segment whose option area was cut.
    #[inline]
    pub(super) fn count_cut_area(&mut self) {
        let rare = self.rare.made();
        rare.cut_areas = rare.cut_areas.saturating_add(1);
    }

    /// Counts a DATA_ACK.
    #[inline]
    pub(super) fn count_data_ack(&mut self, long: bool) {
        let count = if long {
            &mut self.data_ack8
        } else {
            &mut self.data_ack4
        };
        *count = count.saturating_add(1);
    }

    /// The counts as the model has them.
    pub(super) fn tally(&self) -> OptionTally {
        let rare = &*self.rare;
        let mut by_subtype = rare.by_subtype.map(u64::from);
        for (count, usual) in by_subtype.iter_mut().zip(self.usual) {
            *count += u64::from(usual);
        }
        OptionTally {
            by_subtype,
            malformed: u64::from(rare.malformed),
            cut_areas: u64::from(rare.cut_areas),
            data_ack4: u64::from(self.data_ack4),
            data_ack8: u64::from(self.data_ack8),
        }
    }
}

impl MptcpEnd {
    /// Whether it has sent something that counts at data level.
    pub(super) fn has_data(&self) -> bool {
        self.sent_dss || self.data.has_mapping() || self.data.totals().wire_bytes > 0
    }

    /// Remembers a segment that has bytes without mapping.
    pub(super) fn mark_unmapped(&mut self, frame: u64, seq: TcpSeq, pieces: &[Piece]) {
        let Some(piece) = pieces
            .iter()
            .find(|piece| piece.class == ByteClass::Unmapped)
        else {
            return;
        };
        let Some(place) = self.data.place_of(seq.add(piece.offset)) else {
            return;
        };
        if self.rare.unmapped_marks.len() >= MAX_UNMAPPED_MARKS {
            self.drop_mapped_marks();
        }
        let marks = &mut self.rare.made().unmapped_marks;
        if marks.len() < MAX_UNMAPPED_MARKS {
            marks.push((frame, place));
        }
    }

    /// Forgets those segments whose mapping has come since.
    pub(super) fn drop_mapped_marks(&mut self) {
        let data = &mut self.data;
        if let Some(rare) = self.rare.get_mut() {
            rare.unmapped_marks
                .retain(|(_, place)| data.is_unmapped(*place));
        }
    }
}

/// The first of a series of packets without MPTCP option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bare {
    pub(super) frame: u64,
    /// NOPs in a row in its option area.
    pub(super) nops: u8,
    /// Whether the latest data of the other end went beyond their mapping.
    pub(super) after_excess: bool,
}

/// What the MP_JOIN handshake has shown so far.
#[derive(Debug, Default)]
pub(super) struct JoinState {
    pub(super) token: Option<Token>,
    /// The end that sent the SYN.
    pub(super) opener: End,
    pub(super) syns: u64,
    pub(super) syn_frame: FrameMark,
    pub(super) syn_ack_frame: FrameMark,
    pub(super) ack_frame: FrameMark,
    pub(super) nonces: [Option<Nonce>; 2],
    pub(super) ids: [Option<AddressId>; 2],
    pub(super) backup: bool,
    /// Whether the acceptor went on after the third ACK: the fourth ACK of RFC 8684 §3.2.
    pub(super) confirmed: bool,
    /// The random number of a later SYN/ACK before the third ACK, where it is another.
    pub(super) later_nonce: Option<Nonce>,
    pub(super) syn_ack_hmac: Option<TruncatedHmac>,
    pub(super) ack_hmac: Option<JoinHmac>,
    /// Whether the third ACK's HMAC was found to hold where the stream is, and the SYN/ACK's.
    pub(super) good: [bool; 2],
}

impl Absent for JoinState {
    const ABSENT: &'static Self = &JoinState {
        token: None,
        opener: 0,
        syns: 0,
        syn_frame: FrameMark::MISSING,
        syn_ack_frame: FrameMark::MISSING,
        ack_frame: FrameMark::MISSING,
        nonces: [None; 2],
        ids: [None; 2],
        backup: false,
        confirmed: false,
        later_nonce: None,
        syn_ack_hmac: None,
        ack_hmac: None,
        good: [false; 2],
    };
}

impl JoinState {
    /// Notes who opened the subflow.
    pub(super) fn set_opener(&mut self, opener: End) {
        if self.opener != opener {
            self.good = [false; 2];
        }
        self.opener = opener;
    }

    /// Whether the HMAC is known to hold.
    pub(super) fn is_good(&self, syn_ack: bool) -> bool {
        self.good[usize::from(syn_ack)]
    }

    /// Notes that the HMAC holds: it need not be computed again.
    pub(super) fn note_good(&mut self, syn_ack: bool) {
        self.good[usize::from(syn_ack)] = true;
    }
}

impl Stream {
    /// A stream that begins with `segment`.
    pub(super) fn new(segment: &Segment<'_>) -> Self {
        Stream {
            first_frame: segment.frame,
            last_frame: segment.frame,
            first_at: segment.at,
            last_at: segment.at,
            interface: segment.interface,
            packets: 0,
            duplicates: 0,
            ends: [StreamEnd::default(), StreamEnd::default()],
            mptcp: None,
        }
    }

    /// Whether `end` has reset the stream: what its peer sends from then on is lost.
    pub(super) fn is_reset_by(&self, end: End) -> bool {
        let reset = self.ends[end].rst_frame;
        let forged = self
            .mptcp
            .as_ref()
            .and_then(|mptcp| mptcp.rare.foreign_reset);
        reset.is_some() && reset.get() != forged
    }

    /// Counts a packet, copies included.
    #[inline]
    pub(super) fn count_seen(&mut self, frame: u64, at: Timestamp) {
        self.packets += 1;
        self.first_frame = self.first_frame.min(frame);
        self.last_frame = self.last_frame.max(frame);
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
    }

    /// Counts a packet; `true` when it is a copy of one that was counted before.
    #[expect(
        clippy::inline_always,
        reason = "once for each packet: what was seen of it stays in registers"
    )]
    #[inline(always)]
    pub(super) fn count(&mut self, glance: &Glance, end: End) -> bool {
        self.count_seen(glance.frame, glance.at);
        let sender = &mut self.ends[end];
        if sender.copies.is_copy(glance.print) {
            self.duplicates += 1;
            return true;
        }
        sender.count(glance.payload_len);
        if glance.flags.syn() && !glance.flags.ack() {
            // What was refused before the SYN (captured late, or sent by a host that had forgotten
            // the subflow) does not end what begins now.
            for end in &mut self.ends {
                end.rst_frame = FrameMark::MISSING;
            }
        }
        let sender = &mut self.ends[end];
        if glance.flags.syn() {
            sender.syn_at.set_first(glance.at);
        }
        if glance.flags.fin() {
            sender.fin_frame.set_first(glance.frame);
        }
        false
    }
}

impl MptcpStream {
    /// The MPTCP part of `stream`, as a subflow of `connection`.
    pub(super) fn new(
        connection: usize,
        client_end: End,
        kind: SubflowKind,
        grouping: Grouping,
    ) -> Self {
        MptcpStream {
            connection,
            client_end,
            kind,
            grouping,
            packets_with_option: 0,
            ends: [MptcpEnd::default(), MptcpEnd::default()],
            join: Rare::default(),
            rare: Rare::default(),
            is_plain: false,
            grouping_tries: 0,
        }
    }

    /// Has the HMACs of the join checked again: what they were checked with is about to change.
    pub(super) fn forget_verdicts(&mut self) {
        if let Some(join) = self.join.get_mut() {
            join.good = [false; 2];
        }
    }

    /// Which host of the connection `end` is.
    pub(super) fn side(&self, end: End) -> Side {
        if end == self.client_end {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// The direction of what `end` sends.
    pub(super) fn direction(&self, end: End) -> Direction {
        self.side(end).sends()
    }

    /// The end that is `side`.
    pub(super) fn end_of(&self, side: Side) -> End {
        match side {
            Side::Client => self.client_end,
            Side::Server => 1 - self.client_end,
        }
    }

    /// Notes that `end` sent a segment that is neither SYN nor RST: after the third ACK of a join, the
    /// acceptor's is the fourth (RFC 8684 §3.2).
    #[inline]
    pub(super) fn note_answer(&mut self, end: End) {
        if let Some(join) = self.join.get_mut() {
            join.confirmed |= join.ack_frame.is_some() && end != join.opener;
        }
    }

    /// Whether its connection may still be found: it is `stream`, has no handshake and is on its own.
    #[inline]
    pub(super) fn may_be_regrouped(&self, alone: &ConnectionBuilder, stream: StreamId) -> bool {
        self.kind == SubflowKind::Unseen
            && self.grouping_tries < MAX_GROUPING_TRIES
            && alone.has_only(stream)
    }

    fn both_sent_dss(&self) -> bool {
        self.ends.iter().all(|end| end.sent_dss)
    }

    /// Whether both hosts have shown that they speak MPTCP on this subflow.
    pub(super) fn is_established(&self) -> bool {
        let dss = self.ends.iter().any(|end| end.sent_dss);
        match self.kind {
            SubflowKind::Join => {
                let join = &self.join;
                // The acceptor alone may mean an earlier subflow of these ends, which it still knows: it
                // answers the SYN with an ACK, and the opener that with RST (RFC 9293 §3.10.7.4).
                let lacks_ack = if join.syns > 0 {
                    join.ack_frame.is_none() && self.ends[join.opener].sent_dss
                } else {
                    join.ack_frame.is_none()
                };
                join.ack_frame.is_some() && join.confirmed
                    || dss && (lacks_ack || self.both_sent_dss())
            }
            SubflowKind::Capable | SubflowKind::Unseen => dss,
        }
    }
}

/// Where a packet stands: stream, sender, frame, time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) stream: StreamId,
    pub(super) end: End,
    pub(super) frame: u64,
    pub(super) at: Timestamp,
}

impl Place {
    /// The stream as the data level names it.
    pub(super) fn stream_number(self) -> u32 {
        u32::try_from(self.stream).unwrap_or(u32::MAX)
    }
}
