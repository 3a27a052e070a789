//! Segments on their way to another thread: copies that need no buffer of the reader.

use mptcp_proto::seq::TcpSeq;

use crate::model::{Segment, TcpFlags};

/// Segments that travel together: enough that handing them over costs nothing, few enough that both
/// threads begin soon and all batches together stay below 8 MiB.
pub(crate) const BATCH_SEGMENTS: usize = 2048;

/// Captured bytes after which a batch is full all the same.
const BATCH_BYTES: usize = 512 * 1024;

/// A stretch of the segments of a capture, in its order.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    heads: Vec<Head>,
    bytes: Vec<u8>,
    /// Bytes of the inputs that had been read when the batch was filled.
    pub(crate) bytes_read: u64,
}

/// A segment whose bytes lie in the batch.
#[derive(Debug)]
struct Head {
    /// All but the bytes.
    segment: Segment<'static>,
    at: usize,
    len: usize,
}

impl Batch {
    /// Adds a copy of `segment`.
    #[inline]
    pub(crate) fn push(&mut self, segment: &Segment<'_>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(segment.bytes);
        self.heads.push(Head {
            segment: without_bytes(segment),
            at,
            len: segment.bytes.len(),
        });
    }

    /// Whether it is time to hand it over.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.heads.len() >= BATCH_SEGMENTS || self.bytes.len() >= BATCH_BYTES
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Makes it empty, and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.bytes.clear();
    }

    /// Its segments, in order.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.heads.iter().map(|head| {
            let from = self.bytes.get(head.at..).unwrap_or_default();
            Segment {
                bytes: from.get(..head.len).unwrap_or_default(),
                ..head.segment
            }
        })
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
