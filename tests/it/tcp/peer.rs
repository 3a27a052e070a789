//! Our TCP against smoltcp's: both roles, both directions, every order of closing.

use std::time::Duration;

use mptcp_proto::tcp::{Config, Path as Ends, State, TcpEvent};
use mptcp_proto::time::Instant;
use mptcp_tests::tcp_host::TcpHost;
use proptest::prelude::*;
use smoltcp::socket::tcp::State as PeerState;

use super::pair::stream;
use super::smoltcp_host::SmoltcpHost;
use super::wire::{Net, Path};

const fn turned(path: Ends) -> Ends {
    Ends {
        local: path.remote,
        remote: path.local,
    }
}

fn ends(is_v6: bool) -> Ends {
    let (local, remote) = if is_v6 {
        ("[fd00::1]:40000", "[fd00::2]:80")
    } else {
        ("10.0.0.1:40000", "10.0.0.2:80")
    };
    Ends {
        local: local.parse().unwrap(),
        remote: remote.parse().unwrap(),
    }
}

/// Who closes when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    WeFirst,
    PeerFirst,
    Both,
}

#[derive(Debug, Clone)]
struct Run {
    path: Path,
    order: Order,
    we_connect: bool,
    is_v6: bool,
    sizes: (usize, usize),
    peer_buffer: usize,
    config: Config,
    seed: u64,
    isn: u32,
}

impl Run {
    fn net(&self) -> Net<TcpHost, SmoltcpHost> {
        let now = Instant::from_millis(1);
        let mut path = ends(self.is_v6);
        if !self.we_connect {
            path = turned(path);
        }
        let mtu = usize::try_from(self.config.mtu).unwrap();
        let (ours, peer) = if self.we_connect {
            (
                TcpHost::connect(self.config.clone(), path, self.isn, now),
                SmoltcpHost::listen(turned(path), mtu, self.peer_buffer, self.seed),
            )
        } else {
            (
                TcpHost::listen(self.config.clone(), path.local, self.isn),
                SmoltcpHost::connect(turned(path), mtu, self.peer_buffer, self.seed),
            )
        };
        Net::new(ours, peer, self.path, self.seed)
    }
}

#[track_caller]
fn check_run(run: &Run) {
    let mut net = run.net();
    let streams = [stream(run.sizes.0, 1), stream(run.sizes.1, 2)];
    let limit = Duration::from_secs(4000);
    net.a.write(&streams[0]);
    net.b.write(&streams[1]);
    let (ours, theirs) = (run.sizes.0, run.sizes.1);
    if run.order != Order::PeerFirst {
        net.a.close();
    }
    if run.order != Order::WeFirst {
        net.b.close();
    }
    net.run_until(limit, |a, b| {
        a.received().len() >= theirs
            && b.received.len() >= ours
            && (run.order == Order::PeerFirst || b.state() != PeerState::Established)
            && (run.order == Order::WeFirst || a.state() != State::Established)
    });
    net.a.close();
    net.b.close();
    net.run_until(limit, |a, b| {
        a.state() == State::Closed && matches!(b.state(), PeerState::Closed | PeerState::TimeWait)
    });
    assert!(net.b.received == streams[0], "to the peer");
    assert!(net.a.received() == streams[1], "to us");
    let events = net.a.events();
    assert!(events.contains(&TcpEvent::PeerClosed), "{events:?}");
    assert!(!events.contains(&TcpEvent::Reset), "{events:?}");
    assert!(!events.contains(&TcpEvent::TimedOut), "{events:?}");
}

fn clean() -> Run {
    Run {
        path: Path::CLEAN,
        order: Order::WeFirst,
        we_connect: true,
        is_v6: false,
        sizes: (300_000, 300_000),
        peer_buffer: 65_535,
        config: Config::default(),
        seed: 1,
        isn: 0xffff_fff0,
    }
}

#[test]
fn all_roles_and_orders_of_closing_work_on_a_clean_path() {
    for order in [Order::WeFirst, Order::PeerFirst, Order::Both] {
        for we_connect in [true, false] {
            for is_v6 in [true, false] {
                check_run(&Run {
                    order,
                    we_connect,
                    is_v6,
                    ..clean()
                });
            }
        }
    }
}

#[test]
fn a_small_window_of_the_peer_slows_down_and_stops_nothing() {
    for peer_buffer in [600, 1500, 3000] {
        check_run(&Run {
            peer_buffer,
            sizes: (60_000, 60_000),
            ..clean()
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn streams_arrive_over_bad_paths(
        config in super::pair::configs(),
        mut path in super::pair::paths(),
        flags in any::<[bool; 2]>(),
        sizes in (0_usize..60_000, 0_usize..60_000),
        peer_buffer in 2000_usize..200_000,
        seed in any::<u64>(),
    ) {
        // It has no selective acknowledgements of its own to repair many losses in a round trip.
        path.loss /= 2;
        // It forgets its retransmission timer when a FIN comes while data of its own is on the way.
        let order = Order::PeerFirst;
        let mut config = config;
        config.mtu = config.mtu.max(1280);
        check_run(&Run {
            path,
            order,
            we_connect: flags[0],
            is_v6: flags[1],
            sizes,
            peer_buffer,
            config,
            seed,
            // Its SACK blocks overflow in the upper half of the number space.
            isn: 77,
        });
    }
}
