//! What a scenario is: plain values, so that a new one is a few lines in the table.

use mptcp_tests::lab::{Node, Tap};

/// One run of the lab, with one or more captures of it.
pub(crate) struct Scenario {
    /// Also the stem of its file names.
    pub(crate) name: &'static str,
    /// One sentence for the manifest.
    pub(crate) shows: &'static str,
    pub(crate) family: Family,
    /// How many routers each path has.
    pub(crate) paths: &'static [u8],
    pub(crate) server: Protocol,
    /// Whether the client's application reads; data that it leaves unread turn its close into an abort.
    pub(crate) client_reads: bool,
    /// Done in this order before the applications start.
    pub(crate) setup: &'static [(Node, &'static str)],
    /// The life of the connection, from its establishment on.
    pub(crate) steps: &'static [Step],
    pub(crate) captures: &'static [Capture],
    /// Kernel counters that must have reached a value, or the run did not show what it promises.
    pub(crate) require: &'static [(Node, &'static str, u64)],
    /// What the connection looks like from outside.
    pub(crate) expect: Expect,
}

/// What follows from the scenario itself, apart from what the kernel and the applications report.
pub(crate) struct Expect {
    /// Nothing is wrong in it: an analyzer must not warn.
    pub(crate) clean: bool,
    /// All sent bytes arrived.
    pub(crate) complete: bool,
    /// Established subflows.
    pub(crate) subflows: usize,
}

impl Expect {
    /// A transfer without incident over `subflows` subflows.
    pub(crate) const fn clean(subflows: usize) -> Self {
        Self {
            clean: true,
            complete: true,
            subflows,
        }
    }

    /// A transfer that continues as plain TCP; the captures say how that shows at their place.
    pub(crate) const fn fallback() -> Self {
        Self {
            clean: false,
            complete: true,
            subflows: 1,
        }
    }

    /// An incident that an analyzer may warn about.
    pub(crate) const fn incident(subflows: usize, complete: bool) -> Self {
        Self {
            clean: false,
            complete,
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
    pub(crate) fn any_address(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0:5001",
            Self::V6 => "[::]:5001",
        }
    }

    /// Where the client connects to.
    pub(crate) fn server_address(self) -> &'static str {
        match self {
            Self::V4 => "10.2.1.1:5001",
            Self::V6 => "[fd00:2:1::1]:5001",
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
    /// Give the application a command (see `app`), and do not wait for it.
    Tell(Side, &'static str),
    /// Wait until the application has done all that it was told.
    Done(Side),
    /// Run shell text in a namespace.
    Run(Node, &'static str),
    /// Wait until `ip mptcp monitor` has reported this event.
    Event(Side, &'static str),
    /// Let time pass, where nothing observable tells that the moment has come.
    Pause { millis: u64 },
}

/// One capture file of a scenario.
pub(crate) struct Capture {
    /// What follows the scenario's name in the file name, with the ending that decides the format.
    pub(crate) suffix: &'static str,
    pub(crate) node: Node,
    pub(crate) interfaces: &'static [&'static str],
    /// Why there is no MPTCP (any more), in the analyzer's words: the first thing that is missing
    /// at this place. What a router takes away is still there before it.
    pub(crate) fallback: Option<&'static str>,
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
