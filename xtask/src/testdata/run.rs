//! Runs one scenario: network, boxes, captures, applications, steps.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::captures::{self, Captures};
use super::manifest::{self, Sides};
use super::scenario::{Network, Opening, Protocol, Scenario, Side, Step};
use super::{outcome, script};
use mptcp_tests::lab::oracle::counters::{self, Counters};
use mptcp_tests::lab::oracle::{monitor, sockets};
use mptcp_tests::lab::process::output;
use mptcp_tests::lab::{Application, Lab, Node, Placed, Process, Rate};

/// A rate at which a few kilobytes already queue, so that the scheduler uses both paths.
pub(crate) const RATE: Rate = Rate {
    mbit: 3,
    queue_ms: 300,
};

/// Time for the last segments of a close, which no event announces, to cross the network.
const LAST_SEGMENTS: Duration = Duration::from_millis(400);

/// How long a counter may take to reach its value: longer than a SYN that is given up.
const COUNTER_PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks at it.
const COUNTER_PAUSE: Duration = Duration::from_millis(10);

/// Makes the files of `scenario` below `directory` and says what they must show.
pub(crate) fn run(scenario: &Scenario, directory: &Path) -> anyhow::Result<manifest::Entry> {
    let mut topology = scenario.network.topology();
    if let Network::Paths(_) = scenario.network {
        topology = topology.with_rate(RATE);
    }
    let lab = Lab::build(&topology, &std::env::current_exe()?)?;
    for (node, script) in scenario.setup {
        lab.run(*node, script)?;
    }
    let mut run = Run::start(scenario, &lab)?;
    for step in scenario.steps {
        run.step(step)
            .with_context(|| script::step(step).unwrap_or_default())?;
    }
    std::thread::sleep(LAST_SEGMENTS);
    let port = run.searched.as_ref().map(|searched| searched.port);
    let capture = run.captures.finish(port)?;
    // Before the applications end: what they send then is in no capture.
    let counters = [
        counters(&lab, Node::Client)?.since(&run.counters[0]),
        counters(&lab, Node::Server)?.since(&run.counters[1]),
    ];
    let said = outcome::Said {
        searched: run.searched,
        idsns: run.idsns,
        counters,
        client: run.client.finish()?,
        server: run.server.finish()?,
    };
    let expected = outcome::expected(scenario, &lab, said)?;
    drop(run.boxes);
    captures::publish(scenario, &lab, directory)?;
    Ok(manifest::Entry {
        name: scenario.name.to_owned(),
        shows: scenario.shows.to_owned(),
        command: format!("cargo xtask testdata {}", scenario.name),
        kernel: output(Command::new("uname").arg("-r"))?.trim().to_owned(),
        tools: tools(),
        script: script::lines(scenario),
        expected,
        capture,
    })
}

struct Run<'a> {
    lab: &'a Lab,
    captures: Captures<'a>,
    boxes: Vec<(Node, Placed<'a>)>,
    client: End,
    server: End,
    /// Further servers, which end with the run.
    listeners: Vec<Application>,
    /// The connection that the scenario is about, if others came before it.
    searched: Option<outcome::Searched>,
    /// As each host's kernel knew them before any data moved.
    idsns: [Option<Sides>; 2],
    /// At each host, before the connection that the scenario is about.
    counters: [Counters; 2],
    /// What each application has sent so far.
    sent: [u64; 2],
}

/// One host's application and event monitor.
pub(crate) struct End {
    app: Application,
    monitor: Process,
    /// It is still waiting for something that will not happen.
    stuck: bool,
}

impl<'a> Run<'a> {
    fn start(scenario: &'a Scenario, lab: &'a Lab) -> anyhow::Result<Self> {
        let mut boxes = Vec::new();
        for (node, spec) in scenario.boxes {
            boxes.push((*node, lab.place(*node, spec)?));
        }
        let captures = Captures::start(scenario, lab)?;
        let (family, port) = (scenario.family, scenario.port);
        let protocol = match scenario.server {
            Protocol::Mptcp => "mptcp",
            Protocol::Tcp => "tcp",
        };
        let (server_role, client_role, further) = scenario.opening.roles();
        let address = family.any_address(port);
        let words = [server_role, protocol, "read", &address];
        let mut server = End::start(lab, Node::Server, &words)?;
        server.app.wait_for("listening")?;
        let address = family.server_address(port);
        let mut words = vec![client_role, "mptcp", "read", &address];
        words.extend(further);
        let client = End::start(lab, Node::Client, &words)?;
        let mut run = Self {
            lab,
            captures,
            boxes,
            client,
            server,
            listeners: Vec::new(),
            searched: None,
            idsns: [None, None],
            counters: [Counters::default(), Counters::default()],
            sent: [0, 0],
        };
        run.connect(scenario.opening)?;
        Ok(run)
    }

    /// Waits until both applications have the connection, and asks what must be asked before any
    /// data move.
    fn connect(&mut self, opening: Opening) -> anyhow::Result<()> {
        if let Opening::Fails(error) = opening {
            self.client.app.wait_for(error)?;
            self.server.stuck = true;
            return Ok(());
        }
        let line = self.client.app.wait_for("connected")?;
        let mut port = None;
        if opening.is_searched() {
            let local = line.split_whitespace().nth(1).context("no local address")?;
            let local: SocketAddr = local.parse()?;
            port = Some(local.port());
        } else {
            // A server that waits for the last of many connections knows it by its data.
            self.server.app.wait_for("connected")?;
        }
        let nodes = [Node::Client, Node::Server];
        let [at_client, at_server] =
            nodes.map(|node| self.lab.run(node, sockets::CONNECTIONS_COMMAND));
        let (at_client, at_server) = (at_client?, at_server?);
        if let Some(port) = port {
            self.searched = Some(outcome::Searched::new(port, &at_client, &at_server)?);
            self.counters = [
                counters(self.lab, Node::Client)?,
                counters(self.lab, Node::Server)?,
            ];
        }
        let sides = |client, server| Sides {
            client: Some(client),
            server: Some(server),
        };
        self.idsns = [
            sockets::idsns(&at_client, port).map(|(own, other)| sides(own, other)),
            sockets::idsns(&at_server, port).map(|(own, other)| sides(other, own)),
        ];
        Ok(())
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match *step {
            Step::Exchange(to_server, to_client) => self.exchange([to_server, to_client]),
            Step::Close => self.close(),
            Step::Tell(side, command) => self.end(side).app.tell(command),
            Step::Done(side) => self.end(side).app.done(),
            Step::Listen(address) => {
                let words = ["serve", "sink", "mptcp", address];
                let mut listener = Application::start(self.lab, Node::Server, &words)?;
                listener.wait_for("listening")?;
                self.listeners.push(listener);
                Ok(())
            }
            Step::Run(node, script) => self.lab.run(node, script).map(drop),
            Step::Place(node, spec) => {
                let placed = self.lab.place(node, spec)?;
                self.boxes.push((node, placed));
                Ok(())
            }
            Step::Remove(node) => {
                self.boxes.retain(|(place, _)| *place != node);
                Ok(())
            }
            Step::Capture => self.captures.begin(self.lab, true),
            Step::Events(side, event, count) => self.end(side).monitor.wait_for(event, count),
            Step::Counter(node, name, value) => wait_for_counter(self.lab, node, name, value),
            Step::Pause { millis } => {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            }
        }
    }

    fn exchange(&mut self, bytes: [u64; 2]) -> anyhow::Result<()> {
        let [client, server] = [&mut self.client.app, &mut self.server.app];
        for (sent, more) in self.sent.iter_mut().zip(bytes) {
            *sent += more;
        }
        for (app, more) in [(&mut *client, bytes[0]), (&mut *server, bytes[1])] {
            if more > 0 {
                app.tell(&format!("send {more}"))?;
            }
        }
        server.tell(&format!("read {}", self.sent[0]))?;
        client.tell(&format!("read {}", self.sent[1]))?;
        server.done()?;
        client.done()
    }

    fn close(&mut self) -> anyhow::Result<()> {
        let [client, server] = [&mut self.client.app, &mut self.server.app];
        client.tell("shutdown")?;
        server.tell("eof")?;
        server.done()?;
        server.tell("shutdown")?;
        client.tell("eof")?;
        for app in [client, server] {
            app.tell("report")?;
            app.done()?;
        }
        Ok(())
    }
}

fn counters(lab: &Lab, node: Node) -> anyhow::Result<Counters> {
    Ok(Counters::parse(&lab.run(node, counters::COMMAND)?))
}

fn wait_for_counter(lab: &Lab, node: Node, name: &str, least: u64) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let counters = counters(lab, node)?;
        ensure!(counters.has(name), "the kernel has no counter {name}");
        let value = counters.of(name);
        if value >= least {
            return Ok(());
        }
        if started.elapsed() > COUNTER_PATIENCE {
            bail!("{name} is {value} after {COUNTER_PATIENCE:?}");
        }
        std::thread::sleep(COUNTER_PAUSE);
    }
}

impl End {
    fn start(lab: &Lab, node: Node, arguments: &[&str]) -> anyhow::Result<Self> {
        let monitor = monitor::start(lab, node)?;
        let app = Application::start(lab, node, arguments)?;
        Ok(Self {
            app,
            monitor,
            stuck: false,
        })
    }

    /// What the application and the monitor said.
    fn finish(self) -> anyhow::Result<outcome::Lines> {
        let application = if self.stuck {
            Vec::new()
        } else {
            self.app.finish()?
        };
        Ok(outcome::Lines {
            application,
            monitor: self.monitor.interrupt()?,
        })
    }
}

/// The versions of the programs that made the files; a program that is not there is left out.
fn tools() -> Vec<String> {
    [
        ["ip", "-V"],
        ["tcpdump", "--version"],
        ["dumpcap", "--version"],
        ["iptables", "--version"],
    ]
    .iter()
    .filter_map(|[program, flag]| {
        let said = output(Command::new(program).arg(flag)).ok()?;
        Some(said.lines().next()?.to_owned())
    })
    .collect()
}
