//! Transfers over paths that do what paths should, or that are slow, lossy or dead.

use super::super::scenario::{
    Capture, Expect,
    Family::V6,
    Network::{Fast, Paths},
    Opening, Scenario,
    Side::{Client, Server},
    Step::{Close, Counter, Done, Events, Exchange, Pause, Place, Remove, Run, Tell},
};
use super::{
    ALONE, BASE, CLIENT_BOTH, CLIENT_CHECKSUMS, CLIENT_LIMITS, R11, R21, SECOND_PATH,
    SERVER_CHECKSUMS, SERVER_LIMITS, TWO_PATHS, TWO_PATHS_TALK, at, client, ends, noting, server,
};
use mptcp_tests::lab::Node;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-single",
        shows: "one subflow, data both ways, orderly close: nothing to complain about",
        ..BASE
    },
    Scenario {
        name: "v1-two-subflows",
        shows: "bulk both ways over two paths; the second path loses everything for a moment, its data \
                are retransmitted there and sent again on the first path",
        setup: TWO_PATHS,
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 20_000),
            Run(R21, "iptables -A FORWARD -i near -j DROP"),
            Tell(Client, "send 30000"),
            Counter(Node::Client, "MPTcpExtMPTCPRetrans", 1),
            Run(R21, "iptables -D FORWARD -i near -j DROP"),
            Tell(Client, "send 15000"),
            Tell(Server, "send 15000"),
            Tell(Client, "read 36000"),
            Tell(Server, "read 66000"),
            Done(Client),
            Done(Server),
            Pause { millis: 600 },
            Close,
        ],
        captures: &[
            CLIENT_BOTH,
            at("-server.pcapng", Node::Server, &["s1", "s2"]),
        ],
        require: &[
            (Node::Client, "MPTcpExtMPTCPRetrans", 1),
            (Node::Client, "TcpRetransSegs", 1),
        ],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-four-subflows",
        shows: "bulk both ways over four paths, one capture file with four interfaces",
        network: Paths(&[1, 1, 1, 1]),
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            (
                Node::Client,
                "for i in 2 3 4; do ip mptcp endpoint add 10.1.$i.1 dev c$i id $i subflow; done",
            ),
        ],
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 3),
            Events(Server, "SF_ESTABLISHED", 3),
            Exchange(60_000, 40_000),
            Close,
        ],
        captures: &[at(".pcapng", Node::Client, &["c1", "c2", "c3", "c4"])],
        expect: Expect::whole(4),
        ..BASE
    },
    Scenario {
        name: "v1-eight-subflows",
        shows: "bulk both ways over eight paths, one capture file with eight interfaces",
        network: Paths(&[1, 1, 1, 1, 1, 1, 1, 1]),
        setup: &[
            (
                Node::Client,
                "ip mptcp limits set subflow 8 add_addr_accepted 8",
            ),
            (
                Node::Server,
                "ip mptcp limits set subflow 8 add_addr_accepted 8",
            ),
            (
                Node::Client,
                "for i in 2 3 4 5 6 7 8; do ip mptcp endpoint add 10.1.$i.1 dev c$i id $i subflow; done",
            ),
        ],
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 7),
            Events(Server, "SF_ESTABLISHED", 7),
            Exchange(80_000, 40_000),
            Close,
        ],
        captures: &[at(
            ".pcapng",
            Node::Client,
            &["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"],
        )],
        expect: Expect::whole(8),
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
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-checksum",
        shows: "DSS checksums on (net.mptcp.checksum_enabled=1 on both hosts), two subflows",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            SECOND_PATH,
            CLIENT_CHECKSUMS,
            SERVER_CHECKSUMS,
        ],
        steps: TWO_PATHS_TALK,
        captures: &[CLIENT_BOTH],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-any-sll2",
        shows: "two subflows captured on the `any` device (Linux cooked mode, version 2)",
        setup: TWO_PATHS,
        steps: TWO_PATHS_TALK,
        captures: &[at(".pcap", Node::Client, &["any"])],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-path-failure",
        shows: "the second path dies for good in the middle of a transfer; what it lost is sent again on \
                the first path",
        setup: TWO_PATHS,
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 20_000),
            Run(R21, "iptables -A FORWARD -j DROP"),
            Exchange(40_000, 20_000),
            Close,
        ],
        captures: &[
            Capture {
                suffix: "-client.pcapng",
                ..CLIENT_BOTH
            },
            at("-server.pcapng", Node::Server, &["s1", "s2"]),
        ],
        require: &[(Node::Client, "MPTcpExtMPTCPRetrans", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-data-retransmission",
        shows: "a box takes the DATA_ACK out of pure ACKs: the client sends the same data again on the \
                same subflow, under new subflow sequence numbers, until the box is gone",
        steps: &[
            Exchange(3000, 3000),
            Place(R11, "strip:option=dss,how=remove,on=pure_ack,toward=client"),
            Tell(Client, "send 3000"),
            Counter(Node::Client, "MPTcpExtMPTCPRetrans", 2),
            Remove(R11),
            Tell(Server, "read 6000"),
            Done(Server),
            Tell(Client, "send 1000"),
            Tell(Server, "read 7000"),
            Done(Server),
            Close,
        ],
        captures: &[noting(client(&[]), &["MPT045"]), server(&[])],
        require: &[(Node::Server, "MPTcpExtDuplicateData", 1)],
        ..BASE
    },
    Scenario {
        name: "v1-loss-reorder",
        shows: "both paths lose, repeat and reorder a few packets in a hundred; TCP and MPTCP mend it",
        setup: TWO_PATHS,
        boxes: &[
            (
                R11,
                "impair:delay_ms=5,loss=0.03,reorder=0.03,duplicate=0.03,seed=7",
            ),
            (
                R21,
                "impair:delay_ms=15,loss=0.03,reorder=0.03,duplicate=0.03,seed=8",
            ),
        ],
        steps: TWO_PATHS_TALK,
        captures: &[
            Capture {
                suffix: "-client.pcapng",
                ..CLIENT_BOTH
            },
            at("-server.pcapng", Node::Server, &["s1", "s2"]),
        ],
        require: &[(Node::Client, "TcpRetransSegs", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-half-close",
        shows: "the client ends its data first (DATA_FIN), the server goes on for a while",
        steps: &[
            Exchange(3000, 1000),
            Tell(Client, "shutdown"),
            Tell(Server, "eof"),
            Done(Server),
            Tell(Server, "send 12000"),
            Tell(Client, "read 13000"),
            Done(Client),
            Tell(Server, "shutdown"),
            Tell(Client, "eof"),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        ..BASE
    },
    Scenario {
        name: "v1-fastclose",
        shows: "the client aborts (linger time 0): MP_FASTCLOSE in a RST on both subflows",
        setup: TWO_PATHS,
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(20_000, 0),
            Tell(Client, "abort"),
            Done(Client),
            Tell(Server, "eof"),
            Tell(Server, "report"),
            Done(Server),
        ],
        captures: &[noting(CLIENT_BOTH, &["MPT063"])],
        require: &[(Node::Client, "MPTcpExtMPFastcloseTx", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-fastopen",
        shows: "TCP Fast Open: 400 bytes in the SYN, before the first mapping (RFC 8684 appendix B)",
        network: Fast,
        opening: Opening::Fast("400"),
        setup: &[
            ALONE,
            (Node::Server, "echo 3 > /proc/sys/net/ipv4/tcp_fastopen"),
        ],
        steps: &[
            Tell(Server, "read 400"),
            Tell(Server, "send 3000"),
            Tell(Client, "read 3000"),
            Done(Server),
            Done(Client),
            Tell(Client, "send 3000"),
            Tell(Server, "read 3400"),
            Done(Server),
            Close,
        ],
        captures: &ends(&[], &[]),
        ..BASE
    },
    Scenario {
        name: "v1-dsn-wrap",
        shows: "the low 32 bits of the client's data sequence numbers wrap in the middle of the transfer",
        network: Fast,
        opening: Opening::NearWrap("131072"),
        steps: &[
            Tell(Client, "send 135000"),
            Tell(Server, "read 135000"),
            Done(Server),
            Tell(Server, "send 3000"),
            Tell(Client, "read 3000"),
            Done(Client),
            Close,
        ],
        captures: &[client(&[])],
        ..BASE
    },
];
