//! What an application has seen.

use std::fmt;
use std::time::Duration;

use mptcp_proto::time::Instant;
use sha2::{Digest, Sha256};

use super::super::application::SocketState;
use super::super::measure::Series;
use crate::payload::hex;

/// An application notes no more blocks.
pub const MAX_BLOCKS: usize = 1_000_000;

/// Bytes of the time at the beginning of a block.
pub(super) const STAMP: usize = 8;

/// What an application has sent and received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How far its connection is; none before it has one.
    pub state: Option<SocketState>,
    /// Bytes that its connection took.
    pub sent_bytes: u64,
    /// SHA-256 of them.
    pub sent_sha256: String,
    /// Bytes that it read.
    pub received_bytes: u64,
    /// SHA-256 of them.
    pub received_sha256: String,
    /// Bytes that it read, over time: its goodput.
    pub goodput: Series,
    /// When its connection was open.
    pub opened_at: Option<Instant>,
    /// When it read its first byte.
    pub first_at: Option<Instant>,
    /// When it read its last byte.
    pub last_at: Option<Instant>,
    /// When it saw that the other host had sent all.
    pub ended_at: Option<Instant>,
    /// The blocks with time stamps, if it expected some.
    pub blocks: Vec<Block>,
}

impl Outcome {
    /// Bits per second from the moment at which the connection was open to the last byte.
    pub fn goodput_bits(&self) -> u64 {
        let (Some(from), Some(to)) = (self.opened_at, self.last_at) else {
            return 0;
        };
        let nanos = to.since(from).as_nanos().max(1);
        u64::try_from(u128::from(self.received_bytes) * 8_000_000_000 / nanos).unwrap_or(u64::MAX)
    }
}

/// A block with its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// When it was handed to the connection, or stood before it and waited.
    pub sent_at: Instant,
    /// When its last byte was read.
    pub received_at: Instant,
}

impl Block {
    /// How long it took.
    pub fn delay(&self) -> Duration {
        self.received_at.since(self.sent_at)
    }
}

/// A hash under way.
#[derive(Clone, Default)]
pub(super) struct Hash(Sha256);

impl Hash {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn text(&self) -> String {
        hex(&self.0.clone().finalize())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) received: u64,
    pub(super) block_size: Option<usize>,
    pub(super) opened_at: Option<Instant>,
    pub(super) ended_at: Option<Instant>,
    hash: Hash,
    goodput: Series,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
    blocks: Vec<Block>,
    /// The beginning of the block that is not complete.
    stamp: Vec<u8>,
    in_block: usize,
}

impl Inbox {
    pub(super) fn note_state(&mut self, now: Instant, state: SocketState) {
        if state == SocketState::Open {
            self.opened_at.get_or_insert(now);
        }
    }

    pub(super) fn take(&mut self, now: Instant, bytes: &[u8]) {
        self.hash.add(bytes);
        self.received += bytes.len() as u64;
        self.goodput.add(now, bytes.len() as u64);
        self.first_at.get_or_insert(now);
        self.last_at = Some(now);
        if let Some(size) = self.block_size {
            self.take_blocks(now, bytes, size);
        }
    }

    fn take_blocks(&mut self, now: Instant, mut bytes: &[u8], size: usize) {
        while !bytes.is_empty() {
            let len = bytes.len().min(size - self.in_block);
            let (now_read, rest) = bytes.split_at(len);
            let missing = STAMP.saturating_sub(self.stamp.len()).min(len);
            self.stamp.extend(&now_read[..missing]);
            self.in_block += len;
            bytes = rest;
            if self.in_block < size {
                continue;
            }
            let stamp = self.stamp.first_chunk().copied().unwrap_or_default();
            let block = Block {
                sent_at: Instant::from_nanos(u64::from_be_bytes(stamp)),
                received_at: now,
            };
            if self.blocks.len() < MAX_BLOCKS {
                self.blocks.push(block);
            }
            self.in_block = 0;
            self.stamp.clear();
        }
    }

    pub(super) fn end(&mut self, now: Instant) {
        self.ended_at.get_or_insert(now);
    }

    pub(super) fn outcome(
        &self,
        state: Option<SocketState>,
        sent_bytes: u64,
        sent: &Hash,
    ) -> Outcome {
        Outcome {
            state,
            sent_bytes,
            sent_sha256: sent.text(),
            received_bytes: self.received,
            received_sha256: self.hash.text(),
            goodput: self.goodput.clone(),
            opened_at: self.opened_at,
            first_at: self.first_at,
            last_at: self.last_at,
            ended_at: self.ended_at,
            blocks: self.blocks.clone(),
        }
    }
}
