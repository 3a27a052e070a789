//! One application talks to another.

use mptcp_tests::lab::Node;
use mptcp_tests::lab::oracle::stream::stream;
use mptcp_tests::lab::oracle::{monitor, sockets};

use super::{app, counters, last_line, network, run, sequence, tell, value};

#[test]
fn an_echo_is_mptcp_and_brings_the_data_back() {
    let Some(lab) = network() else { return };
    let server = app(
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
    for command in [
        "send 300000",
        "read 300000",
        "info",
        "shutdown",
        "eof",
        "report",
    ] {
        tell(&mut client, command);
    }
    let said = client.finish().unwrap();
    let info = last_line(&said, "info ");
    assert_eq!(value(info, "is_mptcp"), "1");
    assert_eq!(value(info, "bytes_sent"), "300000");
    let echo = stream(&said, &said).unwrap();
    assert_eq!(echo.sent_sha256, echo.received_sha256);
    assert_eq!(echo.end, "eof");
    let totals = server.finish().unwrap();
    let totals = last_line(&totals, "served ");
    assert_eq!(
        (value(totals, "connections"), value(totals, "mptcp")),
        ("1", "1")
    );
}

#[test]
fn what_an_mptcp_socket_says_is_what_the_oracles_say() {
    let Some(lab) = network() else { return };
    let mut events = monitor::start(&lab, Node::Client).unwrap();
    let _server = app(
        &lab,
        Node::Server,
        "serve sink mptcp 0.0.0.0:5001",
        "listening",
    );
    let mut client = app(
        &lab,
        Node::Client,
        "connect mptcp read 10.2.1.1:5001",
        "connected",
    );
    events.wait_for("CREATED]", 1).unwrap();
    tell(&mut client, "info");
    let info = last_line(&client.lines, "info ");
    assert_eq!(
        Some(value(info, "token")),
        monitor::token(&events.lines).as_deref()
    );
    let found = sockets::parse(&lab.run(Node::Client, sockets::CONNECTIONS_COMMAND).unwrap());
    for key in ["write_seq", "snd_una", "rcv_nxt"] {
        assert_eq!(found[0].sequence(key), Some(sequence(info, key)), "{key}");
    }
    assert_eq!(
        found[0].token().map(u64::from),
        Some(sequence(info, "token"))
    );
    let before = counters(&lab, Node::Client);
    drop(client);
    let growth = counters(&lab, Node::Client).since(&before);
    assert_eq!(growth.mptcp("MPCapableSYNTX"), 0);
    assert_eq!(before.mptcp("MPCapableSYNTX"), 1);
}

#[test]
fn a_socket_that_fell_back_says_so_in_both_families() {
    let Some(lab) = network() else { return };
    for address in ["10.2.1.1:5001", "[fd00:2:1::1]:5001"] {
        let _server = app(
            &lab,
            Node::Server,
            &format!("serve sink tcp {address}"),
            "listening",
        );
        let connect = format!("connect mptcp read {address}");
        let mut client = app(&lab, Node::Client, &connect, "connected");
        tell(&mut client, "info");
        tell(&mut client, "subflows");
        assert_eq!(
            last_line(&client.lines, "info "),
            "info fallback is_mptcp=0"
        );
        assert!(!client.lines.iter().any(|line| line.starts_with("subflow ")));
    }
}

#[test]
fn a_burst_of_five_hundred_connections_is_mptcp() {
    let Some(lab) = network() else { return };
    let server = app(
        &lab,
        Node::Server,
        "serve respond mptcp 0.0.0.0:5001",
        "listening",
    );
    let said = run(&lab, Node::Client, "burst mptcp 10.2.1.1:5001 500 2000 16");
    assert_eq!(
        (value(&said, "ok"), value(&said, "failed")),
        ("500", "0"),
        "{said}"
    );
    assert_eq!(
        (value(&said, "mptcp"), value(&said, "bytes")),
        ("500", "1000000")
    );
    assert_eq!(counters(&lab, Node::Server).mptcp("MPCapableACKRX"), 500);
    let plain = run(&lab, Node::Client, "burst tcp 10.2.1.1:5001 20 0");
    assert_eq!(
        (value(&plain, "ok"), value(&plain, "fallback")),
        ("20", "20")
    );
    let refused = run(&lab, Node::Client, "burst mptcp 10.2.1.1:5999 20 1");
    assert!(
        refused.contains("failure ConnectionRefused 20"),
        "{refused}"
    );
    let totals = server.finish().unwrap();
    assert_eq!(value(last_line(&totals, "served "), "sent"), "1000000");
}

#[test]
fn a_source_sends_until_its_client_aborts() {
    let Some(lab) = network() else { return };
    let server = app(
        &lab,
        Node::Server,
        "serve source mptcp 0.0.0.0:5001",
        "listening",
    );
    let mut client = app(
        &lab,
        Node::Client,
        "connect mptcp read 10.2.1.1:5001",
        "connected",
    );
    tell(&mut client, "read 2000000");
    tell(&mut client, "abort");
    drop(client);
    let totals = server.finish().unwrap();
    let sent: u64 = value(last_line(&totals, "served "), "sent")
        .parse()
        .unwrap();
    assert!(sent > 2_000_000, "{sent}");
}

#[test]
fn a_connection_near_the_wrap_crosses_it() {
    let Some(lab) = network() else { return };
    let listen = "listen-last mptcp read 0.0.0.0:5001";
    let mut server = app(&lab, Node::Server, listen, "listening");
    let connect = "connect-near-wrap mptcp read 10.2.1.1:5001 2000000";
    let mut client = app(&lab, Node::Client, connect, "connected");
    tell(&mut client, "info");
    let before = sequence(last_line(&client.lines, "info "), "write_seq");
    assert!(before & 0xffff_ffff >= (1 << 32) - 2_000_000, "{before:#x}");
    tell(&mut client, "send 2000000");
    server.wait_for("connected", 1).unwrap();
    tell(&mut server, "read 2000000");
    tell(&mut client, "info");
    let after = last_line(&client.lines, "info ");
    assert_eq!(sequence(after, "write_seq"), before + 2_000_000);
    assert_eq!(value(after, "is_mptcp"), "1");
    for end in [&mut client, &mut server] {
        tell(end, "report");
    }
    let data = stream(&client.lines, &server.lines).unwrap();
    assert_eq!(data.sent_sha256, data.received_sha256);
}
