//! Addresses: advertised, withdrawn, with priorities, and lost on the way.

use super::super::scenario::{
    Expect,
    Family::V6,
    Scenario,
    Side::{Client, Server},
    Step::{Close, Counter, Events, Exchange, Run},
};
use super::{
    BASE, CLIENT_BOTH, CLIENT_LIMITS, Capture, R11, SECOND_PATH, SERVER_LIMITS, TWO_PATHS, at,
    client, ends, falls_back, noting, server,
};
use mptcp_tests::lab::Node;

/// The server advertises its second address.
const SIGNAL: (Node, &str) = (
    Node::Server,
    "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-add-addr",
        shows: "the server advertises its second address (id 5), the client echoes and joins it, then the \
                server withdraws it with REMOVE_ADDR",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS, SIGNAL],
        steps: &[
            Exchange(4000, 4000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 20_000),
            Run(Node::Server, "ip mptcp endpoint delete id 5"),
            Events(Client, "REMOVED", 1),
            Exchange(5000, 5000),
            Close,
        ],
        require: &[
            (Node::Client, "MPTcpExtAddAddr", 1),
            (Node::Client, "MPTcpExtRmAddr", 1),
        ],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-port",
        shows: "the server advertises its second address with port 5100, the client echoes and joins there",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal port 5100",
            ),
        ],
        steps: &[
            Exchange(4000, 4000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(10_000, 10_000),
            Close,
        ],
        require: &[(Node::Client, "MPTcpExtPortAdd", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-ipv4",
        shows: "the server advertises an IPv4 address on an IPv6 connection, the client joins it",
        family: V6,
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 6 signal",
            ),
        ],
        steps: &[
            Exchange(4000, 4000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(10_000, 10_000),
            Close,
        ],
        captures: &[CLIENT_BOTH],
        require: &[(Node::Client, "MPTcpExtAddAddr", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-echo-lost",
        shows: "two echoes of an advertised address are lost; the server advertises it again until the \
                third echo arrives",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Server,
                "echo 1 > /proc/sys/net/mptcp/add_addr_timeout",
            ),
        ],
        boxes: &[(R11, "refuse:with=add_addr_echo,count=2")],
        steps: &[
            Exchange(4000, 4000),
            Run(
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
            ),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Counter(Node::Server, "MPTcpExtEchoAdd", 1),
            Exchange(5000, 5000),
            Close,
        ],
        captures: &ends(&[], &[]),
        require: &[(Node::Client, "MPTcpExtAddAddr", 3)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-stripped",
        shows: "a box takes ADD_ADDR out of the packets of a connection in progress; the server repeats it \
                in vain",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Server,
                "echo 1 > /proc/sys/net/mptcp/add_addr_timeout",
            ),
        ],
        boxes: &[(R11, "strip:option=add_addr,how=remove,toward=client")],
        steps: &[
            Exchange(4000, 4000),
            Run(
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
            ),
            Counter(Node::Server, "MPTcpExtAddAddrTx", 2),
            Exchange(5000, 5000),
            Close,
        ],
        captures: &[client(&[]), noting(server(&[]), &["MPT051"])],
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-stripped-first",
        shows: "a box takes ADD_ADDR out of the packet after the handshake, which has no other option: the \
                client takes it for a server that fell back, and falls back too",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS, SIGNAL],
        boxes: &[(R11, "strip:option=add_addr,toward=client")],
        captures: &[
            falls_back(client(&["MPT010"]), "data_option_missing"),
            falls_back(server(&["MPT010"]), "data_option_missing"),
        ],
        expect: Expect::whole(0),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-forged",
        shows: "a box changes the HMAC of an advertised address: the client ignores it",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS],
        boxes: &[(R11, "rewrite:field=address_hmac,toward=client")],
        steps: &[
            Exchange(4000, 4000),
            Run(
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
            ),
            Counter(Node::Server, "MPTcpExtAddAddrTx", 1),
            Exchange(5000, 5000),
            Close,
        ],
        captures: &ends(&["MPT050"], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-add-addr-translated",
        shows: "a box writes another address into ADD_ADDR, as a NAT might; the HMAC does not fit any more \
                and the client ignores it",
        setup: &[CLIENT_LIMITS, SERVER_LIMITS],
        boxes: &[(R11, "rewrite:field=address,set=0x0a030201,toward=client")],
        steps: &[
            Exchange(4000, 4000),
            Run(
                Node::Server,
                "ip mptcp endpoint add 10.2.2.1 dev s2 id 5 signal",
            ),
            Counter(Node::Server, "MPTcpExtAddAddrTx", 1),
            Exchange(5000, 5000),
            Close,
        ],
        captures: &ends(&["MPT050"], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-deny-join-id0",
        shows: "the server forbids joins to its first address (flag C, allow_join_initial_addr_port=0): \
                the client joins the advertised one only",
        setup: &[
            (
                Node::Server,
                "echo 0 > /proc/sys/net/mptcp/allow_join_initial_addr_port",
            ),
            CLIENT_LIMITS,
            SERVER_LIMITS,
            SECOND_PATH,
            SIGNAL,
        ],
        steps: &[
            Exchange(4000, 4000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(10_000, 10_000),
            Close,
        ],
        captures: &[CLIENT_BOTH],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-server-joins",
        shows: "the client advertises its second address with port 5100, and the server joins it there",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Client,
                "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 signal port 5100",
            ),
        ],
        steps: &[
            Exchange(4000, 4000),
            Events(Server, "SF_ESTABLISHED", 1),
            Events(Client, "SF_ESTABLISHED", 1),
            Exchange(10_000, 10_000),
            Close,
        ],
        captures: &[CLIENT_BOTH],
        require: &[(Node::Server, "MPTcpExtMPJoinSynTx", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-remove-addr",
        shows: "the client withdraws the address of its second subflow: REMOVE_ADDR, and the subflow ends",
        setup: TWO_PATHS,
        steps: &[
            Exchange(4000, 4000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 20_000),
            Run(Node::Client, "ip mptcp endpoint delete id 2"),
            Events(Server, "REMOVED", 1),
            Exchange(5000, 5000),
            Close,
        ],
        captures: &[
            Capture {
                suffix: "-client.pcapng",
                ..CLIENT_BOTH
            },
            at("-server.pcapng", Node::Server, &["s1", "s2"]),
        ],
        require: &[(Node::Server, "MPTcpExtRmAddr", 1)],
        expect: Expect::whole(2),
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
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 0),
            Run(Node::Client, "ip mptcp endpoint change id 2 nobackup"),
            Counter(Node::Server, "MPTcpExtMPPrioRx", 1),
            Exchange(30_000, 0),
            Run(Node::Client, "ip mptcp endpoint change id 2 backup"),
            Counter(Node::Server, "MPTcpExtMPPrioRx", 2),
            Exchange(20_000, 0),
            Close,
        ],
        captures: &[CLIENT_BOTH],
        require: &[(Node::Client, "MPTcpExtMPPrioTx", 2)],
        expect: Expect::whole(2),
        ..BASE
    },
];
