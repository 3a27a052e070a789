//! Whose packet is it?

use crate::conn::Counter;
use crate::conn::join::JoinRequest;
use crate::conn::received::ReceivedOptions;
use crate::conn::violation::Reaction;
use crate::conn::{Context, Violation};
use crate::endpoint::open::is_host;
use crate::endpoint::{ConnId, Endpoint, Handled, MAX_REPLIES};
use crate::key::Token;
use crate::path::SubflowId;
use crate::seq::TcpSeq;
use crate::tcp::{IcmpError, Path, reset_reply};
use crate::time::Instant;
use crate::version::Version;
use crate::wire::mptcp::{Join, MptcpOption, ResetReason, TcpReset};
use crate::wire::segment::{IpChoice, Segment};

impl Endpoint {
    /// Takes a packet, from its IP header on.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) -> Handled {
        self.now = now;
        match Segment::parse(packet, self.config.checksums_known_good) {
            Ok(segment) => self.handle_segment(now, &segment),
            Err(error) => {
                self.dropped.undecoded = self.dropped.undecoded.saturating_add(1);
                Handled::Undecoded(error)
            }
        }
    }

    pub(super) fn handle_segment(&mut self, now: Instant, segment: &Segment<'_>) -> Handled {
        let path = Path {
            local: segment.destination,
            remote: segment.source,
        };
        let known = self.paths.get(&path).copied();
        if let Some((id, subflow)) = known
            && self.begins_anew(id, subflow, segment)
        {
            return self.handle_stranger(now, segment);
        }
        if let Some((id, subflow)) = known
            && let Some(entry) = self.entry_mut(id)
        {
            let reopens = entry.connection.handle_segment(now, subflow, segment);
            self.touch(id);
            self.apply_changes(id);
            if !reopens {
                return Handled::Connection(id);
            }
            // Its place in the backlog is free for the one that begins.
            self.remove_if_gone(id);
        }
        self.handle_stranger(now, segment)
    }

    /// Whether this is a SYN that takes the place of a join that is half open.
    fn begins_anew(&mut self, id: ConnId, subflow: SubflowId, segment: &Segment<'_>) -> bool {
        if !segment.flags.syn() || segment.flags.ack() || segment.flags.rst() {
            return false;
        }
        let options = ReceivedOptions::parse(None, segment.options);
        let (Some(Join::Syn { token, nonce, .. }), None) = (options.join, options.capable) else {
            return false;
        };
        let Some(entry) = self.entry_mut(id) else {
            return false;
        };
        let is_anew = entry.connection.forget_older_join(subflow, token, nonce);
        if is_anew {
            self.touch(id);
            self.apply_changes(id);
        }
        is_anew
    }

    /// Takes an ICMP message that quotes a segment of ours: from where to where it went, and its sequence
    /// number.
    pub fn handle_icmp(&mut self, now: Instant, path: Path, quoted: TcpSeq, error: IcmpError) {
        self.now = now;
        let Some((id, subflow)) = self.paths.get(&path).copied() else {
            self.dropped.stray = self.dropped.stray.saturating_add(1);
            return;
        };
        if let Some(entry) = self.entry_mut(id) {
            entry.connection.handle_icmp(now, subflow, quoted, error);
            self.touch(id);
            self.apply_changes(id);
        }
    }

    /// A segment of no connection.
    fn handle_stranger(&mut self, now: Instant, segment: &Segment<'_>) -> Handled {
        let flags = segment.flags;
        if !is_host(segment.source) || !is_host(segment.destination) {
            // RFC 9293 §3.9.2.3: in silence, or one SYN would be answered by many.
            self.dropped.stray = self.dropped.stray.saturating_add(1);
            return Handled::Dropped;
        }
        self.jar.rotate(now, &mut *self.random);
        self.joins.expire(now);
        if flags.syn() && !flags.ack() && !flags.rst() {
            let options = ReceivedOptions::parse(None, segment.options);
            if let (Some(Join::Syn { token, .. }), None) = (options.join, options.capable)
                && !self.is_plain_tcp(segment, token)
            {
                return self.handle_join(now, segment, &options);
            }
            if let Some(handled) = self.accept_syn(now, segment, &options) {
                return handled;
            }
        }
        if let Some(handled) = self.accept_cookie(now, segment) {
            return handled;
        }
        self.dropped.stray = self.dropped.stray.saturating_add(1);
        self.reset(segment, None)
    }

    /// Whether the SYN of a join is for a listener that speaks TCP alone: it does not know the option.
    fn is_plain_tcp(&mut self, segment: &Segment<'_>, token: Token) -> bool {
        let listener = self.listeners.find(segment.destination);
        let knows = listener.is_none_or(|listener| !listener.config.mptcp.versions().is_empty());
        !knows && self.tokens.owner(token).is_none()
    }

    /// RFC 8684 §3.2: the token alone says which connection is meant.
    fn handle_join(
        &mut self,
        now: Instant,
        segment: &Segment<'_>,
        options: &ReceivedOptions,
    ) -> Handled {
        let Some(Join::Syn {
            priority,
            address_id,
            token,
            nonce,
            ..
        }) = options.join
        else {
            return Handled::Dropped;
        };
        let request = JoinRequest {
            address_id,
            priority,
            nonce,
        };
        let Some(id) = self.tokens.owner(token) else {
            self.counters.count(Counter::JoinNoTokenFound);
            return self.refuse_join(segment);
        };
        let is_flooded = self.is_flooded_with_joins(id, segment.destination);
        if is_flooded || self.answers_with_cookies(segment.destination) {
            return self.answer_join_with_cookie(now, segment, (id, token), request);
        }
        let Some(slot) = self.slots.get_mut(id.slot as usize) else {
            return Handled::Dropped;
        };
        let Some(entry) = slot.entry.as_deref_mut() else {
            return self.refuse(segment, Violation::UnknownToken);
        };
        let paths = &self.paths;
        let mut context = Context {
            random: &mut *self.random,
            is_free: &|path| !paths.contains_key(path),
        };
        let answer = entry
            .connection
            .accept_join(now, segment, request, &mut context);
        self.touch(id);
        self.apply_changes(id);
        match answer {
            Ok(()) => Handled::Connection(id),
            Err(violation) => self.refuse(segment, violation),
        }
    }

    /// A join to nothing. RFC 6824 knows no MP_TCPRST.
    fn refuse_join(&mut self, segment: &Segment<'_>) -> Handled {
        let listener = self.listeners.find(segment.destination);
        let versions = listener.map(|listener| listener.config.mptcp.versions());
        if versions == Some(&[Version::V0]) {
            return self.reset(segment, None);
        }
        self.refuse(segment, Violation::UnknownToken)
    }

    pub(super) fn refuse(&mut self, segment: &Segment<'_>, violation: Violation) -> Handled {
        let reason = match violation.reaction() {
            Reaction::Reset(reason) | Reaction::FallBackOrReset(_, reason) => reason,
            Reaction::Ignore | Reaction::Fail => ResetReason::UNSPECIFIED,
        };
        self.reset(segment, Some(reason))
    }

    /// Answers with RST.
    fn reset(&mut self, segment: &Segment<'_>, reason: Option<ResetReason>) -> Handled {
        if !self.config.resets_strays {
            return Handled::Dropped;
        }
        let Some(mut reply) = reset_reply(segment) else {
            return Handled::Dropped;
        };
        if let Some(reason) = reason {
            let option = MptcpOption::TcpReset(TcpReset::because(reason));
            if option.emit(&mut reply.area).is_ok() {
                self.counters.count(Counter::RstTx);
            }
            reply.area.pad();
        }
        self.reply(&reply.segment(), reply.ip, Handled::Reset)
    }

    /// Queues a segment that belongs to no connection.
    pub(super) fn reply(&mut self, segment: &Segment<'_>, ip: IpChoice, done: Handled) -> Handled {
        let mut packet = Vec::new();
        if self.replies.len() >= MAX_REPLIES || segment.emit_in(ip, &mut packet).is_err() {
            self.dropped.replies = self.dropped.replies.saturating_add(1);
            return Handled::Dropped;
        }
        self.replies.push_back(packet);
        done
    }
}
