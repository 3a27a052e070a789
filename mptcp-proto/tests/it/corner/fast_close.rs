//! MP_FASTCLOSE (RFC 8684 §3.5).

use std::time::Duration;

use mptcp_proto::conn::config::FastCloseForm;
use mptcp_proto::conn::{Config, ConnectionEnd, Event, State, Violation};
use mptcp_proto::key::Key;
use mptcp_proto::wire::mptcp::{FastClose, MptcpOption, Priority};
use mptcp_proto::wire::segment::Flags;

use super::puppet::{KEY, Puppet, reset};
use crate::endpoint::join::{established, join};

fn closed(event: &Event) -> Option<ConnectionEnd> {
    match event {
        Event::Closed { how } => Some(*how),
        _ => None,
    }
}

fn fast_close(key: Key) -> MptcpOption {
    MptcpOption::FastClose(FastClose {
        receiver_key: key,
        reserved: 0,
    })
}

/// Case 50
#[test]
fn a_fast_close_needs_the_key_and_a_place_in_the_window_in_both_forms() {
    for form in [Flags::ACK, Flags::RST.with(Flags::ACK)] {
        // Another key: nothing, or a reset of this subflow alone.
        let mut puppet = Puppet::established(Config::default());
        let line = puppet.join("10.0.1.1:40001", 1);
        let wrong = fast_close(Key([0; 8]));
        puppet.send(line, 1, form, &[wrong], &[]);
        assert!(puppet.picked(closed).is_empty());
        assert_eq!(puppet.state(), State::Established);
        assert_eq!(puppet.violations(), [Violation::FastCloseKey]);
        let left = puppet.conn().info().subflows_total;
        assert_eq!(left, if form.rst() { 1 } else { 2 });
        // Outside of the window.
        let mut puppet = Puppet::established(Config::default());
        let right = fast_close(puppet.host_key);
        puppet.send(0, 0x1000_0000, form, &[right], &[]);
        assert_eq!(puppet.state(), State::Established);
        // On a joined subflow: all of them end.
        let mut puppet = Puppet::established(Config::default());
        let line = puppet.join("10.0.1.1:40001", 1);
        let right = fast_close(puppet.host_key);
        let replies = puppet.send(line, 1, form, &[right], &[]);
        let resets = replies.iter().filter(|reply| reply.segment().flags.rst());
        // The form with RST needs no answer on its own subflow.
        assert_eq!(resets.count(), if form.rst() { 1 } else { 2 });
        assert_eq!(puppet.picked(closed), [ConnectionEnd::ResetByPeer]);
    }
}

/// Case 50
#[test]
fn a_fast_close_in_the_handshake_or_after_fallback_means_nothing() {
    // The third ACK is not there.
    let mut puppet = Puppet::begun(Config::default(), KEY);
    let option = fast_close(puppet.host_key);
    puppet.ack(0, &[option]);
    assert!(puppet.picked(closed).is_empty());
    assert_eq!(puppet.host.connection_count(), 1);
    // Established, but not known to be understood.
    let mut puppet = Puppet::established(Config::default());
    puppet.data(0, 0, b"data");
    let infinite = puppet.dss(Some(puppet.map_len(4, 5, 0, &[])), false);
    puppet.ack(0, &[infinite]);
    assert!(puppet.conn().fallback().is_some());
    let option = fast_close(puppet.host_key);
    let replies = puppet.ack(0, &[option]);
    assert!(reset(&replies).is_none());
    puppet.at(0, 5, &[], b" more");
    assert_eq!(puppet.read(), b"data more");
    assert_eq!(puppet.state(), State::Established);
}

/// Case 50
#[test]
fn fast_closes_of_both_sides_at_once_end_both() {
    for form in [FastCloseForm::Reset, FastCloseForm::Ack] {
        let config = Config {
            fast_close: form,
            ..Config::default()
        };
        let (mut pair, ids) = established(&config);
        join(&mut pair, ids[0], Priority::Regular);
        pair.client(ids[0]).abort();
        pair.server(ids[1]).abort();
        pair.run_for(Duration::from_secs(200));
        for side in 0..2 {
            assert_eq!(pair.picked(side, closed), [ConnectionEnd::Aborted]);
        }
        let left = pair.client.connection_count() + pair.server.connection_count();
        assert_eq!(left, 0, "{form:?}");
    }
}

/// Case 50
#[test]
fn a_fast_close_that_nobody_answers_is_repeated_three_times_at_most() {
    let config = Config {
        fast_close: FastCloseForm::Ack,
        ..Config::default()
    };
    let mut puppet = Puppet::established(config);
    puppet.conn().abort();
    let mut replies = puppet.hear();
    replies.extend(puppet.wait(Duration::from_secs(120)));
    let with_option = replies
        .iter()
        .filter(|reply| reply.options().fast_close.is_some() && !reply.segment().flags.rst());
    assert!((2..=4).contains(&with_option.count()));
    assert!(reset(&replies).is_some());
    assert_eq!(puppet.host.connection_count(), 0);
}
