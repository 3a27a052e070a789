//! Who looks on while a run is under way: the file, and the text, the lines or the screen.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::time::{Duration, Instant as Clock};

use anyhow::Context as _;
use mptcp_cli::Output;
use mptcp_proto::time::Instant;

use crate::engine::{Engine, Event, Transmit};
use crate::evidence::{Evidence, SentId};
use crate::names::Lookup;
use crate::out_file::{OutFile, cannot};
use crate::plan::Plan;
use crate::record::Recorder;
use crate::report::text::{Live, Look};
use crate::report::{json, text};
use crate::run::{Extent, Names, Run};
use crate::session::{Observer, Stop};
use crate::trace::Trace;
use crate::tracer::Outcome;
use crate::tui::{Snapshot, Tui};
use crate::verdict::judge;

/// The file of a run. What it cannot take does not keep the user from the rest of the run.
pub(crate) struct RunFile {
    /// None after it has failed.
    recorder: Option<Recorder<BufWriter<File>>>,
    failed: io::Result<()>,
    path: PathBuf,
}

/// Begins the file of a run.
pub(crate) fn begin_file(file: OutFile, run: &Run) -> anyhow::Result<RunFile> {
    let (file, path) = file.begin()?;
    let recorder = Recorder::begin(BufWriter::new(file), run);
    Ok(RunFile {
        recorder: Some(recorder.with_context(|| cannot(&path))?),
        failed: Ok(()),
        path,
    })
}

impl RunFile {
    fn write(&mut self, write: impl FnOnce(&mut Recorder<BufWriter<File>>) -> io::Result<()>) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = write(recorder)
        {
            self.failed = Err(error);
            self.recorder = None;
        }
    }

    /// Whether all of the run is in it.
    fn finish(mut self, extent: Extent) -> anyhow::Result<()> {
        self.write(|to| to.ended(extent));
        self.write(Recorder::flush);
        self.failed.with_context(|| cannot(&self.path))
    }
}

/// How the user looks on.
enum View {
    /// A line for each hop.
    Text(Live),
    /// A line of JSON for each event.
    Json,
    /// A screen.
    Screen(Box<Tui>),
}

/// Looks on for the user.
pub(crate) struct Watch<'a> {
    run: Run,
    plan: Plan,
    out: &'a mut Output,
    file: Option<RunFile>,
    view: View,
    lookup: Lookup,
    stop: Stop,
    drawn: Clock,
}

/// What the user wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Text,
    Json,
    Screen,
}

impl<'a> Watch<'a> {
    pub(crate) fn begin(
        (run, plan): (Run, Plan),
        wish: Wish,
        out: &'a mut Output,
        file: Option<RunFile>,
        (lookup, mut stop): (Lookup, Stop),
    ) -> anyhow::Result<Self> {
        let view = match wish {
            Wish::Text => {
                let width = out.width();
                View::Text(Live::begin(&mut out.text(), &run, &plan, width)?)
            }
            Wish::Json => View::Json,
            Wish::Screen => {
                stop.keep_terminal();
                let empty = snapshot(&run, &plan, &Evidence::default(), &Names::new(), false);
                View::Screen(Box::new(Tui::open(empty, true)?))
            }
        };
        if wish != Wish::Screen {
            out.bytes().flush()?;
        }
        Ok(Self {
            run,
            plan,
            out,
            file,
            view,
            lookup,
            stop,
            drawn: Clock::now(),
        })
    }

    /// The run is over, or was stopped. Says too whether all of it is in its file.
    pub(crate) fn finish(
        mut self,
        outcome: &Outcome,
        trace: &Trace,
    ) -> anyhow::Result<(Names, anyhow::Result<()>)> {
        let evidence = &outcome.evidence;
        let saved = self.file.take();
        let saved = saved.map_or(Ok(()), |file| file.finish(outcome.extent()));
        let names = self.lookup.finish();
        match self.view {
            View::Text(live) => live.finish(&mut self.out.text(), trace, &names)?,
            View::Json => {
                let found = (evidence, Some(outcome.extent()));
                json::write_result(self.out.bytes(), &self.run, trace, found, &names)?;
            }
            View::Screen(mut screen) => {
                screen.show(snapshot(&self.run, &self.plan, evidence, &names, true))?;
                // Who asked for the end has seen enough.
                if !self.stop.is_wanted() {
                    screen.browse(|| self.stop.is_wanted())?;
                }
                let look = Look {
                    names: &names,
                    width: self.out.width(),
                };
                text::write(&mut self.out.text(), &self.run, trace, look)?;
            }
        }
        Ok((names, saved))
    }

    fn draw(&mut self, evidence: &Evidence) -> anyhow::Result<()> {
        let View::Screen(screen) = &mut self.view else {
            return Ok(());
        };
        if self.drawn.elapsed() < FRAME {
            return Ok(());
        }
        self.drawn = Clock::now();
        let names = self.lookup.known();
        screen.show(snapshot(&self.run, &self.plan, evidence, names, false))?;
        if !screen.poll(Duration::ZERO)? {
            self.stop.want();
        }
        Ok(())
    }
}

impl Observer for Watch<'_> {
    fn sent(&mut self, at: Instant, transmit: &Transmit) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.write(|to| to.sent(at, &transmit.purpose, &transmit.bytes));
        }
        Ok(())
    }

    fn received(
        &mut self,
        at: Instant,
        packet: &[u8],
        engine: &Engine,
        answers: Option<SentId>,
    ) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            file.write(|to| to.received(at, packet, engine.evidence(), answers));
        }
        Ok(())
    }

    fn happened(&mut self, engine: &Engine, event: Event) -> anyhow::Result<()> {
        let evidence = engine.evidence();
        if let Event::Answered(id) = event
            && let Some(answer) = evidence.sent(id).and_then(|sent| sent.answers.last())
        {
            self.lookup.ask(answer.from);
        }
        match &mut self.view {
            View::Text(live) => {
                let names = self.lookup.known();
                live.handle_event(&mut self.out.text(), evidence, event, names)?;
                self.out.bytes().flush()?;
            }
            View::Json => {
                json::write_event(self.out.bytes(), evidence, event)?;
                self.out.bytes().flush()?;
            }
            View::Screen(_) => self.draw(evidence)?,
        }
        Ok(())
    }

    fn waited(&mut self, engine: &Engine) -> anyhow::Result<()> {
        self.draw(engine.evidence())
    }
}

fn snapshot(run: &Run, plan: &Plan, evidence: &Evidence, names: &Names, is_over: bool) -> Snapshot {
    Snapshot {
        run: run.clone(),
        trace: judge(evidence, plan.target),
        evidence: evidence.clone(),
        names: names.clone(),
        is_over,
    }
}

/// Least time between two pictures of the screen.
const FRAME: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::evidence::{Purpose, Role};
    use crate::probe::Probe;
    use crate::run::Tier;
    use crate::trace::Code;

    #[test]
    fn a_full_disk_costs_the_file_and_not_the_verdict() {
        let target = "10.0.0.2:80".parse().unwrap();
        let run = Run {
            host: "h".to_owned(),
            target,
            tier: Tier::Raw,
            epoch_ns: 0,
            kernel_mptcp: None,
        };
        let plan = Plan::new("10.0.0.1:9".parse().unwrap(), target);
        let file = OutFile::open(Path::new("/dev/full")).unwrap();
        let file = begin_file(file, &run).unwrap();
        let mut out = Output::to(Box::new(io::sink()), false, None);
        let others = (Lookup::new(false), Stop::default());
        let mut watch =
            Watch::begin((run, plan), Wish::Text, &mut out, Some(file), others).unwrap();
        let transmit = Transmit {
            purpose: Purpose {
                flow: 0,
                probe: Probe::Syn,
                role: Role::End,
                ttl: 64,
                attempt: 0,
            },
            bytes: vec![0; 60],
        };
        // More than the buffer takes.
        for at in 0..1000 {
            let at = Instant::from_nanos(at);
            watch.sent(at, &transmit).unwrap();
        }
        let outcome = Outcome::nothing();
        let trace = judge(&outcome.evidence, target);
        assert_eq!(trace.verdict.code, Code::Undecided);
        let (_, saved) = watch.finish(&outcome, &trace).unwrap();
        let error = format!("{:#}", saved.unwrap_err());
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
    }
}
