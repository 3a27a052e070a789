//! Fragmented packets.

use super::craft::{
    MP_CAPABLE, Order, V4_ENDS, V6_ENDS, ipv4, join, pcap, pcap_header, pcap_record, syn_v4_with,
    syn_v6_with,
};
use super::{Found, read};

/// Cuts an IPv4 packet into fragments with payloads of at most `len` bytes.
fn fragments_v4(packet: &[u8], len: usize, id: u16) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(20);
    let count = payload.len().div_ceil(len);
    let pieces = payload.chunks(len).enumerate();
    pieces
        .map(|(index, piece)| {
            let mut fragment = join(&[header, piece]);
            let total = u16::try_from(fragment.len()).unwrap();
            let more = if index + 1 < count { 0x2000 } else { 0 };
            let offset = u16::try_from(index * len / 8).unwrap();
            fragment[2..4].copy_from_slice(&total.to_be_bytes());
            fragment[4..6].copy_from_slice(&id.to_be_bytes());
            fragment[6..8].copy_from_slice(&(more | offset).to_be_bytes());
            fragment
        })
        .collect()
}

/// Cuts an IPv6 packet likewise.
fn fragments_v6(packet: &[u8], len: usize) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(40);
    let count = payload.len().div_ceil(len);
    let pieces = payload.chunks(len).enumerate();
    pieces
        .map(|(index, piece)| {
            let more = u16::from(index + 1 < count);
            let offset = u16::try_from(index * len).unwrap();
            let place = (offset | more).to_be_bytes();
            let extension = join(&[&[6, 0], &place, &[0, 0, 0, 9]]);
            let mut fragment = join(&[header, &extension, piece]);
            let total = u16::try_from(fragment.len() - 40).unwrap();
            fragment[4..6].copy_from_slice(&total.to_be_bytes());
            fragment[6] = 44;
            fragment
        })
        .collect()
}

fn payload() -> Vec<u8> {
    (0..=255).cycle().take(1000).collect()
}

#[track_caller]
fn check_whole(found: &Found, ends: &str, payload: &[u8]) {
    let expected = Found::Tcp {
        ends: ends.to_owned(),
        options: MP_CAPABLE.to_vec(),
        options_len: 4,
        payload: payload.to_vec(),
        payload_len: u32::try_from(payload.len()).unwrap(),
        outbound: None,
    };
    assert_eq!(*found, expected);
}

#[track_caller]
fn check_fragments(packets: &[Vec<u8>], ends: &str, incomplete: u64) {
    let (seen, summary) = read(&pcap(101, packets));
    let whole: Vec<_> = seen.iter().filter(|s| s.found != Found::Fragment).collect();
    let [one] = &whole[..] else {
        panic!(
            "{} whole packets of {}; {:?}",
            whole.len(),
            packets.len(),
            summary
        );
    };
    check_whole(&one.found, ends, &payload());
    assert_eq!(summary.incomplete_fragments, incomplete);
}

#[test]
fn fragments_become_a_segment_in_any_order() {
    for mut packets in [
        fragments_v4(&syn_v4_with(&payload()), 8, 7),
        fragments_v4(&syn_v4_with(&payload()), 504, 7),
    ] {
        check_fragments(&packets, V4_ENDS, 0);
        packets.reverse();
        check_fragments(&packets, V4_ENDS, 0);
        packets.rotate_left(1);
        check_fragments(&packets, V4_ENDS, 0);
    }
    let mut packets = fragments_v6(&syn_v6_with(&payload()), 304);
    check_fragments(&packets, V6_ENDS, 0);
    packets.swap(0, 2);
    check_fragments(&packets, V6_ENDS, 0);
}

#[test]
fn the_segment_has_the_number_of_the_fragment_that_completes_it() {
    let (seen, _) = read(&pcap(101, &fragments_v4(&syn_v4_with(&payload()), 504, 7)));
    let frames: Vec<_> = seen.iter().map(|s| s.found == Found::Fragment).collect();
    assert_eq!(frames, [true, true, false]);
}

#[test]
fn copies_of_fragments_do_no_harm() {
    let mut packets = fragments_v4(&syn_v4_with(&payload()), 504, 7);
    packets.insert(1, packets[0].clone());
    check_fragments(&packets, V4_ENDS, 0);
}

#[test]
fn fragments_in_tunnels_and_tunnels_in_fragments() {
    let inner = fragments_v4(&syn_v4_with(&payload()), 512, 7);
    let tunnelled: Vec<_> = inner.iter().map(|fragment| ipv4(4, fragment)).collect();
    check_fragments(&tunnelled, V4_ENDS, 0);
    let outer: Vec<_> = (1..)
        .zip(&tunnelled)
        .flat_map(|(id, packet)| fragments_v4(packet, 104, id))
        .collect();
    check_fragments(&outer, V4_ENDS, 0);
    let third: Vec<_> = (100..)
        .zip(&outer)
        .flat_map(|(id, packet)| fragments_v4(&ipv4(4, packet), 16, id))
        .collect();
    let (seen, _) = read(&pcap(101, &third));
    let last = seen.last().map(|s| &s.found);
    assert!(matches!(last, Some(Found::Undecoded(_))));
}

#[test]
fn different_identifications_are_different_packets() {
    let one = fragments_v4(&syn_v4_with(&payload()), 504, 1);
    let two = fragments_v4(&syn_v4_with(&payload()), 504, 2);
    let packets = [&one[0], &two[1], &one[2]].map(Clone::clone);
    let (seen, summary) = read(&pcap(101, &packets));
    assert!(seen.iter().all(|s| s.found == Found::Fragment));
    assert_eq!(summary.incomplete_fragments, 3);
}

#[test]
fn overlapping_fragments_discard_their_packet() {
    let packets = fragments_v4(&syn_v4_with(&payload()), 504, 7);
    let mut shifted = packets[1].clone();
    shifted[7] -= 1;
    let attack = [packets[0].clone(), shifted, packets[2].clone()];
    let (seen, summary) = read(&pcap(101, &attack));
    assert!(seen.iter().all(|s| s.found == Found::Fragment));
    assert_eq!(summary.incomplete_fragments, 3);
}

#[test]
fn an_identification_may_be_used_again() {
    let packets = fragments_v4(&syn_v4_with(&payload()), 504, 7);
    let twice = [packets.clone(), packets].concat();
    let (seen, summary) = read(&pcap(101, &twice));
    let whole = seen.iter().filter(|s| s.found != Found::Fragment).count();
    assert_eq!((whole, summary.incomplete_fragments), (2, 0));
}

#[test]
fn a_fragment_older_than_half_a_minute_is_given_up() {
    let packets = fragments_v4(&syn_v4_with(&payload()), 504, 7);
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 101);
    for (second, packet) in [10, 11, 42].into_iter().zip(&packets) {
        file.extend(pcap_record(
            Order::Little,
            (second, 0),
            packet.len(),
            &[],
            packet,
        ));
    }
    let (seen, summary) = read(&file);
    assert!(seen.iter().all(|s| s.found == Found::Fragment));
    assert_eq!(summary.incomplete_fragments, 3);
}

#[test]
fn fragments_cut_by_the_snapshot_length_become_a_cut_segment() {
    let mut file = pcap_header(Order::Little, 0xa1b2_c3d4, 101);
    for packet in fragments_v4(&syn_v4_with(&payload()), 504, 7) {
        let cut = &packet[..packet.len().min(100)];
        file.extend(pcap_record(Order::Little, (1, 0), packet.len(), &[], cut));
    }
    let (seen, summary) = read(&file);
    let Found::Tcp {
        options,
        payload: there,
        payload_len,
        ..
    } = &seen[2].found
    else {
        panic!("{:?}", seen[2]);
    };
    assert_eq!(options, &MP_CAPABLE);
    assert_eq!(there, &payload()[..100 - 20 - 24]);
    assert_eq!(*payload_len, 1000);
    assert_eq!(summary.incomplete_fragments, 0);
}
