//! Which streams a connection has.

use std::collections::BTreeSet;

use super::flow::StreamId;
use super::pack::{Pack, Packer, Unpacker};

/// Streams of a connection, in order. Most have one or two.
#[derive(Debug, Clone)]
pub(super) enum StreamSet {
    Few {
        streams: [u32; MAX_FEW],
        count: u8,
    },
    #[expect(
        clippy::box_collection,
        reason = "a set of few streams, as nearly all are, would be as large as the tree"
    )]
    Many(Box<BTreeSet<StreamId>>),
}

/// Streams that a set has room for by itself.
const MAX_FEW: usize = 3;

impl Default for StreamSet {
    fn default() -> Self {
        StreamSet::Few {
            streams: [0; MAX_FEW],
            count: 0,
        }
    }
}

impl StreamSet {
    fn few(&self) -> &[u32] {
        match self {
            StreamSet::Few { streams, count } => streams.get(..usize::from(*count)),
            StreamSet::Many(_) => None,
        }
        .unwrap_or_default()
    }

    /// The streams, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = StreamId> {
        let many = match self {
            StreamSet::Few { .. } => None,
            StreamSet::Many(many) => Some(many.iter().copied()),
        };
        let few = self.few().iter().map(|&stream| stream as StreamId);
        few.chain(many.into_iter().flatten())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            StreamSet::Few { count, .. } => usize::from(*count),
            StreamSet::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a stream.
    pub(super) fn insert(&mut self, stream: StreamId) {
        if let StreamSet::Many(many) = self {
            many.insert(stream);
        } else if self.iter().all(|known| known != stream) && !self.append(stream) {
            let more = self.iter().chain([stream]).collect();
            *self = Self::of(more);
        }
    }

    /// Adds a stream behind the others, if there is room.
    fn append(&mut self, stream: StreamId) -> bool {
        let is_last = self.iter().all(|known| known < stream);
        let StreamSet::Few { streams, count } = self else {
            return false;
        };
        let free = streams.get_mut(usize::from(*count)).filter(|_| is_last);
        let (Some(free), Ok(stream)) = (free, u32::try_from(stream)) else {
            return false;
        };
        *free = stream;
        *count += 1;
        true
    }

    /// Takes out a stream.
    pub(super) fn remove(&mut self, stream: StreamId) {
        if let StreamSet::Many(many) = self {
            many.remove(&stream);
        } else {
            *self = Self::of(self.iter().filter(|&known| known != stream).collect());
        }
    }

    fn of(set: BTreeSet<StreamId>) -> Self {
        let mut streams = [0; MAX_FEW];
        let fits = set.len() <= MAX_FEW;
        for (place, stream) in streams.iter_mut().zip(&set) {
            match u32::try_from(*stream) {
                Ok(stream) => *place = stream,
                Err(_) => return StreamSet::Many(Box::new(set)),
            }
        }
        match u8::try_from(set.len()) {
            Ok(count) if fits => StreamSet::Few { streams, count },
            _ => StreamSet::Many(Box::new(set)),
        }
    }
}

impl Extend<StreamId> for StreamSet {
    fn extend<I: IntoIterator<Item = StreamId>>(&mut self, streams: I) {
        for stream in streams {
            self.insert(stream);
        }
    }
}

impl Pack for StreamSet {
    fn pack(&self, to: &mut Packer<'_>) {
        self.len().pack(to);
        for stream in self.iter() {
            to.stream(stream as u64);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut set = Self::default();
        for _ in 0..u32::unpack(from) {
            set.insert(usize::try_from(from.stream()).unwrap_or_default());
        }
        set
    }
}
