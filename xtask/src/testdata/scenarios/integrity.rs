//! Payload that changes on its way, with checksums and without.

use super::super::scenario::{
    Capture, Expect, Scenario,
    Side::{Client, Server},
    Step::{self, Close, Counter, Done, Events, Exchange, Pause, Place, Tell},
};
use super::{
    ALONE, BASE, CLIENT_CHECKSUMS, CLIENT_LIMITS, R11, R21, SECOND_PATH, SERVER_CHECKSUMS,
    SERVER_LIMITS, client, ends, ends_of_two, falls_back, noting, server,
};
use mptcp_tests::lab::Node;

const ALONE_WITH_CHECKSUMS: &[(Node, &str)] = &[ALONE, CLIENT_CHECKSUMS, SERVER_CHECKSUMS];

/// Where the gateway's own address is, for the server.
const ROUTE_TO_GATEWAY: (Node, &str) = (
    Node::Server,
    "ip route add 10.101.101.101 via 10.2.1.254 dev s1",
);

/// A command of FTP, whose address the gateway makes longer.
const FTP_TALK: &[Step] = &[
    // The helper looks at lines only behind a first one.
    Tell(Client, "say USER anonymous"),
    Done(Client),
    Tell(Server, "read 16"),
    Done(Server),
    Tell(Client, "say PORT 10,1,1,1,20,1"),
    Done(Client),
    Tell(Server, "read 36"),
    Done(Server),
    Tell(Server, "say 200 PORT command successful"),
    Done(Server),
    Tell(Client, "read 29"),
    Done(Client),
    Tell(Client, "say QUIT"),
    Done(Client),
    Tell(Server, "read 42"),
    Done(Server),
    Close,
];

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "v1-payload-changed",
        shows: "a box changes one byte of the payload, without checksums: nobody but the application notices",
        boxes: &[(R11, "flip:at=4000,xor=0x20,toward=server")],
        captures: &ends(&[], &[]),
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-checksum-first",
        shows: "a box changes a byte under the first checksum: the server falls back without a word",
        setup: ALONE_WITH_CHECKSUMS,
        boxes: &[(R11, "flip:at=100,xor=0x20,toward=server")],
        steps: &[Exchange(500, 0), Exchange(3000, 6000), Close],
        captures: &[
            falls_back(client(&["MPT010"]), "data_option_missing"),
            falls_back(server(&["MPT010", "MPT040"]), "checksum"),
        ],
        require: &[(Node::Server, "MPTcpExtDataCsumErr", 1)],
        expect: Expect::damaged(0),
        ..BASE
    },
    Scenario {
        name: "v1-mp-fail",
        shows: "a box changes a byte of a later mapping on the only subflow: MP_FAIL, the infinite mapping, \
                then plain TCP",
        setup: ALONE_WITH_CHECKSUMS,
        boxes: &[(R11, "flip:at=7000,xor=0x20,toward=server")],
        steps: &[
            Exchange(6000, 3000),
            Exchange(3000, 0),
            Counter(Node::Client, "MPTcpExtMPFailRx", 1),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &[
            falls_back(client(&["MPT010", "MPT041"]), "mp_fail"),
            falls_back(server(&["MPT010", "MPT040", "MPT041"]), "mp_fail"),
        ],
        require: &[(Node::Server, "MPTcpExtMPFailTx", 1)],
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-infinite-mapping",
        shows: "the same, captured only after MP_FAIL: the infinite mapping alone tells",
        setup: ALONE_WITH_CHECKSUMS,
        boxes: &[(R11, "flip:at=7000,xor=0x20,toward=server")],
        steps: &[
            Exchange(6000, 3000),
            Exchange(3000, 0),
            Counter(Node::Client, "MPTcpExtMPFailRx", 1),
            Counter(Node::Server, "MPTcpExtMPFailRx", 1),
            Pause { millis: 300 },
            Step::Capture,
            Exchange(3000, 3000),
            Close,
        ],
        captures: &[falls_back(
            Capture {
                late: true,
                ..client(&["MPT010"])
            },
            "infinite_mapping",
        )],
        require: &[(Node::Client, "MPTcpExtInfiniteMapTx", 1)],
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-mp-fail-two-subflows",
        shows: "a box on the second path changes a byte: the server resets that subflow with MP_FAIL, and \
                the data come again on the first path",
        setup: &[
            CLIENT_LIMITS,
            SERVER_LIMITS,
            SECOND_PATH,
            CLIENT_CHECKSUMS,
            SERVER_CHECKSUMS,
        ],
        boxes: &[(R21, "flip:at=3000,xor=0x20,toward=server")],
        steps: &[
            Exchange(1000, 1000),
            Events(Client, "SF_ESTABLISHED", 1),
            Events(Server, "SF_ESTABLISHED", 1),
            Exchange(40_000, 20_000),
            Counter(Node::Server, "MPTcpExtMPFailTx", 1),
            Exchange(3000, 3000),
            Close,
        ],
        captures: &ends_of_two(&["MPT041", "MPT060"], &["MPT040", "MPT041", "MPT060"]),
        require: &[(Node::Server, "MPTcpExtMPFailTx", 1)],
        expect: Expect::whole(2),
        ..BASE
    },
    Scenario {
        name: "v1-ftp-alg",
        shows: "a gateway writes a longer address into an FTP command (NAT with the FTP helper of netfilter), \
                without checksums: the server finds bytes beyond their mapping and falls back",
        port: 21,
        setup: &[ALONE, ROUTE_TO_GATEWAY],
        boxes: &[(R11, "ftp")],
        steps: FTP_TALK,
        captures: &[
            falls_back(client(&["MPT010"]), "stripped_mid_stream"),
            falls_back(server(&["MPT010"]), "stripped_mid_stream"),
        ],
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-ftp-alg-checksum",
        shows: "the same with checksums",
        port: 21,
        setup: &[ALONE, CLIENT_CHECKSUMS, SERVER_CHECKSUMS, ROUTE_TO_GATEWAY],
        boxes: &[(R11, "ftp")],
        steps: FTP_TALK,
        captures: &[
            falls_back(client(&["MPT010", "MPT041"]), "mp_fail"),
            falls_back(server(&["MPT010", "MPT040", "MPT041"]), "mp_fail"),
        ],
        require: &[(Node::Server, "MPTcpExtDataCsumErr", 1)],
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-key-altered",
        shows: "a box changes the server's key in the SYN/ACK: both hosts think that they speak MPTCP, and \
                neither accepts the other's data",
        boxes: &[(R11, "rewrite:field=key,on=synack")],
        steps: &[
            Tell(Client, "send 3000"),
            Tell(Server, "send 3000"),
            Done(Client),
            Done(Server),
            Counter(Node::Server, "MPTcpExtMPTCPRetrans", 2),
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        captures: &ends(&["MPT022"], &["MPT020"]),
        expect: Expect::damaged(1),
        ..BASE
    },
    Scenario {
        name: "v1-dsn-altered",
        shows: "a box begins to change the data sequence numbers to the server in the middle of a \
                connection: the data are acknowledged by TCP and never delivered",
        steps: &[
            Exchange(3000, 3000),
            Exchange(1000, 0),
            Place(R11, "rewrite:field=dsn,xor=0x100000,toward=server"),
            Tell(Client, "send 3000"),
            Done(Client),
            Counter(Node::Client, "MPTcpExtMPTCPRetrans", 1),
            Pause { millis: 300 },
            Tell(Client, "report"),
            Tell(Server, "report"),
            Done(Client),
            Done(Server),
        ],
        captures: &[
            noting(client(&[]), &["MPT046"]),
            noting(server(&[]), &["MPT046", "MPT047"]),
        ],
        expect: Expect::damaged(1),
        ..BASE
    },
];
