//! Our endpoint, behind TUN devices, and the kernel's MPTCP.
//!
//! The comments name the rows of the K-table, what Linux 6.18 was seen to do. A test states what ours
//! does in the same place.

mod addresses;
mod boxes;
mod ends;
mod fast_open;
mod impaired;
mod joins;
mod roles;
mod urgent;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mptcp_analyze::model::Severity;
use mptcp_tests::lab::oracle::counters::Counters;
use mptcp_tests::lab::oracle::stream::{Stream, stream};
use mptcp_tests::lab::oracle::tshark;
use mptcp_tests::lab::{self, IcmpLimit, Lab, Node, Process, Recording, Tap, Topology};

use super::{app, counters, last_line, sequence, tell, value};

/// Both hosts live in this namespace: the devices are between them.
const HOST: Node = Node::Client;

/// How a test begins.
#[derive(Clone, Copy)]
struct Plan<'a> {
    /// Our endpoint listens and the kernel connects, or the other way round.
    listens: bool,
    /// What the kernel's application speaks, and whether it reads.
    socket: &'a str,
    /// 4 or 6.
    family: &'a str,
    /// Words for our endpoint.
    settings: &'a str,
    /// Shell text for the kernel, before there are devices.
    before: &'a str,
    /// Shell text for the kernel, when there are.
    after: &'a str,
    /// A capture is made and looked at.
    records: bool,
    /// With Fast Open: a first connection brings the cookie, and a second one has so many bytes in its SYN.
    early: Option<usize>,
}

/// Our endpoint connects over IPv4, and nothing is special.
const CLIENT: Plan<'_> = Plan {
    listens: false,
    socket: "mptcp read",
    family: "4",
    settings: "",
    before: "",
    after: "",
    records: false,
    early: None,
};

/// Our endpoint listens.
const SERVER: Plan<'_> = Plan {
    listens: true,
    ..CLIENT
};

/// The kernel's path manager has its second address for subflows.
const KERNEL_JOINS: &str = "ip mptcp endpoint add 10.200.1.1 id 7 subflow";

/// It advertises it.
const KERNEL_ADVERTISES: &str = "ip mptcp endpoint add 10.200.1.1 id 7 signal";

/// A connection between the two.
struct Pair {
    lab: Lab,
    ours: Process,
    kernel: Process,
    before: Counters,
    recording: Option<(Recording, PathBuf)>,
    /// Bytes that each has sent.
    total: usize,
}

impl Plan<'_> {
    /// Connects; none where the lab cannot run.
    fn start(&self) -> Option<Pair> {
        if !lab::works() {
            return None;
        }
        let lab = crate::network::build(&Topology {
            nodes: vec![HOST],
            links: Vec::new(),
            icmp_limit: IcmpLimit::Off,
            nat: None,
        });
        let setup = "sysctl -qw net.ipv4.tcp_congestion_control=reno
            ip mptcp limits set subflow 4 add_addr_accepted 4";
        lab.run(HOST, setup).unwrap();
        lab.run(HOST, self.before).unwrap();
        let before = counters(&lab, HOST);
        let (ours, kernel, recording) = if self.listens {
            self.ours_listens(&lab)
        } else {
            self.kernel_listens(&lab)
        };
        Some(Pair {
            lab,
            ours,
            kernel,
            before,
            recording,
            total: 0,
        })
    }

    /// What is left to do when there are devices.
    fn prepare(&self, lab: &Lab) -> Option<(Recording, PathBuf)> {
        lab.run(HOST, self.after).unwrap();
        self.records.then(|| {
            let path = lab.directory().join("tun.pcapng");
            let tap = Tap::tcp(HOST, &["mp0", "mp1"]);
            (Recording::start(lab, &tap, &path).unwrap(), path)
        })
    }

    fn ours_listens(&self, lab: &Lab) -> (Process, Process, Option<(Recording, PathBuf)>) {
        let line = format!("tun listen {} 5001 {}", self.family, self.settings);
        let mut ours = app(lab, HOST, &line, "listening");
        let recording = self.prepare(lab);
        let to = self.pick("10.200.0.2:5001", "[fd00:200:0::2]:5001");
        let line = match self.early {
            None => format!("connect {} {to}", self.socket),
            Some(bytes) => format!("connect-fast mptcp read {to} {bytes}"),
        };
        let kernel = app(lab, HOST, &line, "connected");
        let connections = 1 + usize::from(self.early.is_some());
        ours.wait_for("connected", connections).unwrap();
        (ours, kernel, recording)
    }

    fn kernel_listens(&self, lab: &Lab) -> (Process, Process, Option<(Recording, PathBuf)>) {
        let at = self.pick("0.0.0.0:5001", "[::]:5001");
        let role = self.early.map_or("listen", |_| "listen-fast");
        let kernel = app(
            lab,
            HOST,
            &format!("{role} {} {at}", self.socket),
            "listening",
        );
        let to = self.pick("10.200.0.1:5001", "[fd00:200:0::1]:5001");
        let line = format!("tun connect {} {to} later {}", self.family, self.settings);
        let mut ours = app(lab, HOST, &line, "devices");
        let recording = self.prepare(lab);
        tell(&mut ours, "go");
        ours.wait_for("connected", 1).unwrap();
        if let Some(bytes) = self.early {
            tell(&mut ours, &format!("again {bytes}"));
            ours.wait_for("connected", 2).unwrap();
        }
        (ours, kernel, recording)
    }

    fn pick<'a>(&self, v4: &'a str, v6: &'a str) -> &'a str {
        if self.family == "6" { v6 } else { v4 }
    }
}

impl Pair {
    /// Gives our endpoint orders, one after the other.
    #[track_caller]
    fn ours(&mut self, orders: &[&str]) {
        for order in orders {
            tell(&mut self.ours, order);
        }
    }

    /// Gives the kernel's application orders.
    #[track_caller]
    fn kernel(&mut self, orders: &[&str]) {
        for order in orders {
            tell(&mut self.kernel, order);
        }
    }

    /// Both send so many bytes at the same time, and have all that was sent so far.
    #[track_caller]
    fn exchange(&mut self, bytes: usize) {
        self.total += bytes;
        for end in [&mut self.ours, &mut self.kernel] {
            end.tell(&format!("send {bytes}")).unwrap();
        }
        let read = format!("read {}", self.total);
        tell(&mut self.ours, &read);
        tell(&mut self.kernel, &read);
    }

    /// Opens a second subflow from our second address, and waits for it.
    #[track_caller]
    fn join(&mut self) {
        self.ours(&["join 1", "wait SubflowUp 2"]);
    }

    /// Both end their data, and hear of the other's end.
    #[track_caller]
    fn shut_down(&mut self) {
        for end in [&mut self.ours, &mut self.kernel] {
            tell(end, "shutdown");
        }
        for end in [&mut self.ours, &mut self.kernel] {
            tell(end, "eof");
        }
    }

    /// What our endpoint, and the kernel, say of the connection.
    #[track_caller]
    fn infos(&mut self) -> [String; 2] {
        [&mut self.ours, &mut self.kernel].map(|end| {
            tell(end, "info");
            last_line(&end.lines, "info ").to_owned()
        })
    }

    /// The subflows of our endpoint.
    #[track_caller]
    fn subflows(&mut self) -> Vec<String> {
        let before = self.ours.lines.len();
        tell(&mut self.ours, "subflows");
        let new = self.ours.lines.iter().skip(before);
        let subflows = new.filter(|line| line.starts_with("subflow "));
        subflows.cloned().collect()
    }

    /// What the kernel sent over its subflow from this address.
    #[track_caller]
    fn kernel_sent(&mut self, remote: &str) -> u64 {
        let before = self.kernel.lines.len();
        tell(&mut self.kernel, "subflows");
        let mut new = self.kernel.lines.iter().skip(before);
        let found = new.find(|line| line.starts_with("subflow ") && line.contains(remote));
        let found = found.expect("the kernel has this subflow");
        value(found, "bytes_sent").parse().unwrap()
    }

    /// Both have all data of the other, and its end; the connection was and stayed MPTCP.
    #[track_caller]
    fn end_whole(mut self) -> Outcome {
        self.shut_down();
        self.ours(&["wait Closed"]);
        let outcome = self.end();
        outcome.check_whole();
        assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
        outcome.check_mirrored();
        outcome
    }

    /// The same where options were lost or changed on the way, so that the counters differ.
    #[track_caller]
    fn end_unharmed(mut self) -> Outcome {
        self.shut_down();
        let outcome = self.end();
        outcome.check_whole();
        assert!(!outcome.has("FellBack"), "{:?}", outcome.events);
        outcome
    }

    /// The data and the counters of both; the capture, if there is one, is well-formed and clean.
    #[track_caller]
    fn end(mut self) -> Outcome {
        self.ours(&["report", "events", "counters"]);
        // An application that aborted has reported already, and is gone.
        if !self.kernel.lines.iter().any(|line| line == "ok abort") {
            tell(&mut self.kernel, "report");
        }
        let kernel = counters(&self.lab, HOST).since(&self.before);
        if let Some((recording, path)) = self.recording {
            // A packet that comes while the program ends is lost, and the capture no evidence.
            tell(&mut self.ours, "pause 200");
            recording.finish().unwrap();
            check_capture(path);
        }
        let lines = &self.ours.lines;
        let counter = |line: &String| {
            let (name, value) = line.strip_prefix("counter ")?.split_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let event = |line: &String| Some(line.strip_prefix("event ")?.to_owned());
        Outcome {
            up: stream(lines, &self.kernel.lines).unwrap(),
            down: stream(&self.kernel.lines, lines).unwrap(),
            ours: lines.iter().filter_map(counter).collect(),
            events: lines.iter().filter_map(event).collect(),
            kernel,
        }
    }
}

/// How a connection went.
struct Outcome {
    /// From our endpoint to the kernel.
    up: Stream,
    down: Stream,
    /// The kernel's counters, what they grew.
    kernel: Counters,
    /// Our endpoint's counters that are not zero.
    ours: BTreeMap<String, u64>,
    /// What our endpoint told.
    events: Vec<String>,
}

impl Outcome {
    /// One of our counters.
    fn count(&self, name: &str) -> u64 {
        self.ours.get(name).copied().unwrap_or(0)
    }

    /// Whether our endpoint told an event in which this text is.
    fn has(&self, text: &str) -> bool {
        self.events.iter().any(|event| event.contains(text))
    }

    /// All data arrived, both ways, and their ends.
    #[track_caller]
    fn check_whole(&self) {
        for stream in [&self.up, &self.down] {
            assert_eq!(stream.sent_sha256, stream.received_sha256, "{stream:?}");
            assert_eq!(stream.end, "eof", "{stream:?}");
        }
    }

    /// What one counts as sent the other counts as received, and nobody had anything against the
    /// other's mappings.
    #[track_caller]
    fn check_mirrored(&self) {
        for (sent, received) in MIRRORED {
            let ours = (self.count(sent), self.count(received));
            let kernel = (self.kernel.mptcp(received), self.kernel.mptcp(sent));
            assert_eq!(ours, kernel, "{sent}, {received}: {:?}", self.ours);
        }
        for name in FAULTS {
            let counts = (self.count(name), self.kernel.mptcp(name));
            assert_eq!(counts, (0, 0), "{name}");
        }
    }
}

/// Counters of the two directions of one option.
const MIRRORED: [(&str, &str); 9] = [
    ("MPCapableSYNTX", "MPCapableSYNRX"),
    ("MPJoinSynTx", "MPJoinSynRx"),
    ("AddAddrTx", "AddAddr"),
    ("EchoAddTx", "EchoAdd"),
    ("RmAddrTx", "RmAddr"),
    ("MPPrioTx", "MPPrioRx"),
    ("MPFailTx", "MPFailRx"),
    ("MPFastcloseTx", "MPFastcloseRx"),
    ("MPRstTx", "MPRstRx"),
];

/// Counters of what must not happen between hosts that keep the rules.
const FAULTS: [&str; 12] = [
    "MPCapableFallbackACK",
    "MPCapableFallbackSYNACK",
    "MPCapableDataFallback",
    "DssFallback",
    "DSSNotMatching",
    "DSSCorruptionFallback",
    "DSSCorruptionReset",
    "DSSNoMatchTCP",
    "DataCsumErr",
    "InfiniteMapTx",
    "InfiniteMapRx",
    "MPJoinNoTokenFound",
];

/// No option is malformed for tshark, and the analyzer has nothing against either host.
#[track_caller]
fn check_capture(path: PathBuf) {
    let malformed = tshark::read(&path, "_ws.malformed || tcp.option.len.invalid").unwrap();
    assert_eq!(malformed, [], "{}", path.display());
    let mut analysis = crate::analyze(&[path]);
    mptcp_analyze::check::run(&mut analysis);
    let findings = analysis.all_findings();
    let bad: Vec<_> = findings
        .filter(|finding| finding.severity > Severity::Note)
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}
