//! `follow`: the bytes of one data stream.

use std::io::Write;

use mptcp_cli::quantity::counted;
use mptcp_cli::{Output, OutputArgs, Verdict};
use sha2::{Digest as _, Sha256};

use crate::args::FollowArgs;
use crate::command::note_cuts;
use crate::destination::Destination;
use crate::model::{Connection, Direction};
use crate::pass::{Reading, Source};
use crate::plan;
use crate::rebuild::{FollowPlan, RebuildOptions, Rebuilder, StreamChunk};
use crate::report::json::{self, StreamReport};
use crate::report::word;

/// Writes the stream, and on standard error or in a JSON document what is missing from it.
pub(crate) fn follow(
    args: &FollowArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let files = &args.input.files;
    let destination = Destination::choose(args.out.as_deref(), common.json, files, out)?;
    let source =
        Source::twice(plan::inputs(files)?, common.quiet)?.with_threads(args.input.threads);
    let reading = source.analyze(RebuildOptions {
        // What came under a wrong checksum is left out where another copy follows.
        verify_checksums: true,
        ..RebuildOptions::default()
    })?;
    note_cuts(&reading.overview, common);
    let connection = plan::connection(&reading, args.conn)?;
    let Reading { overview, .. } = reading;
    let direction = args.to.direction();
    let report = StreamReport {
        connection: connection.id,
        to: word::side(direction.reverse().sender()),
        file: destination.file_name(),
        ..StreamReport::default()
    };
    let totals = connection.totals.of(direction);
    let mut writer = StreamWriter {
        out: destination.open(out)?,
        hash: common.json.then(Sha256::new),
        // Without the IDSN nobody can tell what came before the first byte seen.
        next: totals.base_is_idsn.then_some(FIRST_BYTE),
        end: totals.data_fin_at,
        report,
        common,
    };
    write_stream(&source, &connection, direction, &mut writer)?;
    let report = writer.finish()?;
    if common.json {
        json::write_stream(out.bytes(), &overview, &report)?;
    }
    Ok(if report.hole_count == 0 {
        Verdict::Clean
    } else {
        Verdict::Findings
    })
}

/// Reads everything again and hands the stream to `writer`.
fn write_stream(
    source: &Source,
    connection: &Connection,
    direction: Direction,
    writer: &mut StreamWriter<'_>,
) -> anyhow::Result<()> {
    let owners = plan::owners([connection]);
    let mut plan = FollowPlan::default();
    plan.keep = true;
    plan.add(connection);
    let options = RebuildOptions {
        follow: plan,
        ..RebuildOptions::default()
    };
    let mut rebuilder = source.revisit(options, |visit| {
        if owners.contains_key(&visit.note.tcp_stream) {
            writer.take(visit.rebuilder, visit.note.tcp_stream, direction)?;
        }
        Ok(())
    })?;
    rebuilder.end_followed();
    for stream in owners.keys() {
        writer.take(&mut rebuilder, *stream, direction)?;
    }
    Ok(())
}

/// Writes chunks and keeps account of the holes between them.
struct StreamWriter<'a> {
    out: Box<dyn Write + 'a>,
    /// Of the bytes so far, if somebody wants to know.
    hash: Option<Sha256>,
    /// Relative DSN of the next byte, if it is known.
    next: Option<i64>,
    /// Relative DSN of the DATA_FIN, if one was seen: the stream ends before it.
    end: Option<i64>,
    report: StreamReport,
    common: &'a OutputArgs,
}

impl StreamWriter<'_> {
    fn take(
        &mut self,
        rebuilder: &mut Rebuilder,
        stream: u64,
        direction: Direction,
    ) -> anyhow::Result<()> {
        for chunk in rebuilder.take_followed(stream, direction) {
            self.write(&chunk)?;
        }
        Ok(())
    }

    fn write(&mut self, chunk: &StreamChunk) -> anyhow::Result<()> {
        self.account(chunk.dsn);
        self.out.write_all(&chunk.bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(&chunk.bytes);
        }
        let len = chunk.bytes.len() as u64;
        self.report.bytes = self.report.bytes.saturating_add(len);
        self.next = Some(chunk.dsn.saturating_add_unsigned(len));
        Ok(())
    }

    /// Reports what is missing before `dsn`.
    fn account(&mut self, dsn: i64) {
        let Some(next) = self.next.filter(|next| *next < dsn) else {
            return;
        };
        let missing = dsn.saturating_sub(next).unsigned_abs();
        let report = &mut self.report;
        report.hole_count += 1;
        report.missing_bytes = report.missing_bytes.saturating_add(missing);
        if report.holes.len() < MAX_HOLES_LISTED {
            report.holes.push((next, missing));
        }
        if report.hole_count <= HOLES_NAMED && !self.common.json {
            let bytes = counted(missing, "byte", "bytes");
            self.common
                .note(&format!("hole: {bytes} missing at relative DSN {next}"));
        }
    }

    fn finish(mut self) -> anyhow::Result<StreamReport> {
        if let Some(end) = self.end {
            self.account(end);
        }
        self.out.flush()?;
        let mut report = self.report;
        if report.hole_count == 0 {
            report.sha256 = self.hash.map(|hash| hash.finalize().into());
        } else if !self.common.json {
            let holes = counted(report.hole_count, "hole", "holes");
            let missing = counted(report.missing_bytes, "byte is", "bytes are");
            self.common
                .note(&format!("the stream has {holes}, {missing} missing"));
        }
        Ok(report)
    }
}

/// Relative DSN of the first byte of a stream: the one after the IDSN.
const FIRST_BYTE: i64 = 1;
/// Holes that the document lists; its reader is a program, but a hostile capture has one for every
/// second byte.
const MAX_HOLES_LISTED: usize = 1000;
/// Holes that are named one by one; a capture with packet loss may have thousands.
const HOLES_NAMED: u64 = 10;
