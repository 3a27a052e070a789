//! `follow`: the bytes of one data stream.

use std::io::Write;

use mptcp_cli::quantity::counted;
use mptcp_cli::{Output, OutputArgs, Verdict};

use crate::args::FollowArgs;
use crate::command::note_cuts;
use crate::model::Direction;
use crate::pass::{Reading, Source};
use crate::plan;
use crate::rebuild::{FollowPlan, RebuildOptions, Rebuilder, StreamChunk};

/// Writes the stream to `out`, and on standard error what is missing from it.
pub(crate) fn follow(
    args: &FollowArgs,
    common: &OutputArgs,
    out: &mut Output,
) -> anyhow::Result<Verdict> {
    let source = Source::twice(plan::inputs(&args.input.files)?, common.quiet)?;
    let Reading { analysis, .. } = source.analyze(RebuildOptions::default())?;
    note_cuts(&analysis, common);
    let connection = plan::connection(&analysis, args.conn)?;
    let direction = args.to.direction();
    let owners = plan::owners(&[connection]);
    let mut plan = FollowPlan::default();
    plan.keep = true;
    plan.add(connection);
    let totals = connection.totals.of(direction);
    let mut writer = StreamWriter {
        out: out.bytes(),
        // Without the IDSN nobody can tell what came before the first byte seen.
        next: totals.base_is_idsn.then_some(FIRST_BYTE),
        end: totals.data_fin_at,
        holes: 0,
        missing: 0,
        common,
    };
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
    Ok(writer.finish())
}

/// Writes chunks and keeps account of the holes between them.
struct StreamWriter<'a> {
    out: &'a mut dyn Write,
    /// Relative DSN of the next byte, if it is known.
    next: Option<i64>,
    /// Relative DSN of the DATA_FIN, if one was seen: the stream ends before it.
    end: Option<i64>,
    holes: u64,
    missing: u64,
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
        let len = i64::try_from(chunk.bytes.len()).unwrap_or(i64::MAX);
        self.next = Some(chunk.dsn.saturating_add(len));
        Ok(())
    }

    /// Reports what is missing before `dsn`.
    fn account(&mut self, dsn: i64) {
        let Some(next) = self.next.filter(|next| *next < dsn) else {
            return;
        };
        let missing = dsn.saturating_sub(next).unsigned_abs();
        self.holes += 1;
        self.missing = self.missing.saturating_add(missing);
        if self.holes <= HOLES_NAMED {
            let bytes = counted(missing, "byte", "bytes");
            self.common
                .note(&format!("hole: {bytes} missing at relative DSN {next}"));
        }
    }

    fn finish(mut self) -> Verdict {
        if let Some(end) = self.end {
            self.account(end);
        }
        if self.holes == 0 {
            return Verdict::Clean;
        }
        let holes = counted(self.holes, "hole", "holes");
        let missing = counted(self.missing, "byte is", "bytes are");
        self.common
            .note(&format!("the stream has {holes}, {missing} missing"));
        Verdict::Findings
    }
}

/// Relative DSN of the first byte of a stream: the one after the IDSN.
const FIRST_BYTE: i64 = 1;
/// Holes that are named one by one; a capture with packet loss may have thousands.
const HOLES_NAMED: u64 = 10;
