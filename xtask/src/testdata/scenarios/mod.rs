//! The table of scenarios, one file per topic.

mod address;
mod fallback;
mod integrity;
mod join;
mod middlebox;
mod proxy;
mod transfer;

use super::scenario::{
    Capture, Expect, Family::V4, Network::Paths, Opening, Protocol, Scenario, Step,
};
use mptcp_tests::lab::Node;

use Step::{Close, Events, Exchange};

use super::scenario::Side::{Client, Server};

/// Every scenario, in the order of the manifest.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        transfer::SCENARIOS,
        address::SCENARIOS,
        join::SCENARIOS,
        fallback::SCENARIOS,
        integrity::SCENARIOS,
        middlebox::SCENARIOS,
        proxy::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// The router of the first path, and of the second.
const R11: Node = Node::router(1, 1);
const R21: Node = Node::router(2, 1);

/// No joins at all.
const ALONE: (Node, &str) = (
    Node::Client,
    "ip mptcp limits set subflow 0 add_addr_accepted 0",
);
const CLIENT_LIMITS: (Node, &str) = (
    Node::Client,
    "ip mptcp limits set subflow 4 add_addr_accepted 4",
);
const SERVER_LIMITS: (Node, &str) = (
    Node::Server,
    "ip mptcp limits set subflow 4 add_addr_accepted 4",
);
/// The client joins from its second address.
const SECOND_PATH: (Node, &str) = (
    Node::Client,
    "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 subflow",
);
const TWO_PATHS: &[(Node, &str)] = &[CLIENT_LIMITS, SERVER_LIMITS, SECOND_PATH];

const CLIENT_CHECKSUMS: (Node, &str) = (
    Node::Client,
    "echo 1 > /proc/sys/net/mptcp/checksum_enabled",
);
const SERVER_CHECKSUMS: (Node, &str) = (
    Node::Server,
    "echo 1 > /proc/sys/net/mptcp/checksum_enabled",
);

const CLIENT_C1: Capture = at(".pcap", Node::Client, &["c1"]);
const CLIENT_BOTH: Capture = at(".pcapng", Node::Client, &["c1", "c2"]);

const fn at(suffix: &'static str, node: Node, interfaces: &'static [&'static str]) -> Capture {
    Capture {
        suffix,
        node,
        interfaces,
        late: false,
        connections: 1,
        fallback: None,
        findings: &[],
        notes: &[],
        large_because: None,
    }
}

/// A capture at the client's first interface that must be warned of.
const fn client(findings: &'static [&'static str]) -> Capture {
    Capture {
        findings,
        ..at("-client.pcap", Node::Client, &["c1"])
    }
}

/// A capture at the server that must be warned of.
const fn server(findings: &'static [&'static str]) -> Capture {
    Capture {
        findings,
        ..at("-server.pcap", Node::Server, &["s1"])
    }
}

/// Captures at both ends of the first path, and what must be warned of there.
const fn ends(
    client_findings: &'static [&'static str],
    server_findings: &'static [&'static str],
) -> [Capture; 2] {
    [client(client_findings), server(server_findings)]
}

/// The same of two paths.
const fn ends_of_two(
    client: &'static [&'static str],
    server: &'static [&'static str],
) -> [Capture; 2] {
    [
        Capture {
            findings: client,
            ..at("-client.pcapng", Node::Client, &["c1", "c2"])
        },
        Capture {
            findings: server,
            ..at("-server.pcapng", Node::Server, &["s1", "s2"])
        },
    ]
}

/// A capture that ends in a fallback with this reason.
const fn falls_back(capture: Capture, reason: &'static str) -> Capture {
    Capture {
        fallback: Some(reason),
        ..capture
    }
}

/// A capture that must be told of too, without alarm.
const fn noting(capture: Capture, notes: &'static [&'static str]) -> Capture {
    Capture { notes, ..capture }
}

/// A capture where nothing shows MPTCP.
const fn plain(capture: Capture) -> Capture {
    Capture {
        connections: 0,
        ..capture
    }
}

/// A little data both ways, and an orderly end.
const SHORT_TALK: &[Step] = &[Exchange(6000, 9000), Exchange(3000, 0), Close];

/// A first exchange, the join, then more than one path can carry at once, and an orderly end.
const TWO_PATHS_TALK: &[Step] = &[
    Exchange(1000, 1000),
    Events(Client, "SF_ESTABLISHED", 1),
    Events(Server, "SF_ESTABLISHED", 1),
    Exchange(40_000, 20_000),
    Close,
];

/// What most scenarios share; each entry of a table says only what differs.
const BASE: Scenario = Scenario {
    name: "",
    shows: "",
    family: V4,
    port: 5001,
    network: Paths(&[1, 1]),
    server: Protocol::Mptcp,
    opening: Opening::Plain,
    setup: &[ALONE],
    boxes: &[],
    steps: SHORT_TALK,
    captures: &[CLIENT_C1],
    require: &[],
    expect: Expect::whole(1),
};
