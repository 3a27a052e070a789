//! What the protocol code costs: options, checksums, maps of a connection with many mappings.

use std::hint::black_box;
use std::ops::Range;

use criterion::{BatchSize, Criterion, Throughput};
use mptcp_proto::data::{IntervalMap, MapQueue, SenderMap};
use mptcp_proto::version::Version;
use mptcp_proto::wire::checksum::PartialSum;
use mptcp_proto::wire::mptcp::{Dss, MptcpOption};
use mptcp_proto::wire::tcp_option::TcpOptions;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    options(&mut criterion);
    checksums(&mut criterion);
    mappings(&mut criterion);
    criterion.final_summary();
}

/// DSS with DATA_ACK and DSN of 8 bytes each, as Linux sends it.
const DSS: [u8; 26] = [
    30, 26, 0x20, 0x0f, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 5, 120,
];

/// The third ACK of a handshake: MP_CAPABLE with both keys.
const CAPABLE: [u8; 20] = [
    30, 20, 0x01, 0x81, 1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 6, 5, 4, 3, 2, 1,
];

fn options(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("option");
    group.bench_function("dss, short way", |b| {
        b.iter(|| Dss::parse_plain(black_box(&DSS)));
    });
    for (name, bytes) in [("dss", &DSS[..]), ("capable", &CAPABLE)] {
        group.bench_function(name, |b| {
            b.iter(|| MptcpOption::parse(Version::V1, black_box(bytes)));
        });
    }
    let timestamps = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let area = [&timestamps[..], &DSS, &[1, 1]].concat();
    group.bench_function("area", |b| {
        b.iter(|| TcpOptions::new(black_box(&area)).flatten().count());
    });
    group.finish();
}

fn checksums(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("checksum");
    let bytes = vec![0x5a; 65_000];
    for len in [60, 1400, 65_000] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(len.to_string(), |b| {
            b.iter(|| PartialSum::of(black_box(&bytes[..len])));
        });
    }
    group.finish();
}

/// Mappings of 1,400 bytes in one connection.
const MAPPINGS: i64 = 1_000_000;
const MAPPING_BYTES: i64 = 1400;

/// Numbers of mappings in the order in which they come.
fn orders() -> [(&'static str, Vec<i64>); 4] {
    let in_order: Vec<i64> = (0..MAPPINGS).collect();
    let reverse = in_order.iter().rev().copied().collect();
    // Four subflows, each a quarter of a thousand mappings behind the one before.
    let interleaved = (0..MAPPINGS)
        .map(|step| step - step % 4 * 250)
        .map(|number| number.rem_euclid(MAPPINGS))
        .collect();
    let mut random = in_order.clone();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..random.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        random.swap(
            index,
            usize::try_from(state >> 33).unwrap_or(0) % (index + 1),
        );
    }
    [
        ("in order", in_order),
        ("reverse", reverse),
        ("interleaved", interleaved),
        ("random", random),
    ]
}

fn places(number: i64) -> Range<i64> {
    number * MAPPING_BYTES..(number + 1) * MAPPING_BYTES
}

fn mappings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mapping");
    group.sample_size(10);
    group.throughput(Throughput::Elements(MAPPINGS.unsigned_abs()));
    for (name, order) in orders() {
        group.bench_function(format!("insert, {name}"), |b| {
            b.iter_batched(
                MapQueue::new,
                |mut queue| {
                    let mut added = Vec::new();
                    for &number in &order {
                        added.clear();
                        let place = places(number).start;
                        // An offset of its own for each, so that no two become one run.
                        queue.insert(place, place + number * 7, 1400, &mut added);
                    }
                    queue
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function(format!("claim, {name}"), |b| {
            b.iter_batched(
                SenderMap::new,
                |mut senders| {
                    for (&number, subflow) in order.iter().zip((0..4).cycle()) {
                        let places = places(number);
                        if senders.claim_whole(&places, subflow).is_none() {
                            senders.claim(places, subflow, &mut Vec::new());
                        }
                    }
                    senders
                },
                BatchSize::LargeInput,
            );
        });
    }
    let mut map = IntervalMap::new();
    let kept = i64::try_from(IntervalMap::<i64>::MAX_RUNS).unwrap_or(0);
    for number in 0..kept {
        map.claim(places(number), number, &mut Vec::new());
    }
    let (.., random) = orders().into_iter().next_back().unwrap_or_default();
    group.bench_function("look up, random", |b| {
        b.iter(|| {
            let known = random.iter().map(|number| places(number % kept));
            known
                .filter_map(|places| map.look_up_whole(&places))
                .count()
        });
    });
    group.finish();
}
