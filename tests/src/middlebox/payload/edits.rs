//! What was replaced in one stream, and so how its numbers are moved.
//!
//! ```text
//! sender     …………|  find  |……………………|  find  |………
//!                ╲          ╲            ╲
//! receiver   …………|   put    |……………………|   put    |………
//! ```
//!
//! Only bytes that come for the first time and in order are searched: an edit before bytes that
//! the receiver has already would move those after the fact.

use mptcp_proto::seq::TcpSeq;

use super::Plan;

/// Further occurrences in one stream are left alone.
pub const MAX_EDITS: usize = 1024;

/// The edits of one stream. Offsets count from its first byte and do not wrap.
#[derive(Debug)]
pub(super) struct Edits {
    find: Vec<u8>,
    put: Vec<u8>,
    limit: usize,
    skip: i64,
    start: u32,
    /// Bytes before this offset are not searched again.
    searched: i64,
    /// Where edits begin, in the numbers of the sender and in rising order.
    places: Vec<i64>,
}

impl Edits {
    /// Nothing replaced yet in the stream whose first byte has this number.
    pub(super) fn new(plan: &Plan, start: u32) -> Self {
        let times = usize::try_from(plan.times).unwrap_or(MAX_EDITS);
        Self {
            find: plan.find.0.clone(),
            put: plan.put.0.clone(),
            limit: if times == 0 {
                MAX_EDITS
            } else {
                times.min(MAX_EDITS)
            },
            skip: i64::from(plan.skip_bytes),
            start,
            searched: 0,
            places: Vec::new(),
        }
    }

    /// Whether the stream begins with this number.
    pub(super) fn starts_at(&self, seq: u32) -> bool {
        self.start == seq
    }

    /// The bytes that take the place of these, which begin at `seq`.
    pub(super) fn apply(&mut self, seq: u32, bytes: &[u8]) -> Vec<u8> {
        let from = self.offset(seq, self.searched);
        let to = from.saturating_add(len(bytes));
        self.search(from, bytes);
        let mut result = Vec::with_capacity(bytes.len());
        let mut done = from;
        for place in &self.places {
            let (first, last) = ((*place).max(from), (place + len(&self.find)).min(to));
            if first >= last {
                continue;
            }
            result.extend(part(bytes, done - from, first - from));
            result.extend(part(
                &self.put,
                self.inside(first - place),
                self.inside(last - place),
            ));
            done = last;
        }
        result.extend(part(bytes, done - from, to - from));
        result
    }

    /// A number of the sender as the receiver sees it.
    pub(super) fn map(&self, seq: u32) -> u32 {
        self.number(self.forth(self.offset(seq, self.searched)))
    }

    /// A number of the receiver as the sender means it. An ACK inside of replaced bytes becomes
    /// one that acknowledges no more of them.
    pub(super) fn unmap(&self, seq: u32) -> u32 {
        let offset = self.offset(seq, self.forth(self.searched));
        self.number(self.back(offset))
    }

    fn forth(&self, offset: i64) -> i64 {
        let mut shift = 0;
        for place in &self.places {
            if offset >= place + len(&self.find) {
                shift += self.growth();
            } else if offset > *place {
                return place + shift + self.inside(offset - place);
            }
        }
        offset + shift
    }

    fn back(&self, offset: i64) -> i64 {
        let mut shift = 0;
        for place in &self.places {
            let begin = place + shift;
            if offset >= begin + len(&self.put) && offset >= begin {
                shift += self.growth();
            } else if offset > begin {
                return place + (offset - begin).min(len(&self.find) - 1);
            }
        }
        offset - shift
    }

    fn search(&mut self, from: i64, bytes: &[u8]) {
        let begin = from.max(self.searched).max(self.skip);
        let end = from.saturating_add(len(bytes));
        self.searched = self.searched.max(end);
        let mut at = begin;
        while !self.find.is_empty() && self.places.len() < self.limit {
            let rest = part(bytes, at - from, end - from);
            let found = rest.windows(self.find.len()).position(|w| w == self.find);
            let Some(found) = found.and_then(|found| i64::try_from(found).ok()) else {
                break;
            };
            self.places.push(at + found);
            at += found + len(&self.find);
        }
    }

    /// How much of `put` stands for so many bytes of `find`.
    fn inside(&self, bytes: i64) -> i64 {
        if bytes >= len(&self.find) {
            len(&self.put)
        } else {
            bytes.min(len(&self.put))
        }
    }

    fn growth(&self) -> i64 {
        len(&self.put) - len(&self.find)
    }

    /// The offset of a number, the one nearest to `near`.
    fn offset(&self, seq: u32, near: i64) -> i64 {
        let distance = TcpSeq(seq).offset_from(TcpSeq(self.number(near)));
        near + i64::from(distance)
    }

    fn number(&self, offset: i64) -> u32 {
        let low = u32::try_from(offset.rem_euclid(1 << 32)).unwrap_or_default();
        self.start.wrapping_add(low)
    }
}

fn len(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

/// Bytes between two offsets, none where there are none.
fn part(bytes: &[u8], from: i64, to: i64) -> &[u8] {
    match (usize::try_from(from), usize::try_from(to)) {
        (Ok(from), Ok(to)) => bytes.get(from..to).unwrap_or_default(),
        _ => &[],
    }
}
