//! A second path.

use mptcp_tests::lab::Node;
use mptcp_tests::lab::oracle::monitor::{self, Event};
use mptcp_tests::lab::oracle::sockets;

use super::{app, network, tell, value};

#[test]
fn every_subflow_is_listed_with_its_addresses() {
    let Some(lab) = network() else { return };
    for node in [Node::Client, Node::Server] {
        lab.run(node, "ip mptcp limits set subflow 4 add_addr_accepted 4")
            .unwrap();
    }
    let endpoint = "ip mptcp endpoint add 10.1.2.1 dev c2 id 2 subflow";
    lab.run(Node::Client, endpoint).unwrap();
    let mut events = monitor::start(&lab, Node::Client).unwrap();
    let _server = app(
        &lab,
        Node::Server,
        "serve echo mptcp 0.0.0.0:5001",
        "listening",
    );
    let mut client = app(
        &lab,
        Node::Client,
        "connect mptcp read 10.2.1.1:5001",
        "connected",
    );
    tell(&mut client, "send 1000");
    tell(&mut client, "read 1000");
    events.wait_for("SF_ESTABLISHED", 1).unwrap();
    let joined = |line: &String| match Event::parse(line) {
        Event::SubflowEstablished(subflow) => Some(subflow),
        _ => None,
    };
    let joined = events.lines.iter().find_map(joined).unwrap();
    assert_eq!((joined.local_address_id, joined.remote_address_id), (2, 0));

    tell(&mut client, "subflows");
    let listed: Vec<&str> = client
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("subflow "))
        .collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert!(listed[0].starts_with("10.1.1.1:"), "{listed:?}");
    let expected = format!("{} {} ", joined.local, joined.remote);
    assert!(listed[1].starts_with(&expected), "{listed:?}");
    assert!(listed.iter().all(|line| value(line, "state") == "1"));
    assert_eq!(value(listed[0], "bytes_sent"), "1000");

    let shown = sockets::parse(&lab.run(Node::Client, sockets::SUBFLOWS_COMMAND).unwrap());
    let shown = shown
        .iter()
        .find(|entry| entry.local == Some(joined.local))
        .unwrap();
    let shown = shown.subflow().unwrap();
    assert_eq!(
        (shown.local_token, shown.local_address_id),
        (joined.token, 2)
    );
}
