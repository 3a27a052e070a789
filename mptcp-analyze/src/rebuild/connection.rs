//! What is kept of one MPTCP connection while the capture is read.

use mptcp_proto::key::{Key, Token};
use mptcp_proto::seq::Dsn;
use mptcp_proto::version::Version;

use super::address::AddressBook;
use super::data::{DataDirection, DataOptions};
use super::flow::StreamId;
use super::options::RawOption;
use super::pack::{Pack, Packer, Unpacker, pack_fields};
use super::rare::{Absent, Rare};
use super::stream::{MptcpStream, Place};
use super::stream_set::StreamSet;
use crate::model::{
    CapableSeen, CheckResult, Direction, EventKind, LimitHit, PerDirection, PerSide, Side,
    Timestamp,
};

/// Streams of a connection whose addresses a stream of unknown connection is compared with: more
/// than a host has addresses, and a forged flood of joins must not be searched for each packet.
const MAX_COMPARED_STREAMS: usize = 64;

/// Events kept of one connection; each kind of event that a peer can repeat at will counts.
pub(super) const MAX_EVENTS: usize = 10_000;

/// Short journals after which the wait for another does not become longer.
const MAX_SHORT_JOURNALS: u8 = 16;

/// One connection in the making.
#[derive(Debug)]
pub(super) struct ConnectionBuilder {
    /// Set when it turned out to be part of another connection.
    pub(super) is_merged: bool,
    pub(super) version: Option<u8>,
    pub(super) keys: PerSide<Option<Key>>,
    pub(super) derived: Derived,
    pub(super) token_of_unknown: Option<Token>,
    pub(super) capable: CapableSeen,
    /// The MPTCP option of the first SYN, to recognise a mirror.
    pub(super) syn_option: Option<RawOption>,
    /// The stream of the MP_CAPABLE handshake.
    pub(super) initial_stream: Option<StreamId>,
    /// Whether an MP_CAPABLE asked for checksums; `None` before any was seen.
    pub(super) checksum: Option<bool>,
    pub(super) echoed_keys: EchoedKeys,
    pub(super) rare: Rare<RareConnection>,
    pub(super) data: PerDirection<DataDirection>,
    /// Whether the first mapping can have been counted from the IDSN; `None` before there was one.
    pub(super) idsn_check: PerDirection<Option<bool>>,
    pub(super) streams: StreamSet,
    pub(super) addresses: AddressBook,
    pub(super) events: Vec<RawEvent>,
    /// Whether it waits for its rest.
    pub(super) is_queued: bool,
    pub(super) unusual: Unusual,
}

/// The frame of its latest segment that was not an ordinary one, and in the lowest bits how often, of late,
/// its journal had few notes when it ended: each time it waits four times as long for another.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Unusual(u64);

const SHORT_BITS: u32 = 8;

impl Unusual {
    fn short_journals(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    /// One came at `frame`.
    pub(super) fn see(&mut self, frame: u64) {
        self.0 = frame << SHORT_BITS | u64::from(self.short_journals());
    }
}

impl Pack for Unusual {
    /// Without the frame: one that wakes has not had any for long.
    fn pack(&self, to: &mut Packer<'_>) {
        self.short_journals().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Unusual(u8::unpack(from).into())
    }
}

/// Who the hosts of a packed connection are: what the builder begins with.
#[derive(Debug)]
pub(super) struct Identity {
    version: Option<u8>,
    pub(super) keys: PerSide<Option<Key>>,
    derived: Derived,
    token_of_unknown: Option<Token>,
}

pack_fields!(Identity {
    version,
    keys,
    derived,
    token_of_unknown,
});

impl Identity {
    /// The tokens, as far as keys or joins tell them.
    pub(super) fn tokens(&self) -> PerSide<Option<Token>> {
        let version = self.version.and_then(Version::from_number);
        let version = version.unwrap_or(Version::V1);
        let token = |side: Side| {
            let key = (*self.keys.of(side))?;
            Some(self.derived.of(side, key, version).0)
        };
        PerSide {
            client: token(Side::Client),
            server: token(Side::Server).or(self.token_of_unknown),
        }
    }
}

/// What follows from the keys, once it was asked for.
#[derive(Debug, Default)]
pub(super) struct Derived(PerSide<Option<(Version, Token, Dsn)>>);

impl Pack for Derived {
    fn pack(&self, to: &mut Packer<'_>) {
        self.0.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        Derived(Pack::unpack(from))
    }
}

impl Derived {
    /// Token and IDSN of the key of a host that speaks this version.
    fn of(&self, side: Side, key: Key, version: Version) -> (Token, Dsn) {
        match *self.0.of(side) {
            Some((of, token, idsn)) if of == version => (token, idsn),
            _ => key.token_and_idsn(version),
        }
    }
}

/// What the third ACK, which carries both keys, shows beside what was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EchoedKeys {
    /// It is not in the capture.
    NoAck,
    /// No SYN/ACK was there to compare it with.
    Alone,
    Same,
    Other,
}

impl EchoedKeys {
    pub(super) fn verdict(self) -> CheckResult {
        match self {
            Self::NoAck => CheckResult::Unverifiable("no third ACK with keys in the capture"),
            Self::Alone => CheckResult::Unverifiable("no SYN/ACK with a key in the capture"),
            Self::Same => CheckResult::Ok,
            Self::Other => CheckResult::Bad,
        }
    }
}

/// What happens to few connections.
#[derive(Debug, Default)]
pub(super) struct RareConnection {
    /// The SYN/ACK came without MP_CAPABLE: frame, NOPs in a row.
    pub(super) bare_syn_ack: Option<(u64, u8)>,
    /// The answer was our own option.
    pub(super) mirrored: Option<u64>,
    /// A SYN without MP_CAPABLE after one with.
    pub(super) bare_syn: Option<u64>,
    /// Frame of a SYN whose MP_CAPABLE does not parse.
    pub(super) malformed_syn: Option<u64>,
    pub(super) infinite_mapping: Option<(u64, Side)>,
    pub(super) fail: Option<(u64, Side)>,
    pub(super) fast_close: Option<(u64, Side)>,
    pub(super) fast_close_key: Option<CheckResult>,
    /// First mapping without the negotiated checksum.
    pub(super) checksum_missing: Option<(u64, Side)>,
    pub(super) events_dropped: u64,
}

impl Absent for RareConnection {
    const ABSENT: &'static Self = &RareConnection {
        bare_syn_ack: None,
        mirrored: None,
        bare_syn: None,
        malformed_syn: None,
        infinite_mapping: None,
        fail: None,
        fast_close: None,
        fast_close_key: None,
        checksum_missing: None,
        events_dropped: 0,
    };
}

/// An event that knows its stream; the subflow number is settled at the end.
#[derive(Debug, Clone)]
pub(super) struct RawEvent {
    pub(super) frame: u64,
    pub(super) at: Timestamp,
    pub(super) stream: StreamId,
    pub(super) sender: Side,
    pub(super) kind: EventKind,
}

impl ConnectionBuilder {
    /// An empty connection.
    pub(super) fn new(options: DataOptions) -> Self {
        ConnectionBuilder {
            is_merged: false,
            version: None,
            keys: PerSide::default(),
            derived: Derived::default(),
            token_of_unknown: None,
            capable: CapableSeen::default(),
            syn_option: None,
            initial_stream: None,
            checksum: None,
            echoed_keys: EchoedKeys::NoAck,
            rare: Rare::default(),
            data: PerDirection {
                to_server: DataDirection::new(options),
                to_client: DataDirection::new(options),
            },
            idsn_check: PerDirection::default(),
            streams: StreamSet::default(),
            addresses: AddressBook::default(),
            events: Vec::new(),
            is_queued: false,
            unusual: Unusual::default(),
        }
    }

    /// Judges the data of one of its streams, of which nothing more will come.
    pub(super) fn settle_stream(&mut self, stream: StreamId, mptcp: &mut MptcpStream) {
        let number = u32::try_from(stream).unwrap_or(u32::MAX);
        for end in [0, 1] {
            let direction = mptcp.direction(end);
            let part = &mut mptcp.ends[end];
            part.data.finish(self.data.of_mut(direction), number);
            part.drop_mapped_marks();
        }
    }

    /// Nothing more will come. Settle the streams first.
    pub(super) fn settle(&mut self) {
        for direction in Direction::BOTH {
            self.data.of_mut(direction).finish();
        }
    }

    /// Limits of the data level that were reached.
    pub(super) fn data_limits(&self) -> Vec<LimitHit> {
        let directions = Direction::BOTH.iter();
        directions
            .flat_map(|&direction| self.data.of(direction).limits())
            .collect()
    }

    /// The version, if it is one that this toolkit knows.
    pub(super) fn known_version(&self) -> Option<Version> {
        self.version.and_then(Version::from_number)
    }

    /// Both keys, if both are known.
    pub(super) fn both_keys(&self) -> Option<(Key, Key)> {
        Some((self.keys.client?, self.keys.server?))
    }

    /// Derives token and IDSN of a host's key and keeps them. `true` when they were not kept before.
    pub(super) fn derive(&mut self, side: Side) -> Option<(Token, Dsn, bool)> {
        let key = (*self.keys.of(side))?;
        let version = self.known_version().unwrap_or(Version::V1);
        let kept = self.derived.0.of_mut(side);
        if let Some((of, token, idsn)) = *kept
            && of == version
        {
            return Some((token, idsn, false));
        }
        let (token, idsn) = key.token_and_idsn(version);
        *kept = Some((version, token, idsn));
        Some((token, idsn, true))
    }

    /// Token and IDSN of a host's key.
    pub(super) fn derived(&self, side: Side) -> Option<(Token, Dsn)> {
        let key = (*self.keys.of(side))?;
        let version = self.known_version().unwrap_or(Version::V1);
        Some(self.derived.of(side, key, version))
    }

    /// The tokens and IDSNs of its hosts, as far as keys or joins tell them.
    pub(super) fn tokens_and_idsns(&self) -> (PerSide<Option<Token>>, PerSide<Option<Dsn>>) {
        let (client, server) = (self.derived(Side::Client), self.derived(Side::Server));
        let tokens = PerSide {
            client: client.map(|(token, _)| token),
            server: server.map(|(token, _)| token).or(self.token_of_unknown),
        };
        let idsns = PerSide {
            client: client.map(|(_, idsn)| idsn),
            server: server.map(|(_, idsn)| idsn),
        };
        (tokens, idsns)
    }

    /// Whether no MP_CAPABLE of it was seen.
    pub(super) fn has_no_handshake(&self) -> bool {
        self.initial_stream.is_none()
    }

    /// The token of its joins, as long as no key explains it.
    pub(super) fn unexplained_token(&self) -> Option<Token> {
        self.token_of_unknown.filter(|_| self.has_no_handshake())
    }

    /// Its journal ended at `frame`.
    pub(super) fn note_journal(&mut self, is_short: bool, frame: u64) {
        let before = self.unusual.short_journals();
        if is_short {
            let count = before.saturating_add(1).min(MAX_SHORT_JOURNALS);
            self.unusual = Unusual(count.into());
            self.unusual.see(frame);
        } else {
            self.unusual = Unusual::default();
        }
    }

    /// The frame up to which it has no other journal if idle ones wait for `idle_frames`.
    pub(super) fn noted_after(&self, idle_frames: u64) -> u64 {
        let wait = idle_frames.saturating_mul(1 << (2 * self.unusual.short_journals()));
        (self.unusual.0 >> SHORT_BITS).saturating_add(wait)
    }

    /// Whether no data can follow any more.
    pub(super) fn is_over(&self) -> bool {
        self.rare.fast_close.is_some() || self.has_both_data_fins()
    }

    /// Whether both hosts have sent DATA_FIN.
    pub(super) fn has_both_data_fins(&self) -> bool {
        Direction::BOTH
            .iter()
            .all(|&direction| self.data.of(direction).data_fin_frame().is_some())
    }

    /// Whether each host has acknowledged the other's DATA_FIN (RFC 8684 §3.3.3).
    pub(super) fn data_fins_are_acked(&self) -> bool {
        Direction::BOTH
            .iter()
            .all(|&direction| self.data.of(direction).data_fin_is_acked())
    }

    /// Its first streams, which show its hosts.
    pub(super) fn known_streams(&self) -> impl Iterator<Item = StreamId> {
        self.streams.iter().take(MAX_COMPARED_STREAMS)
    }

    /// Whether `stream` is its only one.
    pub(super) fn has_only(&self, stream: StreamId) -> bool {
        self.streams.len() == 1 && self.streams.iter().next() == Some(stream)
    }

    /// Takes out what happened on `stream`.
    pub(super) fn take_events_of(&mut self, stream: StreamId) -> Vec<RawEvent> {
        self.events
            .extract_if(.., |event| event.stream == stream)
            .collect()
    }

    /// Takes over what happened in another part of the connection.
    pub(super) fn add_events(&mut self, events: Vec<RawEvent>) {
        let room = MAX_EVENTS.saturating_sub(self.events.len());
        self.drop_events(events.len().saturating_sub(room) as u64);
        self.events.extend(events.into_iter().take(room));
    }

    /// Records that something happened.
    pub(super) fn note(&mut self, place: Place, sender: Side, kind: EventKind) {
        if self.events.len() >= MAX_EVENTS {
            self.drop_events(1);
            return;
        }
        if self.events.len() == self.events.capacity() {
            // One while it is open, a dozen when it is over.
            let few = match self.events.len() {
                0 => 1,
                1 => 3,
                len => (len / 2).clamp(1, 512),
            };
            self.events.reserve_exact(few);
        }
        self.events.push(RawEvent {
            frame: place.frame,
            at: place.at,
            stream: place.stream,
            sender,
            kind,
        });
    }

    /// Notes whether an MP_CAPABLE asks for checksums: one host is enough (RFC 8684 §3.1, flag A).
    pub(super) fn ask_checksum(&mut self, asked: bool) {
        self.checksum = Some(self.checksum.unwrap_or(false) || asked);
    }

    /// Swaps client and server.
    pub(super) fn turn_around(&mut self) {
        std::mem::swap(&mut self.keys.client, &mut self.keys.server);
        self.derived = Derived::default();
        std::mem::swap(&mut self.data.to_server, &mut self.data.to_client);
        std::mem::swap(
            &mut self.idsn_check.to_server,
            &mut self.idsn_check.to_client,
        );
        if let Some(rare) = self.rare.get_mut() {
            rare.turn_around();
        }
        for event in &mut self.events {
            event.sender = event.sender.other();
        }
        self.addresses.turn_around();
    }

    /// Takes over all that is known of another part of the same connection.
    pub(super) fn absorb(&mut self, other: ConnectionBuilder) {
        self.streams.extend(other.streams.iter());
        self.add_events(other.events);
        self.addresses.absorb(other.addresses);
        if !other.rare.is_absent() {
            self.rare.made().absorb(&other.rare);
        }
    }

    fn drop_events(&mut self, count: u64) {
        if count > 0 {
            self.rare.made().events_dropped += count;
        }
    }
}

impl RareConnection {
    /// Swaps client and server.
    fn turn_around(&mut self) {
        for (_, side) in [
            &mut self.infinite_mapping,
            &mut self.fail,
            &mut self.fast_close,
            &mut self.checksum_missing,
        ]
        .into_iter()
        .flatten()
        {
            *side = side.other();
        }
    }

    /// Takes over what is known of another part of the same connection.
    fn absorb(&mut self, other: &Self) {
        fn earlier(one: &mut Option<(u64, Side)>, other: Option<(u64, Side)>) {
            *one = [*one, other]
                .into_iter()
                .flatten()
                .min_by_key(|(frame, _)| *frame);
        }
        self.events_dropped += other.events_dropped;
        earlier(&mut self.infinite_mapping, other.infinite_mapping);
        earlier(&mut self.fail, other.fail);
        earlier(&mut self.fast_close, other.fast_close);
        earlier(&mut self.checksum_missing, other.checksum_missing);
        self.fast_close_key = self.fast_close_key.or(other.fast_close_key);
    }
}
