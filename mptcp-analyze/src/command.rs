//! The commands that print a report.

use std::collections::BTreeMap;
use std::io::Write as _;

use mptcp_cli::{Output, OutputArgs, UsageError, Verdict};

use crate::args::{ExplainArgs, ListArgs, SelectArgs, ShowArgs};
use crate::check::{self, EXPLANATIONS, Explanation};
use crate::model::{Analysis, Connection, Direction, Severity, Timestamp};
use crate::pass::{Reading, Source, Visit};
use crate::plan::{self, Owner};
use crate::rebuild::{FollowPlan, RebuildOptions};
use crate::report::json::{self, Detail};
use crate::report::packet::{self, PacketLine};
use crate::report::{findings, list, show};

/// `list`.
pub(crate) fn list(
    args: &ListArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let reading = read_once(&args.select, common, out)?;
    let connections = plan::selected(&reading.analysis, &args.select)?;
    if common.json {
        let detail = Detail {
            keys: args.show_keys,
            show: false,
        };
        json::write_connections(out.bytes(), &reading.analysis, &connections, detail)?;
    } else {
        let width = out.width();
        list::write(&mut out.text(), &reading.analysis, &connections, width)?;
    }
    Ok(Verdict::Clean)
}

/// `show`. The hash of the data streams takes a second pass: which TCP streams make one connection
/// is known for sure only at the end of the first.
pub(crate) fn show(
    args: &ShowArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let source = Source::twice(plan::inputs(&args.select.input.files)?, common.quiet)?
        .with_threads(args.select.input.threads);
    let mut reading = source.analyze(checking())?;
    let mut follow = FollowPlan::default();
    for connection in plan::selected(&reading.analysis, &args.select)? {
        follow.add(connection);
    }
    let second = source.analyze(RebuildOptions {
        follow,
        ..RebuildOptions::default()
    })?;
    take_hashes(&mut reading.analysis, &second.analysis);
    note_cuts(&reading.analysis, common);
    let connections = plan::selected(&reading.analysis, &args.select)?;
    if common.json {
        let detail = Detail {
            keys: args.show_keys,
            show: true,
        };
        json::write_connections(out.bytes(), &reading.analysis, &connections, detail)?;
    } else {
        write_shown(&connections, args.show_keys, out)?;
    }
    Ok(Verdict::Clean)
}

/// Takes over the hashes of the data streams, and nothing else: the pass that followed them knew of
/// the fallback from its frame on, and counts must not depend on that.
fn take_hashes(analysis: &mut Analysis, followed: &Analysis) {
    let first_stream = |connection: &Connection| {
        connection
            .subflows
            .first()
            .map(|subflow| subflow.tcp_stream)
    };
    let hashes: BTreeMap<_, _> = followed
        .connections
        .iter()
        .map(|connection| (first_stream(connection), &connection.totals))
        .collect();
    for connection in &mut analysis.connections {
        let Some(followed) = hashes.get(&first_stream(connection)) else {
            continue;
        };
        for direction in Direction::BOTH {
            connection.totals.of_mut(direction).stream_sha256 =
                followed.of(direction).stream_sha256;
        }
    }
}

fn write_shown(connections: &[&Connection], keys: bool, out: &mut Output) -> anyhow::Result<()> {
    let width = out.width();
    let mut text = out.text();
    if connections.is_empty() {
        writeln!(text, "no MPTCP connection")?;
    }
    for (position, connection) in connections.iter().enumerate() {
        if position > 0 {
            writeln!(text, "\n")?;
        }
        show::write(&mut text, connection, keys, width)?;
    }
    Ok(())
}

/// `packets`.
pub(crate) fn packets(
    args: &SelectArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let source = Source::twice(plan::inputs(&args.input.files)?, common.quiet)?
        .with_threads(args.input.threads);
    let Reading { analysis, .. } = source.analyze(RebuildOptions::default())?;
    note_cuts(&analysis, common);
    let owners = plan::owners(&plan::selected(&analysis, args)?);
    let origin = analysis
        .captures
        .iter()
        .filter_map(|c| c.first_at)
        .min()
        .unwrap_or_default();
    if common.json {
        let mut stream = json::begin_packets(out.bytes(), &analysis)?;
        source.revisit(RebuildOptions::default(), |visit| {
            match line(&visit, &owners, origin) {
                Some(line) => Ok(json::write_packet(&mut stream, &line)?),
                None => Ok(()),
            }
        })?;
        stream.end()?;
    } else {
        let mut text = out.text();
        if !owners.is_empty() {
            packet::write_titles(&mut text)?;
        }
        source.revisit(RebuildOptions::default(), |visit| {
            match line(&visit, &owners, origin) {
                Some(line) => Ok(line.write(&mut text)?),
                None => Ok(()),
            }
        })?;
    }
    Ok(Verdict::Clean)
}

fn line<'a>(
    visit: &'a Visit<'_>,
    owners: &BTreeMap<u64, Owner>,
    origin: Timestamp,
) -> Option<PacketLine<'a>> {
    let owner = owners.get(&visit.note.tcp_stream)?;
    Some(PacketLine {
        segment: &visit.segment,
        note: &visit.note,
        connection: owner.connection,
        subflow: owner.subflow,
        version: owner.version,
        origin,
    })
}

/// `check`.
pub(crate) fn check(
    args: &SelectArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let Reading { analysis, .. } = read_once(args, common, out)?;
    let connections = plan::selected(&analysis, args)?;
    if common.json {
        json::write_findings(out.bytes(), &analysis, &connections)?;
    } else {
        let width = out.width();
        findings::write_check(&mut out.text(), &analysis, &connections, width)?;
    }
    let of_connections = connections
        .iter()
        .flat_map(|connection| &connection.findings);
    let grave = |severity| severity >= Severity::Warn;
    let any = analysis
        .findings
        .iter()
        .chain(of_connections)
        .any(|f| grave(f.severity));
    Ok(if any {
        Verdict::Findings
    } else {
        Verdict::Clean
    })
}

/// `explain`.
pub(crate) fn explain(
    args: &ExplainArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let all = args.ids.is_empty();
    let explanations: Vec<&Explanation> = if all {
        EXPLANATIONS.iter().collect()
    } else {
        args.ids
            .iter()
            .map(|id| known(id))
            .collect::<Result<_, _>>()?
    };
    if common.json {
        json::write_explanations(out.bytes(), &explanations)?;
    } else {
        let width = out.width();
        findings::write_explanations(&mut out.text(), &explanations, all, width)?;
    }
    Ok(Verdict::Clean)
}

fn known(id: &str) -> Result<&'static Explanation, UsageError> {
    check::explain(id).ok_or_else(|| {
        UsageError(format!(
            "there is no finding {id}; `mptcp-analyze explain` lists them all"
        ))
    })
}

/// Reads for an answer that names what is wrong with the files itself: who sees it on a terminal
/// need not be told twice.
fn read_once(select: &SelectArgs, common: &OutputArgs, out: &Output) -> anyhow::Result<Reading> {
    let source = Source::once(plan::inputs(&select.input.files)?, common.quiet)
        .with_threads(select.input.threads);
    let reading = source.analyze(checking())?;
    if !out.is_terminal() {
        note_cuts(&reading.analysis, common);
    }
    Ok(reading)
}

/// Says on standard error which files ended too early.
pub(crate) fn note_cuts(analysis: &Analysis, common: &OutputArgs) {
    for cut in plan::cuts(analysis) {
        common.note(&cut);
    }
}

/// Everything that findings are made of.
pub(crate) fn checking() -> RebuildOptions {
    RebuildOptions {
        verify_checksums: true,
        verify_tcp_checksums: true,
        ..RebuildOptions::default()
    }
}
