//! Boxes that answer in the place of a host.

use super::super::scenario::{Expect, Opening, Scenario};
use super::{BASE, R11, client, ends, falls_back, plain, server};
use mptcp_tests::lab::Node;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-synproxy",
        shows: "a firewall answers the SYN itself (SYNPROXY), without MPTCP: plain TCP",
        boxes: &[(R11, "synproxy")],
        captures: &[
            falls_back(client(&["MPT010"]), "peer_is_tcp"),
            plain(server(&[])),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableFallbackSYNACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-split-proxy",
        shows: "a transparent proxy ends the connection itself and opens a plain one to the server",
        boxes: &[(R11, "split-proxy")],
        captures: &[
            falls_back(client(&["MPT010"]), "peer_is_tcp"),
            plain(server(&[])),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableFallbackSYNACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-mptcp-proxy",
        shows: "a transparent proxy speaks MPTCP with the client and plain TCP with the server",
        boxes: &[(R11, "split-proxy:front=mptcp")],
        captures: &[client(&[]), plain(server(&[]))],
        ..BASE
    },
    Scenario {
        name: "v1-mptcp-mptcp-proxy",
        shows: "a transparent proxy speaks MPTCP with both: two connections with different keys",
        boxes: &[(R11, "split-proxy:front=mptcp,back=mptcp")],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-rst-on-syn",
        shows: "a box answers SYNs with MP_CAPABLE with RST: the connection is refused, Linux does not try \
                without the option",
        opening: Opening::Fails("refused"),
        boxes: &[(R11, "refuse:with=mp_capable,on=syn,how=rst")],
        steps: &[],
        captures: &[client(&[])],
        expect: Expect::whole(0),
        ..BASE
    },
];
