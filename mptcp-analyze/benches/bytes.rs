//! What it costs to look at every byte of a capture: checksums and hashes in the analyzer, beside the
//! same sums and hashes alone.

use std::hint::black_box;
use std::io::Cursor;

use criterion::{BatchSize, Criterion, Throughput};
use etherparse::PacketBuilder;
use mptcp_analyze::analyze;
use mptcp_analyze::capture::Captures;
use mptcp_analyze::rebuild::{FollowPlan, RebuildOptions};
use mptcp_proto::key::Key;
use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::checksum::{PartialSum, dss_checksum};
use sha2::{Digest as _, Sha256};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let plain = Transfer::new(SEGMENTS, false);
    let checked = Transfer::new(SEGMENTS, true);
    checksums(&mut criterion, "TCP checksums", &plain);
    checksums(&mut criterion, "TCP and DSS checksums", &checked);
    hashes(&mut criterion, &plain);
    criterion.final_summary();
}

/// Nothing verified, all verified, and the sums alone.
fn checksums(criterion: &mut Criterion, name: &str, transfer: &Transfer) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    group.throughput(Throughput::Bytes(transfer.payload_bytes));
    for (what, verify) in [("ignored", false), ("verified", true)] {
        let options = RebuildOptions {
            verify_checksums: verify,
            verify_tcp_checksums: verify,
            ..RebuildOptions::default()
        };
        group.bench_function(what, |b| transfer.run(b, &options));
    }
    group.bench_function("sums alone", |b| {
        b.iter(|| {
            for payload in &transfer.payloads {
                black_box(PartialSum::of(payload));
            }
        });
    });
    group.finish();
}

/// A stream put together and hashed, and the hash alone.
fn hashes(criterion: &mut Criterion, transfer: &Transfer) {
    let mut group = criterion.benchmark_group("stream hashes");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(transfer.payload_bytes));
    let model = analyze(transfer.open(), RebuildOptions::default());
    let mut follow = FollowPlan::default();
    for connection in &model.connections {
        follow.add(connection);
    }
    let options = RebuildOptions {
        follow,
        ..RebuildOptions::default()
    };
    let hashed = analyze(transfer.open(), options.clone());
    let sum = hashed.connections[0].totals.to_server.stream_sha256;
    assert_eq!(sum, Some(transfer.hash()), "the stream is whole");
    group.bench_function("in the analyzer", |b| transfer.run(b, &options));
    group.bench_function("hash alone", |b| b.iter(|| black_box(transfer.hash())));
    group.finish();
}

/// One connection of one subflow, captured whole.
struct Transfer {
    capture: Vec<u8>,
    packets: u32,
    payloads: Vec<Vec<u8>>,
    payload_bytes: u64,
}

impl Transfer {
    /// `segments` of data, each with a mapping of its own.
    fn new(segments: u32, checksums: bool) -> Self {
        let mut transfer = Transfer {
            capture: Vec::new(),
            packets: 0,
            payloads: Vec::new(),
            payload_bytes: 0,
        };
        for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            transfer.capture.extend(field.to_le_bytes());
        }
        let flags = if checksums { 0x81 } else { 1 };
        let [ours, theirs] = [Key([1; 8]), Key([2; 8])];
        let capable = |keys: &[[u8; 8]]| {
            let keys = keys.concat();
            let len = u8::try_from(4 + keys.len()).unwrap_or(0);
            [&[30, len, 1, flags], &keys[..]].concat()
        };
        transfer.add(true, Some(false), 0, &capable(&[]), &[]);
        transfer.add(false, Some(true), 0, &capable(&[theirs.0]), &[]);
        transfer.add(true, None, 1, &capable(&[ours.0, theirs.0]), &[]);
        let idsn = ours.idsn(Version::V1);
        for number in 0..segments {
            let payload: Vec<u8> = (0..SEGMENT_BYTES)
                .map(|at| at.wrapping_mul(number | 1).to_be_bytes()[2])
                .collect();
            let ssn = 1 + number * SEGMENT_BYTES;
            let dsn = idsn.add(u64::from(ssn));
            let mut dss = dss(dsn, Ssn(ssn));
            if checksums {
                let sum = PartialSum::of(&payload);
                dss.extend(dss_checksum(dsn, Ssn(ssn), LEN, sum).to_be_bytes());
            } else {
                dss.extend([1, 1]);
                dss[1] -= 2;
            }
            transfer.add(true, None, ssn, &dss, &payload);
            transfer.payload_bytes += u64::from(SEGMENT_BYTES);
            transfer.payloads.push(payload);
        }
        transfer
    }

    fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for payload in &self.payloads {
            hash.update(payload);
        }
        hash.finalize().into()
    }

    fn run(&self, bencher: &mut criterion::Bencher<'_>, options: &RebuildOptions) {
        bencher.iter_batched(
            || (self.open(), options.clone()),
            |(captures, options)| analyze(captures, options),
            BatchSize::LargeInput,
        );
    }

    fn open(&self) -> Captures {
        let bytes = Cursor::new(self.capture.clone());
        Captures::from_reader("bench", bytes).expect("the file header is right")
    }

    /// Adds a packet of the client or of the server; `syn` says of a SYN whether it has an ACK.
    fn add(&mut self, client: bool, syn: Option<bool>, seq: u32, options: &[u8], payload: &[u8]) {
        let (ours, theirs) = (([10, 0, 0, 1], 40_000), ([10, 0, 0, 2], 80));
        let (from, to) = if client {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .tcp(from.1, to.1, seq, 500);
        let builder = if syn.is_some() {
            builder.syn()
        } else {
            builder
        };
        let builder = match syn {
            Some(false) => builder,
            _ => builder.ack(1),
        };
        let mut packet = Vec::new();
        builder
            .options_raw(options)
            .expect("the options fit")
            .write(&mut packet, payload)
            .expect("a vector takes all");
        let len = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        for field in [
            self.packets / 100_000,
            self.packets % 100_000 * 10,
            len,
            len,
        ] {
            self.capture.extend(field.to_le_bytes());
        }
        self.capture.extend(packet);
        self.packets += 1;
    }
}

/// A DSS with an 8-byte DSN that maps one segment, without its checksum.
fn dss(dsn: Dsn, ssn: Ssn) -> Vec<u8> {
    let mut option = vec![30, 20, 0x20, 0x0c];
    option.extend(dsn.0.to_be_bytes());
    option.extend(ssn.0.to_be_bytes());
    option.extend(LEN.to_be_bytes());
    option
}

const SEGMENTS: u32 = 20_000;
const SEGMENT_BYTES: u32 = 1_400;
const LEN: u16 = 1_400;
