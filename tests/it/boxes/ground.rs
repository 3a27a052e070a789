//! The network with a place for a box, and one exchange through it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use mptcp_tests::lab::oracle::counters::{self, Counters};
use mptcp_tests::lab::oracle::stream::stream;
use mptcp_tests::lab::{Application, Lab, Node, Recording, Tap, Topology};

use super::Case;
use crate::seen::{Seen, read};

/// Where the box is.
pub(super) const PLACE: Node = Node::router(1, 2);

/// A network with both hosts and a router that takes boxes.
pub(super) struct Ground {
    pub(super) lab: Lab,
    place: Node,
}

/// What the applications do.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    /// The address of the server.
    pub(super) to: &'static str,
    /// Bytes that are sent in turn, first by the client.
    pub(super) turns: &'static [u32],
    /// Lines that the client says afterwards; a box may change their length.
    pub(super) say: &'static [&'static str],
    /// A counter of MPTCP of this host that has grown when data may flow.
    pub(super) start: Option<(usize, &'static str)>,
    /// Another one, when all has happened that is to happen.
    pub(super) until: Option<(usize, &'static str)>,
    /// How long one step may take before the data count as stalled.
    pub(super) patience: Duration,
}

impl Plan {
    /// Some data both ways, as much time as a busy machine may need.
    pub(super) const USUAL: Self = Self {
        to: super::V4,
        turns: &[3000, 2000, 500],
        say: &[],
        start: None,
        until: None,
        patience: Duration::from_secs(8),
    };
}

/// What became of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// All arrived, then the end of data, both ways.
    Whole,
    /// Something else arrived.
    Altered,
    /// Less arrived.
    Stalled,
    /// There was no connection.
    Refused,
}

/// A host during a trial.
pub(super) struct Host {
    /// Whether its connection was MPTCP after the handshake, and after data.
    pub(super) mptcp: (bool, bool),
    /// What its counters grew by.
    pub(super) counters: Counters,
    /// All that its application said.
    pub(super) said: Vec<String>,
}

/// An exchange through a box.
pub(super) struct Trial {
    /// The packets on the client's and on the server's side of the box.
    pub(super) near: Vec<Seen>,
    pub(super) far: Vec<Seen>,
    /// What arrived at the box after this time may be missing on its other side.
    pub(super) end: Duration,
    /// Client and server.
    pub(super) hosts: [Host; 2],
    pub(super) data: Data,
}

/// How long a connection may take; the kernel asks again after 1 and 3 seconds.
const CONNECTING: Duration = Duration::from_secs(10);

const HOSTS: [Node; 2] = [Node::Client, Node::Server];

impl Ground {
    /// `hosts` is shell text for both hosts.
    pub(super) fn new(hosts: &str) -> Self {
        Self::on(&Topology::chain(2), PLACE, hosts)
    }

    /// Another network and another router for the box.
    pub(super) fn on(topology: &Topology, place: Node, hosts: &str) -> Self {
        let lab = crate::network::build(topology);
        for node in HOSTS {
            // One box that loses SYNs must not switch MPTCP off for the next one.
            let always = "echo 0 > /proc/sys/net/mptcp/blackhole_timeout";
            lab.run(node, &format!("{always}\n{hosts}")).unwrap();
        }
        Self { lab, place }
    }

    /// An exchange through the box `spec`.
    pub(super) fn attempt(&self, spec: &str, plan: &Plan) -> Trial {
        let _box = self.lab.place(self.place, spec).unwrap();
        self.exchange(plan)
    }

    /// The exchange of a case.
    pub(super) fn attempt_case(&self, case: &Case, plan: &Plan) -> Trial {
        let first = Node::router(1, 1);
        let upstream = case
            .upstream
            .map(|spec| self.lab.place(first, spec).unwrap());
        self.lab.run(self.place, case.before).unwrap();
        let mut trial = self.attempt(case.spec, plan);
        drop(upstream);
        (case.own)(&mut trial);
        trial
    }

    /// An exchange through whatever is there.
    pub(super) fn exchange(&self, plan: &Plan) -> Trial {
        let before = HOSTS.map(|node| self.counters(node));
        let sides = ["near", "far"].map(|side| {
            let path = self.lab.directory().join(format!("{side}.pcap"));
            let interfaces = [side];
            let tap = Tap::tcp(self.place, &interfaces);
            (Recording::start(&self.lab, &tap, &path).unwrap(), path)
        });
        let (data, ends) = self.talk(plan, &before);
        let (end, after) = ends.measured;
        let mut sides = sides.map(|(recording, path)| {
            recording.finish().unwrap();
            read(&path)
        });
        forget_earlier(&mut sides);
        let [near, far] = sides;
        let host = |index: usize| Host {
            mptcp: ends.mptcp[index],
            counters: after[index].since(&before[index]),
            said: ends.said[index].clone(),
        };
        Trial {
            near,
            far,
            end,
            hosts: [host(0), host(1)],
            data,
        }
    }

    fn talk(&self, plan: &Plan, before: &[Counters; 2]) -> (Data, Ends) {
        let port = plan.to.rsplit(':').next().unwrap();
        let at = format!("[::]:{port}");
        let lab = &self.lab;
        let mut server = Application::listen_at(lab, Node::Server, "mptcp", &at).unwrap();
        let words = ["connect", "mptcp", "read", plan.to];
        let mut client = Application::start(lab, Node::Client, &words).unwrap();
        let connected = client.says_within("connected", CONNECTING);
        if !connected.unwrap_or(false) {
            let measured = self.measure();
            return (
                Data::Refused,
                Ends::without(client.finish().unwrap(), measured),
            );
        }
        if !server.says_within("connected", CONNECTING).unwrap() {
            let measured = self.measure();
            drop(server);
            return (
                Data::Stalled,
                Ends::without(client.finish().unwrap(), measured),
            );
        }
        let mut ends = [client, server];
        let first = ends.each_mut().map(is_mptcp);
        if let Some((host, name)) = plan.start {
            self.wait_for(&before[host], host, name);
        }
        let all = take_turns(&mut ends, plan);
        if let Some((host, name)) = plan.until {
            self.wait_for(&before[host], host, name);
        }
        let second = ends.each_mut().map(is_mptcp);
        let whole = all && close(&mut ends, plan);
        let measured = self.measure();
        if !whole {
            // The kernel would go on trying for a while, also during the next exchange.
            for end in &mut ends {
                end.ask("abort").unwrap();
            }
        }
        let said = ends.map(|end| end.finish().unwrap());
        let data = if whole {
            compare(&said[0], &said[1])
        } else {
            Data::Stalled
        };
        let mptcp = [0, 1].map(|index| (first[index], second[index]));
        let ends = Ends {
            mptcp,
            said,
            measured,
        };
        (data, ends)
    }

    /// Asks a host until its counter has grown.
    fn wait_for(&self, before: &Counters, host: usize, name: &str) {
        let deadline = Instant::now() + CONNECTING;
        while self.counters(HOSTS[host]).since(before).mptcp(name) == 0 {
            assert!(Instant::now() < deadline, "{name} of {} stays", HOSTS[host]);
        }
    }

    /// The time since 1970, and the counters.
    fn measure(&self) -> (Duration, [Counters; 2]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (now.unwrap(), HOSTS.map(|node| self.counters(node)))
    }

    pub(super) fn counters(&self, node: Node) -> Counters {
        Counters::parse(&self.lab.run(node, counters::COMMAND).unwrap())
    }
}

/// Takes the connections of earlier exchanges out. A host whose DATA_FIN is not acknowledged goes on
/// for a while, also between the beginnings of the two captures, when one side alone sees it.
fn forget_earlier(sides: &mut [Vec<Seen>; 2]) {
    let ends = |packet: &Seen| {
        let (one, other) = (packet.source, packet.destination);
        (one.min(other), one.max(other))
    };
    let earlier = sides[0].iter().take_while(|packet| !packet.is_syn());
    let earlier: BTreeSet<_> = earlier.map(ends).collect();
    for side in sides {
        side.retain(|packet| !earlier.contains(&ends(packet)));
    }
}

/// What an exchange leaves behind; both hosts each.
struct Ends {
    mptcp: [(bool, bool); 2],
    said: [Vec<String>; 2],
    measured: (Duration, [Counters; 2]),
}

impl Ends {
    /// The client said something, and there was no connection.
    fn without(client: Vec<String>, measured: (Duration, [Counters; 2])) -> Self {
        Self {
            mptcp: [(false, false); 2],
            said: [client, Vec::new()],
            measured,
        }
    }
}

fn is_mptcp(end: &mut Application) -> bool {
    let said = end.ask("info").unwrap();
    said.iter().any(|line| line.contains("is_mptcp=1"))
}

/// Each sends in turn and the other one waits for it; false if it waits in vain.
fn take_turns(ends: &mut [Application; 2], plan: &Plan) -> bool {
    let mut total = [0_u32, 0];
    for (turn, bytes) in plan.turns.iter().enumerate() {
        let (from, to) = (turn % 2, (turn + 1) % 2);
        total[from] += bytes;
        ends[from].ask(&format!("send {bytes}")).unwrap();
        let expected = total[from];
        let patience = plan.patience.as_millis();
        let said = ends[to]
            .ask(&format!("read {expected} {patience}"))
            .unwrap();
        if said != [format!("arrived {expected}")] {
            return false;
        }
    }
    for line in plan.say {
        ends[0].ask(&format!("say {line}")).unwrap();
        total[0] += 1;
        let patience = plan.patience.as_millis();
        let said = ends[1]
            .ask(&format!("read {} {patience}", total[0]))
            .unwrap();
        let arrived = said.first().and_then(|line| line.strip_prefix("arrived "));
        total[0] = arrived.and_then(|bytes| bytes.parse().ok()).unwrap();
    }
    true
}

/// Ends the data of both; false if one end does not arrive.
fn close(ends: &mut [Application; 2], plan: &Plan) -> bool {
    let patience = plan.patience.as_millis();
    for (from, to) in [(0, 1), (1, 0)] {
        ends[from].ask("shutdown").unwrap();
        ends[to].ask(&format!("eof {patience}")).unwrap();
    }
    ends.each_mut().into_iter().all(|end| {
        let said = end.ask("report").unwrap();
        said.iter().any(|line| line.ends_with("eof"))
    })
}

fn compare(client: &[String], server: &[String]) -> Data {
    let there = stream(client, server).unwrap();
    let back = stream(server, client).unwrap();
    let same = [there, back]
        .iter()
        .all(|stream| stream.sent_sha256 == stream.received_sha256);
    if same { Data::Whole } else { Data::Altered }
}

impl Host {
    /// The counters of MPTCP that grew and are no part of an exchange without trouble.
    pub(super) fn incidents(&self) -> Vec<String> {
        let grown = self.counters.noteworthy();
        let names = grown
            .keys()
            .filter_map(|name| name.strip_prefix("MPTcpExt"));
        let unusual = names.filter(|name| !ORDINARY.contains(name));
        unusual.map(str::to_owned).collect()
    }
}

/// Counters that grow without a box too; the last ones when a machine is slow.
const ORDINARY: &[&str] = &[
    "MPCapableSYNTX",
    "MPCapableSYNRX",
    "MPCapableSYNACKRX",
    "MPCapableACKRX",
    "MPCurrEstab",
    "SndWndShared",
    "RcvWndShared",
    "OFOQueue",
    "OFOQueueTail",
    "OFOMerge",
    "NoDSSInWindow",
    "MPJoinSynTx",
    "MPJoinSynRx",
    "MPJoinSynAckRx",
    "MPJoinAckRx",
    "AddAddr",
    "AddAddrTx",
    "EchoAdd",
    "EchoAddTx",
    "MPTCPRetrans",
    "DuplicateData",
];
