//! The shared window (RFC 8684 §3.3.1, §3.3.5).

use std::time::Duration;

use mptcp_proto::conn::Config;
use mptcp_proto::conn::config::Buffers;
use mptcp_proto::wire::mptcp::{MptcpOption, Prio, Priority};

use super::puppet::{KEY, Puppet, payload};
use crate::endpoint::join::{SECOND, established, join};
use crate::endpoint::meddle::drop_if;
use crate::endpoint::pair::{CLIENT, address, pattern};

/// Case 56
#[test]
fn the_hole_of_a_dead_subflow_is_filled_though_the_buffer_is_full() {
    let buffers = Buffers {
        receive: 60_000,
        max_receive: 60_000,
        send: 200_000,
        max_send: 200_000,
    };
    let config = Config {
        buffers,
        ..Config::default()
    };
    for dead in [CLIENT, SECOND] {
        let (mut pair, ids) = established(&config);
        join(&mut pair, ids[0], Priority::Regular);
        let dead = address(dead);
        pair.hook = Some(drop_if(move |seen| {
            let ends = [seen.segment.source, seen.segment.destination];
            seen.number > 30 && ends.contains(&dead)
        }));
        let limit = Duration::from_secs(60);
        pair.transfer(ids, &pattern(500_000, 1), &pattern(500_000, 2), limit);
    }
}

/// Case 57
#[test]
fn the_right_edge_is_the_furthest_that_any_subflow_announced_with_its_own_scale() {
    let mut puppet = Puppet::before(Config::default(), KEY);
    puppet.window = 2000;
    let replies = puppet.syn();
    puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
    puppet.third_ack();
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    // What shows the host that mappings pass: else it answers no join.
    puppet.write(b"1");
    puppet.got += 1;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    let sent = payload(&puppet.write(&pattern(10_000, 1)));
    // Whole segments only, where there are enough data for them (RFC 9293 §3.8.6.2).
    assert_eq!(sent, 1432);
    // The window of the second subflow counts in units of 128 bytes.
    puppet.syn_options = vec![3, 3, 7, 1];
    puppet.window = 50;
    let line = puppet.join("10.0.1.1:40001", 1);
    let sent = sent + payload(&puppet.wait(Duration::from_millis(1)));
    // What the join lets out is beyond the edge of the first subflow, and within its own.
    assert_eq!(puppet.conn().info().snd_nxt, puppet.host_dsn(6401));
    // A late ACK on the first subflow with a smaller window takes nothing back.
    puppet.window = 10;
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    puppet.window = 80;
    let option = puppet.data_ack();
    puppet.ack(line, &[option]);
    puppet.wait(Duration::from_millis(100));
    let furthest = puppet.conn().info().snd_nxt;
    assert_eq!(furthest, puppet.host_dsn(10_001), "{sent}");
}

#[test]
fn a_window_without_data_ack_opens_nothing_for_the_connection() {
    // RFC 8684 §3.3.2. What comes beside it is another option of MPTCP, so nothing was lost.
    let mut puppet = Puppet::before(Config::default(), KEY);
    puppet.window = 2000;
    let replies = puppet.syn();
    puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
    puppet.third_ack();
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    puppet.write(&pattern(10_000, 1));
    puppet.window = 20_000;
    let prio = MptcpOption::Prio(Prio {
        priority: Priority::Regular,
        address_id: None,
        reserved: 0,
    });
    puppet.ack(0, &[prio]);
    puppet.wait(Duration::from_millis(1));
    let after = puppet.conn().info().snd_nxt;
    let left = puppet.host_dsn(2000).0.wrapping_sub(after.0);
    assert!(left < 2000, "{left}");
    let option = puppet.data_ack();
    puppet.ack(0, &[option]);
    puppet.wait(Duration::from_millis(1));
    assert_eq!(puppet.conn().info().snd_nxt, puppet.host_dsn(10_000));
}

/// Case 58
#[test]
fn a_closed_window_is_probed_until_it_opens_though_the_update_was_lost() {
    let mut puppet = Puppet::established(Config::default());
    puppet.join("10.0.1.1:40001", 1);
    puppet.write(&pattern(20_000, 1));
    // All of it is there, nobody reads, and nothing more fits.
    puppet.wait(Duration::from_millis(1));
    puppet.window = 0;
    puppet.got = 20_000;
    for line in 0..2 {
        let option = puppet.data_ack();
        puppet.ack(line, &[option]);
    }
    let id = puppet.id();
    let connection = puppet.host.connection_mut(id).unwrap();
    // The edge that was announced lies at 65,535; what is beyond it waits.
    assert_eq!(connection.write(&pattern(60_000, 2)).unwrap(), 60_000);
    let mut in_window = puppet.hear();
    in_window.extend(puppet.wait(Duration::from_millis(1)));
    for _ in 0..20 {
        let edge = puppet
            .conn()
            .info()
            .snd_nxt
            .distance_from(puppet.host_dsn(0));
        puppet.got = puppet.got.max(edge.unwrap_or(0).min(65_535));
        for line in 0..2 {
            let option = puppet.data_ack();
            in_window.extend(puppet.ack(line, &[option]));
        }
        in_window.extend(puppet.wait(Duration::from_millis(20)));
    }
    let probes = puppet.wait(Duration::from_secs(60));
    assert!((2..100).contains(&probes.len()), "{} probes", probes.len());
    puppet.window = 65_535;
    let option = puppet.data_ack();
    let opened = puppet.ack(1, &[option]);
    assert!(payload(&opened) > 0);
}
