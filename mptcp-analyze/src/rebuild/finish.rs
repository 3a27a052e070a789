//! The end of the capture: from what was kept to the model.

use std::ops::Range;

use mptcp_proto::key::Token;

use super::Rebuilder;
use super::address::MAX_ADDRESSES;
use super::close::close_of;
use super::connection::{ConnectionBuilder, MAX_EVENTS};
use super::flow::{FlowTable, StreamId};
use super::join::check_join;
use super::stream::{MptcpStream, Stream};
use crate::model::{
    Analysis, CheckResult, CloseKind, Connection, ConnectionState, Direction, DirectionTotals,
    Event, EventKind, Grouping, JoinSeen, LimitHit, Overview, PerDirection, Side, Subflow,
    SubflowKind, SubflowTotals, Timestamp, TokenOwner,
};

impl Rebuilder {
    /// Ends the capture. `captures` of the model is left to the caller, who read the files.
    pub fn finish(self) -> Analysis {
        let finished = self.end();
        let connections = finished.ids().filter_map(|id| finished.connection(id));
        Analysis::new(finished.overview(), connections.collect())
    }

    /// Ends the capture; the connections are to be had one at a time.
    pub fn end(mut self) -> Finished {
        self.end_followed();
        let mut order = Vec::new();
        let mut duplicates = 0;
        for connection in 0..self.connections.len() {
            if let Some(asleep) = self.connections.asleep(connection) {
                let head = asleep.head();
                duplicates += head.duplicates;
                order.push((head.first_frame, connection));
                continue;
            }
            let whole = self.awake(connection);
            let streams = whole.streams.iter();
            duplicates += streams.clone().map(|(_, s)| s.duplicates).sum::<u64>();
            if let Some(first_frame) = streams.map(|(_, s)| s.first_frame).min() {
                order.push((first_frame, connection));
            }
            let addresses = whole.builder.addresses.rare.dropped + whole.users_dropped();
            self.events_dropped += whole.builder.rare.events_dropped;
            self.addresses_dropped += addresses;
        }
        // Streams that are asleep are those of connections.
        let plain = self.streams.awake().filter(|stream| stream.mptcp.is_none());
        let plain_tcp_streams = plain.count() as u64;
        order.sort_unstable();
        Finished {
            plain_tcp_streams,
            duplicate_packets: duplicates,
            order: order
                .into_iter()
                .map(|(_, connection)| connection)
                .collect(),
            rebuilder: self,
        }
    }

    /// Nothing more will come: what waits behind a hole of a followed stream can be taken now.
    pub fn end_followed(&mut self) {
        for connection in 0..self.connections.len() {
            if !self.connections.is_merged(connection)
                && self.connections.asleep(connection).is_none()
            {
                self.settle_keys(connection);
                self.settle_data(connection);
            }
        }
    }

    /// Judges all data that are still open: nothing more will come.
    fn settle_data(&mut self, connection: usize) {
        let builder = &mut self.connections[connection];
        let streams: Vec<StreamId> = builder.streams.iter().collect();
        for stream in streams {
            let Some(mptcp) = &mut self.streams[stream].mptcp else {
                continue;
            };
            builder.settle_stream(stream, mptcp);
            let limits = mptcp.ends.iter().map(|end| end.data.limits());
            self.data_limits.extend(limits.flatten());
        }
        builder.settle();
        self.data_limits.extend(builder.data_limits());
    }

    /// A connection that is awake, with its streams.
    fn awake(&self, connection: usize) -> Whole<'_> {
        let builder = &self.connections[connection];
        let is_merged = builder.is_merged;
        let streams = builder.streams.iter().filter(|_| !is_merged);
        Whole {
            flows: &self.flows,
            builder,
            streams: streams.map(|id| (id, &self.streams[id])).collect(),
            plain_retry: self.plain_retry(builder),
        }
    }

    /// First frame of a stream without MPTCP that was accepted where the connection had been refused.
    fn plain_retry(&self, builder: &ConnectionBuilder) -> Option<u64> {
        if builder.capable.syns == 0 || builder.capable.syn_ack.is_some() {
            return None;
        }
        let later = self.flows.accepted_later(builder.initial_stream?)?;
        let stream = self.streams.get(later)?;
        stream.mptcp.is_none().then_some(stream.first_frame)
    }

    /// The model of a connection.
    fn connection(&self, id: u32, index: usize) -> Connection {
        let Some((mut builder, mut streams)) = self.unpacked(index) else {
            return self.awake(index).connection(id);
        };
        for (stream, unpacked) in &mut streams {
            if let Some(mptcp) = &mut unpacked.mptcp {
                builder.settle_stream(*stream, mptcp);
            }
        }
        builder.settle();
        for side in [Side::Client, Side::Server] {
            builder.derive(side);
        }
        let whole = Whole {
            flows: &self.flows,
            builder: &builder,
            streams: streams.iter().map(|(id, stream)| (*id, stream)).collect(),
            plain_retry: self.plain_retry(&builder),
        };
        whole.connection(id)
    }

    fn limits(&self) -> Vec<LimitHit> {
        let mut limits = vec![
            LimitHit {
                limit: "TCP streams",
                value: self.limits.streams as u64,
                dropped: self.flows.dropped,
            },
            LimitHit {
                limit: "MPTCP connections",
                value: self.limits.connections as u64,
                dropped: self.connections_dropped,
            },
            LimitHit {
                limit: "MPTCP subflows",
                value: self.limits.subflows as u64,
                dropped: self.subflow_segments_dropped,
            },
            LimitHit {
                limit: "events of one connection",
                value: MAX_EVENTS as u64,
                dropped: self.events_dropped,
            },
            LimitHit {
                limit: "addresses of one connection",
                value: MAX_ADDRESSES as u64,
                dropped: self.addresses_dropped,
            },
            LimitHit {
                limit: "HMACs computed to find the connection of a join",
                value: self.limits.hmac_tries,
                dropped: self.hmac_searches_cut,
            },
        ];
        for hit in &self.data_limits {
            match limits.iter_mut().find(|known| known.limit == hit.limit) {
                Some(known) => known.dropped += hit.dropped,
                None => limits.push(hit.clone()),
            }
        }
        limits.retain(|hit| hit.dropped > 0);
        limits
    }
}

/// A connection with all its streams.
pub(super) struct Whole<'a> {
    pub(super) flows: &'a FlowTable,
    pub(super) builder: &'a ConnectionBuilder,
    /// In the order of their ids.
    pub(super) streams: Vec<(StreamId, &'a Stream)>,
    /// First frame of a plain stream that was accepted on the 4-tuple of the initial subflow later.
    pub(super) plain_retry: Option<u64>,
}

impl Whole<'_> {
    /// One of its streams.
    pub(super) fn stream(&self, id: StreamId) -> Option<&Stream> {
        let found = self.streams.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.streams.get(found).map(|(_, stream)| *stream)
    }

    /// The streams in the order of their subflow numbers.
    fn order(&self) -> Vec<(StreamId, &Stream)> {
        let mut order = self.streams.clone();
        order.sort_by_key(|(id, stream)| (stream.first_frame, *id));
        order
    }

    fn connection(&self, id: u32) -> Connection {
        let builder = self.builder;
        let order = self.order();
        let subflows: Vec<Subflow> = (0..)
            .zip(&order)
            .map(|(id, &(stream, state))| self.subflow(id, stream, state))
            .collect();
        let order: Vec<StreamId> = order.into_iter().map(|(id, _)| id).collect();
        let totals = PerDirection {
            to_server: builder.data.to_server.totals(),
            to_client: builder.data.to_client.totals(),
        };
        let fallback = self.fallback(&totals);
        let state = state_of(builder, &subflows, fallback.is_some());
        let (tokens, idsns) = builder.tokens_and_idsns();
        let frames = |pick: fn(&Subflow) -> u64| subflows.iter().map(pick);
        let times = |pick: fn(&Subflow) -> Timestamp| subflows.iter().map(pick);
        let groupings = subflows.iter().map(|subflow| subflow.grouping);
        Connection {
            id,
            version: builder.version,
            grouping: groupings.max().unwrap_or(Grouping::Token),
            checksum: builder.checksum,
            keys: builder.keys,
            tokens,
            idsns,
            token_of_unknown: builder.unexplained_token(),
            capable: builder.capable.clone(),
            echoed_keys: builder.echoed_keys.verdict(),
            idsn_check: idsn_check(builder),
            fast_close_key: builder.rare.fast_close_key,
            fail_dsn: fail_dsn(builder, &totals),
            state,
            fallback,
            addresses: self.addresses(&order),
            events: events(builder, &order),
            address_events: builder.addresses.rare.events.clone(),
            totals: PerDirection {
                to_server: direction_totals(totals.to_server, Direction::ToServer, &subflows),
                to_client: direction_totals(totals.to_client, Direction::ToClient, &subflows),
            },
            first_frame: frames(|s| s.first_frame).min().unwrap_or_default(),
            last_frame: frames(|s| s.last_frame).max().unwrap_or_default(),
            first_at: times(|s| s.first_at).min().unwrap_or_default(),
            last_at: times(|s| s.last_at).max().unwrap_or_default(),
            subflows,
            findings: Vec::new(),
        }
    }

    fn subflow(&self, id: u32, stream_id: StreamId, stream: &Stream) -> Subflow {
        let builder = self.builder;
        let mptcp = stream
            .mptcp
            .as_deref()
            .expect("a stream in a connection has an MPTCP part");
        let ends = self.flows.ends(stream_id);
        let (client, server) = (mptcp.client_end, 1 - mptcp.client_end);
        let initial = builder.initial_stream == Some(stream_id);
        let address_id = |end: usize| match mptcp.kind {
            SubflowKind::Capable => Some(mptcp_proto::key::AddressId(0)),
            _ => mptcp.join.ids[end],
        };
        let opener = match mptcp.kind {
            SubflowKind::Join if mptcp.join.syns > 0 => Some(mptcp.join.opener),
            _ => ends.opener(),
        };
        Subflow {
            id,
            tcp_stream: stream_id as u64,
            kind: mptcp.kind,
            grouping: mptcp.grouping,
            initiator: opener.map(|end| mptcp.side(end)),
            client: ends.addresses()[client],
            server: ends.addresses()[server],
            client_address_id: address_id(client),
            server_address_id: address_id(server),
            backup: mptcp.join.backup,
            priority_changes: mptcp.rare.priority_changes.clone(),
            established: mptcp.is_established() || (initial && handshake_complete(builder)),
            join: (mptcp.kind == SubflowKind::Join).then(|| join_seen(mptcp, builder)),
            interface: stream.interface,
            packets: stream.packets,
            duplicate_packets: stream.duplicates,
            packets_with_option: mptcp.packets_with_option,
            first_frame: stream.first_frame,
            last_frame: stream.last_frame,
            first_at: stream.first_at,
            last_at: stream.last_at,
            syn_rtt_ns: syn_rtt(stream),
            close: close_of(stream, mptcp),
            totals: PerDirection {
                to_server: subflow_totals(stream, mptcp, client),
                to_client: subflow_totals(stream, mptcp, server),
            },
        }
    }
}

/// A capture of which nothing more will come.
///
/// Models of its connections are made when they are asked for, so that only those at hand take
/// memory.
#[derive(Debug)]
pub struct Finished {
    rebuilder: Rebuilder,
    /// Builders of the connections in the order of their numbers.
    order: Vec<usize>,
    plain_tcp_streams: u64,
    duplicate_packets: u64,
}

impl Finished {
    /// What is known of the whole. `captures` is left to the caller, who read the files, and
    /// `findings` to `check`.
    pub fn overview(&self) -> Overview {
        Overview {
            captures: Vec::new(),
            tcp_streams: self.rebuilder.flows.len() as u64,
            plain_tcp_streams: self.plain_tcp_streams,
            connections: self.ids().end,
            duplicate_packets: self.duplicate_packets,
            findings: Vec::new(),
            limits: self.rebuilder.limits(),
        }
    }

    /// The numbers of the connections.
    pub fn ids(&self) -> Range<u32> {
        0..u32::try_from(self.order.len()).unwrap_or(u32::MAX)
    }

    /// The connection with this number.
    pub fn connection(&self, id: u32) -> Option<Connection> {
        let index = *self.order.get(usize::try_from(id).ok()?)?;
        Some(self.rebuilder.connection(id, index))
    }

    /// The tokens of all connections, in the order of their numbers.
    pub fn tokens(&self) -> impl Iterator<Item = TokenOwner> {
        self.ids()
            .zip(&self.order)
            .flat_map(|(connection, &index)| {
                let connections = &self.rebuilder.connections;
                let (tokens, keys) = if let Some(asleep) = connections.asleep(index) {
                    let identity = asleep.identity();
                    (identity.tokens(), identity.keys)
                } else {
                    let builder = &connections[index];
                    (builder.tokens_and_idsns().0, builder.keys)
                };
                [Side::Client, Side::Server]
                    .into_iter()
                    .filter_map(move |side| {
                        Some(TokenOwner {
                            token: (*tokens.of(side))?,
                            connection,
                            side,
                            key: *keys.of(side),
                        })
                    })
            })
    }
}

fn join_seen(mptcp: &MptcpStream, builder: &ConnectionBuilder) -> JoinSeen {
    let join = &mptcp.join;
    let receiver = mptcp.side(1 - join.opener);
    let check = |syn_ack| {
        if join.is_good(syn_ack) {
            CheckResult::Ok
        } else {
            check_join(join, builder, receiver, syn_ack)
        }
    };
    JoinSeen {
        token: join.token,
        token_check: check_token(join.token, builder, receiver),
        syn_frame: join.syn_frame.get(),
        syn_ack_frame: join.syn_ack_frame.get(),
        ack_frame: join.ack_frame.get(),
        syns: join.syns,
        syn_ack_hmac: check(true),
        ack_hmac: check(false),
    }
}

fn subflow_totals(stream: &Stream, mptcp: &MptcpStream, end: usize) -> SubflowTotals {
    let part = &mptcp.ends[end];
    let bytes = part.data.totals();
    SubflowTotals {
        packets: u64::from(stream.ends[end].packets),
        wire_bytes: stream.ends[end].wire_bytes,
        unique_bytes: bytes.unique_bytes,
        tcp_retransmitted_bytes: bytes.odd.tcp_retransmitted_bytes,
        data_retransmitted_bytes: bytes.odd.data_retransmitted_bytes,
        reinjected_bytes: bytes.odd.reinjected_bytes,
        spurious_bytes: bytes.odd.spurious_bytes,
        unmapped_bytes: bytes.odd.unmapped_bytes,
        bare_acks: u64::from(part.rare.bare_acks),
        bare_acks_at_end: u64::from(part.rare.open_bare_acks),
        first_bare_ack_frame: part.rare.first_bare_ack.get(),
        most_repeats: u64::from(part.rare.repeats.most),
        most_repeated_frame: part.rare.repeats.most_frame.get(),
        first_unmapped_frame: part.rare.unmapped_marks.first().map(|(frame, _)| *frame),
        options: part.options.tally(),
        tcp_checksums: part.tcp_checksums.tally(),
    }
}

fn direction_totals(
    mut totals: DirectionTotals,
    direction: Direction,
    subflows: &[Subflow],
) -> DirectionTotals {
    let sum = |pick: fn(&SubflowTotals) -> u64| {
        subflows
            .iter()
            .map(|subflow| pick(subflow.totals.of(direction)))
            .sum::<u64>()
    };
    totals.wire_bytes = sum(|t| t.wire_bytes);
    totals.reinjected_bytes = sum(|t| t.reinjected_bytes);
    totals.data_retransmitted_bytes = sum(|t| t.data_retransmitted_bytes);
    totals.spurious_bytes = sum(|t| t.spurious_bytes);
    totals
}

/// The token of a join against the key of its receiver.
fn check_token(token: Option<Token>, builder: &ConnectionBuilder, receiver: Side) -> CheckResult {
    match (token, builder.derived(receiver)) {
        (None, _) => CheckResult::Unverifiable("the SYN is not in the capture"),
        (_, None) => CheckResult::Unverifiable("the key is not in the capture"),
        (Some(token), Some((expected, _))) if expected == token => CheckResult::Ok,
        _ => CheckResult::Bad,
    }
}

/// The DSN of the first MP_FAIL against the mappings with a wrong checksum.
fn fail_dsn(
    builder: &ConnectionBuilder,
    totals: &PerDirection<DirectionTotals>,
) -> Option<CheckResult> {
    let (sender, dsn) = builder.events.iter().find_map(|event| match event.kind {
        EventKind::Fail { dsn } => Some((event.sender, dsn)),
        _ => None,
    })?;
    let totals = totals.of(sender.other().sends());
    Some(if totals.bad_checksum_dsns.contains(&dsn) {
        CheckResult::Ok
    } else if totals.checksums.bad > 0 {
        CheckResult::Bad
    } else {
        CheckResult::Unverifiable("no wrong checksum in this capture")
    })
}

fn idsn_check(builder: &ConnectionBuilder) -> PerDirection<CheckResult> {
    let verdict = |direction: Direction| match *builder.idsn_check.of(direction) {
        Some(true) => CheckResult::Ok,
        Some(false) => CheckResult::Bad,
        None if builder.keys.of(direction.sender()).is_none() => {
            CheckResult::Unverifiable("the key is not in the capture")
        }
        None => CheckResult::Unverifiable("no mapping in the capture"),
    };
    PerDirection {
        to_server: verdict(Direction::ToServer),
        to_client: verdict(Direction::ToClient),
    }
}

fn events(builder: &ConnectionBuilder, order: &[StreamId]) -> Vec<Event> {
    let mut numbers: Vec<(StreamId, u32)> = order.iter().copied().zip(0..).collect();
    numbers.sort_unstable();
    let number = |stream: StreamId| {
        let found = numbers.binary_search_by_key(&stream, |(id, _)| *id);
        found.ok().and_then(|at| numbers.get(at))
    };
    let mut events: Vec<Event> = builder
        .events
        .iter()
        .map(|event| Event {
            frame: event.frame,
            at: event.at,
            subflow: number(event.stream).map_or(0, |(_, number)| *number),
            sender: event.sender,
            kind: event.kind.clone(),
        })
        .collect();
    // Two interfaces of one capture may be written out of time order.
    events.sort_by_key(|event| (event.at, event.frame));
    events
}

fn handshake_complete(builder: &ConnectionBuilder) -> bool {
    builder.capable.syn_ack.is_some() && builder.capable.ack.is_some()
}

fn state_of(builder: &ConnectionBuilder, subflows: &[Subflow], fell_back: bool) -> ConnectionState {
    let ended = |subflow: &Subflow| subflow.close.kind != CloseKind::None;
    let all_ended = subflows.iter().all(ended);
    let reset = |subflow: &Subflow| subflow.close.kind == CloseKind::Reset;
    let closed = builder.has_both_data_fins() && (builder.data_fins_are_acked() || all_ended);
    if fell_back {
        ConnectionState::FallenBack
    } else if builder.rare.fast_close.is_some() {
        ConnectionState::FastClosed
    } else if closed {
        ConnectionState::Closed
    } else if all_ended && subflows.iter().any(reset) {
        ConnectionState::Reset
    } else if all_ended && subflows.iter().any(has_cut_options) {
        // The DATA_FINs were behind the snaplen; that every subflow was closed by FIN is enough.
        ConnectionState::Closed
    } else if subflows.iter().any(|subflow| subflow.established) {
        ConnectionState::Established
    } else {
        ConnectionState::Unfinished
    }
}

fn has_cut_options(subflow: &Subflow) -> bool {
    Direction::BOTH
        .iter()
        .any(|&direction| subflow.totals.of(direction).options.cut_areas > 0)
}

fn syn_rtt(stream: &Stream) -> Option<i64> {
    let (one, other) = (stream.ends[0].syn_at.get()?, stream.ends[1].syn_at.get()?);
    Some(one.since(other).abs())
}
