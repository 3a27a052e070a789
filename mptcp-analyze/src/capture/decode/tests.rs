//! Limits of what fragments make the decoder hold.

use std::net::{IpAddr, Ipv4Addr};

use crate::model::{IpFacts, Timestamp};

use super::fragment::{Fragments, MAX_DATAGRAMS, MAX_FRAGMENT_BYTES, MAX_PIECES};
use super::{Envelope, Piece, Transport, Wire};

const ENVELOPE: Envelope = Envelope {
    frame: 1,
    at: Timestamp(0),
    file: 0,
    interface: 0,
    original_len: 0,
    outbound: None,
};

fn piece(id: u32, offset: usize, more: bool) -> Piece {
    Piece {
        transport: Transport {
            source: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            destination: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
            facts: IpFacts::default(),
            protocol: 6,
        },
        id,
        offset,
        more,
    }
}

fn wire(bytes: &[u8]) -> Wire<'_> {
    Wire { bytes, missing: 0 }
}

#[test]
fn the_oldest_packet_gives_way_to_one_over_the_limit() {
    let mut fragments = Fragments::new(1);
    let limit = u32::try_from(MAX_DATAGRAMS).unwrap();
    for id in 0..=limit {
        assert!(
            fragments
                .add(&ENVELOPE, &piece(id, 0, true), wire(&[0; 8]))
                .is_none()
        );
        assert!(fragments.held().0 <= MAX_DATAGRAMS);
    }
    let mut last = |id| fragments.add(&ENVELOPE, &piece(id, 8, false), wire(&[0; 8]));
    assert!(last(1).is_some(), "the second is still there");
    assert!(last(0).is_none(), "the first is gone");
}

#[test]
fn bytes_of_unfinished_packets_are_limited() {
    let mut fragments = Fragments::new(1);
    let large = vec![0; 65_528];
    for id in 0..600 {
        fragments.add(&ENVELOPE, &piece(id, 0, true), wire(&large));
        assert!(fragments.held().2 <= MAX_FRAGMENT_BYTES);
    }
    let (datagrams, _, bytes) = fragments.held();
    assert_eq!(datagrams, MAX_FRAGMENT_BYTES / large.len());
    assert_eq!(bytes, datagrams * large.len());
    assert_eq!(fragments.finish(), [600]);
}

#[test]
fn a_packet_of_too_many_pieces_is_given_up() {
    let mut fragments = Fragments::new(1);
    for index in 0..MAX_PIECES {
        fragments.add(&ENVELOPE, &piece(1, index * 8, true), wire(&[0; 8]));
    }
    assert_eq!(fragments.held().0, 1);
    fragments.add(&ENVELOPE, &piece(1, MAX_PIECES * 8, true), wire(&[0; 8]));
    assert_eq!(fragments.held(), (0, 1, 0));
    assert_eq!(fragments.finish(), [MAX_PIECES as u64 + 1]);
}

#[test]
fn refused_packets_leave_no_endless_queue() {
    let mut fragments = Fragments::new(1);
    fragments.add(&ENVELOPE, &piece(0, 0, true), wire(&[0; 8]));
    for id in 1..100_000 {
        fragments.add(&ENVELOPE, &piece(id, 0, true), wire(&[0; 7]));
        assert!(fragments.held().1 <= 2 * MAX_DATAGRAMS);
    }
    assert_eq!(fragments.held().0, 1);
}

#[test]
fn a_packet_never_grows_past_what_ip_allows() {
    let mut fragments = Fragments::new(1);
    let offset = 65_528;
    assert!(
        fragments
            .add(&ENVELOPE, &piece(1, offset, false), wire(&[0; 8]))
            .is_none()
    );
    assert_eq!(fragments.held(), (0, 1, 0));
}
