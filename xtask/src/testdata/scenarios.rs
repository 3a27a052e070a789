//! The table of scenarios.

use super::scenario::{
    Capture, Expect,
    Family::{V4, V6},
    Protocol, Scenario,
    Side::{Client, Server},
    Step::{self, Done, Event, Pause, Run, Tell},
};
use mptcp_tests::lab::Node;

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

const CLIENT_C1: Capture = at(".pcap", Node::Client, &["c1"]);
const CLIENT_BOTH: Capture = at(".pcapng", Node::Client, &["c1", "c2"]);

const fn at(suffix: &'static str, node: Node, interfaces: &'static [&'static str]) -> Capture {
    Capture {
        suffix,
        node,
        interfaces,
        fallback: None,
    }
}

/// Captures at both ends, and how the fallback shows at the client and at the server.
const fn pair(client: &'static str, server: &'static str) -> [Capture; 2] {
    [
        Capture {
            fallback: Some(client),
            ..at("-client.pcap", Node::Client, &["c1"])
        },
        Capture {
            fallback: Some(server),
            ..at("-server.pcap", Node::Server, &["s1"])
        },
    ]
}

/// A little data both ways, and an orderly end.
const SHORT_TALK: &[Step] = &[
    Tell(Client, "send 6000"),
    Tell(Client, "read 9000"),
    Tell(Server, "send 9000"),
    Tell(Server, "read 6000"),
    Done(Client),
    Done(Server),
    Tell(Client, "send 3000"),
    Tell(Server, "read 9000"),
    Done(Server),
    Tell(Client, "shutdown"),
    Tell(Server, "eof"),
    Done(Server),
    Tell(Server, "shutdown"),
    Tell(Client, "eof"),
    Tell(Client, "report"),
    Tell(Server, "report"),
    Done(Client),
    Done(Server),
];

/// A first exchange, the join, then more than one path can carry at once, and an orderly end.
const TWO_PATHS_TALK: &[Step] = &[
    Tell(Client, "send 1000"),
    Tell(Server, "send 1000"),
    Tell(Server, "read 1000"),
    Done(Server),
    Event(Client, "SF_ESTABLISHED"),
    Event(Server, "SF_ESTABLISHED"),
    Tell(Client, "send 40000"),
    Tell(Server, "send 20000"),
    Tell(Client, "read 21000"),
    Tell(Server, "read 41000"),
    Done(Client),
    Done(Server),
    Tell(Client, "shutdown"),
    Tell(Server, "eof"),
    Done(Server),
    Tell(Server, "shutdown"),
    Tell(Client, "eof"),
    Tell(Client, "report"),
    Tell(Server, "report"),
    Done(Client),
    Done(Server),
];

/// What most scenarios share; each entry of the table says only what differs.
const BASE: Scenario = Scenario {
    name: "",
    shows: "",
    family: V4,
    paths: &[1, 1],
    server: Protocol::Mptcp,
    client_reads: true,
    setup: &[ALONE],
    steps: SHORT_TALK,
    captures: &[CLIENT_C1],
    require: &[],
    expect: Expect::clean(1),
};

/// Every scenario, in the order of the manifest.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-single",
        shows: "one subflow, data both ways, orderly close: nothing to complain about",
        ..BASE
    },
    Scenario {
        name: "v1-two-subflows",
        shows: "bulk both ways over two paths; the second path loses everything for a moment, its data \
                are retransmitted there and sent again on the first path",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS, SECOND_PATH],
        steps: &[
            Tell(Client, "send 1000"),
            Tell(Server, "send 1000"),
            Tell(Server, "read 1000"),
            Done(Server),
            Event(Client, "SF_ESTABLISHED"),
            Event(Server, "SF_ESTABLISHED"),
            Tell(Client, "send 20000"),
            Tell(Server, "send 20000"),
            Tell(Client, "read 21000"),
            Tell(Server, "read 21000"),
            Done(Client),
            Done(Server),
            Run(R21, "iptables -A FORWARD -i near -j DROP"),
            Tell(Client, "send 30000"),
            Pause { millis: 500 },
            Run(R21, "iptables -D FORWARD -i near -j DROP"),
            Tell(Client, "send 15000"),
            Tell(Server, "send 15000"),
            Tell(Client, "read 36000"),
            Tell(Server, "read 66000"),
            Done(Client),
            Done(Server),
            Pause { millis: 600 },
            Tell(Client, "shutdown"),
            Tell(Server, "eof"),
            Done(Server),
            Tell(Server, "shutdown"),
            Tell(Client, "eof"),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        captures: &[CLIENT_BOTH, at("-server.pcap", Node::Server, &["s1"])],
        require: &[
            (Node::Client, "MPTcpExtMPTCPRetrans", 1),
            (Node::Client, "TcpRetransSegs", 1),
        ],
        expect: Expect::clean(2),
        ..BASE
    },
    Scenario {
        name: "v1-ipv6",
        shows: "two subflows over IPv6, one capture file with two interfaces",
        family: V6,
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Client,
                "ip mptcp endpoint add fd00:1:2::1 dev c2 id 2 subflow",
            ),
        ],
        steps: TWO_PATHS_TALK,
        captures: &[CLIENT_BOTH],
        expect: Expect::clean(2),
        ..BASE
    },
    Scenario {
        name: "v1-checksum",
        shows: "DSS checksums on (net.mptcp.checksum_enabled=1 on both hosts), two subflows",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            SECOND_PATH,
            (
                Node::Client,
                "echo 1 > /proc/sys/net/mptcp/checksum_enabled",
            ),
            (
                Node::Server,
                "echo 1 > /proc/sys/net/mptcp/checksum_enabled",
            ),
        ],
        steps: TWO_PATHS_TALK,
        captures: &[CLIENT_BOTH],
        expect: Expect::clean(2),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr",
        shows: "the server advertises its second address (id 5), the client echoes and joins it, then the \
                server withdraws it with REMOVE_ADDR",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
            ),
        ],
        steps: &[
            Tell(Client, "send 4000"),
            Tell(Server, "send 4000"),
            Event(Client, "SF_ESTABLISHED"),
            Event(Server, "SF_ESTABLISHED"),
            Tell(Client, "send 20000"),
            Tell(Server, "send 20000"),
            Tell(Client, "read 24000"),
            Tell(Server, "read 24000"),
            Done(Client),
            Done(Server),
            Run(Node::Server, "ip mptcp endpoint delete id 5"),
            Event(Client, "REMOVED"),
            Tell(Client, "send 5000"),
            Tell(Server, "send 5000"),
            Tell(Client, "read 29000"),
            Tell(Server, "read 29000"),
            Done(Client),
            Done(Server),
            Tell(Client, "shutdown"),
            Tell(Server, "eof"),
            Done(Server),
            Tell(Server, "shutdown"),
            Tell(Client, "eof"),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        require: &[
            (Node::Client, "MPTcpExtAddAddr", 1),
            (Node::Client, "MPTcpExtRmAddr", 1),
        ],
        expect: Expect::clean(2),
        ..BASE
    },
    Scenario {
        name: "v1-backup-prio",
        shows: "the second path joins as backup and carries nothing, then MP_PRIO makes it a regular path \
                and a backup again",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Client,
                "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 subflow backup",
            ),
        ],
        steps: &[
            Tell(Client, "send 1000"),
            Tell(Server, "send 1000"),
            Event(Client, "SF_ESTABLISHED"),
            Event(Server, "SF_ESTABLISHED"),
            Tell(Client, "send 20000"),
            Tell(Server, "read 21000"),
            Done(Server),
            Run(Node::Client, "ip mptcp endpoint change id 2 nobackup"),
            Pause { millis: 200 },
            Tell(Client, "send 30000"),
            Tell(Server, "read 51000"),
            Done(Server),
            Run(Node::Client, "ip mptcp endpoint change id 2 backup"),
            Pause { millis: 200 },
            Tell(Client, "send 20000"),
            Tell(Server, "read 71000"),
            Done(Server),
            Tell(Client, "shutdown"),
            Tell(Server, "eof"),
            Done(Server),
            Tell(Server, "shutdown"),
            Tell(Client, "eof"),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        captures: &[CLIENT_BOTH],
        require: &[(Node::Client, "MPTcpExtMPPrioTx", 2)],
        expect: Expect::clean(2),
        ..BASE
    },
    Scenario {
        name: "v1-fastclose",
        shows: "the client aborts (linger time 0): MP_FASTCLOSE in a RST on both subflows",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS, SECOND_PATH],
        steps: &[
            Tell(Client, "send 1000"),
            Tell(Server, "send 1000"),
            Event(Client, "SF_ESTABLISHED"),
            Event(Server, "SF_ESTABLISHED"),
            Tell(Client, "send 20000"),
            Tell(Client, "read 1000"),
            Tell(Server, "read 21000"),
            Done(Client),
            Done(Server),
            Tell(Client, "abort"),
            Done(Client),
            Tell(Server, "eof"),
            Tell(Server, "report"),
            Done(Server),
        ],
        captures: &[CLIENT_BOTH],
        require: &[(Node::Client, "MPTcpExtMPFastcloseTx", 1)],
        expect: Expect::incident(2, true),
        ..BASE
    },
    Scenario {
        name: "v1-join-refused",
        shows: "the server allows no further subflow: RST with MP_TCPRST answers the third ACK of the join, \
                whose SYN/ACK was right; the first subflow goes on",
        setup: &[
            CLIENT_LIMITS,
            (
                Node::Server,
                "ip mptcp limits set subflow 0 add_addr_accepted 0",
            ),
            SECOND_PATH,
        ],
        steps: SHORT_TALK,
        captures: &[CLIENT_BOTH],
        require: &[
            (Node::Client, "MPTcpExtMPJoinSynTx", 1),
            (Node::Server, "MPTcpExtMPJoinRejected", 1),
        ],
        expect: Expect::incident(2, true),
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
        captures: &pair("synack_option_missing", "third_ack_option_missing"),
        expect: Expect::fallback(),
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
        captures: &pair("data_option_missing", "third_ack_option_missing"),
        expect: Expect::fallback(),
        ..BASE
    },
    Scenario {
        name: "v1-strip-mid-stream",
        shows: "a router begins to strip the MPTCP option in the middle of a connection, seen from both ends",
        setup: &[ALONE],
        steps: &[
            Tell(Client, "send 6000"),
            Tell(Server, "send 6000"),
            Tell(Client, "read 6000"),
            Tell(Server, "read 6000"),
            Done(Client),
            Done(Server),
            Pause { millis: 200 },
            Run(
                R11,
                "iptables -t mangle -A FORWARD -p tcp -j TCPOPTSTRIP --strip-options 30",
            ),
            Tell(Client, "send 6000"),
            Tell(Server, "read 12000"),
            Done(Server),
            Tell(Server, "send 6000"),
            Tell(Client, "read 12000"),
            Done(Client),
            Tell(Client, "shutdown"),
            Tell(Server, "eof"),
            Done(Server),
            Tell(Server, "shutdown"),
            Tell(Client, "eof"),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        captures: &pair("stripped_mid_stream", "stripped_mid_stream"),
        expect: Expect::fallback(),
        ..BASE
    },
    Scenario {
        name: "v1-server-plain",
        shows: "the server's application is plain TCP: MP_CAPABLE in the SYN, none in the SYN/ACK",
        server: Protocol::Tcp,
        captures: &[Capture {
            fallback: Some("peer_is_tcp"),
            ..CLIENT_C1
        }],
        expect: Expect::fallback(),
        ..BASE
    },
    Scenario {
        name: "v1-any-sll2",
        shows: "two subflows captured on the `any` device (Linux cooked mode, version 2)",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS, SECOND_PATH],
        steps: TWO_PATHS_TALK,
        captures: &[at(".pcap", Node::Client, &["any"])],
        expect: Expect::clean(2),
        ..BASE
    },
];
