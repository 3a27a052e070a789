//! The streams and connections of a capture. Those of connections at rest are packed: asleep.

use std::ops::{Index, IndexMut};

use mptcp_proto::seq::Dsn;

use super::connection::{ConnectionBuilder, StreamSet};
use super::flow::{End, StreamId};
use super::pack::pack_fields;
use super::stream::Stream;
use crate::model::{Direction, PerDirection};

/// Why indexing holds: `Rebuilder` wakes whatever a segment is about to change.
const AWAKE: &str = "what is at hand was woken before";

/// All streams, by number.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<StreamSlot>,
}

#[derive(Debug)]
enum StreamSlot {
    Awake(Box<Stream>),
    /// Packed with the connection of this number.
    Asleep(usize),
}

impl Streams {
    pub(super) fn push(&mut self, stream: Stream) {
        self.slots.push(StreamSlot::Awake(Box::new(stream)));
    }

    /// The stream, if there is one and it is awake.
    pub(super) fn get(&self, stream: StreamId) -> Option<&Stream> {
        match self.slots.get(stream)? {
            StreamSlot::Awake(awake) => Some(awake),
            StreamSlot::Asleep(_) => None,
        }
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Stream> {
        match self.slots.get_mut(stream)? {
            StreamSlot::Awake(awake) => Some(awake),
            StreamSlot::Asleep(_) => None,
        }
    }

    /// The connection that the stream is packed with, if it is asleep.
    #[inline]
    pub(super) fn sleeps_in(&self, stream: StreamId) -> Option<usize> {
        match self.slots.get(stream)? {
            StreamSlot::Awake(_) => None,
            StreamSlot::Asleep(connection) => Some(*connection),
        }
    }

    /// Lets go of a stream that was packed.
    pub(super) fn put_to_sleep(&mut self, stream: StreamId, connection: usize) {
        if let Some(slot) = self.slots.get_mut(stream) {
            *slot = StreamSlot::Asleep(connection);
        }
    }

    /// Takes back a stream that was packed.
    pub(super) fn wake(&mut self, stream: StreamId, unpacked: Box<Stream>) {
        if let Some(slot) = self.slots.get_mut(stream) {
            *slot = StreamSlot::Awake(unpacked);
        }
    }

    /// The streams that are awake.
    pub(super) fn awake(&self) -> impl Iterator<Item = &Stream> {
        self.slots.iter().filter_map(|slot| match slot {
            StreamSlot::Awake(awake) => Some(awake.as_ref()),
            StreamSlot::Asleep(_) => None,
        })
    }
}

impl Index<StreamId> for Streams {
    type Output = Stream;

    #[inline]
    fn index(&self, stream: StreamId) -> &Stream {
        self.get(stream).expect(AWAKE)
    }
}

impl IndexMut<StreamId> for Streams {
    #[inline]
    fn index_mut(&mut self, stream: StreamId) -> &mut Stream {
        self.get_mut(stream).expect(AWAKE)
    }
}

/// All connections, by number.
#[derive(Debug, Default)]
pub(super) struct Connections {
    slots: Vec<ConnectionSlot>,
    asleep: usize,
}

#[derive(Debug)]
enum ConnectionSlot {
    Awake(Box<ConnectionBuilder>),
    Asleep(Asleep),
}

/// A connection that is packed.
#[derive(Debug)]
pub(super) struct Asleep {
    /// Its head, the builder, then its streams in their order.
    pub(super) bytes: Box<[u8]>,
}

/// What others may ask of a connection that is packed.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) first_frame: u64,
    pub(super) duplicates: u64,
    /// Its streams.
    pub(super) streams: StreamSet,
    /// Which end of each of them is the client's, a bit each.
    pub(super) client_ends: u16,
    /// Whether no data can follow any more.
    pub(super) is_over: bool,
    /// Highest DSN of each direction.
    pub(super) near: PerDirection<Option<Dsn>>,
}

pack_fields!(Head {
    first_frame: frame,
    duplicates,
    streams,
    client_ends,
    is_over,
    near,
});

impl Head {
    /// Its streams, and the end of each that is the client's.
    pub(super) fn client_ends(&self) -> impl Iterator<Item = (StreamId, End)> {
        let bits = (0..).map(|bit| usize::from(self.client_ends >> (bit & 15) & 1));
        self.streams.iter().zip(bits)
    }
}

impl Connections {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many are awake.
    #[inline]
    pub(super) fn awake_count(&self) -> usize {
        self.slots.len().saturating_sub(self.asleep)
    }

    pub(super) fn push(&mut self, builder: Box<ConnectionBuilder>) {
        self.slots.push(ConnectionSlot::Awake(builder));
    }

    /// The connection, if it is awake.
    pub(super) fn awake(&self, connection: usize) -> Option<&ConnectionBuilder> {
        match self.slots.get(connection)? {
            ConnectionSlot::Awake(awake) => Some(awake),
            ConnectionSlot::Asleep(_) => None,
        }
    }

    /// The same, to change it.
    fn awake_mut(&mut self, connection: usize) -> Option<&mut ConnectionBuilder> {
        match self.slots.get_mut(connection)? {
            ConnectionSlot::Awake(awake) => Some(awake),
            ConnectionSlot::Asleep(_) => None,
        }
    }

    /// The connection, if it is asleep.
    pub(super) fn asleep(&self, connection: usize) -> Option<&Asleep> {
        match self.slots.get(connection)? {
            ConnectionSlot::Awake(_) => None,
            ConnectionSlot::Asleep(asleep) => Some(asleep),
        }
    }

    pub(super) fn put_to_sleep(&mut self, connection: usize, asleep: Asleep) {
        if let Some(slot) = self.slots.get_mut(connection) {
            *slot = ConnectionSlot::Asleep(asleep);
            self.asleep += 1;
        }
    }

    pub(super) fn wake(&mut self, connection: usize, unpacked: Box<ConnectionBuilder>) {
        if let Some(slot) = self.slots.get_mut(connection) {
            *slot = ConnectionSlot::Awake(unpacked);
            self.asleep = self.asleep.saturating_sub(1);
        }
    }

    /// Whether it turned out to be a part of another one.
    pub(super) fn is_merged(&self, connection: usize) -> bool {
        let awake = self.awake(connection);
        awake.is_some_and(|builder| builder.is_merged)
    }

    /// Whether no data can follow any more.
    pub(super) fn is_over(&self, connection: usize) -> bool {
        match self.slots.get(connection) {
            Some(ConnectionSlot::Awake(builder)) => builder.is_over(),
            Some(ConnectionSlot::Asleep(asleep)) => asleep.head().is_over,
            None => true,
        }
    }

    /// Highest DSN of each direction; their upper halves may be a guess.
    pub(super) fn near(&self, connection: usize) -> PerDirection<Option<Dsn>> {
        match self.slots.get(connection) {
            Some(ConnectionSlot::Awake(builder)) => PerDirection {
                to_server: builder.data.of(Direction::ToServer).near(),
                to_client: builder.data.of(Direction::ToClient).near(),
            },
            Some(ConnectionSlot::Asleep(asleep)) => asleep.head().near,
            None => PerDirection::default(),
        }
    }

    /// Its first streams, which show its hosts.
    pub(super) fn known_streams(&self, connection: usize) -> impl Iterator<Item = StreamId> {
        let awake = self.awake(connection).into_iter();
        let asleep = self.asleep(connection).map(Asleep::head);
        let asleep = asleep.map(|head| head.streams.iter().collect::<Vec<_>>());
        awake
            .flat_map(ConnectionBuilder::known_streams)
            .chain(asleep.into_iter().flatten())
    }
}

impl Index<usize> for Connections {
    type Output = ConnectionBuilder;

    #[inline]
    fn index(&self, connection: usize) -> &ConnectionBuilder {
        self.awake(connection).expect(AWAKE)
    }
}

impl IndexMut<usize> for Connections {
    #[inline]
    fn index_mut(&mut self, connection: usize) -> &mut ConnectionBuilder {
        self.awake_mut(connection).expect(AWAKE)
    }
}
