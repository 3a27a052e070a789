//! `cargo xtask lab`: a shell in a network with middleboxes, and what is there to build it from.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context, bail};
use mptcp_tests::lab::process::output;
use mptcp_tests::lab::{self, IcmpLimit, KERNEL_BOXES, Lab, Node, Rate, Topology, clean};
use mptcp_tests::middlebox::spec;

use crate::say::{answer, say};

const HELP: &str = "\
usage: cargo xtask lab shell TOPOLOGY [--box BOX@ROUTER]... [--rate MBIT] [--icmp-limit] [-- COMMAND...]
       cargo xtask lab list
       cargo xtask lab clean [--all]

shell   builds the network and opens a shell on the client; it goes when the shell ends.
        The exit code is that of COMMAND
list    the topologies and the middleboxes
clean   removes networks whose maker was killed together with its cleaner; --all also the live ones
";

/// Time that a packet may wait at a router whose rate is limited.
const QUEUE: Duration = Duration::from_millis(100);

/// More than a virtual link carries; `tc` counts in bytes and must not overflow.
const MOST_MBIT: u32 = 100_000;

/// What a shell adds to the number of the signal that ended a command.
const SIGNALLED: i32 = 128;

/// What the user typed, read before anything is done.
enum Request<'a> {
    List,
    Clean { even_live: bool },
    Shell(Topology, Wishes<'a>),
    Help,
}

impl<'a> Request<'a> {
    fn read(words: &[&'a str]) -> anyhow::Result<Self> {
        Ok(match words {
            ["list"] => Self::List,
            ["clean"] => Self::Clean { even_live: false },
            ["clean", "--all"] => Self::Clean { even_live: true },
            ["shell", topology, options @ ..] => {
                let mut topology = topology.parse()?;
                let wishes = Wishes::read(&mut topology, options)?;
                Self::Shell(topology, wishes)
            }
            ["help" | "--help" | "-h"] => Self::Help,
            _ => bail!("{HELP}"),
        })
    }

    fn fulfil(self, root: &Path) -> anyhow::Result<ExitCode> {
        match self {
            Self::List => answer(&list()),
            Self::Clean { even_live } => clean(even_live)?,
            Self::Shell(topology, wishes) => return shell(root, &topology, &wishes),
            Self::Help => answer(HELP),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Does what `words` ask for. The exit code is 0 done, 1 failed, 2 usage, or that of the command that
/// ran in the network.
pub(crate) fn run(root: &Path, words: &[&str]) -> ExitCode {
    let fail = |error: &anyhow::Error, code| {
        say(&format!("xtask: {error:#}"));
        ExitCode::from(code)
    };
    match Request::read(words) {
        Ok(request) => request.fulfil(root).unwrap_or_else(|error| fail(&error, 1)),
        Err(error) => fail(&error, 2),
    }
}

fn clean(even_live: bool) -> anyhow::Result<()> {
    let (removed, left) = clean::all(even_live)?;
    for network in &removed {
        answer(&format!("removed {network}"));
    }
    for network in &left {
        answer(&format!(
            "left alone {network}: its process still runs (--all removes it)"
        ));
    }
    answer(&format!("{} removed, {} left", removed.len(), left.len()));
    Ok(())
}

/// Fails when a network is there whose maker is gone: its cleaner did not do its work.
pub(crate) fn check_nothing_left() -> anyhow::Result<()> {
    let left: Vec<String> = clean::orphans()?;
    if !left.is_empty() {
        bail!(
            "left of the lab: {}; `cargo xtask lab clean` removes it",
            left.join(", ")
        );
    }
    say("lab: no namespace, process or file is left");
    Ok(())
}

fn list() -> String {
    let mut text = format!("topologies: {}\n\n", Topology::GRAMMAR);
    let _ = writeln!(text, "middleboxes of the kernel's parts:");
    for kind in KERNEL_BOXES {
        let parameters: Vec<String> = kind
            .parameters
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let colon = if parameters.is_empty() { "" } else { ":" };
        let spec = format!("{}{colon}{}", kind.name, parameters.join(","));
        let _ = writeln!(text, "  {spec}\n      {}", kind.does);
    }
    let _ = writeln!(
        text,
        "\nmiddleboxes of the kit (several in a row: BOX+BOX):"
    );
    for kind in spec::ALL {
        let _ = writeln!(text, "  {}\n      {}", kind.example, kind.about);
    }
    text
}

/// What the user asked for beside the topology.
#[derive(Default)]
struct Wishes<'a> {
    boxes: Vec<(&'a str, Node)>,
    command: Vec<&'a str>,
}

impl<'a> Wishes<'a> {
    /// Reads the options of `lab shell`; some of them change the network.
    fn read(topology: &mut Topology, options: &[&'a str]) -> anyhow::Result<Self> {
        let mut wishes = Self::default();
        let mut rest = options.iter();
        while let Some(option) = rest.next() {
            let mut value = || {
                rest.next()
                    .with_context(|| format!("{option} needs a value"))
            };
            match *option {
                "--box" => {
                    let text = value()?;
                    let (spec, node) = text
                        .rsplit_once('@')
                        .with_context(|| format!("{text}: `BOX@ROUTER` expected, as in strip@2"))?;
                    wishes.boxes.push((spec, node.parse()?));
                }
                "--rate" => *topology = topology.clone().with_rate(rate(value()?)?),
                "--icmp-limit" => {
                    *topology = topology.clone().with_icmp_limit(IcmpLimit::LinuxDefault);
                }
                "--" => wishes.command = rest.by_ref().copied().collect(),
                other => bail!("{other}: no such option\n{HELP}"),
            }
        }
        for (spec, node) in &wishes.boxes {
            let router = matches!(node, Node::Router { .. }) && topology.nodes.contains(node);
            if !router {
                bail!(
                    "{node}: no router of this network; there are {}",
                    routers(topology)
                );
            }
            lab::check_spec(spec)?;
        }
        Ok(wishes)
    }
}

fn rate(text: &str) -> anyhow::Result<Rate> {
    let mbit: Option<u32> = text.parse().ok();
    let mbit = mbit
        .filter(|mbit| (1..=MOST_MBIT).contains(mbit))
        .with_context(|| {
            format!("--rate {text}: a whole number of Mbit/s from 1 to {MOST_MBIT} expected")
        })?;
    let queue_ms = u32::try_from(QUEUE.as_millis())?;
    Ok(Rate { mbit, queue_ms })
}

/// Builds the network, runs the shell or the command in it, and returns the command's exit code.
fn shell(root: &Path, topology: &Topology, wishes: &Wishes<'_>) -> anyhow::Result<ExitCode> {
    // Another cargo may be at work for minutes, and no network should wait for that.
    say("building the programs");
    let programs = crate::build_programs(root, crate::Profile::Debug)?;
    let lab = Lab::build(topology, &std::env::current_exe()?)?;
    let placed = wishes
        .boxes
        .iter()
        .map(|(spec, node)| lab.place(*node, spec))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let status = enter(&programs, &lab, wishes)?;
    drop(placed);
    Ok(if wishes.command.is_empty() {
        // The last thing that a person typed says nothing about the shell.
        ExitCode::SUCCESS
    } else {
        exit_code(status)
    })
}

/// As a shell reports it: a command that a signal ended has no exit code of its own.
fn exit_code(status: ExitStatus) -> ExitCode {
    let of_signal = status.signal().map(|signal| SIGNALLED + signal);
    let code = status.code().or(of_signal);
    let code = code.and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

fn routers(topology: &Topology) -> String {
    let routers = topology
        .nodes
        .iter()
        .filter(|node| matches!(node, Node::Router { .. }));
    routers.map(Node::to_string).collect::<Vec<_>>().join(", ")
}

/// Runs the shell or the command on the client, with the project's programs and one word per node on
/// its PATH.
fn enter(programs: &Path, lab: &Lab, wishes: &Wishes<'_>) -> anyhow::Result<ExitStatus> {
    let words = lab.directory().join("bin");
    std::fs::create_dir(&words)?;
    for node in &lab.topology().nodes {
        let path = words.join(node.to_string());
        let namespace = lab.namespace(*node);
        std::fs::write(
            &path,
            format!("#!/bin/sh\nexec ip netns exec {namespace} \"$@\"\n"),
        )?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    // This program has the applications of the lab.
    std::os::unix::fs::symlink(std::env::current_exe()?, words.join("mptcp-lab"))?;
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{path}", words.display(), programs.display());
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    let mut command = if let Some((program, arguments)) = wishes.command.split_first() {
        let mut command = lab.command(Node::Client, program);
        command.args(arguments);
        command
    } else {
        say(&banner(lab, wishes)?);
        lab.command(Node::Client, &shell)
    };
    command.env("PATH", path).env("PS1", "lab client # ");
    command.status().context("starting the shell")
}

/// What a person needs to know who finds himself in this shell.
fn banner(lab: &Lab, wishes: &Wishes<'_>) -> anyhow::Result<String> {
    let mut text =
        String::from("You are on the client. It goes with this shell: exit or Ctrl-D.\n\n");
    for node in &lab.topology().nodes {
        let command = [
            "-br",
            "-4",
            "-n",
            &lab.namespace(*node),
            "addr",
            "show",
            "up",
        ];
        let addresses = output(Command::new("ip").args(command))?;
        let shown: Vec<String> = addresses
            .lines()
            .filter(|line| !line.starts_with("lo "))
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let name = words.next()?.split('@').next()?;
                Some(format!("{name} {}", words.last()?.split('/').next()?))
            })
            .collect();
        let boxes: Vec<&str> = wishes
            .boxes
            .iter()
            .filter(|(_, place)| place == node)
            .map(|(spec, _)| *spec)
            .collect();
        let _ = writeln!(
            text,
            "  {:8} {:40} {}",
            node.to_string(),
            shown.join(", "),
            boxes.join(" ")
        );
    }
    text.push_str(
        "\nA node's name runs a command there:  server ss -HMni\n\
         IPv6 addresses have the same numbers: 10.1.1.1 is fd00:1:1::1 too\n\
         A server:  server mptcp-lab app serve echo mptcp 0.0.0.0:5001 &\n\
         A client:  mptcp-lab app connect mptcp read 10.2.1.1:5001   (send 1000, info, subflows, shutdown)\n\
         A capture: r11 timeout 9 tcpdump -ni near -Uw - tcp | mptcp-analyze list -\n",
    );
    Ok(text)
}
