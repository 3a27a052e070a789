//! A TCP flow: addresses, sequence numbers, and the frames that carry it.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, TcpHeader,
};

use super::Capture;

/// An end of a flow: the client is the one that sends the SYN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Sends the SYN.
    Client,
    /// Answers it.
    Server,
}

impl End {
    /// The other end.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What one end of a flow keeps about itself.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address and port.
    pub address: SocketAddr,
    /// Initial sequence number.
    pub isn: u32,
    /// Sequence number of the next byte it sends.
    pub next: u32,
    /// Bytes of payload sent so far: one less than the SSN of the next byte.
    pub sent: u64,
    /// Time to live, or hop limit, of its packets.
    pub ttl: u8,
    /// Window field of its packets.
    pub window: u16,
}

impl Peer {
    fn new(address: &str, isn: u32) -> Self {
        Self {
            address: address.parse().expect("an address and a port"),
            isn,
            next: isn,
            sent: 0,
            ttl: 64,
            window: 0xffff,
        }
    }
}

/// A TCP 4-tuple with the state of both ends.
///
/// Whatever one end sends, the other is taken to have received when it sends next.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The end that sends the SYN.
    pub client: Peer,
    /// The other end.
    pub server: Peer,
    /// Whether every packet carries the timestamps option.
    pub timestamps: bool,
}

impl Flow {
    /// A flow between two ends, each given as `address:port`.
    pub fn new(client: &str, server: &str) -> Self {
        Self {
            client: Peer::new(client, 0x1000_0000),
            server: Peer::new(server, 0x9000_0000),
            timestamps: false,
        }
    }

    /// The same flow with these initial sequence numbers.
    #[must_use]
    pub fn with_isns(mut self, client: u32, server: u32) -> Self {
        (self.client.isn, self.client.next) = (client, client);
        (self.server.isn, self.server.next) = (server, server);
        self
    }

    /// The state of an end.
    pub fn peer(&self, end: End) -> &Peer {
        match end {
            End::Client => &self.client,
            End::Server => &self.server,
        }
    }

    /// The state of an end, to change it.
    pub fn peer_mut(&mut self, end: End) -> &mut Peer {
        match end {
            End::Client => &mut self.client,
            End::Server => &mut self.server,
        }
    }

    /// SSN of the next byte that an end sends.
    pub fn next_ssn(&self, end: End) -> u32 {
        let peer = self.peer(end);
        peer.next.wrapping_sub(peer.isn)
    }

    /// Handshake without any MPTCP option.
    pub fn connect_plain(&mut self, capture: &mut Capture) {
        self.send(capture, End::Client, &Dispatch::syn());
        self.send(capture, End::Server, &Dispatch::syn_ack());
        self.send(capture, End::Client, &Dispatch::ack());
    }

    /// Captures one segment and advances the sender's sequence number past it.
    pub fn send(&mut self, capture: &mut Capture, from: End, dispatch: &Dispatch) {
        let seq = dispatch.seq.unwrap_or(self.peer(from).next);
        let ack = self.peer(from.other()).next;
        let tcp = self.header(from, seq, ack, dispatch);
        let (bytes, wire_len) = self.frame(from, &tcp, dispatch);
        capture.push_cut(bytes, wire_len);
        if dispatch.seq.is_none() {
            let sender = self.peer_mut(from);
            let len = dispatch.wire_payload_len();
            sender.sent += u64::from(len);
            let controls =
                u32::from(dispatch.flags.contains('S')) + u32::from(dispatch.flags.contains('F'));
            sender.next = sender.next.wrapping_add(len).wrapping_add(controls);
        }
    }

    fn header(&self, from: End, seq: u32, ack: u32, dispatch: &Dispatch) -> TcpHeader {
        let has = |flag| dispatch.flags.contains(flag);
        let (source, destination) = (self.peer(from), self.peer(from.other()));
        let mut tcp = TcpHeader::new(
            source.address.port(),
            destination.address.port(),
            seq,
            source.window,
        );
        tcp.syn = has('S');
        tcp.fin = has('F');
        tcp.rst = has('R');
        tcp.psh = has('P');
        tcp.ack = has('A');
        tcp.acknowledgment_number = if tcp.ack { ack } else { 0 };
        let mut area = Vec::new();
        if self.timestamps {
            area.extend([1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8]);
        }
        area.extend(&dispatch.options);
        if !dispatch.verbatim {
            area.resize(area.len().next_multiple_of(4), 1);
        }
        tcp.set_options_raw(&area).expect("options fit 40 bytes");
        tcp
    }

    fn frame(&self, from: End, tcp: &TcpHeader, dispatch: &Dispatch) -> (Vec<u8>, u32) {
        let mut tcp = tcp.clone();
        let (source, destination) = (self.peer(from), self.peer(from.other()));
        let ip_payload = tcp.header_len() + dispatch.wire_payload_len() as usize;
        let ip_payload_len = u16::try_from(ip_payload).expect("an IP packet holds 65,535 bytes");
        let mut bytes = Vec::with_capacity(54 + tcp.header_len() + dispatch.payload.len());
        match (source.address.ip(), destination.address.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let mut ip = Ipv4Header::new(
                    ip_payload_len,
                    source.ttl,
                    IpNumber::TCP,
                    from.octets(),
                    to.octets(),
                )
                .expect("the length fits");
                ip.header_checksum = ip.calc_header_checksum();
                tcp.checksum = tcp
                    .calc_checksum_ipv4(&ip, &dispatch.payload)
                    .expect("the length fits");
                ethernet(&mut bytes, EtherType::IPV4);
                bytes.extend(ip.to_bytes());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let ip = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: ip_payload_len,
                    next_header: IpNumber::TCP,
                    hop_limit: source.ttl,
                    source: from.octets(),
                    destination: to.octets(),
                };
                tcp.checksum = tcp
                    .calc_checksum_ipv6(&ip, &dispatch.payload)
                    .expect("the length fits");
                ethernet(&mut bytes, EtherType::IPV6);
                bytes.extend(ip.to_bytes());
            }
            _ => panic!("a flow lies within one address family"),
        }
        bytes.extend(tcp.to_bytes());
        let headers = u32::try_from(bytes.len()).expect("headers are short");
        bytes.extend(&dispatch.payload);
        (bytes, headers + dispatch.wire_payload_len())
    }
}

/// One segment to send: what is not said here comes from the flow.
#[derive(Debug, Clone, Default)]
pub struct Dispatch {
    /// Control bits, of the letters `SAFRP`.
    pub flags: String,
    /// Options after the timestamps, filled up with NOPs.
    pub options: Vec<u8>,
    /// Whether `options` is the whole area to the last byte: nothing is filled up.
    pub verbatim: bool,
    /// The captured payload.
    pub payload: Vec<u8>,
    /// Payload bytes that were on the wire and not captured.
    pub cut_bytes: u32,
    /// Another sequence number than the flow's next; the flow then does not advance.
    pub seq: Option<u32>,
}

impl Dispatch {
    /// A segment with these control bits.
    pub fn new(flags: &str) -> Self {
        Self {
            flags: flags.to_owned(),
            ..Self::default()
        }
    }

    /// SYN.
    pub fn syn() -> Self {
        Self::new("S")
    }

    /// SYN/ACK.
    pub fn syn_ack() -> Self {
        Self::new("SA")
    }

    /// ACK, with or without payload.
    pub fn ack() -> Self {
        Self::new("A")
    }

    /// Adds options as bytes.
    #[must_use]
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options.extend(options);
        self
    }

    /// Sets the whole option area, broken as it may be; its length must be a multiple of 4.
    #[must_use]
    pub fn area(mut self, area: &[u8]) -> Self {
        self.options = area.to_vec();
        self.verbatim = true;
        self
    }

    /// Sets the payload.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// Sets how long the payload was on the wire when none of it was captured. The TCP checksum
    /// of such a packet is right for no payload, and nobody can tell.
    #[must_use]
    pub fn cut_payload(mut self, len: u32) -> Self {
        self.cut_bytes = len;
        self
    }

    /// Sets the sequence number; the flow then does not advance.
    #[must_use]
    pub fn at(mut self, seq: u32) -> Self {
        self.seq = Some(seq);
        self
    }

    fn wire_payload_len(&self) -> u32 {
        u32::try_from(self.payload.len()).expect("payloads are short") + self.cut_bytes
    }
}

fn ethernet(bytes: &mut Vec<u8>, ether_type: EtherType) {
    let header = Ethernet2Header {
        source: [2, 0, 0, 0, 0, 1],
        destination: [2, 0, 0, 0, 0, 2],
        ether_type,
    };
    bytes.extend(header.to_bytes());
}
