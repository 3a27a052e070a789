//! Middleboxes that change packets and leave the connection as it is, or nearly.

use super::super::scenario::{
    Expect,
    Network::Nat,
    Scenario,
    Step::{Close, Exchange, Place},
};
use super::{
    ALONE, BASE, R11, R21, TWO_PATHS, TWO_PATHS_TALK, client, ends, ends_of_two, falls_back, server,
};
use mptcp_tests::lab::Node;

/// The router behind the one that translates addresses.
const R12: Node = Node::router(1, 2);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-nat",
        shows: "the client is behind a router that translates its address: the server sees another one",
        network: Nat,
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-isn-shift",
        shows: "a box shifts the sequence numbers of both directions, and the acknowledgments back",
        boxes: &[(R11, "isn:delta=0x10203040")],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-isn-shift-sack",
        shows: "a box shifts the sequence numbers and forgets the SACK blocks, and the path loses packets: \
                they acknowledge what was never sent",
        boxes: &[(
            R11,
            "isn:delta=0x10203040,sack=leave+impair:delay_ms=5,loss=0.05,seed=3",
        )],
        steps: &[Exchange(40_000, 20_000), Close],
        captures: &ends(&[], &[]),
        require: &[(Node::Client, "TcpRetransSegs", 1)],
        ..BASE
    },
    Scenario {
        name: "v1-split",
        shows: "a box splits segments; every part has the options, and so the mapping of the whole",
        boxes: &[(R11, "split:at=half")],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-split-first",
        shows: "a box splits segments; only the first part has the options",
        boxes: &[(R11, "split:at=half,options=first")],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-coalesce",
        shows: "a box merges neighbouring segments of one mapping and keeps the options of the first",
        // Two of the client's segments fit into one of the path.
        setup: &[ALONE, (Node::Client, "ip link set c1 mtu 600")],
        steps: &[
            Exchange(1000, 1000),
            Place(R11, "coalesce:max=1400,hold_ms=20,toward=server"),
            Exchange(4000, 0),
            Close,
        ],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-mirror",
        shows: "a box gives the SYN/ACK the options of the SYN: the client gets its own MP_CAPABLE back",
        boxes: &[(R11, "mirror")],
        captures: &[
            falls_back(client(&["MPT010", "MPT012"]), "peer_is_tcp"),
            falls_back(server(&["MPT010"]), "third_ack_option_missing"),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableFallbackSYNACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-hole-blocked",
        shows: "boxes on both paths drop data behind a hole in the sequence: each subflow is whole, so they \
                never see one",
        setup: TWO_PATHS,
        boxes: &[(R11, "hole:toward=server"), (R21, "hole:toward=server")],
        steps: TWO_PATHS_TALK,
        captures: &ends_of_two(&[], &[]),
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-ack-corrected",
        shows: "a box lowers acknowledgments of data that it has not seen; on each path it has seen all",
        setup: TWO_PATHS,
        boxes: &[(R11, "ack:how=correct"), (R21, "ack:how=correct")],
        steps: TWO_PATHS_TALK,
        captures: &ends_of_two(&[], &[]),
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-nat-isn-split",
        shows: "a NAT, and behind it a box that shifts sequence numbers and splits segments",
        network: Nat,
        boxes: &[(R12, "isn:delta=0xfffff000+split:at=half")],
        captures: &ends(&[], &[]),
        ..BASE
    },
];
