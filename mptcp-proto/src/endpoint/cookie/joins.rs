//! Joins that wait for their third ACK while SYN cookies are in use.

use std::collections::BTreeMap;

use super::Ends;
use crate::key::{AddressId, Nonce, Token};
use crate::seq::TcpSeq;
use crate::wire::mptcp::Priority;

/// What must be kept of the SYN of a join, because the third ACK carries an HMAC and nothing that it
/// was made from (RFC 8684 §3.2). Linux keeps as much, in as many places.
#[derive(Debug, Clone, Default)]
pub struct PendingJoins {
    waiting: BTreeMap<Ends, (u64, PendingJoin)>,
    /// The same, the oldest first.
    order: BTreeMap<u64, Ends>,
    next: u64,
}

/// A join whose SYN/ACK was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingJoin {
    /// Token of the connection.
    pub token: Token,
    /// Random number that was sent.
    pub local_nonce: Nonce,
    /// Random number that was received.
    pub remote_nonce: Nonce,
    /// Id of the address that the SYN came from.
    pub address_id: AddressId,
    /// What the peer wants the subflow for.
    pub priority: Priority,
    /// Sequence number of the SYN.
    pub irs: TcpSeq,
}

impl PendingJoins {
    /// Joins that wait; the oldest makes room, and its initiator tries again.
    pub const MAX_PENDING: usize = 1024;

    /// Keeps a join. The SYN that came last between two ends counts.
    pub fn keep(&mut self, ends: Ends, join: PendingJoin) {
        self.take(ends);
        if self.waiting.len() >= Self::MAX_PENDING
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.waiting.remove(&oldest);
        }
        self.waiting.insert(ends, (self.next, join));
        self.order.insert(self.next, ends);
        self.next = self.next.saturating_add(1);
    }

    /// The join that waits between these ends, whose SYN had this sequence number.
    pub fn get(&self, ends: Ends, irs: TcpSeq) -> Option<&PendingJoin> {
        let (_, join) = self.waiting.get(&ends)?;
        (join.irs == irs).then_some(join)
    }

    /// The join that waits between these ends, which waits no longer.
    pub fn take(&mut self, ends: Ends) -> Option<PendingJoin> {
        let (number, join) = self.waiting.remove(&ends)?;
        self.order.remove(&number);
        Some(join)
    }

    /// Joins that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no join waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(port: u16) -> Ends {
        let local = "10.0.0.1:80".parse().unwrap();
        Ends {
            local,
            remote: ([10, 0, 0, 2], port).into(),
        }
    }

    fn join(nonce: u32) -> PendingJoin {
        PendingJoin {
            token: Token(1),
            local_nonce: Nonce(2),
            remote_nonce: Nonce(nonce),
            address_id: AddressId(4),
            priority: Priority::Regular,
            irs: TcpSeq(5),
        }
    }

    #[test]
    fn a_join_waits_once_and_the_last_syn_counts() {
        let mut joins = PendingJoins::default();
        joins.keep(ends(1), join(10));
        joins.keep(ends(1), join(11));
        assert_eq!(joins.len(), 1);
        assert_eq!(joins.take(ends(1)), Some(join(11)));
        assert_eq!(joins.take(ends(1)), None);
    }

    #[test]
    fn the_oldest_join_makes_room() {
        let mut joins = PendingJoins::default();
        let max = u16::try_from(PendingJoins::MAX_PENDING).unwrap();
        for port in 0..max {
            joins.keep(ends(port), join(port.into()));
        }
        joins.keep(ends(0), join(77));
        joins.keep(ends(max), join(78));
        assert_eq!(joins.len(), PendingJoins::MAX_PENDING);
        assert_eq!(joins.take(ends(1)), None);
        assert_eq!(joins.take(ends(0)), Some(join(77)));
    }
}
