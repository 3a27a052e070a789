//! What the command does.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::SocketAddr;
use std::time::SystemTime;

use anyhow::Context as _;
use mptcp_cli::{Output, OutputArgs, UsageError, Verdict};

use crate::args::{PhaseArg, ReanalyzeArgs, TraceArgs};
use crate::evidence::Evidence;
use crate::names::Lookup;
use crate::out_file::{OutFile, cannot};
use crate::plan::MAX_PROBES;
use crate::probe::{Phase, Probe};
use crate::record;
use crate::report::text::Look;
use crate::report::{dot, json, text};
use crate::run::{End, Extent, Names, Run, Tier};
use crate::target::Target;
use crate::trace::{Code, Trace};
use crate::tracer::{Ended, NetError, Outcome, Request, Stop, Tracer, trace_unprivileged};
use crate::unprivileged;
use crate::verdict::{judge, with_kernel};
use crate::watch::{Watch, Wish, begin_file};

/// Traces a path.
pub(crate) fn trace(
    args: &TraceArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let target = args.target.as_ref().ok_or_else(|| {
        UsageError("no host; `mptcp-tracebox HOST[:PORT]`, `--help` for more".to_owned())
    })?;
    let request = request(args, target)?;
    let wish = wish(args, common, out)?;
    let stop = Stop::on_signals()?;
    let mut run = Run {
        host: target.host.clone(),
        target: request.target,
        tier: Tier::Raw,
        epoch_ns: now_ns(),
        kernel_mptcp: None,
    };
    let file = args.pcap.as_deref().map(OutFile::open).transpose()?;
    let dot = args.dot.as_deref().map(OutFile::open).transpose()?;
    match Tracer::open(&request) {
        Ok(tracer) => {
            let what = (run.clone(), tracer.plan().clone());
            let lookup = Lookup::new(args.dns);
            let file = file.map(|file| begin_file(file, &run)).transpose()?;
            let mut watch = Watch::begin(what, wish, out, file, (lookup, stop.clone()))?;
            let outcome = tracer.run(&stop, &mut watch)?;
            let trace = judge(&outcome.evidence, request.target);
            let (names, saved) = watch.finish(&outcome, &trace)?;
            let verdict = finish(outcome, (&trace, &names), dot, common)?;
            saved.and(Ok(verdict))
        }
        Err(NetError::NoPrivilege) => {
            check_unprivileged(args)?;
            common.note(unprivileged::NOTE);
            run.tier = Tier::Kernel;
            let request = Request {
                probes: stand_ins(args),
                ..request
            };
            let outcome = trace_unprivileged(&request, &stop)?;
            run.kernel_mptcp = outcome.kernel_mptcp;
            let mut trace = judge(&outcome.evidence, request.target);
            trace.verdict = with_kernel(trace.verdict, run.kernel_mptcp, request.target);
            let names = names(args, &trace);
            let found = (&outcome.evidence, Some(outcome.extent()));
            report(&run, &trace, found, &names, (common.json, &mut *out))?;
            finish(outcome, (&trace, &names), dot, common)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the user wants to see; a screen needs a terminal.
fn wish(args: &TraceArgs, common: &OutputArgs, out: &Output) -> Result<Wish, UsageError> {
    match (common.json, args.tui) {
        (true, _) => Ok(Wish::Json),
        (false, true) if out.is_terminal() => Ok(Wish::Screen),
        (false, true) => Err(UsageError(
            "--tui needs a terminal as standard output".to_owned(),
        )),
        (false, false) => Ok(Wish::Text),
    }
}

/// Names of the routers, after a run.
fn names(args: &TraceArgs, trace: &Trace) -> Names {
    let mut lookup = Lookup::new(args.dns);
    let hops = trace.flows.iter().flat_map(|flow| &flow.hops);
    for router in hops.flat_map(|hop| &hop.routers) {
        lookup.ask(router.address);
    }
    lookup.finish()
}

/// Writes all of a run at once.
fn report(
    run: &Run,
    trace: &Trace,
    found: (&Evidence, Option<Extent>),
    names: &Names,
    (is_json, out): (bool, &mut Output),
) -> anyhow::Result<()> {
    if is_json {
        json::write(out.bytes(), run, trace, found, names)?;
        return Ok(());
    }
    let width = out.width();
    text::write(&mut out.text(), run, trace, Look { names, width })?;
    Ok(())
}

fn write_dot(file: Option<OutFile>, trace: &Trace, names: &Names) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    let (file, path) = file.begin()?;
    let mut file = BufWriter::new(file);
    let written = dot::write(&mut file, trace, names).and_then(|()| file.flush());
    written.with_context(|| cannot(&path))
}

/// What the clock of the host says, in nanoseconds since 1970.
fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

/// What plain sockets ask about.
fn stand_ins(args: &TraceArgs) -> Vec<Probe> {
    if args.probe.is_empty() {
        vec![Probe::Syn, Probe::fast_open(), Probe::md5()]
    } else {
        args.probe.clone()
    }
}

/// What cannot be had without raw sockets, and was asked for in so many words.
fn check_unprivileged(args: &TraceArgs) -> anyhow::Result<()> {
    let possible = [Probe::Syn, Probe::fast_open(), Probe::md5()];
    let is_plain = args.probe.iter().all(|probe| possible.contains(probe));
    let plain = Request::new(SocketAddr::from(([0, 0, 0, 0], 0)));
    let wants_more = [
        (!is_plain, "--probe"),
        (args.queries != plain.queries, "--queries"),
        (args.pps != plain.pps, "--pps"),
        (args.pcap.is_some(), "--pcap"),
        (args.flows > 1, "--flows"),
        (args.phase == PhaseArg::Data, "--phase data"),
        (args.tui, "--tui"),
    ];
    match wants_more.iter().find(|(wanted, _)| *wanted) {
        Some((_, flag)) => Err(anyhow::Error::from(NetError::NoPrivilege).context(*flag)),
        None => Ok(()),
    }
}

/// What the end of a run means for who called the command.
fn finish(
    mut outcome: Outcome,
    (trace, names): (&Trace, &Names),
    dot: Option<OutFile>,
    common: &OutputArgs,
) -> anyhow::Result<Verdict> {
    write_dot(dot, trace, names)?;
    outcome.leave();
    if outcome.foreign_resets > 0 {
        common.note(&foreign(outcome.foreign_resets));
        return Ok(Verdict::Unknown);
    }
    match outcome.ended {
        Ended::Complete => Ok(exit(trace)),
        Ended::Interrupted => {
            common.note("interrupted: this is what was found so far");
            Ok(Verdict::Unknown)
        }
        Ended::Broken(error) => Err(error.into()),
    }
}

/// What resets of somebody else mean.
fn foreign(count: u64) -> String {
    format!(
        "this host sent {count} RSTs for the connections of the run, which the run did not: what came after \
         them is worth nothing"
    )
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
    let is_wanted = |probe: &Probe| match args.phase {
        PhaseArg::Syn => probe.phase() != Phase::Data,
        PhaseArg::Data => probe.phase() == Phase::Data || *probe == Probe::CapableV1,
        PhaseArg::Both => true,
    };
    // Whether the target speaks MPTCP must be known before a connection is asked with it.
    let mut data = asked.iter().filter(|probe| probe.phase() == Phase::Data);
    let first = data.next().map(|_| Probe::CapableV1);
    let first = first.filter(|probe| !asked.contains(probe) && args.phase != PhaseArg::Syn);
    let mut probes: Vec<Probe> = first.into_iter().collect();
    for probe in asked.into_iter().filter(is_wanted) {
        // Twice the same is once.
        if !probes.contains(&probe) {
            probes.push(probe);
        }
    }
    if probes.len() > MAX_PROBES {
        let text = format!("more than {MAX_PROBES} kinds of probe");
        return Err(UsageError(text));
    }
    if probes.is_empty() {
        let text = "none of these probes belongs to this --phase".to_owned();
        return Err(UsageError(text));
    }
    Ok(probes)
}

/// Judges a run again.
pub(crate) fn reanalyze(
    args: &ReanalyzeArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let path = args.file.display().to_string();
    let file = File::open(&args.file).with_context(|| format!("cannot read {path}"))?;
    let (recorded, trace) = record::reanalyze(file).with_context(|| path.clone())?;
    let names = Names::new();
    let found = (&recorded.evidence, recorded.extent);
    report(&recorded.run, &trace, found, &names, (common.json, out))?;
    let dot = args.dot.as_deref().map(OutFile::open).transpose()?;
    write_dot(dot, &trace, &names)?;
    if let Some(extent) = recorded.extent
        && extent.foreign_resets > 0
    {
        common.note(&foreign(extent.foreign_resets));
        return Ok(Verdict::Unknown);
    }
    if recorded
        .extent
        .is_some_and(|extent| extent.end != End::Complete)
    {
        common.note("the run was interrupted: this is what was found until then");
        return Ok(Verdict::Unknown);
    }
    if let Some(at) = recorded.cut_at {
        common.note(&format!(
            "{path} ends in the middle of the block at byte {at}: this is what was found until then"
        ));
        return Ok(Verdict::Unknown);
    }
    Ok(exit(&trace))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    fn asked(flags: &[&str]) -> Result<Vec<String>, UsageError> {
        let line = ["x", "host"].iter().chain(flags);
        let args = Args::parse_from(line);
        let probes = probes(&args.trace)?;
        Ok(probes.iter().map(Probe::to_string).collect())
    }

    #[test]
    fn a_probe_of_a_connection_brings_the_one_that_opens_it() {
        assert_eq!(asked(&["--probe", "dss"]).unwrap(), ["mpc1", "dss"]);
        let both = asked(&["--phase", "data", "--probe", "prio,mpc1,dss"]);
        assert_eq!(both.unwrap(), ["prio", "mpc1", "dss"]);
        assert_eq!(asked(&["--probe", "join,join"]).unwrap(), ["join"]);
        let syn = asked(&["--phase", "syn", "--probe", "dss,join"]);
        assert_eq!(syn.unwrap(), ["join"]);
        for flags in [
            ["--phase", "syn", "--probe", "dss"],
            ["--phase", "data", "--probe", "join"],
        ] {
            assert!(asked(&flags).is_err(), "{flags:?}");
        }
    }
}
