//! How each part of a connection is packed.

use mptcp_proto::data::{IntervalMap, MapQueue, SenderMap};
use mptcp_proto::version::Version;

use super::address::{AddressBook, AddressEntry, RareAddresses};
use super::connection::{ConnectionBuilder, EchoedKeys, RareConnection, RawEvent};
use super::pack::{Pack, Packer, Unpacker, pack_fields, pack_variants};
use super::stream::{
    Bare, JoinState, MptcpEnd, MptcpStream, RareEnd, RareStream, Repeats, Stream, StreamEnd,
};
use crate::model::{
    Address, CapableSeen, CheckTally, EventKind, Grouping, PriorityChange, Side, SubflowKind,
};

/// Runs of a store that are packed; one with more belongs to a long transfer, of which there are few.
const MAX_RUNS: usize = 64;

pack_fields!(Stream {
    first_frame: frame,
    last_frame: frame,
    first_at,
    last_at,
    interface,
    packets,
    duplicates,
    ends,
    mptcp,
});

pack_fields!(StreamEnd {
    packets,
    wire_bytes,
    ttl,
    syn_at,
    fin_frame,
    rst_frame,
    copies,
});

pack_fields!(MptcpStream {
    connection,
    client_end,
    kind,
    grouping,
    packets_with_option,
    ends,
    join,
    rare,
    is_plain,
    grouping_tries,
});

pack_fields!(MptcpEnd {
    data,
    options,
    tcp_checksums,
    bare_since,
    had_option,
    excess,
    sent_dss,
    rare,
});

pack_fields!(RareStream {
    reset_reason,
    fast_close,
    foreign_reset,
    priority_changes,
});

pack_fields!(RareEnd {
    bare_first,
    unmapped_marks,
    open_bare_acks,
    bare_acks,
    first_bare_ack,
    repeats,
});

pack_fields!(Repeats {
    seq,
    count,
    most,
    most_frame,
});

pack_fields!(Bare {
    frame: frame,
    nops,
    after_excess
});

pack_fields!(JoinState {
    token,
    opener,
    syns,
    syn_frame,
    syn_ack_frame,
    ack_frame,
    nonces,
    later_nonce,
    ids,
    backup,
    confirmed,
    syn_ack_hmac,
    ack_hmac,
    good,
});

// The first four are those of `Identity`.
pack_fields!(ConnectionBuilder {
    version,
    keys,
    derived,
    token_of_unknown,
    is_merged,
    capable,
    syn_option,
    initial_stream,
    checksum,
    echoed_keys,
    rare,
    data,
    idsn_check,
    streams,
    addresses,
    events,
    is_queued,
    unusual,
});

pack_fields!(RareConnection {
    bare_syn_ack,
    mirrored,
    bare_syn,
    malformed_syn,
    infinite_mapping,
    fail,
    fast_close,
    fast_close_key,
    checksum_missing,
    events_dropped,
});

pack_fields!(AddressEntry { address, hmac });

pack_fields!(Address {
    owner,
    id,
    address,
    port,
    hmac,
    advertised_frame,
    advertised_count,
    echo_frame,
    removed_frame,
    used_by,
});

pack_fields!(RawEvent {
    frame: frame,
    at,
    stream: stream,
    sender,
    kind
});

pack_fields!(CapableSeen {
    syn,
    syn_ack,
    ack,
    syns
});

pack_fields!(PriorityChange {
    frame: frame,
    sender,
    backup
});

pack_fields!(CheckTally {
    ok,
    bad,
    unverifiable
});

pack_variants!(Version { V1, V0 });

pack_variants!(Side { Client, Server });

pack_variants!(EchoedKeys {
    NoAck,
    Alone,
    Same,
    Other
});

pack_variants!(SubflowKind {
    Capable,
    Join,
    Unseen
});

pack_variants!(Grouping {
    Token,
    Hmac,
    AddressId,
    Dsn,
    Guess
});

impl Pack for AddressBook {
    fn pack(&self, to: &mut Packer<'_>) {
        let AddressBook {
            entries,
            rare,
            joined,
        } = self;
        entries.pack(to);
        rare.pack(to);
        joined.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        AddressBook {
            entries: Pack::unpack(from),
            rare: Pack::unpack(from),
            joined: Pack::unpack(from),
        }
    }
}

impl Pack for RareAddresses {
    fn pack(&self, to: &mut Packer<'_>) {
        let RareAddresses {
            events,
            joined,
            dropped,
        } = self;
        to.require(events.is_empty());
        joined.pack(to);
        dropped.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        RareAddresses {
            events: Vec::new(),
            joined: Pack::unpack(from),
            dropped: Pack::unpack(from),
        }
    }
}

impl Pack for EventKind {
    /// What happens in an ordinary connection; oddities are rare, and stay as they are.
    fn pack(&self, to: &mut Packer<'_>) {
        match self {
            EventKind::Joined => 0_u8.pack(to),
            EventKind::Fin => 1_u8.pack(to),
            EventKind::DataFin { dsn } => (2_u8, *dsn).pack(to),
            EventKind::AddAddr { id, echo, hmac } => (3_u8, *id, (*echo, *hmac)).pack(to),
            EventKind::RemoveAddr { id } => (4_u8, *id).pack(to),
            EventKind::Prio { backup } => (5_u8, *backup).pack(to),
            EventKind::FastClose { key } => (6_u8, *key).pack(to),
            EventKind::Reset { reason, ttl_fits } => (7_u8, *reason, *ttl_fits).pack(to),
            _ => to.refuse(),
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        match u8::unpack(from) {
            2 => EventKind::DataFin {
                dsn: Pack::unpack(from),
            },
            3 => EventKind::AddAddr {
                id: Pack::unpack(from),
                echo: Pack::unpack(from),
                hmac: Pack::unpack(from),
            },
            4 => EventKind::RemoveAddr {
                id: Pack::unpack(from),
            },
            5 => EventKind::Prio {
                backup: Pack::unpack(from),
            },
            6 => EventKind::FastClose {
                key: Pack::unpack(from),
            },
            7 => EventKind::Reset {
                reason: Pack::unpack(from),
                ttl_fits: Pack::unpack(from),
            },
            0 => EventKind::Joined,
            _ => EventKind::Fin,
        }
    }
}

impl<V: Copy + Eq + Pack> Pack for IntervalMap<V> {
    fn pack(&self, to: &mut Packer<'_>) {
        pack_runs(self, to, |value, to| value.pack(to));
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        unpack_runs(from, V::unpack)
    }
}

/// Packs the runs of a store, each counted from the end of the one before.
fn pack_runs<V: Copy + Eq>(
    map: &IntervalMap<V>,
    to: &mut Packer<'_>,
    pack_value: impl Fn(V, &mut Packer<'_>),
) {
    let is_simple = map.refused() == 0 && map.forgotten_runs() == 0;
    let count = map.run_count();
    // Without runs that lost their values.
    to.require(is_simple && count <= MAX_RUNS && map.runs().take(MAX_RUNS).count() == count);
    count.pack(to);
    let mut end = 0;
    for (run, value) in map.runs().take(MAX_RUNS) {
        run.start.wrapping_sub(end).pack(to);
        run.end.wrapping_sub(run.start).pack(to);
        pack_value(value, to);
        end = run.end;
    }
    to.end_run(end);
}

fn unpack_runs<V: Copy + Eq>(
    from: &mut Unpacker<'_>,
    unpack_value: impl Fn(&mut Unpacker<'_>) -> V,
) -> IntervalMap<V> {
    let mut map = IntervalMap::new();
    let mut end: i64 = 0;
    for _ in 0..usize::unpack(from).min(MAX_RUNS) {
        let start = end.wrapping_add(i64::unpack(from));
        end = start.wrapping_add(i64::unpack(from));
        map.claim_free(&(start..end), unpack_value(from));
    }
    from.end_run(end);
    map
}

impl Pack for () {
    fn pack(&self, _: &mut Packer<'_>) {}

    fn unpack(_: &mut Unpacker<'_>) -> Self {}
}

impl Pack for SenderMap {
    fn pack(&self, to: &mut Packer<'_>) {
        pack_runs(self.as_map(), to, |stream, to| to.stream(stream.into()));
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let stream = |from: &mut Unpacker<'_>| u32::try_from(from.stream()).unwrap_or_default();
        SenderMap::from(unpack_runs(from, stream))
    }
}

impl Pack for MapQueue {
    fn pack(&self, to: &mut Packer<'_>) {
        self.offsets().pack(to);
        self.end().is_some().pack(to);
        if let Some((place, data)) = self.end() {
            to.place(place);
            let offset = data.wrapping_sub(place);
            offset.wrapping_sub(last_offset(self.offsets())).pack(to);
        }
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let offsets = IntervalMap::unpack(from);
        let end = bool::unpack(from).then(|| {
            let place = from.place();
            let offset = i64::unpack(from).wrapping_add(last_offset(&offsets));
            (place, place.wrapping_add(offset))
        });
        MapQueue::from_parts(offsets, end)
    }
}

fn last_offset(offsets: &IntervalMap<i64>) -> i64 {
    let last = offsets.runs().last();
    last.map_or(0, |(_, offset)| offset)
}
