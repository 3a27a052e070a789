//! What a run found out: plain data for reports and screens.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::diff::{Change, Comparison};
use crate::evidence::SentId;
use crate::probe::Probe;
use crate::quote::ErrorKind;
use crate::quote::extension::MplsLabel;

/// What a run found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Whom the probes were for.
    pub target: SocketAddr,
    /// The flows, in the order in which they were asked.
    pub flows: Vec<Flow>,
    /// What all of it says.
    pub verdict: Verdict,
}

/// What is known of the path of one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Where the probes came from.
    pub source: SocketAddr,
    /// Probes that were sent with small TTLs, the control first; the cells of a hop are in this order.
    pub probes: Vec<Probe>,
    /// Lowest TTL with which the target, or somebody in its place, was reached.
    pub distance: Option<u8>,
    /// Hops below that, the first one first.
    pub hops: Vec<Hop>,
    /// Changes, each once, where it appears first.
    pub changes: Vec<Located>,
    /// What the target said to each probe.
    pub ends: Vec<End>,
    /// What the connection showed that carried the probes of the established phase.
    pub talk: Option<Talk>,
    /// What somebody refuses of what a connection says; none if nothing is.
    pub refused: Option<Refused>,
    /// ACKs for data that nobody has sent are lost here.
    pub unseen_lost: Option<Interval>,
    /// What another port of the target showed; none if it was not asked.
    pub other: Option<OtherPort>,
    /// Hops that do not show; none if all seem to.
    pub hidden: Option<Hidden>,
    /// Packets of the flow take more than one way: more than one router answered at one TTL, or a packet came
    /// where another one was stopped.
    pub is_balanced: bool,
}

/// Packets of a connection that somebody answers with RST or an ICMP error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub probe: Probe,
    /// How.
    pub by: Refusal,
    /// Where.
    pub between: Interval,
}

/// How somebody refuses a packet of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// With RST, from nearer than the target.
    Reset,
    /// With an ICMP error.
    Error {
        /// Who sent it.
        from: IpAddr,
        /// What it says.
        kind: ErrorKind,
    },
}

/// What another port of the target showed, on which nobody is thought to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OtherPort {
    /// Somebody nearer than the target answers for the port that was asked about, here.
    pub nearer: Option<Interval>,
    /// An ACK without a connection is lost here, a SYN is not: somebody keeps state.
    pub stateful: Option<Interval>,
}

/// Hops that do not show: answers come from farther away than the TTLs that reached who gave them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hidden {
    /// Where.
    pub between: Interval,
    /// How many there are, if the way back is as long as the way there.
    pub hops: u8,
}

/// What a connection of the established phase showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Talk {
    /// How many were begun before: of those, nothing arrived.
    pub attempt: u8,
    /// The SYN/ACK had MP_CAPABLE.
    pub is_mptcp: bool,
    /// How data were acknowledged.
    pub acked: Acked,
    /// MP_FAIL came: a checksum did not hold (RFC 8684 §3.7).
    pub failed: bool,
    /// The target reset the connection before we ended it.
    pub was_reset: bool,
    /// The reason that it gave for that with MP_TCPRST (RFC 8684 §3.6).
    pub reset_reason: Option<u8>,
    /// Where somebody who is nearer than the target answers copies of data with RST.
    pub reset_between: Option<Interval>,
    /// Where somebody acknowledges copies of data, though no copy can have reached the target.
    pub acked_between: Option<Interval>,
    /// What was sent behind a hole was acknowledged by SACK; none if that was not tried.
    pub passes_holes: Option<bool>,
}

/// How data were acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Acked {
    /// Not at all.
    #[default]
    Never,
    /// By TCP alone.
    ByTcp,
    /// By a DATA_ACK too (RFC 8684 §3.3.2).
    ByMptcp,
}

/// A TTL.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    /// The TTL.
    pub ttl: u8,
    /// Who answered, the first one first.
    pub routers: Vec<Router>,
    /// What became of each probe.
    pub cells: Vec<Cell>,
}

/// A router that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Router {
    /// Its address.
    pub address: IpAddr,
    /// Answers that came.
    pub answers: u32,
    /// Shortest time that one took.
    pub rtt: Duration,
    /// Bytes from the TCP header on to which it cuts packets; those of the longest if it cuts none.
    pub quoted: usize,
    /// It quotes all of each packet.
    pub quotes_all: bool,
    /// MPLS labels with which the packet arrived.
    pub labels: Vec<MplsLabel>,
    /// What it said.
    pub said: ErrorKind,
}

/// A probe at a TTL.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Packets that were sent.
    pub sent: u32,
    /// Packets that were answered.
    pub answered: u32,
    /// What the answers say together.
    pub state: CellState,
    /// The packet whose answer says most, to be shown beside the quote.
    pub shown: Option<SentId>,
    /// Its comparison.
    pub comparison: Option<Comparison>,
}

/// What became of a probe at a TTL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellState {
    /// Nothing was sent.
    NotAsked,
    /// Nothing came back.
    Silent,
    /// What is quoted is as it was sent, but not all that matters is quoted.
    NotQuoted,
    /// The packet is quoted as it was sent.
    Same,
    /// Something is changed.
    Changed,
    /// The target answered, or somebody in its place.
    Reached,
    /// Somebody refuses the packet.
    Refused,
}

/// A change, and where it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// What.
    pub change: Change,
    /// Probes that show it.
    pub probes: Vec<Probe>,
    /// Where.
    pub between: Interval,
    /// Quotes that show it.
    pub witnesses: u32,
}

/// Two points of a path, both of them included: whoever acts is one of them or lies between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interval {
    /// The last hop that saw the packet as it was sent; 0 is this host.
    pub after: u8,
    /// The first point where it is otherwise.
    pub until: Place,
}

impl Interval {
    /// Anywhere, for what no router quotes: what comes back, or what became of a connection.
    pub const WHOLE_PATH: Self = Self {
        after: 0,
        until: Place::Target,
    };
}

/// A point of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// The router at this TTL.
    Hop(u8),
    /// The target.
    Target,
}

/// What the target said to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The probe.
    pub probe: Probe,
    /// Packets that were to reach the target.
    pub sent: u32,
    /// Those that were answered.
    pub answered: u32,
    /// What the answer is.
    pub answer: EndAnswer,
    /// TTL with which it arrived.
    pub ttl: Option<u8>,
    /// Shortest time that one took.
    pub rtt: Option<Duration>,
}

/// What an answer of the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndAnswer {
    /// None came.
    Silent,
    /// A SYN/ACK, with this to say of MPTCP.
    SynAck {
        /// The option.
        option: EndOption,
        /// Window of the answer; a SYN proxy often has none.
        window: u16,
    },
    /// A RST, with the reason of MP_TCPRST if it has one (RFC 8684 §3.6).
    Reset {
        /// The reason.
        reason: Option<u8>,
    },
    /// An ACK of something else, as a host sends that knows the connection already.
    Ack,
    /// An ICMP error.
    Error {
        /// Who sent it.
        from: IpAddr,
        /// What it says.
        kind: ErrorKind,
    },
}

/// What a SYN/ACK has of the option that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndOption {
    /// MP_CAPABLE with a key of its own, of this version.
    Capable(u8),
    /// MP_JOIN of its own.
    Join,
    /// The very bytes that were sent: nobody understood them.
    Mirrored,
    /// So many no-operations or zeros in a row where an option may have been: more than padding needs.
    Erased(usize),
    /// Nothing of it.
    Absent,
}

/// What all of a run says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The kind, for programs.
    pub code: Code,
    /// The same for people: one sentence.
    pub sentence: String,
    /// Whose doing it is.
    pub blame: Blame,
    /// How sure that is.
    pub confidence: Confidence,
    /// Where, if it is on the path.
    pub between: Option<Interval>,
    /// What a Linux client would live through.
    pub kernel_effect: String,
}

/// Kinds of verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The path changes nothing, and the target speaks MPTCP version 1.
    MptcpOk,
    /// The path changes nothing that was asked; MPTCP was not.
    PathClean,
    /// MPTCP passes, but the path changes something else.
    PathChanges,
    /// The target speaks version 0 only.
    MptcpV0Only,
    /// The target answers as plain TCP, and the path was not seen to change anything.
    ServerNoMptcp,
    /// MPTCP is removed from SYNs.
    PathStripsSyn,
    /// MPTCP is removed from SYN/ACKs.
    PathStripsSynAck,
    /// MP_CAPABLE is lost on its way there or on the way back: no router tells which.
    PathStripsCapable,
    /// MPTCP is removed from data.
    PathStripsData,
    /// MP_JOIN does not pass.
    PathBreaksJoin,
    /// An option of MPTCP arrives with another value.
    PathAltersMptcp,
    /// SYNs with MPTCP are dropped.
    PathDropsCapable,
    /// SYNs with MPTCP, or data of a connection with it, are answered with RST or ICMP.
    PathRejects,
    /// SYNs with another option are dropped.
    PathDropsOption,
    /// SYNs with another option, or packets of a connection with one, are answered with RST or ICMP.
    PathRejectsOption,
    /// Segments are split or joined.
    PathResegments,
    /// The payload is rewritten.
    PayloadModified,
    /// Somebody acknowledges what cannot have arrived.
    ProactiveAck,
    /// Somebody answers in the place of the target.
    ProxyOnPath,
    /// Somebody refuses connections to the port in the place of the target.
    PathClosesPort,
    /// MPTCP passes, but there are hops that do not show.
    HopsMissing,
    /// What answers repeats the options that it is sent.
    Mirror,
    /// The target refuses connections.
    PortClosed,
    /// Nothing comes back.
    Unreachable,
    /// The answers do not say.
    Undecided,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody's: nothing is wrong.
    Nobody,
    /// This host's.
    Local,
    /// The path's.
    Path,
    /// The target's.
    Server,
    /// It cannot be told.
    Unknown,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Confidence {
    /// It could be otherwise.
    Unknown,
    /// Most likely.
    Likely,
    /// Packets show it.
    Proven,
}

impl Code {
    /// Name for programs; it does not change.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MptcpOk => "mptcp_ok",
            Self::PathClean => "path_clean",
            Self::PathChanges => "path_changes",
            Self::MptcpV0Only => "mptcp_v0_only",
            Self::ServerNoMptcp => "server_no_mptcp",
            Self::PathStripsSyn => "path_strips_syn",
            Self::PathStripsSynAck => "path_strips_synack",
            Self::PathStripsCapable => "path_strips_capable",
            Self::PathStripsData => "path_strips_data",
            Self::PathBreaksJoin => "path_breaks_join",
            Self::PathAltersMptcp => "path_alters_mptcp",
            Self::PathDropsCapable => "path_drops_capable",
            Self::PathRejects => "path_rejects",
            Self::PathDropsOption => "path_drops_option",
            Self::PathRejectsOption => "path_rejects_option",
            Self::PathResegments => "path_resegments",
            Self::PayloadModified => "payload_modified",
            Self::ProactiveAck => "proactive_ack",
            Self::ProxyOnPath => "proxy_on_path",
            Self::PathClosesPort => "path_closes_port",
            Self::HopsMissing => "hops_missing",
            Self::Mirror => "mirror",
            Self::PortClosed => "port_closed",
            Self::Unreachable => "unreachable",
            Self::Undecided => "undecided",
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            0 => write!(f, "between this host and {}", self.until),
            after => write!(f, "between hop {after} and {}", self.until),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hop(ttl) => write!(f, "hop {ttl}"),
            Self::Target => f.write_str("the target"),
        }
    }
}

impl Hop {
    /// Whether the TTL ran out at more than one router: packets take more than one way. Who refuses a packet
    /// need not be at this TTL.
    pub fn is_balanced(&self) -> bool {
        let routers = self.routers.iter();
        let here = routers.filter(|router| router.said == ErrorKind::TimeExceeded);
        here.count() > 1
    }
}

impl Trace {
    /// Whether anything is wrong on the path or with MPTCP.
    pub fn has_findings(&self) -> bool {
        let clean = [Code::MptcpOk, Code::PathClean, Code::HopsMissing];
        !clean.contains(&self.verdict.code)
    }
}
