//! What a path manager asks for, and what it hears of it.

use std::time::Duration;

use mptcp_proto::conn::command::SubflowClose;
use mptcp_proto::conn::{Config, Counter, SubflowEnd};
use mptcp_proto::endpoint::{self, ConnId, Endpoint};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm;
use mptcp_proto::random::RandomSource;
use mptcp_proto::wire::mptcp::{Priority, ResetReason};

use super::join::{SECOND, SECOND_SERVER, down, established, join, up};
use super::meddle::drop_if;
use super::pair::{Pair, SERVER, Seeded, Way, address, path, pattern};

/// A client with three addresses and this path manager.
fn with_addresses(kind: pm::Kind, limits: Option<pm::Limits>) -> (Pair, [ConnId; 2]) {
    let mut pair = Pair::new(5);
    for text in ["10.0.0.1", "10.0.1.1", "10.0.2.1"] {
        pair.client.address_up(text.parse().unwrap());
    }
    let client = Config {
        path_manager: kind,
        limits,
        ..Config::default()
    };
    let ours = pair.connect(client, Config::default());
    pair.run_for(Duration::from_millis(100));
    let ids = [ours, pair.accepted()];
    pair.transfer(ids, b"hello", b"you", Duration::from_secs(5));
    pair.run_for(Duration::from_secs(3));
    (pair, ids)
}

#[test]
fn what_was_asked_for_and_not_done_yet_counts_against_the_limit() {
    let limits = pm::Limits {
        subflows: 1,
        add_addr_accepted: 0,
    };
    let (mut pair, ids) = with_addresses(pm::Kind::Fullmesh, Some(limits));
    let counters = pair.client(ids[0]).counters().clone();
    assert_eq!(counters.value(Counter::JoinSynTx), 1);
    assert_eq!(counters.value(Counter::JoinSynTxCreatSkErr), 0);
    assert_eq!(pair.client(ids[0]).info().subflows_total, 2);
}

#[test]
fn several_subflows_between_the_same_addresses_are_all_opened() {
    let (mut pair, ids) = with_addresses(pm::Kind::Ndiffports(3), None);
    assert_eq!(pair.client(ids[0]).info().subflows_total, 3);
    assert_eq!(pair.client(ids[0]).counters().value(Counter::JoinSynTx), 2);
}

#[test]
fn two_further_subflows_are_the_limit_of_a_host_that_sets_none() {
    let (mut pair, ids) = established(&Config::default());
    for port in 1..=3 {
        let local = format!("10.0.1.1:{port}");
        pair.client(ids[0])
            .open_subflow(address(&local), address(SERVER), Priority::Regular)
            .unwrap();
    }
    pair.run_for(Duration::from_millis(300));
    let refused = SubflowEnd::ResetByPeer {
        reason: Some((ResetReason::ADMINISTRATIVELY_PROHIBITED, false)),
    };
    // Whichever third ACK comes last.
    let ends: Vec<_> = pair
        .picked(0, down)
        .into_iter()
        .map(|(_, how)| how)
        .collect();
    assert_eq!(ends, [refused]);
    assert_eq!(pair.server(ids[1]).info().subflows_total, 3);
}

/// Every number is the same.
struct Constant;

impl RandomSource for Constant {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0x11);
    }
}

#[test]
fn a_subflow_without_a_free_port_is_unreachable() {
    let client = Endpoint::new(endpoint::Config::default(), Box::new(Constant));
    let server = Endpoint::new(endpoint::Config::default(), Box::new(Seeded(2)));
    let mut pair = Pair::with_hosts(client, server);
    let ours = pair.connect(Config::default(), Config::default());
    pair.run_for(Duration::from_millis(200));
    let ids = [ours, pair.accepted()];
    pair.transfer(ids, b"hello", b"you", Duration::from_secs(5));
    // The only port that such a random source ever picks.
    let port = 49_152 + 0x1111_1111 % 16_384;
    let taken = path(&format!("10.0.1.1:{port}"), SERVER);
    pair.client
        .connect(pair.now, taken, Config::default())
        .unwrap();
    let any = address("10.0.1.1:0");
    pair.client(ids[0])
        .open_subflow(any, address(SERVER), Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(
        pair.picked(0, down),
        [(SubflowId(1), SubflowEnd::Unreachable)]
    );
    let counters = pair.client(ids[0]).counters();
    assert_eq!(counters.value(Counter::JoinSynTxBindErr), 1);
    assert_eq!(counters.value(Counter::JoinSynTx), 0);
    pair.transfer(ids, b"goes", b"on", Duration::from_secs(5));
}

#[test]
fn the_syn_ack_of_a_join_says_that_the_endpoint_is_a_backup() {
    let (mut pair, ids) = established(&Config::default());
    pair.server(ids[1])
        .command(&pm::Command::AddEndpoint(pm::Endpoint {
            id: AddressId(7),
            address: address(SECOND_SERVER).ip(),
            port: None,
            flags: pm::EndpointFlags::BACKUP,
        }))
        .unwrap();
    pair.client(ids[0])
        .open_subflow(address(SECOND), address(SECOND_SERVER), Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(200));
    assert_eq!(
        pair.client(ids[0])
            .counters()
            .value(Counter::JoinSynAckBackupRx),
        1
    );
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &pattern(300_000, 1), &pattern(300_000, 2), limit);
    for host in [&pair.client, &pair.server] {
        let connection = host.connections().next().unwrap();
        let backup = connection.subflows().nth(1).unwrap();
        assert!(
            backup.is_up && backup.tcp.counters.segments_out < 10,
            "{backup:?}"
        );
    }
}

#[test]
fn a_join_begun_anew_between_the_same_ends_takes_the_place_of_the_half_open_one() {
    let (mut pair, ids) = established(&Config::default());
    pair.hook = Some(drop_if(|seen| {
        seen.way == Way::ToClient && seen.segment.destination == address(SECOND)
    }));
    join(&mut pair, ids[0], Priority::Regular);
    assert_eq!(pair.server(ids[1]).subflows().count(), 2);
    let reset = SubflowClose::Reset(ResetReason::UNSPECIFIED);
    pair.client(ids[0])
        .close_subflow(SubflowId(1), reset)
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    assert_eq!(pair.server(ids[1]).subflows().count(), 2);
    pair.hook = None;
    join(&mut pair, ids[0], Priority::Regular);
    // Well before the SYN would go out a second time.
    assert!(pair.picked(0, up).contains(&SubflowId(2)));
    assert!(pair.picked(1, up).contains(&SubflowId(2)));
    assert_eq!(pair.server(ids[1]).subflows().count(), 2);
    let counters = pair.server(ids[1]).counters();
    assert_eq!(counters.value(Counter::JoinSynRx), 2);
    let limit = Duration::from_secs(20);
    pair.transfer(ids, &pattern(200_000, 1), &pattern(200_000, 2), limit);
}
