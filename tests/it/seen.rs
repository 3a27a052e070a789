//! What tcpdump saw in the lab, read by `pcap-parser` and etherparse: every field of a packet that a
//! middlebox may change. Nothing here is code under test.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};

/// A TCP packet of a capture.
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of a TCP header are bits"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) time: Duration,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// TTL or hop limit.
    pub(crate) ttl: u8,
    /// Type of service or traffic class, with the ECN bits.
    pub(crate) traffic_class: u8,
    /// Identification, of IPv4 only.
    pub(crate) ip_id: Option<u16>,
    /// Don't fragment, of IPv4 only.
    pub(crate) dont_fragment: Option<bool>,
    /// Of IPv6 only.
    pub(crate) flow_label: Option<u32>,
    pub(crate) syn: bool,
    pub(crate) ack: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
    pub(crate) psh: bool,
    pub(crate) ece: bool,
    pub(crate) cwr: bool,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) window: u16,
    /// The four bits behind the data offset.
    pub(crate) reserved: u8,
    pub(crate) urgent: u16,
    /// The options area as it is.
    pub(crate) options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// The TCP checksum is right.
    pub(crate) checksum_ok: bool,
}

impl Seen {
    /// The first segment of a connection attempt.
    pub(crate) fn is_syn(&self) -> bool {
        self.syn && !self.ack
    }

    /// Its answer.
    pub(crate) fn is_syn_ack(&self) -> bool {
        self.syn && self.ack
    }

    /// Neither data nor a flag but ACK.
    pub(crate) fn is_pure_ack(&self) -> bool {
        self.ack && !self.syn && !self.fin && !self.rst && self.payload.is_empty()
    }

    /// It goes to a port of the lab's servers.
    pub(crate) fn to_server(&self) -> bool {
        [5001, 21].contains(&self.destination.port())
    }

    /// Kinds of the options with their values, NOPs (kind 1) included, up to the end of the list.
    pub(crate) fn option_list(&self) -> Vec<(u8, Vec<u8>)> {
        let mut rest = self.options.as_slice();
        let mut found = Vec::new();
        while let [kind, tail @ ..] = rest {
            match (kind, tail) {
                (0, _) => break,
                (1, _) => {
                    found.push((1, Vec::new()));
                    rest = tail;
                }
                (_, [length, ..]) if (2..=rest.len()).contains(&usize::from(*length)) => {
                    let (option, after) = rest.split_at(usize::from(*length));
                    found.push((*kind, option[2..].to_vec()));
                    rest = after;
                }
                _ => break,
            }
        }
        found
    }

    /// The value of the first option of this kind.
    pub(crate) fn option(&self, kind: u8) -> Option<Vec<u8>> {
        let list = self.option_list();
        list.into_iter().find(|(k, _)| *k == kind).map(|(_, v)| v)
    }

    /// The value of the first MPTCP option of this subtype.
    pub(crate) fn mptcp(&self, subtype: u8) -> Option<Vec<u8>> {
        let list = self.option_list();
        let mut mptcp = list.into_iter().filter(|(kind, _)| *kind == 30);
        mptcp
            .find(|(_, value)| value.first().is_some_and(|byte| byte >> 4 == subtype))
            .map(|(_, value)| value)
    }

    /// The longest run of NOPs.
    pub(crate) fn nop_run(&self) -> usize {
        let mut longest = 0;
        let mut run = 0;
        for (kind, _) in self.option_list() {
            run = if kind == 1 { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    }
}

/// The TCP packets of a pcap file, in order.
#[track_caller]
pub(crate) fn read(path: &Path) -> Vec<Seen> {
    let bytes = std::fs::read(path).unwrap();
    let capture = pcap_parser::parse_pcap(&bytes).unwrap().1;
    assert_eq!(capture.header.network, pcap_parser::Linktype::ETHERNET);
    let decode = |block: &pcap_parser::LegacyPcapBlock<'_>| {
        let time = Duration::new(u64::from(block.ts_sec), block.ts_usec * 1000);
        let packet = SlicedPacket::from_ethernet(block.data).unwrap();
        seen(time, &packet)
    };
    capture.blocks.iter().filter_map(decode).collect()
}

fn seen(time: Duration, packet: &SlicedPacket<'_>) -> Option<Seen> {
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
        return None;
    };
    let reserved = tcp.header_slice().get(12)? & 0x0f;
    let network = network(packet.net.as_ref()?, tcp)?;
    Some(Seen {
        time,
        source: SocketAddr::new(network.source, tcp.source_port()),
        destination: SocketAddr::new(network.destination, tcp.destination_port()),
        ttl: network.ttl,
        traffic_class: network.traffic_class,
        ip_id: network.ip_id,
        dont_fragment: network.dont_fragment,
        flow_label: network.flow_label,
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        psh: tcp.psh(),
        ece: tcp.ece(),
        cwr: tcp.cwr(),
        sequence: tcp.sequence_number(),
        acknowledgment: tcp.acknowledgment_number(),
        window: tcp.window_size(),
        reserved,
        urgent: tcp.urgent_pointer(),
        options: tcp.options().to_vec(),
        payload: tcp.payload().to_vec(),
        checksum_ok: network
            .tcp_checksum
            .is_some_and(|right| is_same_checksum(tcp.checksum(), right)),
    })
}

/// Zero has two forms in ones' complement (RFC 1071 §2): where etherparse computes 0, the kernel
/// writes 0xffff, once in 65,536 packets.
fn is_same_checksum(one: u16, other: u16) -> bool {
    one % 0xffff == other % 0xffff
}

/// What the IP header says, and the checksum that TCP should have.
struct Network {
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
    traffic_class: u8,
    ip_id: Option<u16>,
    dont_fragment: Option<bool>,
    flow_label: Option<u32>,
    tcp_checksum: Option<u16>,
}

fn network(net: &NetSlice<'_>, tcp: &TcpSlice<'_>) -> Option<Network> {
    match net {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            let checksum = tcp.calc_checksum_ipv4(header.source(), header.destination());
            Some(Network {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                ttl: header.ttl(),
                traffic_class: header.dcp().value() << 2 | header.ecn().value(),
                ip_id: Some(header.identification()),
                dont_fragment: Some(header.dont_fragment()),
                flow_label: None,
                tcp_checksum: checksum.ok(),
            })
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            let checksum = tcp.calc_checksum_ipv6(header.source(), header.destination());
            Some(Network {
                source: header.source_addr().into(),
                destination: header.destination_addr().into(),
                ttl: header.hop_limit(),
                traffic_class: header.traffic_class(),
                ip_id: None,
                dont_fragment: None,
                flow_label: Some(header.flow_label().value()),
                tcp_checksum: checksum.ok(),
            })
        }
        NetSlice::Arp(_) => None,
    }
}

#[test]
fn both_zeros_of_ones_complement_are_one_checksum() {
    assert!(is_same_checksum(0xffff, 0) && is_same_checksum(0x1234, 0x1234));
    assert!(!is_same_checksum(0xffff, 1) && !is_same_checksum(0xfffe, 0));
}
