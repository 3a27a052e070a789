//! What no TCP can live with, computed from the packets of a run.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mptcp_tests::middlebox::option_area::TIMESTAMPS;
use mptcp_tests::middlebox::segment::{Segment, is_after};
use mptcp_tests::sim::{CLIENT, HostId, Net, SERVER, Way};

/// Source and destination.
type Flow = (SocketAddr, SocketAddr);

/// A direction of a flow at its two ends, in bytes since the SYN.
#[derive(Debug, Default)]
struct Stream {
    /// The number of the SYN, at the sender and at the receiver.
    syn: [Option<u32>; 2],
    /// The number after the last byte that was sent.
    sent: u32,
    /// What the sender has heard that the receiver has.
    acked: u32,
    /// What the receiver has got, in pieces as they came.
    arrived: Vec<(u32, u32)>,
}

impl Stream {
    /// Whether a byte was acknowledged and did not arrive. A flow that the receiver does not know says nothing.
    fn has_false_ack(mut self) -> bool {
        self.arrived.sort_unstable();
        let whole = self.arrived.iter().fold(1, |whole, (from, to)| {
            if *from <= whole {
                whole.max(*to)
            } else {
                whole
            }
        });
        self.syn[1].is_some() && self.acked.min(self.sent) > whole
    }
}

/// Whether the SYN/ACK that the client got claims a time of the server that is ahead of its clock, so that
/// all that follows is taken for old (RFC 7323 §5.3).
pub(super) fn has_false_clock(net: &Net) -> bool {
    let recording = net.recording(CLIENT).expect("both hosts are recorded");
    let mut claimed: BTreeMap<Flow, u32> = BTreeMap::new();
    let incoming = recording.packets().filter(|(_, way, _)| *way == Way::In);
    for (_, _, packet) in incoming {
        let Some(segment) = Segment::parse(packet) else {
            continue;
        };
        let Some(time) = time_of(&segment) else {
            continue;
        };
        let flow = (segment.source(), segment.destination());
        if segment.is_syn_ack() {
            claimed.entry(flow).or_insert(time);
        } else if claimed
            .get(&flow)
            .is_some_and(|claimed| is_after(*claimed, time))
        {
            return true;
        }
    }
    false
}

/// The sender's time in the timestamps option.
fn time_of(segment: &Segment) -> Option<u32> {
    let places = segment.places();
    let place = places.iter().find(|place| place.kind == TIMESTAMPS)?;
    let bytes = place.of(segment.options()).get(2..6)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// Whether a byte was acknowledged to a host that never arrived at the other one.
pub(super) fn has_false_ack(net: &Net) -> bool {
    is_false(net, CLIENT, SERVER) || is_false(net, SERVER, CLIENT)
}

fn is_false(net: &Net, sender: HostId, receiver: HostId) -> bool {
    let mut streams: BTreeMap<Flow, Stream> = BTreeMap::new();
    for (host, end) in [(sender, 0), (receiver, 1)] {
        let recording = net.recording(host).expect("both hosts are recorded");
        for (_, way, packet) in recording.packets() {
            let Some(segment) = Segment::parse(packet) else {
                continue;
            };
            let ends = (segment.source(), segment.destination());
            let is_forward = (way == Way::Out) == (end == 0);
            let flow = if is_forward { ends } else { (ends.1, ends.0) };
            let stream = streams.entry(flow).or_default();
            if is_forward && (segment.is_syn() || segment.is_syn_ack()) {
                stream.syn[end] = Some(segment.seq());
            }
            let Some(syn) = stream.syn[end] else {
                continue;
            };
            let since_syn = |number: u32| number.wrapping_sub(syn);
            match (is_forward, end) {
                (true, 0) => stream.sent = stream.sent.max(since_syn(segment.data_end())),
                (true, _) => {
                    let piece = (since_syn(segment.data_seq()), since_syn(segment.data_end()));
                    stream.arrived.push(piece);
                }
                (false, 0) => stream.acked = stream.acked.max(since_syn(segment.ack())),
                (false, _) => {}
            }
        }
    }
    streams.into_values().any(Stream::has_false_ack)
}
