//! What the user typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum, value_parser};
use mptcp_cli::OutputArgs;

use crate::probe::Probe;
use crate::target::{Family, Target};

/// Show at which hop of a path a TCP or Multipath TCP option is removed or rewritten.
///
/// Sends SYNs with growing TTL and compares what routers quote of them with what was sent. With
/// `CAP_NET_RAW` (root, or `setcap cap_net_raw+ep` on the program) everything is asked; without it the
/// options of plain TCP only.
#[derive(Debug, Parser)]
#[command(
    name = "mptcp-tracebox",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    mut_arg("json", |json| json.help(JSON).long_help(JSON))
)]
pub struct Args {
    /// Flags that all commands have in common.
    #[command(flatten)]
    pub output: OutputArgs,
    /// What to trace, and how.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// Something else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Something else to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge a run again that was saved with `--pcap`.
    Reanalyze(ReanalyzeArgs),
}

/// Arguments of `reanalyze`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReanalyzeArgs {
    /// The file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the path as a graph for Graphviz too.
    #[arg(long, value_name = "OUT.dot")]
    pub dot: Option<PathBuf>,
}

/// What to trace, and how.
#[derive(Debug, Clone, ClapArgs)]
pub struct TraceArgs {
    /// Whom to ask: a name or an address; port 443 if none is given. IPv6 with a port: `[ADDRESS]:PORT`.
    #[arg(value_name = "HOST[:PORT]")]
    pub target: Option<Target>,
    /// What to ask: mpc1, mpc0, join, ecn, syn, dss, add-addr, prio, fastclose, unseen-ack, other-port,
    /// stray-ack, tfo, md5, or an option of a SYN as KIND:HEX; several with commas [default: all before tfo].
    #[arg(long, value_name = "PROBE", value_delimiter = ',')]
    pub probe: Vec<Probe>,
    /// When to ask: with the first segment, in an established connection, or both.
    #[arg(long, value_name = "PHASE", default_value = "both")]
    pub phase: PhaseArg,
    /// Which addresses to use.
    #[command(flatten)]
    pub family: FamilyArgs,
    /// Ask the same from so many source ports: routers may send them different ways.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=64))]
    pub flows: u8,
    /// Highest TTL.
    #[arg(long, value_name = "TTL", default_value_t = 30, value_parser = value_parser!(u8).range(1..=64))]
    pub max_ttl: u8,
    /// Packets in a second, at most.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = value_parser!(u32).range(1..=10_000))]
    pub pps: u32,
    /// Answers that are wanted from each hop to each probe.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u8).range(1..=10))]
    pub queries: u8,
    /// Send through this interface.
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Send from this address of this host.
    #[arg(long, value_name = "ADDRESS")]
    pub source: Option<IpAddr>,
    /// Save all packets, with comments, for `reanalyze` and Wireshark.
    #[arg(long, value_name = "OUT.pcapng")]
    pub pcap: Option<PathBuf>,
    /// Write the path as a graph for Graphviz too.
    #[arg(long, value_name = "OUT.dot")]
    pub dot: Option<PathBuf>,
    /// Look at it while it grows.
    #[arg(long, conflicts_with = "json")]
    pub tui: bool,
    /// Look the names of the routers up.
    #[arg(long)]
    pub dns: bool,
}

/// Which addresses to use.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct FamilyArgs {
    /// Use IPv4 only.
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only.
    #[arg(short = '6', long)]
    pub ipv6: bool,
}

/// When to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PhaseArg {
    /// With the first segment of a connection.
    Syn,
    /// In an established connection.
    Data,
    /// Both.
    Both,
}

impl TraceArgs {
    /// Which addresses are wanted.
    pub(crate) const fn family(&self) -> Family {
        match (self.family.ipv4, self.family.ipv6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => match self.source {
                Some(IpAddr::V4(_)) => Family::V4,
                Some(IpAddr::V6(_)) => Family::V6,
                None => Family::Any,
            },
        }
    }
}

const JSON: &str =
    "Write lines of JSON instead of text: one for each event, and the result as the last";
const AFTER_HELP: &str = "\
Exit codes: 0 nothing in the way, 1 something is, 2 usage, 3 failed, 4 cannot be told.
Ctrl-C ends a run and prints what it found so far.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn probes_come_with_commas_and_values() {
        let args = Args::parse_from(["x", "h", "--probe", "mpc1,253:f989,join", "-6"]);
        let wanted: Vec<String> = args.trace.probe.iter().map(Probe::to_string).collect();
        assert_eq!(wanted, ["mpc1", "253:f989", "join"]);
        assert_eq!(args.trace.family(), Family::V6);
    }

    #[test]
    fn numbers_out_of_range_and_flags_that_exclude_each_other_are_refused() {
        for flags in [
            &["--flows", "0"][..],
            &["--flows", "65"],
            &["--max-ttl", "0"],
            &["--max-ttl", "65"],
            &["--pps", "0"],
            &["-4", "-6"],
            &["--probe", "mpc3"],
            &["--json", "--tui"],
        ] {
            let line = ["x", "h"].iter().chain(flags);
            assert!(Args::try_parse_from(line).is_err(), "{flags:?}");
        }
    }
}
