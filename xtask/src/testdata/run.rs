//! Runs one scenario: network, captures, applications, steps, oracles.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::manifest::{self, Expected, Pair};
use super::scenario::{Protocol, Scenario, Side, Step};
use mptcp_tests::lab::oracle::counters::{self, Counters};
use mptcp_tests::lab::oracle::{monitor, sockets, stream};
use mptcp_tests::lab::process::output;
use mptcp_tests::lab::{Application, Lab, Node, Process, Rate, Recording, Topology};
use mptcp_tests::payload::sha256;

/// A rate at which a few kilobytes already queue, so that the scheduler uses both paths.
const RATE: Rate = Rate {
    mbit: 3,
    queue_ms: 300,
};

/// Time for the last segments of a close, which no event announces, to cross the network.
const LAST_SEGMENTS: Duration = Duration::from_millis(400);

/// Makes the files of `scenario` below `directory` and says what they must show.
pub(crate) fn run(scenario: &Scenario, directory: &Path) -> anyhow::Result<manifest::Entry> {
    let topology = Topology::paths(scenario.paths).with_rate(RATE);
    let lab = Lab::build(&topology, &std::env::current_exe()?)?;
    for (node, script) in scenario.setup {
        lab.run(*node, script)?;
    }
    let mut run = Run::start(scenario, &lab, directory)?;
    let idsns = run.idsns()?;
    for step in scenario.steps {
        run.step(step)?;
    }
    let capture = run.finish_captures(directory)?;
    let expected = run.expected(idsns)?;
    Ok(manifest::Entry {
        name: scenario.name.to_owned(),
        shows: scenario.shows.to_owned(),
        command: format!("cargo xtask testdata {}", scenario.name),
        kernel: output(Command::new("uname").arg("-r"))?.trim().to_owned(),
        tools: tools(),
        script: script(scenario),
        expected,
        capture,
    })
}

struct Run<'a> {
    scenario: &'a Scenario,
    lab: &'a Lab,
    captures: Vec<Recording>,
    client: End,
    server: End,
}

/// One host's application and event monitor.
struct End {
    app: Application,
    monitor: Process,
}

impl<'a> Run<'a> {
    fn start(scenario: &'a Scenario, lab: &'a Lab, directory: &Path) -> anyhow::Result<Self> {
        let mut captures = Vec::new();
        for capture in scenario.captures {
            let path = directory.join("captures").join(capture.file(scenario));
            captures.push(Recording::start(lab, &capture.tap(), &path)?);
        }
        let family = scenario.family;
        let server = match scenario.server {
            Protocol::Mptcp => "mptcp",
            Protocol::Tcp => "tcp",
        };
        let mut server = End::start(
            lab,
            Node::Server,
            &["listen", server, "read", family.any_address()],
        )?;
        server.app.wait_for("listening")?;
        let reading = if scenario.client_reads {
            "read"
        } else {
            "hold"
        };
        let mut client = End::start(
            lab,
            Node::Client,
            &["connect", "mptcp", reading, family.server_address()],
        )?;
        client.app.wait_for("connected")?;
        server.app.wait_for("connected")?;
        Ok(Self {
            scenario,
            lab,
            captures,
            client,
            server,
        })
    }

    /// The initial data sequence numbers; to be asked before any data move.
    fn idsns(&self) -> anyhow::Result<Option<Pair>> {
        let found = sockets::idsns(&self.lab.run(Node::Client, sockets::CONNECTIONS_COMMAND)?);
        Ok(found.map(|(client, server)| Pair { client, server }))
    }

    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match *step {
            Step::Tell(side, command) => self.end(side).app.tell(command),
            Step::Done(side) => self.end(side).app.done(),
            Step::Run(node, script) => self.lab.run(node, script).map(drop),
            Step::Event(side, event) => self.end(side).monitor.wait_for(event, 1),
            Step::Pause { millis } => {
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            }
        }
    }

    fn finish_captures(&mut self, directory: &Path) -> anyhow::Result<Vec<manifest::Capture>> {
        std::thread::sleep(LAST_SEGMENTS);
        let mut entries = Vec::new();
        for (recording, capture) in self.captures.drain(..).zip(self.scenario.captures) {
            let packets = recording.finish()?;
            let file = format!("captures/{}", capture.file(self.scenario));
            let path = directory.join(&file);
            let bytes = std::fs::read(&path).with_context(|| format!("reading {file}"))?;
            // dumpcap makes files that only root may read.
            std::fs::set_permissions(&path, Permissions::from_mode(0o644))?;
            entries.push(manifest::Capture {
                packets,
                command: capture
                    .tap()
                    .command(&capture.file(self.scenario))
                    .join(" "),
                sha256: sha256(&bytes),
                bytes: bytes.len() as u64,
                side: capture.node.to_string(),
                file,
                fallback: capture.fallback.map(str::to_owned),
                large_because: None,
            });
        }
        Ok(entries)
    }

    /// Asks the oracles and refuses a run that does not show what the scenario promises.
    fn expected(self, idsns: Option<Pair>) -> anyhow::Result<Expected> {
        let scenario = self.scenario;
        let counters = |node| -> anyhow::Result<_> {
            let counters = Counters::parse(&self.lab.run(node, counters::COMMAND)?);
            Ok(counters.noteworthy())
        };
        let (counters_client, counters_server) = (counters(Node::Client)?, counters(Node::Server)?);
        for (node, name, least) in scenario.require {
            let counters = if *node == Node::Client {
                &counters_client
            } else {
                &counters_server
            };
            let value = counters.get(*name).copied().unwrap_or(0);
            ensure!(value >= *least, "{node}: {name} is {value}, {least} wanted");
        }
        let checksum = self
            .lab
            .run(Node::Client, "cat /proc/sys/net/mptcp/checksum_enabled")?;
        let (client, client_events) = self.client.finish()?;
        let (server, server_events) = self.server.finish()?;
        let subflows = monitor::subflows(&client_events);
        let mptcp = scenario
            .captures
            .iter()
            .all(|capture| capture.fallback.is_none());
        if mptcp && subflows.len() != scenario.expect.subflows {
            bail!(
                "{} subflows, {} wanted: {subflows:?}",
                subflows.len(),
                scenario.expect.subflows
            );
        }
        let tokens = monitor::token(&client_events).zip(monitor::token(&server_events));
        let expected = Expected {
            clean: scenario.expect.clean,
            complete: scenario.expect.complete,
            checksum: mptcp && checksum.trim() == "1",
            tokens: tokens.map(|(client, server)| Pair { client, server }),
            idsns,
            subflows,
            to_server: stream::stream(&client, &server)?,
            to_client: stream::stream(&server, &client)?,
            counters_client,
            counters_server,
        };
        for stream in [&expected.to_server, &expected.to_client] {
            let whole = stream.sent_sha256 == stream.received_sha256;
            ensure!(whole || !expected.complete, "sent and received data differ");
        }
        Ok(expected)
    }
}

impl End {
    fn start(lab: &Lab, node: Node, arguments: &[&str]) -> anyhow::Result<Self> {
        let monitor = monitor::start(lab, node)?;
        let app = Application::start(lab, node, arguments)?;
        Ok(Self { app, monitor })
    }

    /// What the application and the monitor said.
    fn finish(self) -> anyhow::Result<(Vec<String>, Vec<String>)> {
        Ok((self.app.finish()?, self.monitor.interrupt()?))
    }
}

/// What was done, for the manifest.
fn script(scenario: &Scenario) -> Vec<String> {
    let mut lines = vec![format!(
        "routers on each path: {:?}; every link {} Mbit/s, queue {} ms",
        scenario.paths, RATE.mbit, RATE.queue_ms
    )];
    lines.extend(
        scenario
            .setup
            .iter()
            .map(|(node, script)| format!("{node}: {script}")),
    );
    lines.extend(scenario.steps.iter().filter_map(|step| match step {
        Step::Tell(side, command) => Some(format!("{} application: {command}", side.node())),
        Step::Run(node, script) => Some(format!("{node}: {script}")),
        Step::Event(side, event) => Some(format!("{}: wait for {event}", side.node())),
        Step::Pause { millis } => Some(format!("wait {millis} ms")),
        Step::Done(_) => None,
    }));
    lines
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
