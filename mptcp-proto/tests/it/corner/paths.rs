//! What the network says of one path (ICMP, MTU).

use std::time::Duration;

use mptcp_proto::conn::{Config, State};
use mptcp_proto::key::AddressId;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::IcmpError;
use mptcp_proto::wire::mptcp::{Join, MptcpOption, Priority};
use mptcp_proto::wire::segment::Flags;
use mptcp_proto::wire::writer::OptionArea;

use super::puppet::{NONCE, Puppet, Reply, payload};
use crate::endpoint::join::{SECOND, established, join};
use crate::endpoint::meddle::drop_if;
use crate::endpoint::pair::{SERVER, address, path, pattern};

/// Case 67
#[test]
fn a_smaller_path_cuts_segments_and_leaves_their_mappings() {
    let mut puppet = Puppet::established(Config::default());
    let bytes = pattern(8000, 1);
    let first = puppet.write(&bytes);
    let mappings: Vec<_> = first.iter().filter_map(Reply::mapping).collect();
    let quoted = TcpSeq(first[0].segment().seq.0);
    let ends = path(SERVER, crate::endpoint::pair::CLIENT);
    puppet.lines[0].expected = quoted.0;
    let too_big = IcmpError::PacketTooBig { mtu: 700 };
    puppet.host.handle_icmp(puppet.now, ends, quoted, too_big);
    let mut again = puppet.hear();
    again.extend(puppet.wait(Duration::from_secs(2)));
    let cut: Vec<_> = again
        .iter()
        .filter(|reply| !reply.segment().payload.is_empty())
        .collect();
    assert!(!cut.is_empty());
    assert!(cut.iter().all(|reply| reply.packet.len() <= 700));
    for mapping in cut.iter().filter_map(|reply| reply.mapping()) {
        assert!(mappings.contains(&mapping), "{mapping:?}");
    }
    // The bytes are those of the first time.
    let base = quoted.0;
    for reply in &cut {
        let at = reply.segment().seq.0.wrapping_sub(base) as usize;
        assert_eq!(
            reply.segment().payload,
            &bytes[at..at + reply.segment().payload.len()]
        );
    }
}

/// Case 67
#[test]
fn a_path_that_drops_large_packets_in_silence_does_not_stop_the_other() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let second = address(SECOND);
    pair.hook = Some(drop_if(move |seen| {
        seen.segment.source == second && seen.segment.payload.len() > 500
    }));
    let limit = Duration::from_secs(120);
    pair.transfer(ids, &pattern(500_000, 1), &pattern(500_000, 2), limit);
    // What the second path lost went over the first, and the second is not asked to carry more.
    let info = pair.client(ids[0]).info();
    assert!(info.bytes_retrans > 0 && info.fallback.is_none());
    let subflows: Vec<_> = pair.client(ids[0]).subflows().collect();
    assert!(!subflows[0].is_stale && subflows[1].tcp.counters.timeouts > 0);
    let sent = subflows[1].tcp.counters.segments_out - subflows[1].tcp.counters.retransmissions;
    assert!(
        sent * 5 < subflows[0].tcp.counters.segments_out,
        "{subflows:?}"
    );
}

/// Case 67
#[test]
fn each_subflow_has_segments_of_the_size_that_its_peer_takes() {
    let mut puppet = Puppet::established(Config::default());
    let small = puppet.line("10.0.1.1:40001", SERVER);
    let token = puppet.token();
    let join = MptcpOption::Join(Join::Syn {
        priority: Priority::Regular,
        address_id: AddressId(1),
        token,
        nonce: NONCE,
        reserved: 0,
    });
    let mut area = OptionArea::new();
    // An MSS of 600.
    area.push(&[2, 4, 2, 0x58]).unwrap();
    join.emit(&mut area).unwrap();
    let syn = puppet.send_raw(small, 0, Flags::SYN, area.as_bytes(), &[]);
    let hmac = puppet.join_hmac(&syn[0], NONCE);
    puppet.join_ack(small, hmac);
    let option = puppet.data_ack();
    puppet.ack(small, &[option]);
    let replies = puppet.write(&pattern(28_000, 1));
    let longest = |line: usize| {
        let near = puppet.lines[line].near;
        let to = replies
            .iter()
            .filter(|reply| reply.segment().destination == near);
        to.map(|reply| reply.segment().payload.len()).max().unwrap()
    };
    // The options of MPTCP are taken off (RFC 6691).
    assert_eq!([longest(0), longest(small)], [1460 - 28, 600 - 28]);
}

/// Case 78
#[test]
fn an_unreachable_path_is_no_end_of_an_established_subflow_nor_of_the_others() {
    for error in [IcmpError::SoftUnreachable, IcmpError::HardUnreachable] {
        let mut puppet = Puppet::established(Config::default());
        puppet.join("10.0.1.1:40001", 1);
        let replies = puppet.write(&pattern(29_000, 1));
        let second = puppet.lines[1].near;
        let quoted = replies
            .iter()
            .find(|reply| reply.segment().destination == second)
            .unwrap();
        let ends = path(SERVER, "10.0.1.1:40001");
        let seq = quoted.segment().seq;
        puppet.host.handle_icmp(puppet.now, ends, seq, error);
        // RFC 5927 §5.2: for an established connection it is a hint.
        assert_eq!(puppet.conn().info().subflows_total, 2);
        assert_eq!(puppet.state(), State::Established);
        assert!(puppet.picked(crate::endpoint::join::down).is_empty());
        // Both carry on, the one that it spoke of among them.
        let carried: Vec<_> = puppet.conn().subflows().map(|s| s.tcp.in_flight).collect();
        assert!(carried.iter().all(|bytes| *bytes > 0), "{carried:?}");
        let replies = puppet.wait(Duration::from_secs(5));
        let again = replies
            .iter()
            .filter(|reply| reply.segment().destination == second);
        assert!(
            again
                .filter(|reply| !reply.segment().payload.is_empty())
                .count()
                > 0
        );
        puppet.data(1, 0, b"from there");
        assert_eq!(puppet.read(), b"from there");
    }
    // One that is not established yet ends, and the connection goes on.
    let mut puppet = Puppet::established(Config::default());
    let (near, far) = (address(SERVER), address("10.0.1.1:40001"));
    puppet
        .conn()
        .open_subflow(near, far, Priority::Regular)
        .unwrap();
    let syn = puppet.hear();
    let seq = syn[0].segment().seq;
    let ends = path(SERVER, "10.0.1.1:40001");
    let error = IcmpError::HardUnreachable;
    // One that quotes another number knows nothing of it (RFC 5927 §4.1), and a soft one is a hint.
    puppet.host.handle_icmp(puppet.now, ends, seq.add(1), error);
    puppet
        .host
        .handle_icmp(puppet.now, ends, seq, IcmpError::SoftUnreachable);
    assert_eq!(puppet.conn().subflows().count(), 2);
    puppet.host.handle_icmp(puppet.now, ends, seq, error);
    puppet.hear();
    assert_eq!(puppet.conn().info().subflows_total, 1);
    assert_eq!(payload(&puppet.write(b"goes on")), 7);
}
