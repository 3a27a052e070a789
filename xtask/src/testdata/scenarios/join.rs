//! Joins that fail, for every reason there is.

use super::super::scenario::{
    Expect, Scenario,
    Side::{Client, Server},
    Step::{self, Close, Counter, Events, Exchange, Listen, Place, Remove, Run},
};
use super::{
    BASE, CLIENT_BOTH, CLIENT_LIMITS, Capture, R11, R21, SECOND_PATH, SERVER_LIMITS, TWO_PATHS,
    ends_of_two, noting,
};
use mptcp_tests::lab::Node;

/// The join that the client begins meets its end, and the first subflow goes on.
const fn until(node: Node, counter: &'static str) -> [Step; 4] {
    [
        Exchange(6000, 9000),
        Counter(node, counter, 1),
        Exchange(3000, 3000),
        Close,
    ]
}

/// The server's capture does not tell that the join belongs to the connection.
const fn with_stranger([client, server]: [Capture; 2]) -> [Capture; 2] {
    let server = Capture {
        connections: 2,
        ..server
    };
    [client, server]
}

pub(super) const SCENARIOS: &[Scenario] = &[
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
        captures: &[Capture {
            findings: &["MPT032"],
            ..CLIENT_BOTH
        }],
        require: &[
            (Node::Client, "MPTcpExtMPJoinSynTx", 1),
            (Node::Server, "MPTcpExtMPJoinRejected", 1),
        ],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-join-unknown-token",
        shows: "a box changes the token of the join: the server knows no such connection and answers with \
                RST and MP_TCPRST",
        setup: TWO_PATHS,
        boxes: &[(R21, "rewrite:field=token,toward=server")],
        steps: &until(Node::Server, "MPTcpExtMPJoinNoTokenFound"),
        captures: &with_stranger(ends_of_two(&["MPT032"], &["MPT032"])),
        ..BASE
    },
    Scenario {
        name: "v1-join-hmac-synack",
        shows: "a box changes the HMAC in the SYN/ACK of the join: the client answers with RST and MP_TCPRST",
        setup: TWO_PATHS,
        boxes: &[(R21, "rewrite:field=join_hmac,on=synack")],
        steps: &until(Node::Client, "MPTcpExtMPJoinSynAckHMacFailure"),
        captures: &ends_of_two(&["MPT030", "MPT032"], &["MPT032"]),
        ..BASE
    },
    Scenario {
        name: "v1-join-hmac-ack",
        shows: "a box changes the HMAC in the third ACK of the join: the server answers with RST and \
                MP_TCPRST",
        setup: TWO_PATHS,
        boxes: &[(R21, "rewrite:field=join_hmac,on=third_ack")],
        steps: &until(Node::Server, "MPTcpExtMPJoinAckHMacFailure"),
        captures: &ends_of_two(&["MPT032"], &["MPT030", "MPT032"]),
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-join-syn-stripped",
        shows: "a box takes MP_JOIN out of the SYN: the server answers as plain TCP, the client with RST \
                and MP_TCPRST",
        setup: TWO_PATHS,
        boxes: &[(R21, "strip:option=mp_join,how=remove,on=syn")],
        steps: &until(Node::Client, "MPTcpExtMPRstTx"),
        captures: &with_stranger(ends_of_two(&["MPT031", "MPT032"], &["MPT036"])),
        ..BASE
    },
    Scenario {
        name: "v1-join-synack-stripped",
        shows: "a box takes MP_JOIN out of the SYN/ACK of the join: the client answers with RST and \
                MP_TCPRST",
        setup: TWO_PATHS,
        boxes: &[(R21, "strip:option=mp_join,how=remove,on=synack")],
        steps: &until(Node::Client, "MPTcpExtMPRstTx"),
        captures: &ends_of_two(&["MPT031", "MPT032"], &["MPT032"]),
        ..BASE
    },
    Scenario {
        name: "v1-join-dropped",
        shows: "a box drops SYNs with MP_JOIN: the client repeats it, and the first subflow goes on",
        setup: TWO_PATHS,
        boxes: &[(R21, "refuse:with=mp_join,on=syn")],
        steps: &until(Node::Client, "TcpRetransSegs"),
        captures: &[
            noting(ends_of_two(&[], &[])[0], &["MPT033"]),
            ends_of_two(&[], &[])[1],
        ],
        ..BASE
    },
    Scenario {
        name: "v1-join-rst",
        shows: "a box answers SYNs with MP_JOIN with a RST of its own",
        setup: TWO_PATHS,
        boxes: &[(R21, "refuse:with=mp_join,on=syn,how=rst")],
        steps: &[
            Exchange(6000, 9000),
            Events(Client, "SF_CLOSED", 1),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &ends_of_two(&["MPT032"], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-join-prohibited",
        shows: "a box answers SYNs with MP_JOIN with ICMP administratively prohibited",
        setup: TWO_PATHS,
        boxes: &[(R21, "refuse:with=mp_join,on=syn,how=icmp")],
        steps: &[
            Exchange(6000, 9000),
            Events(Client, "SF_CLOSED", 1),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &[
            noting(ends_of_two(&[], &[])[0], &["MPT033"]),
            ends_of_two(&[], &[])[1],
        ],
        ..BASE
    },
    Scenario {
        name: "v1-join-closed-port",
        shows: "the client advertises its second address without a port; the server joins the port of the \
                first subflow there, where nobody listens: RST without MP_TCPRST",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Client,
                "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 signal",
            ),
        ],
        steps: &until(Node::Server, "MPTcpExtMPJoinSynTx"),
        captures: &[Capture {
            findings: &["MPT032"],
            ..CLIENT_BOTH
        }],
        ..BASE
    },
    Scenario {
        name: "v1-join-port-syn",
        shows: "a box sends the SYN of the join to another port, where a server with MPTCP listens: it is \
                neither the port of the connection nor an advertised one, and RST with MP_TCPRST answers",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                R21,
                "iptables -t nat -A PREROUTING -i near -p tcp --dport 5001 -j DNAT --to-destination :5002",
            ),
        ],
        steps: &[
            Exchange(6000, 9000),
            Listen("0.0.0.0:5002"),
            Run(SECOND_PATH.0, SECOND_PATH.1),
            Counter(Node::Server, "MPTcpExtMismatchPortSynRx", 1),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &ends_of_two(&["MPT032"], &["MPT032"]),
        require: &[(Node::Server, "MPTcpExtMismatchPortSynRx", 1)],
        ..BASE
    },
    Scenario {
        name: "v1-join-port-ack",
        shows: "the server withdraws the advertised port 5100 while the third ACK of the join is on its \
                way; another server listens there, knows the SYN by its cookie, and answers with RST and \
                MP_TCPRST",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            // It joins advertised addresses only.
            (
                Node::Client,
                "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 fullmesh",
            ),
            // A request must outlive its listener.
            (Node::Server, "echo 2 > /proc/sys/net/ipv4/tcp_syncookies"),
        ],
        steps: &[
            Exchange(6000, 9000),
            Place(R21, "impair:toward=server,delay_ms=700"),
            // REMOVE_ADDR must not come before the answer to the third ACK.
            Place(R11, "impair:toward=client,delay_ms=1000"),
            Run(
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal port 5100",
            ),
            Counter(Node::Server, "MPTcpExtMPJoinPortSynRx", 1),
            Run(Node::Server, "ip mptcp endpoint delete id 5"),
            Listen("10.2.2.1:5100"),
            // A listener takes a cookie only after it has sent one.
            Run(Node::Server, "bash -c ': < /dev/tcp/10.2.2.1/5100'"),
            Counter(Node::Server, "MPTcpExtMismatchPortAckRx", 1),
            Events(Client, "REMOVED", 1),
            Remove(R11),
            Remove(R21),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &ends_of_two(&["MPT032"], &["MPT032"]),
        require: &[(Node::Server, "MPTcpExtMismatchPortAckRx", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-subflow-stripped",
        shows: "a box on the second path begins to take out MPTCP options after the join: that subflow is \
                reset with MP_TCPRST, and its data come again on the first",
        setup: TWO_PATHS,
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Place(R21, "strip:option=mptcp,how=remove"),
            Exchange(40_000, 3000),
            Close,
        ],
        captures: &[
            ends_of_two(&["MPT060"], &[])[0],
            noting(ends_of_two(&[], &["MPT060"])[1], &["MPT044"]),
        ],
        require: &[(Node::Server, "MPTcpExtMPRstTx", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
];
