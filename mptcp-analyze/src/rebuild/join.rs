//! MP_JOIN: tokens, HMACs and which connection a subflow belongs to (RFC 8684 §3.2).

use mptcp_proto::hmac::join_hmac;
use mptcp_proto::key::Token;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{Join, Priority};
use tracing::debug;

use super::Rebuilder;
use super::connection::ConnectionBuilder;
use super::flow::{End, StreamId};
use super::stream::{JoinState, Place};
use crate::model::{CheckResult, EventKind, Grouping, Segment, Side, SubflowKind};

/// A connection that a join may belong to, and which host the receiver of its SYN would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) connection: usize,
    pub(super) receiver: Side,
}

impl From<(u32, Side)> for Candidate {
    fn from((connection, receiver): (u32, Side)) -> Self {
        Candidate {
            connection: connection as usize,
            receiver,
        }
    }
}

impl Rebuilder {
    /// Takes an MP_JOIN of any step of the handshake.
    pub(super) fn on_join(&mut self, segment: &Segment<'_>, place: Place, join: Join) {
        match join {
            // A box that repeats options that it does not know; a host answers with an HMAC.
            Join::Syn { .. } if segment.flags.ack() => {
                let sender = self.side(place);
                if let Some(mptcp) = &self.streams[place.stream].mptcp {
                    let builder = &mut self.connections[mptcp.connection];
                    builder.note(place, sender, EventKind::Mirrored);
                }
            }
            Join::Syn { token, .. } => self.on_join_syn(place, join, token),
            Join::SynAck {
                priority,
                address_id,
                hmac,
                nonce,
                ..
            } => {
                self.ensure_join(segment, place, 1 - place.end);
                let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
                    return;
                };
                let state = mptcp.join.made();
                state.syn_ack_frame.set_first(place.frame);
                let first = *state.nonces[place.end].get_or_insert(nonce);
                // The opener has not heard that the listener gave the first handshake up, and its SYN, come again,
                // began another one.
                if first != nonce && state.ack_frame.is_none() {
                    state.later_nonce = Some(nonce);
                }
                state.ids[place.end].get_or_insert(address_id);
                state.backup |= priority == Priority::Backup;
                state.syn_ack_hmac.get_or_insert(hmac);
                self.settle_join(place, true);
            }
            Join::Ack { hmac, .. } => {
                self.ensure_join(segment, place, place.end);
                let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
                    return;
                };
                let first = mptcp.join.ack_frame.is_none();
                let state = mptcp.join.made();
                state.ack_frame.set_first(place.frame);
                state.ack_hmac.get_or_insert(hmac);
                self.settle_join(place, false);
                self.note_joined(place, first);
            }
        }
        if let Some(mptcp) = &self.streams[place.stream].mptcp {
            let builder = &mut self.connections[mptcp.connection];
            for end in [0, 1] {
                if let Some(id) = mptcp.join.ids[end] {
                    builder.addresses.note_joined(mptcp.side(end), id);
                }
            }
            self.index
                .note_hosts(self.flows.ends(place.stream), mptcp.connection);
        }
    }

    fn on_join_syn(&mut self, place: Place, join: Join, token: Token) {
        let Join::Syn {
            priority,
            address_id,
            nonce,
            ..
        } = join
        else {
            return;
        };
        if self.streams[place.stream].mptcp.is_none() {
            self.place_join(place, token);
        }
        let Some(mptcp) = &mut self.streams[place.stream].mptcp else {
            return;
        };
        let state = mptcp.join.made();
        state.syns += 1;
        state.set_opener(place.end);
        state.token.get_or_insert(token);
        state.syn_frame.set_first(place.frame);
        state.nonces[place.end].get_or_insert(nonce);
        state.ids[place.end].get_or_insert(address_id);
        state.backup |= priority == Priority::Backup;
        if mptcp.kind == SubflowKind::Unseen {
            mptcp.kind = SubflowKind::Join;
            let connection = mptcp.connection;
            let mut named = self.index.by_token(token);
            if named.any(|named| named.connection == connection) {
                mptcp.grouping = Grouping::Token;
            }
        }
    }

    /// The first third ACK is the moment at which the opener takes the subflow for joined.
    fn note_joined(&mut self, place: Place, first: bool) {
        let sender = self.side(place);
        if first && let Some(mptcp) = &self.streams[place.stream].mptcp {
            self.connections[mptcp.connection].note(place, sender, EventKind::Joined);
        }
    }

    /// Puts the stream of a join SYN into the connection that its token names, or into one made for
    /// the unknown token.
    fn place_join(&mut self, place: Place, token: Token) {
        let candidates = self.index.by_token(token);
        if let Some(best) = self.best_candidate(candidates, place) {
            let client_end = opener_is_client(best.receiver, place.end);
            self.enter(
                place.stream,
                best.connection,
                client_end,
                SubflowKind::Join,
                Grouping::Token,
            );
            return;
        }
        let orphan = self.index.orphan(token);
        // One whose joins have all found another connection is gone.
        let orphan = orphan.filter(|&orphan| !self.connections.is_merged(orphan));
        let (connection, is_new) = match orphan {
            Some(orphan) => (orphan, false),
            None => match self.new_connection(place.stream) {
                Some(new) => (new, true),
                None => return,
            },
        };
        if is_new {
            self.connections[connection].token_of_unknown = Some(token);
            self.index.set_orphan(token, connection);
        }
        self.enter(
            place.stream,
            connection,
            place.end,
            SubflowKind::Join,
            Grouping::Token,
        );
    }

    /// A join whose SYN is not in the capture is taken up like any stream without handshake.
    fn ensure_join(&mut self, segment: &Segment<'_>, place: Place, opener: End) {
        if self.streams[place.stream].mptcp.is_none() {
            self.take_up_unseen(segment, place, opener);
        }
        if let Some(mptcp) = &mut self.streams[place.stream].mptcp {
            if mptcp.kind == SubflowKind::Unseen {
                mptcp.kind = SubflowKind::Join;
            }
            mptcp.join.made().set_opener(opener);
        }
    }

    /// Among connections with the same token: one that is still open, and the latest of those. A
    /// token is only unique among the live connections of one host (RFC 8684 §3.2).
    fn best_candidate(
        &self,
        mut candidates: impl Iterator<Item = Candidate>,
        place: Place,
    ) -> Option<Candidate> {
        let first = candidates.next()?;
        let Some(second) = candidates.next() else {
            return Some(first);
        };
        let ends = self.flows.ends(place.stream);
        let all = [first, second].into_iter().chain(candidates);
        all.max_by_key(|candidate| {
            let connection = candidate.connection;
            let mut streams = self.connections.known_streams(connection);
            let shares_host = streams.any(|stream| {
                let known = self.flows.ends(stream).addresses();
                known
                    .iter()
                    .any(|a| ends.addresses().iter().any(|b| a.ip() == b.ip()))
            });
            (
                !self.connections.is_over(connection),
                shares_host,
                connection,
            )
        })
    }

    /// Once an HMAC has come: moves the stream to the connection whose keys explain it, if another
    /// than the one chosen by the token does.
    fn settle_join(&mut self, place: Place, syn_ack: bool) {
        let Some(mptcp) = &self.streams[place.stream].mptcp else {
            return;
        };
        let here = Candidate {
            connection: mptcp.connection,
            receiver: mptcp.side(1 - mptcp.join.opener),
        };
        if mptcp.join.is_good(syn_ack) {
            return;
        }
        let current = self.verdict_on_join(place.stream, here, syn_ack);
        if current == CheckResult::Ok {
            self.keep_good_verdict(place.stream, here, syn_ack);
            return;
        }
        match self.search_join(place.stream, here, syn_ack) {
            Some(candidate) => {
                self.move_join(place.stream, candidate);
                self.keep_good_verdict(place.stream, candidate, syn_ack);
            }
            None if current == CheckResult::Bad => {
                let sender = self.side(place);
                let connection = here.connection;
                self.connections[connection].note(
                    place,
                    sender,
                    EventKind::JoinHmacBad { syn_ack },
                );
            }
            None => {}
        }
    }

    /// Notes that an HMAC holds in `at`, unless the stream is elsewhere.
    fn keep_good_verdict(&mut self, stream: StreamId, at: Candidate, syn_ack: bool) {
        let Some(mptcp) = &mut self.streams[stream].mptcp else {
            return;
        };
        let here = Candidate {
            connection: mptcp.connection,
            receiver: mptcp.side(1 - mptcp.join.opener),
        };
        if here == at {
            mptcp.join.made().note_good(syn_ack);
        }
    }

    fn verdict_on_join(&self, stream: StreamId, of: Candidate, syn_ack: bool) -> CheckResult {
        match &self.streams[stream].mptcp {
            Some(mptcp) => {
                let builder = &self.connections[of.connection];
                check_join(&mptcp.join, builder, of.receiver, syn_ack)
            }
            None => CheckResult::Unverifiable("not in the capture"),
        }
    }

    /// Looks for a connection whose keys explain the HMAC of a join: first those with its token;
    /// for a join that is in no connection with keys, also the latest others.
    fn search_join(
        &mut self,
        stream: StreamId,
        here: Candidate,
        syn_ack: bool,
    ) -> Option<Candidate> {
        let token = self.streams[stream].mptcp.as_ref()?.join.token;
        let named = token.into_iter().flat_map(|t| self.index.by_token(t));
        let mut candidates: Vec<_> = named.filter(|&candidate| candidate != here).collect();
        if self.connections[here.connection].has_no_handshake() {
            for connection in self.index.latest_keyed() {
                if !self.connections.is_merged(connection) {
                    candidates.extend([Side::Server, Side::Client].map(|receiver| Candidate {
                        connection,
                        receiver,
                    }));
                }
            }
        }
        for candidate in candidates {
            if self.hmac_tries >= self.limits.hmac_tries {
                self.hmac_searches_cut += 1;
                return None;
            }
            self.hmac_tries += 1;
            self.wake(candidate.connection);
            if self.verdict_on_join(stream, candidate, syn_ack) == CheckResult::Ok {
                return Some(candidate);
            }
        }
        None
    }

    /// Moves a join to another connection.
    fn move_join(&mut self, stream: StreamId, to: Candidate) {
        let Some(mptcp) = &mut self.streams[stream].mptcp else {
            return;
        };
        let from = mptcp.connection;
        let client_end = opener_is_client(to.receiver, mptcp.join.opener);
        let turned = mptcp.client_end != client_end;
        let token = mptcp.join.token;
        if mptcp.ends.iter().any(super::stream::MptcpEnd::has_data) {
            // Data that were counted in one connection move with all of it, or stay.
            if from != to.connection && self.connections[from].has_only(stream) {
                self.merge(from, to.connection, turned);
                self.name_evidence(stream, token, to);
            }
            return;
        }
        mptcp.forget_verdicts();
        mptcp.client_end = client_end;
        if from == to.connection {
            return;
        }
        debug!(
            from,
            to = to.connection,
            tcp_stream = stream,
            "the HMAC of a join names another connection"
        );
        mptcp.connection = to.connection;
        let source = &mut self.connections[from];
        source.streams.remove(stream);
        let moved = source.take_events_of(stream);
        if source.streams.is_empty() {
            source.is_merged = true;
        }
        let target = &mut self.connections[to.connection];
        target.streams.insert(stream);
        target.add_events(moved);
        self.name_evidence(stream, token, to);
    }

    /// A join whose token does not name its connection is there for its HMAC.
    fn name_evidence(&mut self, stream: StreamId, token: Option<Token>, to: Candidate) {
        let named = token.is_some_and(|t| self.index.by_token(t).any(|c| c == to));
        if !named && let Some(mptcp) = &mut self.streams[stream].mptcp {
            mptcp.grouping = Grouping::Hmac;
        }
    }
}

/// The end that is the connection's client, given which host received the join's SYN.
fn opener_is_client(receiver: Side, opener: End) -> End {
    match receiver {
        Side::Server => opener,
        Side::Client => 1 - opener,
    }
}

/// Checks one HMAC of a join against the keys of `builder`; `receiver` is the host that received
/// the SYN.
pub(super) fn check_join(
    join: &JoinState,
    builder: &ConnectionBuilder,
    receiver: Side,
    syn_ack: bool,
) -> CheckResult {
    let present = if syn_ack {
        join.syn_ack_hmac.is_some()
    } else {
        join.ack_hmac.is_some()
    };
    if !present {
        return CheckResult::Unverifiable("not in the capture");
    }
    let Some((client, server)) = builder.both_keys() else {
        return CheckResult::Unverifiable("the keys are not in the capture");
    };
    let (Some(opener_nonce), Some(receiver_nonce)) =
        (join.nonces[join.opener], join.nonces[1 - join.opener])
    else {
        return CheckResult::Unverifiable("a random number of the handshake is not in the capture");
    };
    let (receiver_key, opener_key) = match receiver {
        Side::Server => (server, client),
        Side::Client => (client, server),
    };
    let version = builder.known_version().unwrap_or(Version::V1);
    let holds = if syn_ack {
        let expected = join_hmac(
            version,
            receiver_key,
            opener_key,
            receiver_nonce,
            opener_nonce,
        )
        .truncated();
        join.syn_ack_hmac == Some(expected)
    } else {
        let mut nonces = [Some(receiver_nonce), join.later_nonce]
            .into_iter()
            .flatten();
        nonces.any(|nonce| {
            let expected = join_hmac(version, opener_key, receiver_key, opener_nonce, nonce);
            join.ack_hmac == Some(expected)
        })
    };
    if holds {
        CheckResult::Ok
    } else {
        CheckResult::Bad
    }
}
