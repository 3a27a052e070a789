//! The kit itself: what it writes must be what it says.

use etherparse::{PacketHeaders, TransportHeader};
use mptcp_proto::version::Version;
use mptcp_tests::craft::{Capture, Connection, Flow, Host, dss_checksum, ones_complement};

fn two_subflows(version: Version) -> Capture {
    let mut capture = Capture::new();
    let mut connection = Connection::new(version).with_checksum();
    let first = connection.connect(&mut capture, Flow::new("10.0.1.1:4000", "10.0.9.1:80"));
    let flow = Flow::new("[2001:db8::2]:4001", "[2001:db8::9]:80");
    let second = connection.join(&mut capture, flow, Host::Client);
    connection.send(&mut capture, first, Host::Client, 2500);
    connection.send(&mut capture, second, Host::Server, 1500);
    connection.close(&mut capture);
    capture
}

#[test]
fn every_tcp_checksum_of_a_crafted_capture_is_right() {
    for packet in two_subflows(Version::V1).packets {
        let headers = PacketHeaders::from_ethernet_slice(&packet.bytes).unwrap();
        let Some(TransportHeader::Tcp(tcp)) = headers.transport else {
            panic!("no TCP");
        };
        let payload = headers.payload.slice();
        let checksum = match headers.net.unwrap() {
            etherparse::NetHeaders::Ipv4(ip, _) => tcp.calc_checksum_ipv4(&ip, payload),
            etherparse::NetHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(&ip, payload),
            etherparse::NetHeaders::Arp(_) => panic!("ARP"),
        };
        assert_eq!(tcp.checksum, checksum.unwrap());
    }
}

#[test]
fn stripping_leaves_a_right_packet_without_option_30() {
    let mut capture = two_subflows(Version::V0);
    let before = capture.packets[0].clone();
    capture.strip_mptcp(1);
    let after = &capture.packets[0];
    assert_eq!(before.bytes.len(), after.bytes.len());
    assert!(before.bytes[54..].windows(2).any(|w| w == [30, 12]));
    assert!(after.bytes[54..].iter().all(|&byte| byte == 1));
}

#[test]
fn the_dss_checksum_makes_the_whole_sum_to_ones() {
    let dsn = mptcp_proto::seq::Dsn(0x0123_4567_89ab_cdef);
    let sum = dss_checksum(dsn, mptcp_proto::seq::Ssn(7), 3, b"abc");
    let mut bytes = dsn.0.to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 7, 0, 3]);
    bytes.extend(sum.to_be_bytes());
    bytes.extend(b"abc");
    assert_eq!(ones_complement(&bytes), 0xffff);
}

#[test]
fn the_pcapng_form_has_as_many_blocks_as_packets_and_two() {
    let capture = two_subflows(Version::V1);
    let file = capture.pcapng_bytes();
    let mut at = 0;
    let mut blocks = 0;
    while at < file.len() {
        let len = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap());
        at += usize::try_from(len).unwrap();
        blocks += 1;
    }
    assert_eq!(at, file.len());
    assert_eq!(blocks, capture.packets.len() + 2);
}
