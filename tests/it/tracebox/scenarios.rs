//! Paths in TOML, one file each, and what the tracebox must say of them.

use std::iter;
use std::path::PathBuf;

use mptcp_tests::path::{Family, Path, PathPlan};
use mptcp_tests::sim::Seed;
use mptcp_tracebox::probe::Probe;
use mptcp_tracebox::trace::{Located, Trace};
use serde::Deserialize;

use super::{plan, run};

/// A path and what is to be said of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it is about.
    shows: String,
    /// Families of addresses; both, if nothing is said.
    #[serde(default = "both")]
    families: Vec<Family>,
    /// `both` asks in an established connection too.
    #[serde(default)]
    phases: Phases,
    /// Only these are asked, and the control; all, if nothing is said.
    #[serde(default)]
    probes: Vec<String>,
    path: PathPlan,
    expected: Expected,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phases {
    #[default]
    Syn,
    Both,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Expected {
    verdict: String,
    between: Option<String>,
    /// All of them.
    #[serde(default)]
    changes: Vec<String>,
    /// Where ACKs without a connection are lost.
    stateful: Option<String>,
    /// Data behind a hole are not acknowledged.
    #[serde(default)]
    blocks_holes: bool,
    /// Lowest TTL with which the target is reached.
    distance: Option<u8>,
}

#[test]
fn every_scenario_gets_its_verdict_and_its_interval() {
    let files = files();
    assert!(files.len() >= 40, "only {} scenarios", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let scenario: Scenario = toml::from_str(&text).expect(&name);
        assert!(!scenario.shows.is_empty(), "{name}");
        for &family in &scenario.families {
            let trace = traced(&scenario, family);
            let found = Expected::of(&trace);
            if found != scenario.expected {
                let expected = &scenario.expected;
                let sentence = trace.verdict.sentence;
                wrong.push(format!(
                    "{name} {family:?}\n  expected {expected:?}\n  found    {found:?}\n  {sentence}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn traced(scenario: &Scenario, family: Family) -> Trace {
    let seed = Seed::from_env_or(1);
    let mut path = Path::new(&scenario.path, family, seed).unwrap();
    let mut plan = plan(&path);
    if scenario.phases == Phases::Both {
        plan.probes = Probe::ALL.to_vec();
    }
    if !scenario.probes.is_empty() {
        let named = scenario.probes.iter().map(|text| text.parse().unwrap());
        plan.probes = iter::once(Probe::Syn).chain(named).collect();
    }
    run(&mut path, plan, seed).unwrap().trace
}

impl Expected {
    fn of(trace: &Trace) -> Self {
        let [flow] = &trace.flows[..] else {
            panic!("one flow was asked")
        };
        Self {
            verdict: trace.verdict.code.name().to_owned(),
            between: trace.verdict.between.map(|between| between.to_string()),
            changes: flow.changes.iter().map(text).collect(),
            stateful: flow
                .other
                .and_then(|other| other.stateful)
                .map(|between| between.to_string()),
            blocks_holes: flow
                .talk
                .is_some_and(|talk| talk.passes_holes == Some(false)),
            distance: flow.distance,
        }
    }
}

fn text(located: &Located) -> String {
    let Located {
        change, between, ..
    } = located;
    format!("{} {}, {between}", change.field, change.how)
}

fn files() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let directory = root.join("../testdata/scenarios/tracebox");
    let entries = std::fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn both() -> Vec<Family> {
    Family::ALL.to_vec()
}
