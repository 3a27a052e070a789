//! What the command does.

use mptcp_cli::{Output, OutputArgs, UsageError, Verdict};

use crate::args::{PhaseArg, ReanalyzeArgs, TraceArgs};
use crate::evidence::Evidence;
use crate::probe::{Phase, Probe};
use crate::report::plain;
use crate::target::Target;
use crate::trace::{Code, Trace};
use crate::tracer::{Ended, NetError, Nobody, Outcome, Request, Stop, Tracer, trace_unprivileged};
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
    check_there(args, common)?;
    let request = request(args, target)?;
    let stop = Stop::on_signals()?;
    let outcome = match Tracer::open(&request) {
        Ok(tracer) => tracer.run(&stop, &mut Nobody)?,
        Err(NetError::NoPrivilege) => {
            check_unprivileged(args)?;
            common.note(unprivileged::NOTE);
            trace_unprivileged(&request, &stop)?
        }
        Err(error) => return Err(error.into()),
    };
    finish(outcome, &request, common, out)
}

/// What other modules will do.
fn check_there(args: &TraceArgs, common: &OutputArgs) -> Result<(), UsageError> {
    let wanted = [
        (common.json, "--json"),
        (args.pcap.is_some(), "--pcap"),
        (args.tui, "--tui"),
        (args.dns, "--dns"),
    ];
    match wanted.iter().find(|(wanted, _)| *wanted) {
        Some((_, flag)) => Err(UsageError(format!("{flag} is not there yet"))),
        None => Ok(()),
    }
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
    outcome: Outcome,
    request: &Request,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let is_heard = |evidence: &Evidence| evidence.all().iter().any(|sent| !sent.answers.is_empty());
    let trace = judge(&outcome.evidence, request.target);
    if matches!(outcome.ended, Ended::Complete) || is_heard(&outcome.evidence) {
        plain::write(&mut out.text(), &trace)?;
    }
    if outcome.foreign_resets > 0 {
        let text = format!(
            "this host sent {} RSTs for the connections of the run, which the run did not: what came \
             after them is worth nothing",
            outcome.foreign_resets
        );
        common.note(&text);
        return Ok(Verdict::Unknown);
    }
    match outcome.ended {
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

fn request(args: &TraceArgs, target: &Target) -> anyhow::Result<Request> {
    let probes = probes(args)?;
    let address = target.resolve(args.family())?;
    if let Some(source) = args.source
        && source.is_ipv4() != address.is_ipv4()
    {
        let text = format!("{address} cannot be reached from {source}: the families differ");
        return Err(UsageError(text).into());
    }
    Ok(Request {
        target: address,
        source: args.source,
        interface: args.interface.clone(),
        flows: usize::from(args.flows),
        probes,
        max_ttl: args.max_ttl,
        queries: args.queries,
        pps: args.pps,
    })
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

/// Judges a run again.
pub(crate) fn reanalyze(
    args: &ReanalyzeArgs,
    _common: &OutputArgs,
    _out: &mut Output,
) -> anyhow::Result<Verdict> {
    let text = format!("{}: reanalyze is not there yet", args.file.display());
    Err(UsageError(text).into())
}
