//! Our endpoint, behind TUN devices, and the kernel's MPTCP.

use mptcp_tests::lab::Node;
use mptcp_tests::lab::oracle::stream::stream;

use super::{app, counters, last_line, network, tell, value};

/// The kernel's address, and ours, in both families.
const FAMILIES: [(&str, &str, &str); 2] = [
    ("4", "10.200.0.1:5001", "0.0.0.0:5001"),
    ("6", "[fd00:200:0::1]:5001", "[::]:5001"),
];

#[test]
fn the_kernel_echoes_what_our_client_sends_as_mptcp() {
    let Some(lab) = network() else { return };
    for (family, server, listen) in FAMILIES {
        let before = counters(&lab, Node::Client);
        let echo = app(
            &lab,
            Node::Client,
            &format!("serve echo mptcp {listen}"),
            "listening",
        );
        let mut client = app(
            &lab,
            Node::Client,
            &format!("tun connect {family} {server}"),
            "connected",
        );
        for order in [
            "send 300000",
            "read 300000",
            "info",
            "shutdown",
            "eof",
            "report",
        ] {
            tell(&mut client, order);
        }
        let said = client.finish().unwrap();
        assert_eq!(value(last_line(&said, "info "), "is_mptcp"), "1");
        let ends = stream(&said, &said).unwrap();
        assert_eq!(ends.sent_sha256, ends.received_sha256);
        assert_eq!(ends.end, "eof");
        let totals = echo.finish().unwrap();
        assert_eq!(value(last_line(&totals, "served "), "mptcp"), "1");
        let growth = counters(&lab, Node::Client).since(&before);
        assert_eq!(growth.mptcp("MPCapableSYNRX"), 1);
        assert_eq!(growth.mptcp("MPCapableACKRX"), 1);
        assert_eq!(growth.mptcp("MPCapableFallbackACK"), 0);
    }
}
