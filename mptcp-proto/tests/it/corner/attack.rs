//! Options that are garbled, unknown or hostile.

use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::wire::segment::Segment;
use mptcp_proto::wire::writer::OptionArea;

use super::puppet::{KEY, Puppet, payload, reset};
use crate::endpoint::pair::pattern;

/// Case 62
#[test]
fn of_two_copies_with_different_bytes_the_first_counts_and_the_difference_is_counted() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join("10.0.1.1:40001", 1);
    let (right, mut wrong) = (pattern(20, 1), pattern(20, 1));
    wrong[12] ^= 1;
    wrong[13] ^= 1;
    puppet.data(line, 10, &right[10..]);
    puppet.data(0, 0, &wrong);
    assert_eq!(puppet.read(), right);
    assert_eq!(puppet.conn().info().bytes_differing, 2);
    assert!(puppet.violations().is_empty());
}

/// Case 65
#[test]
fn sack_blocks_that_a_box_did_not_rewrite_are_ignored() {
    let mut puppet = Puppet::before(Config::default(), KEY);
    puppet.syn_options = vec![4, 2, 1, 1];
    let replies = puppet.syn();
    puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
    puppet.third_ack();
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let first = puppet.lines[0].expected;
    let sent = payload(&puppet.write(&pattern(10_000, 1)));
    assert_eq!(sent, 10_000);
    let end = puppet.lines[0].expected;
    for away in [0x2000_0000_u32, 0x8000_0000, 0xf000_0000] {
        // The box moved the acknowledgement and not the blocks.
        let mut area = OptionArea::new();
        let blocks = [first.wrapping_add(away), end.wrapping_add(away)];
        area.push(&[5, 10]).unwrap();
        area.push(blocks.map(u32::to_be_bytes).as_flattened())
            .unwrap();
        puppet.data_ack().emit(&mut area).unwrap();
        area.pad();
        puppet.lines[0].expected = first;
        let replies = puppet.send_raw(
            0,
            1,
            mptcp_proto::wire::segment::Flags::ACK,
            area.as_bytes(),
            &[],
        );
        assert_eq!(payload(&replies), 0, "{away:#x}");
    }
    puppet.lines[0].expected = end;
    puppet.got = 10_000;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert_eq!(puppet.conn().info().bytes_acked, 10_000);
    assert_eq!(payload(&puppet.write(b"more")), 4);
}

/// Case 71
#[test]
fn options_that_are_unknown_or_do_not_parse_are_as_if_they_were_not_there() {
    let mut odd: Vec<Vec<u8>> = (9..=15)
        .map(|subtype| vec![30, 4, subtype << 4, 0])
        .collect();
    // Lengths 0 to 2, one byte before the end of the area, and every known subtype cut short.
    odd.extend([
        vec![30, 0, 0, 0],
        vec![30, 1, 0, 0],
        vec![30, 2, 1, 1],
        vec![1, 1, 1, 30],
    ]);
    odd.extend((0..=8).map(|subtype| vec![30, 3, subtype << 4, 1]));
    odd.extend((0..=8).map(|subtype| vec![30, 40, subtype << 4, 1]));
    let mut puppet = Puppet::established(Config::default());
    for (n, bytes) in odd.iter().enumerate() {
        let data = pattern(10, n as u64);
        let ssn = puppet.lines[0].next;
        // After a good option, and alone on an acknowledgement.
        let mut area = OptionArea::new();
        let place = u64::from(ssn) - 1;
        puppet.mapped(place, ssn, &data).emit(&mut area).unwrap();
        area.pad();
        area.push(bytes).unwrap();
        let flags = mptcp_proto::wire::segment::Flags::ACK;
        let replies = puppet.send_raw(0, ssn, flags, area.as_bytes(), &data);
        assert!(reset(&replies).is_none());
        assert_eq!(puppet.read(), data, "{bytes:?}");
        let next = puppet.lines[0].next;
        let replies = puppet.send_raw(0, next, flags, bytes, &[]);
        assert!(reset(&replies).is_none());
    }
    assert!(puppet.fallbacks().is_empty());
    assert_eq!(puppet.conn().info().subflows_total, 1);
}

/// Case 71
#[test]
fn a_syn_with_garbled_options_is_answered_as_tcp() {
    for bytes in [
        vec![30, 4, 1, 0x81],
        vec![30, 3, 1, 1],
        vec![30, 0, 1, 1],
        vec![30, 4, 0x91, 1],
        vec![30, 12, 1, 1],
        vec![1, 1, 1, 30],
    ] {
        let mut puppet = Puppet::before(Config::default(), KEY);
        let line = puppet.lines[0];
        let segment = Segment {
            source: line.near,
            destination: line.far,
            seq: mptcp_proto::seq::TcpSeq(line.isn),
            ack: mptcp_proto::seq::TcpSeq(0),
            flags: mptcp_proto::wire::segment::Flags::SYN,
            window: 65_535,
            ecn: mptcp_proto::wire::segment::Ecn::default(),
            options: &bytes,
            payload: &[],
            payload_sum: None,
        };
        puppet.inject(&segment);
        let replies = puppet.hear();
        assert!(replies[0].segment().flags.syn());
        let is_known = bytes == [30, 4, 1, 0x81];
        assert_eq!(
            replies[0].options().capable.is_some(),
            is_known,
            "{bytes:?}"
        );
        puppet.wait(Duration::from_millis(1));
    }
}
