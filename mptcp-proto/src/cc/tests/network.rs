//! A network just large enough to see how windows share it: links with a rate, a queue and early
//! random loss; senders whose data never ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// A link. Its queue drops at random before it overflows, so that no sender is unlucky for long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// Segments a second.
    pub(super) rate: u64,
    /// Segments that wait at most.
    pub(super) queue: u64,
    free_at: Instant,
}

impl Link {
    pub(super) fn new(rate: u64, queue: u64) -> Self {
        Self {
            rate,
            queue,
            free_at: Instant::ZERO,
        }
    }

    /// When a segment that comes now has passed; none if it is dropped.
    fn pass(&mut self, now: Instant, random: &mut u64) -> Option<Instant> {
        let service = Duration::from_nanos(1_000_000_000 / self.rate);
        let waiting = self.free_at.since(now).as_nanos() / service.as_nanos();
        let waiting = u64::try_from(waiting).unwrap();
        // xorshift64
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        // From none at a quarter of the queue to one in twenty where it is full.
        let excess = waiting.saturating_sub(self.queue / 4);
        if waiting >= self.queue || *random % (20 * self.queue) < excess {
            return None;
        }
        self.free_at = self.free_at.max(now) + service;
        Some(self.free_at)
    }
}

/// What comes back to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Echo {
    sender: usize,
    number: u64,
    sent: Instant,
    is_lost: bool,
}

/// A subflow of one of the connections.
struct Sender {
    connection: usize,
    id: SubflowId,
    link: usize,
    delay: Duration,
    in_flight: u64,
    next: u64,
    /// Losses of segments before this one belong to the last episode.
    recovery: u64,
    srtt: Duration,
    delivered: u64,
    lost: u64,
    rtts: Duration,
}

/// Everything.
pub(super) struct Network {
    links: Vec<Link>,
    connections: Vec<Box<dyn CongestionControl>>,
    senders: Vec<Sender>,
    echoes: BinaryHeap<Reverse<(Instant, Echo)>>,
    random: u64,
    counting_from: Instant,
}

impl Network {
    pub(super) fn new(links: &[Link]) -> Self {
        Self {
            links: links.to_vec(),
            connections: Vec::new(),
            senders: Vec::new(),
            echoes: BinaryHeap::new(),
            random: 0x9e37_79b9_7f4a_7c15,
            counting_from: Instant::ZERO,
        }
    }

    /// A connection with a subflow over each of these links, given with its round-trip delay.
    pub(super) fn connect(&mut self, kind: Kind, subflows: &[(usize, Duration)]) {
        let mut control = kind.build();
        for (id, (link, delay)) in (0..).zip(subflows) {
            control.add(SubflowId(id), MSS);
            self.senders.push(Sender {
                connection: self.connections.len(),
                id: SubflowId(id),
                link: *link,
                delay: *delay,
                in_flight: 0,
                next: 0,
                recovery: 0,
                srtt: *delay,
                delivered: 0,
                lost: 0,
                rtts: Duration::ZERO,
            });
        }
        self.connections.push(control);
    }

    /// Runs for so long, and counts what arrives after the first fifth of it.
    pub(super) fn run(&mut self, seconds: u64) {
        let end = Instant::from_millis(1_000 * seconds);
        self.counting_from = Instant::from_millis(200 * seconds);
        for sender in 0..self.senders.len() {
            self.send(Instant::ZERO, sender);
        }
        while let Some(Reverse((now, echo))) = self.echoes.pop() {
            if now > end {
                break;
            }
            self.hear(now, echo);
            self.send(now, echo.sender);
        }
    }

    /// Segments a second that this subflow of a connection got through.
    pub(super) fn rate(&self, connection: usize, id: u32, seconds: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let rate = self.sender(connection, id).delivered as f64 / (seconds as f64 * 0.8);
        rate
    }

    /// Mean round-trip time of a subflow.
    pub(super) fn rtt(&self, connection: usize, id: u32) -> Duration {
        let sender = self.sender(connection, id);
        sender.rtts / u32::try_from(sender.delivered).unwrap()
    }

    /// Segments that a subflow lost.
    pub(super) fn lost(&self, connection: usize, id: u32) -> u64 {
        self.sender(connection, id).lost
    }

    fn sender(&self, connection: usize, id: u32) -> &Sender {
        let of = |sender: &&Sender| sender.connection == connection && sender.id.0 == id;
        self.senders.iter().find(of).unwrap()
    }

    fn send(&mut self, now: Instant, index: usize) {
        let sender = &mut self.senders[index];
        let control = &self.connections[sender.connection];
        while sender.in_flight + SEGMENT <= control.cwnd(sender.id) {
            let passed = self.links[sender.link].pass(now, &mut self.random);
            let echo = Echo {
                sender: index,
                number: sender.next,
                sent: now,
                is_lost: passed.is_none(),
            };
            // A loss is noticed by what comes after it.
            let back = passed.unwrap_or(self.links[sender.link].free_at) + sender.delay;
            self.echoes.push(Reverse((back, echo)));
            sender.in_flight += SEGMENT;
            sender.next += 1;
        }
    }

    fn hear(&mut self, now: Instant, echo: Echo) {
        let connection = self.senders[echo.sender].connection;
        let paths = self.paths(connection);
        let sender = &mut self.senders[echo.sender];
        let control = &mut self.connections[connection];
        let in_flight = sender.in_flight;
        sender.in_flight -= SEGMENT;
        let is_recovering = echo.number < sender.recovery;
        if echo.is_lost {
            sender.lost += u64::from(now >= self.counting_from);
            if !is_recovering {
                sender.recovery = sender.next;
                control.on_loss(now, sender.id, in_flight, &paths);
            }
            return;
        }
        let rtt = now.since(echo.sent);
        sender.srtt = sender.srtt * 7 / 8 + rtt / 8;
        if now >= self.counting_from {
            sender.delivered += 1;
            sender.rtts += rtt;
        }
        if !is_recovering && sender.recovery > 0 {
            sender.recovery = 0;
            control.on_recovered(now, sender.id);
        }
        let sample = AckSample {
            acked: SEGMENT,
            rtt: Some(rtt),
            in_flight,
            is_cwnd_limited: in_flight + SEGMENT > control.cwnd(sender.id),
            ece: false,
            loss_state: if is_recovering {
                LossState::Recovery
            } else {
                LossState::Open
            },
        };
        control.on_ack(now, sender.id, &sample, &paths);
    }

    fn paths(&self, connection: usize) -> Vec<PathView> {
        let of = |sender: &&Sender| sender.connection == connection;
        let senders = self.senders.iter().filter(of);
        senders
            .map(|sender| path(sender.id.0, sender.srtt))
            .collect()
    }
}
