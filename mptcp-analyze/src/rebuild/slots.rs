//! The streams and connections of a capture. Those of connections at rest are packed: asleep.

use std::ops::{Index, IndexMut};

use mptcp_proto::seq::Dsn;

use super::connection::ConnectionBuilder;
use super::flow::{End, StreamId};
use super::journal::Journal;
use super::pack::pack_fields;
use super::stream::Stream;
use super::stream_set::StreamSet;
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
    /// Packed with this connection, as its stream of this number.
    Asleep(u32, u8),
}

impl Streams {
    pub(super) fn push(&mut self, stream: Stream) {
        self.slots.push(StreamSlot::Awake(Box::new(stream)));
    }

    /// The stream, if there is one and it is awake.
    pub(super) fn get(&self, stream: StreamId) -> Option<&Stream> {
        match self.slots.get(stream)? {
            StreamSlot::Awake(awake) => Some(awake),
            StreamSlot::Asleep(..) => None,
        }
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Stream> {
        match self.slots.get_mut(stream)? {
            StreamSlot::Awake(awake) => Some(awake),
            StreamSlot::Asleep(..) => None,
        }
    }

    /// The connection that the stream is packed with, if it is asleep, and its number there.
    #[inline]
    pub(super) fn sleeps_in(&self, stream: StreamId) -> Option<(usize, usize)> {
        match *self.slots.get(stream)? {
            StreamSlot::Awake(_) => None,
            StreamSlot::Asleep(connection, number) => {
                Some((connection as usize, usize::from(number)))
            }
        }
    }

    /// Lets go of a stream that was packed as that of this number.
    pub(super) fn put_to_sleep(&mut self, stream: StreamId, connection: usize, number: u8) {
        if let Some(slot) = self.slots.get_mut(stream) {
            // There are no more connections than the limit, which is far below.
            let connection = u32::try_from(connection).unwrap_or(u32::MAX);
            *slot = StreamSlot::Asleep(connection, number);
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
            StreamSlot::Asleep(..) => None,
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
    /// Of those, the ones with a journal.
    noted: usize,
}

#[derive(Debug)]
enum ConnectionSlot {
    Awake(Box<ConnectionBuilder>),
    Asleep(Asleep),
    /// Asleep, with what came since.
    Noted(Box<Journal>),
}

/// A connection that is packed.
#[derive(Debug, Default)]
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

    /// How many are awake or have a journal: those that go on.
    pub(super) fn at_hand(&self) -> usize {
        self.awake_count().saturating_add(self.noted)
    }

    pub(super) fn push(&mut self, builder: Box<ConnectionBuilder>) {
        self.slots.push(ConnectionSlot::Awake(builder));
    }

    /// The connection, if it is awake.
    pub(super) fn awake(&self, connection: usize) -> Option<&ConnectionBuilder> {
        match self.slots.get(connection)? {
            ConnectionSlot::Awake(awake) => Some(awake),
            ConnectionSlot::Asleep(_) | ConnectionSlot::Noted(_) => None,
        }
    }

    /// The same, to change it.
    fn awake_mut(&mut self, connection: usize) -> Option<&mut ConnectionBuilder> {
        match self.slots.get_mut(connection)? {
            ConnectionSlot::Awake(awake) => Some(awake),
            ConnectionSlot::Asleep(_) | ConnectionSlot::Noted(_) => None,
        }
    }

    /// The connection, if it is asleep, as it was before what its journal notes.
    pub(super) fn asleep(&self, connection: usize) -> Option<&Asleep> {
        match self.slots.get(connection)? {
            ConnectionSlot::Awake(_) => None,
            ConnectionSlot::Asleep(asleep) => Some(asleep),
            ConnectionSlot::Noted(journal) => Some(&journal.asleep),
        }
    }

    /// What came for a connection since it was packed, if that is noted.
    pub(super) fn journal(&self, connection: usize) -> Option<&Journal> {
        match self.slots.get(connection)? {
            ConnectionSlot::Noted(journal) => Some(journal),
            _ => None,
        }
    }

    /// The same, to add to it.
    #[inline]
    pub(super) fn journal_mut(&mut self, connection: usize) -> Option<&mut Journal> {
        match self.slots.get_mut(connection)? {
            ConnectionSlot::Noted(journal) => Some(journal),
            _ => None,
        }
    }

    /// Whether there is any journal.
    pub(super) fn has_journals(&self) -> bool {
        self.noted > 0
    }

    /// Takes out the packed form of a connection that has no journal.
    pub(super) fn take_asleep(&mut self, connection: usize) -> Option<Asleep> {
        match self.slots.get_mut(connection)? {
            ConnectionSlot::Asleep(asleep) => Some(std::mem::take(asleep)),
            _ => None,
        }
    }

    /// Puts back what was taken out, or puts a journal there.
    pub(super) fn put_back(&mut self, connection: usize, rest: Result<Journal, Asleep>) {
        if let Some(slot) = self.slots.get_mut(connection) {
            *slot = match rest {
                Ok(journal) => {
                    self.noted += 1;
                    ConnectionSlot::Noted(Box::new(journal))
                }
                Err(asleep) => ConnectionSlot::Asleep(asleep),
            };
        }
    }

    pub(super) fn put_to_sleep(&mut self, connection: usize, rest: Result<Journal, Asleep>) {
        self.asleep += 1;
        self.put_back(connection, rest);
    }

    pub(super) fn wake(&mut self, connection: usize, unpacked: Box<ConnectionBuilder>) {
        if let Some(slot) = self.slots.get_mut(connection) {
            self.noted -= usize::from(matches!(slot, ConnectionSlot::Noted(_)));
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
            _ => self
                .asleep(connection)
                .is_none_or(|asleep| asleep.head().is_over),
        }
    }

    /// Highest DSN of each direction; their upper halves may be a guess. Wake those with a journal first.
    pub(super) fn near(&self, connection: usize) -> PerDirection<Option<Dsn>> {
        if let Some(builder) = self.awake(connection) {
            return PerDirection {
                to_server: builder.data.of(Direction::ToServer).near(),
                to_client: builder.data.of(Direction::ToClient).near(),
            };
        }
        let asleep = self.asleep(connection);
        asleep.map_or_else(PerDirection::default, |asleep| asleep.head().near)
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
