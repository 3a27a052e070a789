//! What comes out of connections that were packed, and what they take until then.

use std::io::Cursor;
use std::path::Path;

use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host};

use super::*;
use crate::capture::{Captures, Content, Input};
use crate::rebuild::{Finished, Limits, RebuildOptions};

/// The captures, with connections packed after so many frames.
fn rebuild(mut captures: Captures, rest_frames: u64) -> Rebuilder {
    let options = RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        ..RebuildOptions::default()
    };
    let limits = Limits {
        rest_frames,
        ..Limits::default()
    };
    let mut rebuilder = Rebuilder::new(RebuildOptions { limits, ..options });
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

/// Connections one after the other, each with a join and a few kilobytes both ways.
fn one_after_the_other(count: u16) -> Captures {
    let mut capture = Capture::new();
    for number in 0..count {
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
        connection.connect(&mut capture, flow(1));
        connection.join(&mut capture, flow(2), Host::Client);
        for subflow in [0, 1, 0] {
            connection.send(&mut capture, subflow, Host::Client, 1000);
            connection.send(&mut capture, subflow, Host::Server, 4000);
        }
        connection.close(&mut capture);
    }
    Captures::from_reader("crafted", Cursor::new(capture.pcap_bytes())).unwrap()
}

#[test]
fn a_connection_at_rest_comes_out_as_it_went_in() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/captures");
    let mut packed = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let inputs = [Input::File(entry.unwrap().path())];
        let Ok(captures) = Captures::open(&inputs) else {
            continue;
        };
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
