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

fn stream(len: usize, salt: u8) -> Vec<u8> {
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

fn configs() -> impl Strategy<Value = Config> {
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

fn paths() -> impl Strategy<Value = Path> {
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
