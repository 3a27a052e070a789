//! Counts and times of a direction.

use crate::model::Timestamp;
use crate::rebuild::rare::TimeMark;

/// What is counted of a direction while the capture is read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) wire_bytes: u64,
    /// These two stay at 4 billion.
    pub(super) mappings: u32,
    pub(super) mapping_options: u32,
    /// When the first and the last data came.
    pub(super) first_at: TimeMark,
    pub(super) last_at: TimeMark,
}

impl Counters {
    /// When data came first and last.
    #[inline]
    pub(super) fn data_times(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.first_at.get()?, self.last_at.get()?))
    }
}
