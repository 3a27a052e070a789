//! Two hosts that talk through a box over a path that loses segments, for the tests of boxes that
//! change numbers.

use std::time::Duration;

use proptest::prelude::*;

use super::bench::{Tcp, check_checksums};
use super::flow_table::PerDirection;
use super::segment::{ACK, SYN, Segment};
use super::spec::Spec;
use super::{Direction, Middlebox};

/// What happens in one step: how much each host sends, and where it is lost.
pub(super) type Step = (usize, bool, bool);

/// A host with a stream to send, in its own numbers.
#[derive(Default)]
struct Host {
    stream: Vec<u8>,
    start: u32,
    sent: usize,
    acked: usize,
    peer_start: u32,
    received: Vec<u8>,
}

impl Host {
    fn handle(&mut self, segment: &Segment) {
        if segment.has(SYN) {
            self.peer_start = segment.data_seq();
        }
        let at = usize::try_from(segment.data_seq().wrapping_sub(self.peer_start));
        let fresh = at
            .ok()
            .and_then(|at| self.received.len().checked_sub(at))
            .and_then(|known| segment.payload().get(known..));
        self.received.extend(fresh.unwrap_or_default());
        if segment.has(ACK) {
            let acked = segment.ack().wrapping_sub(self.start).cast_signed();
            let acked = usize::try_from(acked).expect("no number before the stream");
            assert!(acked <= self.sent, "no more is acknowledged than was sent");
            self.acked = self.acked.max(acked);
        }
    }

    fn data(&mut self, direction: Direction, size: usize) -> Tcp {
        let end = (self.acked + size).min(self.stream.len());
        self.sent = self.sent.max(end);
        let payload = &self.stream[self.acked..end];
        Tcp::new(direction)
            .seq(number(self.start, self.acked))
            .ack(number(self.peer_start, self.received.len()))
            .payload(payload)
    }
}

fn number(start: u32, offset: usize) -> u32 {
    start.wrapping_add(u32::try_from(offset).expect("streams are short"))
}

/// Lets both hosts send their streams through a box. Returns what the server and the client have
/// received when everything is acknowledged.
#[track_caller]
pub(super) fn converse(
    spec: &str,
    streams: [&[u8]; 2],
    starts: [u32; 2],
    steps: &[Step],
) -> [Vec<u8>; 2] {
    let mut middlebox = spec.parse::<Spec>().expect("a box").build();
    let host = |index: usize| Host {
        stream: streams[index].to_vec(),
        start: starts[index],
        ..Host::default()
    };
    let mut hosts = PerDirection {
        to_server: host(0),
        to_client: host(1),
    };
    let syn = Tcp::syn().seq(starts[0].wrapping_sub(1));
    travel(middlebox.as_mut(), &mut hosts, &syn, Duration::ZERO, false);
    let ack = hosts.to_client.peer_start;
    let syn_ack = Tcp::syn_ack().seq(starts[1].wrapping_sub(1)).ack(ack);
    travel(
        middlebox.as_mut(),
        &mut hosts,
        &syn_ack,
        Duration::ZERO,
        false,
    );
    for (round, step) in (0..MOST_STEPS).zip(steps.iter().cycle()) {
        let (size, lost_before, lost_after) = *step;
        // Later nothing is lost, so that every conversation ends.
        let is_bad = round < MOST_STEPS / 4;
        for direction in [Direction::ToServer, Direction::ToClient] {
            let tcp = hosts.of_mut(direction).data(direction, size);
            if lost_before && is_bad {
                continue;
            }
            let now = Duration::from_secs(round);
            travel(
                middlebox.as_mut(),
                &mut hosts,
                &tcp,
                now,
                lost_after && is_bad,
            );
        }
    }
    let is_done = |host: &Host| host.acked == host.stream.len();
    assert!(is_done(&hosts.to_server) && is_done(&hosts.to_client));
    [hosts.to_client.received, hosts.to_server.received]
}

fn travel(
    middlebox: &mut dyn Middlebox,
    hosts: &mut PerDirection<Host>,
    tcp: &Tcp,
    now: Duration,
    is_lost: bool,
) {
    let mut out = Vec::new();
    middlebox.handle_packet(now, tcp.direction(), tcp.packet(), &mut out);
    if let Some(at) = middlebox.poll_timeout() {
        middlebox.handle_timeout(at, &mut out);
    }
    for departure in out {
        check_checksums(&departure.packet);
        if !is_lost {
            let segment = Segment::parse(&departure.packet).expect("a segment");
            hosts.of_mut(departure.direction.reverse()).handle(&segment);
        }
    }
}

const MOST_STEPS: u64 = 200;

/// Boxes that leave the streams as they are.
const FAITHFUL: &[&str] = &[
    "isn",
    "isn:toward=client,sack=leave",
    "isn:delta=0xfffffff0,toward=both",
    "split:at=3,options=first",
    "coalesce:max=9",
    "hole",
    "ack:how=correct",
    "proactive:toward=client+isn:toward=both+split",
];

proptest! {
    #[test]
    fn both_hosts_receive_what_the_other_has_sent(
        starts: [u32; 2],
        streams in prop::array::uniform2(prop::collection::vec(any::<u8>(), 0..60)),
        steps in prop::collection::vec((1_usize..9, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let [client, server] = &streams;
        for spec in FAITHFUL {
            let mut steps = steps.clone();
            if spec.contains("proactive") {
                // What it has acknowledged must not be lost behind it.
                for step in &mut steps {
                    step.2 = false;
                }
            }
            let received = converse(spec, [client, server], starts, &steps);
            prop_assert_eq!(&received, &streams, "{}", spec);
        }
    }
}
