//! What comes out of connections that were packed, and what they take until then.

use std::io::Cursor;
use std::path::Path;

use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host};

use super::*;
use crate::capture::{Captures, Content, Input};
use crate::rebuild::{Finished, Limits, RebuildOptions};

/// The captures, with connections that are over packed after so many frames.
fn rebuild(captures: Captures, rest_frames: u64) -> Rebuilder {
    let limits = Limits {
        rest_frames,
        idle_frames: u64::MAX,
        ..Limits::default()
    };
    rebuild_within(captures, true, limits)
}

fn rebuild_within(mut captures: Captures, verify: bool, limits: Limits) -> Rebuilder {
    let mut rebuilder = Rebuilder::new(RebuildOptions {
        verify_checksums: verify,
        verify_tcp_checksums: true,
        limits,
        ..RebuildOptions::default()
    });
    while let Some(packet) = captures.next_packet() {
        if let Content::Tcp(segment) = &packet.content {
            rebuilder.push(segment);
        }
    }
    rebuilder
}

fn asleep(rebuilder: &Rebuilder) -> impl Iterator<Item = &Asleep> {
    let ids = 0..rebuilder.connections.len();
    ids.filter_map(|connection| rebuilder.connections.asleep(connection))
}

fn models(finished: &Finished) -> Vec<String> {
    let ids = finished.ids();
    let models = ids.map(|id| format!("{:?}", finished.connection(id)));
    models
        .chain([format!("{:?}", finished.overview())])
        .collect()
}

/// A connection with a join.
fn connect(capture: &mut Capture, number: u16) -> Connection {
    let mut keys = [*b"client-0", *b"server-0"];
    for key in &mut keys {
        key[..2].copy_from_slice(&number.to_be_bytes());
    }
    let mut connection = Connection::new(Version::V1).with_keys(keys[0], keys[1]);
    let flow = |host: u8| {
        let isn = u32::from(number) << 16;
        let client = format!("10.0.{host}.1:{}", 10_000 + number);
        Flow::new(&client, "10.0.9.1:80").with_isns(isn, !isn)
    };
    connection.connect(capture, flow(1));
    connection.join(capture, flow(2), Host::Client);
    connection
}

/// Connections that send in turns.
fn in_turns(count: u16) -> Captures {
    let mut capture = Capture::new();
    let mut connections: Vec<Connection> = (0..count)
        .map(|number| connect(&mut capture, number))
        .collect();
    for round in 0..40 {
        for connection in &mut connections {
            connection.send(&mut capture, round % 2, Host::Client, 1000);
        }
    }
    Captures::from_reader("crafted", Cursor::new(capture.pcap_bytes())).unwrap()
}

/// Connections one after the other, each with a join and a few kilobytes both ways.
fn one_after_the_other(count: u16) -> Captures {
    let mut capture = Capture::new();
    for number in 0..count {
        let mut connection = connect(&mut capture, number);
        for subflow in [0, 1, 0] {
            connection.send(&mut capture, subflow, Host::Client, 1000);
            connection.send(&mut capture, subflow, Host::Server, 4000);
        }
        connection.close(&mut capture);
    }
    Captures::from_reader("crafted", Cursor::new(capture.pcap_bytes())).unwrap()
}

/// The captures of the test data that can be read.
fn test_data() -> impl Iterator<Item = [Input; 1]> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/captures");
    let entries = std::fs::read_dir(directory).unwrap();
    let inputs = entries.map(|entry| [Input::File(entry.unwrap().path())]);
    inputs.filter(|inputs| Captures::open(inputs).is_ok())
}

#[test]
fn an_open_connection_that_is_packed_between_its_packets_comes_out_the_same() {
    let woken = check_packed_between(usize::MAX);
    assert!(woken > 5_000, "connections were woken {woken} times");
}

#[test]
fn an_open_connection_that_goes_on_while_it_is_packed_comes_out_the_same() {
    check_packed_between(0);
}

/// Packs each open connection of the test data between its packets, and gives how often that was in vain:
/// its next packets are noted where more than so many are awake.
fn check_packed_between(awake: usize) -> u64 {
    let each = Limits {
        awake,
        rest_frames: 0,
        idle_frames: 0,
        vain_frames: 0,
        ..Limits::default()
    };
    let mut woken = 0;
    for inputs in test_data() {
        for verify in [false, true] {
            let captures = || Captures::open(&inputs).unwrap();
            let never = Limits {
                rest_frames: u64::MAX,
                idle_frames: u64::MAX,
                ..Limits::default()
            };
            let awake = rebuild_within(captures(), verify, never).end();
            if awake.overview().duplicate_packets > 0 {
                // A copy is known by the packets before it, which are not packed.
                continue;
            }
            let mut rested = rebuild_within(captures(), verify, each);
            rested.rest(u64::MAX);
            woken += rested.in_vain;
            assert_eq!(models(&rested.end()), models(&awake), "{inputs:?}");
        }
    }
    woken
}

#[test]
fn connections_rest_so_rarely_that_it_costs_little() {
    // All of them go on in turns, so that each would have to be packed and woken for each packet.
    const COUNT: u16 = 50;
    let limits = Limits {
        rest_frames: 10,
        idle_frames: 0,
        ..Limits::default()
    };
    let rested = rebuild_within(in_turns(COUNT), false, limits);
    let most = rested.frame / VAIN_FRAMES + u64::from(COUNT);
    assert!(rested.in_vain > 0);
    assert!(rested.in_vain <= most, "{} of {most}", rested.in_vain);
    let awake = rebuild(in_turns(COUNT), u64::MAX);
    assert_eq!(models(&rested.end()), models(&awake.end()));
}

#[test]
fn a_connection_at_rest_comes_out_as_it_went_in() {
    let mut packed = 0;
    for inputs in test_data() {
        let captures = Captures::open(&inputs).unwrap();
        // Packed after each packet, and at the end.
        let mut rested = rebuild(captures, 0);
        rested.rest(u64::MAX);
        packed += asleep(&rested).count();
        let awake = rebuild(Captures::open(&inputs).unwrap(), u64::MAX);
        assert_eq!(models(&rested.end()), models(&awake.end()), "{inputs:?}");
    }
    assert!(packed > 50, "{packed} connections were packed");
}

#[test]
fn a_long_capture_takes_room_for_what_is_open() {
    const COUNT: u16 = 300;
    const AT_MOST: usize = 700;
    let rested = rebuild(one_after_the_other(COUNT), 100);
    let sizes = asleep(&rested).map(|asleep| {
        let streams = asleep.head().streams.len() * size_of::<[usize; 2]>();
        size_of::<Asleep>() + asleep.bytes.len() + streams
    });
    let sizes: Vec<usize> = sizes.collect();
    assert!(
        sizes.len() + 10 >= usize::from(COUNT),
        "{} are packed",
        sizes.len()
    );
    let average = sizes.iter().sum::<usize>() / sizes.len();
    assert!(average <= AT_MOST, "{average} bytes for each connection");
    let awake = rebuild(one_after_the_other(COUNT), u64::MAX);
    assert_eq!(models(&rested.end()), models(&awake.end()));
}

/// Limits within which a connection that goes on is soon packed, and its next packets are noted.
const NOTED_SOON: Limits = Limits {
    awake: 0,
    rest_frames: 4,
    idle_frames: 0,
    vain_frames: 0,
    ..NEVER_PACKED
};

/// Limits within which all connections stay awake.
const NEVER_PACKED: Limits = Limits {
    streams: 10_000,
    connections: 10_000,
    subflows: 10_000,
    hmac_tries: 10_000,
    awake: usize::MAX,
    rest_frames: u64::MAX,
    idle_frames: u64::MAX,
    vain_frames: u64::MAX,
};

/// What comes out of the capture where segments are noted, which must be the same as where none are.
fn noted_as_awake(capture: &Capture) -> Finished {
    let [noted, awake] = [NOTED_SOON, NEVER_PACKED].map(|limits| {
        let bytes = Cursor::new(capture.pcap_bytes());
        let captures = Captures::from_reader("crafted", bytes).unwrap();
        rebuild_within(captures, false, limits).end()
    });
    assert_eq!(models(&noted), models(&awake));
    noted
}

#[test]
fn a_stream_from_an_announced_address_is_compared_with_what_was_noted_too() {
    // So many share the server that the first is not among the latest of it.
    const OTHERS: u16 = 300;
    let mut capture = Capture::new();
    let mut first = connect(&mut capture, 0);
    first.wide_dsn = false;
    let announced = first.add_addr(Host::Client, 9, "10.77.0.1", None);
    first.say(&mut capture, 0, Host::Client, &[announced]);
    for number in 1..=OTHERS {
        connect(&mut capture, number);
    }
    for _ in 0..30 {
        first.send(&mut capture, 0, Host::Client, 100);
        let next = first.next_data(Host::Client);
        first.set_next_data(Host::Client, next + (1 << 19));
    }
    let unseen = first.adopt(Flow::new("10.77.0.1:5555", "10.0.9.1:80"), Host::Client);
    first.send(&mut capture, unseen, Host::Client, 100);
    let finished = noted_as_awake(&capture);
    assert_eq!(finished.connection(0).unwrap().subflows.len(), 3);
}

#[test]
fn a_mapping_out_of_range_is_counted_where_its_neighbours_were_noted() {
    const LIMIT: u64 = 1 << 62;
    let mut capture = Capture::new();
    let mut connection = connect(&mut capture, 0);
    for start in [1, LIMIT - 70_000] {
        connection.set_next_data(Host::Client, start);
        connection.send(&mut capture, 0, Host::Client, 100);
        for _ in 0..20 {
            connection.send(&mut capture, 0, Host::Server, 100);
        }
    }
    connection.set_next_data(Host::Client, LIMIT + 70_000);
    connection.send(&mut capture, 0, Host::Client, 100);
    let finished = noted_as_awake(&capture);
    assert_eq!(finished.overview().limits.len(), 1);
}
