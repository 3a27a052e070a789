//! The commands that print a report.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;

use mptcp_cli::json::Elements;
use mptcp_cli::{Output, OutputArgs, UsageError, Verdict};

use crate::args::{ExplainArgs, ListArgs, SelectArgs, ShowArgs};
use crate::check::{self, EXPLANATIONS, Explanation};
use crate::model::{Connection, Direction, Overview, PerDirection, Timestamp};
use crate::pass::{Reading, Source, Visit};
use crate::plan::{self, Owner};
use crate::rebuild::{FollowPlan, RebuildOptions};
use crate::report::findings::FindingCounts;
use crate::report::json::{self, Detail};
use crate::report::packet::{self, PacketLine};
use crate::report::{findings, list, show};

/// `list`.
pub(crate) fn list(
    args: &ListArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let reading = read_once(&args.select, listing(args), common, out)?;
    let select = &args.select;
    let ids = plan::candidates(&reading.overview, select)?;
    if common.json {
        let detail = Detail {
            keys: args.show_keys,
            show: false,
        };
        write_json(&reading, ids, select, detail, out)?;
    } else {
        let width = out.width();
        let mut rows = list::Rows::default();
        let make = |connections: &mut dyn Iterator<Item = Connection>| {
            let mut rows = list::Rows::default();
            for connection in connections.filter(|c| plan::passes(select, c)) {
                rows.add(&connection, width);
            }
            Ok(rows)
        };
        reading.in_parts(ids, make, |part| {
            rows.append(part);
            Ok(())
        })?;
        rows.write(&mut out.text(), &reading.overview, width)?;
    }
    reading.abandon();
    Ok(Verdict::Clean)
}

/// The document of `list`.
fn write_json(
    reading: &Reading,
    ids: Range<u32>,
    select: &SelectArgs,
    detail: Detail,
    out: &mut Output,
) -> anyhow::Result<()> {
    let mut lines = json::begin(out.bytes(), &reading.overview)?;
    let mut array = lines.begin_array("connections")?;
    let make = |connections: &mut dyn Iterator<Item = Connection>| {
        let mut elements = Elements::default();
        for connection in connections.filter(|c| plan::passes(select, c)) {
            json::push_connection(&mut elements, &connection, detail)?;
        }
        Ok(elements)
    };
    reading.in_parts(ids, make, |elements| Ok(array.extend(&elements)?))?;
    array.end();
    Ok(json::end_connections(lines, &reading.overview)?)
}

/// `show`. The hash of the data streams takes a second pass: which TCP streams make one connection
/// is known for sure only at the end of the first.
pub(crate) fn show(
    args: &ShowArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let source = Source::twice(plan::inputs(&args.select.input.files)?, common.quiet)?
        .with_input(&args.select.input);
    let reading = source.analyze(checking())?;
    let select = &args.select;
    let ids = plan::candidates(&reading.overview, select)?;
    let mut follow = FollowPlan::default();
    for connection in selected(&reading, ids.clone(), select) {
        follow.add(&connection);
    }
    let hashes = hashes(&source.analyze(RebuildOptions {
        follow,
        ..RebuildOptions::default()
    })?);
    note_cuts(&reading.overview, common);
    let connections = selected(&reading, ids, select).map(|mut connection| {
        take_hashes(&mut connection, &hashes);
        connection
    });
    if common.json {
        let detail = Detail {
            keys: args.show_keys,
            show: true,
        };
        json::write_connections(out.bytes(), &reading.overview, connections, detail)?;
    } else {
        write_shown(connections, args.show_keys, out)?;
    }
    Ok(Verdict::Clean)
}

/// The connections that `select` means, each made when it is asked for.
fn selected(
    reading: &Reading,
    ids: Range<u32>,
    select: &SelectArgs,
) -> impl Iterator<Item = Connection> {
    reading
        .connections(ids)
        .filter(|connection| plan::passes(select, connection))
}

/// The hashes of the data streams of a connection.
type Hashes = PerDirection<Option<[u8; 32]>>;

/// The hashes that there are, by the first stream of the connection.
fn hashes(followed: &Reading) -> BTreeMap<u64, Hashes> {
    let mut hashes = BTreeMap::new();
    for connection in followed.connections(0..followed.overview.connections) {
        let found = PerDirection {
            to_server: connection.totals.to_server.stream_sha256,
            to_client: connection.totals.to_client.stream_sha256,
        };
        if let (Some(stream), true) = (first_stream(&connection), found != Hashes::default()) {
            hashes.insert(stream, found);
        }
    }
    hashes
}

fn first_stream(connection: &Connection) -> Option<u64> {
    let first = connection.subflows.first();
    first.map(|subflow| subflow.tcp_stream)
}

/// Takes over the hashes of the data streams, and nothing else: the pass that followed them knew of
/// the fallback from its frame on, and counts must not depend on that.
fn take_hashes(connection: &mut Connection, hashes: &BTreeMap<u64, Hashes>) {
    let Some(hashes) = first_stream(connection).and_then(|stream| hashes.get(&stream)) else {
        return;
    };
    for direction in Direction::BOTH {
        connection.totals.of_mut(direction).stream_sha256 = *hashes.of(direction);
    }
}

fn write_shown(
    connections: impl Iterator<Item = Connection>,
    keys: bool,
    out: &mut Output,
) -> anyhow::Result<()> {
    let width = out.width();
    let mut text = out.text();
    let mut any = false;
    for connection in connections {
        if any {
            writeln!(text, "\n")?;
        }
        any = true;
        show::write(&mut text, &connection, keys, width)?;
    }
    if !any {
        writeln!(text, "no MPTCP connection")?;
    }
    Ok(())
}

/// `packets`.
pub(crate) fn packets(
    args: &SelectArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let source =
        Source::twice(plan::inputs(&args.input.files)?, common.quiet)?.with_input(&args.input);
    let reading = source.analyze(RebuildOptions::default())?;
    note_cuts(&reading.overview, common);
    let ids = plan::candidates(&reading.overview, args)?;
    let owners = plan::owners(selected(&reading, ids, args));
    let Reading { overview, .. } = reading;
    let origin = overview
        .captures
        .iter()
        .filter_map(|c| c.first_at)
        .min()
        .unwrap_or_default();
    if common.json {
        let mut stream = json::begin_packets(out.bytes(), &overview)?;
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
    let reading = read_once(args, checking(), common, out)?;
    let ids = plan::candidates(&reading.overview, args)?;
    let counts = if common.json {
        write_findings_json(&reading, ids, args, out)?
    } else {
        write_findings_text(&reading, ids, args, out)?
    };
    reading.abandon();
    Ok(if counts.any_grave() {
        Verdict::Findings
    } else {
        Verdict::Clean
    })
}

fn write_findings_json(
    reading: &Reading,
    ids: Range<u32>,
    select: &SelectArgs,
    out: &mut Output,
) -> anyhow::Result<FindingCounts> {
    let mut counts = FindingCounts::default();
    counts.add(&reading.overview.findings);
    let mut lines = json::begin(out.bytes(), &reading.overview)?;
    let mut array = lines.begin_array("findings")?;
    let mut of_file = Elements::default();
    json::push_findings(&mut of_file, None, &reading.overview.findings)?;
    array.extend(&of_file)?;
    let make = |connections: &mut dyn Iterator<Item = Connection>| {
        let (mut elements, mut counts) = (Elements::default(), FindingCounts::default());
        for connection in connections.filter(|c| plan::passes(select, c)) {
            counts.add(&connection.findings);
            json::push_findings(&mut elements, Some(connection.id), &connection.findings)?;
        }
        Ok((elements, counts))
    };
    reading.in_parts(ids, make, |(elements, part)| {
        counts.merge(&part);
        Ok(array.extend(&elements)?)
    })?;
    array.end();
    lines.end()?;
    Ok(counts)
}

fn write_findings_text(
    reading: &Reading,
    ids: Range<u32>,
    select: &SelectArgs,
    out: &mut Output,
) -> anyhow::Result<FindingCounts> {
    let width = out.width();
    let mut counts = FindingCounts::default();
    let mut text = out.text();
    findings::write_of_file(&mut text, &reading.overview, &mut counts, width)?;
    let make = |connections: &mut dyn Iterator<Item = Connection>| {
        let (mut text, mut counts) = (Vec::new(), FindingCounts::default());
        for connection in connections.filter(|c| plan::passes(select, c)) {
            findings::write_of_connection(&mut text, &connection, &mut counts, width)?;
        }
        Ok((text, counts))
    };
    reading.in_parts(ids, make, |(part, of_part)| {
        counts.merge(&of_part);
        Ok(text.write_all(&part)?)
    })?;
    counts.write(&mut text)?;
    Ok(counts)
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
fn read_once(
    select: &SelectArgs,
    options: RebuildOptions,
    common: &OutputArgs,
    out: &Output,
) -> anyhow::Result<Reading> {
    let source =
        Source::once(plan::inputs(&select.input.files)?, common.quiet).with_input(&select.input);
    let reading = source.analyze(options)?;
    if !out.is_terminal() {
        note_cuts(&reading.overview, common);
    }
    Ok(reading)
}

/// Says on standard error which files ended too early.
pub(crate) fn note_cuts(overview: &Overview, common: &OutputArgs) {
    for cut in plan::cuts(overview) {
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

/// The same with a sample of the TCP checksums of ordinary segments, unless all are asked for. A
/// filter may ask for findings, which all of them decide.
fn listing(args: &ListArgs) -> RebuildOptions {
    let is_whole = args.verify || args.select.filter.is_some();
    RebuildOptions {
        tcp_checksum_samples: (!is_whole).then_some(TCP_CHECKSUM_SAMPLES),
        ..checking()
    }
}

/// Ordinary segments of each end of a subflow whose TCP checksum `list` verifies: all of most
/// connections, and of a long transfer enough to show a box that breaks them, or a network card
/// that fills them in. Damage here and there in the rest of it takes `check`.
const TCP_CHECKSUM_SAMPLES: u64 = 1_000;
