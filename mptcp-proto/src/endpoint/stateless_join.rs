//! Joins to a listener that answers SYNs with cookies. What the third ACK does not bring again waits in a
//! table of fixed size, outside of all connections: a flood makes none of them grow.

use std::net::SocketAddr;

use crate::conn::Violation;
use crate::conn::accept_join::MAX_HALF_OPEN_JOINS;
use crate::conn::join::JoinRequest;
use crate::endpoint::cookie::{Cookie, PendingJoin, SynKind};
use crate::endpoint::stateless::{Plain, ends, negotiated};
use crate::endpoint::{ConnId, Endpoint, Handled, SynCookies};
use crate::key::{Nonce, Token};
use crate::seq::TcpSeq;
use crate::tcp::{Path, Tcp};
use crate::time::Instant;
use crate::wire::mptcp::{Join, MptcpOption};
use crate::wire::segment::Segment;

impl Endpoint {
    /// Whether so many joins of a connection wait for their third ACK that further ones are answered with
    /// cookies: who has seen the token must not take all subflows. Without a listener at this address a
    /// third ACK would not be known as the answer to a cookie.
    pub(super) fn is_flooded_with_joins(&mut self, id: ConnId, local: SocketAddr) -> bool {
        let waiting = self
            .entry(id)
            .map(|entry| entry.connection.half_open_joins());
        self.config.syn_cookies != SynCookies::Never
            && waiting.is_some_and(|count| count >= MAX_HALF_OPEN_JOINS)
            && self.listeners.find(local).is_some()
    }

    /// Answers the SYN of a join with a cookie. `named` is the connection, and the token that names it.
    pub(super) fn answer_join_with_cookie(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        named: (ConnId, Token),
        request: JoinRequest,
    ) -> Handled {
        let (id, token) = named;
        let (ends, irs) = (ends(segment), segment.seq);
        // The same SYN again gets the same answer, as the third ACK may belong to the first one.
        let known = self.joins.get(ends, irs).copied();
        let known =
            known.filter(|known| known.token == token && known.remote_nonce == request.nonce);
        let local_nonce = match known {
            Some(known) => known.local_nonce,
            None => Nonce(self.random.next_u32()),
        };
        let path = Path {
            local: segment.destination,
            remote: segment.source,
        };
        let Some(entry) = self.entry_mut(id) else {
            return self.refuse(segment, Violation::UnknownToken);
        };
        if entry.connection.holds_joins() {
            // Its SYN comes again.
            return Handled::Dropped;
        }
        let answer = entry.connection.answer_join(path, request, local_nonce);
        let config = entry.connection.tcp_config().clone();
        let step = match answer {
            Ok(step) => step,
            Err(violation) => return self.refuse(segment, violation),
        };
        self.joins.keep(
            now,
            ends,
            PendingJoin {
                token,
                local_nonce,
                remote_nonce: request.nonce,
                address_id: request.address_id,
                priority: request.priority,
                irs,
            },
        );
        let plain = Plain::parse(segment.options);
        let mut area = self.cookie_options(now, &plain, path.local.is_ipv4(), &config);
        let _ = MptcpOption::Join(step.option()).emit(&mut area);
        self.reply_with_cookie(now, segment, SynKind::Join, area, &config)
    }

    /// A third ACK that answers the cookie of a join.
    pub(super) fn accept_cookie_join(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        cookie: Cookie,
        ack: Option<&Join>,
    ) -> Handled {
        let irs = TcpSeq(segment.seq.0.wrapping_sub(1));
        let iss = TcpSeq(segment.ack.0.wrapping_sub(1));
        let ends = ends(segment);
        let waits = self.joins.get(ends, irs).is_some();
        let Some(join) = self.joins.take(ends).filter(|_| waits) else {
            // It made room for others.
            return self.refuse(segment, Violation::UnknownToken);
        };
        let clock = self.cookie_clock;
        let Some(id) = self.tokens.owner(join.token) else {
            return self.refuse(segment, Violation::UnknownToken);
        };
        let Some(entry) = self.entry_mut(id) else {
            return self.refuse(segment, Violation::UnknownToken);
        };
        let mut config = entry.connection.tcp_config().clone();
        let negotiated = negotiated(segment, cookie, &config);
        config.timestamps = negotiated.timestamps.then_some(clock);
        let path = Path {
            local: ends.local,
            remote: ends.remote,
        };
        let tcp = Tcp::from_cookie(&config, path, irs, iss, negotiated, now);
        let request = JoinRequest {
            address_id: join.address_id,
            priority: join.priority,
            nonce: join.remote_nonce,
        };
        let answer = entry
            .connection
            .accept_cookie_join(tcp, request, join.local_nonce, ack);
        self.touch(id);
        self.apply_changes(id);
        match answer {
            Ok(()) => self.handle_segment(now, segment),
            Err(violation) => self.refuse(segment, violation),
        }
    }
}
