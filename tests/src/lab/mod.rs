//! A client, a router and a server as network namespaces with two paths between them.
//!
//! ```text
//!          c1 10.1.1.1 ── rc1 ┐        ┌ rs1 ── s1 10.2.1.1
//!  client                     │ router │                    server
//!          c2 10.1.2.1 ── rc2 ┘        └ rs2 ── s2 10.2.2.1
//! ```
//!
//! The IPv6 addresses are `fd00:1:1::1` and so on. Offloads are off, so that a capture holds
//! the packets that the wire would see.

mod app;
pub mod oracle;
pub mod process;
mod sys;

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

pub use process::Process;

use self::process::output;

/// The programs that the lab starts, with an argument for which they do nothing.
const PROGRAMS: [(&str, &str); 7] = [
    ("ip", "-V"),
    ("ss", "-V"),
    ("nstat", "-V"),
    ("tc", "-V"),
    ("tcpdump", "--version"),
    ("ethtool", "--version"),
    ("kill", "-l"),
];

/// One namespace of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Has the interfaces `c1` and `c2`.
    Client,
    /// Has `rc1` and `rc2` towards the client, `rs1` and `rs2` towards the server.
    Router,
    /// Has the interfaces `s1` and `s2`.
    Server,
}

impl Node {
    /// Every node.
    pub const ALL: [Self; 3] = [Self::Client, Self::Router, Self::Server];

    /// Its name in messages and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Router => "router",
            Self::Server => "server",
        }
    }
}

/// The network. It disappears when this value is dropped or when the process dies in any way.
pub struct Lab {
    prefix: String,
    reaper: Child,
}

impl Lab {
    /// Builds the namespaces, links, addresses and routes. `program` is one that calls [`helper`].
    pub fn new(program: &Path) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("mptx{}n{number}", std::process::id());
        let lab = Self {
            reaper: start_reaper(program, &prefix)?,
            prefix,
        };
        for node in Node::ALL {
            output(Command::new("ip").args(["netns", "add", &lab.namespace(node)]))?;
            lab.run(node, "ip link set lo up")?;
            // Reverse path filtering would drop the second path; its default differs by system.
            lab.run(
                node,
                "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done",
            )?;
        }
        lab.run(
            Node::Router,
            "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
        )?;
        for (node, side, net) in [(Node::Client, 'c', 1), (Node::Server, 's', 2)] {
            for path in [1, 2] {
                lab.link(
                    node,
                    &format!("{side}{path}"),
                    &format!("{net}.{path}"),
                    path,
                )?;
            }
        }
        Ok(lab)
    }

    /// One veth pair between `node` and the router, for the subnet 10.`net`.0/24.
    fn link(&self, node: Node, interface: &str, net: &str, path: u8) -> anyhow::Result<()> {
        let (host, router) = (self.namespace(node), self.namespace(Node::Router));
        let net6 = format!("fd00:{}", net.replace('.', ":"));
        output(Command::new("ip").args([
            "link",
            "add",
            interface,
            "netns",
            &host,
            "type",
            "veth",
            "peer",
            "name",
            &format!("r{interface}"),
            "netns",
            &router,
        ]))?;
        for (node, interface, last) in [
            (node, interface, 1),
            (Node::Router, &format!("r{interface}"), 254),
        ] {
            self.run(
                node,
                &format!(
                    "ethtool -K {interface} tso off gso off gro off tx off rx off > /dev/null
                 echo 0 > /proc/sys/net/ipv4/conf/{interface}/rp_filter
                 ip addr add 10.{net}.{last}/24 dev {interface}
                 ip addr add {net6}::{last}/64 dev {interface} nodad
                 ip link set {interface} up"
                ),
            )?;
        }
        // Source routing, as the documentation of the kernel asks for more than one path.
        self.run(node, &format!(
            "for f in -4 -6; do
               if [ $f = -4 ]; then own=10.{net}.1 gw=10.{net}.254; else own={net6}::1 gw={net6}::254; fi
               ip $f rule add from $own lookup 10{path}
               ip $f route add default via $gw dev {interface} table 10{path}
               ip $f route add default via $gw dev {interface} metric 10{path}
             done"
        ))
        .map(drop)
    }

    fn namespace(&self, node: Node) -> String {
        format!("{}-{}", self.prefix, node.name())
    }

    /// A command line for `program` inside a namespace.
    pub fn command(&self, node: Node, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(node), program]);
        command
    }

    /// Runs shell text in a namespace, stops at its first failure and returns what it printed.
    pub fn run(&self, node: Node, script: &str) -> anyhow::Result<String> {
        output(self.command(node, "sh").args(["-e", "-c", script]))
            .with_context(|| format!("in the {} namespace", node.name()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The end of its input tells the reaper to work; the same way is taken when we are killed.
        drop(self.reaper.stdin.take());
        let _ = self.reaper.wait();
    }
}

/// Whether the lab can run; says what is missing, and stops the test if `MPTCP_LAB=require` forbids
/// to skip it.
pub fn works() -> bool {
    let missing = missing().join(", ");
    let required = std::env::var("MPTCP_LAB").is_ok_and(|value| value == "require");
    assert!(missing.is_empty() || !required, "the lab lacks: {missing}");
    if !missing.is_empty() {
        // Past the harness, which hides the output of tests that pass.
        let _ = writeln!(std::io::stderr(), "skipped, the lab lacks: {missing}");
    }
    missing.is_empty()
}

/// What is missing for the lab, by name.
pub fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    let id = Command::new("id").arg("-u").output();
    if id.map_or(true, |out| out.stdout != b"0\n") {
        missing.push("root");
    }
    if !Path::new("/proc/sys/net/mptcp/enabled").exists() {
        missing.push("a kernel with MPTCP");
    }
    let absent = |(program, argument): &&(&'static str, &str)| {
        let mut command = Command::new(program);
        command.arg(argument);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        !command.status().is_ok_and(|status| status.success())
    };
    missing.extend(PROGRAMS.iter().filter(absent).map(|(program, _)| *program));
    missing
}

/// A process that outlives us, whatever ends us, and then removes the namespaces.
fn start_reaper(program: &Path, prefix: &str) -> anyhow::Result<Child> {
    use std::os::unix::process::CommandExt;
    Command::new(program)
        .args(["reap", prefix])
        .stdin(Stdio::piped())
        .process_group(0) // Ctrl-C on the terminal reaches the group of the parent only.
        .spawn()
        .context("starting the process that removes the namespaces")
}

/// Waits until standard input ends, then ends the processes in this run's namespaces and removes them.
fn reap(prefix: &str) -> anyhow::Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for node in Node::ALL {
        let namespace = format!("{prefix}-{}", node.name());
        let Ok(pids) = output(Command::new("ip").args(["netns", "pids", &namespace])) else {
            continue; // It was never made.
        };
        for pid in pids.split_whitespace() {
            let _ = output(Command::new("kill").args(["-KILL", pid]));
        }
        if let Err(error) = output(Command::new("ip").args(["netns", "delete", &namespace])) {
            let _ = writeln!(std::io::stderr(), "{error:#}");
        }
    }
    Ok(())
}

/// Runs what the lab starts in its namespaces, when `args` ask for it. A program that is given to
/// [`Lab::new`] calls this first.
pub fn helper(args: &[String]) -> Option<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["app", rest @ ..] => app::run(rest),
        ["reap", prefix] => reap(prefix),
        _ => return None,
    };
    let Err(error) = outcome else {
        return Some(ExitCode::SUCCESS);
    };
    let _ = writeln!(std::io::stderr(), "{}: {error:#}", words.join(" "));
    Some(ExitCode::FAILURE)
}
