//! Packets for the tests of boxes, and checks that share no code with the boxes.

use std::time::Duration;

use etherparse::{IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, TcpHeader};

use super::segment::{ACK, Segment};
use super::{Departure, Direction, Middlebox};
use crate::craft::ones_complement;

/// A packet to be made, by etherparse.
#[derive(Clone)]
pub(crate) struct Tcp {
    direction: Direction,
    header: TcpHeader,
    payload: Vec<u8>,
    is_v6: bool,
}

impl Tcp {
    pub(crate) fn new(direction: Direction) -> Self {
        let (from, to) = match direction {
            Direction::ToServer => (CLIENT_PORT, SERVER_PORT),
            Direction::ToClient => (SERVER_PORT, CLIENT_PORT),
        };
        let mut header = TcpHeader::new(from, to, 1000, 500);
        header.ack = true;
        header.acknowledgment_number = 2000;
        Self {
            direction,
            header,
            payload: Vec::new(),
            is_v6: false,
        }
    }

    pub(crate) fn to_server() -> Self {
        Self::new(Direction::ToServer)
    }

    pub(crate) fn to_client() -> Self {
        let mut tcp = Self::new(Direction::ToClient);
        tcp.header.sequence_number = 2000;
        tcp.header.acknowledgment_number = 1000;
        tcp
    }

    pub(crate) fn syn() -> Self {
        Self::to_server().seq(999).ack(0).flags(0x02)
    }

    pub(crate) fn syn_ack() -> Self {
        Self::to_client().seq(1999).flags(0x12)
    }

    pub(crate) fn v6(mut self) -> Self {
        self.is_v6 = true;
        self
    }

    pub(crate) fn port(mut self, client: u16) -> Self {
        self.header.source_port = client;
        self
    }

    pub(crate) fn seq(mut self, seq: u32) -> Self {
        self.header.sequence_number = seq;
        self
    }

    pub(crate) fn ack(mut self, ack: u32) -> Self {
        self.header.acknowledgment_number = ack;
        self
    }

    pub(crate) fn flags(mut self, flags: u8) -> Self {
        let has = |bit: u8| flags & bit != 0;
        self.header.fin = has(1);
        self.header.syn = has(2);
        self.header.rst = has(4);
        self.header.psh = has(8);
        self.header.ack = has(ACK);
        self.header.urg = has(32);
        self.header.ece = has(64);
        self.header.cwr = has(128);
        self
    }

    pub(crate) fn area(mut self, options: &[u8]) -> Self {
        let mut area = options.to_vec();
        area.resize(area.len().next_multiple_of(4), 1);
        self.header.set_options_raw(&area).unwrap();
        self
    }

    pub(crate) fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub(crate) fn direction(&self) -> Direction {
        self.direction
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut tcp = self.header.clone();
        let len = u16::try_from(tcp.header_len() + self.payload.len()).unwrap();
        let flip = self.direction == Direction::ToClient;
        let mut bytes = Vec::new();
        if self.is_v6 {
            let (from, to) = if flip { (2, 1) } else { (1, 2) };
            let ip = Ipv6Header {
                traffic_class: 2,
                flow_label: Ipv6FlowLabel::try_new(0x12345).unwrap(),
                payload_length: len,
                next_header: IpNumber::TCP,
                hop_limit: 60,
                source: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, from],
                destination: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, to],
            };
            tcp.checksum = tcp.calc_checksum_ipv6(&ip, &self.payload).unwrap();
            bytes.extend(ip.to_bytes());
        } else {
            let (from, to) = if flip { (2, 1) } else { (1, 2) };
            let ends = ([10, 0, 0, from], [10, 0, 0, to]);
            let mut ip = Ipv4Header::new(len, 60, IpNumber::TCP, ends.0, ends.1).unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            tcp.checksum = tcp.calc_checksum_ipv4(&ip, &self.payload).unwrap();
            bytes.extend(ip.to_bytes());
        }
        bytes.extend(tcp.to_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    pub(crate) fn segment(&self) -> Segment {
        Segment::parse(&self.packet()).unwrap()
    }
}

/// Sends a packet through a box at time 0.
pub(crate) fn pass(middlebox: &mut dyn Middlebox, tcp: &Tcp) -> Vec<Departure> {
    pass_at(middlebox, Duration::ZERO, tcp)
}

/// Sends a packet through a box; whatever leaves has right checksums.
#[track_caller]
pub(crate) fn pass_at(middlebox: &mut dyn Middlebox, now: Duration, tcp: &Tcp) -> Vec<Departure> {
    let mut out = Vec::new();
    middlebox.handle_packet(now, tcp.direction(), tcp.packet(), &mut out);
    for departure in &out {
        check_checksums(&departure.packet);
    }
    out
}

/// Sends a packet through a box that lets one packet leave in the same direction.
#[track_caller]
pub(crate) fn pass_one(middlebox: &mut dyn Middlebox, tcp: &Tcp) -> Segment {
    let out = pass(middlebox, tcp);
    assert_eq!(out.len(), 1, "one packet leaves");
    assert_eq!(out[0].direction, tcp.direction());
    Segment::parse(&out[0].packet).unwrap()
}

/// That a packet leaves as it came.
#[track_caller]
pub(crate) fn check_untouched(middlebox: &mut dyn Middlebox, tcp: &Tcp) {
    let out = pass(middlebox, tcp);
    let packets: Vec<_> = out.into_iter().map(|departure| departure.packet).collect();
    assert_eq!(packets, [tcp.packet()]);
}

/// That the lengths and the checksums of IP and TCP or ICMP are right.
#[track_caller]
pub(crate) fn check_checksums(packet: &[u8]) {
    let (ip_len, protocol, pseudo) = if packet[0] >> 4 == 4 {
        let len = usize::from(packet[0] & 15) * 4;
        assert_eq!(ones_complement(&packet[..len]), 0xffff, "IP checksum");
        let total = u16::from_be_bytes([packet[2], packet[3]]);
        assert_eq!(usize::from(total), packet.len(), "IP length");
        (len, packet[9], &packet[12..20])
    } else {
        let len = u16::from_be_bytes([packet[4], packet[5]]);
        assert_eq!(usize::from(len), packet.len() - 40, "IP length");
        (40, packet[6], &packet[8..40])
    };
    let body = &packet[ip_len..];
    let mut bytes = Vec::new();
    if protocol != 1 {
        bytes.extend(pseudo);
        bytes.extend(u32::from(protocol).to_be_bytes());
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    }
    bytes.extend(body);
    assert_eq!(ones_complement(&bytes), 0xffff, "checksum");
}

const CLIENT_PORT: u16 = 4000;
const SERVER_PORT: u16 = 80;
