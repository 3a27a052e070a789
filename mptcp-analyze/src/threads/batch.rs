//! Segments on their way to another thread: copies that need no buffer of the reader.

use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::mptcp::Dss;

use crate::model::{Segment, TcpFlags};
use crate::rebuild::{Glance, Lookout, Whole, plain_dss};

/// Segments that travel together: enough that handing them over costs nothing, few enough that both
/// threads begin soon and all batches together stay below 8 MiB.
const BATCH_SEGMENTS: usize = 2048;

/// Captured bytes after which a batch is full all the same.
const BATCH_BYTES: usize = 512 * 1024;

/// A stretch of the segments of a capture, in its order.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What was seen of each segment: all that is read of an ordinary one.
    seen: Vec<Seen>,
    heads: Vec<Head>,
    bytes: Vec<u8>,
    /// Bytes of the inputs that had been read when the batch was filled.
    pub(super) bytes_read: u64,
}

#[derive(Debug)]
struct Seen {
    glance: Glance,
    dss: Option<Dss>,
}

/// A segment whose bytes lie in the batch.
#[derive(Debug)]
struct Head {
    /// All but the bytes.
    segment: Segment<'static>,
    at: usize,
    len: usize,
}

/// A segment of a batch.
pub(super) struct Item<'a> {
    dss: Option<&'a Dss>,
    head: &'a Head,
    bytes: &'a [u8],
}

impl Batch {
    /// Adds a copy of `segment`, which `lookout` looks at.
    #[inline]
    pub(super) fn push(&mut self, segment: &Segment<'_>, lookout: &Lookout) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(segment.bytes);
        self.heads.push(Head {
            segment: without_bytes(segment),
            at,
            len: segment.bytes.len(),
        });
        self.seen.push(Seen {
            glance: lookout.glance(segment),
            dss: plain_dss(segment),
        });
    }

    /// Whether it is time to hand it over.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.heads.len() >= BATCH_SEGMENTS || self.bytes.len() >= BATCH_BYTES
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Makes it empty, and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.heads.clear();
        self.bytes.clear();
    }

    /// Its segments, in order.
    #[inline]
    pub(super) fn items(&self) -> impl Iterator<Item = (&Glance, Item<'_>)> {
        let bytes = self.bytes.as_slice();
        self.seen.iter().zip(&self.heads).map(move |(seen, head)| {
            let dss = seen.dss.as_ref();
            (&seen.glance, Item { dss, head, bytes })
        })
    }
}

impl<'a> Whole<'a> for Item<'a> {
    #[inline]
    fn segment(&self) -> Segment<'a> {
        let from = self.bytes.get(self.head.at..).unwrap_or_default();
        Segment {
            bytes: from.get(..self.head.len).unwrap_or_default(),
            ..self.head.segment
        }
    }

    #[inline]
    fn plain_dss(&self) -> Option<Dss> {
        self.dss.copied()
    }
}

/// The values of a segment.
#[inline]
fn without_bytes(segment: &Segment<'_>) -> Segment<'static> {
    Segment {
        frame: segment.frame,
        at: segment.at,
        interface: segment.interface,
        source: segment.source,
        destination: segment.destination,
        ip: segment.ip,
        seq: TcpSeq(segment.seq.0),
        ack: TcpSeq(segment.ack.0),
        flags: TcpFlags(segment.flags.0),
        window: segment.window,
        checksum: segment.checksum,
        header_len: segment.header_len,
        bytes: &[],
        payload_len: segment.payload_len,
    }
}
