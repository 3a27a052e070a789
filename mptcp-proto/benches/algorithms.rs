//! What a connection's decisions cost: congestion control for an acknowledgement, a scheduler for a
//! chunk of data.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use mptcp_proto::cc::{self, AckSample};
use mptcp_proto::path::{LossState, PathView, SubflowId};
use mptcp_proto::sched::{self, Chunk, Picker};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::mptcp::Priority;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    on_ack(&mut criterion);
    pick(&mut criterion);
    criterion.final_summary();
}

const MSS: u32 = 1_460;

/// Subflows that differ in everything; the fastest has no room, so that the schedulers must think.
fn paths(count: u32) -> Vec<PathView> {
    (0..count)
        .map(|id| {
            let srtt = Duration::from_millis(u64::from(10 + 17 * id));
            let cwnd = u64::from(MSS * (20 + 3 * id));
            PathView {
                id: SubflowId(id),
                srtt,
                rttvar: srtt / 8,
                min_rtt: srtt,
                rto: srtt * 2,
                cwnd,
                ssthresh: cwnd,
                in_flight: if id == 0 { cwnd } else { cwnd / 2 },
                queued: 0,
                window_left: 1 << 20,
                mss: MSS,
                priority: Priority::Regular,
                loss_state: LossState::Open,
                is_usable: true,
                is_stale: false,
            }
        })
        .collect()
}

fn on_ack(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("on_ack");
    for count in [2, 8] {
        let paths = paths(count);
        for kind in cc::Kind::ALL {
            let mut control = kind.build();
            for path in &paths {
                control.add(path.id, MSS);
                // Congestion avoidance is where the algorithms differ.
                control.on_loss(Instant::ZERO, path.id, u64::MAX, &paths);
            }
            let mut now = Instant::ZERO;
            group.bench_function(format!("{kind}, {count} paths"), |b| {
                b.iter(|| {
                    now += Duration::from_micros(100);
                    let sample = AckSample {
                        acked: u64::from(2 * MSS),
                        rtt: Some(Duration::from_millis(30)),
                        in_flight: u64::from(20 * MSS),
                        is_cwnd_limited: true,
                        ece: false,
                        loss_state: LossState::Open,
                    };
                    control.on_ack(now, SubflowId(1), black_box(&sample), black_box(&paths));
                });
            });
        }
    }
    group.finish();
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    for count in [2, 8] {
        let paths = paths(count);
        for kind in sched::Kind::ALL {
            let mut picker = Picker::new(kind);
            let mut now = Instant::ZERO;
            group.bench_function(format!("{kind}, {count} paths"), |b| {
                b.iter(|| {
                    now += Duration::from_micros(100);
                    let what = Chunk::New {
                        len: 200_000,
                        window: 1 << 20,
                    };
                    black_box(picker.pick(now, black_box(&paths), what));
                });
            });
        }
    }
    group.finish();
}
