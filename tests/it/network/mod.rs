//! The lab's networks against the kernel: everybody reaches whom they should, over the path they
//! should, and nothing is left afterwards.

mod path_manager;

use std::collections::BTreeSet;
use std::path::Path;

use mptcp_tests::lab::{self, Application, IcmpLimit, Lab, Node, Recording, Tap, Topology};

use crate::seen::{Seen, read};

/// The network, with the program that runs inside it.
pub(crate) fn build(topology: &Topology) -> Lab {
    Lab::build(topology, Path::new(env!("CARGO_BIN_EXE_mptcp-lab"))).unwrap()
}

/// A short exchange between client and server, seen at the server's interface `interface`.
fn talk(lab: &Lab, protocol: &str, to: &str, interface: &str) -> Vec<Seen> {
    let path = lab.directory().join("talk.pcap");
    let recording = Recording::start(lab, &Tap::tcp(Node::Server, &[interface]), &path).unwrap();
    let mut server = Application::listen(lab, Node::Server, protocol).unwrap();
    let mut client = Application::connect(lab, Node::Client, protocol, to).unwrap();
    client.ask("send 1000").unwrap();
    server.ask("read 1000").unwrap();
    server.ask("send 500").unwrap();
    client.ask("read 500").unwrap();
    recording.finish().unwrap();
    read(&path)
}

#[test]
fn both_families_cross_a_chain_hop_by_hop() {
    if !lab::works() {
        return;
    }
    let lab = build(&Topology::chain(4));
    for to in ["10.2.1.1:5001", "[fd00:2:1::1]:5001"] {
        let seen = talk(&lab, "mptcp", to, "s1");
        let syn = seen.iter().find(|packet| packet.is_syn()).unwrap();
        assert_eq!(syn.ttl, 64 - 4, "{to}: one less for each router");
        assert!(syn.option(30).is_some(), "{to}: the kernel asks for MPTCP");
    }
}

#[test]
fn a_path_belongs_to_the_clients_address() {
    if !lab::works() {
        return;
    }
    let lab = build(&Topology::paths(&[1, 3]));
    lab.run(Node::Client, "ip mptcp limits set subflow 2")
        .unwrap();
    lab.run(Node::Server, "ip mptcp limits set subflow 2")
        .unwrap();
    lab.run(
        Node::Client,
        "ip mptcp endpoint add 10.1.2.1 dev c2 subflow",
    )
    .unwrap();
    // To the address of the first path all the same.
    let seen = talk(&lab, "mptcp", "10.2.1.1:5001", "s2");
    let join = seen.iter().find(|packet| packet.is_syn()).unwrap();
    assert_eq!(join.source.to_string().split(':').next(), Some("10.1.2.1"));
    assert_eq!(join.ttl, 64 - 3);
    let answered = seen.iter().any(Seen::is_syn_ack);
    assert!(answered, "the answer takes the same path");
}

#[test]
fn equal_paths_share_the_flows() {
    if !lab::works() {
        return;
    }
    let lab = build(&Topology::ecmp(2));
    let paths = [1, 2].map(|branch| {
        let path = lab.directory().join(format!("branch{branch}.pcap"));
        let tap = Tap::tcp(Node::router(branch, 2), &["near"]);
        (Recording::start(&lab, &tap, &path).unwrap(), path)
    });
    for _ in 0..16 {
        talk(&lab, "tcp", "10.2.1.1:5001", "s1");
    }
    let flows = paths.map(|(recording, path)| {
        recording.finish().unwrap();
        // A busy machine sends some SYNs twice.
        let seen = read(&path);
        let syns = seen.iter().filter(|packet| packet.is_syn());
        let ports: BTreeSet<u16> = syns.map(|packet| packet.source.port()).collect();
        ports.len()
    });
    // All sixteen on one side would be a chance of 2 in 65,536.
    assert_eq!(flows[0] + flows[1], 16);
    assert!(flows[0] > 0 && flows[1] > 0, "{flows:?}");
}

#[test]
fn the_server_behind_a_nat_sees_the_routers_address() {
    if !lab::works() {
        return;
    }
    let lab = build(&Topology::nat());
    for (to, from) in [
        ("10.2.1.1:5001", "10.101.1.1"),
        ("[fd00:2:1::1]:5001", "[fd00:101:1::1]"),
    ] {
        let seen = talk(&lab, "mptcp", to, "s1");
        let syn = seen.iter().find(|packet| packet.is_syn()).unwrap();
        assert!(syn.source.to_string().starts_with(from), "{}", syn.source);
    }
}

/// How many of 300 datagrams that expire at the first router are reported to the client.
fn reported(topology: &Topology, default_ttl: &str, target: &str, counter: &str) -> u64 {
    let lab = build(topology);
    let script = format!(
        "echo 1 > /proc/sys/net/{default_ttl}
         bash -c 'for i in {{1..300}}; do echo x > /dev/udp/{target}/9; done' 2> /dev/null
         nstat -asz {counter}"
    );
    let text = lab.run(Node::Client, &script).unwrap();
    let line = text.lines().find(|line| line.starts_with(counter));
    let count = line.unwrap().split_whitespace().nth(1).unwrap();
    count.parse().unwrap()
}

#[test]
fn routers_limit_their_errors_only_when_asked() {
    if !lab::works() {
        return;
    }
    let free = Topology::chain(1);
    let limited = Topology::chain(1).with_icmp_limit(IcmpLimit::LinuxDefault);
    let v4 = ("ipv4/ip_default_ttl", "10.2.1.1", "IcmpInTimeExcds");
    let v6 = ("ipv6/conf/c1/hop_limit", "fd00:2:1::1", "Icmp6InTimeExcds");
    for (ttl, target, counter) in [v4, v6] {
        assert_eq!(reported(&free, ttl, target, counter), 300, "{target}");
        // Six at once, then one a second (IPv4) or ten (IPv6); see tracebox_probe.md, section 4.
        let some = reported(&limited, ttl, target, counter);
        assert!((1..20).contains(&some), "{target}: {some}");
    }
}

#[test]
fn nothing_is_left_of_a_network() {
    if !lab::works() {
        return;
    }
    let lab = build(&Topology::paths(&[1, 2]));
    let directory = lab.directory().to_owned();
    let server = Application::listen(&lab, Node::Server, "mptcp").unwrap();
    let namespace = lab.namespace(Node::Server);
    assert!(Path::new("/run/netns").join(&namespace).exists());
    drop(lab);
    assert!(!Path::new("/run/netns").join(&namespace).exists());
    assert!(!directory.exists());
    // The application was in the namespace and ended with it.
    assert!(server.finish().is_ok());
}
