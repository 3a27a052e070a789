//! How each part of a connection is packed.

use mptcp_proto::data::{IntervalMap, MapQueue, SenderMap};

use super::address::{AddressBook, AddressEntry, RareAddresses};
use super::connection::{ConnectionBuilder, RareConnection, RawEvent};
use super::pack::{Pack, Packer, Unpacker, pack_fields, pack_variants};
use super::stream::{
    Bare, JoinState, MptcpEnd, MptcpStream, RareEnd, RareStream, Stream, StreamEnd,
};
use crate::model::{
    Address, CapableSeen, CheckTally, EventKind, Grouping, PriorityChange, Side, SubflowKind,
    TcpChecksums,
};

/// Runs of a store that are packed; one with more belongs to a long transfer, of which there are few.
const MAX_RUNS: usize = 64;

pack_fields!(Stream {
    first_frame,
    last_frame,
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
    syn_payload_len,
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
});

pack_fields!(Bare {
    frame,
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
    ids,
    backup,
    confirmed,
    syn_ack_hmac,
    ack_hmac,
    good,
});

pack_fields!(ConnectionBuilder {
    merged_into,
    version,
    keys,
    derived,
    token_of_unknown,
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
    frame,
    at,
    stream,
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
    frame,
    sender,
    backup
});

pack_fields!(TcpChecksums {
    ok,
    bad,
    offloaded,
    unverifiable,
    bad_frames
});

pack_fields!(CheckTally {
    ok,
    bad,
    unverifiable
});

pack_variants!(Side { Client, Server });

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
        let runs: Vec<(i64, i64, V)> = self
            .runs()
            .take(MAX_RUNS)
            .map(|(run, value)| (run.start, run.end.wrapping_sub(run.start), value))
            .collect();
        let is_simple = self.refused() == 0 && self.forgotten_runs() == 0;
        to.require(is_simple && runs.len() == self.run_count());
        runs.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let mut map = IntervalMap::new();
        for (start, len, value) in Vec::<(i64, i64, V)>::unpack(from) {
            map.claim(start..start.wrapping_add(len), value, &mut Vec::new());
        }
        map
    }
}

impl Pack for () {
    fn pack(&self, _: &mut Packer<'_>) {}

    fn unpack(_: &mut Unpacker<'_>) -> Self {}
}

impl Pack for SenderMap {
    fn pack(&self, to: &mut Packer<'_>) {
        self.as_map().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        SenderMap::from(IntervalMap::unpack(from))
    }
}

impl Pack for MapQueue {
    fn pack(&self, to: &mut Packer<'_>) {
        self.offsets().pack(to);
        self.end().pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Self {
        let offsets = IntervalMap::unpack(from);
        MapQueue::from_parts(offsets, Pack::unpack(from))
    }
}
