//! Every link type and tunnel, with a SYN that carries MP_CAPABLE in it.

use super::craft::{
    MP_CAPABLE, PAYLOAD, V4_ENDS, V6_ENDS, ethernet, ipv4, ipv6, join, pcap, syn_v4, syn_v6, udp,
};
use super::{Found, read};

/// Reads a file of one packet.
#[track_caller]
fn found(link_type: u32, packet: &[u8]) -> Found {
    let (seen, summary) = read(&pcap(link_type, &[packet.to_vec()]));
    assert_eq!(summary.packets, 1);
    let undecoded = u64::from(matches!(seen[0].found, Found::Undecoded(_)));
    assert_eq!(summary.undecoded_packets, undecoded);
    seen[0].found.clone()
}

#[track_caller]
fn check_syn(link_type: u32, packet: &[u8], ends: &str) {
    check_direction(link_type, packet, ends, None);
}

#[track_caller]
fn check_direction(link_type: u32, packet: &[u8], ends: &str, outbound: Option<bool>) {
    let expected = Found::Tcp {
        ends: ends.to_owned(),
        options: MP_CAPABLE.to_vec(),
        options_len: 4,
        payload: PAYLOAD.to_vec(),
        payload_len: 5,
        outbound,
    };
    assert_eq!(found(link_type, packet), expected);
}

/// Both IP versions behind a header, which is told their Ethernet type.
#[track_caller]
fn check_both(link_type: u32, header: impl Fn(u16) -> Vec<u8>) {
    let v4 = join(&[&header(0x0800), &syn_v4()]);
    check_syn(link_type, &v4, V4_ENDS);
    let v6 = join(&[&header(0x86dd), &syn_v6()]);
    check_syn(link_type, &v6, V6_ENDS);
}

#[test]
fn ethernet_with_any_tags_and_padding() {
    for tags in [
        &[][..],
        &[0x8100],
        &[0x88a8, 0x8100],
        &[0x9100, 0x8100],
        &[0x88a8, 0x88a8, 0x8100],
    ] {
        check_both(1, |number| {
            let mut header = vec![2; 12];
            for tag in tags {
                header.extend(u16::to_be_bytes(*tag));
                header.extend([0x20, 0x07]);
            }
            header.extend(number.to_be_bytes());
            header
        });
    }
    let padded = join(&[&ethernet(0x0800, &syn_v4()), &[0; 10]]);
    check_syn(1, &padded, V4_ENDS);
    let snap = join(&[&[2; 12], &[0, 70, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &syn_v4()]);
    check_syn(1, &snap, V4_ENDS);
}

#[test]
fn cooked_captures_tell_the_direction() {
    for (packet_type, outbound) in [(0, Some(false)), (3, None), (4, Some(true))] {
        // Hardware type 65534 is that of a tunnel device.
        let header = [0, packet_type, 0xff, 0xfe, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        let v1 = join(&[&header, &[8, 0], &syn_v4()]);
        check_direction(113, &v1, V4_ENDS, outbound);
        let tagged = join(&[&header, &[0x81, 0, 0, 7, 0x86, 0xdd], &syn_v6()]);
        check_direction(113, &tagged, V6_ENDS, outbound);
        let rest = [
            0,
            0,
            0,
            0,
            0,
            3,
            0,
            1,
            packet_type,
            6,
            1,
            2,
            3,
            4,
            5,
            6,
            0,
            0,
        ];
        let v2 = join(&[&[0x86, 0xdd], &rest, &syn_v6()]);
        check_direction(276, &v2, V6_ENDS, outbound);
    }
}

#[test]
fn raw_ip_under_all_its_numbers() {
    for link_type in [12, 14, 101, 228, 229] {
        check_both(link_type, |_| Vec::new());
    }
}

#[test]
fn loopback_in_both_byte_orders_and_all_address_families() {
    for link_type in [0, 108] {
        for family in [10_u32, 24, 28, 30] {
            check_syn(
                link_type,
                &join(&[&family.to_le_bytes(), &syn_v6()]),
                V6_ENDS,
            );
            check_syn(
                link_type,
                &join(&[&family.to_be_bytes(), &syn_v6()]),
                V6_ENDS,
            );
        }
        check_syn(
            link_type,
            &join(&[&2_u32.to_le_bytes(), &syn_v4()]),
            V4_ENDS,
        );
        check_syn(
            link_type,
            &join(&[&2_u32.to_be_bytes(), &syn_v4()]),
            V4_ENDS,
        );
    }
    assert_eq!(found(0, &[7, 0, 0, 0, 1, 2]), Found::NotIp);
}

#[test]
fn ppp_with_and_without_address_and_compressed_protocol() {
    let protocol = |number: u16| if number == 0x0800 { 0x21_u8 } else { 0x57 };
    for link_type in [9, 50] {
        check_both(link_type, |number| vec![0, protocol(number)]);
        check_both(link_type, |number| vec![protocol(number)]);
        check_both(link_type, |number| vec![0xff, 3, 0, protocol(number)]);
    }
    for link_type in [50, 104] {
        check_both(link_type, |number| {
            join(&[&[0x0f, 0], &number.to_be_bytes()])
        });
    }
    assert_eq!(found(9, &[0xc0, 0x21, 1, 1, 0, 4]), Found::NotIp);
    assert!(matches!(found(9, &[0, 0x2d, 1, 1]), Found::Undecoded(_)));
}

/// A PPPoE session header around an IPv4 packet.
fn pppoe(packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
    join(&[&[0x11, 0, 0, 1], &len, &[0, 0x21], packet])
}

#[test]
fn pppoe_alone_and_in_ethernet() {
    check_syn(51, &pppoe(&syn_v4()), V4_ENDS);
    let padded = join(&[&pppoe(&syn_v4()), &[0; 9]]);
    check_syn(1, &ethernet(0x8864, &padded), V4_ENDS);
    assert_eq!(found(51, &[0x11, 9, 0, 0, 0, 0]), Found::NotIp);
}

fn labels(count: u8) -> Vec<u8> {
    let mut stack = Vec::new();
    for label in 1..=count {
        stack.extend([0, label, u8::from(label == count), 64]);
    }
    stack
}

#[test]
fn mpls_carries_ip_or_a_pseudowire() {
    for number in [0x8847, 0x8848] {
        check_syn(
            1,
            &ethernet(number, &join(&[&labels(3), &syn_v6()])),
            V6_ENDS,
        );
    }
    let inner = ethernet(0x0800, &syn_v4());
    let with_control_word = join(&[&labels(1), &[0; 4], &inner]);
    check_syn(1, &ethernet(0x8847, &with_control_word), V4_ENDS);
    check_syn(
        1,
        &ethernet(0x8847, &join(&[&labels(32), &syn_v4()])),
        V4_ENDS,
    );
    let too_many = ethernet(0x8847, &join(&[&labels(33), &syn_v4()]));
    assert!(matches!(found(1, &too_many), Found::Undecoded(_)));
}

#[test]
fn ip_in_ip_in_all_four_ways() {
    check_syn(101, &ipv4(4, &syn_v4()), V4_ENDS);
    check_syn(101, &ipv4(41, &syn_v6()), V6_ENDS);
    check_syn(101, &ipv6(4, &syn_v4()), V4_ENDS);
    check_syn(101, &ipv6(41, &syn_v6()), V6_ENDS);
}

#[test]
fn gre_with_every_optional_field() {
    for flags in [0_u8, 0x80, 0x20, 0x10, 0xb0] {
        let fields = vec![0; flags.count_ones() as usize * 4];
        let packet = join(&[&[flags, 0, 8, 0], &fields, &syn_v4()]);
        check_syn(101, &ipv4(47, &packet), V4_ENDS);
    }
    let bridged = join(&[&[0, 0, 0x65, 0x58], &ethernet(0x86dd, &syn_v6())]);
    check_syn(101, &ipv4(47, &bridged), V6_ENDS);
    let pptp = join(&[
        &[0x30, 0x81, 0x88, 0x0b],
        &[0; 12],
        &[0xff, 3, 0, 0x21],
        &syn_v4(),
    ]);
    check_syn(101, &ipv4(47, &pptp), V4_ENDS);
}

#[test]
fn vxlan_on_its_port_only() {
    let packet = join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x0800, &syn_v4())]);
    check_syn(101, &udp(4789, &packet), V4_ENDS);
    assert_eq!(found(101, &udp(4790, &packet)), Found::OtherIp);
    assert_eq!(found(101, &udp(4789, &[0; 8])), Found::OtherIp);
}

/// A GTP-U header of a T-PDU.
fn gtp(flags: u8, extra: &[u8], packet: &[u8]) -> Vec<u8> {
    let len = u16::try_from(extra.len() + packet.len()).unwrap();
    join(&[
        &[0x30 | flags, 255],
        &len.to_be_bytes(),
        &[0, 0, 0, 9],
        extra,
        packet,
    ])
}

#[test]
fn gtp_u_with_and_without_extension_headers() {
    check_syn(101, &udp(2152, &gtp(0, &[], &syn_v4())), V4_ENDS);
    check_syn(101, &udp(2152, &gtp(2, &[0, 1, 0, 0], &syn_v6())), V6_ENDS);
    // The PDU session container of 5G, and then another header of eight bytes.
    let two = [0, 0, 0, 0x85, 1, 0x10, 9, 0xc0, 2, 0, 0, 0, 0, 0, 0, 0];
    check_syn(101, &udp(2152, &gtp(4, &two, &syn_v4())), V4_ENDS);
    let extensions = |count: usize| {
        let mut bytes = vec![0, 0, 0, 0x85];
        for left in (0..count).rev() {
            bytes.extend([1, 0, 0, if left == 0 { 0 } else { 0x85 }]);
        }
        udp(2152, &gtp(4, &bytes, &syn_v4()))
    };
    check_syn(101, &extensions(16), V4_ENDS);
    assert_eq!(found(101, &extensions(17)), Found::OtherIp);
    let echo = join(&[&[0x32, 1, 0, 4, 0, 0, 0, 0], &[0; 4]]);
    assert_eq!(found(101, &udp(2152, &echo)), Found::OtherIp);
}

#[test]
fn an_operators_pile_of_headers() {
    let user = udp(2152, &gtp(0, &[], &syn_v6()));
    let overlay = join(&[&[8, 0, 0, 0, 0, 0, 7, 0], &ethernet(0x0800, &user)]);
    let core = join(&[&labels(2), &udp(4789, &overlay)]);
    let tagged = join(&[&[0, 5, 0x81, 0, 0, 6, 0x88, 0x47], &core]);
    check_syn(1, &ethernet(0x88a8, &tagged), V6_ENDS);
}

#[test]
fn eight_tunnels_are_followed_and_nine_are_not() {
    let mut packet = syn_v4();
    for _ in 0..8 {
        packet = ipv4(4, &packet);
    }
    check_syn(101, &packet, V4_ENDS);
    assert!(matches!(found(101, &ipv4(4, &packet)), Found::Undecoded(_)));
}

#[test]
fn ipv6_extension_headers_are_skipped() {
    let tcp = &syn_v6()[40..];
    for first in [0, 60, 43, 135, 139, 140] {
        let short = join(&[&[6, 0, 1, 4, 0, 0, 0, 0], tcp]);
        check_syn(101, &ipv6(first, &short), V6_ENDS);
        let long = join(&[&[60, 1], &[0; 14], &short]);
        check_syn(101, &ipv6(first, &long), V6_ENDS);
    }
    let authentication = join(&[&[6, 4, 0, 0], &[7; 20], tcp]);
    check_syn(101, &ipv6(51, &authentication), V6_ENDS);
    let atomic_fragment = join(&[&[6, 0, 0, 0, 1, 2, 3, 4], tcp]);
    check_syn(101, &ipv6(44, &atomic_fragment), V6_ENDS);
    assert_eq!(found(101, &ipv6(59, &[])), Found::OtherIp);
    assert_eq!(found(101, &ipv6(50, &[9; 40])), Found::OtherIp);
}

#[test]
fn ipv4_options_are_skipped() {
    let mut packet = syn_v4();
    packet[0] = 0x47;
    packet[3] += 8;
    packet.splice(20..20, [0x94, 4, 0, 0, 1, 1, 1, 0]);
    check_syn(101, &packet, V4_ENDS);
}

#[test]
fn super_segments_without_an_ip_length_are_as_long_as_their_frame() {
    let mut v4 = syn_v4();
    v4[2..4].fill(0);
    check_syn(1, &ethernet(0x0800, &v4), V4_ENDS);
    let mut v6 = syn_v6();
    v6[4..6].fill(0);
    check_syn(1, &ethernet(0x86dd, &v6), V6_ENDS);
    // A jumbogram: hop-by-hop option 0xc2 with a length of 32 bits.
    let jumbo = join(&[&[6, 0, 0xc2, 4, 0, 0, 0, 37], &syn_v6()[40..]]);
    let mut v6 = ipv6(0, &jumbo);
    v6[4..6].fill(0);
    check_syn(101, &v6, V6_ENDS);
}

#[test]
fn icmp_errors_are_no_segments() {
    let quote = join(&[&[3, 1, 0, 0, 0, 0, 0, 0], &syn_v4()]);
    assert_eq!(found(101, &ipv4(1, &quote)), Found::Icmp(3, 1));
    let quote = join(&[&[1, 4, 0, 0, 0, 0, 0, 0], &syn_v6()]);
    assert_eq!(found(101, &ipv6(58, &quote)), Found::Icmp(1, 4));
    assert_eq!(
        found(101, &ipv4(1, &[8, 0, 0, 0, 0, 1, 0, 1])),
        Found::OtherIp
    );
}

#[test]
fn what_is_no_ip_is_told_apart_from_what_is_broken() {
    assert_eq!(found(1, &ethernet(0x0806, &[0; 28])), Found::NotIp);
    for (link_type, packet) in [
        (1, vec![2; 10]),
        (1, ethernet(0x8100, &[0])),
        (1, ethernet(0x0800, &[])),
        (101, vec![0x50; 40]),
        (101, vec![0x43; 40]),
        (113, vec![0; 15]),
        (276, vec![0; 19]),
        (127, syn_v4()),
    ] {
        let content = found(link_type, &packet);
        assert!(matches!(content, Found::Undecoded(_)), "{content:?}");
    }
}
