//! Two of our connections, over paths of all kinds.

use std::time::Duration;

use mptcp_proto::tcp::{Config, State, TcpEvent};
use mptcp_proto::time::Instant;
use mptcp_tests::tcp_host::TcpHost;
use proptest::prelude::*;

use super::wire::{Net, Path};

fn ends() -> mptcp_proto::tcp::Path {
    mptcp_proto::tcp::Path {
        local: "10.0.0.1:40000".parse().unwrap(),
        remote: "10.0.0.2:80".parse().unwrap(),
    }
}

fn pair(config: &Config, isns: [u32; 2], path: Path, seed: u64) -> Net<TcpHost, TcpHost> {
    let now = Instant::from_millis(1);
    let a = TcpHost::connect(config.clone(), ends(), isns[0], now);
    let b = TcpHost::listen(config.clone(), ends().remote, isns[1]);
    Net::new(a, b, path, seed)
}

pub(super) fn stream(len: usize, salt: u8) -> Vec<u8> {
    let mut value = u32::from(salt) + 1;
    let next = |value: &mut u32| {
        *value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*value >> 24) as u8
    };
    (0..len).map(|_| next(&mut value)).collect()
}

#[track_caller]
fn check_transfer(net: &mut Net<TcpHost, TcpHost>, to_b: usize, to_a: usize) {
    let streams = [stream(to_b, 1), stream(to_a, 2)];
    net.a.write(&streams[0]);
    net.b.write(&streams[1]);
    net.a.close();
    net.b.close();
    net.run(Duration::from_secs(4000));
    assert!(net.b.received() == streams[0], "to b: {:?}", net.b.events());
    assert!(net.a.received() == streams[1], "to a: {:?}", net.a.events());
    for host in [&net.a, &net.b] {
        assert_eq!(host.state(), State::Closed);
        assert!(
            host.events().contains(&TcpEvent::PeerClosed),
            "{:?}",
            host.events()
        );
        assert!(
            !host.events().contains(&TcpEvent::Reset),
            "{:?}",
            host.events()
        );
        assert!(host.most_out_of_order <= host.receive_buffer as u64);
    }
}

#[test]
fn a_clean_path_carries_every_byte_without_a_retransmission() {
    let mut net = pair(&Config::default(), [7, 9], Path::CLEAN, 1);
    check_transfer(&mut net, 3_000_000, 20_000);
    for host in [&net.a, &net.b] {
        let counters = host.tcp().unwrap().info().counters;
        assert_eq!(counters.retransmissions, 0, "{counters:?}");
        assert_eq!(counters.timeouts, 0, "{counters:?}");
        assert_eq!(
            counters.bad_acks + counters.out_of_window,
            0,
            "{counters:?}"
        );
    }
}

#[test]
fn a_full_queue_is_repaired_without_a_timeout() {
    let path = Path {
        queue: 40,
        ..Path::CLEAN
    };
    let mut net = pair(&Config::default(), [7, 9], path, 1);
    check_transfer(&mut net, 6_000_000, 0);
    let counters = net.a.tcp().unwrap().info().counters;
    assert!(counters.recoveries > 0, "{counters:?}");
    assert_eq!(counters.timeouts, 0, "{counters:?}");
}

pub(super) fn configs() -> impl Strategy<Value = Config> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (
        flags,
        prop_oneof![Just(None), Just(Some(0)), Just(Some(7))],
        600_u32..1500,
    )
        .prop_map(
            |((sack, timestamps, nagle, delays), window_scale, mtu)| Config {
                sack,
                timestamps: timestamps.then_some(0xffff_f000),
                nagle,
                window_scale,
                mtu,
                ack_delay: Duration::from_millis(if delays { 40 } else { 0 }),
                time_wait: Duration::from_secs(300),
                max_retransmissions: 30,
                max_syn_retransmissions: 20,
                max_rto: Duration::from_secs(10),
                ..Config::default()
            },
        )
}

pub(super) fn paths() -> impl Strategy<Value = Path> {
    (
        0_u32..150,
        0_u32..100,
        0_u32..200,
        0_u32..50,
        0_u64..100,
        2_usize..200,
    )
        .prop_map(|(loss, double, reorder, corrupt, delay, queue)| Path {
            loss,
            double,
            reorder,
            corrupt,
            delay: Duration::from_millis(delay),
            per_packet: Duration::from_micros(200),
            queue,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_stream_arrives_over_any_path(
        config in configs(),
        path in paths(),
        isns in any::<[u32; 2]>(),
        sizes in (0_usize..120_000, 0_usize..60_000),
        buffer in 2_000_usize..200_000,
        seed in any::<u64>(),
    ) {
        let mut net = pair(&config, isns, path, seed);
        for host in [&mut net.a, &mut net.b] {
            host.receive_buffer = buffer.max(65_535);
        }
        check_transfer(&mut net, sizes.0, sizes.1);
    }
}

#[test]
fn both_may_open_at_once() {
    let now = Instant::from_millis(1);
    let config = Config::default();
    let path = ends();
    let turned = mptcp_proto::tcp::Path {
        local: path.remote,
        remote: path.local,
    };
    let a = TcpHost::connect(config.clone(), path, u32::MAX, now);
    let b = TcpHost::connect(config, turned, 7, now);
    let mut net = Net::new(a, b, Path::CLEAN, 1);
    check_transfer(&mut net, 50_000, 50_000);
    for host in [&net.a, &net.b] {
        assert_eq!(host.events().first(), Some(&TcpEvent::Connected));
    }
}

#[test]
fn a_path_that_was_dead_for_a_minute_carries_on() {
    let mut net = pair(&Config::default(), [7, 9], Path::CLEAN, 1);
    net.a.write(&stream(2_000_000, 1));
    net.run_until(Duration::from_secs(9), |_, b| b.received().len() > 500_000);
    let dead = Path {
        loss: 1000,
        ..Path::CLEAN
    };
    net.set_path(dead);
    let sent = net.sent();
    let end = net.now + Duration::from_secs(60);
    while net.now < end {
        assert!(net.step());
    }
    assert!(
        net.sent() - sent < 200,
        "{} packets into the void",
        net.sent() - sent
    );
    net.set_path(Path::CLEAN);
    net.run_until(Duration::from_secs(130), |_, b| {
        b.received().len() == 2_000_000
    });
    assert!(net.b.received() == stream(2_000_000, 1));
}

#[test]
fn a_delay_that_jumps_is_no_loss() {
    let mut net = pair(&Config::default(), [7, 9], Path::CLEAN, 1);
    net.a.write(&stream(4_000_000, 1));
    net.run_until(Duration::from_secs(9), |_, b| {
        b.received().len() > 1_000_000
    });
    net.set_path(Path {
        delay: Duration::from_millis(600),
        ..Path::CLEAN
    });
    net.run_until(Duration::from_secs(60), |_, b| {
        b.received().len() == 4_000_000
    });
    let counters = net.a.tcp().unwrap().info().counters;
    assert!(counters.timeouts > 0, "{counters:?}");
    assert!(counters.undone > 0, "{counters:?}");
    assert!(counters.retransmissions < 20, "{counters:?}");
}

#[test]
fn a_reader_that_sleeps_stops_the_sender_and_nothing_is_lost() {
    let mut net = pair(&Config::default(), [7, 9], Path::CLEAN, 1);
    net.b.reads = false;
    net.a.write(&stream(900_000, 1));
    let end = net.now + Duration::from_secs(100);
    while net.now < end {
        assert!(net.step());
    }
    let over = net.b.received().len() - net.b.receive_buffer;
    assert!(over < 128, "{over} bytes more than the buffer holds");
    let counters = net.a.tcp().unwrap().info().counters;
    assert!((3..30).contains(&counters.window_probes), "{counters:?}");
    assert_eq!(counters.retransmissions, 0, "{counters:?}");
    net.b.reads = true;
    net.b.read_all();
    net.run_until(Duration::from_secs(10), |_, b| {
        b.received().len() == 900_000
    });
    assert!(net.b.received() == stream(900_000, 1));
}

#[test]
fn a_lost_tail_is_probed_for_instead_of_a_timeout() {
    let mut net = pair(&Config::default(), [7, 9], Path::CLEAN, 1);
    net.a.write(&stream(200_000, 1));
    net.run_until(Duration::from_secs(9), |a, _| {
        a.tcp().unwrap().unsent() == 0
    });
    net.step();
    net.set_path(Path {
        loss: 1000,
        ..Path::CLEAN
    });
    net.a.write(&stream(3_000, 2));
    net.step();
    net.set_path(Path::CLEAN);
    net.run_until(Duration::from_secs(9), |_, b| b.received().len() == 203_000);
    let counters = net.a.tcp().unwrap().info().counters;
    assert_eq!(counters.timeouts, 0, "{counters:?}");
    assert_eq!(counters.tail_loss_probes, 1, "{counters:?}");
}

#[test]
fn congestion_marks_slow_the_sender_down_once_a_round_trip() {
    let config = Config {
        ecn: true,
        ..Config::default()
    };
    let mut net = pair(&config, [7, 9], Path::CLEAN, 1);
    net.mark_every(50);
    check_transfer(&mut net, 2_000_000, 0);
    assert!(net.a.tcp().unwrap().info().negotiated.ecn);
    let marks = net.b.tcp().unwrap().info().counters.congestion_marks;
    let [losses, timeouts, _] = net.a.cc().calls;
    assert!(marks > 20, "{marks} marks");
    assert!(losses > 5, "{losses} reductions");
    assert!(
        u64::from(losses) <= marks,
        "{losses} reductions, {marks} marks"
    );
    assert_eq!(timeouts, 0);
}
