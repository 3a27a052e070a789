//! Much of everything, long times and odd clocks.

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::received::ReceivedOptions;
use mptcp_proto::conn::{Config, Event, MAX_SUBFLOWS};
use mptcp_proto::endpoint::{Endpoint, Handled};
use mptcp_proto::hmac::add_addr_hmac;
use mptcp_proto::key::{AddressId, Key, Nonce};
use mptcp_proto::seq::TcpSeq;
use mptcp_proto::time::Instant;
use mptcp_proto::version::Version;
use mptcp_proto::wire::mptcp::{AddAddr, Capable, CapableFlags, Join, MptcpOption, Priority};
use mptcp_proto::wire::segment::{Ecn, Flags, Segment};
use mptcp_proto::wire::writer::OptionArea;

use super::puppet::{KEY, Puppet};
use crate::endpoint::handshake::fallback;
use crate::endpoint::join::{established, join};
use crate::endpoint::pair::{SERVER, Seeded, address, pattern};

/// Case 74
#[test]
fn a_connection_that_was_idle_for_years_goes_on() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    for days in [1, 30, 400] {
        pair.run_for(Duration::from_secs(days * 86_400));
        let limit = Duration::from_secs(60);
        pair.transfer(ids, &pattern(100_000, 1), &pattern(100_000, 2), limit);
    }
    assert!(pair.picked(0, fallback).is_empty());
    pair.exchange(ids, b"", b"");
}

/// Case 74
#[test]
fn clocks_that_jump_forwards_and_back_stop_nothing() {
    let mut puppet = Puppet::established(Config::default());
    let start = puppet.now;
    let jumps = [
        start + Duration::from_secs(86_400 * 40),
        start,
        Instant::from_millis(0),
        start + Duration::from_secs(7),
    ];
    for (n, now) in jumps.into_iter().enumerate() {
        puppet.now = now;
        let data = pattern(100, n as u64);
        puppet.data(0, 100 * n as u64, &data);
        assert_eq!(puppet.read(), data);
        puppet.write(&data);
        puppet.got += 100;
        let option = puppet.data_ack();
        puppet.ack(0, &[option]);
        puppet.wait(Duration::from_secs(1));
    }
    assert_eq!(puppet.conn().info().bytes_acked, 400);
}

/// Case 74
#[test]
fn the_end_of_time_is_no_beginning() {
    let mut puppet = Puppet::before(Config::default(), KEY);
    puppet.now = Instant::from_nanos(u64::MAX - 1_000_000_000);
    let replies = puppet.syn();
    puppet.host_key = replies[0].options().capable.unwrap().sender_key.unwrap();
    puppet.third_ack();
    puppet.data(0, 0, b"late");
    puppet.write(b"later");
    // Timers beyond the end are never due, and nothing runs for ever.
    puppet.now = Instant::from_nanos(u64::MAX - 1);
    let replies = puppet.hear();
    puppet.host.handle_timeout(puppet.now);
    assert!(replies.len() + puppet.hear().len() < 100);
    assert_eq!(puppet.read(), b"late");
}

/// Case 75
#[test]
fn sixty_four_subflows_are_the_most_and_all_of_them_carry_data() {
    let limits = mptcp_proto::pm::Limits {
        subflows: 64,
        add_addr_accepted: 8,
    };
    let config = Config {
        limits: Some(limits),
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    let mut refused = 0;
    for n in 1..80 {
        let near = address(&format!("10.0.{n}.1:{}", 41_000 + n));
        let opened = pair
            .client(ids[0])
            .open_subflow(near, address(SERVER), Priority::Regular);
        refused += usize::from(opened.is_err());
        pair.run_for(Duration::from_millis(60));
    }
    assert_eq!(refused, 79 + 1 - MAX_SUBFLOWS);
    assert_eq!(pair.client(ids[0]).info().subflows_total, 64);
    assert_eq!(pair.server(ids[1]).info().subflows_total, 64);
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(4_000_000, 1), &pattern(1_000_000, 2), limit);
    for subflow in pair.client(ids[0]).subflows() {
        assert!(subflow.tcp.counters.segments_out > 3, "{subflow:?}");
    }
    pair.exchange(ids, b"", b"");
}

/// Case 75
#[test]
fn two_hundred_and_fifty_five_address_ids_are_echoed_and_a_few_are_kept() {
    let mut puppet = Puppet::established(Config::default());
    let mut echoes = 0;
    for id in 1..=255_u8 {
        let ip = std::net::IpAddr::from([10, 77, 0, id]);
        let hmac = add_addr_hmac(puppet.key, puppet.host_key, AddressId(id), ip, None);
        let option = MptcpOption::AddAddr(AddAddr {
            version: Version::V1,
            echo: false,
            address_id: AddressId(id),
            address: ip,
            port: None,
            hmac: Some(hmac),
            reserved: 0,
        });
        let replies = puppet.ack(0, &[option]);
        let with_echo = replies
            .iter()
            .filter_map(|reply| reply.options().add_addr_echo);
        echoes += with_echo.filter(|echo| echo.address == ip).count();
    }
    assert_eq!(echoes, 255);
    let kept = puppet.picked(|event| matches!(event, Event::AddressAnnounced { .. }).then_some(()));
    assert_eq!(kept.len(), mptcp_proto::pm::MAX_ADDRESSES);
}

/// Case 75
#[test]
fn a_host_with_a_hundred_thousand_connections_takes_no_more_and_finds_each_by_its_token() {
    const COUNT: u32 = 100_000;
    let config = mptcp_proto::endpoint::Config {
        max_connections: COUNT as usize,
        syn_cookies: mptcp_proto::endpoint::SynCookies::Never,
        ..Default::default()
    };
    let mut host = Endpoint::new(config, Box::new(Seeded(3)));
    let server = address(SERVER);
    host.listen(server, COUNT as usize + 1, Config::default())
        .unwrap();
    let (now, mut out) = (Instant::from_millis(5), Vec::new());
    let ends = |n: u32| {
        let [_, a, b, c] = n.to_be_bytes();
        SocketAddr::from(([20, a, b, c], 4000))
    };
    let mut tokens = Vec::new();
    let ours = Key([7; 8]);
    for n in 0..=COUNT {
        let syn = capable(None, None);
        hear(&mut host, now, ends(n), (100, 0), Flags::SYN, syn);
        if n == COUNT {
            break;
        }
        assert!(host.poll_transmit(now, &mut out));
        let answer = Segment::parse(&out, false).unwrap();
        let options = ReceivedOptions::parse(Some(Version::V1), answer.options);
        let theirs = options.capable.unwrap().sender_key.unwrap();
        let third = capable(Some(ours), Some(theirs));
        let numbers = (101, answer.seq.0.wrapping_add(1));
        hear(&mut host, now, ends(n), numbers, Flags::ACK, third);
        while host.poll_transmit(now, &mut out) {}
        tokens.push(theirs.token(Version::V1));
    }
    assert_eq!(host.dropped().backlog, 1);
    let sizes = host.table_sizes();
    assert_eq!((sizes.connections, sizes.tokens), (100_000, 100_000));
    // A join goes to the connection that its token names, and to no other.
    let ids: Vec<_> = host.connection_ids().collect();
    for which in [0, 1, 77_777, 99_999] {
        let join = MptcpOption::Join(Join::Syn {
            priority: Priority::Regular,
            address_id: AddressId(1),
            token: tokens[which],
            nonce: Nonce(5),
            reserved: 0,
        });
        let from = SocketAddr::from(([30, 0, 0, 1], 5000 + u16::try_from(which % 1000).unwrap()));
        let handled = hear(&mut host, now, from, (1, 0), Flags::SYN, join);
        assert_eq!(handled, Handled::Connection(ids[which]));
    }
}

fn capable(sender_key: Option<Key>, receiver_key: Option<Key>) -> MptcpOption {
    MptcpOption::Capable(Capable {
        version: 1,
        flags: CapableFlags::HMAC_SHA,
        sender_key,
        receiver_key,
        data: None,
    })
}

fn hear(
    host: &mut Endpoint,
    now: Instant,
    from: SocketAddr,
    (seq, ack): (u32, u32),
    flags: Flags,
    option: MptcpOption,
) -> Handled {
    let mut area = OptionArea::new();
    option.emit(&mut area).unwrap();
    area.pad();
    let segment = Segment {
        source: from,
        destination: address(SERVER),
        seq: TcpSeq(seq),
        ack: TcpSeq(ack),
        flags,
        window: 65_535,
        urgent: 0,
        ecn: Ecn::default(),
        options: area.as_bytes(),
        payload: &[],
        payload_sum: None,
    };
    let mut packet = Vec::new();
    segment.emit(&mut packet).unwrap();
    host.handle_packet(now, &packet)
}
