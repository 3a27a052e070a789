//! Connections that are over come to rest: their state is packed until a late packet or the report
//! asks for it, so that a long capture takes memory for what is open.

use tracing::debug;

use super::Rebuilder;
use super::connection::{ConnectionBuilder, Identity};
use super::flow::StreamId;
use super::pack::{Pack as _, Packer, Unpacker};
use super::slots::{Asleep, Head};
use super::stream::{Place, Stream};
use crate::model::{Direction, PerDirection};

/// Frames of the capture without one of a connection that is over, after which it is at rest: more
/// than any queue holds, so that copies and repetitions rarely wake it. Frames and not time, because
/// a capture's clock may jump, and because they bound what is awake.
pub(super) const REST_FRAMES: u64 = 10_000;

/// Streams of a connection that is packed. One with more is rare, or a flood of joins.
const MAX_STREAMS_AT_REST: usize = 16;

impl Rebuilder {
    /// Wakes the connection of a stream if it is asleep.
    #[inline]
    pub(super) fn wake_stream(&mut self, stream: StreamId) {
        if let Some(connection) = self.streams.sleeps_in(stream) {
            self.wake(connection);
        }
    }

    /// Wakes a connection if it is asleep.
    pub(super) fn wake(&mut self, connection: usize) {
        let Some(asleep) = self.connections.asleep(connection) else {
            return;
        };
        debug!(connection, "a late packet");
        let (builder, streams) = asleep.unpack(&self.packing.words);
        for (stream, unpacked) in streams {
            self.streams.wake(stream, Box::new(unpacked));
        }
        self.connections.wake(connection, Box::new(builder));
        self.ending.push_back((self.frame, connection));
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
            self.rest_one(connection);
        }
        let since = self.ending.front().map_or(frame, |&(since, _)| since);
        self.next_rest = since.saturating_add(rest_frames);
    }

    fn rest_one(&mut self, connection: usize) {
        let Some(builder) = self.connections.awake(connection) else {
            return;
        };
        if builder.merged_into.is_some() || builder.streams.len() > MAX_STREAMS_AT_REST {
            return;
        }
        let streams = builder.streams.iter().filter_map(|id| self.streams.get(id));
        let last_frame = streams.map(|stream| stream.last_frame).max();
        if last_frame.is_some_and(|last| last.saturating_add(self.limits.rest_frames) >= self.frame)
        {
            self.ending.push_back((self.frame, connection));
            return;
        }
        if let Some(asleep) = self.packed(connection) {
            for stream in self.connections[connection].streams.iter() {
                self.streams.put_to_sleep(stream, connection);
            }
            self.connections.put_to_sleep(connection, asleep);
        }
    }

    /// The packed form of a connection, if it has one.
    fn packed(&mut self, connection: usize) -> Option<Asleep> {
        let builder = self.connections.awake(connection)?;
        // Keys that were never settled are at the end, and may bring joins with them.
        let is_settled = builder.capable.syn_ack.is_some() || builder.capable.ack.is_some();
        let dropped = builder.rare.events_dropped + builder.addresses.rare.dropped;
        if !builder.is_over() || !is_settled || dropped > 0 || !builder.data_limits().is_empty() {
            return None;
        }
        let streams = || builder.streams.iter().map(|id| self.streams.get(id));
        let (mut first_frame, mut duplicates) = (u64::MAX, 0);
        for stream in streams() {
            let stream = stream?;
            first_frame = first_frame.min(stream.first_frame);
            duplicates += stream.duplicates;
        }
        let near = |direction| builder.data.of(direction).near();
        let head = Head {
            first_frame,
            duplicates,
            streams: builder.streams.clone(),
            near: PerDirection {
                to_server: near(Direction::ToServer),
                to_client: near(Direction::ToClient),
            },
        };
        let mut packer = Packer::new(&mut self.packing);
        head.pack(&mut packer);
        builder.pack(&mut packer);
        for stream in streams() {
            let stream = stream?;
            let mptcp = stream.mptcp.as_deref()?;
            packer.require(mptcp.connection == connection);
            packer.require(mptcp.ends.iter().all(|end| end.data.limits().is_empty()));
            stream.pack(&mut packer);
        }
        let bytes = packer.finish()?;
        Some(Asleep { bytes })
    }
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

/// A builder and its streams.
type Unpacked = (ConnectionBuilder, Vec<(StreamId, Stream)>);

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
