//! What putting data in order costs: the receive buffer of a connection against a plain tree.

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use mptcp_proto::data::{Payload, ReceiveBuffer};
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
    criterion.final_summary();
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
