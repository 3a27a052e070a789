//! A transparent proxy in the router.

use mptcp_tests::lab::oracle::stream::stream;
use mptcp_tests::lab::{Lab, Node};

use super::{R11, app, counters, last_line, network, tell, value};

/// Leads every TCP connection through the relay at port 3129.
const REDIRECT: &str = "
    for f in -4 -6; do
      if [ $f = -4 ]; then all=0.0.0.0/0 tables=iptables; else all=::/0 tables=ip6tables; fi
      ip $f rule add fwmark 1 lookup 100
      ip $f route add local $all dev lo table 100
      $tables -t mangle -A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1
      $tables -t mangle -A PREROUTING -p tcp -m mark ! --mark 1 -j TPROXY --on-port 3129 --tproxy-mark 1
    done";

/// Echoes through a relay and says whether each side of it was MPTCP.
fn check_relay(lab: &Lab, protocols: &str, address: &str, front: &str, back: &str) {
    let relay = app(lab, R11, &format!("relay {protocols} 3129"), "listening");
    let server = app(
        lab,
        Node::Server,
        &format!("serve echo mptcp {address}"),
        "listening",
    );
    let connect = format!("connect mptcp read {address}");
    let mut client = app(lab, Node::Client, &connect, "connected");
    for command in [
        "send 100000",
        "read 100000",
        "info",
        "shutdown",
        "eof",
        "report",
    ] {
        tell(&mut client, command);
    }
    let echo = stream(&client.lines, &client.lines).unwrap();
    assert_eq!(echo.sent_sha256, echo.received_sha256);
    let info = last_line(&client.lines, "info ");
    assert_eq!(value(info, "is_mptcp"), front, "{protocols} {address}");
    let carried = relay.finish().unwrap();
    let carried = last_line(&carried, "relayed ");
    assert_eq!(
        (value(carried, "connections"), value(carried, "failed")),
        ("1", "0")
    );
    assert_eq!(
        (value(carried, "to_server"), value(carried, "to_client")),
        ("100000", "100000")
    );
    let totals = server.finish().unwrap();
    let totals = last_line(&totals, "served ");
    assert_eq!(
        (value(totals, "connections"), value(totals, "mptcp")),
        ("1", back)
    );
}

#[test]
fn a_relay_ends_mptcp_on_either_side_or_hides_it() {
    let Some(lab) = network() else { return };
    lab.run(R11, REDIRECT).unwrap();
    for address in ["10.2.1.1:5001", "[fd00:2:1::1]:5001"] {
        check_relay(&lab, "mptcp tcp", address, "1", "0");
        check_relay(&lab, "tcp tcp", address, "0", "0");
        check_relay(&lab, "tcp mptcp", address, "0", "1");
        check_relay(&lab, "mptcp mptcp", address, "1", "1");
    }
    assert_eq!(counters(&lab, R11).mptcp("MPCapableSYNRX"), 4);
}
