//! What the command does.

use mptcp_cli::{Output, OutputArgs, UsageError, Verdict};

use crate::args::{PhaseArg, ReanalyzeArgs, TraceArgs};
use crate::engine::Engine;
use crate::evidence::Evidence;
use crate::net::{Clock, KernelRandom, NetError, Ports, Route, Wire, privilege};
use crate::plan::Plan;
use crate::probe::{Phase, Probe};
use crate::report::plain;
use crate::session::{self, Ended, Nobody, Stop};
use crate::target::Target;
use crate::trace::{Code, Trace};
use crate::unprivileged;
use crate::verdict::judge;

/// Traces a path.
pub(crate) fn trace(
    args: &TraceArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let target = args.target.as_ref().ok_or_else(|| {
        UsageError("no host; `mptcp-tracebox HOST[:PORT]`, `--help` for more".to_owned())
    })?;
    let probes = probes(args)?;
    let stop = Stop::on_signals()?;
    let route = route(args, target)?;
    let clock = Clock::start();
    let run = match open(&route, usize::from(args.flows)) {
        Ok((ports, wire)) => {
            let plan = plan(args, &route, ports.sources.clone(), probes);
            privileged(plan, wire, clock, &stop)?
        }
        Err(NetError::NoPrivilege) => {
            check_unprivileged(args)?;
            common.note(unprivileged::NOTE);
            unprivileged(args, &route, clock, &stop)?
        }
        Err(error) => return Err(error.into()),
    };
    finish(run, &route, common, out)
}

/// What a run brought.
struct Run {
    evidence: Evidence,
    ended: Ended,
    foreign_resets: u64,
}

fn open(route: &Route, flows: usize) -> Result<(Ports, Wire), NetError> {
    let ports = Ports::take(route, flows)?;
    let wire = Wire::open(route, &ports.sources)?;
    privilege::drop_all()?;
    Ok((ports, wire))
}

fn privileged(plan: Plan, mut wire: Wire, clock: Clock, stop: &Stop) -> anyhow::Result<Run> {
    let random = Box::new(KernelRandom::open()?);
    let mut engine = Engine::new(plan, random, clock.now());
    let ended = session::drive(&mut engine, &mut wire, clock, stop, &mut Nobody)?;
    Ok(Run {
        evidence: engine.evidence().clone(),
        ended,
        foreign_resets: wire.foreign_resets(),
    })
}

fn unprivileged(args: &TraceArgs, route: &Route, clock: Clock, stop: &Stop) -> anyhow::Result<Run> {
    let (evidence, ended) = unprivileged::trace(route, args.max_ttl, clock, stop)?;
    Ok(Run {
        evidence,
        ended,
        foreign_resets: 0,
    })
}

/// What cannot be had without raw sockets, and was asked for in so many words.
fn check_unprivileged(args: &TraceArgs) -> anyhow::Result<()> {
    let is_plain = args.probe.iter().all(|probe| *probe == Probe::Syn);
    let wants_more = [
        (!is_plain, "--probe"),
        (args.pcap.is_some(), "--pcap"),
        (args.flows > 1, "--flows"),
    ];
    match wants_more.iter().find(|(wanted, _)| *wanted) {
        Some((_, flag)) => Err(anyhow::Error::from(NetError::NoPrivilege).context(*flag)),
        None => Ok(()),
    }
}

/// Prints what was found out, also when it is not all.
fn finish(
    run: Run,
    route: &Route,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let trace = judge(&run.evidence, route.target);
    plain::write(&mut out.text(), &trace)?;
    if run.foreign_resets > 0 {
        let text = format!(
            "the kernel of this host sent {} RSTs for our connections: the answers to what came after \
             them are worth nothing",
            run.foreign_resets
        );
        common.note(&text);
        return Ok(Verdict::Unknown);
    }
    match run.ended {
        Ended::Complete => Ok(exit(&trace)),
        Ended::Interrupted => {
            common.note("interrupted: this is what was found so far");
            Ok(Verdict::Unknown)
        }
        Ended::Broken(error) => Err(error.into()),
    }
}

fn exit(trace: &Trace) -> Verdict {
    match trace.verdict.code {
        Code::Undecided | Code::Unreachable => Verdict::Unknown,
        _ if trace.has_findings() => Verdict::Findings,
        _ => Verdict::Clean,
    }
}

fn route(args: &TraceArgs, target: &Target) -> anyhow::Result<Route> {
    let address = target.resolve(args.family())?;
    if let Some(source) = args.source
        && source.is_ipv4() != address.is_ipv4()
    {
        let text = format!("{address} cannot be reached from {source}: the families differ");
        return Err(UsageError(text).into());
    }
    Ok(Route::find(
        address,
        args.source,
        args.interface.as_deref(),
    )?)
}

fn probes(args: &TraceArgs) -> Result<Vec<Probe>, UsageError> {
    let asked = if args.probe.is_empty() {
        Probe::ALL.to_vec()
    } else {
        args.probe.clone()
    };
    if args.phase == PhaseArg::Data {
        return Err(UsageError("--phase data is not there yet".to_owned()));
    }
    let is_wanted = |probe: &Probe| match args.phase {
        PhaseArg::Syn => probe.phase() == Phase::Syn,
        PhaseArg::Data => probe.phase() == Phase::Data,
        PhaseArg::Both => true,
    };
    let probes: Vec<Probe> = asked.into_iter().filter(is_wanted).collect();
    if probes.is_empty() {
        let text = "none of these probes belongs to this --phase".to_owned();
        return Err(UsageError(text));
    }
    Ok(probes)
}

fn plan(
    args: &TraceArgs,
    route: &Route,
    sources: Vec<std::net::SocketAddr>,
    probes: Vec<Probe>,
) -> Plan {
    Plan {
        sources,
        probes,
        max_ttl: args.max_ttl,
        queries: args.queries,
        pps: args.pps,
        ..Plan::new(route.source, route.target)
    }
}

/// Judges a run again.
pub(crate) fn reanalyze(
    args: &ReanalyzeArgs,
    _common: &OutputArgs,
    _out: &mut Output,
) -> anyhow::Result<Verdict> {
    let text = format!("{}: reanalyze is not there yet", args.file.display());
    Err(UsageError(text).into())
}
