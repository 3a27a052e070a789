//! Segments on their way to another thread: copies that need no buffer of the reader.

use mptcp_proto::wire::mptcp::Dss;

use crate::model::Segment;
use crate::rebuild::{Glance, Lookout, Whole, plain_dss};

/// Segments that travel together: enough that handing them over costs nothing, few enough that both
/// threads begin soon and all batches together stay below 8 MiB.
const BATCH_SEGMENTS: usize = 2048;

/// Captured bytes after which a batch is full all the same.
const BATCH_BYTES: usize = 512 * 1024;

/// A stretch of the segments of a capture, in its order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    seen: Vec<Seen>,
    bytes: Vec<u8>,
    /// Bytes of the inputs that had been read when the batch was filled.
    pub(super) bytes_read: u64,
}

/// What was seen of a segment. Small, because it passes from the cache of one processor to that of
/// another: what else there is of the segment is in its bytes.
#[derive(Debug)]
struct Seen {
    glance: Glance,
    dss: Option<Dss>,
    /// Where its bytes lie in the batch.
    at: usize,
    len: usize,
}

/// A segment of a batch.
pub(super) struct Item<'a> {
    seen: &'a Seen,
    bytes: &'a [u8],
}

impl Batch {
    /// Adds a copy of `segment`, which `lookout` looks at.
    #[inline]
    pub(super) fn push(&mut self, segment: &Segment<'_>, lookout: &Lookout) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(segment.bytes);
        self.seen.push(Seen {
            glance: lookout.glance(segment),
            dss: plain_dss(segment),
            at,
            len: segment.bytes.len(),
        });
    }

    /// Whether it is time to hand it over.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= BATCH_SEGMENTS || self.bytes.len() >= BATCH_BYTES
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Makes it empty, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.bytes.clear();
    }

    /// Its segments, in order.
    #[inline]
    pub(super) fn items(&self) -> impl Iterator<Item = (&Glance, Item<'_>)> {
        let bytes = self.bytes.as_slice();
        let seen = self.seen.iter();
        seen.map(move |seen| (&seen.glance, Item { seen, bytes }))
    }
}

impl<'a> Whole<'a> for Item<'a> {
    #[inline]
    fn segment(&self) -> Segment<'a> {
        let from = self.bytes.get(self.seen.at..).unwrap_or_default();
        let bytes = from.get(..self.seen.len).unwrap_or_default();
        self.seen.glance.segment(bytes)
    }

    #[inline]
    fn plain_dss(&self) -> Option<Dss> {
        self.seen.dss
    }
}
