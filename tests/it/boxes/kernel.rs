//! Boxes of the kernel's own parts.

use std::time::Duration;

use mptcp_tests::lab::{self, Application, Node, Recording, Tap};

use super::change::{Change, What, When, mptcp, options};
use super::ground::{Data, Ground, Host, PLACE, Plan, Trial};
use super::sides::{side, stream};
use super::{Case, FALLS, NO, UNHARMED, V4, YES, check, check_with};
use crate::seen::{Seen, read};

const fn case(spec: &'static str, when: When, edit: fn(&mut Seen)) -> Case {
    Case {
        spec,
        change: Change::new(when, What::Edit(edit)),
        ..UNHARMED
    }
}

const FIELDS: &[Case] = &[
    Case {
        spec: "tcpoptstrip",
        change: Change::new(When::All, What::Nop(mptcp)),
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..UNHARMED
    },
    Case {
        spec: "tcpoptstrip:kinds=8",
        change: Change::new(When::All, What::Nop(|kind, _| kind == 8)),
        ..UNHARMED
    },
    case("tcpmss", When::All, |packet| {
        for (_, value) in options(packet).into_iter().filter(|(kind, _)| *kind == 2) {
            value.copy_from_slice(&1300_u16.to_be_bytes());
        }
    }),
    case("ttl:set=33", When::ToServer, |packet| packet.ttl = 33),
    case("ttl-hide", When::ToServer, |packet| packet.ttl += 1),
    case("dscp:set=10", When::All, |packet| {
        packet.traffic_class = 10 << 2 | packet.traffic_class & 3;
    }),
    case("ecn-ce", When::All, |packet| packet.traffic_class |= 3),
];

#[test]
fn fields_change_as_the_kernel_s_rules_say() {
    check(FIELDS);
}

const ECN_OFF: &[Case] = &[case("ecn-off", When::All, |packet| {
    packet.traffic_class &= !3;
    if packet.source.is_ipv4() {
        packet.ece = false;
        packet.cwr = false;
    }
})];

#[test]
fn ecn_is_switched_off() {
    check_with(ECN_OFF, &Plan::USUAL, "echo 1 > /proc/sys/net/ipv4/tcp_ecn");
}

const TRANSLATED: &[Case] = &[Case {
    spec: "masquerade",
    own: translated,
    ..UNHARMED
}];

/// The server sees the router and a port of the range; undone here.
fn translated(trial: &mut Trial) {
    let client = trial.near[0].source;
    let seen = trial.far[0].source;
    assert!((20_000..30_000).contains(&seen.port()), "{seen}");
    assert!(["10.2.1.254", "fd00:2:1::254"].contains(&seen.ip().to_string().as_str()));
    for packet in &mut trial.far {
        let own = if packet.to_server() {
            &mut packet.source
        } else {
            &mut packet.destination
        };
        assert_eq!(*own, seen);
        *own = client;
    }
}

#[test]
fn a_nat_does_not_matter() {
    check(TRANSLATED);
}

const PROXIES: &[Case] = &[
    Case {
        spec: "synproxy",
        own: |trial| {
            answered_here(trial);
            let answer = side(&trial.near, false).next().unwrap();
            assert_eq!((answer.window, answer.mptcp(0)), (0, None));
            forget(trial);
        },
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..UNHARMED
    },
    Case {
        spec: "split-proxy",
        own: |trial| check_split(trial, false, false),
        mptcp: [NO, NO],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..UNHARMED
    },
    Case {
        spec: "split-proxy:front=mptcp",
        own: |trial| check_split(trial, true, false),
        mptcp: [YES, NO],
        ..UNHARMED
    },
    Case {
        spec: "split-proxy:front=mptcp,back=mptcp",
        own: |trial| check_split(trial, true, true),
        ..UNHARMED
    },
    Case {
        spec: "split-proxy:back=mptcp",
        own: |trial| check_split(trial, false, true),
        mptcp: [NO, YES],
        incidents: [&["MPCapableFallbackSYNACK"], &[]],
        ..UNHARMED
    },
];

/// The client's SYN is answered by the router, and the server gets a SYN of the router with the
/// client's address.
fn answered_here(trial: &Trial) {
    let (syn, answer) = (&trial.near[0], side(&trial.near, false).next().unwrap());
    let asked = side(&trial.far, true).next().unwrap();
    assert!(syn.is_syn() && answer.is_syn_ack() && asked.is_syn());
    assert_eq!((answer.ttl, asked.ttl), (64, 64));
    assert_eq!(asked.source, syn.source);
    let theirs = side(&trial.far, false).next().unwrap();
    assert_ne!(answer.sequence, theirs.sequence);
    for to in [true, false] {
        assert_eq!(stream(&trial.near, to), stream(&trial.far, to));
    }
}

/// Each side of the proxy speaks what it was told.
fn check_split(trial: &mut Trial, front: bool, back: bool) {
    answered_here(trial);
    let answer = side(&trial.near, false).next().unwrap();
    let asked = side(&trial.far, true).next().unwrap();
    assert_eq!(answer.mptcp(0).is_some(), front);
    assert_eq!(asked.mptcp(0).is_some(), back);
    forget(trial);
}

/// There is nothing more to compare, since these are two connections.
fn forget(trial: &mut Trial) {
    trial.near.clear();
    trial.far.clear();
}

#[test]
fn a_proxy_ends_mptcp_or_carries_it_on() {
    check(PROXIES);
}

const STRICT: &[Case] = &[Case {
    spec: "strict",
    ..UNHARMED
}];

#[test]
fn a_strict_firewall_lets_a_clean_flow_pass() {
    check(STRICT);
}

#[test]
fn a_strict_firewall_drops_what_it_has_not_seen_begin() {
    if !lab::works() {
        return;
    }
    let lab = Ground::new("").lab;
    let mut server = Application::listen(&lab, Node::Server, "mptcp").unwrap();
    let mut client = Application::connect(&lab, Node::Client, "mptcp", V4).unwrap();
    server.wait_for("connected").unwrap();
    let strict = lab.place(PLACE, STRICT[0].spec).unwrap();
    let sides = ["near", "far"].map(|side| {
        let path = lab.directory().join(format!("{side}.pcap"));
        let interfaces = [side];
        let tap = Tap::tcp(PLACE, &interfaces);
        (Recording::start(&lab, &tap, &path).unwrap(), path)
    });
    client.ask("send 100").unwrap();
    assert_eq!(server.ask("read 100 500").unwrap(), ["arrived 0"]);
    let [near, far] = sides.map(|(recording, path)| {
        recording.finish().unwrap();
        read(&path)
    });
    assert!(near.iter().any(|packet| packet.payload.len() == 100));
    assert_eq!(far, []);
    drop(strict);
    // What was dropped comes again.
    server.ask("read 100").unwrap();
}

const GROWS: &str = "ftp";

/// The helper looks for a command where a line has ended before.
const FTP: &Plan = &Plan {
    to: "10.2.1.1:21",
    turns: &[10, 20],
    say: &["USER anonymous", "PORT 10,1,1,1,4,1"],
    patience: Duration::from_secs(1),
    ..Plan::USUAL
};

/// The address in the command became a longer one, with the numbers behind it.
#[track_caller]
fn check_ftp(hosts: &str, mptcp: [(bool, bool); 2], incidents: [&[&str]; 2]) {
    if !lab::works() {
        return;
    }
    let ground = Ground::new(hosts);
    let route = "ip route add 10.101.101.101 via 10.2.1.254";
    ground.lab.run(Node::Server, route).unwrap();
    let trial = ground.attempt(GROWS, FTP);
    let (said, heard) = ("PORT 10,1,1,1,4,1\r\n", "PORT 10,101,101,101,4,1\r\n");
    let has = |packets: &[Seen], line: &str| {
        packets
            .iter()
            .any(|packet| packet.payload == line.as_bytes())
    };
    assert!(has(&trial.near, said) && has(&trial.far, heard));
    assert!(!has(&trial.near, heard) && !has(&trial.far, said));
    assert!(trial.far.iter().all(|packet| packet.checksum_ok));
    let acknowledged = |packets: &[Seen]| {
        let line = packets
            .iter()
            .find(|packet| packet.payload.starts_with(b"PORT"));
        let line = line.unwrap().sequence;
        let mut acks = side(packets, false).map(|packet| packet.acknowledgment);
        acks.find(|ack| *ack > line).unwrap() - line
    };
    let lengths = [said, heard].map(|line| u32::try_from(line.len()).unwrap());
    assert_eq!(
        [acknowledged(&trial.near), acknowledged(&trial.far)],
        lengths
    );
    let hosts = trial.hosts.each_ref();
    assert_eq!(hosts.map(|host| host.mptcp), mptcp);
    let [mut client, server] = hosts.map(Host::incidents);
    // It answers an MP_FAIL with its own in the next packet, if there is one in time.
    let answered = client.iter().any(|name| name == "MPFailTx");
    if client.iter().any(|name| name == "MPFailRx") && !answered {
        client.push("MPFailTx".to_owned());
    }
    assert_eq!([client, server], incidents);
    assert_eq!(trial.data, Data::Stalled);
}

#[test]
fn an_address_that_grows_ends_mptcp() {
    // The client has had a DATA_ACK, so that ACKs without one do not tell it that the server fell
    // back (RFC 8684 §3.7): it sends the line again and again.
    check_ftp("", [YES, FALLS], [&[], &["DSSCorruptionFallback"]]);
}

#[test]
fn an_address_that_grows_fails_the_checksum() {
    let hosts = "echo 1 > /proc/sys/net/mptcp/checksum_enabled";
    let failed: [&[&str]; 2] = [
        &["MPFailRx", "MPFailTx"],
        &["DSSCorruptionFallback", "DataCsumErr", "MPFailTx"],
    ];
    check_ftp(hosts, [YES, FALLS], failed);
}

/// For the list of all that is tried.
pub(super) const CASES: &[&[Case]] = &[FIELDS, ECN_OFF, TRANSLATED, PROXIES, STRICT];
pub(super) const SPECS: &[&str] = &[GROWS];
