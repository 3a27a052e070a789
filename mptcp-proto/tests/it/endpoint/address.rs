//! Addresses, priorities and path managers (RFC 8684 §3.3.8, §3.4).

use std::net::SocketAddr;
use std::time::Duration;

use mptcp_proto::conn::command::SubflowClose;
use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::handshake::Wishes;
use mptcp_proto::conn::{Config, Event, SubflowEnd, Violation};
use mptcp_proto::key::AddressId;
use mptcp_proto::path::SubflowId;
use mptcp_proto::pm;
use mptcp_proto::wire::mptcp::{Priority, ResetReason, Subtype};

use super::join::{SECOND, SECOND_SERVER, down, established, join, up, violation};
use super::meddle::{drop_if, flip, meddle};
use super::pair::{Pair, SERVER, Way, address, pattern};

fn announced(event: &Event) -> Option<(AddressId, SocketAddr)> {
    match event {
        Event::AddressAnnounced { id, address } => Some((*id, *address)),
        _ => None,
    }
}

fn echoed(event: &Event) -> Option<AddressId> {
    match event {
        Event::AddressEchoed { id } => Some(*id),
        _ => None,
    }
}

fn with_manager(kind: pm::Kind) -> Config {
    Config {
        path_manager: kind,
        ..Config::default()
    }
}

#[test]
fn an_advertised_address_is_known_and_echoed() {
    let (mut pair, ids) = established(&Config::default());
    for (id, text) in [
        (3, "10.9.1.1:80"),
        (4, "10.9.1.2:9999"),
        (5, "[fd00::5]:80"),
        (6, "[fd00::6]:9999"),
    ] {
        pair.server(ids[1]).announce(AddressId(id), address(text));
        pair.run_for(Duration::from_millis(300));
        let last = pair.picked(0, announced).last().copied();
        assert_eq!(last, Some((AddressId(id), address(text))));
        assert_eq!(pair.picked(1, echoed).last(), Some(&AddressId(id)));
    }
}

#[test]
fn version_0_advertises_without_echo() {
    let config = Config {
        mptcp: Offer::V0,
        ..Config::default()
    };
    let (mut pair, ids) = established(&config);
    pair.server(ids[1])
        .announce(AddressId(3), address("10.9.1.1:80"));
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.picked(0, announced).len(), 1);
    assert!(pair.picked(1, echoed).is_empty());
}

#[test]
fn many_addresses_arrive_without_three_bare_acknowledgements_in_a_row() {
    for offer in [Offer::V0, Offer::V1] {
        let config = Config {
            mptcp: offer,
            ..Config::default()
        };
        let (mut pair, ids) = established(&config);
        let (begin, before) = (pair.now, pair.log.len());
        for id in 1..9 {
            let text = format!("10.9.1.{id}:80");
            pair.server(ids[1]).announce(AddressId(id), address(&text));
        }
        pair.run_for(Duration::from_secs(3));
        assert_eq!(pair.picked(0, announced).len(), 8, "{offer:?}");
        let mut in_a_row = 0_u32;
        let mut last = begin;
        for sent in &pair.log[before..] {
            let is_new = sent.at.since(last) >= Duration::from_millis(150);
            in_a_row = match sent.way {
                Way::ToClient if !is_new => in_a_row + 1,
                Way::ToClient => 1,
                Way::ToServer => in_a_row.saturating_sub(1),
            };
            last = sent.at;
            assert!(in_a_row <= 2, "{offer:?} at {}", sent.at.as_millis());
        }
    }
}

#[test]
fn an_address_with_a_wrong_hmac_is_ignored_and_repeated_until_it_is_echoed() {
    let mut config = Config::default();
    config.patience.add_addr = Duration::from_millis(200);
    let (mut pair, ids) = established(&config);
    let mut left = 2;
    pair.hook = Some(meddle(move |seen, options, _| {
        if seen.way == Way::ToClient && seen.has(Subtype::ADD_ADDR) && left > 0 {
            left -= 1;
            flip(options, Subtype::ADD_ADDR);
        }
        true
    }));
    pair.server(ids[1])
        .announce(AddressId(3), address(SECOND_SERVER));
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.picked(0, announced).len(), 1);
    assert_eq!(pair.picked(1, echoed), [AddressId(3)]);
    let refused = pair.picked(0, violation);
    assert_eq!(refused, [Violation::AddAddrHmac, Violation::AddAddrHmac]);
}

#[test]
fn fullmesh_joins_from_each_local_to_each_advertised_address() {
    let mut pair = Pair::new(5);
    for text in ["10.0.0.1", "10.0.1.1"] {
        pair.client.address_up(text.parse().unwrap());
    }
    for text in ["10.9.0.1", "10.9.1.1"] {
        pair.server.address_up(text.parse().unwrap());
    }
    let ours = pair.connect(
        with_manager(pm::Kind::Fullmesh),
        with_manager(pm::Kind::Signal),
    );
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    let limit = Duration::from_secs(60);
    pair.transfer(
        [ours, theirs],
        &pattern(3_000_000, 1),
        &pattern(3_000_000, 2),
        limit,
    );
    assert_eq!(pair.client(ours).info().subflows_total, 4);
    let mut ends: Vec<String> = pair
        .client(ours)
        .subflows()
        .map(|subflow| format!("{}-{}", subflow.path.local.ip(), subflow.path.remote))
        .collect();
    ends.sort();
    let expected = [
        "10.0.0.1-10.9.0.1:80",
        "10.0.0.1-10.9.1.1:80",
        "10.0.1.1-10.9.0.1:80",
        "10.0.1.1-10.9.1.1:80",
    ];
    assert_eq!(ends, expected);
    pair.exchange([ours, theirs], &pattern(100, 3), &pattern(100, 4));
}

#[test]
fn the_c_flag_of_the_server_keeps_joins_from_its_initial_address() {
    let mut server = with_manager(pm::Kind::Signal);
    server.wishes = Wishes {
        no_join_to_initial: true,
        ..Wishes::default()
    };
    let mut pair = Pair::new(5);
    for text in ["10.0.0.1", "10.0.1.1"] {
        pair.client.address_up(text.parse().unwrap());
    }
    for text in ["10.9.0.1", "10.9.1.1"] {
        pair.server.address_up(text.parse().unwrap());
    }
    let ours = pair.connect(with_manager(pm::Kind::Fullmesh), server);
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    let limit = Duration::from_secs(60);
    pair.transfer(
        [ours, theirs],
        &pattern(300_000, 1),
        &pattern(300_000, 2),
        limit,
    );
    let joined = pair.client(ours).subflows().skip(1);
    let remotes: Vec<_> = joined.map(|subflow| subflow.path.remote).collect();
    assert!(
        !remotes.is_empty()
            && remotes
                .iter()
                .all(|remote| *remote == address(SECOND_SERVER))
    );
    // A client that does not care is refused.
    let local = address("10.0.7.1:99");
    pair.client(ours)
        .open_subflow(local, address(SERVER), Priority::Regular)
        .unwrap();
    pair.run_for(Duration::from_millis(300));
    let refused = SubflowEnd::ResetByPeer {
        reason: Some((ResetReason::ADMINISTRATIVELY_PROHIBITED, false)),
    };
    assert!(pair.picked(0, down).iter().any(|(_, how)| *how == refused));
}

#[test]
fn a_withdrawn_address_closes_its_subflow_on_both_sides() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let second = pair.client(ids[0]).subflows().nth(1).unwrap();
    assert_ne!(second.local_id, AddressId(0));
    pair.client(ids[0]).remove_address(second.local_id);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.picked(1, down), [(SubflowId(1), SubflowEnd::Closed)]);
    assert_eq!(pair.picked(0, down), [(SubflowId(1), SubflowEnd::Closed)]);
    let removed = pair.picked(1, |event| match event {
        Event::AddressRemoved { id } => Some(*id),
        _ => None,
    });
    assert_eq!(removed, [second.local_id]);
    pair.exchange(ids, &pattern(100_000, 1), &pattern(100_000, 2));
}

#[test]
fn mp_prio_moves_the_data_to_the_other_subflow() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    pair.client(ids[0])
        .set_priority(SubflowId(0), Priority::Backup)
        .unwrap();
    pair.run_for(Duration::from_millis(100));
    let segments = |pair: &Pair| {
        let connection = pair.server.connections().next().unwrap();
        connection
            .subflows()
            .next()
            .unwrap()
            .tcp
            .counters
            .segments_out
    };
    let before = segments(&pair);
    let limit = Duration::from_secs(60);
    pair.transfer(ids, &[], &pattern(500_000, 2), limit);
    assert!(segments(&pair) < before + 10);
    let changed = pair.picked(1, |event| match event {
        Event::PriorityChanged { id, priority } => Some((*id, *priority)),
        _ => None,
    });
    assert_eq!(changed, [(SubflowId(0), Priority::Backup)]);
}

#[test]
fn a_subflow_closed_with_fin_takes_nothing_with_it() {
    let (mut pair, ids) = established(&Config::default());
    join(&mut pair, ids[0], Priority::Regular);
    let (up_data, down_data) = (pattern(500_000, 1), pattern(500_000, 2));
    let mut is_closed = false;
    let (mut done, mut got) = ([0, 0], [Vec::new(), Vec::new()]);
    pair.run_until(Duration::from_secs(60), |pair| {
        done[0] += pair.client(ids[0]).write(&up_data[done[0]..]).unwrap();
        done[1] += pair.server(ids[1]).write(&down_data[done[1]..]).unwrap();
        super::pair::read_all(pair.client(ids[0]), &mut got[0]);
        super::pair::read_all(pair.server(ids[1]), &mut got[1]);
        if !is_closed && got[1].len() > 100_000 {
            is_closed = true;
            let fin = SubflowClose::Fin;
            pair.client(ids[0])
                .close_subflow(SubflowId(0), fin)
                .unwrap();
        }
        got[0].len() == down_data.len() && got[1].len() == up_data.len()
    });
    assert!(got[0] == down_data && got[1] == up_data);
    pair.run_for(Duration::from_secs(5));
    assert_eq!(pair.picked(0, down), [(SubflowId(0), SubflowEnd::Closed)]);
}

#[test]
fn an_address_that_goes_down_takes_its_subflow_and_the_rest_goes_on() {
    let mut pair = Pair::new(5);
    for text in ["10.0.0.1", "10.0.1.1"] {
        pair.client.address_up(text.parse().unwrap());
    }
    let ours = pair.connect(with_manager(pm::Kind::Fullmesh), Config::default());
    pair.run_for(Duration::from_millis(100));
    let theirs = pair.accepted();
    let limit = Duration::from_secs(60);
    pair.transfer(
        [ours, theirs],
        &pattern(300_000, 1),
        &pattern(300_000, 2),
        limit,
    );
    assert_eq!(pair.picked(0, up).len(), 2);
    pair.client.address_down("10.0.0.1".parse().unwrap());
    let gone = address(super::pair::CLIENT);
    pair.hook = Some(drop_if(move |seen| {
        [seen.segment.source, seen.segment.destination].contains(&gone)
    }));
    pair.transfer(
        [ours, theirs],
        &pattern(300_000, 3),
        &pattern(300_000, 4),
        limit,
    );
    let _ = SECOND;
}
