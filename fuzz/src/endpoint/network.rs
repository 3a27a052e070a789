//! What is between the hosts, and what can be seen there.

use std::collections::VecDeque;

use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::seq::Dsn;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::DataAck;
use mptcp_proto::wire::segment::Segment;
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptions};

/// Packets under way, by the host that sent them, and some that were there before.
#[derive(Debug, Default)]
pub(super) struct Network {
    wires: [VecDeque<Vec<u8>>; 2],
    old: [VecDeque<Vec<u8>>; 2],
    /// Paths that let nothing through, a bit each.
    down: u8,
}

impl Network {
    pub(super) fn send(&mut self, side: usize, packet: &[u8]) {
        let path = packet.get(14).copied().unwrap_or(0) % 8;
        if self.down & 1 << path != 0 {
            return;
        }
        if self.wires[side].len() < MAX_QUEUE {
            self.wires[side].push_back(packet.to_vec());
        }
    }

    /// Takes one of the first packets off.
    pub(super) fn take(&mut self, side: usize, place: usize) -> Option<Vec<u8>> {
        let wire = &mut self.wires[side];
        let place = place.min(wire.len().saturating_sub(1));
        let packet = wire.remove(place)?;
        if self.old[side].len() >= MAX_OLD {
            self.old[side].pop_front();
        }
        self.old[side].push_back(packet.clone());
        Some(packet)
    }

    /// A packet that was there before.
    pub(super) fn old(&self, side: usize, place: usize) -> Option<Vec<u8>> {
        self.old[side].get(place % MAX_OLD).cloned()
    }

    pub(super) fn toggle(&mut self, path: u8) {
        self.down ^= 1 << (path % super::setup::PATHS);
    }

    pub(super) fn open(&mut self) {
        self.down = 0;
    }
}

/// A packet with its MPTCP options replaced by NOPs.
pub(super) fn strip(packet: &[u8]) -> Option<Vec<u8>> {
    let segment = Segment::parse(packet, true).ok()?;
    let mut options = Vec::new();
    for option in TcpOptions::new(segment.options).flatten() {
        if option.kind == KIND_MPTCP {
            options.resize(options.len() + option.bytes.len(), 1);
        } else {
            options.extend_from_slice(option.bytes);
        }
    }
    options.resize(segment.options.len(), 1);
    emit(&Segment {
        options: &options,
        ..segment
    })
}

/// A packet with another byte in its option area or its payload.
pub(super) fn change(packet: &[u8], in_payload: bool, place: u8, bits: u8) -> Option<Vec<u8>> {
    let segment = Segment::parse(packet, true).ok()?;
    let (mut options, mut payload) = (segment.options.to_vec(), segment.payload.to_vec());
    let bytes = if in_payload {
        &mut payload
    } else {
        &mut options
    };
    let place = usize::from(place).checked_rem(bytes.len())?;
    bytes[place] ^= bits.max(1);
    emit(&Segment {
        options: &options,
        payload: &payload,
        ..segment
    })
}

/// A packet with other flags and numbers near the right ones.
pub(super) fn forge(packet: &[u8], flags: u8, shift: u8) -> Option<Vec<u8>> {
    let segment = Segment::parse(packet, true).ok()?;
    let near = u32::from(shift & 15) << (shift >> 4);
    emit(&Segment {
        flags: mptcp_proto::wire::segment::Flags(flags),
        seq: segment.seq.add(near),
        ack: segment.ack.add(if shift & 1 == 0 { 0 } else { near }),
        window: segment.window.rotate_left(u32::from(shift & 7)),
        ..segment
    })
}

fn emit(segment: &Segment<'_>) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    segment.emit(&mut packet).ok()?;
    Some(packet)
}

/// What one host has told about what it received.
#[derive(Debug, Default)]
pub(super) struct Observer {
    data_ack: Option<Dsn>,
    edge: Option<Dsn>,
    shift: u32,
}

impl Observer {
    /// Looks at a packet that a host sends.
    pub(super) fn see(&mut self, packet: &[u8], is_forged: bool, is_fair: bool) {
        let segment = Segment::parse(packet, false).expect("what is sent is whole");
        if segment.flags.syn() {
            for option in TcpOptions::new(segment.options).flatten() {
                if let [3, 3, shift] = option.bytes {
                    self.shift = u32::from(*shift);
                }
            }
            return;
        }
        let options = ReceivedOptions::parse(Some(Version::V1), segment.options);
        let data_ack = options.dss.and_then(|dss| dss.data_ack);
        if is_forged || segment.flags.rst() {
            return;
        }
        let Some(DataAck::Long(data_ack)) = data_ack else {
            return;
        };
        let data_ack = Dsn(data_ack);
        if let Some(known) = self.data_ack.replace(data_ack) {
            assert!(data_ack.offset_from(known) >= 0, "{known} then {data_ack}");
        }
        let edge = data_ack.add(u64::from(segment.window) << self.shift);
        let lowest = Dsn(edge.0.wrapping_add(1 << self.shift));
        if is_fair && let Some(known) = self.edge {
            assert!(lowest.offset_from(known) >= 0, "edge {known} then {edge}");
        }
        let is_higher = self.edge.is_none_or(|known| edge.offset_from(known) > 0);
        if is_higher {
            self.edge = Some(edge);
        }
    }
}

/// Packets under way.
const MAX_QUEUE: usize = 256;
/// Packets that may come again.
const MAX_OLD: usize = 16;
