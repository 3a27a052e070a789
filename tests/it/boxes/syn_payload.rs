//! The data of a SYN are lost (TCP Fast Open, RFC 7413).

use std::time::SystemTime;

use mptcp_tests::lab::oracle::stream::stream;
use mptcp_tests::lab::{self, Application, Lab, Node, Recording, Tap};

use super::change::{Change, What, When};
use super::ground::{Data, Ground, Host, PLACE, Trial};
use super::sides::{self, side};
use super::{NO, V4, V6};
use crate::seen::{Seen, read};

const BOX: &str = "syn-payload:toward=server";

const CUT: Change = Change::new(When::Syn, What::Edit(|packet| packet.payload.clear()));

/// The server takes data in SYNs.
const WILLING: &str = "echo 3 > /proc/sys/net/ipv4/tcp_fastopen";

const HOSTS: [Node; 2] = [Node::Client, Node::Server];

/// Sends 3,000 bytes from the SYN on and 500 later; the client and the server at the end.
fn talk(lab: &Lab, to: &str) -> [Application; 2] {
    let words = ["listen-fast", "mptcp", "read", "[::]:5001"];
    let mut server = Application::start(lab, Node::Server, &words).unwrap();
    server.wait_for("listening").unwrap();
    let words = ["connect-fast", "mptcp", "read", to, "3000"];
    let mut client = Application::start(lab, Node::Client, &words).unwrap();
    client.wait_for("connected").unwrap();
    server.wait_for("connected").unwrap();
    client.ask("send 500").unwrap();
    client.ask("shutdown").unwrap();
    server.ask("eof").unwrap();
    let mut ends = [client, server];
    for end in &mut ends {
        assert_eq!(end.ask("info").unwrap(), ["info fallback is_mptcp=0"]);
        end.ask("report").unwrap();
    }
    ends
}

/// An exchange through the box. Its captures hold two connections, as the first one of the client
/// fetches a cookie.
fn attempt(to: &str) -> Trial {
    let ground = Ground::new(WILLING);
    let lab = &ground.lab;
    let before = HOSTS.map(|node| ground.counters(node));
    let _box = lab.place(PLACE, BOX).unwrap();
    let recordings = ["near", "far"].map(|side| {
        let path = lab.directory().join(format!("{side}.pcap"));
        let interfaces = [side];
        let tap = Tap::tcp(PLACE, &interfaces);
        (Recording::start(lab, &tap, &path).unwrap(), path)
    });
    let ends = talk(lab, to);
    let end = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let after = HOSTS.map(|node| ground.counters(node));
    let [client, server] = ends.map(|end| end.finish().unwrap());
    let [near, far] = recordings.map(|(recording, path)| {
        recording.finish().unwrap();
        read(&path)
    });
    let data = stream(&client, &server).unwrap();
    assert_eq!(data.received_bytes, 3500);
    assert_eq!(data.sent_sha256, data.received_sha256);
    let host = |index: usize, said| Host {
        mptcp: NO,
        counters: after[index].since(&before[index]),
        said,
    };
    Trial {
        near,
        far,
        end: end.unwrap(),
        hosts: [host(0, client), host(1, server)],
        data: Data::Whole,
    }
}

fn syn_payloads(packets: &[Seen]) -> Vec<usize> {
    let syns = side(packets, true).filter(|packet| packet.is_syn());
    syns.map(|syn| syn.payload.len()).collect()
}

/// The client repeats them without a mapping, which both ends take for the end of MPTCP.
#[test]
fn data_of_a_syn_that_are_lost_come_again_and_end_mptcp() {
    if !lab::works() {
        return;
    }
    // What one SYN holds: the MSS without its options.
    for (to, room) in [(V4, 1420), (V6, 1400)] {
        let trial = attempt(to);
        assert_eq!(sides::differences(&trial, &CUT), [""; 0], "{to}");
        assert_eq!(syn_payloads(&trial.near), [0, room], "{to}");
        assert_eq!(syn_payloads(&trial.far), [0, 0], "{to}");
        let mut incidents = trial.hosts.each_ref().map(Host::incidents);
        // Under load the kernel sometimes counts the bare third ACK too, which is one as well.
        incidents[1].retain(|name| *name != "MPCapableFallbackACK");
        assert_eq!(incidents, [["MPCapableDataFallback"]; 2], "{to}");
        let [client, server] = trial.hosts.map(|host| host.counters);
        assert_eq!(client.of("TcpExtTCPFastOpenActiveFail"), 1, "{to}");
        assert_eq!(server.of("TcpExtTCPFastOpenPassive"), 1, "{to}");
        let again = side(&trial.far, true).find(|packet| !packet.payload.is_empty());
        let has_mapping = |dss: Vec<u8>| dss[1] & 0x04 != 0;
        let again = again.map(|packet| {
            let mapped = packet.mptcp(2).is_some_and(has_mapping);
            (packet.payload.len(), mapped)
        });
        assert_eq!(again, Some((room, false)), "{to}");
    }
}

/// The box of this file.
pub(super) const SPECS: &[&str] = &[BOX];
