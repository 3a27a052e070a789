//! The shared window, and small buffers (RFC 8684 §3.3.1, NSDI'12 §4.2).

use std::time::Duration;

use mptcp_proto::conn::command::Read;
use mptcp_proto::conn::config::{Buffers, Mechanisms, Offer, Switch};
use mptcp_proto::conn::{Config, ConnectionEnd, Event};
use mptcp_proto::wire::mptcp::Priority;

use super::handshake::version;
use super::join::{SECOND, established, join};
use super::meddle::drop_if;
use super::pair::{Pair, Way, address, pattern, read_all};

fn small(bytes: usize, mechanisms: Switch) -> Config {
    Config {
        buffers: Buffers {
            receive: bytes,
            max_receive: bytes,
            send: bytes,
            max_send: bytes,
        },
        mechanisms: Mechanisms {
            opportunistic_retransmission: mechanisms,
            penalisation: mechanisms,
            autotuning: Switch::Off,
            capping: Switch::Off,
        },
        ..Config::default()
    }
}

#[test]
fn a_reader_that_sleeps_stops_the_sender_and_wakes_it() {
    for lost in 0..3 {
        let (mut pair, ids) = established(&small(50_000, Switch::On));
        let data = pattern(200_000, 1);
        let mut done = 0;
        for _ in 0..50 {
            done += pair.client(ids[0]).write(&data[done..]).unwrap();
            pair.run_for(Duration::from_millis(100));
        }
        assert!(pair.server(ids[1]).readable() >= 49_000);
        // The window update may be lost.
        let mut left = lost;
        pair.hook = Some(drop_if(move |seen| {
            let is_due = seen.way == Way::ToClient && left > 0;
            left -= i32::from(is_due);
            is_due
        }));
        let mut got = Vec::new();
        pair.run_until(Duration::from_secs(30), |pair| {
            done += pair.client(ids[0]).write(&data[done..]).unwrap();
            read_all(pair.server(ids[1]), &mut got);
            got.len() == data.len()
        });
        assert!(got == data);
    }
}

/// Bytes that arrive in ten seconds over a fast path and a slow one with this configuration.
fn goodput(config: &Config) -> (usize, Pair) {
    let (mut pair, ids) = established(config);
    pair.delays
        .insert(address(SECOND), Duration::from_millis(400));
    join(&mut pair, ids[0], Priority::Regular);
    pair.run_for(Duration::from_secs(2));
    let data = pattern(50_000, 3);
    let mut got = Vec::new();
    let until = pair.now + Duration::from_secs(10);
    while pair.now < until {
        while pair.client(ids[0]).write(&data).unwrap() > 0 {}
        pair.run_for(Duration::from_millis(5));
        read_all(pair.server(ids[1]), &mut got);
    }
    (got.len(), pair)
}

#[test]
fn opportunistic_retransmission_and_penalties_save_a_small_buffer() {
    let (without, _) = goodput(&small(100_000, Switch::Off));
    let (with, mut pair) = goodput(&small(100_000, Switch::On));
    let id = pair.client.connection_ids().next().unwrap();
    let info = pair.client(id).info();
    assert!(
        info.bytes_opportunistic > 0 && info.penalties > 0,
        "{info:?}"
    );
    assert!(with > 2 * without, "{with} bytes with, {without} without");
}

#[test]
fn autotuning_grows_the_buffers_to_what_the_path_needs() {
    let config = Config {
        buffers: Buffers {
            receive: 20_000,
            send: 20_000,
            ..Buffers::default()
        },
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(5_000_000, 1), &[], limit);
    let (client, server) = (pair.client(ids[0]).info(), pair.server(ids[1]).info());
    assert!(client.send_buffer.0 > 100_000, "{client:?}");
    assert!(server.receive_buffer.0 > 100_000, "{server:?}");
}

#[test]
fn a_window_that_its_scale_cannot_name_is_no_reason_for_an_update() {
    for offer in [Offer::Off, Offer::V0, Offer::V1] {
        for (len, taken) in [(1, 1), (8, 50), (20, 100), (40, 127), (60, 127), (60, 130)] {
            let mut server = version(offer);
            server.buffers.receive = 4000;
            server.buffers.max_receive = 4000;
            let mut client = version(offer);
            client.tcp.nagle = false;
            let (mut pair, ours, theirs) = Pair::established(client, server);
            // Small segments fill the buffer, and the reader takes less than the unit of the window.
            let data = pattern(4200, 1);
            for piece in data.chunks(len) {
                pair.client(ours).write(piece).unwrap();
                pair.run_for(Duration::from_millis(1));
            }
            pair.run_for(Duration::from_secs(3));
            let mut buffer = vec![0; taken];
            for _ in 0..10 {
                let _ = pair.server(theirs).read(&mut buffer);
                let before = pair.log.len();
                pair.run_for(Duration::from_millis(100));
                let count = pair.log.len() - before;
                assert!(count < 50, "{offer:?} {len} {taken}: {count} packets");
            }
        }
    }
}

#[test]
fn a_buffer_smaller_than_the_step_of_its_window_takes_all_data_a_few_bytes_at_a_time() {
    for (receive, scale) in [(1, 0), (7, 3), (300, 14), (1761, 12), (2048, 14)] {
        let mut config = Config::default();
        config.buffers.receive = receive;
        config.mechanisms.autotuning = Switch::Off;
        config.tcp.window_scale = Some(scale);
        let mut pair = Pair::new(4);
        let ours = pair.connect(Config::default(), config);
        pair.run_for(Duration::from_millis(100));
        let theirs = pair.accepted();
        let data = pattern(receive * 4 + 20, 1);
        pair.client(ours).write(&data).unwrap();
        let mut got = Vec::new();
        let mut few = [0; 5];
        for _ in 0..20_000 {
            pair.run_for(Duration::from_millis(50));
            if let Read::Data(count) = pair.server(theirs).read(&mut few) {
                got.extend_from_slice(&few[..count]);
            }
        }
        assert!(got == data, "{receive} {scale}");
    }
}

#[test]
fn a_fin_behind_data_for_which_the_scale_has_rounded_the_window_up_ends_the_stream() {
    for (offer, receive) in [(Offer::Off, 1456), (Offer::V1, 1456), (Offer::Off, 4000)] {
        let mut server = version(offer);
        server.buffers.receive = receive;
        server.mechanisms.autotuning = Switch::Off;
        let mut client = version(Offer::Off);
        client.tcp.nagle = false;
        let (mut pair, ours, theirs) = Pair::established(client, server);
        // The reader sleeps, and the last segment takes what the last window seems to have left.
        let data = pattern(receive + 81, 1);
        let (first, last) = data.split_at(receive - 159);
        pair.client(ours).write(first).unwrap();
        pair.run_for(Duration::from_millis(100));
        pair.client(ours).write(last).unwrap();
        pair.client(ours).shutdown_write();
        pair.run_for(Duration::from_secs(1));
        pair.server(theirs).shutdown_write();
        pair.run_for(Duration::from_secs(1));
        assert!(pair.server(theirs).readable() > receive, "{offer:?}");
        let mut got = Vec::new();
        read_all(pair.server(theirs), &mut got);
        assert!(got == data, "{offer:?} {receive}");
        for side in 0..2 {
            let end = pair.events[side]
                .iter()
                .rev()
                .find_map(|(_, event)| match event {
                    Event::Closed { how } => Some(*how),
                    _ => None,
                });
            assert_eq!(end, Some(ConnectionEnd::Closed), "{offer:?} {receive}");
        }
    }
}
