//! Options that are lost, stage by stage, with a hand-made peer on either side (RFC 8684 §3.7).

use std::time::Duration;

use mptcp_proto::conn::{Config, FallbackReason};
use mptcp_proto::wire::segment::Flags;

use super::puppet::{KEY, Puppet, Reply, reset};
use crate::endpoint::pair::pattern;

fn is_plain(replies: &[Reply]) -> bool {
    replies.iter().all(|reply| reply.options().is_empty())
}

/// Whether data pass in both directions, without options from the host.
#[track_caller]
fn check_tcp(puppet: &mut Puppet, reason: FallbackReason) {
    assert_eq!(puppet.fallbacks(), [reason]);
    let next = puppet.lines[0].next;
    let replies = puppet.at(0, next, &[], b"plain");
    assert!(is_plain(&replies) && reset(&replies).is_none());
    assert!(puppet.read().ends_with(b"plain"));
    let replies = puppet.write(b"answer");
    assert_eq!(replies[0].segment().payload, b"answer");
    assert!(is_plain(&replies));
}

/// Case 19
#[test]
fn a_server_whose_peer_loses_the_options_is_tcp_at_every_stage() {
    // The SYN.
    let mut puppet = Puppet::before(Config::default(), KEY);
    let replies = puppet.send(0, 0, Flags::SYN, &[], &[]);
    assert!(is_plain(&replies));
    puppet.ack(0, &[]);
    check_tcp(&mut puppet, FallbackReason::SynOptionMissing);
    // The third ACK.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.ack(0, &[]);
    check_tcp(&mut puppet, FallbackReason::ThirdAckOptionMissing);
    // The third ACK is lost, and the first data have lost their MP_CAPABLE, or have a DSS instead.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.at(0, 1, &[], b"first");
    check_tcp(&mut puppet, FallbackReason::ThirdAckOptionMissing);
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let option = puppet.mapped(0, 1, b"first");
    puppet.at(0, 1, &[option], b"first");
    check_tcp(&mut puppet, FallbackReason::ThirdAckOptionMissing);
    // The first DSS.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.third_ack();
    puppet.at(0, 1, &[], b"first");
    check_tcp(&mut puppet, FallbackReason::FirstDataOptionMissing);
    // The first DATA_ACK.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.third_ack();
    puppet.write(b"welcome");
    puppet.ack(0, &[]);
    check_tcp(&mut puppet, FallbackReason::DataAckMissing);
}

/// Case 19
#[test]
fn a_client_whose_peer_loses_the_options_is_tcp_at_every_stage() {
    // The SYN/ACK.
    let mut puppet = Puppet::called_by_plain(Config::default());
    check_tcp(&mut puppet, FallbackReason::SynAckOptionMissing);
    // The first data of the server.
    let mut puppet = Puppet::called(Config::default());
    puppet.at(0, 1, &[], b"first");
    check_tcp(&mut puppet, FallbackReason::FirstDataOptionMissing);
    // The first DATA_ACK.
    let mut puppet = Puppet::called(Config::default());
    let replies = puppet.write(b"hello");
    assert!(replies[0].options().capable.unwrap().data.is_some());
    puppet.ack(0, &[]);
    check_tcp(&mut puppet, FallbackReason::DataAckMissing);
}

/// Case 19
#[test]
fn options_lost_at_any_later_segment_make_a_single_subflow_tcp() {
    for count in [1_u64, 2, 7, 40] {
        let mut puppet = Puppet::established(Config::default());
        let data = pattern(60_000, 1);
        for (n, piece) in (0..count).zip(data.chunks(1000)) {
            puppet.data(0, 1000 * n, piece);
        }
        let whole = puppet.read();
        assert_eq!(whole.len() as u64, 1000 * count);
        let mut at = whole.len();
        for _ in 0..4 {
            let ssn = puppet.lines[0].next;
            puppet.at(0, ssn, &[], &data[at..at + 1000]);
            at += 1000;
        }
        puppet.wait(Duration::from_secs(5));
        assert_eq!(puppet.fallbacks(), [FallbackReason::OptionsMissing]);
        assert_eq!(puppet.read(), &data[whole.len()..at]);
    }
}

/// Case 20
#[test]
fn options_lost_within_the_first_window_never_reset_the_only_subflow() {
    // The first data arrive whole, all that follows is bare, in both roles.
    for is_server in [true, false] {
        let mut puppet = if is_server {
            Puppet::established(Config::default())
        } else {
            let mut puppet = Puppet::called(Config::default());
            let option = puppet.data_ack();
            puppet.ack(0, &[option]);
            puppet
        };
        let data = pattern(10_000, 1);
        puppet.data(0, 0, &data[..1000]);
        let mut replies = Vec::new();
        for at in (1000..10_000).step_by(1000) {
            let ssn = puppet.lines[0].next;
            replies.extend(puppet.at(0, ssn, &[], &data[at..at + 1000]));
        }
        replies.extend(puppet.wait(Duration::from_secs(5)));
        assert!(reset(&replies).is_none());
        assert_eq!(puppet.read(), data);
        assert_eq!(puppet.fallbacks(), [FallbackReason::OptionsMissing]);
        let replies = puppet.write(b"answer");
        assert!(is_plain(&replies[1..]));
    }
}
