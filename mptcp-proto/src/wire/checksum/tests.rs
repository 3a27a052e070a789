use proptest::prelude::*;

use super::*;

/// The definition, byte by byte (RFC 1071 §1).
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for (position, byte) in bytes.iter().enumerate() {
        sum += u64::from(*byte) << if position.is_multiple_of(2) { 8 } else { 0 };
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

#[test]
fn the_example_of_rfc_1071_sums_up() {
    let sum = PartialSum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
    assert_eq!(sum, PartialSum(0xddf2));
}

#[test]
fn the_kernels_checksum_holds() {
    let payload = PartialSum::of(b"hello kernel");
    let dsn = Dsn(0x36b3_e08d_bf58_f47b);
    assert_eq!(dss_checksum(dsn, Ssn(1), 12, payload), 0xadaa);
    assert!(dss_checksum_holds(dsn, Ssn(1), 12, payload, 0xadaa));
    assert!(!dss_checksum_holds(dsn, Ssn(1), 12, payload, 0xadab));
}

#[test]
fn a_data_fin_counts_in_the_length_and_has_no_payload() {
    let payload = PartialSum::of(b"end");
    let with_fin = dss_checksum(Dsn(7), Ssn(1), 4, payload);
    assert!(!dss_checksum_holds(Dsn(7), Ssn(1), 3, payload, with_fin));
    assert_eq!(with_fin, dss_checksum(Dsn(7), Ssn(1), 3, payload) - 1);
}

#[test]
fn both_zeros_are_one_checksum() {
    // The pseudo-header alone sums up to 0xffff, so the checksum is zero.
    assert_eq!(
        dss_checksum(Dsn(0xfff0), Ssn(0xf), 0, PartialSum::default()),
        0
    );
    assert!(dss_checksum_holds(
        Dsn(0xfff0),
        Ssn(0xf),
        0,
        PartialSum::default(),
        0
    ));
    assert!(dss_checksum_holds(
        Dsn(0xfff0),
        Ssn(0xf),
        0,
        PartialSum::default(),
        0xffff
    ));
}

#[test]
fn the_most_a_lane_can_hold_does_not_overflow_the_sum() {
    assert_eq!(PartialSum::of(&vec![0xff; 1 << 20]), PartialSum(0xffff));
}

/// RST of a closed port, the checksum left out.
const SEGMENT: [u8; 20] = [
    0x13, 0x89, 0xa3, 0xfc, 0, 0, 0, 0, 0, 0, 0, 1, 0x50, 0x14, 0, 0, 0, 0, 0, 0,
];

fn with_checksum(checksum: u16) -> [u8; 20] {
    let mut segment = SEGMENT;
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    segment
}

#[track_caller]
fn check_tcp(source: IpAddr, destination: IpAddr, pseudo_header: &[u8]) {
    let checksum = tcp_checksum(source, destination, &with_checksum(0x1234)).unwrap();
    assert_eq!(checksum, !naive(&[pseudo_header, &SEGMENT].concat()));
    let judge = |checksum| check_tcp_checksum(source, destination, &with_checksum(checksum));
    assert_eq!(judge(checksum), Some(TcpChecksum::Good));
    assert_eq!(judge(naive(pseudo_header)), Some(TcpChecksum::Partial));
    assert_eq!(judge(checksum ^ 0x0100), Some(TcpChecksum::Bad));
}

#[test]
fn a_payload_that_was_summed_up_before_gives_the_same_verdict() {
    let (source, destination) = ([10, 1, 1, 1].into(), [10, 2, 1, 1].into());
    for len in [0, 1, 2, 3, 1400, 1401] {
        let payload: Vec<u8> = (0..len).map(|n: u32| n.to_be_bytes()[3]).collect();
        let segment = [&SEGMENT[..], &payload].concat();
        let right = tcp_checksum(source, destination, &segment).unwrap();
        let pseudo_header = [
            &[10, 1, 1, 1, 10, 2, 1, 1, 0, 6][..],
            &(20 + len).to_be_bytes()[2..],
        ];
        for field in [right, naive(&pseudo_header.concat()), right ^ 0x100] {
            let header = with_checksum(field);
            let known = (PartialSum::of(&payload), payload.len());
            assert_eq!(
                check_tcp_checksum_of(source, destination, &header, known),
                check_tcp_checksum(source, destination, &[&header[..], &payload].concat()),
            );
        }
    }
}

#[test]
fn tcp_checksum_covers_the_ipv4_pseudo_header() {
    let pseudo_header = [10, 1, 1, 1, 10, 2, 1, 1, 0, 6, 0, 20];
    check_tcp([10, 1, 1, 1].into(), [10, 2, 1, 1].into(), &pseudo_header);
}

#[test]
fn tcp_checksum_covers_the_ipv6_pseudo_header() {
    let (source, destination) = ([0x20_u8; 16], [0xfd_u8; 16]);
    let pseudo_header = [&source[..], &destination[..], &[0, 0, 0, 20, 0, 0, 0, 6]].concat();
    check_tcp(source.into(), destination.into(), &pseudo_header);
}

#[test]
fn a_segment_without_a_checksum_field_has_no_checksum() {
    let address = IpAddr::from([10, 0, 0, 1]);
    assert_eq!(check_tcp_checksum(address, address, &SEGMENT[..17]), None);
    assert_eq!(tcp_checksum(address, address, &SEGMENT[..17]), None);
    assert_eq!(
        tcp_checksum(address, IpAddr::from([0_u8; 16]), &SEGMENT),
        None
    );
}

proptest! {
    #[test]
    fn the_sum_equals_the_naive_one(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(PartialSum::of(&bytes), PartialSum(naive(&bytes)));
    }

    #[test]
    fn pieces_in_any_order_sum_up_to_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(0_usize..400, 0..8),
        order in any::<prop::sample::Index>(),
    ) {
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut pieces: Vec<_> = cuts.windows(2).map(|w| (w[0], &bytes[w[0]..w[1]])).collect();
        let middle = order.index(pieces.len());
        pieces.rotate_left(middle);
        let sum = pieces.into_iter().fold(PartialSum::default(), |sum, (offset, piece)| {
            sum.plus(PartialSum::of_at(piece, u32::try_from(offset).unwrap()))
        });
        prop_assert_eq!(sum, PartialSum::of(&bytes));
    }

    #[test]
    fn a_single_changed_bit_is_noticed(
        mut bytes in prop::collection::vec(any::<u8>(), 1..100),
        bit in any::<prop::sample::Index>(),
        dsn: u64,
        ssn: u32,
        len: u16,
    ) {
        let checksum = dss_checksum(Dsn(dsn), Ssn(ssn), len, PartialSum::of(&bytes));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let payload = PartialSum::of(&bytes);
        prop_assert!(!dss_checksum_holds(Dsn(dsn), Ssn(ssn), len, payload, checksum));
    }
}
