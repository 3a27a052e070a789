//! What became of the TCP checksums of an end.

use mptcp_proto::wire::checksum::{
    PartialSum, TcpChecksum, check_tcp_checksum, check_tcp_checksum_of,
};

use super::pack::pack_fields;
use super::rare::{Absent, Rare};
use crate::model::{Finding, Segment, TcpChecksums};

/// [`TcpChecksums`] in half the room. The counts stay at 4 billion.
#[derive(Debug, Default)]
pub(super) struct ChecksumCounts {
    ok: u32,
    offloaded: u32,
    unverifiable: u32,
    unchecked: u32,
    bad: Rare<BadChecksums>,
}

/// Those that do not hold, which few ends have.
#[derive(Debug, Default)]
pub(super) struct BadChecksums {
    count: u32,
    frames: Vec<u64>,
}

impl Absent for BadChecksums {
    const ABSENT: &'static Self = &BadChecksums {
        count: 0,
        frames: Vec::new(),
    };
}

pack_fields!(ChecksumCounts {
    ok,
    offloaded,
    unverifiable,
    unchecked,
    bad,
});

pack_fields!(BadChecksums { count, frames });

impl ChecksumCounts {
    /// Whether so many were judged, and none of them was bad.
    #[inline]
    pub(super) fn are_enough(&self, samples: u64) -> bool {
        let good = u64::from(self.ok) + u64::from(self.offloaded);
        good >= samples && self.bad.count == 0
    }

    /// Counts one that was not looked at.
    #[inline]
    pub(super) fn skip(&mut self) {
        self.unchecked = self.unchecked.saturating_add(1);
    }

    /// Counts one whose packet was cut.
    #[inline]
    pub(super) fn miss(&mut self) {
        self.unverifiable = self.unverifiable.saturating_add(1);
    }

    /// Judges that of a segment.
    #[inline]
    pub(super) fn verify(&mut self, segment: &Segment<'_>) {
        let (source, destination) = (segment.source.ip(), segment.destination.ip());
        let judged = if segment.is_cut() {
            None
        } else {
            check_tcp_checksum(source, destination, segment.bytes)
        };
        self.note(segment.frame, judged);
    }

    /// Judges that of a segment that is not cut; `payload` is the sum of its payload.
    pub(super) fn verify_with(&mut self, segment: &Segment<'_>, payload: PartialSum) {
        let (source, destination) = (segment.source.ip(), segment.destination.ip());
        let payload = (payload, segment.payload().len());
        let judged = check_tcp_checksum_of(source, destination, segment.header(), payload);
        self.note(segment.frame, judged);
    }

    fn note(&mut self, frame: u64, judged: Option<TcpChecksum>) {
        let count = match judged {
            None => &mut self.unverifiable,
            Some(TcpChecksum::Good) => &mut self.ok,
            Some(TcpChecksum::Partial) => &mut self.offloaded,
            Some(TcpChecksum::Bad) => {
                let bad = self.bad.made();
                if bad.frames.len() < Finding::MAX_FRAMES {
                    bad.frames.push(frame);
                }
                &mut bad.count
            }
        };
        *count = count.saturating_add(1);
    }

    /// The counts as the model has them.
    pub(super) fn tally(&self) -> TcpChecksums {
        TcpChecksums {
            ok: self.ok.into(),
            bad: self.bad.count.into(),
            offloaded: self.offloaded.into(),
            unverifiable: self.unverifiable.into(),
            unchecked: self.unchecked.into(),
            bad_frames: self.bad.frames.clone(),
        }
    }

    /// Counts as if so many had been judged.
    #[cfg(test)]
    pub(super) fn judged(ok: u32, bad: u32) -> Self {
        let mut counts = ChecksumCounts {
            ok,
            ..ChecksumCounts::default()
        };
        if bad > 0 {
            counts.bad.made().count = bad;
        }
        counts
    }
}
