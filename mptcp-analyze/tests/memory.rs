//! What a connection takes in memory, counted by the allocator: structures, stores and its share of
//! the tables that find it.

use std::alloc::System;
use std::io::Cursor;

use mptcp_analyze::capture::{Captures, Content};
use mptcp_analyze::rebuild::{Limits, RebuildOptions, Rebuilder};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Connections of the smaller capture; the larger one has twice as many, and what that adds counts.
/// The tables, which double, are as full after both.
const COUNT: u32 = 1500;

/// Bytes and allocations.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cost {
    bytes: i64,
    allocations: i64,
}

/// A connection of two subflows.
fn connect(capture: &mut Capture, number: u32) -> Connection {
    let mut keys = [*b"client-0", *b"server-0"];
    for key in &mut keys {
        key[..4].copy_from_slice(&number.to_be_bytes());
    }
    let mut connection = Connection::new(Version::V1).with_keys(keys[0], keys[1]);
    let flow = |host: u8| {
        let isn = number << 8;
        let (net, port) = (number / 1000, 10_000 + number % 1000);
        let client = format!("10.{host}.1.{net}:{port}");
        Flow::new(&client, "10.0.9.1:80").with_isns(isn, !isn)
    };
    connection.connect(capture, flow(1));
    connection.join(capture, flow(2), Host::Client);
    connection
}

/// Data both ways.
fn send(capture: &mut Capture, connection: &mut Connection, subflow: usize) {
    connection.send(capture, subflow, Host::Client, 1000);
    connection.send(capture, subflow, Host::Server, 4000);
}

/// Connections with data both ways, which end or stay open.
fn capture(count: u32, ends: bool) -> Captures {
    let mut capture = Capture::new();
    for number in 0..count {
        let mut connection = connect(&mut capture, number);
        for subflow in [0, 1, 0] {
            send(&mut capture, &mut connection, subflow);
        }
        if ends {
            connection.close(&mut capture);
        }
    }
    captures(&capture)
}

/// Connections that are all open at once and go on in turns.
fn in_turns(count: u32) -> Captures {
    let mut capture = Capture::new();
    let connections = (0..count).map(|number| connect(&mut capture, number));
    let mut connections: Vec<Connection> = connections.collect();
    for subflow in [0, 1, 0, 0, 1, 0, 0, 1, 0] {
        for connection in &mut connections {
            send(&mut capture, connection, subflow);
        }
    }
    captures(&capture)
}

fn captures(capture: &Capture) -> Captures {
    let bytes = Cursor::new(capture.pcap_bytes());
    Captures::from_reader("crafted", bytes).expect("the kit writes captures")
}

/// What a rebuilder takes once it has seen all packets.
fn cost_of(mut captures: Captures, limits: Limits) -> Cost {
    let region = Region::new(ALLOCATOR);
    // As `list` reads a capture.
    let mut rebuilder = Rebuilder::new(RebuildOptions {
        verify_tcp_checksums: true,
        tcp_checksum_samples: Some(4),
        limits,
        ..RebuildOptions::default()
    });
    let mut allocations = 0;
    while let Some(packet) = captures.next_packet() {
        if let Content::Tcp(segment) = &packet.content {
            let push = Region::new(ALLOCATOR);
            rebuilder.push(segment);
            let change = push.change();
            allocations += change.allocations + change.reallocations;
        }
    }
    let before = region.change();
    drop(rebuilder);
    let after = region.change();
    let freed = after.bytes_deallocated - before.bytes_deallocated;
    Cost {
        bytes: i64::try_from(freed).unwrap_or(i64::MAX),
        allocations: i64::try_from(allocations).unwrap_or(i64::MAX),
    }
}

/// What one more connection takes.
fn cost_of_one(captures: impl Fn(u32) -> Captures, limits: Limits) -> Cost {
    let (few, many) = (
        cost_of(captures(COUNT), limits),
        cost_of(captures(2 * COUNT), limits),
    );
    let count = i64::from(COUNT);
    Cost {
        bytes: (many.bytes - few.bytes) / count,
        allocations: (many.allocations - few.allocations) / count,
    }
}

/// One test, because others at the same time would be counted too. The aims are 1,536 bytes and 10
/// allocations for an open connection, and 900 bytes for one that is over.
///
/// Where many are open, all but about a thousand are packed. One that is awake takes more.
#[test]
fn a_connection_takes_little_while_it_is_open_and_less_when_it_is_over() {
    // The smaller capture ends with as many connections that had packets lately as the larger one, so
    // that what the larger one has more are connections without.
    let idle = cost_of_one(|count| capture(count, false), Limits::default());
    let over = cost_of_one(|count| capture(count, true), Limits::default());
    // All of them, and not all but a thousand, which would be more of the smaller capture.
    let all_packed = Limits {
        awake: 0,
        ..Limits::default()
    };
    let active = cost_of_one(in_turns, all_packed);
    let none_rests = Limits {
        idle_frames: u64::MAX,
        ..Limits::default()
    };
    let awake = cost_of_one(|count| capture(count, false), none_rests);
    assert!(idle.bytes <= MAX_IDLE_BYTES, "{idle:?}");
    assert!(active.bytes <= MAX_ACTIVE_BYTES, "{active:?}");
    assert!(awake.bytes <= MAX_AWAKE_BYTES, "{awake:?}");
    assert!(awake.allocations <= MAX_AWAKE_ALLOCATIONS, "{awake:?}");
    assert!(over.bytes <= MAX_OVER_BYTES, "{over:?}");
}

const MAX_IDLE_BYTES: i64 = 700;
const MAX_ACTIVE_BYTES: i64 = 1_480;
const MAX_AWAKE_BYTES: i64 = 3_520;
const MAX_AWAKE_ALLOCATIONS: i64 = 21;
const MAX_OVER_BYTES: i64 = 760;
