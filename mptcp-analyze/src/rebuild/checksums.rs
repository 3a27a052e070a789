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

/// What became of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TcpVerdict {
    /// None are to be looked at.
    NotAsked,
    /// It was not looked at.
    Unchecked,
    Unverifiable,
    Good,
    /// As a host leaves it to its network card.
    Partial,
    Bad,
}

impl TcpVerdict {
    const ALL: [Self; 6] = [
        Self::NotAsked,
        Self::Unchecked,
        Self::Unverifiable,
        Self::Good,
        Self::Partial,
        Self::Bad,
    ];

    /// Judges that of a segment.
    #[inline]
    pub(super) fn of(segment: &Segment<'_>) -> Self {
        let (source, destination) = (segment.source.ip(), segment.destination.ip());
        if segment.is_cut() {
            return Self::Unverifiable;
        }
        check_tcp_checksum(source, destination, segment.bytes).into()
    }

    /// Its number, of three bits.
    pub(super) fn bits(self) -> u16 {
        let found = (0..).zip(Self::ALL).find(|(_, verdict)| *verdict == self);
        found.map_or(0, |(number, _)| number)
    }

    /// The one with this number.
    pub(super) fn from_bits(bits: u16) -> Self {
        let found = Self::ALL.get(usize::from(bits)).copied();
        found.unwrap_or(Self::NotAsked)
    }
}

impl From<Option<TcpChecksum>> for TcpVerdict {
    fn from(judged: Option<TcpChecksum>) -> Self {
        match judged {
            None => Self::Unverifiable,
            Some(TcpChecksum::Good) => Self::Good,
            Some(TcpChecksum::Partial) => Self::Partial,
            Some(TcpChecksum::Bad) => Self::Bad,
        }
    }
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

    /// How many more of them are to be judged, if there is an end to that.
    pub(super) fn left_of(&self, samples: Option<u64>) -> u32 {
        let good = u64::from(self.ok) + u64::from(self.offloaded);
        match samples {
            Some(samples) if self.bad.count == 0 => {
                u32::try_from(samples.saturating_sub(good)).unwrap_or(u32::MAX)
            }
            _ => u32::MAX,
        }
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
        self.note(segment.frame, TcpVerdict::of(segment));
    }

    /// Judges that of a segment that is not cut; `payload` is the sum of its payload.
    pub(super) fn verify_with(&mut self, segment: &Segment<'_>, payload: PartialSum) {
        let (source, destination) = (segment.source.ip(), segment.destination.ip());
        let payload = (payload, segment.payload().len());
        let judged = check_tcp_checksum_of(source, destination, segment.header(), payload);
        self.note(segment.frame, judged.into());
    }

    /// Counts what became of one.
    pub(super) fn note(&mut self, frame: u64, verdict: TcpVerdict) {
        let count = match verdict {
            TcpVerdict::NotAsked => return,
            TcpVerdict::Unchecked => &mut self.unchecked,
            TcpVerdict::Unverifiable => &mut self.unverifiable,
            TcpVerdict::Good => &mut self.ok,
            TcpVerdict::Partial => &mut self.offloaded,
            TcpVerdict::Bad => {
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
