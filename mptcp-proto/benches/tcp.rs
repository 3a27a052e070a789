//! What a segment costs both ends of a TCP connection.

#![expect(clippy::expect_used, reason = "a bench that goes wrong shall stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use mptcp_proto::data::Payload;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::{AckSample, Config, CongestionHook, Path, SendLimits, Tcp};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::Segment;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    transfers(&mut criterion);
    criterion.final_summary();
}

/// A window that never moves.
struct Still;

impl CongestionHook for Still {
    fn on_ack(&mut self, _now: Instant, _sample: &AckSample) {}
    fn on_loss(&mut self, _now: Instant, _in_flight: u64) {}
    fn on_recovered(&mut self, _now: Instant) {}
    fn on_timeout(&mut self, _now: Instant, _in_flight: u64, _is_first: bool) {}
    fn on_undo(&mut self, _now: Instant) {}

    fn cwnd(&self) -> u64 {
        CWND
    }

    fn ssthresh(&self) -> u64 {
        CWND
    }
}

/// Two ends, and what is between them.
struct Pair {
    ends: [Tcp; 2],
    now: Instant,
    /// As whole packets with checksums, or as they are.
    packets: bool,
    /// One of so many data segments is lost.
    loss: u64,
    sent: u64,
    arrived: u64,
    buffer: Vec<u8>,
}

impl Pair {
    fn new(packets: bool, loss: u64) -> Self {
        let config = Config {
            nagle: false,
            ..Config::default()
        };
        let path = Path {
            local: "10.0.0.1:1".parse().expect("an address"),
            remote: "10.0.0.2:2".parse().expect("an address"),
        };
        let turned = Path {
            local: path.remote,
            remote: path.local,
        };
        let now = Instant::from_millis(1);
        let mut first = Tcp::connect(&config, path, TcpSeq(1), now);
        let syn = first.poll_transmit(now, &limits()).expect("a SYN");
        let second = Tcp::accept(&config, turned, TcpSeq(2), &syn.segment(), now);
        let mut pair = Self {
            ends: [first, second],
            now,
            packets,
            loss,
            sent: 0,
            arrived: 0,
            buffer: Vec::with_capacity(2048),
        };
        for from in [1, 0, 1] {
            pair.flush(from, 100);
        }
        pair
    }

    /// Lets one end send, `most` segments at once.
    fn flush(&mut self, from: usize, most: usize) -> usize {
        let [first, second] = &mut self.ends;
        let (sender, receiver) = if from == 0 {
            (first, second)
        } else {
            (second, first)
        };
        let mut count = 0;
        while count < most
            && let Some(outgoing) = sender.poll_transmit(self.now, &limits())
        {
            count += 1;
            if !outgoing.payload.is_empty() {
                self.sent += 1;
                if self.loss > 0 && self.sent.is_multiple_of(self.loss) {
                    continue;
                }
            }
            let result = if self.packets {
                self.buffer.clear();
                outgoing.segment().emit(&mut self.buffer).expect("it fits");
                let segment = Segment::parse(&self.buffer, false).expect("it was emitted");
                receiver.handle_segment(self.now, &segment, &mut Still)
            } else {
                receiver.handle_segment(self.now, &outgoing.segment(), &mut Still)
            };
            if let Some(delivered) = result.delivered {
                self.arrived += delivered.len() as u64;
            }
            while let Some((_, bytes)) = receiver.next_received() {
                self.arrived += bytes.len() as u64;
            }
        }
        count
    }

    fn transfer(&mut self, segments: u64) {
        let block = Payload::from(vec![7; MSS * 64]);
        let goal = self.arrived + segments * MSS as u64;
        let mut left = segments * MSS as u64;
        while self.arrived < goal {
            while left > 0 && self.ends[0].unsent() < 2 * block.len() as u64 {
                let len = left.min(block.len() as u64);
                let len = usize::try_from(len).expect("it is small");
                self.ends[0].push(block.slice(0..len), 0);
                left -= len as u64;
            }
            self.now += Duration::from_micros(10);
            let moved = self.flush(0, 16) + self.flush(1, 16);
            if moved == 0 {
                for end in &mut self.ends {
                    if let Some(at) = end.poll_timeout() {
                        self.now = self.now.max(at);
                        end.handle_timeout(self.now, &mut Still);
                    }
                }
            }
        }
    }
}

const fn limits() -> SendLimits {
    SendLimits {
        cwnd: CWND,
        window: 4 << 20,
        reserve: 0,
        reserve_ack: 0,
        not_before: Instant::ZERO,
    }
}

fn transfers(c: &mut Criterion) {
    let mut group = c.benchmark_group("tcp, both ends");
    group.throughput(Throughput::Elements(SEGMENTS));
    for (name, packets, loss) in [
        ("segments", false, 0),
        ("segments, 1% lost", false, 100),
        ("packets", true, 0),
    ] {
        group.bench_function(name, |b| {
            b.iter_batched(
                || Pair::new(packets, loss),
                |mut pair| {
                    pair.transfer(SEGMENTS);
                    black_box(pair.arrived)
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

const MSS: usize = 1448;
const CWND: u64 = 1 << 20;
const SEGMENTS: u64 = 20_000;
