//! Many short connections to `serve respond`: connect, ask for some bytes, read
//! them to the end, close. It prints `burst ok=N failed=N mptcp=N fallback=N bytes=N seconds=S` and `failure KIND N`.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::serve::REQUEST_BYTES;
use super::socket::{self, PATIENCE, Protocol};
use super::{pool, print};

/// Connections at the same time, at most.
const MOST_PARALLEL: usize = 256;

/// Bytes per read.
const CHUNK: usize = 65_536;

/// What a burst is made of.
pub(super) struct Plan {
    pub(super) protocol: Protocol,
    pub(super) address: SocketAddr,
    /// Connections in total.
    pub(super) count: usize,
    /// Bytes that each of them asks for.
    pub(super) bytes: u64,
    /// Connections at the same time.
    pub(super) parallel: usize,
    /// How long a connection waits between the halves of its request: time for joins.
    pub(super) pause: Duration,
}

#[derive(Default)]
struct Outcome {
    mptcp: u64,
    fallback: u64,
    bytes: u64,
    failures: BTreeMap<String, u64>,
}

/// Makes the connections and prints how they went.
pub(super) fn run(plan: &Plan) -> anyhow::Result<()> {
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let threads = plan.parallel.clamp(1, MOST_PARALLEL);
    let mut total = Outcome::default();
    for outcome in pool::join(threads, || worker(plan, &next))? {
        total.mptcp += outcome.mptcp;
        total.fallback += outcome.fallback;
        total.bytes += outcome.bytes;
        for (kind, count) in outcome.failures {
            *total.failures.entry(kind).or_default() += count;
        }
    }
    print(&format!(
        "burst ok={} failed={} mptcp={} fallback={} bytes={} seconds={:.3}",
        total.mptcp + total.fallback,
        total.failures.values().sum::<u64>(),
        total.mptcp,
        total.fallback,
        total.bytes,
        started.elapsed().as_secs_f64()
    ))?;
    for (kind, count) in &total.failures {
        print(&format!("failure {kind} {count}"))?;
    }
    Ok(())
}

fn worker(plan: &Plan, next: &AtomicUsize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut buffer = vec![0; CHUNK];
    while next.fetch_add(1, Ordering::Relaxed) < plan.count {
        match exchange(plan, &mut buffer) {
            Ok(true) => outcome.mptcp += 1,
            Ok(false) => outcome.fallback += 1,
            Err(error) => {
                let kind = error.downcast_ref().map_or_else(
                    || "Other".to_owned(),
                    |error: &io::Error| format!("{:?}", error.kind()),
                );
                *outcome.failures.entry(kind).or_default() += 1;
                continue;
            }
        }
        outcome.bytes += plan.bytes;
    }
    outcome
}

/// One connection; says whether it was MPTCP when all had arrived.
///
/// The server ends its data first, so that the TIME-WAIT is there, where a new SYN from the same
/// port may replace it. Here it would hold the port for 60 s, and a namespace has 28,000 of them.
fn exchange(plan: &Plan, buffer: &mut [u8]) -> anyhow::Result<bool> {
    let mut stream = socket::connect(plan.protocol, plan.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request: [u8; REQUEST_BYTES] = plan.bytes.to_be_bytes();
    if plan.pause.is_zero() {
        stream.write_all(&request)?;
    } else {
        // The kernel joins once data were exchanged, and only while the connection lasts.
        let (first, second) = request.split_at(REQUEST_BYTES / 2);
        stream.set_nodelay(true)?;
        stream.write_all(first)?;
        std::thread::sleep(plan.pause);
        stream.write_all(second)?;
    }
    let mut received: u64 = 0;
    loop {
        match stream.read(buffer)? {
            0 => break,
            len => received = received.saturating_add(len as u64),
        }
    }
    if received != plan.bytes {
        return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
    }
    socket::is_mptcp(&stream).context("TCP_IS_MPTCP")
}
