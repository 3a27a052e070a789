//! What the user typed.

use std::num::NonZero;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use mptcp_cli::OutputArgs;

use crate::filter::{self, Filter};
use crate::model::Direction;
use crate::rebuild::Limits;

/// Rebuild Multipath TCP connections from packet captures and explain what happened to them.
///
/// Reads pcap and pcapng, plain or compressed with gzip or zstd; `-` is standard input. Several
/// files are merged by time. Frames are numbered from 1, as Wireshark does.
#[derive(Debug, Parser)]
#[command(name = "mptcp-analyze", version, after_help = AFTER_HELP)]
pub struct Args {
    /// Flags that all commands have in common.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the connections, a row each.
    List(ListArgs),
    /// Show one connection: subflows, addresses, checks, events, numbers.
    Show(ShowArgs),
    /// Print a line for each packet: relative DSNs, mapping, class of its bytes, decoded options.
    ///
    /// The columns: frame; seconds since the first packet of the capture; connection and subflow
    /// (c.sf); `>` to the server or `<` to the client; flags (`.` is ACK); payload bytes; its pieces
    /// as [first relative DSN:one past the last] and, if they are not new, their class; after each
    /// `|` an MPTCP option, in relative numbers.
    Packets(SelectArgs),
    /// Print the findings only; exit 1 when one is a warning or worse.
    Check(SelectArgs),
    /// Explain findings by their id; without an id, list them all.
    Explain(ExplainArgs),
    /// Write the data stream of a connection, put together from all subflows; exit 1 when it has
    /// holes.
    ///
    /// The bytes go to standard output, unless that is a terminal, or to a file. With `--json` a
    /// document tells their number, hash and holes, and the bytes are written only if `-o` names a
    /// file for them.
    Follow(FollowArgs),
    /// Write the packets of a connection to a pcapng file, with findings as packet comments.
    ///
    /// ICMP errors that quote one of its packets are among them. Of an IP packet that was
    /// fragmented, only the fragment that completes it is written.
    Extract(ExtractArgs),
}

/// Files to read.
#[derive(Debug, Clone, ClapArgs)]
pub struct InputArgs {
    /// Captures to read; `-` is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Threads to use at most; the result does not depend on it [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZero<usize>>,
    /// Most TCP streams to tell apart; packets of later ones are counted and reported.
    #[arg(long, value_name = "N", default_value_t = Limits::default().streams, hide_short_help = true)]
    pub max_streams: usize,
    /// Most MPTCP connections to keep; packets of later ones are counted and reported.
    #[arg(long, value_name = "N", default_value_t = Limits::default().connections, hide_short_help = true)]
    pub max_connections: usize,
    /// Most MPTCP subflows to keep, of all connections together; packets of later ones are counted and
    /// reported.
    #[arg(long, value_name = "N", default_value_t = Limits::default().subflows, hide_short_help = true)]
    pub max_subflows: usize,
}

impl InputArgs {
    /// How much to keep.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            streams: self.max_streams,
            connections: self.max_connections,
            subflows: self.max_subflows,
            ..Limits::default()
        }
    }
}

/// Files, and which of their connections are meant.
#[derive(Debug, Clone, ClapArgs)]
pub struct SelectArgs {
    /// Files to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Only the connection with this number.
    #[arg(long, value_name = "N")]
    pub conn: Option<u32>,
    /// Only connections that this expression describes.
    #[arg(long, value_name = "EXPR", value_parser = Filter::parse, long_help = filter::HELP)]
    pub filter: Option<Filter>,
}

/// Arguments of `list`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ListArgs {
    /// Files and connections.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Put keys into the JSON document. Who has them can take the connection over.
    #[arg(long)]
    pub show_keys: bool,
    /// Verify the TCP checksum of every segment, as `check` and `show` do.
    ///
    /// Otherwise, and unless there is a filter, ordinary segments are left out after the first 1000
    /// of each end of a subflow as long as none was wrong.
    #[arg(long)]
    pub verify: bool,
}

/// Arguments of `show`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ShowArgs {
    /// Files and connections.
    #[command(flatten)]
    pub select: SelectArgs,
    /// Print the keys. Who has them can take the connection over.
    #[arg(long)]
    pub show_keys: bool,
}

/// Arguments of `explain`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ExplainArgs {
    /// Ids of findings, for example MPT012.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
}

/// Arguments of `follow`.
#[derive(Debug, Clone, ClapArgs)]
pub struct FollowArgs {
    /// Files to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Number of the connection.
    #[arg(long, value_name = "N")]
    pub conn: u32,
    /// Which of its two streams.
    #[arg(long, value_name = "HOST")]
    pub to: Receiver,
    /// The file to write the bytes to; `-` is standard output.
    #[arg(short, long, value_name = "OUT")]
    pub out: Option<PathBuf>,
}

/// Arguments of `extract`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ExtractArgs {
    /// Files to read.
    #[command(flatten)]
    pub input: InputArgs,
    /// Number of the connection.
    #[arg(long, value_name = "N")]
    pub conn: u32,
    /// The pcapng file to write; `-` is standard output.
    #[arg(short, long, value_name = "OUT.pcapng")]
    pub out: PathBuf,
}

/// The host that a stream goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Receiver {
    /// What the client sent.
    Server,
    /// What the server sent.
    Client,
}

impl Receiver {
    /// The direction of the stream.
    pub fn direction(self) -> Direction {
        match self {
            Receiver::Server => Direction::ToServer,
            Receiver::Client => Direction::ToClient,
        }
    }
}

const AFTER_HELP: &str = "\
Exit codes: 0 clean, 1 findings (check) or holes (follow), 2 usage, 3 failed.
MPTCP_LOG=debug logs decisions to standard error.";
