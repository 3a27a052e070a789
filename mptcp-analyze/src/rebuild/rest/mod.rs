//! Connections that are over, or idle, come to rest: their state is packed until a packet or the report
//! asks for it, so that a long capture takes memory for what goes on.

mod noted;

use tracing::debug;

use super::Rebuilder;
use super::connection::{ConnectionBuilder, Identity};
use super::flow::StreamId;
use super::journal::Journal;
use super::pack::{Pack as _, Packer, Packing, Unpacker};
use super::slots::{Asleep, Head};
use super::stream::{Place, Stream};
use crate::model::{Direction, PerDirection};

/// Frames of the capture without one of a connection that is over, after which it is at rest: more
/// than any queue holds, so that copies and repetitions rarely wake it. Frames and not time, because
/// a capture's clock may jump, and because they bound what is awake.
pub(super) const REST_FRAMES: u64 = 10_000;

/// Frames of the capture for each connection that is awake, after which an open one without packets is
/// at rest: all that go on in turns are not. It is looked for once in twice as many, so that this takes
/// little time.
pub(super) const IDLE_FRAMES: u64 = 4;

/// Frames of the capture for each open connection that was packed, or looked at, in vain; as long as there
/// were fewer, no other one is. Where all go on in turns, each time would be in vain, and to pack and to
/// wake takes as long as a few packets.
pub(super) const VAIN_FRAMES: u64 = 32;

/// Connections that are awake before open ones with packets are packed too: as many as take a few megabytes.
pub(super) const MAX_AWAKE: usize = 1000;

/// Streams of a connection that is packed. One with more is rare, or a flood of joins.
const MAX_STREAMS_AT_REST: usize = 16;

impl Rebuilder {
    /// Wakes a connection if it is asleep.
    pub(super) fn wake(&mut self, connection: usize) {
        let Some(asleep) = self.connections.asleep(connection) else {
            return;
        };
        debug!(connection, "it goes on");
        let journal = self.connections.journal(connection);
        let is_full = journal.is_some_and(Journal::is_full);
        let (mut builder, mut streams) = asleep.unpack(&self.packing.words);
        if let Some(journal) = journal {
            journal.enter(&mut builder, &mut streams, &self.options, &mut self.pieces);
            let is_short = !journal.was_worth_it();
            builder.note_journal(is_short, self.frame);
        }
        for (stream, unpacked) in streams {
            self.streams.wake(stream, Box::new(unpacked));
        }
        if builder.is_queued {
            self.ending.push_back((self.frame, connection));
        } else {
            self.watch_open(connection);
            self.in_vain += u64::from(!is_full);
        }
        self.connections.wake(connection, Box::new(builder));
    }

    /// Notes that the connection of `place` may be over.
    pub(super) fn watch_end(&mut self, place: Place) {
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let builder = &mut self.connections[mptcp.connection];
        if !builder.is_queued && builder.is_over() {
            builder.is_queued = true;
            self.ending.push_back((place.frame, mptcp.connection));
        }
    }

    /// Packs what is at rest when `frame` comes.
    #[inline]
    pub(super) fn rest(&mut self, frame: u64) {
        self.frame = frame;
        if frame > self.next_rest {
            self.rest_due(frame);
        }
    }

    /// Packs what is at rest, and notes when the next one may be.
    #[cold]
    fn rest_due(&mut self, frame: u64) {
        let rest_frames = self.limits.rest_frames;
        while let Some(&(since, connection)) = self.ending.front()
            && since.saturating_add(rest_frames) < frame
        {
            self.ending.pop_front();
            if self.rest_one(connection, self.limits.rest_frames) == Some(Refused::Recent) {
                self.ending.push_back((frame, connection));
            }
        }
        if frame > self.quiet_until {
            self.look_at_open(frame);
        }
        let since = self.ending.front().map_or(frame, |&(since, _)| since);
        self.next_rest = since.saturating_add(rest_frames).min(self.quiet_until);
    }

    /// Queues an open connection to be looked at.
    pub(super) fn watch_open(&mut self, connection: usize) {
        self.open.push_back((self.frame, connection));
        let due = self.frame.saturating_add(self.limits.rest_frames);
        self.quiet_until = self.quiet_until.min(due);
    }

    /// Packs open connections that are idle.
    #[inline(never)]
    fn look_at_open(&mut self, frame: u64) {
        self.quiet_until = u64::MAX;
        while let Some(&(since, connection)) = self.open.front() {
            let due = since.saturating_add(self.idle_frames().saturating_mul(2));
            let allowed = self.in_vain.saturating_mul(self.limits.vain_frames);
            let until = due.max(allowed);
            if frame <= until {
                self.quiet_until = until;
                return;
            }
            self.open.pop_front();
            self.rest_open(connection);
        }
    }

    /// Frames without one of its own after which an open connection is packed.
    fn idle_frames(&self) -> u64 {
        let awake = self.connections.awake_count() as u64;
        let frames = self.limits.idle_frames.saturating_mul(awake);
        frames.max(self.limits.rest_frames)
    }

    /// Packs an open connection that is idle, or looks at it again later.
    fn rest_open(&mut self, connection: usize) {
        let awake = self.connections.awake(connection);
        if awake.is_none_or(|builder| builder.is_queued || builder.is_merged) {
            return;
        }
        if let Some(refused) = self.rest_one(connection, self.idle_frames()) {
            // Where many are awake there are many to look at, and a look alone takes little time.
            let is_cheap = refused == Refused::Recent && self.are_many_awake();
            self.in_vain += u64::from(!is_cheap);
            self.open.push_back((self.frame, connection));
        }
    }

    /// Packs a connection that had no packet for so many frames; tells why if it does not.
    fn rest_one(&mut self, connection: usize, frames: u64) -> Option<Refused> {
        let builder = self.connections.awake(connection)?;
        if builder.is_merged || builder.streams.len() > MAX_STREAMS_AT_REST {
            return Some(Refused::Unfit);
        }
        let streams = || builder.streams.iter().filter_map(|id| self.streams.get(id));
        let last_frame = streams().map(|stream| stream.last_frame).max();
        let is_recent = last_frame.is_some_and(|last| last.saturating_add(frames) >= self.frame);
        let may_be_noted =
            || self.may_be_noted(builder) && Journal::may_begin(builder, streams(), &self.options);
        if is_recent && !may_be_noted() {
            return Some(Refused::Recent);
        }
        let Some(asleep) = self.packed(connection) else {
            return Some(Refused::Unfit);
        };
        let rest = if is_recent {
            let journal = self.with_journal(connection, asleep);
            if journal.is_err() {
                return Some(Refused::Unfit);
            }
            journal
        } else {
            Err(asleep)
        };
        for (number, stream) in (0..).zip(self.connections[connection].streams.iter()) {
            self.streams.put_to_sleep(stream, connection, number);
        }
        self.connections.put_to_sleep(connection, rest);
        None
    }

    /// The packed form of a connection that is awake, if it has one.
    fn packed(&mut self, connection: usize) -> Option<Asleep> {
        let builder = self.connections.awake(connection)?;
        let streams = builder.streams.iter().map(|id| self.streams.get(id));
        let streams = streams.collect::<Option<Vec<&Stream>>>()?;
        pack(&mut self.packing, (connection, builder), &streams)
    }
}

/// The packed form of a connection and its streams, if it has one.
fn pack(
    packing: &mut Packing,
    (connection, builder): (usize, &ConnectionBuilder),
    streams: &[&Stream],
) -> Option<Asleep> {
    // Keys that were never settled are at the end, and may bring joins with them.
    let is_settled = builder.capable.syn_ack.is_some() || builder.capable.ack.is_some();
    let dropped = builder.rare.events_dropped + builder.addresses.rare.dropped;
    let is_over = builder.is_over();
    if !is_settled || dropped > 0 || !builder.data_limits().is_empty() {
        return None;
    }
    // A part without handshake may still find the connection that it belongs to.
    if !is_over && builder.has_no_handshake() {
        return None;
    }
    let (mut first_frame, mut duplicates, mut client_ends) = (u64::MAX, 0, 0);
    for (bit, stream) in streams.iter().enumerate() {
        first_frame = first_frame.min(stream.first_frame);
        duplicates += stream.duplicates;
        let client_end = stream.mptcp.as_deref()?.client_end;
        client_ends |= u16::from(client_end == 1) << bit;
    }
    let near = |direction| builder.data.of(direction).near();
    let head = Head {
        first_frame,
        duplicates,
        streams: builder.streams.clone(),
        client_ends,
        is_over,
        near: PerDirection {
            to_server: near(Direction::ToServer),
            to_client: near(Direction::ToClient),
        },
    };
    let mut packer = Packer::new(packing, !is_over);
    head.pack(&mut packer);
    builder.pack(&mut packer);
    for stream in streams {
        let mptcp = stream.mptcp.as_deref()?;
        packer.require(mptcp.connection == connection);
        packer.require(mptcp.ends.iter().all(|end| end.data.limits().is_empty()));
        stream.pack(&mut packer);
    }
    let bytes = packer.finish()?;
    Some(Asleep { bytes })
}

impl Asleep {
    /// What others may ask of it.
    pub(super) fn head(&self) -> Head {
        Head::unpack(&mut Unpacker::new(&self.bytes, &[]))
    }

    /// Who its hosts are.
    pub(super) fn identity(&self) -> Identity {
        let mut from = Unpacker::new(&self.bytes, &[]);
        Head::unpack(&mut from);
        Identity::unpack(&mut from)
    }

    /// The builder and its streams.
    pub(super) fn unpack(&self, words: &[&'static str]) -> Unpacked {
        unpack(Unpacker::new(&self.bytes, words))
    }

    /// The same as far as a report needs it: no packet can follow.
    pub(super) fn unpack_for_report(&self, words: &[&'static str]) -> Unpacked {
        unpack(Unpacker::new(&self.bytes, words).for_report())
    }
}

/// Why a connection is not packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// It had a packet lately.
    Recent,
    /// It has what cannot be packed, perhaps not for long.
    Unfit,
}

/// A builder and its streams.
pub(super) type Unpacked = (ConnectionBuilder, Vec<(StreamId, Stream)>);

fn unpack(mut from: Unpacker<'_>) -> Unpacked {
    let head = Head::unpack(&mut from);
    let builder = ConnectionBuilder::unpack(&mut from);
    let mut streams = Vec::with_capacity(head.streams.len());
    for id in head.streams.iter() {
        streams.push((id, Stream::unpack(&mut from)));
    }
    (builder, streams)
}

#[cfg(test)]
mod tests;
