//! Hosts, routers and links as network namespaces, with the kernel's own MPTCP in the hosts.
//!
//! ```no_run
//! use mptcp_tests::lab::{Lab, Node, Topology};
//!
//! # fn main() -> anyhow::Result<()> {
//! let lab = Lab::build(&Topology::paths(&[1, 1]), &std::env::current_exe()?)?;
//! lab.run(Node::Client, "ip mptcp limits set subflow 2")?;
//! lab.run(Node::router(1, 1), "iptables -t mangle -A FORWARD -p tcp -j TCPOPTSTRIP --strip-options 30")?;
//! # Ok(())
//! # }
//! ```

mod app;
mod application;
pub mod clean;
mod kernel_box;
mod mptcp;
pub mod oracle;
mod placement;
pub mod process;
mod queue;
mod recording;
mod requirements;
mod routes;
mod sys;
mod topology;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

use anyhow::{Context, bail};

pub use application::Application;
pub use kernel_box::{KERNEL_BOXES, KernelBox};
pub use mptcp::{Endpoint, EndpointFlags};
pub use placement::{Placed, check_spec};
pub use process::Process;
pub use recording::{Recording, Tap};
pub use requirements::{missing, works};
pub use topology::{End, IcmpLimit, Link, Net, Node, Rate, Topology};

use process::output;

/// The network. It disappears when this value is dropped or when the process dies in any way.
pub struct Lab {
    topology: Topology,
    prefix: String,
    program: PathBuf,
    directory: PathBuf,
    reaper: Child,
}

impl Lab {
    /// Builds the namespaces, links, addresses and routes of `topology`. `program` is a program that
    /// begins with [`helper`]; it is what runs inside the namespaces.
    pub fn build(topology: &Topology, program: &Path) -> anyhow::Result<Self> {
        let prefix = clean::new_prefix();
        let directory = clean::directory(&prefix);
        let reaper = clean::start_reaper(&prefix, program)?;
        std::fs::create_dir(&directory)
            .with_context(|| format!("making {}", directory.display()))?;
        let lab = Self {
            topology: topology.clone(),
            prefix,
            program: program.to_owned(),
            directory,
            reaper,
        };
        let mut wires = String::new();
        for node in &topology.nodes {
            let _ = writeln!(wires, "ip netns add {}", lab.namespace(*node));
        }
        for Link { down, up, .. } in &topology.links {
            let _ = writeln!(
                wires,
                "ip link add {} netns {} type veth peer name {} netns {}",
                down.interface,
                lab.namespace(down.node),
                up.interface,
                lab.namespace(up.node),
            );
        }
        output(Command::new("sh").args(["-e", "-c", &wires]))?;
        for node in &topology.nodes {
            lab.run(*node, &routes::script(topology, *node))?;
        }
        Ok(lab)
    }

    /// What was built.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// A directory for files of this network; it goes when the network goes.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The name of the namespace of a node, as `ip netns` shows it.
    pub fn namespace(&self, node: Node) -> String {
        format!("{}-{node}", self.prefix)
    }

    /// A command line for `program` inside a namespace.
    pub fn command(&self, node: Node, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(node), program]);
        command
    }

    /// A command line for what [`helper`] runs, inside a namespace.
    pub fn helper_command(&self, node: Node) -> Command {
        self.command(node, &self.program.to_string_lossy())
    }

    /// Runs shell text in a namespace, stops at its first failure and returns what it printed.
    pub fn run(&self, node: Node, script: &str) -> anyhow::Result<String> {
        let mut command = self.command(node, "sh");
        let out = command.args(["-e", "-x", "-c", script]).output()?;
        if !out.status.success() {
            // The trace ends with the command that failed and what it said.
            let said = String::from_utf8_lossy(&out.stderr);
            let last: Vec<&str> = said.lines().rev().take(2).collect();
            bail!(
                "{node}: {}: {}",
                last.last().unwrap_or(&""),
                last.first().unwrap_or(&"")
            );
        }
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The end of its input tells the reaper to work; the same way is taken when we are killed.
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

/// Runs what the lab starts in its namespaces, when `args` ask for it. A program whose path is given
/// to [`Lab::build`] calls this first.
pub fn helper(args: &[String]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["app", rest @ ..] => app::run(rest),
        ["middlebox", queue, spec, near @ ..] => placement::serve(queue, spec, near),
        ["reap", prefix] => clean::reap(prefix),
        _ => return None,
    };
    let Err(error) = outcome else {
        return Some(ExitCode::SUCCESS);
    };
    let _ = writeln!(std::io::stderr(), "{}: {error:#}", words.join(" "));
    Some(ExitCode::FAILURE)
}
