//! What a scenario is: plain values, so that a new one is a few lines in the table.

use mptcp_tests::lab::{Node, Tap, Topology};

/// One run of the lab, with one or more captures of it.
pub(crate) struct Scenario {
    /// Also the stem of its file names.
    pub(crate) name: &'static str,
    /// One sentence for the manifest.
    pub(crate) shows: &'static str,
    pub(crate) family: Family,
    /// Where the server listens.
    pub(crate) port: u16,
    pub(crate) network: Network,
    pub(crate) server: Protocol,
    pub(crate) opening: Opening,
    /// Done in this order before the applications start.
    pub(crate) setup: &'static [(Node, &'static str)],
    /// Placed after `setup`.
    pub(crate) boxes: &'static [(Node, &'static str)],
    /// The life of the connection, from its establishment on.
    pub(crate) steps: &'static [Step],
    pub(crate) captures: &'static [Capture],
    /// Kernel counters that must have reached a value, or the run did not show what it promises.
    pub(crate) require: &'static [(Node, &'static str, u64)],
    /// What the connection looks like from outside.
    pub(crate) expect: Expect,
}

/// What is between the hosts.
#[derive(Clone, Copy)]
pub(crate) enum Network {
    /// Paths with their numbers of routers; every link is slow, so that a few kilobytes already
    /// queue and the scheduler uses all paths.
    Paths(&'static [u8]),
    /// One path of one router, as fast as the machine.
    Fast,
    /// One path; its first router translates the client's addresses.
    Nat,
}

impl Network {
    /// Without the rate.
    pub(crate) fn topology(self) -> Topology {
        match self {
            Self::Paths(routers) => Topology::paths(routers),
            Self::Fast => Topology::chain(1),
            Self::Nat => Topology::nat(),
        }
    }
}

/// How the client's application opens the connection.
#[derive(Clone, Copy)]
pub(crate) enum Opening {
    /// As usual.
    Plain,
    /// The same, and nobody answers as the application hopes: it ends with this error.
    Fails(&'static str),
    /// So many bytes in the SYN, with a cookie from a connection before it.
    Fast(&'static str),
    /// Again and again, until the low half of the data sequence number is at most so many bytes below
    /// its wrap.
    NearWrap(&'static str),
}

impl Opening {
    /// The server's role, the client's role, and the client's further argument.
    pub(crate) fn roles(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Plain | Self::Fails(_) => ("listen", "connect", None),
            Self::Fast(bytes) => ("listen-fast", "connect-fast", Some(bytes)),
            Self::NearWrap(bytes) => ("listen-last", "connect-near-wrap", Some(bytes)),
        }
    }

    /// Bytes in the SYN.
    pub(crate) fn syn_bytes(self) -> u64 {
        match self {
            Self::Fast(bytes) => bytes.parse().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether connections precede the one that the scenario is about. They are taken out of the
    /// captures and of what is expected.
    pub(crate) fn is_searched(self) -> bool {
        matches!(self, Self::Fast(_) | Self::NearWrap(_))
    }
}

/// What follows from the scenario itself, apart from what the kernel and the applications report.
pub(crate) struct Expect {
    /// All sent bytes arrived as they were sent.
    pub(crate) complete: bool,
    /// Subflows that the client's kernel established; none if it knows no MPTCP connection.
    pub(crate) subflows: usize,
}

impl Expect {
    /// A transfer over `subflows` subflows that brings everything.
    pub(crate) const fn whole(subflows: usize) -> Self {
        Self {
            complete: true,
            subflows,
        }
    }

    /// One that loses or changes something.
    pub(crate) const fn damaged(subflows: usize) -> Self {
        Self {
            complete: false,
            subflows,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Where the server listens: everywhere, or an advertised address would refuse its joins.
    pub(crate) fn any_address(self, port: u16) -> String {
        match self {
            Self::V4 => format!("0.0.0.0:{port}"),
            Self::V6 => format!("[::]:{port}"),
        }
    }

    /// Where the client connects to. Behind two routers the server has the same addresses.
    pub(crate) fn server_address(self, port: u16) -> String {
        match self {
            Self::V4 => format!("10.2.1.1:{port}"),
            Self::V6 => format!("[fd00:2:1::1]:{port}"),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Mptcp,
    Tcp,
}

/// One end of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) fn node(self) -> Node {
        match self {
            Self::Client => Node::Client,
            Self::Server => Node::Server,
        }
    }
}

/// One thing to do or to wait for.
pub(crate) enum Step {
    /// The client sends so many bytes, the server so many, both at once; both arrive.
    Exchange(u64, u64),
    /// The client ends its data, then the server, and both report.
    Close,
    /// Give the application a command (see `app`), and do not wait for it.
    Tell(Side, &'static str),
    /// Wait until the application has done all that it was told.
    Done(Side),
    /// A further server, of any number of connections, listens with MPTCP at this address of the
    /// server.
    Listen(&'static str),
    /// Run shell text in a namespace.
    Run(Node, &'static str),
    /// Put a box into a router.
    Place(Node, &'static str),
    /// Take the box out of a router.
    Remove(Node),
    /// Begin the captures that begin late.
    Capture,
    /// Wait until `ip mptcp monitor` has reported this event so often.
    Events(Side, &'static str, usize),
    /// Wait until a counter of the kernel has reached this value.
    Counter(Node, &'static str, u64),
    /// Let time pass, where nothing observable tells that the moment has come.
    Pause { millis: u64 },
}

/// One capture file of a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Capture {
    /// What follows the scenario's name in the file name, with the ending that decides the format.
    pub(crate) suffix: &'static str,
    pub(crate) node: Node,
    pub(crate) interfaces: &'static [&'static str],
    /// It begins in the middle, at [`Step::Capture`].
    pub(crate) late: bool,
    /// How many connections with MPTCP a reader finds: a join whose connection is not recognizable
    /// counts as another, a connection whose options got lost before this place not at all.
    pub(crate) connections: usize,
    /// Why there is no MPTCP (any more), in the analyzer's words: the first thing that is missing
    /// at this place. What a router takes away is still there before it.
    pub(crate) fallback: Option<&'static str>,
    /// What a reader of this file must be warned of, by the analyzer's identifiers.
    pub(crate) findings: &'static [&'static str],
    /// What a reader must be told of without alarm.
    pub(crate) notes: &'static [&'static str],
    /// Why it may be larger than others.
    pub(crate) large_because: Option<&'static str>,
}

impl Capture {
    pub(crate) fn file(&self, scenario: &Scenario) -> String {
        format!("{}{}", scenario.name, self.suffix)
    }

    /// What is captured.
    pub(crate) fn tap(&self) -> Tap<'static> {
        Tap::tcp(self.node, self.interfaces)
    }
}
