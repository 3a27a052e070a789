//! What RFC 9293 wants of a host beside its connections.

use std::time::Duration;

use etherparse::IpSlice;
use mptcp_proto::conn::config::{Offer, Switch};
use mptcp_proto::conn::{Config, ConnectionEnd, Event};
use mptcp_proto::endpoint::{self, ConnectError, Endpoint, Handled};
use mptcp_proto::path::SubflowId;
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::tcp::{self, Path};
use mptcp_proto::time::Instant;
use mptcp_proto::wire::segment::{Dscp, Ecn, Flags, IpChoice, Segment};

use super::join::established;
use super::meddle::drop_if;
use super::pair::{Pair, SERVER, Seeded, Way, address, path, pattern};

const NO_HOSTS: [&str; 5] = [
    "224.0.0.1:80",
    "255.255.255.255:80",
    "0.0.0.0:80",
    "[ff02::1]:80",
    "[::]:80",
];

/// RFC 9293 §3.9.2.3 (MUST-46).
#[test]
fn nobody_connects_to_an_address_that_is_no_host() {
    let mut host = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    for text in NO_HOSTS {
        let remote = address(text);
        let local = if remote.is_ipv4() {
            "10.0.0.1:4000"
        } else {
            "[fd00::1]:4000"
        };
        let ends = Path {
            local: address(local),
            remote,
        };
        let refused = host.connect(Instant::ZERO, ends, Config::default());
        assert_eq!(refused, Err(ConnectError::NoHost(remote.ip())));
    }
    assert_eq!(host.connection_count(), 0);
}

/// RFC 9293 §3.9.2.3 (MUST-57, MUST-63).
#[test]
fn segments_from_or_to_many_are_dropped_in_silence() {
    let mut host = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
    let any = address("0.0.0.0:80");
    host.listen(any, 4, Config::default()).unwrap();
    let here = address("10.9.0.1:80");
    let there = address("10.0.0.1:4000");
    let many = NO_HOSTS
        .map(address)
        .into_iter()
        .filter(std::net::SocketAddr::is_ipv4);
    let ends = many.flat_map(|many| [(there, many), (many, here)]);
    let mut packet = Vec::new();
    let mut send = |host: &mut Endpoint, (source, destination), flags: Flags| {
        let segment = Segment {
            source,
            destination,
            seq: TcpSeq(7),
            ack: TcpSeq(0),
            flags,
            window: 1000,
            urgent: 0,
            ecn: Ecn::default(),
            options: &[],
            payload: &[],
            payload_sum: None,
        };
        packet.clear();
        segment.emit(&mut packet).unwrap();
        host.handle_packet(Instant::ZERO, &packet)
    };
    for ends in ends {
        for flags in [Flags::SYN, Flags::ACK] {
            assert_eq!(send(&mut host, ends, flags), Handled::Dropped, "{ends:?}");
        }
    }
    let mut out = Vec::new();
    assert!(!host.poll_transmit(Instant::ZERO, &mut out));
    assert!(matches!(
        send(&mut host, (there, here), Flags::SYN),
        Handled::Began(_)
    ));
}

/// RFC 9293 §3.8.3 (MUST-23).
#[test]
fn a_syn_is_repeated_for_three_minutes() {
    for mptcp in [Offer::Off, Offer::V1] {
        let config = Config {
            mptcp,
            ..Config::default()
        };
        let mut pair = Pair::new(1);
        pair.hook = Some(drop_if(|_| true));
        let start = pair.now;
        pair.client
            .connect(pair.now, path("10.0.0.1:4000", SERVER), config)
            .unwrap();
        let over = |pair: &Pair| {
            pair.picked(0, |event| match event {
                Event::Closed { how } => Some(*how),
                _ => None,
            })
        };
        pair.run_for(Duration::from_secs(180));
        assert_eq!(over(&pair), []);
        pair.run_for(Duration::from_secs(180));
        assert_eq!(over(&pair), [ConnectionEnd::TimedOut]);
        let times: Vec<_> = pair
            .log
            .iter()
            .map(|sent| sent.at.since(start).as_secs())
            .collect();
        assert_eq!(times, [0, 1, 3, 7, 15, 31, 63, 127]);
    }
}

fn stale(event: &Event) -> Option<(SubflowId, bool)> {
    match event {
        Event::SubflowStale { id } => Some((*id, true)),
        Event::SubflowRecovered { id } => Some((*id, false)),
        _ => None,
    }
}

/// RFC 9293 §3.8.3 (MUST-20, SHLD-9): R1 is told, R2 ends the connection.
#[test]
fn the_application_hears_of_a_path_that_does_not_answer_and_of_its_return() {
    for mptcp in [Offer::Off, Offer::V1] {
        let mut config = Config {
            mptcp,
            ..Config::default()
        };
        config.tcp.user_timeout = Some(Duration::from_secs(40));
        let (mut pair, ids) = established(&config);
        let id = SubflowId(0);
        pair.hook = Some(drop_if(|seen| seen.way == Way::ToServer));
        pair.client(ids[0]).write(&pattern(5000, 1)).unwrap();
        // Three retransmissions at least come first (SHLD-10).
        pair.run_for(Duration::from_millis(1300));
        assert_eq!(pair.picked(0, stale), []);
        pair.run_for(Duration::from_secs(10));
        assert_eq!(pair.picked(0, stale), [(id, true)]);
        pair.hook = None;
        pair.run_for(Duration::from_secs(15));
        assert_eq!(pair.picked(0, stale), [(id, true), (id, false)]);
        // The limit that the application has set holds for what it sends then.
        pair.hook = Some(drop_if(|seen| seen.way == Way::ToServer));
        pair.client(ids[0]).write(&pattern(5000, 1)).unwrap();
        pair.run_for(Duration::from_secs(39));
        assert_eq!(pair.client(ids[0]).subflows().count(), 1);
        pair.run_for(Duration::from_secs(2));
        let gone = pair
            .client
            .connection(ids[0])
            .is_none_or(|c| c.subflows().count() == 0);
        assert!(gone);
    }
}

/// RFC 9293 §3.8.4 (MUST-25): keep-alives are off unless they are asked for.
#[test]
fn an_idle_connection_says_nothing() {
    assert_eq!(tcp::Config::default().keep_alive, None);
    let config = Config {
        short_dsn: Switch::Off,
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    pair.run_for(Duration::from_secs(5));
    let before = pair.log.len();
    pair.run_for(Duration::from_secs(7 * 86_400));
    assert_eq!(pair.log.len(), before);
    pair.transfer(ids, b"still", b"there", Duration::from_secs(5));
}

/// RFC 9293 §3.9.2 (MUST-48, MUST-49).
#[test]
fn every_packet_of_a_connection_has_the_codepoint_and_hop_limit_that_were_chosen() {
    for (local, remote) in [
        ("10.0.0.1:4000", SERVER),
        ("[fd00::1]:4000", "[fd00::2]:80"),
    ] {
        let mut config = Config::default();
        config.tcp.ip = IpChoice {
            dscp: Dscp::new(46).unwrap(),
            hop_limit: 9,
        };
        let mut pair = Pair::new(3);
        let server = config.clone();
        pair.server.listen(address(remote), 4, server).unwrap();
        let ours = pair.client.connect(pair.now, path(local, remote), config);
        pair.client(ours.unwrap()).write(b"hello").unwrap();
        pair.run_for(Duration::from_secs(1));
        pair.client(ours.unwrap()).abort();
        pair.run_for(Duration::from_secs(1));
        assert!(pair.log.len() >= 5);
        for sent in &pair.log {
            let (dscp, hop_limit) = match IpSlice::from_slice(&sent.packet).unwrap() {
                IpSlice::Ipv4(v4) => (v4.header().dcp().value(), v4.header().ttl()),
                IpSlice::Ipv6(v6) => (v6.header().dscp().value(), v6.header().hop_limit()),
            };
            assert_eq!((dscp, hop_limit), (46, 9));
            assert!(Segment::parse(&sent.packet, false).is_ok());
        }
    }
    assert_eq!(Dscp::new(64), None);
}

/// RFC 9293 §3.10.7.4: in SYN-RECEIVED after a passive open, another SYN in the window begins anew.
#[test]
fn a_syn_with_another_number_takes_the_place_of_a_half_open_connection() {
    for mptcp in [Offer::Off, Offer::V1] {
        let server = Config {
            mptcp,
            ..Config::default()
        };
        let mut host = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(1)));
        host.listen(address(SERVER), 1, server).unwrap();
        let mut now = Instant::from_millis(1);
        let mut out = Vec::new();
        // The backlog has one place: the second begins only if the first has left.
        for isn in [TcpSeq(1000), TcpSeq(2000)] {
            let mut other = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(2)));
            let ends = path("10.0.0.1:4000", SERVER);
            let config = Config {
                mptcp,
                ..Config::default()
            };
            other.connect_from(now, ends, config, isn).unwrap();
            assert!(other.poll_transmit(now, &mut out));
            assert!(matches!(host.handle_packet(now, &out), Handled::Began(_)));
            assert!(host.poll_transmit(now, &mut out));
            let answer = Segment::parse(&out, false).unwrap();
            assert_eq!(answer.flags, Flags::SYN.with(Flags::ACK));
            assert_eq!(answer.ack, isn.add(1), "{mptcp:?}");
            now += Duration::from_millis(1);
            while host.poll_transmit(now, &mut out) {}
        }
        assert_eq!(host.connection_count(), 1);
        assert_eq!(host.table_sizes().paths, 1);
        assert!(host.poll_event().is_none());
    }
}
