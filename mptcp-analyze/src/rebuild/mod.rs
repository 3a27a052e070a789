//! From segments to connections: the rebuilder takes the segments of a capture in file order and
//! ends with the model. Half-seen connections are normal, and nothing inside a packet is an error.

mod address;
mod close;
mod connection;
pub(crate) mod data;
mod fallback;
mod finish;
mod flow;
mod follow;
mod grouping;
mod handshake;
mod join;
mod observe;
mod options;
mod stream;
mod transfer;

pub use data::StreamChunk;
pub use follow::FollowPlan;

use mptcp_proto::wire::mptcp::MptcpOption;

use self::connection::ConnectionBuilder;
use self::data::DataOptions;
use self::flow::{FlowTable, Located, StreamId};
use self::grouping::GroupingIndex;
use self::options::SegmentOptions;
use self::stream::{Place, Stream};
use crate::model::{Direction, LimitHit, PacketNote, Piece, Segment, Side};

/// Most MPTCP connections that are kept. A capture with more is cut off from new ones; at 2 KiB a
/// connection this is 8 GiB.
const MAX_CONNECTIONS: usize = 4_000_000;

/// What the rebuilder is asked for beside the model.
#[derive(Debug, Clone, Default)]
pub struct RebuildOptions {
    /// Verify DSS checksums (reads every payload byte that a checksum covers).
    pub verify_checksums: bool,
    /// Verify TCP checksums (reads every byte).
    pub verify_tcp_checksums: bool,
    /// Return a note for every segment.
    pub note_packets: bool,
    /// Put the data streams of these connections together.
    pub follow: FollowPlan,
}

/// Takes segments, gives connections.
#[derive(Debug)]
pub struct Rebuilder {
    options: RebuildOptions,
    flows: FlowTable,
    streams: Vec<Stream>,
    connections: Vec<ConnectionBuilder>,
    index: GroupingIndex,
    /// Pieces of the segment at hand, kept to use their memory again.
    pieces: Vec<Piece>,
    connections_dropped: u64,
    /// Limits of the data level that were reached.
    data_limits: Vec<LimitHit>,
}

impl Rebuilder {
    /// A rebuilder that has seen nothing.
    pub fn new(options: RebuildOptions) -> Self {
        Rebuilder {
            options,
            flows: FlowTable::default(),
            streams: Vec::new(),
            connections: Vec::new(),
            index: GroupingIndex::default(),
            pieces: Vec::new(),
            connections_dropped: 0,
            data_limits: Vec::new(),
        }
    }

    /// Takes the next segment. Returns what it turned out to be if notes were asked for.
    pub fn push(&mut self, segment: &Segment<'_>) -> Option<PacketNote> {
        let located = self.flows.locate(segment)?;
        if located.is_new {
            self.streams.push(Stream::new(segment));
        }
        let mut note = self
            .options
            .note_packets
            .then(|| PacketNote::new(located.stream as u64));
        if self.streams[located.stream].count(segment, located.end) {
            if let Some(note) = &mut note {
                note.duplicate = true;
                note.direction = Some(self.direction_of(located));
            }
            return note;
        }
        self.take(segment, located, note.as_mut());
        note
    }

    fn take(&mut self, segment: &Segment<'_>, located: Located, mut note: Option<&mut PacketNote>) {
        let place = Place {
            stream: located.stream,
            end: located.end,
            frame: segment.frame,
            at: segment.at,
        };
        let joined = self.streams[place.stream]
            .mptcp
            .as_ref()
            .map(|m| m.connection);
        let version = joined.and_then(|connection| self.connections[connection].known_version());
        let options = SegmentOptions::decode(segment, version);
        if options.has_mptcp() || joined.is_some() {
            self.connect(segment, place, &options);
        }
        if self.streams[place.stream].mptcp.is_some() {
            self.observe(segment, place, &options);
            self.transfer(segment, place, &options, note.as_deref_mut());
        }
        self.close(segment, place, &options);
        if let Some(note) = note {
            note.direction = Some(self.direction_of(located));
        }
    }

    /// Finds or makes the connection of a segment that has an MPTCP option, or whose stream has one.
    fn connect(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        if let Some(capable) = options.iter().find_map(|option| match option {
            MptcpOption::Capable(capable) => Some(*capable),
            _ => None,
        }) {
            self.on_capable(segment, place, &capable, options);
        } else if let Some(join) = options.iter().find_map(|option| match option {
            MptcpOption::Join(join) => Some(*join),
            _ => None,
        }) {
            self.on_join(segment, place, join);
        } else if segment.flags.syn() && !segment.flags.ack() && options.has_malformed_capable() {
            self.on_malformed_capable_syn(place, options);
        } else if self.streams[place.stream].mptcp.is_none() {
            self.on_unseen_stream(segment, place, options);
        }
    }

    fn direction_of(&self, located: Located) -> Direction {
        let stream = &self.streams[located.stream];
        let client_end = match &stream.mptcp {
            Some(mptcp) => mptcp.client_end,
            None => self.flows.ends(located.stream).likely_opener(),
        };
        let side = if located.end == client_end {
            Side::Client
        } else {
            Side::Server
        };
        side.sends()
    }

    /// A new connection, or `None` when there is no room for another. `stream` decides whether its
    /// data stream is to be put together.
    fn new_connection(&mut self, stream: StreamId) -> Option<usize> {
        if self.connections.len() >= MAX_CONNECTIONS {
            self.connections_dropped += 1;
            return None;
        }
        let options = DataOptions {
            verify_checksums: self.options.verify_checksums,
            assemble: self.options.follow.wants(stream),
            keep_stream: self.options.follow.keep,
        };
        self.connections.push(ConnectionBuilder::new(options));
        Some(self.connections.len() - 1)
    }
}

impl PacketNote {
    fn new(tcp_stream: u64) -> Self {
        PacketNote {
            tcp_stream,
            direction: None,
            duplicate: false,
            ssn: None,
            pieces: Vec::new(),
            mapping: None,
            data_ack: None,
            address_ids: Vec::new(),
        }
    }
}
