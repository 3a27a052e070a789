//! MP_CAPABLE: keys, versions, flags (RFC 8684 §3.1).

use mptcp_proto::key::Key;
use mptcp_proto::wire::mptcp::Capable;
use tracing::debug;

use super::Rebuilder;
use super::connection::EchoedKeys;
use super::flow::{End, StreamId};
use super::options::SegmentOptions;
use super::stream::{MptcpStream, Place};
use crate::model::{EventKind, Grouping, Segment, Side, SubflowKind};

impl Rebuilder {
    /// Takes an MP_CAPABLE of any step of the handshake.
    pub(super) fn on_capable(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        capable: &Capable,
        options: &SegmentOptions,
    ) {
        let Some(connection) = self.capable_connection(place) else {
            return;
        };
        if segment.flags.syn() && segment.flags.ack() {
            self.on_capable_syn_ack(place, connection, capable, options);
        } else if segment.flags.syn() {
            self.on_capable_syn(place, connection, capable, options);
        } else {
            self.on_capable_ack(place, connection, capable);
        }
        self.index
            .note_hosts(self.flows.ends(place.stream), connection);
    }

    /// The connection that `place` opens. A stream that was taken up without a handshake (packets
    /// out of order) becomes its initial subflow now.
    fn capable_connection(&mut self, place: Place) -> Option<usize> {
        let opener = self.flows.ends(place.stream).likely_opener();
        if let Some(mptcp) = &mut self.streams[place.stream].mptcp {
            let connection = mptcp.connection;
            if mptcp.kind == SubflowKind::Join {
                return Some(connection);
            }
            mptcp.kind = SubflowKind::Capable;
            mptcp.grouping = Grouping::Token;
            let flip = mptcp.client_end != opener;
            let alone = self.connections[connection].has_only(place.stream);
            if flip && alone {
                self.turn_around(connection);
            }
            let builder = &mut self.connections[connection];
            builder.initial_stream.get_or_insert(place.stream);
            return Some(connection);
        }
        let connection = self.new_connection(place.stream)?;
        self.enter(
            place.stream,
            connection,
            opener,
            SubflowKind::Capable,
            Grouping::Token,
        );
        self.connections[connection].initial_stream = Some(place.stream);
        Some(connection)
    }

    /// Makes `stream` a subflow of `connection`.
    pub(super) fn enter(
        &mut self,
        stream: StreamId,
        connection: usize,
        client_end: End,
        kind: SubflowKind,
        grouping: Grouping,
    ) {
        self.wake(connection);
        let mut mptcp = Box::new(MptcpStream::new(connection, client_end, kind, grouping));
        let ends = self.flows.ends(stream);
        for end in [0, 1] {
            if let Some(isn) = ends.isn(end) {
                mptcp.ends[end].data.on_syn(isn);
            }
        }
        self.streams[stream].mptcp = Some(mptcp);
        self.subflows += 1;
        self.connections[connection].streams.insert(stream);
        debug!(connection, tcp_stream = stream, ?kind, ?grouping, "subflow");
    }

    fn on_capable_syn(
        &mut self,
        place: Place,
        connection: usize,
        capable: &Capable,
        options: &SegmentOptions,
    ) {
        let builder = &mut self.connections[connection];
        builder.capable.syns += 1;
        let first = (place.frame, capable.version, capable.flags.0);
        if builder.capable.syn.is_none() {
            builder.capable.syn = Some(first);
            builder.syn_option.clone_from(&options.first_raw);
        }
        if builder.capable.syn_ack.is_none() {
            self.set_version(connection, capable.version);
        }
        let builder = &mut self.connections[connection];
        builder.ask_checksum(capable.flags.checksum());
        // In version 1 the SYN carries no key; one that does is a version 0 SYN.
        if let Some(key) = capable.sender_key {
            self.learn_key(place, connection, Side::Client, key);
        }
    }

    /// Notes the version; what was judged by another one is judged again.
    fn set_version(&mut self, connection: usize, version: u8) {
        let builder = &mut self.connections[connection];
        let before = builder.known_version();
        builder.version = Some(version);
        if before == builder.known_version() {
            return;
        }
        for stream in builder.streams.iter() {
            if let Some(mptcp) = &mut self.streams[stream].mptcp {
                mptcp.forget_verdicts();
            }
        }
    }

    /// A SYN whose MP_CAPABLE does not parse (another version's length, say) still asks for MPTCP;
    /// no server will answer it with MPTCP.
    pub(super) fn on_malformed_capable_syn(&mut self, place: Place, options: &SegmentOptions) {
        let Some(connection) = self.capable_connection(place) else {
            return;
        };
        let builder = &mut self.connections[connection];
        builder.capable.syns += 1;
        builder.rare.made().malformed_syn.get_or_insert(place.frame);
        if builder.syn_option.is_none() {
            builder.syn_option.clone_from(&options.first_raw);
        }
        self.index
            .note_hosts(self.flows.ends(place.stream), connection);
    }

    fn on_capable_syn_ack(
        &mut self,
        place: Place,
        connection: usize,
        capable: &Capable,
        options: &SegmentOptions,
    ) {
        let sender = self.side(place);
        let builder = &mut self.connections[connection];
        let echoed = builder.syn_option.is_some() && builder.syn_option == options.first_raw;
        if echoed || capable.sender_key.is_none() {
            builder.rare.made().mirrored.get_or_insert(place.frame);
            builder.note(place, sender, EventKind::Mirrored);
            return;
        }
        if let Some((_, asked, _)) = builder.capable.syn
            && asked != capable.version
            && builder.capable.syn_ack.is_none()
        {
            let kind = EventKind::VersionChanged {
                from: asked,
                to: capable.version,
            };
            builder.note(place, sender, kind);
        }
        self.set_version(connection, capable.version);
        let builder = &mut self.connections[connection];
        let seen = (place.frame, capable.version, capable.flags.0);
        builder.capable.syn_ack.get_or_insert(seen);
        if let Some(rare) = builder.rare.get_mut() {
            rare.bare_syn_ack = None;
        }
        builder.ask_checksum(capable.flags.checksum());
        if let Some(key) = capable.sender_key {
            self.learn_key(place, connection, Side::Server, key);
        }
    }

    /// The third ACK, or the first data of the client; both carry both keys.
    fn on_capable_ack(&mut self, place: Place, connection: usize, capable: &Capable) {
        let sender = self.side(place);
        let builder = &mut self.connections[connection];
        let first = builder.capable.ack.is_none();
        let seen = (place.frame, capable.version, capable.flags.0);
        builder.capable.ack.get_or_insert(seen);
        let version = builder.version.unwrap_or(capable.version);
        self.set_version(connection, version);
        let builder = &mut self.connections[connection];
        builder.ask_checksum(capable.flags.checksum());
        let (Some(own), Some(peer)) = (capable.sender_key, capable.receiver_key) else {
            return;
        };
        if first {
            let known = *builder.keys.of(sender.other());
            let own_known = *builder.keys.of(sender);
            builder.echoed_keys = match (known, own_known) {
                (Some(known), _) if known != peer => EchoedKeys::Other,
                (_, Some(known)) if known != own => EchoedKeys::Other,
                (Some(_), _) => EchoedKeys::Same,
                (None, _) => EchoedKeys::Alone,
            };
        }
        self.learn_key(place, connection, sender, own);
        self.learn_key(place, connection, sender.other(), peer);
    }

    /// Learns whose key it is; a second, different key is an event and changes nothing.
    fn learn_key(&mut self, place: Place, connection: usize, owner: Side, key: Key) {
        let sender = self.side(place);
        let builder = &mut self.connections[connection];
        if let Some(known) = builder.keys.of(owner) {
            if *known != key {
                builder.note(place, sender, EventKind::KeyChanged { owner });
            }
            return;
        }
        *builder.keys.of_mut(owner) = Some(key);
        if builder.capable.syn_ack.is_none() && builder.capable.ack.is_none() {
            // The version is not settled yet: a version 0 key counts once the server has answered.
            return;
        }
        self.settle_keys(connection);
    }

    /// Derives tokens and IDSNs of all keys known by now, and finds joins that waited for them.
    pub(super) fn settle_keys(&mut self, connection: usize) {
        for side in [Side::Client, Side::Server] {
            let builder = &mut self.connections[connection];
            let Some((token, idsn, is_new)) = builder.derive(side) else {
                continue;
            };
            let checked = builder.idsn_check.of(side.sends()).is_some();
            let data = builder.data.of_mut(side.sends());
            if !data.base_is_idsn() && !checked {
                data.set_idsn(idsn);
            }
            if is_new && self.index.add_token(token, connection, side) {
                self.adopt_orphan(token, connection, side);
            }
        }
        if self.connections[connection].both_keys().is_some() {
            self.index.note_keyed(connection);
        }
    }

    /// Which host of its connection sent the packet at `place`.
    pub(super) fn side(&self, place: Place) -> Side {
        match &self.streams[place.stream].mptcp {
            Some(mptcp) => mptcp.side(place.end),
            None if place.end == self.flows.ends(place.stream).likely_opener() => Side::Client,
            None => Side::Server,
        }
    }
}
