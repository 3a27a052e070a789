//! TCP Fast Open: data in the SYN.

use std::path::Path;

use mptcp_tests::lab::oracle::stream::stream;
use mptcp_tests::lab::oracle::tshark::{self, Row};
use mptcp_tests::lab::{Lab, Node, Process};

use super::{app, counters, last_line, network, tell, value};

const SYN: &str = "tcp.flags.syn == 1 && tcp.flags.ack == 0";

fn capture(lab: &Lab, file: &Path) -> Process {
    let mut command = lab.command(Node::Client, "tcpdump");
    command
        .args(["--immediate-mode", "-U", "-n", "-i", "c1", "-w"])
        .arg(file)
        .arg("tcp");
    let mut process = Process::start("tcpdump", &mut command).unwrap();
    process.wait_for("listening on", 1).unwrap();
    process
}

/// Sends 3,000 bytes from the SYN on; says what became of the connection, and shows the SYNs.
fn exchange(lab: &Lab) -> (String, Vec<Row>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fast.pcap");
    let capture = capture(lab, &file);
    let listen = "listen-fast mptcp read 0.0.0.0:5001";
    let mut server = app(lab, Node::Server, listen, "listening");
    let connect = "connect-fast mptcp read 10.2.1.1:5001 3000";
    let mut client = app(lab, Node::Client, connect, "connected");
    server.wait_for("connected", 1).unwrap();
    tell(&mut client, "send 500");
    tell(&mut client, "shutdown");
    tell(&mut server, "eof");
    tell(&mut client, "info");
    for end in [&mut client, &mut server] {
        tell(end, "report");
    }
    let data = stream(&client.lines, &server.lines).unwrap();
    assert_eq!(data.received_bytes, 3500);
    assert_eq!(data.sent_sha256, data.received_sha256);
    capture.interrupt().unwrap();
    let info = last_line(&client.lines, "info ").to_owned();
    (info, tshark::read(&file, SYN).unwrap())
}

#[test]
fn fast_open_puts_the_first_data_in_the_syn_and_stays_mptcp() {
    let Some(lab) = network() else { return };
    lab.run(Node::Server, "echo 3 > /proc/sys/net/ipv4/tcp_fastopen")
        .unwrap();
    let (info, syns) = exchange(&lab);
    assert_eq!(value(&info, "is_mptcp"), "1");
    // What one SYN holds: the MSS of 1460 without its options.
    let payloads: Vec<u64> = syns.iter().map(|row| row.payload_bytes).collect();
    assert_eq!(payloads, [0, 1420]);
    assert!(syns.iter().all(|row| row.subtypes == [0]), "{syns:?}");
    assert_eq!(
        counters(&lab, Node::Client).of("TcpExtTCPFastOpenActive"),
        1
    );
    assert_eq!(
        counters(&lab, Node::Server).of("TcpExtTCPFastOpenPassive"),
        1
    );
}

#[test]
fn without_the_namespace_s_leave_the_data_follow_the_handshake() {
    let Some(lab) = network() else { return };
    lab.run(Node::Server, "echo 1 > /proc/sys/net/ipv4/tcp_fastopen")
        .unwrap();
    let (info, syns) = exchange(&lab);
    assert_eq!(value(&info, "is_mptcp"), "1");
    let payloads: Vec<u64> = syns.iter().map(|row| row.payload_bytes).collect();
    assert_eq!(payloads, [0, 0]);
    assert_eq!(
        counters(&lab, Node::Server).of("TcpExtTCPFastOpenPassive"),
        0
    );
}

#[test]
fn data_of_a_syn_that_are_refused_end_mptcp() {
    let Some(lab) = network() else { return };
    lab.run(Node::Server, "echo 3 > /proc/sys/net/ipv4/tcp_fastopen")
        .unwrap();
    exchange(&lab);
    lab.run(Node::Server, "echo 1 > /proc/sys/net/ipv4/tcp_fastopen")
        .unwrap();
    let (info, syns) = exchange(&lab);
    assert_eq!(info, "info fallback is_mptcp=0");
    assert!(syns.iter().all(|row| row.subtypes == [0]), "{syns:?}");
    assert_eq!(
        counters(&lab, Node::Client).of("TcpExtTCPFastOpenActiveFail"),
        1
    );
}
