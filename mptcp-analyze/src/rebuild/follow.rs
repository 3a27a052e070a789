//! Which data streams are to be put together, and the bytes that come out.

use std::collections::{BTreeMap, BTreeSet};

use super::Rebuilder;
use super::data::StreamChunk;
use super::flow::StreamId;
use crate::model::{Connection, Direction};

/// Which connections are followed. Made from a finished model; the rebuilder that follows must be
/// given the same input again.
#[derive(Debug, Clone, Default)]
pub struct FollowPlan {
    streams: BTreeSet<u64>,
    /// Streams that carry plain TCP from a frame on: bytes without mapping continue the stream.
    plain: BTreeMap<u64, u64>,
    /// Frames of mappings with a wrong checksum whose bytes came again on another subflow.
    rejected: BTreeSet<u64>,
    /// Whether the bytes are wanted, and not only their hash.
    pub keep: bool,
}

impl FollowPlan {
    /// Follows `connection` too.
    pub fn add(&mut self, connection: &Connection) {
        let streams = connection.subflows.iter().map(|subflow| subflow.tcp_stream);
        if let Some(fallback) = &connection.fallback {
            self.plain
                .extend(streams.clone().map(|stream| (stream, fallback.frame)));
        }
        self.streams.extend(streams);
        // The last subflow is not reset for a wrong checksum: its data are taken as they are
        // (RFC 8684 §3.7).
        if connection.fallback.is_none() {
            for direction in Direction::BOTH {
                let bad = &connection.totals.of(direction).bad_checksum_frames;
                self.rejected.extend(bad);
            }
        }
    }

    /// Whether nothing is followed.
    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.plain.is_empty() && self.rejected.is_empty()
    }

    /// Whether the connection of `stream` is followed.
    pub(super) fn wants(&self, stream: StreamId) -> bool {
        self.streams.contains(&(stream as u64))
    }

    /// Whether the mapping that `frame` carries has a wrong checksum.
    pub(super) fn rejects(&self, frame: u64) -> bool {
        self.rejected.contains(&frame)
    }

    /// Whether bytes of `stream` without mapping continue the data stream from `frame` on.
    pub(super) fn goes_plain(&self, stream: StreamId, frame: u64) -> bool {
        self.plain
            .get(&(stream as u64))
            .is_some_and(|first| frame >= *first)
    }
}

impl Rebuilder {
    /// Takes what has become available, in order, of one direction of the followed connection that
    /// `tcp_stream` belongs to.
    pub fn take_followed(&mut self, tcp_stream: u64, direction: Direction) -> Vec<StreamChunk> {
        let connection = usize::try_from(tcp_stream)
            .ok()
            .and_then(|stream| self.streams.get(stream))
            .and_then(|stream| stream.mptcp.as_ref())
            .map(|mptcp| mptcp.connection);
        match connection {
            Some(connection) => self.connections[connection]
                .data
                .of_mut(direction)
                .take_stream(),
            None => Vec::new(),
        }
    }
}
