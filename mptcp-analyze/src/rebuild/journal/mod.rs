//! The latest ordinary segments of a connection, noted instead of entered.
//!
//! An open connection takes kilobytes, and an ordinary segment changes numbers all over them. Where many
//! connections go on in turns, those are too many for memory and for the caches: so a connection stays
//! packed, and of each ordinary segment ten or twenty bytes are appended to its journal. When that is
//! full, or a segment is not ordinary, the connection wakes and all that was noted is entered as if it
//! came now. Whatever cannot wait for that keeps a segment from being noted.

mod notes;

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::Dss;

use self::notes::{MAX_NOTE, Note, Numbers};
use super::RebuildOptions;
use super::checksums::TcpVerdict;
use super::connection::{ConnectionBuilder, MAX_EVENTS};
use super::copies::{CopyWatch, Few};
use super::data::PayloadInput;
use super::flow::{End, StreamId};
use super::follow::FollowPlan;
use super::glance::{Glance, Whole};
use super::ordinary;
use super::slots::Asleep;
use super::stream::{Place, Stream};
use crate::model::{Direction, Piece};

/// Bytes of notes: those of some thirty segments. More would take more room than the connection itself,
/// fewer would have it packed and woken too often.
const MAX_NOTES: usize = 384;

/// Bytes of notes that make up for packing and waking the connection.
const WORTH_NOTES: usize = MAX_NOTES / 2;

/// Bytes by which the notes grow.
const STEP: usize = 96;

/// How far a mapping is from the data before it at most: those of a whole journal stay within the stores.
const MAX_JUMP: u64 = 1 << 32;

/// A packed connection, and the ordinary segments that came since.
#[derive(Debug)]
pub(super) struct Journal {
    pub(super) asleep: Asleep,
    /// The frame before the first that could be noted.
    began: u64,
    numbers: Numbers,
    /// The ends of its streams, in the order in which those are packed.
    ends: Box<[[JournalEnd; 2]]>,
    notes: Vec<u8>,
}

/// What has to be known of an end whose segments are noted.
#[derive(Debug, Clone, Copy)]
struct JournalEnd {
    copies: Few,
    /// The sequence number that follows what was sent.
    next: TcpSeq,
    /// The sequence number of SSN 0.
    ssn_0: TcpSeq,
    /// How many more TCP checksums are to be verified; without end if it is the highest number.
    unverified: u32,
    /// Bytes from `next` on that the latest mapping covers, as far as it is noted.
    mapped: u16,
    direction: Direction,
}

impl JournalEnd {
    fn of(
        builder: &ConnectionBuilder,
        stream: &Stream,
        end: End,
        options: &RebuildOptions,
    ) -> Option<Self> {
        let mptcp = stream.mptcp.as_deref()?;
        let part = &mptcp.ends[end];
        let (next, ssn_0) = part.data.settled_numbers()?;
        let direction = mptcp.direction(end);
        builder.data.of(direction).near()?;
        let CopyWatch::Few(copies) = stream.ends[end].copies else {
            return None;
        };
        Some(JournalEnd {
            copies,
            next,
            ssn_0,
            unverified: part.tcp_checksums.left_of(options.tcp_checksum_samples),
            mapped: 0,
            direction,
        })
    }

    /// How many bytes behind the segment are mapped, if all of its payload is, so that no byte of it has to
    /// wait.
    fn mapped_behind(&self, dss: &Dss, glance: &Glance) -> Option<u16> {
        let Some(mapping) = &dss.mapping else {
            let known = if glance.seq == self.next {
                self.mapped
            } else {
                0
            };
            return known.checked_sub(u16::try_from(glance.payload_len).ok()?);
        };
        let first = self.ssn_0.add(mapping.ssn.0);
        let ahead = glance.seq.0.wrapping_sub(first.0);
        let end = ahead.checked_add(glance.payload_len)?;
        let known = mapping.len.checked_sub(u16::try_from(end).ok()?);
        known.filter(|_| !mapping.is_infinite())
    }

    /// Judges the TCP checksum if it is to be judged.
    fn verdict<'a>(
        &mut self,
        glance: &Glance,
        whole: &impl Whole<'a>,
        dss: &Dss,
        options: &RebuildOptions,
    ) -> TcpVerdict {
        if !options.verify_tcp_checksums {
            return TcpVerdict::NotAsked;
        }
        if glance.is_cut {
            return TcpVerdict::Unverifiable;
        }
        if self.unverified == 0 && !ordinary::has_checksum(dss) {
            return TcpVerdict::Unchecked;
        }
        let verdict = TcpVerdict::of(&whole.segment());
        match verdict {
            TcpVerdict::Bad => self.unverified = u32::MAX,
            TcpVerdict::Good | TcpVerdict::Partial if self.unverified != u32::MAX => {
                self.unverified = self.unverified.saturating_sub(1);
            }
            _ => {}
        }
        verdict
    }
}

impl Journal {
    /// Whether segments of a connection can be noted, to be asked before it is packed for that.
    pub(super) fn may_begin<'a>(
        builder: &ConnectionBuilder,
        mut streams: impl Iterator<Item = &'a Stream>,
        options: &RebuildOptions,
    ) -> bool {
        // The sums of the payloads would be wanted.
        let is_summed = options.verify_checksums && builder.checksum == Some(true);
        let has_end = |stream, end| JournalEnd::of(builder, stream, end, options).is_some();
        !is_summed
            && has_room(builder)
            && streams.all(|stream| has_end(stream, 0) && has_end(stream, 1))
    }

    /// A journal without notes for a connection that was packed as it is; none where segments cannot be
    /// noted.
    pub(super) fn begin<'a>(
        asleep: Asleep,
        builder: &ConnectionBuilder,
        streams: impl Iterator<Item = &'a Stream>,
        options: &RebuildOptions,
    ) -> Result<Self, Asleep> {
        if !has_room(builder) {
            return Err(asleep);
        }
        let mut ends = Vec::with_capacity(builder.streams.len());
        let (mut numbers, mut began) = (Numbers::default(), 0);
        for stream in streams {
            let [one, other] = [0, 1].map(|end| JournalEnd::of(builder, stream, end, options));
            let (Some(one), Some(other)) = (one, other) else {
                return Err(asleep);
            };
            ends.push([one, other]);
            began = began.max(stream.last_frame);
            numbers.begin_at(stream.last_frame, stream.last_at);
        }
        for direction in Direction::BOTH {
            let near = builder.data.of(direction).near();
            *numbers.dsns.of_mut(direction) = near.unwrap_or_default();
        }
        Ok(Journal {
            asleep,
            began,
            numbers,
            ends: ends.into_boxed_slice(),
            notes: Vec::new(),
        })
    }

    /// The frame before the first that could be noted.
    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// Whether nothing is noted.
    pub(super) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Whether there are enough notes to have been worth it.
    pub(super) fn was_worth_it(&self) -> bool {
        self.notes.len() >= WORTH_NOTES
    }

    /// Whether there may be no room for another note.
    pub(super) fn is_full(&self) -> bool {
        self.notes.len().saturating_add(MAX_NOTE) > MAX_NOTES
    }

    /// Notes a segment that `end` of the stream with this number in the connection sent; `false` if it
    /// has to be entered, and nothing was done.
    pub(super) fn note<'a>(
        &mut self,
        (stream, end): (usize, End),
        glance: &Glance,
        whole: &impl Whole<'a>,
        options: &RebuildOptions,
    ) -> bool {
        let full = self.is_full();
        let ends = self.ends.get_mut(stream).filter(|_| !full);
        let (Some(ends), Some(dss)) = (ends, &whole.plain_dss()) else {
            return false;
        };
        let own = &mut ends[end];
        // The sum of a payload would be wanted.
        let is_summed = options.verify_checksums && ordinary::has_checksum(dss);
        if dss.data_fin || is_summed {
            return false;
        }
        let Some(mapped) = own.mapped_behind(dss, glance) else {
            return false;
        };
        let numbers = &mut self.numbers;
        let is_far = dss.mapping.as_ref().is_some_and(|mapping| {
            let near = *numbers.dsns.of(own.direction);
            mapping.dsn.expand(near).offset_from(near).unsigned_abs() > MAX_JUMP
        });
        if is_far || !own.copies.passes(glance.print) {
            return false;
        }
        let note = Note {
            stream,
            end,
            frame: glance.frame,
            at: glance.at,
            seq: glance.seq,
            payload_len: glance.payload_len,
            data_ack: dss.data_ack,
            mapping: dss.mapping,
            verdict: own.verdict(glance, whole, dss, options),
        };
        if self.notes.capacity() - self.notes.len() < MAX_NOTE {
            self.notes.reserve_exact(STEP.max(MAX_NOTE));
        }
        note.write(numbers, own, &mut self.notes);
        own.mapped = mapped;
        true
    }

    /// Enters what was noted into the connection, which was unpacked as it was when the journal began.
    pub(super) fn enter(
        &self,
        builder: &mut ConnectionBuilder,
        streams: &mut [(StreamId, Stream)],
        options: &RebuildOptions,
        pieces: &mut Vec<Piece>,
    ) {
        // The numbers with which the journal began follow from the connection.
        let unpacked = streams.iter().map(|(_, stream)| stream);
        let nothing = Asleep::default();
        let Ok(mut begun) = Journal::begin(nothing, builder, unpacked, options) else {
            return;
        };
        let mut rest = self.notes.as_slice();
        while let Some(note) = Note::read(&mut begun.numbers, &mut begun.ends, &mut rest) {
            if let Some((id, stream)) = streams.get_mut(note.stream) {
                let ends = self.ends.get(note.stream);
                stream.ends[note.end].ttl = ends.map(|ends| ends[note.end].copies.ttl());
                note.enter(*id, stream, builder, &options.follow, pieces);
            }
        }
        for ((_, stream), ends) in streams.iter_mut().zip(&self.ends) {
            for (end, noted) in stream.ends.iter_mut().zip(ends) {
                end.copies = CopyWatch::Few(noted.copies);
            }
        }
    }
}

/// Whether no limit is near: what is noted is counted nowhere when the capture ends, so that none of it
/// may be dropped.
fn has_room(builder: &ConnectionBuilder) -> bool {
    // A byte of a note brings less than one event.
    builder.events.len().saturating_add(MAX_NOTES) <= MAX_EVENTS
        && Direction::BOTH
            .iter()
            .all(|&direction| builder.data.of(direction).has_room_around())
}

impl Note {
    fn enter(
        &self,
        id: StreamId,
        stream: &mut Stream,
        builder: &mut ConnectionBuilder,
        follow: &FollowPlan,
        pieces: &mut Vec<Piece>,
    ) {
        stream.count_seen(self.frame, self.at);
        stream.ends[self.end].count(self.payload_len);
        let Some(mptcp) = stream.mptcp.as_deref_mut() else {
            return;
        };
        let tally = &mut mptcp.ends[self.end].tcp_checksums;
        tally.note(self.frame, self.verdict);
        let place = Place {
            stream: id,
            end: self.end,
            frame: self.frame,
            at: self.at,
        };
        let dss = Dss {
            data_ack: self.data_ack,
            mapping: self.mapping,
            ..Dss::default()
        };
        let payload = (self.seq, self.payload_len);
        let input = || PayloadInput {
            seq: self.seq,
            bytes: &[],
            sum: None,
            len: self.payload_len,
            frame: self.frame,
            at: self.at,
        };
        let parts = (mptcp, builder);
        ordinary::enter((follow, pieces), parts, place, &dss, payload, input);
    }
}

#[cfg(test)]
mod tests;
