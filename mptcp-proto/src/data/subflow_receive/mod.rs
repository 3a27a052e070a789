//! From the bytes of a subflow to data: the mappings that the peer declares (RFC 8684 §3.3.1).

mod mapping;
mod outcome;

use std::collections::VecDeque;

use super::Payload;
use super::pieces::{Pieces, narrow, wide};
use crate::seq::{Dsn, Ssn};
use crate::wire::checksum::{PartialSum, dss_checksum};
use crate::wire::mptcp::DssMapping;
use mapping::Mapping;
pub use outcome::{Delivered, Mapped, MappingFault};

/// The mappings of the receiving side of one subflow, and the bytes that wait for one or for the rest
/// of one.
///
/// Positions count the bytes of the subflow from 0, without wrapping: the byte with the subflow
/// sequence number 1 has position 0, unless data came with the SYN. A mapping may come before its data, with
/// them or after them. It is fixed once it was declared: the same again changes nothing, another one for the
/// same bytes is a fault.
#[derive(Debug, Clone)]
pub struct SubflowMappings {
    checksum: bool,
    /// By position, without overlap. Those at the front are history: they tell a repetition from a
    /// conflict.
    mappings: VecDeque<Mapping>,
    /// Mappings at the front of which all is delivered.
    finished: usize,
    /// Bytes that no mapping covers yet, in order.
    unmapped: VecDeque<Pieces>,
    unmapped_bytes: u64,
    max_unmapped: u64,
    /// Position after the last byte that came.
    received: u64,
    /// Position of the byte with the subflow sequence number 1.
    first: u64,
    /// From this position on, everything is mapped to the data from this DSN on.
    infinite: Option<(u64, Dsn)>,
    /// Whether some mapping was whole and good.
    has_verified: bool,
    delivered: VecDeque<Delivered>,
    fault: Option<MappingFault>,
    /// Mappings that were not kept for [`Self::MAX_PENDING`].
    dropped: u64,
}

impl SubflowMappings {
    /// Mappings that wait for their data: a window of segments of 536 bytes, each with its own.
    pub const MAX_PENDING: usize = 4096;
    /// Mappings that are remembered after their data were delivered.
    pub const MAX_HISTORY: usize = 64;
    /// How far from the bytes that came a mapping may lie: the largest window (RFC 7323 §2.3).
    pub const MAX_DISTANCE: u64 = 1 << 30;

    /// No mapping yet. With `checksum`, both hosts use checksums (RFC 8684 §3.1). Up to
    /// `max_unmapped` bytes wait for a mapping: one receive window (RFC 8684 §3.3.1).
    pub fn new(checksum: bool, max_unmapped: u64) -> Self {
        Self {
            checksum,
            mappings: VecDeque::new(),
            finished: 0,
            unmapped: VecDeque::new(),
            unmapped_bytes: 0,
            max_unmapped,
            received: 0,
            first: 0,
            infinite: None,
            has_verified: false,
            delivered: VecDeque::new(),
            fault: None,
            dropped: 0,
        }
    }

    /// The same for a subflow whose first `early` bytes came with the SYN. No mapping covers those, and
    /// they are the data before `first`, the IDSN plus one (RFC 8684 appendix B.2).
    pub fn after_early(checksum: bool, max_unmapped: u64, early: u64, first: Dsn) -> Self {
        let mut mappings = Self::new(checksum, max_unmapped);
        if early > 0 {
            mappings.first = early;
            mappings.mappings.push_back(Mapping {
                position: 0,
                len: early,
                dsn: Dsn(first.0.wrapping_sub(early)),
                declared: 0,
                has_fin: false,
                checksum: None,
                ssn: Ssn(0),
                seen: 0,
                sum: PartialSum::default(),
                held: Pieces::default(),
            });
        }
        mappings
    }

    /// The same where those bytes are with the application already.
    pub fn behind_early(checksum: bool, max_unmapped: u64, early: u64, first: Dsn) -> Self {
        let mut mappings = Self::after_early(checksum, max_unmapped, early, first);
        mappings.received = early;
        if let Some(mapping) = mappings.mappings.back_mut() {
            mapping.seen = early;
        }
        mappings.finish();
        mappings
    }

    /// Sets how many bytes may wait for a mapping.
    pub fn set_max_unmapped(&mut self, bytes: u64) {
        self.max_unmapped = bytes;
    }

    /// Takes the mapping of a DSS with or without DATA_FIN. A DSN of 32 bits is the one nearest to
    /// `near`, the next DSN that the connection expects.
    ///
    /// # Errors
    /// When the mapping breaks a rule. What was mapped before stays and is delivered.
    pub fn map(
        &mut self,
        mapping: &DssMapping,
        data_fin: bool,
        near: Dsn,
    ) -> Result<Mapped, MappingFault> {
        let dsn = mapping.dsn.expand(near);
        if mapping.is_infinite() {
            // Length 0 and DATA_FIN contradict each other.
            if data_fin {
                return Ok(Mapped::Repeated);
            }
            let position = self.position(mapping.ssn);
            self.check_distance(position)?;
            self.fall_back(position, dsn);
            return Ok(Mapped::Infinite);
        }
        if self.checksum && mapping.checksum.is_none() && self.infinite.is_none() {
            return Err(MappingFault::NoChecksum { dsn });
        }
        let len = mapping.len.saturating_sub(u16::from(data_fin));
        if len == 0 {
            return self.map_fin_only(mapping, dsn);
        }
        self.declare(Mapping {
            position: self.position(mapping.ssn),
            len: u64::from(len),
            dsn,
            declared: mapping.len,
            has_fin: data_fin,
            checksum: mapping.checksum.filter(|_| self.checksum),
            ssn: mapping.ssn,
            seen: 0,
            sum: PartialSum::default(),
            held: Pieces::default(),
        })
    }

    /// Takes the mapping that comes with MP_CAPABLE: `len` bytes from the subflow's first on are the
    /// data from `first` on, the IDSN plus one (RFC 8684 §3.3.1).
    ///
    /// # Errors
    /// As for [`Self::map`].
    pub fn map_capable(
        &mut self,
        len: u16,
        checksum: Option<u16>,
        first: Dsn,
    ) -> Result<Mapped, MappingFault> {
        let mapping = DssMapping {
            dsn: crate::wire::mptcp::WireDsn::Long(first.0),
            ssn: Ssn(1),
            len,
            checksum,
        };
        // Sent again it may have another length, as the segment may; the first one stays.
        let mut known = self.mappings.iter().take(2);
        let is_known = known.any(|known| known.position == self.first && known.dsn == first);
        if len == 0 || is_known {
            return Ok(Mapped::Repeated);
        }
        self.map(&mapping, false, first)
    }

    /// Takes the next bytes of the subflow, the first of which has this position. What came before is
    /// passed over.
    pub fn push(&mut self, position: u64, payload: Payload) {
        let mut payload = payload;
        payload.advance(narrow(self.received.saturating_sub(position)));
        if payload.is_empty() {
            return;
        }
        let position = position.max(self.received);
        self.received = position.saturating_add(wide(payload.len()));
        self.place(position, payload);
        self.check_unmapped();
    }

    /// What the connection is to take next.
    ///
    /// # Errors
    /// The fault that keeps the subflow from delivering more, and again whenever asked, until
    /// [`Self::fall_back`].
    pub fn poll(&mut self) -> Result<Option<Delivered>, MappingFault> {
        match (self.delivered.pop_front(), self.fault) {
            (Some(delivered), _) => Ok(Some(delivered)),
            (None, Some(fault)) => Err(fault),
            (None, None) => Ok(None),
        }
    }

    /// From `position` on, everything that no mapping covers is the data from `dsn` on, and
    /// checksums are not looked at any more: an infinite mapping, or a fallback without one (RFC 8684
    /// §3.7). Delivers all that was held, a mapping with a wrong checksum included, as TCP would: where it
    /// lies on the subflow, whatever DSN it claims.
    pub fn fall_back(&mut self, position: u64, dsn: Dsn) {
        if let Some((from, at)) = self.infinite {
            // Bytes before the infinite mapping that have none of their own lie in order as well.
            let before = from.checked_sub(position).filter(|before| *before > 0);
            if before.is_some_and(|before| dsn.add(before) == at) {
                self.infinite = Some((position, dsn));
                self.place_again();
            }
            return;
        }
        self.checksum = false;
        self.fault = None;
        self.infinite = Some((position, dsn));
        for mapping in self.mappings.iter_mut().skip(self.finished) {
            mapping.checksum = None;
            if let Some(distance) = mapping.position.checked_sub(position) {
                mapping.dsn = dsn.add(distance);
            }
            deliver_held(mapping, &mut self.delivered);
            if mapping.is_whole() && mapping.has_fin {
                self.delivered.push_back(Delivered::Fin(mapping.fin_dsn()));
            }
        }
        self.finish();
        self.place_again();
    }

    /// Where a fallback without an infinite mapping goes on: the position and the DSN after the
    /// highest mapping, none before the first one.
    pub fn mapped_end(&self) -> Option<(u64, Dsn)> {
        let last = self.mappings.back()?;
        Some((last.end(), last.fin_dsn()))
    }

    /// DSN of the byte at this position; none while no mapping for it is known.
    pub fn dsn_at(&self, position: u64) -> Option<Dsn> {
        if let Some((from, dsn)) = self.infinite
            && let Some(distance) = position.checked_sub(from)
        {
            return Some(dsn.add(distance));
        }
        let before = self.begun_by(position).checked_sub(1)?;
        let mapping = self.mappings.get(before)?;
        let distance = position.checked_sub(mapping.position)?;
        (position < mapping.end()).then(|| mapping.dsn.add(distance))
    }

    /// Where the infinite mapping begins: a position, and its DSN.
    pub const fn infinite(&self) -> Option<(u64, Dsn)> {
        self.infinite
    }

    /// Whether an infinite mapping or a fallback is in force.
    pub const fn is_infinite(&self) -> bool {
        self.infinite.is_some()
    }

    /// Whether any mapping was declared.
    pub fn is_mapped(&self) -> bool {
        let last = self.mappings.back();
        self.infinite.is_some() || last.is_some_and(|known| known.end() > self.first)
    }

    /// Bytes that wait for a mapping.
    pub const fn unmapped_bytes(&self) -> u64 {
        self.unmapped_bytes
    }

    /// Position of the first byte that waits for a mapping.
    pub fn first_unmapped(&self) -> Option<u64> {
        self.unmapped.front().map(Pieces::start)
    }

    /// Bytes that wait for the rest of their mapping, to be verified.
    pub fn unverified_bytes(&self) -> u64 {
        let waiting = self.mappings.iter().skip(self.finished);
        let held = waiting.filter(|mapping| !mapping.held.is_empty());
        held.fold(0, |sum, mapping| sum.saturating_add(mapping.seen))
    }

    /// Bytes that the first mapping that waits to be verified still lacks; 0 when none waits.
    pub fn unverified_rest(&self) -> u64 {
        let mut waiting = self.mappings.iter().skip(self.finished);
        let first = waiting.find(|mapping| !mapping.held.is_empty());
        first.map_or(0, |mapping| mapping.len.saturating_sub(mapping.seen))
    }

    /// Mappings that are known, those whose data were delivered included.
    pub fn mappings(&self) -> usize {
        self.mappings.len()
    }

    /// What [`Self::poll`] would still give.
    pub fn undelivered(&self) -> usize {
        self.delivered.len()
    }

    /// Position after the last byte that came.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Mappings that were not kept because too many waited for their data.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The position of a subflow sequence number, the one nearest to what came last.
    fn position(&self, ssn: Ssn) -> u64 {
        // One up, so that the number 0, of the SYN, does not lie before the beginning.
        let near = self.received.saturating_sub(self.first).saturating_add(1);
        let number = Dsn::expand(ssn.0, Dsn(near)).0;
        number.wrapping_sub(1).wrapping_add(self.first)
    }

    fn check_distance(&self, position: u64) -> Result<(), MappingFault> {
        if position.abs_diff(self.received) > Self::MAX_DISTANCE {
            return Err(MappingFault::Beyond { position });
        }
        Ok(())
    }

    /// A DATA_FIN without data needs no place on the subflow (RFC 8684 §3.3.3), so its subflow
    /// sequence number only counts in the checksum.
    fn map_fin_only(&mut self, mapping: &DssMapping, dsn: Dsn) -> Result<Mapped, MappingFault> {
        if self.checksum && self.infinite.is_none() {
            let sum = dss_checksum(dsn, mapping.ssn, mapping.len, PartialSum::default());
            if mapping.checksum != Some(sum) {
                let was_first = !self.has_verified;
                return Err(MappingFault::Checksum { dsn, was_first });
            }
        }
        self.delivered.push_back(Delivered::Fin(dsn));
        Ok(Mapped::FinOnly)
    }

    fn declare(&mut self, mapping: Mapping) -> Result<Mapped, MappingFault> {
        let position = mapping.position;
        self.check_distance(position)?;
        if self.infinite.is_some_and(|(from, _)| position >= from) {
            return Ok(Mapped::Repeated);
        }
        let at = self.begun_by(position);
        let before = at.checked_sub(1).and_then(|index| self.mappings.get(index));
        if before.is_some_and(|known| known.is_same(&mapping) || mapping.lacks_only_fin_of(known)) {
            return Ok(Mapped::Repeated);
        }
        if before.is_some_and(|known| known.lacks_only_fin_of(&mapping)) {
            return self.add_fin(at.saturating_sub(1), &mapping);
        }
        let overlaps = before.is_some_and(|known| known.end() > position)
            || self
                .mappings
                .get(at)
                .is_some_and(|known| known.position < mapping.end());
        if overlaps {
            return Err(MappingFault::Conflict { position });
        }
        let waiting = |run: &Pieces| run.start() < mapping.end() && run.end() > position;
        if mapping.end() <= self.received && !self.unmapped.iter().any(waiting) {
            return Ok(self.take_late_fin(&mapping));
        }
        if self.mappings.len().saturating_sub(self.finished) >= Self::MAX_PENDING {
            self.dropped = self.dropped.saturating_add(1);
            return Ok(Mapped::Dropped);
        }
        self.finished = self.finished.min(at);
        self.mappings.insert(at, mapping);
        if self.unmapped_bytes > 0 {
            self.place_again();
        }
        Ok(Mapped::New)
    }

    /// The sender was told to end its data when the first segments of a mapping had left; those that
    /// leave later carry DATA_FIN, and a length that counts it (RFC 8684 §3.3.3). Linux does this.
    fn add_fin(&mut self, index: usize, longer: &Mapping) -> Result<Mapped, MappingFault> {
        let Some(known) = self.mappings.get_mut(index) else {
            return Ok(Mapped::Repeated);
        };
        if known.is_whole() {
            let sum = dss_checksum(known.dsn, known.ssn, longer.declared, known.sum);
            if longer.checksum.is_some_and(|checksum| checksum != sum) {
                let (dsn, was_first) = (known.dsn, !self.has_verified);
                return Err(MappingFault::Checksum { dsn, was_first });
            }
            self.delivered.push_back(Delivered::Fin(known.fin_dsn()));
        }
        known.has_fin = true;
        known.declared = longer.declared;
        known.checksum = longer.checksum;
        Ok(Mapped::Repeated)
    }

    /// A mapping whose bytes are gone came again, perhaps now with the DATA_FIN. Its checksum covers those
    /// bytes; where there are checksums the DATA_FIN must come alone, as it does while it is not
    /// acknowledged.
    fn take_late_fin(&mut self, mapping: &Mapping) -> Mapped {
        if mapping.has_fin && !self.checksum {
            let fin = mapping.dsn.add(mapping.len);
            self.delivered.push_back(Delivered::Fin(fin));
        }
        Mapped::Repeated
    }

    /// Looks again for mappings of the bytes that had none.
    fn place_again(&mut self) {
        self.unmapped_bytes = 0;
        for mut run in std::mem::take(&mut self.unmapped) {
            while let Some(payload) = run.pop_front(usize::MAX) {
                let position = run.start().saturating_sub(wide(payload.len()));
                self.place(position, payload);
            }
        }
        self.check_unmapped();
    }

    /// Gives bytes to the mappings that cover them.
    fn place(&mut self, mut position: u64, mut payload: Payload) {
        while !payload.is_empty() {
            let after = self.begun_by(position);
            let covering = after.checked_sub(1).filter(|index| {
                self.mappings
                    .get(*index)
                    .is_some_and(|m| m.end() > position)
            });
            let end = match covering.and_then(|index| self.mappings.get(index)) {
                Some(mapping) => mapping.end(),
                None => self
                    .mappings
                    .get(after)
                    .map_or(u64::MAX, |next| next.position),
            };
            let part = payload.take_front(narrow(end.saturating_sub(position)));
            let part_len = wide(part.len());
            match covering {
                Some(index) => self.fill(index, position, part),
                None => self.keep(position, part),
            }
            position = position.saturating_add(part_len);
        }
        self.finish();
    }

    /// How many mappings begin at or before this position.
    fn begun_by(&self, position: u64) -> usize {
        // In order, it is all of them.
        match self.mappings.back() {
            Some(last) if last.position <= position => self.mappings.len(),
            _ => self
                .mappings
                .partition_point(|known| known.position <= position),
        }
    }

    /// Gives bytes to the mapping with this index.
    fn fill(&mut self, index: usize, position: u64, part: Payload) {
        let Some(mapping) = self.mappings.get_mut(index) else {
            return;
        };
        let offset = position.saturating_sub(mapping.position);
        let dsn = mapping.dsn.add(offset);
        mapping.seen = mapping.seen.saturating_add(wide(part.len()));
        if mapping.checksum.is_none() {
            self.delivered
                .push_back(Delivered::Data { dsn, payload: part });
        } else {
            // The first byte of an odd offset lies in the low half of a word.
            let parity = u32::from(!offset.is_multiple_of(2));
            mapping.sum = mapping.sum.plus(part.sum().moved(parity));
            mapping.held.push_back(part);
        }
        if !mapping.is_whole() {
            return;
        }
        if let Some(checksum) = mapping.checksum {
            let sum = dss_checksum(mapping.dsn, mapping.ssn, mapping.declared, mapping.sum);
            if sum != checksum {
                let was_first = !self.has_verified;
                let dsn = mapping.dsn;
                self.fault
                    .get_or_insert(MappingFault::Checksum { dsn, was_first });
                return;
            }
            if self.fault.is_some() {
                return;
            }
            deliver_held(mapping, &mut self.delivered);
        }
        self.has_verified |= mapping.end() > self.first;
        if mapping.has_fin {
            self.delivered.push_back(Delivered::Fin(mapping.fin_dsn()));
        }
    }

    /// Keeps bytes that have no mapping, unless everything has one now.
    fn keep(&mut self, position: u64, part: Payload) {
        if let Some((from, dsn)) = self.infinite
            && let Some(distance) = position.checked_sub(from)
        {
            let dsn = dsn.add(distance);
            self.delivered
                .push_back(Delivered::Data { dsn, payload: part });
            return;
        }
        self.unmapped_bytes = self.unmapped_bytes.saturating_add(wide(part.len()));
        match self.unmapped.back_mut() {
            Some(run) if run.end() == position => run.push_back(part),
            _ => {
                let mut run = Pieces::new(position);
                run.push_back(part);
                self.unmapped.push_back(run);
            }
        }
    }

    fn check_unmapped(&mut self) {
        if self.unmapped_bytes > self.max_unmapped
            && let Some(run) = self.unmapped.front()
        {
            let position = run.start();
            self.fault
                .get_or_insert(MappingFault::Unmapped { position });
        }
    }

    /// Moves mappings of which all is delivered to the history.
    fn finish(&mut self) {
        while self
            .mappings
            .get(self.finished)
            .is_some_and(|mapping| mapping.is_whole() && mapping.held.is_empty())
        {
            self.finished = self.finished.saturating_add(1);
        }
        while self.finished > Self::MAX_HISTORY {
            self.mappings.pop_front();
            self.finished = self.finished.saturating_sub(1);
        }
    }
}

/// Delivers what a mapping held until its checksum was known.
fn deliver_held(mapping: &mut Mapping, delivered: &mut VecDeque<Delivered>) {
    let mut dsn = mapping.dsn;
    while let Some(payload) = mapping.held.pop_front(usize::MAX) {
        let len = wide(payload.len());
        delivered.push_back(Delivered::Data { dsn, payload });
        dsn = dsn.add(len);
    }
}

#[cfg(test)]
mod tests;
