//! The packets of a run.

use std::net::SocketAddr;

use mptcp_proto::random::RandomSource as _;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::tcp_option::{KIND_TIMESTAMPS, TcpOptions};

use super::shared_random::SharedRandom;
use crate::evidence::{Purpose, Role};
use crate::packet::Packet;
use crate::packet::fields::Fields;
use crate::probe::Probe;

/// Makes packets that can be told apart: each has its own sequence number, IP id and timestamp. All of a
/// flow have the same flow label, so that they take the same way.
pub(super) struct Composer {
    random: SharedRandom,
    clock: u32,
    /// That of the last SYN.
    seq: Option<TcpSeq>,
    ip_id: u16,
    label: u32,
    /// Nobody listens there, most likely.
    other_port: u16,
}

impl Composer {
    pub(super) fn new(mut random: SharedRandom) -> Self {
        let bits = random.next_u64();
        let other = u16::try_from(random.next_u32() % u32::from(OTHER_PORTS)).unwrap_or(0);
        let [i0, i1, l0, l1, l2, c0, c1, c2] = bits.to_be_bytes();
        Self {
            random,
            // Far from the wrap.
            clock: u32::from_be_bytes([0x10, c0, c1, c2]),
            seq: None,
            ip_id: u16::from_be_bytes([i0, i1]),
            label: u32::from_be_bytes([0, l0 & 0x0f, l1, l2 | 1]),
            other_port: FIRST_OTHER_PORT + other,
        }
    }

    /// Steps of chance, or a box that changes a timestamp a little would make it that of another packet.
    fn tick(&mut self) {
        let step = LEAST_STEP + (self.random.next_u32() & 0x3ff);
        self.clock = self.clock.wrapping_add(step);
    }

    /// The sequence number of the next SYN: in steps of chance, so that nobody guesses it, and always larger. The
    /// connection tracking of Linux takes a SYN between the same ports for one that begins anew only if its
    /// number is behind the last that it saw (RFC 9293 §3.4.1), and it saw SYNs that ran out of TTL behind it:
    /// after a smaller one it knows no connection, and a strict firewall drops all but SYNs.
    pub(super) fn next_seq(&mut self) -> TcpSeq {
        let random = self.random.next_u32();
        let step = LEAST_SEQ_STEP + (random & 0xffff);
        let next = self.seq.map_or(TcpSeq(random), |last| last.add(step));
        self.seq = Some(next);
        next
    }

    /// A SYN, or an ACK without a connection. None when the probe has more options than a header has room for.
    pub(super) fn syn(
        &mut self,
        source: SocketAddr,
        target: SocketAddr,
        purpose: &Purpose,
    ) -> Option<Vec<u8>> {
        self.tick();
        self.ip_id = next_id(self.ip_id);
        let mut options = match purpose.probe {
            Probe::StrayAck => {
                [&[1, 1, 8, 10][..], &self.clock.to_be_bytes(), &[0, 0, 0, 1]].concat()
            }
            _ => plain_options(source.is_ipv4(), self.clock),
        };
        options.extend(purpose.probe.syn_options(&mut self.random));
        // Behind the last option, as RFC 9293 §3.1 has it.
        options.resize(options.len().next_multiple_of(4), 0);
        let ttl = match purpose.role {
            Role::Ladder => purpose.ttl,
            _ => FULL_TTL,
        };
        let is_stray = purpose.probe == Probe::StrayAck;
        let is_ecn = purpose.probe == Probe::Ecn;
        let flags = match purpose.probe {
            Probe::StrayAck => Flags::ACK,
            Probe::Ecn => Flags::SYN.with(Flags::ECE).with(Flags::CWR),
            _ => Flags::SYN,
        };
        let packet = Packet {
            source,
            destination: self.destination(target, &purpose.probe),
            ttl,
            // What is to reach the target keeps to RFC 3168 §6.1.1: a SYN is not ECT.
            tos: if is_ecn && purpose.role == Role::Ladder {
                ECT_0
            } else {
                0
            },
            ip_id: self.ip_id,
            flow_label: self.label,
            seq: self.next_seq(),
            ack: TcpSeq(if is_stray { self.random.next_u32() } else { 0 }),
            flags,
            window: WINDOW,
            options,
            payload: Vec::new(),
        };
        packet.emit().ok()
    }

    /// The target, and the port for the probe.
    const fn destination(&self, target: SocketAddr, probe: &Probe) -> SocketAddr {
        let port = match probe {
            Probe::OtherPort | Probe::StrayAck if target.port() == self.other_port => {
                self.other_port + 1
            }
            Probe::OtherPort | Probe::StrayAck => self.other_port,
            _ => target.port(),
        };
        SocketAddr::new(target.ip(), port)
    }

    /// Gives a packet of the connection its IP id and the flow's label; a copy gets a timestamp of its own
    /// too, by which its quote is known.
    pub(super) fn sign(&mut self, packet: &mut Packet, is_copy: bool) {
        self.ip_id = next_id(self.ip_id);
        packet.ip_id = self.ip_id;
        packet.flow_label = self.label;
        if is_copy {
            self.tick();
            set_timestamp(&mut packet.options, self.clock);
        }
    }

    /// The segment that takes back what a SYN/ACK has begun; none for another segment.
    pub(super) fn reset(&mut self, answer: &Fields<'_>) -> Option<Vec<u8>> {
        let flags = answer.tcp.flags()?;
        let is_tcp = answer.ip.protocol == TCP;
        if !is_tcp || flags.rst() || !flags.ack() {
            return None;
        }
        let (theirs, ours) = answer.ends()?;
        self.ip_id = next_id(self.ip_id);
        let packet = Packet {
            source: ours,
            destination: theirs,
            ttl: FULL_TTL,
            tos: 0,
            ip_id: self.ip_id,
            flow_label: self.label,
            seq: answer.tcp.ack()?,
            ack: TcpSeq(0),
            flags: Flags::RST,
            window: 0,
            options: Vec::new(),
            payload: Vec::new(),
        };
        packet.emit().ok()
    }
}

/// The next IP id. Zero would be filled in by Linux; and who gives all packets one id takes a small number,
/// perhaps in the wrong order of bytes: that of no packet of ours.
const fn next_id(id: u16) -> u16 {
    let mut next = id.wrapping_add(ID_STEP);
    while next < 0x100 || next.trailing_zeros() >= 8 {
        next = next.wrapping_add(ID_STEP);
    }
    next
}

/// In the order of Linux: MSS, SACK permitted, timestamps, a no-operation, window scale.
fn plain_options(is_v4: bool, clock: u32) -> Vec<u8> {
    let mss: u16 = if is_v4 { 1460 } else { 1440 };
    let mut options = vec![2, 4];
    options.extend(mss.to_be_bytes());
    options.extend([4, 2, 8, 10]);
    options.extend(clock.to_be_bytes());
    options.extend([0, 0, 0, 0, 1, 3, 3, 7]);
    options
}

fn set_timestamp(area: &mut [u8], clock: u32) {
    let mut options = TcpOptions::new(area).map_while(Result::ok);
    let found = options.find(|option| option.kind == KIND_TIMESTAMPS);
    let Some(start) = found.map(|option| option.offset + 2) else {
        return;
    };
    if let Some(value) = area.get_mut(start..start + 4) {
        value.copy_from_slice(&clock.to_be_bytes());
    }
}

/// Above the ports that Linux gives to clients by itself (32768 to 60999), so that none is in use.
const FIRST_OTHER_PORT: u16 = 61_000;
/// How many ports there are to choose from.
const OTHER_PORTS: u16 = 4_096;
/// Ticks between the timestamps of two packets, at least.
const LEAST_STEP: u32 = 64;
/// More than a connection of ours sends, so that the next one begins behind it.
const LEAST_SEQ_STEP: u32 = 0x1_0000;
/// IP ids leave room for those of the parts into which a box may split a segment.
const ID_STEP: u16 = 29;
/// TTL of what is to reach the target.
pub(super) const FULL_TTL: u8 = 64;
/// ECN-capable transport (RFC 3168 §5).
const ECT_0: u8 = 2;
/// As Linux has it in a SYN.
const WINDOW: u16 = 64_240;
const TCP: u8 = 6;
