//! The end of the data, in every order (RFC 8684 §3.3.3).

use std::time::Duration;

use mptcp_proto::conn::{Config, ConnectionEnd, Event, State, Violation};
use mptcp_proto::wire::mptcp::{Dss, MptcpOption, Priority};
use mptcp_proto::wire::segment::{Flags, Segment};

use super::puppet::{KEY, Puppet, Reply, payload, reset};
use crate::endpoint::join::{established, join};
use crate::endpoint::meddle::{meddle, reset_of};
use crate::endpoint::pair::{CLIENT, Pair, SERVER, Way, address, check_back_off, pattern};

fn closed(event: &Event) -> Option<ConnectionEnd> {
    match event {
        Event::Closed { how } => Some(*how),
        _ => None,
    }
}

fn peer_closed(puppet: &Puppet) -> usize {
    let pick = |event: &Event| matches!(event, Event::PeerClosed).then_some(());
    puppet.picked(pick).len()
}

/// Case 49
#[test]
fn a_reset_with_data_fin_or_fin_in_flight_leaves_the_rest_to_the_other_subflow() {
    // The n-th segment of the first subflow after the application has closed becomes a reset.
    for n in 0..6 {
        let (mut pair, ids) = established(&Config::default());
        join(&mut pair, ids[0], Priority::Regular);
        let (up, down) = (pattern(30_000, 1), pattern(1000, 2));
        let first = address(CLIENT);
        let mut count = 0;
        pair.transfer(ids, &up, &down, Duration::from_secs(10));
        pair.hook = Some(Box::new(move |_, way, packet| {
            let segment = Segment::parse(&packet, false).unwrap();
            if way == Way::ToServer && segment.source == first {
                count += 1;
                if count == n + 1 {
                    return vec![reset_of(&segment)];
                }
            }
            vec![packet]
        }));
        pair.exchange(ids, &up, &down);
        pair.run_for(Duration::from_secs(5));
        for side in 0..2 {
            assert_eq!(pair.picked(side, closed), [ConnectionEnd::Closed], "{n}");
        }
    }
}

/// Case 49
#[test]
fn a_forged_reset_beside_the_expected_number_is_challenged() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join("10.0.1.1:40001", 1);
    for ahead in [1, 1000, 0x4000_0000] {
        let ssn = puppet.lines[line].next;
        let replies = puppet.send(line, ssn + ahead, Flags::RST, &[], &[]);
        puppet.lines[line].next = ssn;
        assert!(reset(&replies).is_none());
        assert_eq!(puppet.conn().info().subflows_total, 2, "{ahead}");
        // RFC 5961 §3.2: in the window it is answered, outside it is not.
        assert_eq!(replies.len(), usize::from(ahead < 60_000));
    }
    puppet.data(line, 0, b"goes on");
    assert_eq!(puppet.read(), b"goes on");
}

/// Case 51
#[test]
fn a_data_fin_before_the_last_data_waits_for_them() {
    let mut puppet = Puppet::established(Config::default());
    let option = puppet.data_fin(10);
    let replies = puppet.ack(0, &[option]);
    assert_eq!(peer_closed(&puppet), 0);
    let acked = |puppet: &Puppet, reply: &Reply| {
        let ack = reply.options().dss.unwrap().data_ack.unwrap();
        ack.expand(puppet.dsn(0))
            .distance_from(puppet.dsn(0))
            .unwrap()
    };
    assert_eq!(
        acked(&puppet, replies.last().expect("an acknowledgement")),
        0
    );
    let data = pattern(10, 1);
    // All but the last byte: the end is still not reached.
    puppet.data(0, 0, &data[..9]);
    assert_eq!(
        (puppet.read(), peer_closed(&puppet)),
        (data[..9].to_vec(), 0)
    );
    assert_eq!(puppet.state(), State::Established);
    let mut replies = puppet.data(0, 9, &data[9..]);
    assert_eq!(puppet.read(), &data[9..]);
    assert_eq!(
        (peer_closed(&puppet), puppet.state()),
        (1, State::CloseWait)
    );
    replies.extend(puppet.wait(Duration::from_millis(300)));
    assert_eq!(
        acked(&puppet, replies.last().expect("an acknowledgement")),
        11
    );
}

/// Case 51
#[test]
fn a_data_fin_on_a_retransmission_that_is_one_longer_counts() {
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(20, 1);
    let first = puppet.mapped(0, 1, &data);
    puppet.at(0, 1, &[first], &data[..10]);
    // The rest was lost, and the application has closed since.
    let option = puppet.dss(Some(puppet.map_len(0, 1, 21, &data)), true);
    puppet.at(0, 1, &[option], &data);
    assert_eq!(puppet.read(), data);
    assert_eq!(peer_closed(&puppet), 1);
    assert!(puppet.fallbacks().is_empty() && puppet.violations().is_empty());
    assert_eq!(puppet.state(), State::CloseWait);
}

/// Case 51
#[test]
fn our_data_fin_is_not_acknowledged_before_our_data() {
    let mut puppet = Puppet::established(Config::default());
    puppet.write(&pattern(5000, 1));
    puppet.conn().shutdown_write();
    puppet.hear();
    // An acknowledgement of all but the last byte and the DATA_FIN, and one beyond it.
    puppet.got = 4999;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert_eq!(puppet.state(), State::FinWait1);
    puppet.got = 5002;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert_eq!(puppet.violations(), [Violation::DataAckBeyondSent]);
    assert_eq!(puppet.state(), State::FinWait1);
    puppet.got = 5001;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert_eq!(puppet.state(), State::FinWait2);
}

/// Case 51
#[test]
fn a_second_data_fin_with_another_number_is_ignored() {
    let mut puppet = Puppet::established(Config::default());
    let (first, second) = (puppet.data_fin(10), puppet.data_fin(20));
    puppet.ack(0, &[first]);
    puppet.ack(0, &[second]);
    assert_eq!(puppet.violations(), [Violation::SecondDataFin]);
    puppet.data(0, 0, &pattern(10, 1));
    assert_eq!(peer_closed(&puppet), 1);
    // Nothing of what it would have been the end of is taken.
    puppet.read();
    puppet.data(0, 10, &pattern(10, 2));
    assert_eq!((puppet.read(), puppet.state()), (vec![], State::CloseWait));
}

/// Case 52
#[test]
fn data_fin_and_fin_in_one_segment_close_both() {
    let mut puppet = Puppet::established(Config::default());
    let option = puppet.data_fin(0);
    puppet.send(0, 1, Flags::FIN.with(Flags::ACK), &[option], &[]);
    assert_eq!(peer_closed(&puppet), 1);
    assert_eq!(puppet.state(), State::CloseWait);
    // With data as well.
    let mut puppet = Puppet::established(Config::default());
    let data = pattern(10, 1);
    let option = puppet.dss(Some(puppet.map_len(0, 1, 11, &data)), true);
    puppet.send(0, 1, Flags::FIN.with(Flags::ACK), &[option], &data);
    assert_eq!(puppet.read(), data);
    assert_eq!(peer_closed(&puppet), 1);
}

/// Case 52
#[test]
fn a_fin_alone_closes_its_subflow_and_a_data_fin_elsewhere_the_connection() {
    let mut puppet = Puppet::established(Config::default());
    let line = puppet.join("10.0.1.1:40001", 1);
    puppet.send(line, 1, Flags::FIN.with(Flags::ACK), &[], &[]);
    assert_eq!(
        (puppet.state(), peer_closed(&puppet)),
        (State::Established, 0)
    );
    let option = puppet.data_fin(0);
    puppet.ack(0, &[option]);
    assert_eq!(
        (puppet.state(), peer_closed(&puppet)),
        (State::CloseWait, 1)
    );
}

/// Case 53
#[test]
fn a_data_fin_alone_may_have_any_ssn_but_not_length_0() {
    for ssn in [0, 1, 77, u32::MAX] {
        let mut puppet = Puppet::established(Config::default());
        let option = puppet.dss(Some(puppet.map_len(0, ssn, 1, &[])), true);
        puppet.ack(0, &[option]);
        assert_eq!(peer_closed(&puppet), 1, "{ssn}");
    }
    let mut puppet = Puppet::established(Config::default());
    let option = puppet.dss(Some(puppet.map_len(0, 0, 0, &[])), true);
    puppet.ack(0, &[option]);
    let bare = match puppet.data_ack() {
        MptcpOption::Dss(dss) => MptcpOption::Dss(Dss {
            data_fin: true,
            ..dss
        }),
        other => other,
    };
    puppet.ack(0, &[bare]);
    assert_eq!(
        (puppet.state(), peer_closed(&puppet)),
        (State::Established, 0)
    );
    assert!(puppet.fallbacks().is_empty());
}

/// Case 54
#[test]
fn data_fins_that_cross_pass_through_closing() {
    let mut puppet = Puppet::established(Config::default());
    puppet.conn().shutdown_write();
    puppet.hear();
    let option = puppet.data_fin(0);
    puppet.ack(0, &[option]);
    assert_eq!(puppet.state(), State::Closing);
    puppet.got = 1;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    assert!(puppet.state().is_finished());
}

/// Case 54
#[test]
fn a_data_fin_that_nobody_acknowledges_is_repeated_less_and_less() {
    let mut puppet = Puppet::established(Config::default());
    puppet.conn().shutdown_write();
    let mut replies = puppet.hear();
    replies.extend(puppet.wait(Duration::from_secs(60)));
    let fins: Vec<_> = replies
        .iter()
        .filter(|reply| reply.options().dss.is_some_and(|dss| dss.data_fin))
        .map(|reply| reply.at)
        .collect();
    assert!((4..30).contains(&fins.len()), "{fins:?}");
    check_back_off(&fins);
}

/// Case 54
#[test]
fn a_connection_whose_subflows_die_while_it_closes_ends_by_its_timer() {
    let mut puppet = Puppet::established(Config::default());
    puppet.conn().shutdown_write();
    puppet.hear();
    puppet.send(0, 1, Flags::RST, &[], &[]);
    assert!(puppet.picked(closed).is_empty());
    puppet.wait(Duration::from_secs(300));
    assert_eq!(puppet.picked(closed), [ConnectionEnd::TimedOut]);
    assert_eq!(puppet.host.connection_count(), 0);
}

/// Case 55
#[test]
fn a_connection_that_is_closed_or_aborted_in_its_handshake_leaves_nothing() {
    for is_abort in [false, true] {
        let mut pair = Pair::new(5);
        let ours = pair.connect(Config::default(), Config::default());
        pair.run_for(Duration::from_millis(5));
        if is_abort {
            pair.client(ours).abort();
        } else {
            pair.client(ours).close();
        }
        pair.run_for(Duration::from_millis(500));
        if !is_abort {
            let theirs = pair.accepted();
            pair.server(theirs).close();
        }
        pair.run_for(Duration::from_secs(200));
        let left = [
            pair.client.connection_count(),
            pair.server.connection_count(),
        ];
        assert_eq!(left, [0, 0], "{is_abort}");
    }
    // The server aborts what only waits for its third ACK.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.conn().abort();
    let replies = puppet.hear();
    assert!(reset(&replies).is_some());
    puppet.wait(Duration::from_secs(200));
    assert_eq!(puppet.host.connection_count(), 0);
}

/// Case 55
#[test]
fn a_half_open_connection_that_is_closed_ends_in_order_once_the_third_ack_comes() {
    // RFC 9293 §3.10.4: in SYN-RECEIVED, CLOSE sends FIN, or waits for ESTABLISHED.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.conn().close();
    let replies = puppet.wait(Duration::from_millis(500));
    assert!(reset(&replies).is_none());
    let mut replies = puppet.third_ack();
    let option = puppet.data_ack();
    replies.extend(puppet.ack(0, &[option]));
    assert!(reset(&replies).is_none());
    let is_fin = |reply: &Reply| reply.options().dss.is_some_and(|dss| dss.data_fin);
    let fin = replies
        .iter()
        .find(|reply| is_fin(reply))
        .expect("DATA_FIN");
    let place = fin.mapping().unwrap().dsn.expand(puppet.host_dsn(0));
    assert_eq!(place, puppet.host_dsn(0));
    puppet.got = 1;
    let option = puppet.data_fin(0);
    puppet.ack(0, &[option]);
    assert!(puppet.state().is_finished());
    // Where it never comes, nothing is left in the end.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    puppet.conn().close();
    puppet.wait(Duration::from_secs(300));
    assert_eq!(puppet.host.connection_count(), 0);
}

/// Case 24
#[test]
fn data_fins_survive_a_path_that_takes_the_options_of_one_direction() {
    let mut pair = Pair::new(3);
    pair.hook = Some(meddle(|seen, options, _| {
        if seen.way == Way::ToClient && !seen.segment.flags.syn() {
            crate::endpoint::meddle::blank(options, |_| true);
        }
        true
    }));
    let ours = pair.connect(Config::default(), Config::default());
    pair.client(ours).shutdown_write();
    pair.run_for(Duration::from_secs(30));
    let theirs = pair.accepted();
    pair.server(theirs).shutdown_write();
    pair.run_for(Duration::from_secs(60));
    // The client goes on as TCP; its FIN after segments without options tells the server that it did.
    assert_eq!(pair.picked(0, closed), [ConnectionEnd::Closed]);
    assert_eq!(pair.picked(1, closed), [ConnectionEnd::Closed]);
    assert_eq!(
        pair.picked(1, |event| matches!(event, Event::PeerClosed).then_some(())),
        [()]
    );
}

/// Case 52
#[test]
fn data_that_wait_go_over_a_subflow_with_a_fin_while_a_join_is_still_under_way() {
    const BYTES: usize = 100_000;
    let mut puppet = Puppet::established(Config::default());
    let written = puppet.conn().write(&pattern(BYTES, 1));
    assert_eq!(written, Ok(BYTES));
    puppet.conn().shutdown_write();
    let mut replies = puppet.hear();
    let (near, far) = (address(SERVER), address("10.0.1.1:40001"));
    let opened = puppet.conn().open_subflow(near, far, Priority::Regular);
    opened.unwrap();
    puppet.hear();
    // What a client sends that is TCP by now, and does not know what the server is.
    let fin = puppet.data_fin(0);
    let next = puppet.lines[0].next;
    replies.extend(puppet.send(0, next, Flags::FIN.with(Flags::ACK), &[fin], &[]));
    for _ in 0..200 {
        puppet.got = payload(&replies) as u64;
        let option = puppet.data_ack();
        let more = puppet.ack(0, &[option]);
        replies.extend(more);
        let is_over = replies.iter().any(|reply| reply.segment().flags.fin());
        if is_over {
            break;
        }
        replies.extend(puppet.wait(Duration::from_millis(10)));
    }
    assert_eq!(payload(&replies), BYTES);
}
