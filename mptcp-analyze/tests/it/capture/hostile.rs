//! Lengths that lie, and bytes that mean nothing.

use mptcp_analyze::model::CaptureEnd;
use proptest::collection::vec;
use proptest::prelude::*;

use super::craft::{
    Order, block, enhanced, ethernet, gzip, interface, ipv4, join, pcap, pcap_header, section,
    syn_v4, syn_v6, udp, zstd,
};
use super::{read, try_read};

#[track_caller]
fn check_cut(file: &[u8], packets: usize, at_byte: usize, words: &str) {
    let (seen, summary) = read(file);
    assert_eq!(seen.len(), packets);
    match summary.end {
        CaptureEnd::Cut {
            at_byte: at,
            reason,
        } => {
            assert_eq!(at, at_byte as u64);
            assert!(reason.contains(words), "{reason}");
        }
        CaptureEnd::Complete => panic!("complete"),
    }
}

#[test]
fn a_pcap_record_longer_than_the_limit_ends_the_file() {
    let good = pcap(101, &[syn_v4()]);
    for claim in [(16 << 20) - 15, 0x7fff_ffff, u32::MAX] {
        let order = Order::Little;
        let record = join(&[&[0; 8], &order.u32(claim), &order.u32(claim), &[0; 99]]);
        let file = join(&[&good, &record]);
        check_cut(&file, 1, good.len(), "claims");
    }
}

#[test]
fn pcapng_blocks_of_impossible_lengths_end_the_file() {
    for order in [Order::Little, Order::Big] {
        let good = join(&[
            &section(order),
            &interface(order, 101, &[]),
            &enhanced(order, (0, 1), &syn_v4(), &[]),
        ]);
        for claim in [
            0,
            1,
            4,
            8,
            9,
            11,
            13,
            33,
            (16 << 20) + 4,
            u32::MAX - 3,
            u32::MAX,
        ] {
            let bad = join(&[&order.u32(6), &order.u32(claim), &[0; 64]]);
            check_cut(&join(&[&good, &bad]), 1, good.len(), "claims a length");
        }
        let bad = join(&[&order.u32(6), &order.u32(64), &[0; 56]]);
        check_cut(&join(&[&good, &bad]), 1, good.len(), "at its end");
        let far = join(&[&order.u32(6), &order.u32(16 << 20), &[0; 64]]);
        check_cut(&join(&[&good, &far]), 1, good.len(), "has 72 of 16777216");
    }
}

#[test]
fn pcapng_packets_that_do_not_fit_their_block_end_the_file() {
    let order = Order::Little;
    let good = join(&[&section(order), &interface(order, 101, &[])]);
    for claim in [5, 0x100, u32::MAX] {
        let numbers = join(&[&[0; 12], &order.u32(claim), &order.u32(claim), &[0; 4]]);
        let bad = block(order, 6, &numbers);
        check_cut(
            &join(&[&good, &bad]),
            0,
            good.len(),
            "shorter than its packet",
        );
    }
    for body in 0..=16 {
        let bad = block(order, 6, &vec![0; body]);
        check_cut(&join(&[&good, &bad]), 0, good.len(), "too short");
    }
}

#[test]
fn pcapng_options_that_do_not_fit_are_left_out() {
    let order = Order::Little;
    let body = join(&[&[0; 20], &[1, 0, 200, 0, b'x']]);
    let file = join(&[
        &section(order),
        &interface(order, 101, &[]),
        &block(order, 6, &body),
    ]);
    let (seen, summary) = read(&file);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].comments.is_empty());
    assert_eq!(summary.end, CaptureEnd::Complete);
}

#[test]
fn a_section_of_another_version_or_without_byte_order_ends_the_file() {
    let mut file = section(Order::Little);
    file[12] = 2;
    check_cut(&file, 0, 0, "version");
    let mut file = section(Order::Little);
    file[8] = 0;
    check_cut(&file, 0, 0, "byte order mark");
}

#[test]
fn interfaces_beyond_the_limit_end_the_file() {
    let order = Order::Little;
    let mut file = section(order);
    let one = block(order, 1, &[101, 0, 0, 0, 0, 0, 0, 0]);
    file.extend(one.repeat(65_536));
    let at_limit = read(&file).1;
    assert_eq!(at_limit.end, CaptureEnd::Complete);
    assert_eq!(at_limit.interfaces.len(), 65_536);
    let len = file.len();
    file.extend(one);
    check_cut(&file, 0, len, "more interfaces than the limit");
}

#[test]
fn a_long_interface_name_is_cut() {
    let order = Order::Little;
    let file = join(&[&section(order), &interface(order, 1, &[(2, &[b'x'; 5000])])]);
    let (_, summary) = read(&file);
    let name = summary.interfaces[0].name.as_deref();
    assert_eq!(name.map(str::len), Some(256));
}

#[test]
fn a_zstd_frame_that_wants_too_large_a_window_is_refused() {
    // Window descriptor: exponent 31 of 10 bits and more, 3.75 TiB.
    let file = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 1, 0, 0];
    let error = try_read(&file).expect_err("no capture").to_string();
    assert!(error.contains("zstd data"), "{error}");
}

/// Files that mutations start from.
fn seeds() -> Vec<Vec<u8>> {
    let frames = vec![
        ethernet(0x0800, &syn_v4()),
        ethernet(0x86dd, &syn_v6()),
        ethernet(
            0x0800,
            &ipv4(47, &join(&[&[0xb0, 0, 8, 0], &[0; 12], &syn_v4()])),
        ),
        ethernet(
            0x0800,
            &udp(2152, &join(&[&[0x34, 255, 0, 80, 0, 0, 0, 0], &[0; 80]])),
        ),
        ethernet(0x8847, &join(&[&[0, 0, 1, 64], &syn_v6()])),
    ];
    let mut ng = Vec::new();
    for order in [Order::Little, Order::Big] {
        ng.extend(section(order));
        ng.extend(interface(order, 1, &[(2, b"a"), (9, &[6])]));
        ng.extend(interface(
            order,
            1,
            &[(9, &[0x8a]), (14, &[0, 0, 0, 1, 0, 0, 0, 0])],
        ));
        for (tick, frame) in (0..).zip(&frames) {
            ng.extend(enhanced(
                order,
                (u32::try_from(tick % 2).unwrap(), tick),
                frame,
                &[(1, b"c")],
            ));
        }
    }
    let plain = pcap(1, &frames);
    vec![gzip(&plain), zstd(&plain), gzip(&ng), plain, ng]
}

proptest! {
    #[test]
    fn any_bytes_behind_any_magic_end_without_panic(
        magic in prop::sample::select(vec![
            pcap_header(Order::Little, 0xa1b2_c3d4, 1),
            pcap_header(Order::Big, 0xa1b2_cd34, 276),
            section(Order::Little),
            section(Order::Big),
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
            vec![0x28, 0xb5, 0x2f, 0xfd],
            Vec::new(),
        ]),
        bytes in vec(any::<u8>(), 0..600),
    ) {
        // What the result is does not matter, that there is one does.
        let _ = try_read(&join(&[&magic, &bytes]));
    }

    #[test]
    fn any_packet_of_any_link_type_is_decoded_to_something(
        link_type in prop::sample::select(vec![0, 1, 9, 12, 50, 51, 101, 104, 108, 113, 276]),
        packets in vec(vec(any::<u8>(), 0..120), 1..5),
    ) {
        let (seen, summary) = read(&pcap(link_type, &packets));
        prop_assert_eq!(seen.len(), packets.len());
        prop_assert_eq!(summary.end, CaptureEnd::Complete);
    }

    #[test]
    fn mutated_files_end_without_panic(
        seed in prop::sample::select(seeds()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut file = seed;
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let _ = try_read(&file);
        let _ = try_read(&file[..cut.index(file.len())]);
    }
}
