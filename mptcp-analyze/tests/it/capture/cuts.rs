//! Files cut at every byte, and packets cut at every byte.

use mptcp_analyze::model::CaptureEnd;

use super::craft::{
    MP_CAPABLE, Order, enhanced, ethernet, gzip, interface, pcap, pcap_header, pcap_record,
    section, syn_v4, syn_v6, zstd,
};
use super::{Found, read, try_read};

/// Cuts a file at every byte: what is whole is delivered, and the end tells where the rest is.
#[track_caller]
fn check_every_cut(file: &[u8], record_ends: &[usize], packets_before: usize) {
    let (all, _) = read(file);
    for len in 4..=file.len() {
        let (seen, summary) = read(&file[..len]);
        let whole = record_ends.iter().filter(|end| **end <= len).count();
        let at = record_ends[..whole].last().copied().unwrap_or(0);
        assert_eq!(
            seen,
            all[..whole.saturating_sub(packets_before)],
            "cut at {len}"
        );
        match summary.end {
            CaptureEnd::Complete => assert_eq!(len, at),
            CaptureEnd::Cut { at_byte, .. } => {
                assert!(len > at, "cut at {len}");
                assert_eq!(at_byte, at as u64, "cut at {len}");
            }
        }
    }
    for len in 0..4 {
        assert!(try_read(&file[..len]).is_err());
    }
}

#[test]
fn a_pcap_cut_anywhere_gives_the_records_before() {
    let packets = [syn_v4(), syn_v6(), Vec::new()];
    let file = pcap(101, &packets);
    let mut ends = vec![24];
    for packet in &packets {
        ends.push(ends[ends.len() - 1] + 16 + packet.len());
    }
    check_every_cut(&file, &ends, 1);
}

#[test]
fn a_pcapng_cut_anywhere_gives_the_blocks_before() {
    for order in [Order::Little, Order::Big] {
        let blocks = [
            section(order),
            interface(order, 101, &[(2, b"any")]),
            enhanced(order, (0, 1), &syn_v4(), &[(1, b"comment")]),
            enhanced(order, (0, 2), &syn_v6(), &[]),
        ];
        let mut ends = Vec::new();
        for block in &blocks {
            ends.push(ends.last().copied().unwrap_or(0) + block.len());
        }
        check_every_cut(&blocks.concat(), &ends, 2);
    }
}

#[test]
fn a_compressed_file_cut_anywhere_gives_what_can_be_decompressed() {
    let file = pcap(101, &[syn_v4(), syn_v6(), syn_v4()]);
    let boundaries = [24, 24 + 65, 24 + 65 + 85, file.len()];
    let (all, _) = read(&file);
    for packed in [gzip(&file), zstd(&file)] {
        let mut before = 0;
        for len in 0..=packed.len() {
            let Ok((seen, summary)) = try_read(&packed[..len]) else {
                assert_eq!(before, 0, "cut at {len}");
                continue;
            };
            assert!(seen.len() >= before, "cut at {len}");
            before = seen.len();
            assert_eq!(seen, all[..before]);
            match summary.end {
                CaptureEnd::Complete => assert_eq!(len, packed.len()),
                CaptureEnd::Cut { at_byte, .. } => {
                    let at = usize::try_from(at_byte).unwrap();
                    assert!(len < packed.len());
                    assert!(at == 0 || boundaries.contains(&at), "{at}");
                }
            }
        }
        assert_eq!(before, 3);
    }
}

#[test]
fn a_compressed_file_cut_before_its_first_packet_says_so_in_words() {
    let file = pcap(101, &[syn_v4()]);
    for (packed, words) in [
        (gzip(&file), "incomplete deflate stream"),
        (zstd(&file), "incomplete zstd block"),
    ] {
        let error = try_read(&packed[..12]).expect_err("nothing is there");
        assert_eq!(
            error.to_string(),
            format!("memory cannot be decompressed: {words}")
        );
    }
}

#[test]
fn a_cut_zstd_file_gives_the_window_that_its_decoder_kept_back() {
    let packet = syn_v4();
    let file = pcap(101, &vec![packet; 20_000]);
    let small = zstd(&file);
    let (seen, summary) = read(&small[..small.len() / 2]);
    assert!(seen.len() > 5_000, "{} packets", seen.len());
    assert!(matches!(summary.end, CaptureEnd::Cut { .. }));
}

#[test]
fn a_snapshot_length_anywhere_leaves_what_is_there() {
    for (ip, ether_type) in [(syn_v4(), 0x0800), (syn_v6(), 0x86dd)] {
        let whole = ethernet(ether_type, &ip);
        let tcp_at = whole.len() - 5 - 24;
        for len in 0..=whole.len() {
            let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 1);
            let cut = &whole[..len];
            file.extend(pcap_record(Order::Little, (1, 1), whole.len(), &[], cut));
            let (seen, summary) = read(&file);
            assert_eq!(summary.truncated_packets, u64::from(len < whole.len()));
            let Found::Tcp {
                options,
                options_len,
                payload,
                payload_len,
                ..
            } = &seen[0].found
            else {
                assert!(len < tcp_at + 16, "cut at {len}");
                assert!(matches!(seen[0].found, Found::Undecoded(_)), "cut at {len}");
                continue;
            };
            assert!(len >= tcp_at + 16, "cut at {len}");
            assert_eq!((*options_len, *payload_len), (4, 5));
            let captured = len.saturating_sub(tcp_at + 20).min(4);
            assert_eq!(options, &MP_CAPABLE[..captured]);
            assert_eq!(payload.len(), len.saturating_sub(tcp_at + 24));
        }
    }
}

#[test]
fn a_record_that_lost_its_original_length_is_believed_through_its_ip_header() {
    let whole = syn_v4();
    let file = pcap(101, &[whole[..whole.len() - 3].to_vec()]);
    let (seen, _) = read(&file);
    let Found::Tcp {
        payload,
        payload_len,
        ..
    } = &seen[0].found
    else {
        panic!("{:?}", seen[0]);
    };
    assert_eq!((payload.len(), *payload_len), (2, 5));
}

#[test]
fn headers_that_contradict_themselves_are_not_decoded() {
    let broken = |at: usize, byte: u8| {
        let mut packet = syn_v4();
        packet[at] = byte;
        read(&pcap(101, &[packet])).0.remove(0).found
    };
    for (at, byte) in [
        (0, 0x44),       // header length 16
        (3, 19),         // total length below the header
        (3, 39),         // no room for a TCP header
        (20 + 12, 0x40), // data offset 4
        (20 + 12, 0xf0), // data offset past the packet
    ] {
        let found = broken(at, byte);
        assert!(matches!(found, Found::Undecoded(_)), "{at}: {found:?}");
    }
}

#[test]
fn the_end_of_a_damaged_gzip_says_what_the_decompressor_said() {
    let mut packed = gzip(&pcap(101, &[syn_v4()]));
    let crc_at = packed.len() - 8;
    packed[crc_at] ^= 1;
    let (seen, summary) = read(&packed);
    assert_eq!(seen.len(), 1);
    let CaptureEnd::Cut { at_byte, reason } = summary.end else {
        panic!("complete");
    };
    assert_eq!(at_byte, pcap(101, &[syn_v4()]).len() as u64);
    assert!(
        reason.contains("checksum") || reason.contains("corrupt"),
        "{reason}"
    );
}
