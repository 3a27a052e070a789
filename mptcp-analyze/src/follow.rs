//! `follow`: the bytes of one data stream.

use std::io::Write;

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
    let mut writer = StreamWriter {
        out: out.bytes(),
        next: None,
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
    /// Relative DSN of the next byte, once one was written.
    next: Option<i64>,
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
        let missing = match self.next {
            Some(next) => chunk.dsn.saturating_sub(next),
            None => 0,
        };
        if missing > 0 {
            self.holes += 1;
            self.missing = self.missing.saturating_add(missing.unsigned_abs());
            if self.holes <= HOLES_NAMED {
                let at = chunk.dsn.saturating_sub(missing);
                self.common.note(&format!(
                    "hole: {missing} bytes missing at relative DSN {at}"
                ));
            }
        }
        self.out.write_all(&chunk.bytes)?;
        let len = i64::try_from(chunk.bytes.len()).unwrap_or(i64::MAX);
        self.next = Some(chunk.dsn.saturating_add(len));
        Ok(())
    }

    fn finish(self) -> Verdict {
        if self.holes == 0 {
            return Verdict::Clean;
        }
        let (holes, missing) = (self.holes, self.missing);
        self.common.note(&format!(
            "the stream has {holes} holes, {missing} bytes are missing"
        ));
        Verdict::Findings
    }
}

/// Holes that are named one by one; a capture with packet loss may have thousands.
const HOLES_NAMED: u64 = 10;
