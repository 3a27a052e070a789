//! Bodies for the options and checksums of `mptcp-proto`.

#![expect(clippy::missing_panics_doc, reason = "to panic is how a body speaks")]

use std::net::IpAddr;

use mptcp_proto::seq::{Dsn, Ssn};
use mptcp_proto::version::Version;
use mptcp_proto::wire::checksum::{
    PartialSum, TcpChecksum, check_tcp_checksum, dss_checksum, dss_checksum_holds, tcp_checksum,
};
use mptcp_proto::wire::mptcp::{LaxOption, MptcpOption};
use mptcp_proto::wire::tcp_option::{KIND_MPTCP, TcpOptionValue, TcpOptions};
use mptcp_proto::wire::writer::OptionArea;

/// Parses an MPTCP option: as it is, and with kind and length put right, so that more inputs get
/// past those two bytes. What parses must be emitted unchanged.
pub fn option(data: &[u8]) {
    check_option(data);
    let mut framed = data.to_vec();
    if let ([kind, len, ..], Ok(right)) = (&mut framed[..], u8::try_from(data.len())) {
        (*kind, *len) = (KIND_MPTCP, right);
        check_option(&framed);
    }
}

/// Walks the option area of a TCP header, and parses what is in it.
pub fn options_area(data: &[u8]) {
    let mut walk = TcpOptions::new(data);
    let mut covered = 0;
    while let Some(Ok(option)) = walk.next() {
        assert_eq!(option.offset, covered, "options lie side by side");
        assert!(
            !option.bytes.is_empty(),
            "an option of no byte would be walked for ever"
        );
        covered += option.bytes.len();
        match option.value() {
            TcpOptionValue::Mptcp(bytes) => check_option(bytes),
            TcpOptionValue::Sack(blocks) => {
                assert_eq!(blocks.iter().count(), (option.bytes.len() - 2) / 8);
            }
            _ => {}
        }
    }
    assert_eq!(walk.rest(), &data[covered..], "nothing is lost");
    assert!(walk.next().is_none(), "an error ends the walk");
    check_lax(walk.rest());
}

/// Sums bytes as a whole, in two pieces and one by one, and puts checksums over them.
pub fn checksum(data: &[u8]) {
    let sum = PartialSum::of(data);
    let cut = data
        .first()
        .map_or(0, |&byte| usize::from(byte).min(data.len()));
    let (before, after) = data.split_at(cut);
    let offset = u32::try_from(cut).expect("a byte's value");
    assert_eq!(
        PartialSum::of_at(after, offset).plus(PartialSum::of(before)),
        sum
    );
    assert_eq!(sum.complement(), !naive_sum(data));

    let dsn = Dsn(data
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes)));
    let ssn = Ssn(data
        .last_chunk()
        .map_or(1, |bytes| u32::from_be_bytes(*bytes)));
    let len = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let checksum = dss_checksum(dsn, ssn, len, sum);
    assert!(dss_checksum_holds(dsn, ssn, len, sum, checksum));
    check_segment(
        data,
        IpAddr::from([192, 0, 2, 1]),
        IpAddr::from([198, 51, 100, 1]),
    );
    check_segment(data, IpAddr::from([0x20; 16]), IpAddr::from([0xfd; 16]));
}

fn check_option(bytes: &[u8]) {
    let parsed = [
        MptcpOption::parse(Version::V0, bytes),
        MptcpOption::parse(Version::V1, bytes),
        MptcpOption::parse_unversioned(bytes),
    ];
    for option in parsed.into_iter().flatten() {
        let mut area = OptionArea::new();
        let emitted = option
            .emit(&mut area)
            .expect("what was parsed has a form, and fits");
        assert_eq!(emitted, bytes, "{option:?}");
        assert_eq!(option.subtype().0, bytes[2] >> 4, "{option:?}");
        assert!(!option.to_string().is_empty());
    }
    check_lax(bytes);
}

fn check_lax(bytes: &[u8]) {
    for version in [None, Some(Version::V0), Some(Version::V1)] {
        if let Ok(LaxOption::Cut(cut)) = MptcpOption::parse_lax(version, bytes) {
            assert!(cut.have < cut.claimed_len, "{cut:?} is cut");
            assert_eq!(cut.have, bytes.len());
        }
    }
}

fn check_segment(data: &[u8], source: IpAddr, destination: IpAddr) {
    let judged = check_tcp_checksum(source, destination, data);
    let Some(checksum) = tcp_checksum(source, destination, data) else {
        assert_eq!(judged, None);
        return;
    };
    let mut segment = data.to_vec();
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    let judged = check_tcp_checksum(source, destination, &segment);
    assert_eq!(judged, Some(TcpChecksum::Good));
}

fn naive_sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    });
    let mut sum: u64 = words.sum();
    while let carry @ 1.. = sum >> 16 {
        sum = (sum & 0xffff) + carry;
    }
    u16::try_from(sum).expect("the carry is folded in")
}
