//! Cookies that have begun a connection.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::{CookieJar, Ends};
use crate::seq::TcpSeq;
use crate::time::Instant;

/// Which cookies have begun a connection: a late copy of a first segment must not begin another one when that has
/// ended, as a queue of TIME-WAIT keeps it from doing (RFC 9293 §3.6) where the server remembers its SYNs.
#[derive(Debug, Clone, Default)]
pub struct SpentCookies {
    known: BTreeSet<(Ends, u32)>,
    /// The same with the time when each began its connection, the oldest first.
    order: VecDeque<(Instant, Ends, u32)>,
}

impl SpentCookies {
    /// Cookies that are remembered; the oldest makes room. Ninety connections a second for as long as a cookie is
    /// good, in 2 MB.
    pub const MAX_SPENT: usize = 16_384;
    /// How long a cookie is remembered: longer than any is good.
    pub const LIFETIME: Duration = CookieJar::PERIOD.saturating_mul(CookieJar::MAX_AGE as u32 + 1);

    /// Remembers the cookie `iss` between these ends.
    pub fn spend(&mut self, now: Instant, ends: Ends, iss: TcpSeq) {
        if !self.known.insert((ends, iss.0)) {
            return;
        }
        if self.order.len() >= Self::MAX_SPENT
            && let Some((_, ends, iss)) = self.order.pop_front()
        {
            self.known.remove(&(ends, iss));
        }
        self.order.push_back((now, ends, iss.0));
    }

    /// Whether this cookie has begun a connection.
    pub fn is_spent(&self, ends: Ends, iss: TcpSeq) -> bool {
        self.known.contains(&(ends, iss.0))
    }

    /// When the oldest is good no longer.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (since, ..) = self.order.front()?;
        Some(*since + Self::LIFETIME)
    }

    /// Forgets those that are good no longer.
    pub fn expire(&mut self, now: Instant) {
        while self.poll_timeout().is_some_and(|at| at <= now) {
            if let Some((_, ends, iss)) = self.order.pop_front() {
                self.known.remove(&(ends, iss));
            }
        }
    }

    /// Cookies that are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(port: u16) -> Ends {
        Ends {
            local: "10.0.0.1:80".parse().unwrap(),
            remote: ([10, 0, 0, 2], port).into(),
        }
    }

    #[test]
    fn the_oldest_spent_cookie_makes_room_and_all_are_forgotten_when_they_are_good_no_longer() {
        let mut spent = SpentCookies::default();
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        for number in 0..=SpentCookies::MAX_SPENT {
            let number = u32::try_from(number).unwrap();
            spent.spend(at(u64::from(number) / 1000), ends(1), TcpSeq(number));
        }
        assert_eq!(spent.len(), SpentCookies::MAX_SPENT);
        assert!(!spent.is_spent(ends(1), TcpSeq(0)));
        assert!(spent.is_spent(ends(1), TcpSeq(1)));
        assert!(!spent.is_spent(ends(2), TcpSeq(1)));
        assert_eq!(spent.poll_timeout(), Some(at(180)));
        spent.expire(at(180));
        assert_eq!(spent.len(), SpentCookies::MAX_SPENT - 999);
        spent.expire(at(300));
        assert!(spent.is_empty());
    }
}
