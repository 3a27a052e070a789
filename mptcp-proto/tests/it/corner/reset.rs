//! What MP_TCPRST says: every reason, each with the T flag that belongs to it (RFC 8684 §3.6).

use std::time::Duration;

use mptcp_proto::conn::{Config, Connection, MAX_SUBFLOWS, SubflowEnd};
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm::{Kind, Limits};
use mptcp_proto::wire::mptcp::{Priority, ResetFlags, ResetReason, TcpReset};

use super::puppet::{NONCE, Puppet, Reply, reset};
use crate::endpoint::join::{SECOND, down, established, join, up};
use crate::endpoint::meddle::drop_if;
use crate::endpoint::pair::{Pair, SERVER, address, pattern};

const NEAR: &str = "10.0.1.1:40001";

/// `reason` is told, and T stands for this: there is another case in this file or another for each reason.
#[track_caller]
fn check_told(replies: &[Reply], reason: ResetReason, is_transient: bool) {
    let told = reset(replies).and_then(|reset| reset.options().reset);
    let flags = ResetFlags(u8::from(is_transient));
    assert_eq!(told, Some(TcpReset { flags, reason }));
}

#[test]
fn reason_0_is_that_of_a_subflow_that_the_connection_does_not_need_any_more() {
    let mut puppet = Puppet::established(Config::default());
    puppet.join(NEAR, 1);
    // Closed by both, and the puppet never closes the subflows.
    puppet.conn().shutdown_write();
    puppet.hear();
    let fin = puppet.data_fin(0);
    puppet.ack(0, &[fin]);
    puppet.got = 1;
    let option = puppet.data_ack();
    let mut replies = puppet.ack(0, &[option]);
    replies.extend(puppet.ack(1, &[]));
    let last = puppet.lines[0].next;
    for line in [0, 1] {
        replies.extend(puppet.send(line, last, mptcp_proto::wire::segment::Flags::ACK, &[], &[]));
    }
    replies.extend(puppet.wait(Duration::from_secs(90)));
    check_told(&replies, ResetReason::UNSPECIFIED, false);
}

#[test]
fn reason_1_is_that_of_a_join_to_nothing_and_is_permanent() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.line(NEAR, SERVER);
    let token = mptcp_proto::key::Token(!puppet.token().0);
    let replies = puppet.join_syn_to(line, 1, NONCE, token);
    check_told(&replies, ResetReason::MPTCP_SPECIFIC, false);
}

fn limits(subflows: u8) -> Config {
    Config {
        limits: Some(Limits {
            subflows,
            add_addr_accepted: 0,
        }),
        ..Config::default()
    }
}

#[test]
fn reason_2_is_that_of_a_join_for_which_there_is_no_room_and_is_transient() {
    let mut puppet = Puppet::established(limits(u8::MAX));
    for n in 1..MAX_SUBFLOWS {
        puppet.join(&format!("10.0.{n}.1:40001"), u8::try_from(n).unwrap());
    }
    assert_eq!(puppet.picked(up).len(), MAX_SUBFLOWS);
    let line = puppet.line("10.1.0.1:40001", SERVER);
    let replies = puppet.join_syn(line, 99, NONCE);
    check_told(&replies, ResetReason::LACK_OF_RESOURCES, true);
}

#[test]
fn reason_3_is_that_of_a_join_above_the_limit_and_is_permanent() {
    let mut puppet = Puppet::established(limits(1));
    puppet.join(NEAR, 1);
    let line = puppet.line("10.0.2.1:40001", SERVER);
    let replies = puppet.join_syn(line, 2, NONCE);
    check_told(&replies, ResetReason::ADMINISTRATIVELY_PROHIBITED, false);
}

/// The second path is silent while data go over it, which all arrive over the first; then it works again.
fn silent_for_long(config: &Config, bytes: usize) -> Pair {
    let (mut pair, ids) = established(config);
    // What an address that is up opens by itself has the address with another port.
    if config.path_manager == Kind::Fullmesh {
        pair.client.address_up(address(SECOND).ip());
        pair.run_for(Duration::from_millis(500));
    } else {
        join(&mut pair, ids[0], Priority::Regular);
    }
    let second = address(SECOND).ip();
    let mut seen_data = 0;
    pair.hook = Some(drop_if(move |seen| {
        let ends = [seen.segment.source.ip(), seen.segment.destination.ip()];
        seen_data += usize::from(ends[0] == second) * seen.segment.payload.len();
        ends.contains(&second) && seen_data > 100_000
    }));
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(bytes, 1), &[], limit);
    // Timeouts until it is stale; the next one finds the path in order.
    pair.run_for(Duration::from_secs(20));
    pair.hook = None;
    pair.run_for(Duration::from_secs(60));
    pair.transfer(ids, &pattern(100_000, 2), &[], limit);
    pair
}

fn resets(pair: &Pair, side: usize) -> Vec<(SubflowId, SubflowEnd)> {
    let is_reset = |end: &SubflowEnd| *end != SubflowEnd::Closed;
    let mut ends = pair.picked(side, down);
    ends.retain(|(_, end)| is_reset(end));
    ends
}

#[test]
fn reason_4_is_that_of_a_subflow_with_much_to_send_that_others_brought_over_and_is_transient() {
    let reason = ResetReason::TOO_MUCH_OUTSTANDING_DATA;
    let config = Config {
        max_outstanding: 5000,
        path_manager: Kind::Fullmesh,
        ..limits(4)
    };
    let pair = silent_for_long(&config, 1_000_000);
    let [(first, ours)] = resets(&pair, 0)[..] else {
        panic!("{:?}", resets(&pair, 0));
    };
    assert_eq!(ours, SubflowEnd::ResetByUs { reason });
    let told = SubflowEnd::ResetByPeer {
        reason: Some((reason, true)),
    };
    assert_eq!(resets(&pair, 1), [(first, told)]);
    // It was reset for a new one, which carries data.
    let connection = pair.client.connections().next().unwrap();
    let new: Vec<_> = connection.subflows().collect();
    assert_eq!(new.len(), 2);
    assert!(new[1].id > first && new[1].is_up && new[1].tcp.counters.segments_out > 2);
}

#[test]
fn a_subflow_with_little_to_send_again_is_kept() {
    let pair = silent_for_long(&Config::default(), 1_000_000);
    assert_eq!(resets(&pair, 0), []);
    let count = |connection: &Connection| connection.subflows().filter(|s| s.is_up).count();
    assert_eq!(
        pair.client.connections().map(count).collect::<Vec<_>>(),
        [2]
    );
    let unsent = |connection: &Connection| connection.subflows().map(|s| s.tcp.unsent).sum::<u64>();
    assert_eq!(pair.client.connections().map(unsent).sum::<u64>(), 0);
}

#[test]
fn a_subflow_that_cannot_bring_its_data_over_while_the_connection_closes_is_reset_with_reason_4() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let second = address(SECOND);
    pair.hook = Some(drop_if(move |seen| {
        seen.segment.source == second && !seen.segment.payload.is_empty()
    }));
    pair.exchange(ids, &pattern(500_000, 1), b"");
    pair.run_for(Duration::from_secs(300));
    let reason = ResetReason::TOO_MUCH_OUTSTANDING_DATA;
    let second = (SubflowId(1), SubflowEnd::ResetByUs { reason });
    assert!(resets(&pair, 0).contains(&second), "{:?}", resets(&pair, 0));
    assert_eq!(pair.client.connection_count(), 0);
}

#[test]
fn reasons_5_and_6_are_those_of_paths() {
    // 5: RFC 8684 §3.3.6, for a path over which no answer comes.
    assert!(
        TcpReset::because(ResetReason::UNACCEPTABLE_PERFORMANCE)
            .flags
            .transient()
    );
    // 6: what a box did, it does again.
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join(NEAR, 1);
    let mut replies = puppet.at(line, 1, &[], &pattern(1000, 1));
    replies.extend(puppet.wait(Duration::from_secs(5)));
    check_told(&replies, ResetReason::MIDDLEBOX_INTERFERENCE, false);
}
