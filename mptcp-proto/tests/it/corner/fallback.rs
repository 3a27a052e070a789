//! Options that are lost, stage by stage, with a hand-made peer on either side (RFC 8684 §3.7).

use std::time::Duration;

use mptcp_proto::conn::config::Buffers;
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

/// DATA_ACKs in these segments.
fn data_acks(replies: &[Reply]) -> usize {
    let acks = replies
        .iter()
        .filter_map(|reply| reply.options().dss?.data_ack);
    acks.count()
}

/// Case 20
#[test]
fn bytes_without_option_are_acknowledged_without_data_ack_until_it_is_clear_what_they_are() {
    // The options do not come back: TCP, and the peer, who may hear options still, is told.
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(3000, 1);
    puppet.data(0, 0, &data[..1000]);
    let mut replies = puppet.at(0, 1001, &[], &data[1000..2000]);
    replies.extend(puppet.wait(Duration::from_millis(90)));
    assert!(!replies.is_empty());
    assert_eq!(data_acks(&replies), 0);
    assert_eq!(puppet.read(), &data[..1000]);
    let replies = puppet.wait(Duration::from_millis(20));
    assert_eq!(puppet.fallbacks(), [FallbackReason::OptionsMissing]);
    assert_eq!(puppet.read(), &data[1000..2000]);
    let told = replies[0].options();
    assert_eq!(told.fail.unwrap().dsn, puppet.dsn(1000));
    let data_ack = told.dss.unwrap().data_ack.unwrap();
    assert_eq!(data_ack.expand(puppet.dsn(0)), puppet.dsn(2000));
    // RFC 8684 §3.7: and that our own data have no more mappings.
    assert_eq!(puppet.write(b"plain")[0].mapping().unwrap().len, 0);
}

/// Case 20
#[test]
fn options_that_come_back_keep_the_connection_mptcp_and_what_lost_them_is_asked_for() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(3000, 1);
    puppet.data(0, 0, &data[..1000]);
    puppet.at(0, 1001, &[], &data[1000..2000]);
    let mut replies = puppet.data(0, 2000, &data[2000..]);
    replies.extend(puppet.wait(Duration::from_millis(50)));
    let asked = replies.last().unwrap().options().dss.unwrap().data_ack;
    assert_eq!(asked.unwrap().expand(puppet.dsn(0)), puppet.dsn(1000));
    puppet.wait(Duration::from_secs(1));
    puppet.data(0, 1000, &data[1000..2000]);
    assert_eq!(puppet.read(), data);
    assert!(puppet.fallbacks().is_empty());
}

/// Case 20
#[test]
fn bytes_without_option_are_never_taken_once_the_peer_was_asked_for_something_again() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(60_000, 1);
    puppet.data(0, 0, &data[..1000]);
    // A box has joined two segments, and only one mapping is left: it is asked for the other.
    let option = puppet.mapped(1000, 1001, &data[1000..1500]);
    let mut replies = puppet.at(0, 1001, &[option], &data[1000..2000]);
    replies.extend(puppet.wait(Duration::from_millis(50)));
    assert!(data_acks(&replies) > 0);
    assert_eq!(puppet.read(), &data[..1500]);
    // What comes without option now may be the copy, or what follows.
    let mut replies = Vec::new();
    for n in 0..40 {
        let ssn = puppet.lines[0].next;
        replies.extend(puppet.at(0, ssn, &[], &data[1000 * n..1000 * (n + 1)]));
        replies.extend(puppet.wait(Duration::from_millis(110)));
    }
    assert!(puppet.read().is_empty() && puppet.fallbacks().is_empty());
    let reset = reset(&replies).expect("the subflow is reset");
    assert_eq!(reset.options().reset.unwrap().reason.0, 6);
}

/// Case 20
#[test]
fn bytes_without_option_are_never_taken_where_there_was_another_subflow() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(60_000, 1);
    let line = puppet.join("10.0.1.1:40001", 1);
    puppet.data(0, 0, &data[..1000]);
    puppet.send(line, 1, Flags::RST, &[], &[]);
    let mut replies = Vec::new();
    for n in 0..40 {
        let ssn = puppet.lines[0].next;
        replies.extend(puppet.at(0, ssn, &[], &data[1000 * n..1000 * (n + 1)]));
        replies.extend(puppet.wait(Duration::from_millis(110)));
    }
    assert_eq!(puppet.read(), &data[..1000]);
    assert!(puppet.fallbacks().is_empty());
    assert!(reset(&replies).is_some());
}

/// Case 20
#[test]
fn data_that_are_acknowledged_without_data_ack_are_not_sent_again_on_their_subflow() {
    let mut puppet = Puppet::established(Config::default());
    puppet.data(0, 0, b"question");
    puppet.write(&pattern(1000, 1));
    puppet.ack(0, &[]);
    let replies = puppet.wait(Duration::from_secs(10));
    assert_eq!(super::puppet::payload(&replies), 0);
    assert_eq!(puppet.fallbacks(), [FallbackReason::DataAckMissing]);
    // The peer may speak MPTCP still, to which a FIN alone is no end of the data.
    puppet.conn().shutdown_write();
    let replies = puppet.hear();
    let fin = replies.last().unwrap();
    assert!(fin.segment().flags.fin());
    assert!(fin.options().dss.unwrap().data_fin);
    let end = fin.mapping().unwrap().dsn.expand(puppet.host_dsn(0));
    assert_eq!(end, puppet.host_dsn(1000));
}

/// Case 6
#[test]
fn a_window_full_of_bytes_without_mapping_is_judged_at_once() {
    let buffers = Buffers {
        receive: 60_000,
        max_receive: 60_000,
        ..Buffers::default()
    };
    let config = Config {
        buffers,
        ..Config::default()
    };
    for is_bare in [true, false] {
        let mut puppet = Puppet::established(config.clone());
        let data = pattern(200_000, 1);
        puppet.data(0, 0, &data[..1000]);
        assert_eq!(puppet.read().len(), 1000);
        let mut replies = Vec::new();
        for n in 1..200 {
            let ssn = puppet.lines[0].next;
            let ack = puppet.data_ack();
            let options = if is_bare { &[][..] } else { &[ack][..] };
            replies = puppet.at(0, ssn, options, &data[1000 * n..1000 * (n + 1)]);
            if !puppet.violations().is_empty() {
                break;
            }
        }
        if is_bare {
            assert_eq!(puppet.fallbacks(), [FallbackReason::OptionsMissing]);
            let read = puppet.read();
            assert!(read.len() > 30_000 && data[1000..].starts_with(&read));
        } else {
            // They have their options, so a mapping was due (RFC 8684 §3.3.1).
            let reset = reset(&replies).expect("the subflow is reset");
            assert_eq!(reset.options().reset.unwrap().reason.0, 6);
            assert!(puppet.read().is_empty());
        }
    }
}

/// Case 17
#[test]
fn an_infinite_mapping_that_overtakes_data_leaves_them_their_place() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(3000, 1);
    puppet.data(0, 0, &data[..1000]);
    let infinite = puppet.dss(Some(puppet.map_len(2000, 2001, 0, &[])), false);
    puppet.at(0, 2001, &[infinite], &data[2000..]);
    assert_eq!(puppet.fallbacks(), [FallbackReason::InfiniteMapping]);
    let option = puppet.mapped(1000, 1001, &data[1000..2000]);
    puppet.at(0, 1001, &[option], &data[1000..2000]);
    assert_eq!(puppet.read(), data);
}

/// Case 52
#[test]
fn a_fin_after_the_data_fin_on_the_only_subflow_leaves_our_direction_open() {
    let mut puppet = Puppet::established(Config::default());
    let option = puppet.data_fin(0);
    puppet.send(0, 1, Flags::FIN.with(Flags::ACK), &[option], &[]);
    let replies = puppet.write(b"the answer");
    assert_eq!(super::puppet::payload(&replies), 10);
    puppet.got = 10;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    puppet.conn().shutdown_write();
    puppet.hear();
    puppet.got = 11;
    let option = puppet.data_ack();
    let replies = puppet.ack(0, &[option]);
    assert!(replies.iter().any(|reply| reply.segment().flags.fin()));
}
