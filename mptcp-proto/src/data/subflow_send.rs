//! The mappings that one subflow declares to its peer (RFC 8684 §3.3.1).

use std::collections::VecDeque;

use crate::seq::{Dsn, Ssn};
use crate::wire::checksum::{PartialSum, dss_checksum};
use crate::wire::mptcp::{DssMapping, WireDsn};

/// The mappings of the sending side of one subflow, until TCP has them acknowledged.
///
/// Each has a tag, which the runs of payload in TCP carry, so that whatever segment comes out of it
/// finds its mapping again. A mapping never changes: every segment with bytes of it, sent for the
/// first time or again, carries the same option.
#[derive(Debug, Clone)]
pub struct SentMappings {
    checksum: bool,
    mappings: VecDeque<SentMapping>,
    /// Tag of the first mapping that is kept.
    first_tag: u64,
    /// Position of the next byte.
    end: u64,
    /// Position of the byte with the subflow sequence number 1.
    first: u64,
}

/// One mapping. Positions count the bytes of the subflow from 0; the byte at 0 has the subflow
/// sequence number 1, unless data came with the SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentMapping {
    /// Position of the first byte.
    pub position: u64,
    /// Subflow sequence number of the first byte.
    pub ssn: Ssn,
    /// DSN of the first byte.
    pub dsn: Dsn,
    /// Bytes of payload.
    pub len: u16,
    /// Whether a DATA_FIN follows the last byte.
    pub has_fin: bool,
    /// Checksum, if the connection uses them.
    pub checksum: Option<u16>,
}

impl SentMapping {
    /// The mapping for an option, with a DSN of 32 bits if `short`.
    pub fn option(&self, short: bool) -> DssMapping {
        DssMapping {
            dsn: wire_dsn(self.dsn, short),
            ssn: self.ssn,
            len: self.len.saturating_add(u16::from(self.has_fin)),
            checksum: self.checksum,
        }
    }

    /// Position after the last byte.
    pub const fn end(&self) -> u64 {
        self.position.saturating_add(self.len as u64)
    }

    /// DSN after the last byte, which is that of the DATA_FIN if it has one.
    pub const fn end_dsn(&self) -> Dsn {
        self.dsn.add(self.len as u64)
    }
}

impl SentMappings {
    /// No mapping yet. With `checksum`, both hosts use checksums (RFC 8684 §3.1).
    pub fn new(checksum: bool) -> Self {
        Self {
            checksum,
            mappings: VecDeque::new(),
            first_tag: 0,
            end: 0,
            first: 0,
        }
    }

    /// No mapping yet, on a subflow whose first `early` bytes went with the SYN and have none: numbers
    /// count from the byte after them (RFC 8684 appendix B.2).
    pub fn after_early(checksum: bool, early: u64) -> Self {
        Self {
            end: early,
            first: early,
            ..Self::new(checksum)
        }
    }

    /// Position of the first byte that a mapping can have.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Declares that the next bytes of the subflow are `payload`, the data from `dsn` on, with a
    /// DATA_FIN after them if `has_fin`; gives the tag. None when there is no payload, or more than a
    /// mapping can have.
    pub fn push(&mut self, dsn: Dsn, payload: &[u8], has_fin: bool) -> Option<u64> {
        let len = u16::try_from(payload.len()).ok().filter(|len| *len > 0)?;
        let declared = len.checked_add(u16::from(has_fin))?;
        let position = self.end;
        let ssn = self.ssn(position);
        let checksum = self
            .checksum
            .then(|| dss_checksum(dsn, ssn, declared, PartialSum::of(payload)));
        let tag = self.next_tag();
        self.mappings.push_back(SentMapping {
            position,
            ssn,
            dsn,
            len,
            has_fin,
            checksum,
        });
        self.end = self.end.saturating_add(u64::from(len));
        Some(tag)
    }

    /// The next `len` bytes of the subflow have no mapping: they follow an infinite mapping.
    pub fn skip(&mut self, len: u64) {
        self.end = self.end.saturating_add(len);
    }

    /// The mapping with this tag, unless it was acknowledged.
    pub fn by_tag(&self, tag: u64) -> Option<&SentMapping> {
        let index = tag.checked_sub(self.first_tag)?;
        self.mappings.get(usize::try_from(index).ok()?)
    }

    /// The mapping of the byte at this position, unless it was acknowledged.
    pub fn at(&self, position: u64) -> Option<&SentMapping> {
        let index = self
            .mappings
            .partition_point(|known| known.end() <= position);
        self.mappings
            .get(index)
            .filter(|known| known.position <= position)
    }

    /// Forgets the mappings that lie before this position: TCP will not send them again.
    pub fn on_ack(&mut self, position: u64) {
        while self
            .mappings
            .front()
            .is_some_and(|known| known.end() <= position)
        {
            self.mappings.pop_front();
            self.first_tag = self.first_tag.saturating_add(1);
        }
    }

    /// Tag of the next mapping.
    pub fn next_tag(&self) -> u64 {
        self.first_tag.saturating_add(self.mappings.len() as u64)
    }

    /// Position of the next byte.
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// Whether no byte was put after the data of the SYN.
    pub const fn is_fresh(&self) -> bool {
        self.end == self.first
    }

    /// The mappings that are not acknowledged, in order.
    pub fn iter(&self) -> impl Iterator<Item = &SentMapping> {
        self.mappings.iter()
    }

    /// Option of a DATA_FIN without data, which has the subflow sequence number 0 (RFC 8684 §3.3.3).
    pub fn fin_option(&self, dsn: Dsn, short: bool) -> DssMapping {
        let (ssn, len) = (Ssn(0), 1);
        DssMapping {
            dsn: wire_dsn(dsn, short),
            ssn,
            len,
            checksum: self
                .checksum
                .then(|| dss_checksum(dsn, ssn, len, PartialSum::default())),
        }
    }

    /// Option of the infinite mapping that makes everything from `position` on the data from `dsn` on
    /// (RFC 8684 §3.7). It has a checksum field of zero where the connection uses checksums.
    pub fn infinite_option(&self, position: u64, dsn: Dsn) -> DssMapping {
        DssMapping {
            dsn: WireDsn::Long(dsn.0),
            ssn: self.ssn(position),
            len: 0,
            checksum: self.checksum.then_some(0),
        }
    }

    /// The subflow sequence number of a position.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "subflow sequence numbers wrap"
    )]
    const fn ssn(&self, position: u64) -> Ssn {
        Ssn(position.wrapping_sub(self.first).wrapping_add(1) as u32)
    }
}

const fn wire_dsn(dsn: Dsn, short: bool) -> WireDsn {
    if short {
        WireDsn::Short(dsn.low())
    } else {
        WireDsn::Long(dsn.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_linux_sends() {
        let mut sent = SentMappings::new(true);
        let tag = sent
            .push(Dsn(0x36b3_e08d_bf58_f47b), b"hello kernel", false)
            .unwrap();
        let option = sent.by_tag(tag).unwrap().option(false);
        assert_eq!(
            (option.ssn, option.len, option.checksum),
            (Ssn(1), 12, Some(0xadaa))
        );
    }

    #[test]
    fn a_mapping_is_found_by_tag_and_position_until_it_is_acknowledged() {
        let mut sent = SentMappings::new(false);
        let tags: Vec<u64> = (0..3)
            .map(|n| sent.push(Dsn(100 * n), &[0; 10], false).unwrap())
            .collect();
        sent.on_ack(19);
        assert_eq!(sent.by_tag(tags[0]), None);
        assert_eq!(sent.at(9), None);
        assert_eq!(sent.by_tag(tags[1]), sent.at(10));
        assert_eq!(sent.at(19).unwrap().dsn, Dsn(100));
        assert_eq!(sent.at(20).unwrap().dsn, Dsn(200));
        assert_eq!(sent.at(30), None);
        sent.on_ack(30);
        assert_eq!(sent.push(Dsn(7), b"x", true), Some(3));
        assert_eq!(sent.by_tag(3).unwrap().option(true).len, 2);
    }

    #[test]
    fn a_mapping_holds_no_more_than_its_length_field() {
        let mut sent = SentMappings::new(false);
        assert_eq!(sent.push(Dsn(0), &vec![0; 65_536], false), None);
        assert_eq!(sent.push(Dsn(0), &vec![0; 65_535], true), None);
        assert_eq!(sent.push(Dsn(0), &[], true), None);
        assert_eq!(sent.push(Dsn(0), &vec![0; 65_534], true), Some(0));
    }

    #[test]
    fn numbers_count_from_the_byte_after_the_data_of_the_syn() {
        let mut sent = SentMappings::after_early(false, 400);
        sent.push(Dsn(7), b"ab", false);
        let mapping = sent.at(400).unwrap();
        assert_eq!((mapping.position, mapping.option(false).ssn), (400, Ssn(1)));
        assert_eq!(sent.infinite_option(402, Dsn(9)).ssn, Ssn(3));
    }

    #[test]
    fn the_subflow_sequence_number_wraps() {
        let mut sent = SentMappings::new(false);
        sent.skip((1 << 32) - 2);
        sent.push(Dsn(0), b"a", false);
        sent.push(Dsn(1), b"b", false);
        let numbers: Vec<u32> = sent
            .iter()
            .map(|mapping| mapping.option(false).ssn.0)
            .collect();
        assert_eq!(numbers, [u32::MAX, 0]);
    }
}
