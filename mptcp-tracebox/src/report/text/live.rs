//! Output while the run is under way.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::{Look, after_hops, flow, head, hop, verdict};
use crate::engine::Event;
use crate::evidence::{Evidence, Role, SentId};
use crate::plan::{ATTEMPTS, Plan};
use crate::probe::Phase;
use crate::run::{Names, Run};
use crate::trace::Trace;
use crate::verdict::judge;

/// Writes each hop once, when all that is to be asked of it is answered or given up.
///
/// ```text
/// Live::begin(out, run, plan)
/// handle_event(out, evidence, event, names)   for each event of the engine
/// finish(out, trace, names)                   when the run is over, or was stopped
/// ```
#[derive(Debug)]
pub struct Live {
    plan: Plan,
    width: Option<usize>,
    silent: BTreeSet<SentId>,
    /// The next hop to write of the flow that is asked.
    next: u8,
    /// Flow that is asked.
    flow: usize,
}

impl Live {
    /// Writes what is asked.
    ///
    /// # Errors
    /// Those of `out`, as all methods have them.
    pub fn begin(
        out: &mut dyn Write,
        run: &Run,
        plan: &Plan,
        width: Option<usize>,
    ) -> io::Result<Self> {
        head(out, run)?;
        out.flush()?;
        Ok(Self {
            plan: plan.clone(),
            width,
            silent: BTreeSet::new(),
            next: 1,
            flow: 0,
        })
    }

    /// Something happened.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn handle_event(
        &mut self,
        out: &mut dyn Write,
        evidence: &Evidence,
        event: Event,
        names: &Names,
    ) -> io::Result<()> {
        match event {
            Event::Silent(id) => {
                self.silent.insert(id);
            }
            Event::FlowDone(number) if number == self.flow => {
                let trace = judge(evidence, self.plan.target);
                self.write_flow(out, &trace, names)?;
                return out.flush();
            }
            Event::Answered(_) | Event::FlowDone(_) => {}
        }
        let known = (self.next..u8::MAX)
            .take_while(|&ttl| self.is_settled(evidence, ttl))
            .last();
        if let Some(ttl) = known {
            let trace = judge(evidence, self.plan.target);
            self.write_hops(out, &trace, names, ttl)?;
            out.flush()?;
        }
        Ok(())
    }

    /// Writes what is left, and the verdict.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn finish(mut self, out: &mut dyn Write, trace: &Trace, names: &Names) -> io::Result<()> {
        // What was not asked has no flow.
        while self.flow < self.plan.sources.len() {
            self.write_flow(out, trace, names)?;
        }
        let look = self.look(names);
        verdict::write(out, &trace.verdict, look)?;
        out.flush()
    }

    fn look<'a>(&self, names: &'a Names) -> Look<'a> {
        let width = self.width;
        Look { names, width }
    }

    /// Writes what is left of the flow that is asked, and goes on to the next.
    fn write_flow(&mut self, out: &mut dyn Write, trace: &Trace, names: &Names) -> io::Result<()> {
        self.write_hops(out, trace, names, u8::MAX)?;
        if let Some(found) = self.asked(trace).and_then(|at| trace.flows.get(at)) {
            after_hops(out, trace, found, self.look(names))?;
        }
        self.flow += 1;
        self.next = 1;
        Ok(())
    }

    /// The place of the flow that is asked among those of which something is known.
    fn asked(&self, trace: &Trace) -> Option<usize> {
        let source = self.plan.sources.get(self.flow)?;
        trace.flows.iter().position(|flow| flow.source == *source)
    }

    /// Writes the hops of the flow that is asked, from the next one to this one.
    fn write_hops(
        &mut self,
        out: &mut dyn Write,
        trace: &Trace,
        names: &Names,
        to: u8,
    ) -> io::Result<()> {
        let look = self.look(names);
        let Some((number, found)) = self
            .asked(trace)
            .and_then(|at| Some((at, trace.flows.get(at)?)))
        else {
            return Ok(());
        };
        if self.next == 1 && (to == u8::MAX || !found.hops.is_empty()) {
            flow(out, trace, number, look)?;
        }
        let from = self.next;
        for hop in found
            .hops
            .iter()
            .filter(|hop| (from..=to).contains(&hop.ttl))
        {
            hop::write(out, found, hop, look)?;
            self.next = hop.ttl.saturating_add(1);
        }
        Ok(())
    }

    /// Whether nothing more is asked of a hop: each probe has its answers, or had its tries.
    fn is_settled(&self, evidence: &Evidence, ttl: u8) -> bool {
        let queries = u32::from(self.plan.queries);
        let tries = queries + u32::from(ATTEMPTS - 1);
        let probes = self.plan.probes_in(Phase::Syn);
        let counts: Vec<(u32, u32)> = probes
            .iter()
            .map(|probe| {
                let here = evidence.all().iter().enumerate().filter(|(_, sent)| {
                    let purpose = &sent.purpose;
                    purpose.role == Role::Ladder
                        && purpose.ttl == ttl
                        && purpose.flow == self.flow
                        && purpose.probe == *probe
                });
                here.fold((0, 0), |(answered, silent), (number, sent)| {
                    if sent.answers.is_empty() {
                        let is_over = self.silent.contains(&SentId(number));
                        (answered, silent + u32::from(is_over))
                    } else {
                        (answered + 1, silent)
                    }
                })
            })
            .collect();
        let is_mute = counts.first().is_some_and(|(answered, _)| *answered == 0);
        counts.iter().enumerate().all(|(at, &(answered, silent))| {
            // Where the control gets no answer, the other probes have no second try.
            let tries = if is_mute && at > 0 { queries } else { tries };
            answered >= queries || answered + silent >= tries
        })
    }
}
