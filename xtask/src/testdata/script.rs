//! What was done in a scenario, as lines for the manifest.

use super::run::RATE;
use super::scenario::{Network, Opening, Scenario, Side, Step};

/// The network, what is in it, and every step.
pub(crate) fn lines(scenario: &Scenario) -> Vec<String> {
    let mut lines = vec![network(scenario.network)];
    let shell = scenario.setup.iter();
    lines.extend(shell.map(|(node, script)| format!("{node}: {script}")));
    let boxes = scenario.boxes.iter();
    lines.extend(boxes.map(|(node, spec)| format!("{node}: box {spec}")));
    match scenario.opening {
        Opening::Plain => {}
        Opening::Fails(error) => lines.push(format!("client application: ends with {error}")),
        Opening::Fast(bytes) => lines.push(format!("client application: {bytes} bytes in the SYN")),
        Opening::NearWrap(bytes) => lines.push(format!(
            "client application: connects until its data sequence number is {bytes} bytes or less below the wrap"
        )),
    }
    lines.extend(scenario.steps.iter().filter_map(step));
    lines
}

fn network(network: Network) -> String {
    let Network::Paths(routers) = network else {
        return match network {
            Network::Nat => "one path of two routers, the first translates addresses".to_owned(),
            _ => "one path of one router".to_owned(),
        };
    };
    format!(
        "routers on each path: {routers:?}; every link {} Mbit/s, queue {} ms",
        RATE.mbit, RATE.queue_ms
    )
}

pub(crate) fn step(step: &Step) -> Option<String> {
    let application = |side: &Side| format!("{} application", side.node());
    Some(match step {
        Step::Exchange(to_server, to_client) => format!(
            "client application: send {to_server}; server application: send {to_client}; both read all"
        ),
        Step::Close => {
            "client application: shutdown; server application: eof, shutdown; client application: eof"
                .to_owned()
        }
        Step::Tell(side, command) => format!("{}: {command}", application(side)),
        Step::Listen(address) => format!("server: another application listens at {address}"),
        Step::Run(node, script) => format!("{node}: {script}"),
        Step::Place(node, spec) => format!("{node}: box {spec}"),
        Step::Remove(node) => format!("{node}: no box"),
        Step::Capture => "late captures begin".to_owned(),
        Step::Events(side, event, 1) => format!("{}: wait for {event}", side.node()),
        Step::Events(side, event, count) => format!("{}: wait for {count} {event}", side.node()),
        Step::Counter(node, name, value) => format!("{node}: wait for {name} {value}"),
        Step::Pause { millis } => format!("wait {millis} ms"),
        Step::Done(_) => return None,
    })
}
