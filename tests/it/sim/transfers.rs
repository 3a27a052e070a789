//! What TCP gets out of simulated links.

use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_tests::sim::{Block, Link, Script, Stop, ms, secs};

use super::{Trial, check_whole};

/// Bits per second that arrive at the server while the client sends all it can, after one second
/// for the beginning.
fn throughput(link: &str) -> u64 {
    let mut trial = Trial::new(7, link);
    trial.start(Script::new("up").send(u64::MAX), || Script::new("down"));
    assert_eq!(trial.net.run_for(&mut trial.hosts, secs(11)), Stop::Time);
    let report = trial.net.report(trial.path);
    report
        .to_server
        .throughput
        .bits_per_second(secs(1), secs(11))
}

#[test]
fn tcp_fills_a_link() {
    let bits = throughput("10mbit 20ms queue=300ms");
    assert!((9_500_000..=10_000_000).contains(&bits), "{bits}");
}

#[test]
fn tcp_gets_less_out_of_a_link_that_loses() {
    let without = throughput("10mbit 20ms queue=300ms");
    let some = throughput("10mbit 20ms queue=300ms loss=1%");
    let more = throughput("10mbit 20ms queue=300ms loss=4%");
    assert!(
        without > some && some > more && more > 0,
        "{without} {some} {more}"
    );
}

#[test]
fn both_directions_have_their_own_rate() {
    for (up, down, expected) in [(u64::MAX, 0, 8_000_000), (0, u64::MAX, 2_000_000)] {
        let mut trial = Trial::new(7, "20ms >8mbit <2mbit queue=2s");
        trial.start(Script::new("up").send(up), move || {
            Script::new("down").send(down)
        });
        trial.net.run_for(&mut trial.hosts, secs(6));
        let report = trial.net.report(trial.path);
        let ways = [report.to_server, report.to_client];
        let bits = ways.map(|way| way.throughput.bits_per_second(secs(1), secs(6)));
        let most = bits.into_iter().max().unwrap();
        assert!(
            (expected * 95 / 100..=expected * 1001 / 1000).contains(&most),
            "{bits:?}"
        );
    }
}

#[test]
fn data_arrive_whole_over_every_kind_of_bad_link() {
    for link in [
        "10mbit 5ms loss=3%",
        "10mbit 5ms burst=0.5%/25%",
        "10mbit 5ms jitter=20ms",
        "10mbit 5ms jitter=20ms overtake",
        "10mbit 5ms reorder=2%/8ms",
        "10mbit 5ms duplicate=5%",
        "10mbit 5ms corrupt=1%",
        "10mbit 5ms drop=1/2/5/9 every=50",
        "10mbit 5ms down=50ms..400ms",
        "10mbit 5ms >down=50ms..400ms",
        "10mbit 5ms queue=3p",
        "1gbit 100us",
        "200kbit 300ms",
    ] {
        let mut trial = Trial::new(3, link);
        check_whole(&trial.exchange(150_000, 100_000), 150_000, 100_000);
    }
}

#[test]
fn a_full_queue_delays_by_its_length() {
    let mut trial = Trial::new(7, "10mbit 20ms queue=80ms");
    let sender = Script::new("up").blocks(1000, 20_000).close();
    trial.start(sender, || Script::new("down").wait_for_end().close());
    trial.net.run_for(&mut trial.hosts, secs(8));
    let backlog = trial.net.report(trial.path).to_server.backlog;
    let most = backlog.iter().map(|point| point.bytes).max().unwrap();
    // 80 ms at 10 Mbit/s are 100,000 bytes, of which less than a packet may be free.
    assert!((98_500..=100_000).contains(&most), "{most}");
}

#[test]
fn a_block_takes_as_long_as_serialisation_and_propagation() {
    let mut trial = Trial::new(7, "8mbit 30ms");
    let sender = Script::new("up")
        .blocks(1000, 1)
        .wait(secs(1))
        .blocks(1000, 1);
    trial.start(sender.close(), || {
        Script::new("down")
            .expect_blocks(1000)
            .wait_for_end()
            .close()
    });
    assert_eq!(trial.finish(60), Stop::Done);
    let [_, server] = trial.outcomes();
    let delays: Vec<Duration> = server.blocks.iter().map(Block::delay).collect();
    // 1,000 bytes with two headers of 20 bytes take 1.04 ms at 8 Mbit/s.
    assert_eq!(delays, [Duration::from_micros(31_040); 2]);
}

#[test]
fn an_application_keeps_its_rate() {
    let mut trial = Trial::new(7, "10mbit 20ms");
    let sender = Script::new("up").send_at(400_000, 500_000).close();
    trial.start(sender, || Script::new("down").wait_for_end().close());
    assert_eq!(trial.finish(60), Stop::Done);
    let [_, server] = trial.outcomes();
    assert_eq!(server.received_bytes, 500_000);
    let bits = server.goodput.bits_per_second(secs(2), secs(8));
    assert!((390_000..=410_000).contains(&bits), "{bits}");
}

#[test]
fn a_slow_reader_slows_the_sender() {
    let mut trial = Trial::new(7, "10mbit 20ms");
    trial.start(Script::new("up").send(1_000_000).close(), || {
        Script::new("down")
            .read_at(1_000_000)
            .wait_for_end()
            .close()
    });
    assert_eq!(trial.finish(60), Stop::Done);
    let [_, server] = trial.outcomes();
    let took = server.last_at.unwrap().since(server.opened_at.unwrap());
    assert!((ms(7900)..ms(8200)).contains(&took), "{took:?}");
}

#[test]
fn a_reader_that_begins_late_closes_the_window_until_then() {
    let mut trial = Trial::new(7, "10mbit 20ms");
    trial.start(Script::new("up").send(1_000_000).close(), || {
        Script::new("down")
            .read_from(Instant::from_millis(5000))
            .wait_for_end()
            .close()
    });
    trial.net.run_for(&mut trial.hosts, secs(5));
    let sent = trial.net.report(trial.path).to_server.delivered.bytes;
    assert!((256 * 1024..300 * 1024).contains(&sent), "{sent}");
    assert_eq!(trial.finish(60), Stop::Done);
    assert_eq!(trial.outcomes()[1].received_bytes, 1_000_000);
}

#[test]
fn an_echo_brings_everything_back() {
    let mut trial = Trial::new(7, "10mbit 20ms loss=1%");
    trial.start(Script::new("up").send(300_000).close(), || {
        Script::new("down").echo()
    });
    assert_eq!(trial.finish(120), Stop::Done);
    let [client, server] = trial.outcomes();
    assert_eq!(client.received_bytes, 300_000);
    assert_eq!(client.received_sha256, client.sent_sha256);
    assert_eq!(server.received_sha256, server.sent_sha256);
}

#[test]
fn a_reset_ends_the_connection_of_the_other_host() {
    use mptcp_tests::sim::SocketState;
    let mut trial = Trial::new(7, "10mbit 20ms");
    trial.start(Script::new("up").send(1000).wait(secs(1)).abort(), || {
        Script::new("down")
    });
    assert_eq!(trial.finish(20), Stop::Done);
    assert_eq!(trial.outcomes()[1].state, Some(SocketState::Failed));
    assert_eq!(trial.outcomes()[1].ended_at, None);
}

#[test]
fn both_families_work() {
    let mut trial = Trial::with(7, Link::of("10mbit 5ms"), |config| config);
    let local = (trial.net.client_address_v6(trial.path), 40_000).into();
    let remote = (trial.net.server_address_v6(trial.path), super::PORT).into();
    let script = Script::new("up").send(10_000).close();
    trial
        .hosts
        .client
        .dial(Instant::ZERO, local, remote, script);
    trial
        .hosts
        .server
        .serve(super::PORT, || Script::new("down").send(5000).close());
    assert_eq!(trial.finish(20), Stop::Done);
    check_whole(&trial.outcomes(), 10_000, 5000);
}
