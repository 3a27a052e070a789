//! From TCP sequence numbers to subflow places and subflow sequence numbers.

use mptcp_proto::seq::TcpSeq;

use crate::rebuild::pack::pack_fields;
use crate::rebuild::rare::SeqMark;

/// Mappings that wait until it is known where SSN 1 is.
///
/// Two that differ settle it if their segments carry data, so more are repetitions without data.
pub(super) const MAX_HELD_MAPPINGS: usize = 16;

/// Unwraps sequence numbers, and knows (or finds out) which place has SSN 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    /// Sequence number of place 0: the SYN, or one before the first byte seen.
    anchor: SeqMark,
    /// Place seen last: sequence numbers are expanded near it.
    last: i64,
    /// Place of SSN 0; provisional until settled.
    zero: i64,
    settled: bool,
    /// Range in which `zero` must be by the mappings seen so far, both ends included.
    bounds: Option<Box<(i64, i64)>>,
}

pack_fields!(Origin {
    anchor,
    last: place,
    zero,
    settled,
    bounds,
});

impl Origin {
    /// The ISN is known: SSN 1 is the byte after it.
    pub(super) fn on_syn(&mut self, isn: TcpSeq) {
        if self.settled {
            return;
        }
        self.zero = self.place_near_last(isn);
        if !self.anchor.is_some() {
            self.anchor.set_first(isn);
            self.zero = 0;
        }
        self.settled = true;
    }

    /// SSN 1 is `len` bytes later: the SYN's data were accepted (RFC 8684 appendix B).
    pub(super) fn skip(&mut self, len: u32) {
        self.zero = self.zero.saturating_add(i64::from(len));
    }

    /// Place of a payload byte, near which the next ones will be.
    pub(super) fn advance(&mut self, seq: TcpSeq) -> i64 {
        self.last = self.place(seq);
        self.last
    }

    /// Notes that the byte at `place` was sent, near which the next ones will be.
    #[inline]
    pub(super) fn advance_to(&mut self, place: i64) {
        self.last = place;
    }

    /// Place of a sequence number. The first number ever becomes place 1.
    pub(super) fn place(&mut self, seq: TcpSeq) -> i64 {
        self.anchor.set_first(TcpSeq(seq.0.wrapping_sub(1)));
        self.place_near_last(seq)
    }

    /// Place of a sequence number, if any number is known.
    #[inline]
    pub(super) fn peek(&self, seq: TcpSeq) -> Option<i64> {
        self.anchor.is_some().then(|| self.place_near_last(seq))
    }

    /// Unwrapped subflow sequence number of a place; provisional until settled.
    pub(super) fn ssn(&self, place: i64) -> i64 {
        place.saturating_sub(self.zero)
    }

    /// Place of the SSN that is nearest to the place of the segment that named it.
    pub(super) fn place_of_ssn(&self, ssn: u32, near: i64) -> i64 {
        let near = self.ssn(near);
        self.zero.saturating_add(expand(ssn, near))
    }

    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// The sequence number near which the next ones will be, and that of SSN 0; none while it may change.
    pub(super) fn settled_numbers(&self) -> Option<(TcpSeq, TcpSeq)> {
        let anchor = self.anchor.get().filter(|_| self.settled)?;
        Some(
            [self.last, self.zero]
                .map(|place| anchor.add(low(place)))
                .into(),
        )
    }

    /// Learns from a mapping in a segment with data.
    ///
    /// Linux repeats a mapping in every segment of it, so that the segment may lie anywhere in the
    /// mapping. Its first and its last segment settle the matter together.
    pub(super) fn narrow(&mut self, place: i64, segment_len: u32, ssn: u32, mapped: u32) {
        if self.settled {
            return;
        }
        let slack = i64::from(mapped.saturating_sub(segment_len));
        let bounds = self.bounds.as_deref().copied();
        let ssn = match bounds {
            None => i64::from(ssn),
            Some((_, most)) => expand(ssn, place.saturating_sub(most)),
        };
        let most = place.saturating_sub(ssn);
        let least = most.saturating_sub(slack);
        let (least, most) = match bounds {
            None => (least, most),
            Some((held_least, held_most)) => (least.max(held_least), most.min(held_most)),
        };
        self.bounds = Some(Box::new((least, most)));
        if least >= most {
            self.settle();
        }
    }

    /// Decides: some mapping seen began at its segment.
    pub(super) fn settle(&mut self) {
        if let (false, Some(bounds)) = (self.settled, &self.bounds) {
            self.zero = bounds.1;
        }
        self.settled = true;
    }

    fn place_near_last(&self, seq: TcpSeq) -> i64 {
        let Some(anchor) = self.anchor.get() else {
            return 0;
        };
        expand(seq.0.wrapping_sub(anchor.0), self.last)
    }
}

/// The number nearest to `near` whose low 32 bits are `low`.
#[inline]
fn expand(number: u32, near: i64) -> i64 {
    near.saturating_add(i64::from(number.wrapping_sub(low(near)).cast_signed()))
}

/// The low 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
#[inline]
fn low(place: i64) -> u32 {
    place.cast_unsigned() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_unwrap_past_4_gib() {
        let mut origin = Origin::default();
        origin.on_syn(TcpSeq(0xffff_0000));
        let mut seq = TcpSeq(0xffff_0001);
        for step in 0..10 {
            let place = origin.advance(seq);
            assert_eq!(origin.ssn(place), 1 + step * 0x4000_0000);
            seq = seq.add(0x4000_0000);
        }
    }

    #[test]
    fn ssn_fields_expand_near_their_segment() {
        let mut origin = Origin::default();
        origin.on_syn(TcpSeq(7));
        assert_eq!(origin.place_of_ssn(5, (1 << 32) - 100), (1 << 32) + 5);
        assert_eq!(
            origin.place_of_ssn(u32::MAX, (1 << 32) + 100),
            (1 << 32) - 1
        );
    }

    #[test]
    fn a_mapping_met_in_its_middle_is_placed_right_when_it_ends() {
        let mut origin = Origin::default();
        // Mapping SSN 1..=400; the capture begins with the second of its four segments.
        for seq in [2101u32, 2201, 2301] {
            let place = origin.advance(TcpSeq(seq));
            origin.narrow(place, 100, 1, 400);
        }
        assert!(!origin.is_settled());
        let place = origin.advance(TcpSeq(2401));
        origin.narrow(place, 100, 401, 400);
        assert!(origin.is_settled());
        assert_eq!(origin.ssn(place), 401);
    }

    #[test]
    fn a_mapping_of_one_segment_settles_at_once() {
        let mut origin = Origin::default();
        let place = origin.advance(TcpSeq(99));
        origin.narrow(place, 100, 5001, 100);
        assert!(origin.is_settled());
        assert_eq!(origin.ssn(place), 5001);
    }

    #[test]
    fn a_syn_that_comes_late_settles() {
        let mut origin = Origin::default();
        let place = origin.advance(TcpSeq(5001));
        origin.on_syn(TcpSeq(5000));
        assert_eq!(origin.ssn(place), 1);
    }
}
