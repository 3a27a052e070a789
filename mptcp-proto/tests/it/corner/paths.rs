//! What the network says of one path (ICMP, MTU).

use std::time::Duration;

use mptcp_proto::conn::{Config, State};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::IcmpError;
use mptcp_proto::wire::mptcp::Priority;

use super::puppet::{Puppet, Reply, payload};
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
    puppet.host.handle_icmp(puppet.now, ends, seq, error);
    puppet.hear();
    assert_eq!(puppet.conn().info().subflows_total, 1);
    assert_eq!(payload(&puppet.write(b"goes on")), 7);
}
