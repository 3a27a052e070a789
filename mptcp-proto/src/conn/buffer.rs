//! Sizes of the buffers, and what is done when they are too small for the paths (NSDI'12 §4.2).

use crate::conn::{Config, Connection};
use crate::path::SubflowId;
use crate::time::Instant;

/// Numbers that the mechanisms and the statistics need.
#[derive(Debug, Default)]
pub(super) struct Tuning {
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_acked: u64,
    pub(super) bytes_reinjected: u64,
    pub(super) reinjections: u64,
    /// Bytes that came twice and were not the same.
    pub(super) differing: u64,
}

impl Tuning {
    pub(super) fn new(config: &Config) -> Self {
        let _ = config;
        Self::default()
    }

    pub(super) fn on_received(&mut self, id: SubflowId, bytes: u64) {
        let _ = id;
        self.bytes_received = self.bytes_received.saturating_add(bytes);
    }

    pub(super) fn on_acked(&mut self, bytes: u64) {
        self.bytes_acked = self.bytes_acked.saturating_add(bytes);
    }

    pub(super) fn on_reinjected(&mut self, bytes: u64) {
        self.reinjections = self.reinjections.saturating_add(1);
        self.bytes_reinjected = self.bytes_reinjected.saturating_add(bytes);
    }
}

impl Connection {
    pub(super) fn on_application_read(&mut self, bytes: u64) {
        let _ = bytes;
    }

    pub(super) fn schedule_opportunistic(&mut self, now: Instant) {
        let _ = now;
    }
}
