//! What the analyzer costs from capture file to model, a stage at a time.

use std::io::Cursor;

use criterion::{BatchSize, Criterion, Throughput};
use etherparse::PacketBuilder;
use mptcp_analyze::capture::{Captures, Content};
use mptcp_analyze::rebuild::{RebuildOptions, Rebuilder};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let plain = plain_flows(10_000, 10);
    let bulk = bulk(100_000);
    stages(&mut criterion, "10,000 plain flows", &plain);
    stages(&mut criterion, "bulk on two subflows", &bulk);
    criterion.final_summary();
}

/// Reading and decoding alone, then with the rebuilder behind it.
fn stages(criterion: &mut Criterion, name: &str, capture: &Capture) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.throughput(Throughput::Elements(capture.packets));
    group.bench_function("decode", |b| {
        b.iter_batched(
            || capture.open(),
            |mut captures| {
                let mut segments = 0_u64;
                while let Some(packet) = captures.next_packet() {
                    segments += u64::from(matches!(packet.content, Content::Tcp(_)));
                }
                assert_eq!(segments, capture.packets);
            },
            BatchSize::LargeInput,
        );
    });
    group.bench_function("rebuild", |b| {
        b.iter_batched(
            || capture.open(),
            |mut captures| {
                let mut rebuilder = Rebuilder::new(RebuildOptions::default());
                while let Some(packet) = captures.next_packet() {
                    if let Content::Tcp(segment) = &packet.content {
                        rebuilder.push(segment);
                    }
                }
                rebuilder.finish()
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// A capture file in memory, with a snapshot length of 128.
struct Capture {
    bytes: Vec<u8>,
    packets: u64,
}

impl Capture {
    fn new() -> Self {
        let mut bytes = Vec::new();
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, SNAPSHOT_BYTES, 1] {
            bytes.extend(field.to_le_bytes());
        }
        Capture { bytes, packets: 0 }
    }

    fn open(&self) -> Captures {
        let bytes = Cursor::new(self.bytes.clone());
        Captures::from_reader("bench", bytes).expect("the file header is right")
    }

    /// Adds a packet, ten microseconds after the one before.
    fn add(&mut self, segment: &Segment<'_>) {
        let (source, destination) = (segment.from, segment.to);
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(source.0, destination.0, 64)
            .tcp(source.1, destination.1, segment.seq, 500);
        let builder = if segment.syn { builder.syn() } else { builder };
        let builder = match segment.ack {
            Some(ack) => builder.ack(ack),
            None => builder,
        };
        let builder = builder
            .options_raw(segment.options)
            .expect("the options fit");
        let mut packet = Vec::new();
        builder
            .write(&mut packet, &PAYLOAD[..segment.len])
            .expect("a vector takes all");
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let micros = self.packets * 10;
        let seconds = u32::try_from(micros / 1_000_000).unwrap_or(u32::MAX);
        let fraction = u32::try_from(micros % 1_000_000).unwrap_or(0);
        for field in [seconds, fraction, len.min(SNAPSHOT_BYTES), len] {
            self.bytes.extend(field.to_le_bytes());
        }
        packet.truncate(SNAPSHOT_BYTES as usize);
        self.bytes.extend(packet);
        self.packets += 1;
    }
}

/// A TCP segment to be put into a capture.
struct Segment<'a> {
    from: ([u8; 4], u16),
    to: ([u8; 4], u16),
    seq: u32,
    ack: Option<u32>,
    syn: bool,
    options: &'a [u8],
    len: usize,
}

/// TCP without MPTCP: `packets` from each of `flows` clients in turn.
fn plain_flows(flows: u16, packets: u32) -> Capture {
    let mut capture = Capture::new();
    for number in 0..packets {
        for flow in 0..flows {
            capture.add(&Segment {
                from: ([10, 0, 0, 1], 10_000 + flow),
                to: SERVER,
                seq: 7 + number * 100,
                ack: Some(1),
                syn: false,
                options: &[],
                len: 100,
            });
        }
    }
    capture
}

/// One connection that sends `segments` segments on two subflows in turn, in mappings of three
/// segments that each of them repeats, with a DATA_ACK after each mapping.
fn bulk(segments: u32) -> Capture {
    let mut capture = Capture::new();
    let clients = [([10, 0, 0, 1], 40_000), ([10, 0, 1, 1], 40_001)];
    for client in clients {
        capture.add(&Segment {
            from: client,
            to: SERVER,
            seq: 0,
            ack: None,
            syn: true,
            options: &[],
            len: 0,
        });
    }
    let mut sent = [0_u32; 2];
    for (mapping, turn) in (0..segments / 3).zip([0, 1].into_iter().cycle()) {
        let dsn = u64::from(mapping) * 3 * SEGMENT_BYTES as u64 + 1;
        let first = sent[turn];
        for _ in 0..3 {
            capture.add(&Segment {
                from: clients[turn],
                to: SERVER,
                seq: sent[turn] + 1,
                ack: Some(1),
                syn: false,
                options: &dss(Some((dsn, first + 1)), 1),
                len: SEGMENT_BYTES,
            });
            sent[turn] += u32::try_from(SEGMENT_BYTES).unwrap_or(0);
        }
        capture.add(&Segment {
            from: SERVER,
            to: clients[turn],
            seq: 1,
            ack: Some(sent[turn] + 1),
            syn: false,
            options: &dss(None, dsn + 3 * SEGMENT_BYTES as u64),
            len: 0,
        });
    }
    capture
}

/// A DSS with a DATA_ACK of 8 bytes, and a mapping of three segments if wanted, padded.
fn dss(mapping: Option<(u64, u32)>, data_ack: u64) -> Vec<u8> {
    let mut option = vec![30, 12, 0x20, 0x03];
    option.extend(data_ack.to_be_bytes());
    if let Some((dsn, ssn)) = mapping {
        option[1] = 26;
        option[3] = 0x0f;
        option.extend(dsn.to_be_bytes());
        option.extend(ssn.to_be_bytes());
        let len = u16::try_from(3 * SEGMENT_BYTES).unwrap_or(u16::MAX);
        option.extend(len.to_be_bytes());
        option.extend([1, 1]);
    }
    option
}

const SERVER: ([u8; 4], u16) = ([10, 2, 0, 1], 443);
const SNAPSHOT_BYTES: u32 = 128;
const SEGMENT_BYTES: usize = 1400;
const PAYLOAD: [u8; SEGMENT_BYTES] = [0x5a; SEGMENT_BYTES];
