//! What a box did in a run, and what of it came to the hosts: with losses, what it has changed may be lost behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{DssMapping, MptcpOption, WireDsn};
use mptcp_proto::wire::tcp_option::KIND_MPTCP;
use mptcp_tests::middlebox::segment::Segment;
use mptcp_tests::middlebox::{Departure, Direction, Middlebox};
use mptcp_tests::sim::{CLIENT, HostId, Net, SERVER, Way};

use super::super::PORT;

/// What the boxes of a run did.
#[derive(Debug, Default)]
pub(super) struct Acts {
    /// Packets that they did not forward as they were.
    pub(super) touched: u64,
    /// Of those they forwarded otherwise, what follows the IP header, as numbers.
    changed: BTreeSet<u64>,
    /// Whether they dropped some, or held them back.
    has_withheld: bool,
}

/// The same, shared by the boxes of all paths.
pub(super) type Watch = Arc<Mutex<Acts>>;

/// A box that is watched.
pub(super) struct Watched {
    pub(super) inner: Box<dyn Middlebox>,
    pub(super) watch: Watch,
}

impl Middlebox for Watched {
    fn handle_packet(
        &mut self,
        now: Duration,
        direction: Direction,
        packet: Vec<u8>,
        out: &mut Vec<Departure>,
    ) {
        let before = out.len();
        let arrived = packet.clone();
        self.inner.handle_packet(now, direction, packet, out);
        let left = out.get(before..).unwrap_or_default();
        let is_same = |departure: &Departure| {
            departure.packet == arrived && departure.direction == direction && departure.at == now
        };
        if left.len() != 1 || !left.iter().all(is_same) {
            let mut acts = self.watch.lock().unwrap();
            acts.touched += 1;
            acts.has_withheld |= left.is_empty();
            acts.changed
                .extend(left.iter().map(|departure| number_of(&departure.packet)));
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.inner.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Duration, out: &mut Vec<Departure>) {
        self.inner.handle_timeout(now, out);
    }
}

/// What a host knows a packet by, whatever its TTL was changed to.
fn number_of(packet: &[u8]) -> u64 {
    let header = packet
        .first()
        .map_or(0, |first| usize::from(first & 0xf) * 4);
    let mut hasher = DefaultHasher::new();
    packet.get(header..).hash(&mut hasher);
    hasher.finish()
}

impl Acts {
    /// What of it came to the hosts.
    pub(super) fn effect(&self, net: &Net) -> Effect {
        let is_changed = |packet: &[u8]| self.changed.contains(&number_of(packet));
        let has_any = [CLIENT, SERVER].iter().any(|host| {
            let packets = incoming(net, *host);
            copies(packets).any(|(packet, is_copy)| !is_copy && is_changed(packet))
        });
        Effect {
            has_any: self.has_withheld || has_any,
            contradicts: [CLIENT, SERVER]
                .iter()
                .any(|host| has_contradiction(incoming(net, *host))),
            told_by_mapping: [CLIENT, SERVER].map(|host| is_told_by_mapping(net, host)),
            begins_with_data: begins_with_data(net),
            lost_first_data: has_lost_first_data(net),
        }
    }
}

/// What came to the hosts.
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Effect {
    /// Whether a host got something that was changed and no copy of data that it had, or lacked something.
    pub(super) has_any: bool,
    /// Whether a mapping that a host got contradicts another one: it says something else of the same bytes.
    pub(super) contradicts: bool,
    /// Whether client and server got an infinite mapping before any MP_FAIL.
    pub(super) told_by_mapping: [bool; 2],
    /// Whether the server got data before a third ACK.
    pub(super) begins_with_data: bool,
    /// Whether the client's first data came to the server with a later transmission, or after others.
    pub(super) lost_first_data: bool,
}

/// Packets that a host got, with their times.
fn incoming(net: &Net, host: HostId) -> impl Iterator<Item = (Instant, &[u8])> {
    let recording = net.recording(host).expect("both hosts are recorded");
    let packets = recording.packets().filter(|(_, way, _)| *way == Way::In);
    packets.map(|(at, _, packet)| (at, packet))
}

/// Each packet, and whether all its data came before.
fn copies<'a>(
    packets: impl Iterator<Item = (Instant, &'a [u8])>,
) -> impl Iterator<Item = (&'a [u8], bool)> {
    let mut flows: BTreeMap<(SocketAddr, SocketAddr), Received> = BTreeMap::new();
    packets.map(move |(_, packet)| {
        let Some(segment) = Segment::parse(packet) else {
            return (packet, false);
        };
        let flow = flows.entry((segment.source(), segment.destination()));
        (packet, flow.or_default().takes_copy(&segment))
    })
}

/// What of a flow came: up to where all did, and what came beyond, by numbers since the first segment.
#[derive(Debug, Default)]
struct Received {
    first: Option<u32>,
    whole: u32,
    pieces: Vec<(u32, u32)>,
}

impl Received {
    /// Takes a segment; says whether all its data came before.
    fn takes_copy(&mut self, segment: &Segment) -> bool {
        let first = *self.first.get_or_insert(segment.seq());
        let [from, to] =
            [segment.data_seq(), segment.data_end()].map(|number| number.wrapping_sub(first));
        self.whole = self.whole.max(1);
        if from < to && to <= self.whole {
            return true;
        }
        self.pieces.push((from, to));
        self.pieces.sort_unstable();
        while let Some((from, to)) = self.pieces.first().copied()
            && from <= self.whole
        {
            self.whole = self.whole.max(to);
            self.pieces.remove(0);
        }
        false
    }
}

fn has_contradiction<'a>(packets: impl Iterator<Item = (Instant, &'a [u8])>) -> bool {
    let mut flows: BTreeMap<(SocketAddr, SocketAddr), Vec<Mapping>> = BTreeMap::new();
    let mut segments = packets.filter_map(|(_, packet)| Segment::parse(packet));
    segments.any(|segment| {
        let flow = flows.entry((segment.source(), segment.destination()));
        let known = flow.or_default();
        options(&segment).iter().filter_map(mapping_of).any(|new| {
            let contradicts = known.iter().any(|known| contradict(*known, new));
            known.push(new);
            known.dedup();
            contradicts
        })
    })
}

/// What a mapping says, without the DATA_FIN: the low half of the DSN less the SSN, where it begins and ends.
type Mapping = (u32, u32, u32);

fn mapping_of(option: &MptcpOption) -> Option<Mapping> {
    let MptcpOption::Dss(dss) = option else {
        return None;
    };
    let mapping = dss.mapping?;
    let low = match mapping.dsn {
        WireDsn::Short(low) => low,
        WireDsn::Long(dsn) => u32::try_from(dsn & u64::from(u32::MAX)).ok()?,
    };
    let len = u32::from(mapping.len).saturating_sub(u32::from(dss.data_fin));
    let ssn = mapping.ssn.0;
    (len > 0).then(|| (low.wrapping_sub(ssn), ssn, ssn.wrapping_add(len)))
}

fn contradict(known: Mapping, new: Mapping) -> bool {
    known.1 < new.2 && new.1 < known.2 && known != new
}

fn options(segment: &Segment) -> Vec<MptcpOption> {
    let area = segment.options();
    let places = segment.places().into_iter();
    let places = places.filter(|place| place.kind == KIND_MPTCP);
    places
        .filter_map(|place| MptcpOption::parse(Version::V1, place.of(area)).ok())
        .collect()
}

fn is_told_by_mapping(net: &Net, host: HostId) -> bool {
    let segments = incoming(net, host).filter_map(|(_, packet)| Segment::parse(packet));
    let mut told =
        segments
            .flat_map(|segment| options(&segment))
            .filter_map(|option| match option {
                MptcpOption::Fail(_) => Some(false),
                MptcpOption::Dss(dss) => dss.mapping.filter(DssMapping::is_infinite).map(|_| true),
                _ => None,
            });
    told.next() == Some(true)
}

/// Segments of the initial subflow from the client.
fn from_client<'a>(
    packets: impl Iterator<Item = (Instant, &'a [u8])>,
) -> impl Iterator<Item = (Instant, Segment)> {
    let segments = packets.filter_map(|(at, packet)| Some((at, Segment::parse(packet)?)));
    let mut ends = None;
    segments.filter(move |(_, segment)| {
        let own = (segment.source(), segment.destination());
        if segment.is_syn() && segment.destination().port() == PORT {
            ends.get_or_insert(own);
        }
        ends == Some(own)
    })
}

/// Whether data were the first that the server got behind the SYN of the initial subflow: the third ACK was lost, or is
/// the segment with them.
fn begins_with_data(net: &Net) -> bool {
    let mut segments = from_client(incoming(net, SERVER));
    let first = segments.find(|(_, segment)| !segment.is_syn());
    first.is_some_and(|(_, first)| first.data_end() != first.data_seq())
}

fn has_lost_first_data(net: &Net) -> bool {
    let recording = net.recording(CLIENT).expect("both hosts are recorded");
    let sent = recording.packets().filter(|(_, way, _)| *way == Way::Out);
    let sent = sent.map(|(at, _, packet)| (at, packet));
    let (mut sent, mut came) = (
        data(from_client(sent)),
        data(from_client(incoming(net, SERVER))),
    );
    let Some((_, first)) = sent.next() else {
        return false;
    };
    let again = sent.find(|(_, begin)| *begin == first).map(|(at, _)| at);
    let Some((at, begin)) = came.next() else {
        return true;
    };
    begin != first || again.is_some_and(|again| again < at)
}

/// Segments with data: when, and where they begin behind the SYN.
fn data(
    segments: impl Iterator<Item = (Instant, Segment)>,
) -> impl Iterator<Item = (Instant, u32)> {
    let mut syn = None;
    segments.filter_map(move |(at, segment)| {
        let syn = *syn.get_or_insert(segment.seq());
        let begin = segment.data_seq().wrapping_sub(syn);
        (segment.data_end() != segment.data_seq()).then_some((at, begin))
    })
}
