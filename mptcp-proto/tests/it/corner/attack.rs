//! Options that are garbled, unknown or hostile.

use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::hmac::add_addr_hmac;
use mptcp_proto::key::AddressId;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{
    AddAddr, AddressIds, Fail, MptcpOption, Prio, Priority, RemoveAddr,
};
use mptcp_proto::wire::segment::Segment;
use mptcp_proto::wire::writer::OptionArea;

use super::puppet::{KEY, Puppet, payload, reset};
use crate::endpoint::handshake::fallback;
use crate::endpoint::join::established;
use crate::endpoint::meddle::meddle;
use crate::endpoint::pair::{Pair, Way, pattern};

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

/// Case 65
#[test]
fn losses_are_repaired_though_no_sack_block_of_the_peer_can_be_true() {
    let (mut pair, ids) = established(&Config::default());
    let mut moved = meddle(|seen, options, _| {
        if seen.way == Way::ToClient {
            move_sack(options);
        }
        true
    });
    let mut count = 0;
    pair.hook = Some(Box::new(move |number, way, packet| {
        count += usize::from(packet.len() > 1000);
        if packet.len() > 1000 && count % 23 == 0 {
            return Vec::new();
        }
        moved(number, way, packet)
    }));
    pair.exchange(ids, &pattern(400_000, 1), b"done");
    assert!(pair.picked(0, fallback).is_empty());
}

/// What a box that rewrites sequence numbers does to the blocks that it does not know.
fn move_sack(options: &mut [u8]) {
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let len = match kind {
            0 => return,
            1 => 1,
            _ => usize::from(options[at + 1]).max(2),
        };
        if kind == 5 {
            for block in options[at + 2..at + len].chunks_exact_mut(4) {
                block[0] = block[0].wrapping_add(0x55);
            }
        }
        at += len;
    }
}

/// RFC 7430 §2.3 to §2.6: who sees or guesses nothing of the window cannot use an option.
#[test]
fn options_of_segments_from_beside_the_window_change_nothing() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join("10.0.1.1:40001", 1);
    puppet.events.clear();
    let ids = AddressIds::new(&[AddressId(0), AddressId(1)]).unwrap();
    let ip = "10.66.0.6".parse().unwrap();
    let hmac = add_addr_hmac(puppet.key, puppet.host_key, AddressId(9), ip, None);
    let options = [
        MptcpOption::RemoveAddr(RemoveAddr { ids, reserved: 0 }),
        MptcpOption::Prio(Prio {
            priority: Priority::Backup,
            address_id: None,
            reserved: 0,
        }),
        MptcpOption::Fail(Fail {
            dsn: puppet.host_dsn(0),
            reserved: 0,
        }),
        // Even with a true HMAC, as of an address that was advertised long ago.
        MptcpOption::AddAddr(AddAddr {
            version: Version::V1,
            echo: false,
            address_id: AddressId(9),
            address: ip,
            port: None,
            hmac: Some(hmac),
            reserved: 0,
        }),
    ];
    for option in options {
        for away in [0x0100_0000_u32, 0x7fff_0000, 0xff00_0000] {
            let next = puppet.lines[line].next;
            puppet.lines[line].isn = puppet.lines[line].isn.wrapping_add(away);
            let replies = puppet.at(line, next, &[option], &[]);
            puppet.lines[line].isn = puppet.lines[line].isn.wrapping_sub(away);
            assert!(reset(&replies).is_none());
            puppet.wait(Duration::from_secs(2));
        }
    }
    assert!(puppet.events.is_empty(), "{:?}", puppet.events);
    puppet.data(line, 0, b"as before");
    assert_eq!(puppet.read(), b"as before");
}

/// RFC 7430 §2.5: a list of addresses of a victim must not become a flood of SYNs.
#[test]
fn many_advertised_addresses_make_a_few_syns() {
    let config = Config {
        path_manager: mptcp_proto::pm::Kind::Fullmesh,
        ..Config::default()
    };
    let mut puppet = Puppet::called(config);
    puppet.host.address_up("10.0.0.1".parse().unwrap());
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let mut syns = std::collections::BTreeMap::new();
    for id in 1..=250_u8 {
        let ip = [10, 99, 0, id].into();
        let hmac = add_addr_hmac(puppet.key, puppet.host_key, AddressId(id), ip, None);
        let option = MptcpOption::AddAddr(AddAddr {
            version: Version::V1,
            echo: false,
            address_id: AddressId(id),
            address: ip,
            port: None,
            hmac: Some(hmac),
            reserved: 0,
        });
        let mut replies = puppet.ack(0, &[option]);
        replies.extend(puppet.wait(Duration::from_millis(50)));
        for reply in replies {
            let segment = reply.segment();
            if segment.flags.syn() {
                *syns.entry(segment.destination).or_insert(0_u32) += 1;
            }
        }
    }
    let hosts = mptcp_proto::pm::MAX_ADDRESSES;
    assert!(!syns.is_empty() && syns.len() <= hosts, "{syns:?}");
    // In twelve seconds: the first, and repetitions after 1, 3 and 7 seconds.
    assert!(syns.values().all(|count| *count <= 4), "{syns:?}");
}

/// RFC 6181 §6.1, RFC 7430 §2.1: version 0 has no HMAC, so whoever can write into the connection can name
/// an address; version 1 wants the keys.
#[test]
fn an_address_of_someone_without_the_keys_is_joined_in_version_0_only() {
    for (offer, expected) in [(Offer::V1, 0), (Offer::V0, 1)] {
        let config = Config {
            mptcp: offer,
            path_manager: mptcp_proto::pm::Kind::Fullmesh,
            ..Config::default()
        };
        let mut pair = Pair::new(5);
        let ours = pair.connect(config.clone(), config);
        pair.run_for(Duration::from_millis(100));
        let theirs = pair.accepted();
        pair.transfer([ours, theirs], b"a", b"b", Duration::from_secs(5));
        pair.client.address_up("10.0.0.1".parse().unwrap());
        // The next acknowledgement of the server says more than the server did.
        let is_v0 = offer == Offer::V0;
        let mut is_done = false;
        pair.hook = Some(Box::new(move |_, way, packet| {
            let segment = Segment::parse(&packet, false).unwrap();
            if way != Way::ToClient || is_done || segment.flags.syn() {
                return vec![packet];
            }
            is_done = true;
            let mut options = vec![30, 8, if is_v0 { 0x34 } else { 0x30 }, 7, 10, 66, 0, 6];
            if !is_v0 {
                options[1] = 16;
                options.extend([0x11; 8]);
            }
            let forged = Segment {
                options: &options,
                payload: &[],
                ..segment
            };
            let mut out = Vec::new();
            forged.emit(&mut out).unwrap();
            vec![packet, out]
        }));
        pair.client(ours).write(b"more").unwrap();
        pair.run_for(Duration::from_secs(1));
        let hijacked = pair.log.iter().filter(|sent| {
            let segment = Segment::parse(&sent.packet, false).unwrap();
            segment.flags.syn()
                && segment.destination.ip() == std::net::IpAddr::from([10, 66, 0, 6])
        });
        assert_eq!(hijacked.count().min(1), expected, "{offer:?}");
    }
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
    let info = puppet.conn().info();
    assert_eq!(info.subflows_total, 1);
    // Each of those that are options at all came twice: 7 unknown subtypes, and 9 that are cut short.
    assert_eq!(
        (info.bytes_received, info.options_ignored),
        (10 * odd.len() as u64, 2 * (7 + 9))
    );
    puppet.write(b"both ways");
    assert_eq!(puppet.violations(), []);
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
            urgent: 0,
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
