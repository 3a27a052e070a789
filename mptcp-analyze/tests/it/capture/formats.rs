//! Every container variant, with a SYN that carries MP_CAPABLE in it.

use mptcp_analyze::model::{CaptureEnd, Compression, FileFormat, Timestamp};

use super::craft::{
    MP_CAPABLE, Order, PAYLOAD, V4_ENDS, block, enhanced, ethernet, gzip, interface, join, pcap,
    pcap_header, pcap_record, section, syn_v4, zstd,
};
use super::{Found, Seen, read};

const ORDERS: [Order; 2] = [Order::Little, Order::Big];

fn frame() -> Vec<u8> {
    ethernet(0x0800, &syn_v4())
}

fn syn(outbound: Option<bool>) -> Found {
    Found::Tcp {
        ends: V4_ENDS.to_owned(),
        options: MP_CAPABLE.to_vec(),
        options_len: 4,
        payload: PAYLOAD.to_vec(),
        payload_len: 5,
        outbound,
    }
}

#[track_caller]
fn check_one_syn(file: &[u8], at_ns: i64) {
    let (seen, summary) = read(file);
    let [one] = &seen[..] else {
        panic!("{} packets", seen.len());
    };
    assert_eq!(one.found, syn(None));
    assert_eq!(one.at, Timestamp(at_ns));
    assert_eq!(one.frame, 1);
    assert_eq!(summary.end, CaptureEnd::Complete);
    assert_eq!(summary.link_types, [1]);
    assert_eq!(summary.first_at, Some(Timestamp(at_ns)));
}

#[track_caller]
fn check_pcap(magic: u32, link_type: u32, extra: &[u8], at_ns: i64) {
    for order in ORDERS {
        let packet = frame();
        let mut file = pcap_header(order, magic, link_type);
        file.extend(pcap_record(order, (5, 7), packet.len(), extra, &packet));
        check_one_syn(&file, at_ns);
    }
}

#[test]
fn pcap_is_read_in_both_byte_orders_and_resolutions() {
    check_pcap(0xa1b2_c3d4, 1, &[], 5_000_007_000);
    check_pcap(0xa1b2_3c4d, 1, &[], 5_000_000_007);
}

#[test]
fn the_modified_pcap_has_eight_more_bytes_per_record() {
    check_pcap(0xa1b2_cd34, 1, &[0xee; 8], 5_000_007_000);
}

#[test]
fn fcs_bits_are_no_part_of_the_link_type() {
    check_pcap(0xa1b2_c3d4, 0x2400_0001, &[], 5_000_007_000);
}

#[test]
fn pcapng_times_follow_resolution_and_offset_of_the_interface() {
    for order in ORDERS {
        for (list, ticks, at_ns) in [
            (&[][..], 3_000_004, 3_000_004_000),
            (&[(9, &[9][..])][..], 3_000_000_004, 3_000_000_004),
            (&[(9, &[0x8a][..])][..], 1536, 1_500_000_000),
            (&[(14, &order.u64(100)[..])][..], 1, 100_000_001_000),
        ] {
            let file = join(&[
                &section(order),
                &interface(order, 1, list),
                &enhanced(order, (0, ticks), &frame(), &[]),
            ]);
            check_one_syn(&file, at_ns);
        }
    }
}

#[test]
fn sections_of_both_orders_number_their_interfaces_anew() {
    let (little, big) = (Order::Little, Order::Big);
    let file = join(&[
        &section(little),
        &interface(little, 1, &[(2, b"eth0")]),
        &enhanced(little, (0, 1), &frame(), &[]),
        &section(big),
        &interface(big, 101, &[(2, b"tun0")]),
        &enhanced(big, (0, 2), &syn_v4(), &[]),
    ]);
    let (seen, summary) = read(&file);
    let interfaces: Vec<_> = seen.iter().map(|s| (s.interface, s.link_type)).collect();
    assert_eq!(interfaces, [(0, 1), (1, 101)]);
    assert!(seen.iter().all(|one| one.found == syn(None)));
    assert_eq!(summary.link_types, [1, 101]);
    let names: Vec<_> = summary.interfaces.iter().map(|i| i.name.clone()).collect();
    assert_eq!(names, [Some("eth0".to_owned()), Some("tun0".to_owned())]);
}

#[test]
fn comments_and_direction_of_a_packet_are_kept() {
    for order in ORDERS {
        let list: [(u16, &[u8]); 4] = [
            (1, b"first"),
            (2, &order.u32(2)),
            (2988, b"other"),
            (1, b"sec\xffnd"),
        ];
        let file = join(&[
            &section(order),
            &interface(order, 1, &[]),
            &enhanced(order, (0, 1), &frame(), &list),
        ]);
        let (seen, _) = read(&file);
        assert_eq!(seen[0].comments, ["first", "sec\u{fffd}nd"]);
        assert_eq!(seen[0].found, syn(Some(true)));
    }
}

#[test]
fn blocks_that_hold_no_packet_are_no_packets() {
    for order in ORDERS {
        let mut file = join(&[&section(order), &interface(order, 1, &[])]);
        for kind in [4, 9, 10, 0xbad, 0x4000_0bad, 0x7777_7777] {
            file.extend(block(order, kind, b"whatever"));
        }
        file.extend(enhanced(order, (0, 1), &frame(), &[]));
        check_one_syn(&file, 1000);
    }
}

#[test]
fn drops_of_an_interface_are_those_of_its_last_statistics() {
    let order = Order::Big;
    let statistics = |lost: u64| {
        let list: [(u16, &[u8]); 3] = [
            (4, &order.u64(9)),
            (5, &order.u64(lost)),
            (7, &order.u64(2)),
        ];
        let body = join(&[&[0; 12], &super::craft::options(order, &list)]);
        block(order, 5, &body)
    };
    let file = join(&[
        &section(order),
        &interface(order, 1, &[]),
        &statistics(1),
        &statistics(40),
    ]);
    let (seen, summary) = read(&file);
    assert!(seen.is_empty());
    assert_eq!(summary.interfaces[0].drops, Some(42));
}

#[test]
fn a_simple_packet_takes_the_time_before_it_and_no_padding() {
    for order in ORDERS {
        let packet = frame();
        let original = u32::try_from(packet.len()).unwrap();
        let file = join(&[
            &section(order),
            &interface(order, 1, &[]),
            &enhanced(order, (0, 4), &packet, &[]),
            &block(order, 3, &join(&[&order.u32(original), &packet])),
        ]);
        let (seen, summary) = read(&file);
        assert_eq!(seen.len(), 2);
        assert_eq!(
            seen[1],
            Seen {
                frame: 2,
                ..seen[0].clone()
            }
        );
        assert_eq!(summary.truncated_packets, 0);
    }
}

#[test]
fn the_obsolete_packet_block_is_read() {
    for order in ORDERS {
        let packet = frame();
        let len = order.u32(u32::try_from(packet.len()).unwrap());
        let numbers = [order.u16(0), order.u16(0xffff)].concat();
        let body = join(&[&numbers, &[0; 4], &order.u32(9), &len, &len, &packet]);
        let file = join(&[
            &section(order),
            &interface(order, 1, &[]),
            &block(order, 2, &body),
        ]);
        check_one_syn(&file, 9000);
    }
}

#[test]
fn a_packet_of_an_undescribed_interface_is_counted_and_not_decoded() {
    let order = Order::Little;
    let file = join(&[
        &section(order),
        &enhanced(order, (7, 1), &frame(), &[]),
        &interface(order, 1, &[]),
        &enhanced(order, (0, 2), &frame(), &[]),
        &enhanced(order, (1, 3), &frame(), &[]),
    ]);
    let (seen, summary) = read(&file);
    assert!(matches!(seen[0].found, Found::Undecoded(_)));
    assert_eq!(seen[1].found, syn(None));
    assert!(matches!(seen[2].found, Found::Undecoded(_)));
    assert_eq!((summary.packets, summary.undecoded_packets), (3, 2));
}

#[test]
fn gzip_and_zstd_are_seen_by_their_magic_and_may_have_several_parts() {
    let file = pcap(1, &[frame(), frame(), frame()]);
    let (plain, _) = read(&file);
    assert_eq!(plain.len(), 3);
    let (front, back) = file.split_at(50);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    for (packed, compression) in [
        (gzip(&file), Compression::Gzip),
        (join(&[&gzip(front), &gzip(back)]), Compression::Gzip),
        (zstd(&file), Compression::Zstd),
        (
            join(&[&skippable, &zstd(front), &skippable, &zstd(back)]),
            Compression::Zstd,
        ),
    ] {
        let (seen, summary) = read(&packed);
        assert_eq!(seen, plain, "{compression:?}");
        assert_eq!(summary.compression, compression);
        assert_eq!(summary.format, FileFormat::Pcap);
        assert_eq!(summary.end, CaptureEnd::Complete);
    }
}

#[test]
fn a_file_of_headers_only_is_complete_and_empty() {
    let order = Order::Little;
    for file in [
        pcap(1, &[]),
        section(order),
        join(&[&section(order), &interface(order, 1, &[])]),
        gzip(&pcap(1, &[])),
    ] {
        let (seen, summary) = read(&file);
        assert!(seen.is_empty());
        assert_eq!(summary.end, CaptureEnd::Complete);
        assert_eq!(summary.first_at, None);
    }
}
