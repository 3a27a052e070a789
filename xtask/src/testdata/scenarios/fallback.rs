//! Fallbacks to regular TCP because something is missing (RFC 8684 §3.7).

use super::super::scenario::{
    Expect, Protocol, Scenario,
    Step::{Close, Exchange, Pause, Run},
};
use super::{ALONE, BASE, R11, client, falls_back, noting, plain, server};
use mptcp_tests::lab::Node;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-fallback-syn",
        shows: "a box takes MP_CAPABLE out of the SYN: plain TCP, as if the server knew no MPTCP",
        boxes: &[(R11, "strip:option=mp_capable,how=remove,on=syn")],
        captures: &[
            falls_back(client(&["MPT010"]), "peer_is_tcp"),
            plain(server(&[])),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableFallbackSYNACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-syn-dropped",
        shows: "a box drops SYNs with MP_CAPABLE: after three of them the client sends one without",
        boxes: &[(R11, "refuse:with=mp_capable,on=syn")],
        captures: &[
            falls_back(client(&["MPT010"]), "syn_option_missing"),
            plain(server(&[])),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableSYNTXDrop", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-fallback-synack",
        shows: "a router strips the MPTCP option of the SYN/ACK only: plain TCP, seen from both ends",
        setup: &[
            ALONE,
            (
                R11,
                "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,ACK SYN,ACK \
                            -j TCPOPTSTRIP --strip-options 30",
            ),
        ],
        captures: &[
            falls_back(client(&["MPT010", "MPT011"]), "synack_option_missing"),
            falls_back(server(&["MPT010"]), "third_ack_option_missing"),
        ],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-server-plain",
        shows: "the server's application is plain TCP: MP_CAPABLE in the SYN, none in the SYN/ACK",
        server: Protocol::Tcp,
        captures: &[falls_back(client(&["MPT010"]), "peer_is_tcp")],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-negotiation",
        shows: "a box changes the version in the SYN/ACK to 0: the client does not speak it and goes on \
                with plain TCP",
        boxes: &[(R11, "rewrite:field=version,set=0,on=synack")],
        captures: &[
            falls_back(client(&["MPT010", "MPT013"]), "negotiation"),
            falls_back(server(&["MPT010"]), "third_ack_option_missing"),
        ],
        require: &[(Node::Client, "MPTcpExtMPCapableFallbackSYNACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-fallback-third-ack",
        shows: "a box takes MP_CAPABLE out of the third ACK: the server falls back, and the client when it \
                gets answers without option",
        boxes: &[(R11, "strip:option=mp_capable,how=remove,on=third_ack")],
        captures: &[
            falls_back(client(&["MPT010"]), "data_option_missing"),
            falls_back(server(&["MPT010"]), "third_ack_option_missing"),
        ],
        require: &[(Node::Server, "MPTcpExtMPCapableFallbackACK", 1)],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-fallback-strip-data",
        shows: "a router strips the MPTCP option of everything but SYN and SYN/ACK, seen from both ends",
        setup: &[
            ALONE,
            (
                R11,
                "iptables -t mangle -A FORWARD -p tcp ! --tcp-flags SYN SYN \
                            -j TCPOPTSTRIP --strip-options 30",
            ),
        ],
        captures: &[
            falls_back(client(&["MPT010"]), "data_option_missing"),
            falls_back(server(&["MPT010"]), "third_ack_option_missing"),
        ],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-strip-mid-stream",
        shows: "a router begins to strip the MPTCP option in the middle of a connection, seen from both ends",
        steps: &[
            Exchange(6000, 6000),
            Pause { millis: 200 },
            Run(
                R11,
                "iptables -t mangle -A FORWARD -p tcp -j TCPOPTSTRIP --strip-options 30",
            ),
            Exchange(6000, 0),
            Exchange(0, 6000),
            Close,
        ],
        captures: &[
            falls_back(client(&["MPT010"]), "stripped_mid_stream"),
            falls_back(server(&["MPT010"]), "stripped_mid_stream"),
        ],
        ..BASE
    },
    Scenario {
        name: "v1-proactive-ack",
        shows: "a box acknowledges data itself, without MPTCP option: the client falls back",
        boxes: &[(R11, "proactive:toward=server")],
        steps: &[Exchange(4000, 0), Exchange(3000, 9000), Close],
        captures: &[
            noting(
                falls_back(client(&["MPT010"]), "data_option_missing"),
                &["MPT045"],
            ),
            falls_back(server(&["MPT010"]), "data_option_missing"),
        ],
        expect: Expect::whole(0),
        ..BASE
    },
];
