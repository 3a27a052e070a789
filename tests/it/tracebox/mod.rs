//! The tracebox on simulated paths: what it says against what the boxes truly did.

mod budget;
mod property;
mod scenarios;
mod truth;

use std::time::Duration;

use mptcp_proto::time::Instant;
use mptcp_tests::path::Path;
use mptcp_tests::sim::Seed;
use mptcp_tracebox::engine::{Engine, Transmit};
use mptcp_tracebox::evidence::Evidence;
use mptcp_tracebox::plan::Plan;
use mptcp_tracebox::probe::{Phase, Probe};
use mptcp_tracebox::trace::Trace;
use mptcp_tracebox::verdict::judge;

/// A run that has ended.
struct Run {
    trace: Trace,
    evidence: Evidence,
    took: Duration,
}

/// Why a run did not end.
#[derive(Debug)]
struct Endless(String);

/// The usual plan, without the probes of the established phase.
fn plan(path: &Path) -> Plan {
    let mut plan = Plan::new(path.source(), path.target());
    plan.probes = Probe::ALL.to_vec();
    plan.probes.retain(|probe| probe.phase() != Phase::Data);
    plan
}

/// Lets an engine ask a path until it has nothing left to ask.
fn run(path: &mut Path, plan: Plan, seed: Seed) -> Result<Run, Endless> {
    run_through(path, plan, seed, |_| true)
}

/// The same; of what the engine sends, only this passes.
fn run_through(
    path: &mut Path,
    plan: Plan,
    seed: Seed,
    mut passes: impl FnMut(&Transmit) -> bool,
) -> Result<Run, Endless> {
    let target = plan.target;
    let mut now = Instant::ZERO;
    let mut engine = Engine::new(plan, Box::new(seed.random_source("engine")), now);
    for _ in 0..MAX_STEPS {
        while let Some(transmit) = engine.poll_transmit(now) {
            if passes(&transmit) {
                path.send(now, transmit.bytes);
            }
        }
        while engine.poll_event().is_some() {}
        if engine.is_done() {
            return Ok(Run {
                trace: judge(engine.evidence(), target),
                evidence: engine.evidence().clone(),
                took: now.since_start(),
            });
        }
        let due = engine.poll_timeout(now);
        let Some(next) = due.into_iter().chain(path.poll_timeout()).min() else {
            return Err(Endless(format!("it waits for nothing: {engine:?}")));
        };
        now = now.max(next);
        if now.since_start() > MAX_TIME {
            break;
        }
        path.handle_timeout(now);
        while let Some(packet) = path.poll_arrival() {
            engine.handle_packet(now, &packet);
        }
        if due.is_some_and(|due| due <= now) {
            engine.handle_timeout(now);
        }
    }
    Err(Endless(format!("it goes on at {now}: {engine:?}")))
}

/// Virtual time in which every run must have ended.
const MAX_TIME: Duration = Duration::from_secs(600);
/// Turns of the loop in which every run must have ended.
const MAX_STEPS: usize = 200_000;
