//! From segments to connections: the rebuilder takes the segments of a capture in file order and
//! ends with the model. Half-seen connections are normal, and nothing inside a packet is an error.

mod address;
mod checksums;
mod close;
mod connection;
mod copies;
pub(crate) mod data;
mod fallback;
mod finish;
mod flow;
mod follow;
mod glance;
mod grouping;
mod handshake;
mod join;
mod journal;
mod limits;
mod observe;
mod options;
mod ordinary;
mod pack;
mod packed;
mod rare;
mod rest;
mod slots;
mod stream;
mod stream_set;
mod transfer;

pub use data::StreamChunk;
pub use finish::Finished;
pub use follow::FollowPlan;
pub(crate) use glance::{Glance, Lookout, Whole, plain_dss};
pub use limits::Limits;

use std::collections::VecDeque;

use mptcp_proto::wire::mptcp::MptcpOption;
use tracing::{Level, enabled, info, trace};

use self::connection::ConnectionBuilder;
use self::data::{Assemble, DataOptions};
use self::flow::{FlowTable, Located, StreamId};
use self::grouping::GroupingIndex;
use self::options::SegmentOptions;
use self::pack::Packing;
use self::slots::{Connections, Streams};
use self::stream::{Place, Stream};
use crate::model::{Direction, LimitHit, PacketNote, Piece, Segment, Side};

/// What the rebuilder is asked for beside the model.
#[derive(Debug, Clone, Default)]
pub struct RebuildOptions {
    /// Verify DSS checksums (reads every payload byte that a checksum covers).
    pub verify_checksums: bool,
    /// Verify TCP checksums (reads every byte).
    pub verify_tcp_checksums: bool,
    /// Of the ordinary segments of each end of a subflow, verify no more than so many, but go on
    /// where one is bad; `None` verifies all of them.
    pub tcp_checksum_samples: Option<u64>,
    /// Return a note for every segment.
    pub note_packets: bool,
    /// Put the data streams of these connections together.
    pub follow: FollowPlan,
    /// How much is kept.
    pub limits: Limits,
}

/// Takes segments, gives connections.
#[derive(Debug)]
pub struct Rebuilder {
    options: RebuildOptions,
    /// Whether every segment is looked at from all sides: notes are wanted, or streams.
    takes_long_way: bool,
    limits: Limits,
    flows: FlowTable,
    streams: Streams,
    connections: Connections,
    /// Connections that are over, each with the frame since when it is watched.
    ending: VecDeque<(u64, usize)>,
    /// No connection comes to rest up to this frame.
    next_rest: u64,
    /// Connections that are open, likewise.
    open: VecDeque<(u64, usize)>,
    /// The frame after which the first of those is to be looked at.
    quiet_until: u64,
    /// How often one of those was packed, or looked at, in vain.
    in_vain: u64,
    /// The frame at hand.
    frame: u64,
    /// Packs connections.
    packing: Packing,
    /// Looks at segments first.
    lookout: Lookout,
    index: GroupingIndex,
    /// Pieces of the segment at hand, kept to use their memory again.
    pieces: Vec<Piece>,
    /// Options of the segment at hand, likewise.
    segment_options: Option<Box<SegmentOptions>>,
    connections_dropped: u64,
    /// Events, and addresses with oddities, that finished connections had no room for.
    events_dropped: u64,
    addresses_dropped: u64,
    /// Streams whose MPTCP part is kept.
    subflows: usize,
    /// Segments of further ones.
    subflow_segments_dropped: u64,
    /// HMACs computed to find the connection of joins.
    hmac_tries: u64,
    /// Searches for the connection of a join that ended at [`MAX_HMAC_TRIES`].
    hmac_searches_cut: u64,
    /// Limits of the data level that were reached.
    data_limits: Vec<LimitHit>,
}

impl Rebuilder {
    /// A rebuilder that has seen nothing.
    pub fn new(options: RebuildOptions) -> Self {
        let limits = options.limits;
        let lookout = Lookout::default();
        Rebuilder {
            takes_long_way: options.note_packets || !options.follow.is_empty(),
            options,
            limits,
            flows: FlowTable::new(limits.streams, lookout.hashing()),
            streams: Streams::default(),
            connections: Connections::default(),
            ending: VecDeque::new(),
            next_rest: limits.rest_frames,
            open: VecDeque::new(),
            quiet_until: u64::MAX,
            in_vain: 0,
            frame: 0,
            packing: Packing::default(),
            lookout,
            index: GroupingIndex::default(),
            pieces: Vec::new(),
            segment_options: None,
            connections_dropped: 0,
            events_dropped: 0,
            addresses_dropped: 0,
            subflows: 0,
            subflow_segments_dropped: 0,
            hmac_tries: 0,
            hmac_searches_cut: 0,
            data_limits: Vec::new(),
        }
    }

    /// Takes the next segment. Returns what it turned out to be if notes were asked for.
    pub fn push(&mut self, segment: &Segment<'_>) -> Option<PacketNote> {
        let glance = self.lookout.glance(segment);
        self.push_seen(&glance, segment)
    }

    /// What looks at segments for [`Self::push_seen`].
    pub(crate) fn lookout(&self) -> Lookout {
        self.lookout.clone()
    }

    /// Takes the next segment, which was looked at before.
    #[inline]
    pub(crate) fn push_seen<'a>(
        &mut self,
        glance: &Glance,
        whole: &impl Whole<'a>,
    ) -> Option<PacketNote> {
        let located = self.flows.locate(glance, whole)?;
        if located.is_new {
            self.streams.push(Stream::new(&whole.segment()));
        }
        self.rest(glance.frame);
        if let Some((connection, stream)) = self.streams.sleeps_in(located.stream) {
            if self.note_asleep(connection, (stream, located.end), glance, whole) {
                return None;
            }
            self.wake(connection);
        }
        let mut note = self
            .options
            .note_packets
            .then(|| PacketNote::new(located.stream as u64));
        if self.streams[located.stream].count(glance, located.end) {
            if let Some(note) = &mut note {
                note.duplicate = true;
                note.direction = Some(self.direction_of(located));
            }
            return note;
        }
        if enabled!(Level::TRACE) {
            trace_segment(&whole.segment(), located.stream);
        }
        let place = Place {
            stream: located.stream,
            end: located.end,
            frame: glance.frame,
            at: glance.at,
        };
        if !self.take_ordinary(glance, whole, place) {
            self.take(&whole.segment(), place, note.as_mut());
        }
        if let Some(note) = &mut note {
            note.direction = Some(self.direction_of(located));
        }
        note
    }

    #[inline(never)]
    fn take(&mut self, segment: &Segment<'_>, place: Place, note: Option<&mut PacketNote>) {
        let joined = self.streams[place.stream]
            .mptcp
            .as_ref()
            .map(|m| m.connection);
        let version = joined.and_then(|connection| self.connections[connection].known_version());
        let mut options = self.segment_options.take().unwrap_or_default();
        options.decode(segment, version);
        self.take_decoded(segment, place, &options, note);
        self.segment_options = Some(options);
    }

    fn take_decoded(
        &mut self,
        segment: &Segment<'_>,
        place: Place,
        options: &SegmentOptions,
        note: Option<&mut PacketNote>,
    ) {
        let joined = self.streams[place.stream].mptcp.is_some();
        if options.has_mptcp() || joined {
            self.connect(segment, place, options);
        }
        if self.streams[place.stream].mptcp.is_some() {
            self.observe(segment, place, options);
            self.transfer(segment, place, options, note);
        }
        if let Some(mptcp) = &self.streams[place.stream].mptcp {
            let builder = &mut self.connections[mptcp.connection];
            builder.unusual.see(place.frame);
        }
        self.close(segment, place, options);
        if segment.flags.fin() || segment.flags.rst() || !options.are_plain() {
            self.watch_end(place);
        }
    }

    /// Finds or makes the connection of a segment that has an MPTCP option, or whose stream has one.
    fn connect(&mut self, segment: &Segment<'_>, place: Place, options: &SegmentOptions) {
        let is_new = self.streams[place.stream].mptcp.is_none();
        if !is_new && options.are_plain() {
            return;
        }
        if is_new && self.subflows >= self.limits.subflows {
            self.subflow_segments_dropped += 1;
            return;
        }
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
        if self.connections.len() >= self.limits.connections {
            self.connections_dropped += 1;
            return None;
        }
        let options = DataOptions {
            verify_checksums: self.options.verify_checksums,
            assemble: match (self.options.follow.wants(stream), self.options.follow.keep) {
                (false, _) => Assemble::No,
                (true, false) => Assemble::Hash,
                (true, true) => Assemble::Keep,
            },
            name_frames: self.options.note_packets,
        };
        self.connections
            .push(Box::new(ConnectionBuilder::new(options)));
        let connection = self.connections.len() - 1;
        self.watch_open(connection);
        info!(connection, tcp_stream = stream, "new connection");
        Some(connection)
    }
}

/// Apart, so that what was seen of a segment can stay in registers elsewhere.
#[cold]
#[inline(never)]
fn trace_segment(segment: &Segment<'_>, stream: StreamId) {
    trace!(
        frame = segment.frame,
        tcp_stream = stream,
        from = %segment.source,
        seq = segment.seq.0,
        len = segment.payload_len,
        "segment"
    );
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

#[cfg(test)]
mod tests;
