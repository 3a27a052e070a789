//! What the kernel's path manager does with what the lab tells it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use mptcp_tests::lab::oracle::counters::{COMMAND, Counters};
use mptcp_tests::lab::{self, Application, Endpoint, EndpointFlags, Lab, Node, Topology};

use super::build;

/// Two paths, both hosts ready for joins.
fn two_paths() -> Lab {
    let lab = build(&Topology::paths(&[1, 1]));
    for host in [Node::Client, Node::Server] {
        lab.limit_subflows(host, 8, 8).unwrap();
    }
    lab
}

/// Exchanges data until the client has seen `joins` joins answered, and returns where its subflows go.
fn subflows(lab: &Lab, joins: u64) -> BTreeSet<String> {
    let mut server = Application::listen(lab, Node::Server, "mptcp").unwrap();
    let mut client = Application::connect(lab, Node::Client, "mptcp", "10.2.1.1:5001").unwrap();
    let mut sent = 0;
    loop {
        client.ask("send 1000").unwrap();
        server.ask("send 1000").unwrap();
        sent += 1000;
        server.ask(&format!("read {sent}")).unwrap();
        client.ask(&format!("read {sent}")).unwrap();
        if counters(lab, Node::Client).mptcp("MPJoinSynAckRx") >= joins {
            break;
        }
        assert!(sent < 1_000_000, "{joins} joins do not come");
    }
    let lines = client.ask("subflows").unwrap();
    let ends = |line: &String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = |word: &str| word.rsplit_once(':').unwrap().0.to_owned();
        format!("{} > {}", address(words[1]), address(words[2]))
    };
    lines.iter().map(ends).collect()
}

fn counters(lab: &Lab, node: Node) -> Counters {
    Counters::parse(&lab.run(node, COMMAND).unwrap())
}

#[test]
fn full_mesh_joins_every_address_with_every_address() {
    if !lab::works() {
        return;
    }
    let lab = two_paths();
    let mesh = EndpointFlags::SUBFLOW.and(EndpointFlags::FULLMESH);
    for (path, interface) in [(1, "c1"), (2, "c2")] {
        let address = Ipv4Addr::new(10, 1, path, 1);
        lab.add_endpoint(Node::Client, interface, &Endpoint::new(address, mesh))
            .unwrap();
    }
    let second = Endpoint::new(Ipv4Addr::new(10, 2, 2, 1), EndpointFlags::SIGNAL);
    lab.add_endpoint(Node::Server, "s2", &second).unwrap();
    let expected = [
        "10.1.1.1 > 10.2.1.1",
        "10.1.1.1 > 10.2.2.1",
        "10.1.2.1 > 10.2.1.1",
        "10.1.2.1 > 10.2.2.1",
    ];
    assert_eq!(subflows(&lab, 3), expected.map(str::to_owned).into());
}

#[test]
fn an_announced_port_is_joined() {
    if !lab::works() {
        return;
    }
    let lab = two_paths();
    let second = Endpoint {
        port: Some(5002),
        id: Some(7),
        ..Endpoint::new(Ipv4Addr::new(10, 2, 2, 1), EndpointFlags::SIGNAL)
    };
    lab.add_endpoint(Node::Server, "s2", &second).unwrap();
    let found = subflows(&lab, 1);
    assert!(found.contains("10.1.1.1 > 10.2.2.1"), "{found:?}");
    assert_eq!(counters(&lab, Node::Client).mptcp("PortAdd"), 1);
}

#[test]
fn without_the_kernels_path_manager_nothing_is_joined() {
    if !lab::works() {
        return;
    }
    let lab = two_paths();
    // 1 is the path manager in user space, and there is none.
    lab.set_mptcp(Node::Client, "pm_type", 1).unwrap();
    let second = Endpoint::new(Ipv4Addr::new(10, 2, 2, 1), EndpointFlags::SIGNAL);
    lab.add_endpoint(Node::Server, "s2", &second).unwrap();
    let found = subflows(&lab, 0);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(counters(&lab, Node::Client).mptcp("MPJoinSynTx"), 0);
    // The address was announced all the same.
    assert!(counters(&lab, Node::Server).mptcp("AddAddrTx") > 0);
}

#[test]
fn sysctls_reach_the_connection() {
    if !lab::works() {
        return;
    }
    let lab = two_paths();
    for host in [Node::Client, Node::Server] {
        lab.set_mptcp(host, "checksum_enabled", 1).unwrap();
    }
    let mut server = Application::listen(&lab, Node::Server, "mptcp").unwrap();
    let mut client = Application::connect(&lab, Node::Client, "mptcp", "10.2.1.1:5001").unwrap();
    client.ask("send 1000").unwrap();
    server.ask("read 1000").unwrap();
    let info = client.ask("info").unwrap();
    assert!(info[0].contains("csum_enabled=1"), "{info:?}");
}
