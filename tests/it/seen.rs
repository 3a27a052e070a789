//! What tcpdump saw in the lab, read by `pcap-parser` and etherparse: every field of a packet that a
//! middlebox may change. Nothing here is code under test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

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
    let (source, destination, ttl, traffic_class, checksum) = match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                header.ttl(),
                header.dcp().value() << 2 | header.ecn().value(),
                tcp.calc_checksum_ipv4(header.source(), header.destination()),
            )
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header();
            (
                header.source_addr().into(),
                header.destination_addr().into(),
                header.hop_limit(),
                header.traffic_class(),
                tcp.calc_checksum_ipv6(header.source(), header.destination()),
            )
        }
        NetSlice::Arp(_) => return None,
    };
    Some(Seen {
        time,
        source: SocketAddr::new(source, tcp.source_port()),
        destination: SocketAddr::new(destination, tcp.destination_port()),
        ttl,
        traffic_class,
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
        options: tcp.options().to_vec(),
        payload: tcp.payload().to_vec(),
        checksum_ok: checksum.ok() == Some(tcp.checksum()),
    })
}
