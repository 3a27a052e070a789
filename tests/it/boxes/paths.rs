//! A second path with a box on it: joins and announced addresses.

use mptcp_tests::lab::{self, Node, Topology};

use super::change::{Change, What, When, flip, options};
use super::ground::{Ground, Host, Plan, Trial};
use super::sides;
use crate::seen::Seen;

/// The first three echoes of an announced address do not arrive.
const ECHOES_LOST: &str = "refuse:with=add_addr_echo,count=3";

/// What a box does to a second path, and what the kernel makes of it.
struct Join {
    spec: &'static str,
    change: Change,
    /// A counter of this host tells when it is over.
    until: (usize, &'static str),
    /// As in [`super::Case`].
    incidents: [&'static [&'static str]; 2],
    /// Whether the second subflow comes into being at the server.
    joined: bool,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

const fn case(spec: &'static str, when: When, edit: fn(&mut Seen)) -> Join {
    Join {
        spec,
        change: Change::new(when, What::Edit(edit)),
        until: (CLIENT, "MPJoinSynTx"),
        incidents: [&[], &[]],
        joined: false,
    }
}

/// The client ends the subflow with a reset.
const fn reset(spec: &'static str) -> Join {
    Join {
        until: (CLIENT, "MPRstTx"),
        incidents: [&["MPRstTx"], &[]],
        ..case(spec, When::All, |_| {})
    }
}

fn is_join(kind: u8, value: &[u8]) -> bool {
    kind == 30 && value[0] >> 4 == 1
}

fn set_backup(packet: &mut Seen) {
    for (kind, value) in options(packet) {
        if is_join(kind, value) && value.len() < 20 {
            value[0] ^= 1;
        }
    }
}

const JOINS: &[Join] = &[
    Join {
        spec: "strip:option=mp_join,on=syn",
        change: Change::new(When::Syn, What::Nop(is_join)),
        ..reset("")
    },
    Join {
        spec: "strip:option=mp_join,on=synack",
        change: Change::new(When::SynAck, What::Nop(is_join)),
        ..reset("")
    },
    Join {
        spec: "strip:option=mp_join,on=third_ack",
        change: Change::new(When::ThirdAck, What::Nop(is_join)),
        ..reset("")
    },
    Join {
        spec: "refuse:with=mp_join,on=syn",
        change: Change::new(When::Syn, What::Replace(|_| Vec::new())),
        ..case("", When::All, |_| {})
    },
    Join {
        until: (SERVER, "MPJoinNoTokenFound"),
        incidents: [&[], &["MPJoinNoTokenFound"]],
        ..case("rewrite:field=token", When::Syn, |packet| {
            flip(packet, 1, 10..=10, 5);
        })
    },
    Join {
        until: (CLIENT, "MPRstTx"),
        incidents: [&["MPJoinSynAckHMacFailure", "MPRstTx"], &[]],
        ..case("rewrite:field=nonce,on=syn", When::Syn, |packet| {
            flip(packet, 1, 10..=10, 9);
        })
    },
    Join {
        until: (CLIENT, "MPRstTx"),
        incidents: [&["MPJoinSynAckHMacFailure", "MPRstTx"], &[]],
        ..case("rewrite:field=nonce,on=synack", When::SynAck, |packet| {
            flip(packet, 1, 14..=14, 13);
        })
    },
    Join {
        until: (CLIENT, "MPRstTx"),
        incidents: [&["MPJoinSynAckHMacFailure", "MPRstTx"], &[]],
        ..case(
            "rewrite:field=join_hmac,on=synack",
            When::SynAck,
            |packet| flip(packet, 1, 14..=14, 9),
        )
    },
    Join {
        until: (CLIENT, "MPRstTx"),
        incidents: [&["MPRstTx"], &["MPJoinAckHMacFailure"]],
        ..case(
            "rewrite:field=join_hmac,on=third_ack",
            When::ThirdAck,
            |packet| flip(packet, 1, 22..=22, 21),
        )
    },
    Join {
        until: (SERVER, "MPJoinAckRx"),
        joined: true,
        ..case("rewrite:field=join_id,on=syn", When::Syn, |packet| {
            flip(packet, 1, 10..=10, 1);
        })
    },
    Join {
        until: (SERVER, "MPJoinAckRx"),
        incidents: [&[], &["MPJoinSynBackupRx"]],
        joined: true,
        ..case("rewrite:field=backup,on=syn", When::Syn, set_backup)
    },
];

/// The client's second address joins over the path with the box.
const HOSTS: &str = "ip mptcp limits set subflow 4 add_addr_accepted 4";
const ENDPOINTS: &str = "
    ip mptcp endpoint add 10.1.2.1 dev c2 id 2 subflow
    ip mptcp endpoint add fd00:1:2::1 dev c2 id 3 subflow";

#[test]
fn a_join_that_is_changed_gives_no_subflow_but_the_first_one_goes_on() {
    if !lab::works() {
        return;
    }
    let ground = Ground::on(&Topology::paths(&[1, 2]), Node::router(2, 2), HOSTS);
    ground.lab.run(Node::Client, ENDPOINTS).unwrap();
    let mut wrong = Vec::new();
    for join in JOINS {
        for to in [super::V4, super::V6] {
            let until = Some(join.until);
            let trial = ground.attempt(
                join.spec,
                &Plan {
                    to,
                    until,
                    ..Plan::USUAL
                },
            );
            wrong.extend(
                join.differences(&trial)
                    .iter()
                    .map(|difference| format!("{} to {to}: {difference}", join.spec)),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Join {
    fn differences(&self, trial: &Trial) -> Vec<String> {
        let mut wrong = sides::differences(trial, &self.change);
        let hosts = trial.hosts.each_ref();
        let incidents = hosts.map(Host::incidents);
        if incidents != self.incidents {
            wrong.push(format!("{incidents:?}, not {:?}", self.incidents));
        }
        if hosts.map(|host| host.mptcp) != [super::YES; 2] || trial.data != super::Data::Whole {
            wrong.push(format!("{:?}: the first path is not touched", trial.data));
        }
        let joined = hosts[SERVER].counters.mptcp("MPJoinAckRx") == 1;
        if joined != self.joined {
            wrong.push(format!("joined: {joined}"));
        }
        wrong
    }
}

fn is_add_addr(kind: u8, value: &[u8]) -> bool {
    kind == 30 && value[0] >> 4 == 3
}

const ADDRESSES: &[super::Case] = &[
    super::Case {
        spec: "strip:option=add_addr",
        change: Change::new(When::All, What::Nop(is_add_addr)),
        // The address is announced in an ACK without a DSS. Without the option it looks as if the
        // server had fallen back, so the client does (RFC 8684 §3.7), before or after it is asked.
        own: |trial| trial.hosts[0].mptcp.0 = true,
        mptcp: [super::FALLS; 2],
        incidents: [&["MPCapableDataFallback"], &["DssFallback"]],
        ..super::UNHARMED
    },
    super::Case {
        spec: "rewrite:field=address",
        change: Change::new(
            When::All,
            What::Edit(|packet| {
                flip(packet, 3, 14..=14, 5);
                flip(packet, 3, 26..=26, 17);
            }),
        ),
        ..super::UNHARMED
    },
    super::Case {
        spec: "rewrite:field=address_id",
        change: Change::new(When::All, What::Edit(|packet| flip(packet, 3, 6..=28, 1))),
        ..super::UNHARMED
    },
    super::Case {
        spec: "rewrite:field=address_hmac",
        change: Change::new(
            When::All,
            What::Edit(|packet| {
                flip(packet, 3, 14..=14, 13);
                flip(packet, 3, 26..=26, 25);
            }),
        ),
        ..super::UNHARMED
    },
];

const SIGNAL: &str = "
    ip addr add 10.2.1.2/24 dev s1
    ip addr add fd00:2:1::2/64 dev s1 nodad
    ip mptcp endpoint add 10.2.1.2 dev s1 id 2 signal
    ip mptcp endpoint add fd00:2:1::2 dev s1 id 3 signal";

#[test]
fn an_announced_address_that_is_changed_is_not_joined() {
    if !lab::works() {
        return;
    }
    let ground = Ground::new(HOSTS);
    ground.lab.run(Node::Server, SIGNAL).unwrap();
    let mut wrong = Vec::new();
    for case in ADDRESSES {
        for to in [super::V4, super::V6] {
            let start = Some((SERVER, "AddAddrTx"));
            let trial = ground.attempt_case(
                case,
                &Plan {
                    to,
                    start,
                    ..Plan::USUAL
                },
            );
            wrong.extend(
                case.differences(&trial)
                    .iter()
                    .map(|difference| format!("{} to {to}: {difference}", case.spec)),
            );
            // An address with a wrong HMAC is ignored (RFC 8684 §3.4.1).
            assert_eq!(trial.hosts[CLIENT].counters.mptcp("EchoAddTx"), 0);
            assert_eq!(trial.hosts[SERVER].counters.mptcp("MPJoinSynRx"), 0);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_address_without_echo_is_announced_again() {
    if !lab::works() {
        return;
    }
    let ground = Ground::new(&format!(
        "{HOSTS}\necho 1 > /proc/sys/net/mptcp/add_addr_timeout"
    ));
    ground.lab.run(Node::Server, SIGNAL).unwrap();
    let until = Some((SERVER, "EchoAdd"));
    let trial = ground.attempt(
        ECHOES_LOST,
        &Plan {
            until,
            ..Plan::USUAL
        },
    );
    let sent = |packets: &[Seen], echo: u8| {
        let all = packets.iter().filter_map(|packet| packet.mptcp(3));
        all.filter(|value| value[0] & 1 == echo).count()
    };
    assert_eq!([sent(&trial.far, 0), sent(&trial.near, 0)], [4, 4]);
    assert_eq!([sent(&trial.near, 1), sent(&trial.far, 1)], [4, 1]);
    assert_eq!(trial.hosts.each_ref().map(Host::incidents), [[""; 0]; 2]);
    assert_eq!(trial.data, super::Data::Whole);
}

/// For the list of all that is tried.
pub(super) fn specs() -> Vec<&'static str> {
    let joins = JOINS.iter().map(|join| join.spec);
    let addresses = ADDRESSES.iter().map(|case| case.spec);
    joins.chain(addresses).chain([ECHOES_LOST]).collect()
}
