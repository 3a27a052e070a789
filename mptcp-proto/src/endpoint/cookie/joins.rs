//! Joins that wait for their third ACK while SYN cookies are in use.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Ends;
use crate::key::{AddressId, Nonce, Token};
use crate::seq::TcpSeq;
use crate::time::Instant;
use crate::wire::mptcp::Priority;

/// What must be kept of the SYN of a join, because the third ACK carries an HMAC and nothing that it
/// was made from (RFC 8684 §3.2). Linux keeps as much, in as many places.
#[derive(Debug, Clone, Default)]
pub struct PendingJoins {
    waiting: BTreeMap<Ends, (u64, PendingJoin)>,
    /// The same, the oldest first, with the time of the SYN.
    order: BTreeMap<u64, (Instant, Ends)>,
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
    /// How long a join waits: a client that has not heard the SYN/ACK by then has given up or sends its SYN
    /// again, and half a minute is more than any third ACK is under way.
    pub const MAX_WAIT: Duration = Duration::from_secs(30);

    /// Keeps a join. The SYN that came last between two ends counts.
    pub fn keep(&mut self, now: Instant, ends: Ends, join: PendingJoin) {
        self.take(ends);
        if self.waiting.len() >= Self::MAX_PENDING
            && let Some((_, (_, oldest))) = self.order.pop_first()
        {
            self.waiting.remove(&oldest);
        }
        self.waiting.insert(ends, (self.next, join));
        self.order.insert(self.next, (now, ends));
        self.next = self.next.saturating_add(1);
    }

    /// When the oldest join has waited long enough.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (_, (since, _)) = self.order.first_key_value()?;
        Some(*since + Self::MAX_WAIT)
    }

    /// Forgets the joins that have waited long enough.
    pub fn expire(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            if let Some((_, (_, oldest))) = self.order.pop_first() {
                self.waiting.remove(&oldest);
            }
        }
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
        joins.keep(Instant::ZERO, ends(1), join(10));
        joins.keep(Instant::ZERO, ends(1), join(11));
        assert_eq!(joins.len(), 1);
        assert_eq!(joins.take(ends(1)), Some(join(11)));
        assert_eq!(joins.take(ends(1)), None);
    }

    #[test]
    fn the_oldest_join_makes_room() {
        let mut joins = PendingJoins::default();
        let max = u16::try_from(PendingJoins::MAX_PENDING).unwrap();
        for port in 0..max {
            joins.keep(Instant::ZERO, ends(port), join(port.into()));
        }
        joins.keep(Instant::ZERO, ends(0), join(77));
        joins.keep(Instant::ZERO, ends(max), join(78));
        assert_eq!(joins.len(), PendingJoins::MAX_PENDING);
        assert_eq!(joins.take(ends(1)), None);
        assert_eq!(joins.take(ends(0)), Some(join(77)));
    }

    #[test]
    fn a_join_that_nobody_completes_is_forgotten_after_half_a_minute() {
        let mut joins = PendingJoins::default();
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        assert_eq!(joins.poll_timeout(), None);
        joins.keep(at(1), ends(1), join(10));
        joins.keep(at(5), ends(2), join(11));
        // The same SYN again waits from then on.
        joins.keep(at(9), ends(1), join(10));
        assert_eq!(joins.poll_timeout(), Some(at(35)));
        joins.expire(at(34));
        assert_eq!(joins.len(), 2);
        joins.expire(at(35));
        assert_eq!(joins.get(ends(2), TcpSeq(5)), None);
        assert_eq!(joins.get(ends(1), TcpSeq(5)), Some(&join(10)));
        joins.expire(at(100));
        assert!(joins.is_empty());
    }
}
