//! What the data cost on their way: put in order, against a plain tree; mapped; kept for sending.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use mptcp_proto::data::subflow_receive::Delivered;
use mptcp_proto::data::{Payload, ReceiveBuffer, SendBuffer, SentMappings, SubflowMappings};
use mptcp_proto::path::SubflowId;
use mptcp_proto::seq::Dsn;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("receive");
    for (name, arrivals) in orders() {
        group.throughput(Throughput::Elements(arrivals.len() as u64));
        group.bench_function(format!("{name}, runs with hints"), |b| {
            b.iter_batched(|| arrivals.clone(), runs, BatchSize::LargeInput);
        });
        group.bench_function(format!("{name}, tree"), |b| {
            b.iter_batched(|| arrivals.clone(), tree, BatchSize::LargeInput);
        });
    }
    group.finish();
    way(&mut criterion);
    criterion.final_summary();
}

fn way(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("way");
    group.throughput(Throughput::Elements(SEGMENTS));
    for checksum in [false, true] {
        let with = if checksum { "with" } else { "without" };
        group.bench_function(format!("mapped, {with} checksums"), |b| {
            b.iter(|| mapped(checksum));
        });
    }
    for subflows in [1, 8] {
        group.bench_function(format!("sent on {subflows}"), |b| b.iter(|| sent(subflows)));
    }
    group.finish();
}

/// A mapping for each segment, declared, sent and received.
fn mapped(checksum: bool) -> u64 {
    let payload = Payload::from_vec(vec![7; 1400]);
    let mut sent = SentMappings::new(checksum);
    let mut received = SubflowMappings::new(checksum, 1 << 20);
    let mut bytes = 0;
    for number in 0..SEGMENTS {
        let dsn = Dsn(number * SEGMENT_BYTES);
        let tag = sent.push(dsn, &payload, false).unwrap_or(0);
        if let Some(mapping) = sent.by_tag(tag) {
            let mapped = received.map(&mapping.option(false), false, dsn);
            assert!(mapped.is_ok());
            received.push(mapping.position, payload.clone());
        }
        while let Ok(Some(Delivered::Data { payload, .. })) = received.poll() {
            bytes += payload.len() as u64;
        }
        sent.on_ack(received.received());
    }
    assert_eq!(bytes, SEGMENTS * SEGMENT_BYTES);
    black_box(bytes)
}

/// Written in blocks of 64 KiB, sent in turns of 4 segments, acknowledged 200 segments later.
fn sent(subflows: u64) -> u64 {
    let mut buffer = SendBuffer::new(Dsn(0), 4 << 20);
    let block = vec![7; 64 * 1024];
    let mut bytes = 0;
    for number in 0..SEGMENTS {
        if buffer.unsent() < SEGMENT_BYTES {
            buffer.write(&block);
        }
        let late = number.saturating_sub(200) * SEGMENT_BYTES;
        buffer.on_data_ack(Dsn(late));
        buffer.set_window(Dsn(late), 1 << 30);
        let on = SubflowId(u32::try_from(number / 4 % subflows).unwrap_or(0));
        bytes += buffer
            .take_new(on, 1400)
            .map_or(0, |(_, payload)| payload.len() as u64);
    }
    assert_eq!(bytes, SEGMENTS * SEGMENT_BYTES);
    black_box(bytes)
}

const SEGMENTS: u64 = 20_000;
const SEGMENT_BYTES: u64 = 1400;
const CAPACITY: usize = 1 << 30;

/// Subflow, place of the first byte, bytes.
type Arrival = (u32, u64, Payload);

/// Segments in the order in which they arrive.
fn orders() -> Vec<(String, Vec<Arrival>)> {
    let mut orders = Vec::new();
    for subflows in [1, 2, 8] {
        for batch in [1, 16] {
            orders.push((
                format!("{subflows} subflows in turns of {batch}"),
                arrivals(subflows, batch),
            ));
        }
    }
    orders
}

/// Each subflow carries `batch` segments in turn, and each is 200 segments slower than the one before
/// it: a few milliseconds at some 100 Mbit/s.
fn arrivals(subflows: u64, batch: u64) -> Vec<Arrival> {
    let block = Payload::from_vec(vec![7; 1400]);
    let mut order: Vec<(u64, u64, u64)> = (0..SEGMENTS)
        .map(|number| {
            let subflow = number / batch % subflows;
            (number + subflow * 200, subflow, number)
        })
        .collect();
    order.sort_unstable();
    order
        .into_iter()
        .map(|(_, subflow, number)| {
            let subflow = u32::try_from(subflow).unwrap_or(0);
            (subflow, number * SEGMENT_BYTES, block.clone())
        })
        .collect()
}

fn runs(arrivals: Vec<Arrival>) -> u64 {
    let mut buffer = ReceiveBuffer::new(Dsn(0), CAPACITY);
    let mut bytes = 0;
    for (subflow, place, payload) in arrivals {
        buffer.insert(SubflowId(subflow), Dsn(place), payload);
        while let Some(payload) = buffer.read_payload(usize::MAX) {
            bytes += payload.len() as u64;
        }
    }
    assert_eq!(bytes, SEGMENTS * SEGMENT_BYTES);
    black_box(bytes)
}

/// The same without runs and hints: every segment is an entry of the tree.
#[derive(Default)]
struct Tree {
    next: u64,
    waiting: BTreeMap<u64, Payload>,
}

impl Tree {
    fn insert(&mut self, place: u64, payload: Payload) {
        let before = self.waiting.range(..=place).next_back();
        let held = before.map_or(0, |(start, payload)| start + payload.len() as u64);
        let after = self.waiting.range(place..).next().map(|(start, _)| *start);
        let is_free = after.is_none_or(|after| place + payload.len() as u64 <= after);
        if place >= self.next.max(held) && is_free {
            self.waiting.insert(place, payload);
        }
    }

    fn read(&mut self) -> Option<Payload> {
        let first = self.waiting.first_entry()?;
        if *first.key() != self.next {
            return None;
        }
        let payload = first.remove();
        self.next += payload.len() as u64;
        Some(payload)
    }
}

fn tree(arrivals: Vec<Arrival>) -> u64 {
    let mut buffer = Tree::default();
    let mut bytes = 0;
    for (_, place, payload) in arrivals {
        buffer.insert(place, payload);
        while let Some(payload) = buffer.read() {
            bytes += payload.len() as u64;
        }
    }
    assert_eq!(bytes, SEGMENTS * SEGMENT_BYTES);
    black_box(bytes)
}
