//! An engine that runs on a path made by hand: what reports and files see of a real run.

use std::collections::BTreeMap;
use std::time::Duration;

use mptcp_proto::random::RandomSource;
use mptcp_proto::time::Instant;

use super::sample::{HopOf, Sample};
use crate::engine::{Engine, Event};
use crate::evidence::{Evidence, Purpose, SentId};
use crate::packet::Packet;
use crate::packet::fields::Fields;
use crate::plan::Plan;

/// Somebody who looks on.
pub(crate) trait Watch {
    fn sent(&mut self, at: Instant, purpose: &Purpose, bytes: &[u8]);
    fn received(&mut self, at: Instant, bytes: &[u8], evidence: &Evidence, id: Option<SentId>);
    fn event(&mut self, evidence: &Evidence, event: Event);
}

/// Runs the engine to its end.
pub(crate) fn drive(
    sample: &Sample,
    plan: Plan,
    hops: &[Option<HopOf>],
    watch: &mut dyn Watch,
) -> Engine {
    let mut now = Instant::from_millis(1);
    let mut engine = Engine::new(plan, Box::new(Counter(1)), now);
    let mut coming: BTreeMap<(Instant, usize), Vec<u8>> = BTreeMap::new();
    for number in 0..MOST {
        while let Some(transmit) = engine.poll_transmit(now) {
            watch.sent(now, &transmit.purpose, &transmit.bytes);
            if let Some((after, answer)) = answer(sample, hops, &transmit.bytes) {
                coming.insert((now + after, number + coming.len()), answer);
            }
        }
        while let Some(event) = engine.poll_event() {
            watch.event(engine.evidence(), event);
        }
        if engine.is_done() {
            return engine;
        }
        let timeout = engine.poll_timeout(now);
        let first = coming.first_key_value().map(|((at, _), _)| *at);
        let next = timeout
            .into_iter()
            .chain(first)
            .min()
            .expect("it waits for something");
        now = next.max(now);
        if first == Some(next) {
            let ((at, _), bytes) = coming.pop_first().expect("it is the first");
            let id = engine.handle_packet(at, &bytes);
            watch.received(at, &bytes, engine.evidence(), id);
        } else {
            engine.handle_timeout(now);
        }
    }
    panic!("the engine does not come to its end");
}

/// What comes back for a packet.
fn answer(sample: &Sample, hops: &[Option<HopOf>], bytes: &[u8]) -> Option<(Duration, Vec<u8>)> {
    let fields = Fields::parse(bytes)?;
    let (source, destination) = fields.ends()?;
    let flags = fields.tcp.flags()?;
    let ttl = usize::from(fields.ip.ttl);
    let packet = Packet {
        source,
        destination,
        ttl: fields.ip.ttl,
        tos: fields.ip.tos,
        ip_id: fields.ip.id().unwrap_or(0),
        flow_label: fields.ip.flow_label().unwrap_or(0),
        seq: fields.tcp.seq()?,
        ack: fields.tcp.ack()?,
        flags,
        window: fields.tcp.window()?,
        options: fields.tcp.options().to_vec(),
        payload: Vec::new(),
    };
    match hops.get(ttl - 1) {
        Some(hop) => Some((Duration::from_millis(3), sample.expired(&packet, (*hop)?))),
        None if flags.syn() => {
            let answer = Sample::answered(&packet, vec![2, 4, 5, 0xb4]);
            Some((Duration::from_millis(9), answer))
        }
        None => None,
    }
}

struct Counter(u8);

impl RandomSource for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_mul(29).wrapping_add(113);
            *byte = self.0;
        }
    }
}

/// Steps of the longest run.
const MOST: usize = 10_000;
