//! The server's part: it advertises its addresses, and the client joins them.

use std::net::SocketAddr;

use mptcp_proto::conn::config::Offer;
use mptcp_proto::conn::{Counter, Event};
use mptcp_proto::key::AddressId;
use mptcp_proto::pm;
use mptcp_tests::sim::{CLIENT, SERVER, ms, secs};

use super::{Data, PORT, Plan, Run, VERSIONS};

/// The client has one address, and reaches the second one of the server over the second path.
fn begin(offer: Offer, links: &[&'static str], client: pm::Kind) -> Run {
    let plan = Plan {
        has_server_addresses: true,
        has_one_client_address: true,
        data: Data::at(12_000_000, secs(5)),
        add_addr: ms(500),
        ..Plan::new(offer, links, client)
    };
    let mut run = plan.run();
    let (near, far) = (run.client_address(0), run.server_address(1));
    run.net
        .join(run.paths[1], (CLIENT, &[near]), (SERVER, &[far]));
    run
}

const LINKS: [&str; 2] = ["10mbit 10ms queue=100kB", "10mbit 20ms queue=100kB"];

#[test]
fn an_advertised_address_is_joined_by_a_client_with_one_address() {
    for (offer, client) in VERSIONS.into_iter().flat_map(|offer| {
        [
            (offer, pm::Kind::Fullmesh),
            (offer, pm::Kind::BreakBeforeMake),
        ]
    }) {
        let mut run = begin(offer, &LINKS, client);
        run.lasting(secs(1));
        let (near, first, second) = (
            run.client_address(0),
            run.server_address(0),
            run.server_address(1),
        );
        let both = [(near, first), (near, second)];
        // Who breaks before he makes knows the address and keeps it for later.
        let expected = if client == pm::Kind::Fullmesh { 2 } else { 1 };
        assert_eq!(run.ends(), both[..expected], "{offer:?} {client}");
        assert_eq!(run.carries(1, secs(2)) > 200_000, expected == 2);
        let ended = run.finish();
        assert_eq!(ended.warnings(), [""; 0]);
        let announced = Event::AddressAnnounced {
            id: AddressId(1),
            address: SocketAddr::new(second, PORT),
        };
        assert_eq!(ended.client.count(|event| *event == announced), 1);
        let is_v1 = offer == Offer::V1;
        assert_eq!(ended.server.value(Counter::AddAddrTx), 1);
        assert_eq!(ended.server.value(Counter::EchoAdd), usize::from(is_v1));
        for seen in &ended.seen {
            assert_eq!(seen.addresses.len(), 1);
            assert_eq!(seen.addresses[0].address, second);
        }
    }
}

#[test]
fn an_address_that_a_box_keeps_from_the_client_is_not_joined_and_nothing_hangs() {
    let links = [
        "10mbit 10ms queue=100kB | strip:option=add_addr_announce",
        LINKS[1],
    ];
    for offer in VERSIONS {
        let mut run = begin(offer, &links, pm::Kind::Fullmesh);
        run.lasting(secs(5));
        assert_eq!(run.ends().len(), 1, "{offer:?}");
        assert_eq!(run.carried(1), 0);
        let ended = run.finish();
        let is_about = |event: &Event| matches!(event, Event::AddressAnnounced { .. });
        assert_eq!(ended.client.count(is_about), 0);
        assert_eq!(
            ended
                .server
                .count(|event| matches!(event, Event::AddressEchoed { .. })),
            0
        );
        assert_eq!([ended.client.ups(), ended.server.ups()], [1, 1]);
        // RFC 8684 §3.4.1: until an echo comes; version 0 has none.
        let is_v1 = offer == Offer::V1;
        assert_eq!(ended.server.value(Counter::AddAddrTx) > 1, is_v1);
    }
}

#[test]
fn a_server_without_an_address_to_spare_advertises_none() {
    for offer in VERSIONS {
        let plan = Plan {
            has_one_client_address: true,
            ..Plan::new(offer, &LINKS[..1], pm::Kind::Fullmesh)
        };
        let plan = Plan {
            has_server_addresses: true,
            ..plan
        };
        let ended = plan.run().finish();
        assert_eq!(ended.warnings(), [""; 0]);
        assert_eq!(ended.server.value(Counter::AddAddrTx), 0);
        assert_eq!(ended.client.ups(), 1);
    }
}
