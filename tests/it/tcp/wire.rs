//! A path in memory that loses, doubles, delays and reorders packets, and two hosts at its ends.

use std::collections::BTreeMap;
use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_tests::tcp_host::TcpHost;

/// One end of a path.
pub(crate) trait Host {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]);
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool;
    fn poll_timeout(&mut self, now: Instant) -> Option<Instant>;
    fn handle_timeout(&mut self, now: Instant);
}

impl Host for TcpHost {
    fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        Self::handle_packet(self, now, packet);
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        Self::poll_transmit(self, now, out)
    }

    fn poll_timeout(&mut self, _now: Instant) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }
}

/// What a path does to packets; chances in thousandths.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) loss: u32,
    pub(crate) double: u32,
    pub(crate) reorder: u32,
    pub(crate) corrupt: u32,
    pub(crate) delay: Duration,
    /// Time that a full packet takes on the line.
    pub(crate) per_packet: Duration,
    /// Packets that the line's queue holds.
    pub(crate) queue: usize,
}

impl Path {
    pub(crate) const CLEAN: Self = Self {
        loss: 0,
        double: 0,
        reorder: 0,
        corrupt: 0,
        delay: Duration::from_millis(10),
        per_packet: Duration::from_micros(100),
        queue: 1000,
    };
}

/// Two hosts and what lies between them.
pub(crate) struct Net<A, B> {
    pub(crate) a: A,
    pub(crate) b: B,
    pub(crate) now: Instant,
    path: Path,
    random: fastrand::Rng,
    /// Arrivals in the order of their times: to `b` or not, and the packet.
    flying: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    sent: u64,
    /// Every so many packets that allow it, one is marked instead of dropped; 0 for none.
    marks: u64,
    line_free: [Instant; 2],
}

impl<A: Host, B: Host> Net<A, B> {
    pub(crate) fn new(a: A, b: B, path: Path, seed: u64) -> Self {
        Self {
            a,
            b,
            now: Instant::from_millis(1),
            path,
            random: fastrand::Rng::with_seed(seed),
            flying: BTreeMap::new(),
            sent: 0,
            marks: 0,
            line_free: [Instant::ZERO; 2],
        }
    }

    pub(crate) const fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// Marks one of so many packets with congestion (RFC 3168), where the sender allows it.
    pub(crate) const fn mark_every(&mut self, packets: u64) {
        self.marks = packets;
    }

    /// Packets sent by either end.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    fn chance(&mut self, thousandths: u32) -> bool {
        self.random.u32(0..1000) < thousandths
    }

    fn launch(&mut self, to_b: bool, mut packet: Vec<u8>) {
        self.sent += 1;
        if self.chance(self.path.loss) {
            return;
        }
        let allows_mark = packet[0] >> 4 == 4 && packet[1] & 3 == 2;
        if allows_mark && self.marks > 0 && self.sent.is_multiple_of(self.marks) {
            // The checksum of the IPv4 header changes by as much as the field (RFC 1624).
            packet[1] |= 3;
            let sum = u16::from_be_bytes([packet[10], packet[11]]);
            let (less, borrow) = sum.overflowing_sub(1);
            let sum = less.wrapping_sub(u16::from(borrow));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        let copies = if self.chance(self.path.double) { 2 } else { 1 };
        if self.chance(self.path.corrupt) {
            let at = self.random.usize(20..packet.len());
            packet[at] ^= 1 << self.random.u8(0..8);
        }
        for _ in 0..copies {
            let line = &mut self.line_free[usize::from(to_b)];
            let begins = (*line).max(self.now);
            let size = u32::try_from(packet.len()).unwrap();
            let takes = self.path.per_packet * size / 1500;
            let waits = begins.since(self.now).as_nanos();
            if waits > self.path.per_packet.as_nanos() * self.path.queue as u128 {
                continue;
            }
            *line = begins + takes;
            let mut arrives = begins + takes + self.path.delay;
            if self.chance(self.path.reorder) {
                arrives += self.path.delay.mul_f64(self.random.f64() * 2.0);
            }
            let number =
                self.sent * 2 + u64::from(self.flying.contains_key(&(arrives, self.sent * 2)));
            self.flying
                .insert((arrives, number), (to_b, packet.clone()));
        }
    }

    fn transmit(&mut self) {
        for _ in 0..MAX_BURST {
            let mut packet = Vec::new();
            if self.a.poll_transmit(self.now, &mut packet) {
                self.launch(true, packet);
                continue;
            }
            if self.b.poll_transmit(self.now, &mut packet) {
                self.launch(false, packet);
                continue;
            }
            return;
        }
        panic!("the hosts do not stop sending at {}", self.now);
    }

    /// Moves on to the next thing that happens; false when nothing does.
    pub(crate) fn step(&mut self) -> bool {
        self.transmit();
        let arrival = self.flying.keys().next().map(|(at, _)| *at);
        let timers = [self.a.poll_timeout(self.now), self.b.poll_timeout(self.now)];
        let timer = timers.into_iter().flatten().min();
        let Some(next) = [arrival, timer].into_iter().flatten().min() else {
            return false;
        };
        assert!(
            next > self.now || arrival == Some(next) || timer.is_some_and(|at| at >= self.now),
            "a deadline in the past: {next}, and it is {}",
            self.now
        );
        self.now = self.now.max(next);
        while let Some(entry) = self.flying.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to_b, packet) = entry.remove();
            if to_b {
                self.b.handle_packet(self.now, &packet);
            } else {
                self.a.handle_packet(self.now, &packet);
            }
            self.transmit();
        }
        if timers[0].is_some_and(|at| at <= self.now) {
            self.a.handle_timeout(self.now);
        }
        if timers[1].is_some_and(|at| at <= self.now) {
            self.b.handle_timeout(self.now);
        }
        true
    }

    /// Runs until nothing happens any more, and fails when that takes too long.
    #[track_caller]
    pub(crate) fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        for _ in 0..MAX_STEPS {
            if !self.step() {
                return;
            }
            assert!(self.now < end, "not done after {limit:?}");
        }
        panic!("{MAX_STEPS} steps until {}", self.now);
    }

    /// Runs until `done`, and fails when that takes too long.
    #[track_caller]
    pub(crate) fn run_until(&mut self, limit: Duration, done: impl Fn(&A, &B) -> bool) {
        let end = self.now + limit;
        while !done(&self.a, &self.b) {
            assert!(self.step(), "nothing happens any more at {}", self.now);
            assert!(self.now < end, "not done after {limit:?}");
        }
    }
}

const MAX_BURST: usize = 100_000;
const MAX_STEPS: usize = 2_000_000;
