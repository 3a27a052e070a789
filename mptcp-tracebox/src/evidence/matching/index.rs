//! Packets that were sent, by what an answer may know them by.
//!
//! A file may have as many packets as it likes that look alike. Of those an answer is compared with the last
//! [`MAX_ALIKE`], so that the work grows with the packets and not with their square.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use mptcp_proto::wire::segment::Flags;

use super::{timestamp, timestamps};
use crate::evidence::{Role, Sent};
use crate::packet::fields::Fields;
use crate::probe::Phase;

/// Numbers of packets, by one thing of theirs.
type By<K> = BTreeMap<K, Vec<usize>>;

/// All packets that may be answered.
#[derive(Debug, Clone, Default)]
pub(in crate::evidence) struct Index {
    by_seq: By<u32>,
    by_id: By<u16>,
    by_time: By<u32>,
    /// What acknowledges all of a packet.
    by_end: By<u32>,
    /// What a RST without ACK has for a number.
    by_ack: By<u32>,
    by_ends: By<(SocketAddr, SocketAddr)>,
    /// TTLs at which a router was heard of, by what can be told apart: copies of a segment look alike.
    places: BTreeMap<IpAddr, BTreeSet<u8>>,
    /// Longest payload.
    longest: u32,
}

impl Index {
    /// A packet was sent.
    pub(in crate::evidence) fn note_sent(&mut self, number: usize, sent: &Sent) {
        if sent.purpose.role == Role::Reset {
            return;
        }
        let Some(fields) = Fields::parse(&sent.bytes) else {
            return;
        };
        let tcp = fields.tcp;
        let len = u32::try_from(tcp.payload().len()).unwrap_or(0);
        let is_syn = tcp.flags().is_some_and(Flags::syn);
        self.longest = self.longest.max(len);
        if let Some(seq) = tcp.seq() {
            add(&mut self.by_seq, seq.0, number);
            add(&mut self.by_end, seq.add(len + u32::from(is_syn)).0, number);
        }
        if let Some(id) = fields.ip.id() {
            add(&mut self.by_id, id, number);
        }
        if let Some(time) = timestamp(tcp) {
            add(&mut self.by_time, time, number);
        }
        if let Some(ack) = tcp.ack().filter(|_| !is_syn) {
            add(&mut self.by_ack, ack.0, number);
        }
        if let Some(ends) = fields.ends() {
            add(&mut self.by_ends, ends, number);
        }
    }

    /// A router said that the TTL of a packet ran out.
    pub(in crate::evidence) fn note_expired(&mut self, sent: &Sent, router: IpAddr) {
        let is_syn = sent.purpose.probe.phase() == Phase::Syn;
        if is_syn && sent.purpose.role == Role::Ladder {
            self.places
                .entry(router)
                .or_default()
                .insert(sent.purpose.ttl);
        }
    }

    /// TTLs at which a router was heard of before.
    pub(super) fn places(&self, router: IpAddr) -> Option<&BTreeSet<u8>> {
        self.places.get(&router)
    }

    /// Packets that a quote may be about: the number is in them, or the timestamp or the id is theirs.
    pub(super) fn quoted(&self, quote: &Fields<'_>) -> Vec<usize> {
        let mut found = Vec::new();
        if let Some(seq) = quote.tcp.seq() {
            let first = seq.0.wrapping_sub(self.longest.saturating_sub(1));
            // The numbers begin anew behind the last one.
            let (near, far) = if first <= seq.0 {
                (first..=seq.0, None)
            } else {
                (0..=seq.0, Some(first..=u32::MAX))
            };
            let ranges = [Some(near), far].into_iter().flatten();
            let lists = ranges.flat_map(|range| self.by_seq.range(range).rev());
            let latest = lists.flat_map(|(_, numbers)| numbers.iter().rev());
            found.extend(latest.take(MAX_ALIKE));
        }
        if let Some(id) = quote.ip.id() {
            extend(&mut found, &self.by_id, &id);
            extend(&mut found, &self.by_id, &id.swap_bytes());
        }
        if let Some(time) = timestamp(quote.tcp) {
            extend(&mut found, &self.by_time, &time);
        }
        in_order(found)
    }

    /// Packets that a segment may answer: it acknowledges them, has their number, or echoes their timestamp; and
    /// of those between its ends the last one, and the last that waits for an answer. `is_open` tells that of one
    /// that was sent by then.
    pub(super) fn answered(
        &self,
        answer: &Fields<'_>,
        is_open: impl Fn(usize) -> Option<bool>,
    ) -> Vec<usize> {
        let mut found = Vec::new();
        if let Some(ack) = answer.tcp.ack() {
            extend(&mut found, &self.by_end, &ack.0);
        }
        if let Some(seq) = answer.tcp.seq() {
            extend(&mut found, &self.by_ack, &seq.0);
        }
        if let Some((_, echo)) = timestamps(answer.tcp) {
            extend(&mut found, &self.by_time, &echo);
        }
        let between = answer
            .ends()
            .and_then(|(from, to)| self.by_ends.get(&(to, from)));
        if let Some(between) = between {
            let latest = || between.iter().rev().take(MAX_ALIKE);
            found.extend(latest().find(|number| is_open(**number).is_some()));
            found.extend(latest().find(|number| is_open(**number) == Some(true)));
        }
        in_order(found)
    }
}

/// Each once, in the order in which they were sent.
fn in_order(mut found: Vec<usize>) -> Vec<usize> {
    found.sort_unstable();
    found.dedup();
    found
}

fn add<K: Ord>(by: &mut By<K>, key: K, number: usize) {
    by.entry(key).or_default().push(number);
}

fn extend<K: Ord>(found: &mut Vec<usize>, by: &By<K>, key: &K) {
    let numbers = by.get(key).into_iter().flatten();
    found.extend(numbers.rev().take(MAX_ALIKE));
}

/// Packets that look alike and are told apart. In a run they are copies of one segment: three for each TTL that is
/// asked, of which most paths have less than thirty; each has a timestamp of its own, by which it is found however
/// many there are.
pub(super) const MAX_ALIKE: usize = 256;
