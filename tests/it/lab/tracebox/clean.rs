//! Chains without a box: nothing is reported, and nothing stays.

use mptcp_tests::lab::{self, Lab, Node, Recording, Tap};
use mptcp_tracebox::trace::{CellState, Code, Place};

use super::{V4, V6, chain, trace};
use crate::seen::read;

/// What a run could leave behind on a host: sockets, rules, addresses, settings.
fn state(lab: &Lab) -> String {
    let script = "
        ss -Hanu; ss -Hanw; ss -Hltn
        ip rule; ip -6 rule; ip route; ip -6 route; ip -br link; ip -br address
        nft list ruleset
        cat /proc/sys/net/ipv4/tcp_* /proc/sys/net/mptcp/* /proc/sys/net/ipv4/ip_* 2> /dev/null
    ";
    lab.run(Node::Client, script).unwrap()
}

#[track_caller]
fn check_clean(routers: u8) {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(routers);
    for target in [V4, V6] {
        let before = state(&lab);
        let path = lab.directory().join("clean.pcap");
        let tap = Tap::tcp(Node::Client, &["c1"]);
        let recording = Recording::start(&lab, &tap, &path).unwrap();
        let found = trace(&lab, target);
        recording.finish().unwrap();
        assert_eq!(state(&lab), before, "nothing of the host is changed");

        assert_eq!(
            found.verdict.code,
            Code::MptcpOk,
            "{}",
            found.verdict.sentence
        );
        let [flow] = &found.flows[..] else {
            panic!("{} flows", found.flows.len());
        };
        assert_eq!(flow.changes, []);
        assert_eq!(flow.distance, Some(routers + 1));
        assert_eq!(flow.hops.len(), usize::from(routers));
        let mut cells = flow.hops.iter().flat_map(|hop| &hop.cells);
        assert!(cells.all(|cell| cell.state == CellState::Same));
        check_resets(&read(&path), target);
    }
}

/// One RST for each SYN/ACK, and none of the kernel, which gives its own no id and no flow label.
#[track_caller]
fn check_resets(packets: &[crate::seen::Seen], target: &str) {
    let answers = packets.iter().filter(|packet| packet.is_syn_ack()).count();
    let resets: Vec<_> = packets
        .iter()
        .filter(|packet| packet.rst && packet.to_server())
        .collect();
    assert!(answers >= 4, "{target}: {answers} SYN/ACKs");
    assert_eq!(resets.len(), answers, "{target}");
    let is_ours = |packet: &&crate::seen::Seen| {
        packet.ip_id.is_none_or(|id| id != 0) && packet.flow_label.is_none_or(|label| label != 0)
    };
    assert!(resets.iter().all(is_ours), "{target}: {resets:?}");
}

#[test]
fn nothing_is_reported_of_three_hops() {
    check_clean(3);
}

#[test]
fn nothing_is_reported_of_five_hops() {
    check_clean(5);
}

#[test]
fn nothing_is_reported_of_ten_hops() {
    check_clean(10);
}

#[test]
fn a_closed_port_is_the_servers_doing() {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(2);
    for target in ["10.2.1.1:5999", "[fd00:2:1::1]:5999"] {
        let found = trace(&lab, target);
        assert_eq!(found.verdict.code, Code::PortClosed);
        assert_eq!(found.flows[0].changes, []);
    }
}

#[test]
fn a_host_that_is_not_there_is_said_to_be_behind_the_last_router() {
    if !lab::works() {
        return;
    }
    let (lab, _server) = chain(2);
    for target in ["10.2.1.77:5001", "[fd00:2:1::77]:5001"] {
        let found = trace(&lab, target);
        assert_eq!(
            found.verdict.code,
            Code::Unreachable,
            "{}",
            found.verdict.sentence
        );
        let until = found.verdict.between.map(|between| between.until);
        assert!(until.is_none_or(|until| until == Place::Target));
    }
}
